/* sn_spec_json - a job's spec from and to JSON, generically over the table of
 * settings (sn_spec_fields).
 *
 * Beside the table's fields a spec has "labels": an object of at most 32
 * strings. Pure functions, any thread.
 */
#ifndef SN_SPEC_JSON_H
#define SN_SPEC_JSON_H

#include "engine/engine.h"

struct json_t; /* jansson's */
struct sn_problem;

enum { SN_LABELS_MAX = 32, SN_LABEL_KEY_MAX = 64, SN_LABEL_VALUE_MAX = 256 };

/* Reads what is given over the defaults (sn_spec_defaults is called here); does
 * not resolve. Every error of the body is added to `problem`. On true *ret is
 * set and *ret_labels is owned text (free()), "{}" without labels. */
bool sn_spec_from_json(struct json_t *body, struct sn_spec *ret,
                       char **ret_labels, struct sn_problem *problem);

/* The same from text, for specs that come back from storage: first error
 * only. ret_labels may be NULL. */
enum sn_err sn_spec_parse(const char *text, struct sn_spec *ret,
                          char **ret_labels, struct sn_error *err);

/* All fields, with labels (JSON text of an object, or NULL: none). Returns an
 * owned reference or owned text; NULL when out of memory. Printing and parsing
 * again gives the same spec, bit for bit. */
struct json_t *sn_spec_to_json(const struct sn_spec *spec, const char *labels);
char *sn_spec_print(const struct sn_spec *spec, const char *labels);

#endif
