/* sn_query - the part of a request's target after the question mark, and
 * percent-decoding.
 *
 * Pure; any thread. What a route takes is a table of sn_parameter; all else,
 * repeated names, broken escapes and values out of range become items of a
 * problem.
 */
#ifndef SN_QUERY_H
#define SN_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sn_problem;

enum { SN_QUERY_MAX = 16, SN_QUERY_BYTES = 1024, SN_VALUE_MAX = 256 };

enum sn_parameter_type {
    SN_PARAMETER_TEXT,   /* 1 to max bytes (0: SN_VALUE_MAX - 1) */
    SN_PARAMETER_INT,    /* whole, min to max */
    SN_PARAMETER_NUMBER, /* min to max */
    SN_PARAMETER_BOOL,   /* true or false */
    SN_PARAMETER_CHOICE  /* one of `choices` */
};
struct sn_parameter {
    const char *name; /* NULL ends a table */
    enum sn_parameter_type type;
    double min, max;
    const char *const *choices; /* NULL-terminated */
};

/* A decoded query: pairs of strings within `bytes`. */
struct sn_query {
    size_t n;
    struct {
        const char *name, *value;
    } pair[SN_QUERY_MAX];
    char bytes[SN_QUERY_BYTES];
};

/* Decodes `size` bytes of %-escapes (and + as a space when `plus`) into ret
 * with a NUL; false when an escape is broken, means NUL, or it does not fit. */
bool sn_query_decode(const char *text, size_t size, bool plus, char *ret,
                     size_t room);

/* `text` may be NULL. Checks against `table` (NULL: takes nothing). False when
 * anything was added to the problem. `ret` must not be moved afterwards. */
bool sn_query_parse(const char *text, const struct sn_parameter *table,
                    struct sn_query *ret, struct sn_problem *problem);

/* Values of a checked query; the default when the parameter is absent. */
const char *sn_query_text(const struct sn_query *q, const char *name,
                          const char *otherwise);
int64_t sn_query_int(const struct sn_query *q, const char *name,
                     int64_t otherwise);
double sn_query_number(const struct sn_query *q, const char *name,
                       double otherwise);
bool sn_query_bool(const struct sn_query *q, const char *name, bool otherwise);

#endif
