/* sn_dataset_json - data sets to and from JSON: the object that clients see,
 * the options that they send, and the body of a data set's row in the database.
 *
 * Any thread. JSON values returned are owned references.
 */
#ifndef SN_DATASET_JSON_H
#define SN_DATASET_JSON_H

#include "api/host.h"

struct json_t; /* jansson's */
struct sn_problem;
struct sn_query;

/* What clients see; `whole` adds what grows with the data set: the names of its
 * classes. */
struct json_t *sn_dataset_object(const struct sn_dataset_view *d, bool whole);

/* Members of a body, or parameters of a query, over the defaults; what is wrong
 * is in the problem, as are options that the format does not take. */
void sn_dataset_options_from_json(struct json_t *body,
                                  const struct sn_dataset_format *format,
                                  struct sn_dataset_options *ret,
                                  struct sn_problem *problem);
void sn_dataset_options_from_query(const struct sn_query *query,
                                   const struct sn_dataset_format *format,
                                   struct sn_dataset_options *ret,
                                   struct sn_problem *problem);

/* The body of a row. */
struct sn_dataset_row {
    const char *format; /* of sn_dataset_format_at(), or "unknown": a later
                           version's, which opening the set will say */
    bool uploaded;      /* its path is relative to <state>/datasets */
    struct sn_dataset_options options;
    bool has_info; /* what registering it found */
    struct sn_dataset_info info;
    const char *const *corrupt; /* [info.corrupt] */
};

/* Owned text; NULL when out of memory. */
char *sn_dataset_row_print(const struct sn_dataset_row *row);

/* Texts that belong together: `at` and what it points to are one block. */
struct sn_texts {
    char **at; /* owned: free() */
    uint32_t n;
};
/* A copy of n texts, given by a function. SN_ERR_NOMEM. */
enum sn_err sn_texts_copy(const char *(*get)(const void *from, uint32_t i),
                          const void *from, uint32_t n, struct sn_texts *ret,
                          struct sn_error *err);

/* What cannot be read is left at its default: the row is our own. ret->corrupt
 * points into *ret_corrupt, which is owned. */
void sn_dataset_row_parse(const char *body, struct sn_dataset_row *ret,
                          struct sn_texts *ret_corrupt);

#endif
