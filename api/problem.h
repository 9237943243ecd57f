/* sn_problem - what is wrong with a request, as application/problem+json
 * (RFC 9457).
 *
 * A problem collects: one status and sentence, and up to SN_PROBLEM_ITEMS
 * places of the request that are at fault, each a JSON pointer into the body
 * or the name of a query parameter. Plain data, no allocation but in _print;
 * any thread.
 */
#ifndef SN_PROBLEM_H
#define SN_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"

enum { SN_PROBLEM_ITEMS = 32 };

struct sn_problem {
    unsigned status;  /* HTTP; 0: no problem */
    const char *code; /* stable short name, static: "invalid", ... */
    char detail[384];
    size_t n;  /* items that are kept */
    bool more; /* there were others */
    struct sn_problem_item {
        bool is_parameter;
        char where[128];
        char detail[256];
    } item[SN_PROBLEM_ITEMS];
};

/* The HTTP status of an error code; the only place that knows. */
unsigned sn_problem_status(enum sn_err code);
/* The title that goes with an HTTP status ("Not Found"). */
const char *sn_problem_title(unsigned status);

/* Replaces status and sentence. */
void sn_problem_set(struct sn_problem *p, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a place at fault; a problem that has no status yet gets 400. */
void sn_problem_at(struct sn_problem *p, const char *pointer, const char *fmt,
                   ...) __attribute__((format(printf, 3, 4)));
void sn_problem_at_parameter(struct sn_problem *p, const char *name,
                             const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* An error of another part; one that names a field of the body is the
 * client's, so "not found" is then 400. */
void sn_problem_from_error(struct sn_problem *p, const struct sn_error *err);

/* The body. Owned text, NULL when out of memory. */
char *sn_problem_print(const struct sn_problem *p);

#endif
