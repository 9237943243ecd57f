/* sn_json - strict reading and plain writing of JSON.
 *
 * Reading refuses duplicate members, deep nesting and everything after the
 * value, and says where (a JSON pointer). Writing gives doubles in the fewest
 * digits that read back the same, whole numbers without a point, and null for
 * what is no number. Any thread. `json_t` values returned are owned references.
 */
#ifndef SN_JSON_H
#define SN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct sn_problem;

enum { SN_JSON_DEPTH = 16, SN_POINTER_MAX = 128 };

/* NULL after adding to the problem. */
json_t *sn_json_load(const char *text, size_t size, struct sn_problem *problem);

/* Pointer of the value that is being read at `offset` bytes into a text, which
 * may be broken there: {"a": {"b": 1, -> "/a/b". */
void sn_json_pointer_at(const char *text, size_t offset,
                        char ret[SN_POINTER_MAX]);
/* ret = prefix "/" key, with ~ and / escaped. */
void sn_json_pointer_join(const char *prefix, const char *key,
                          char ret[SN_POINTER_MAX]);

/* Adds an error for each member of `object` that is not in the NULL-ended list
 * of names. */
void sn_json_check_members(json_t *object, const char *prefix,
                           const char *const *names,
                           struct sn_problem *problem);
/* A string member of at most `max` bytes; NULL when absent or wrong, which is
 * then in the problem. Borrowed. */
const char *sn_json_get_string(json_t *object, const char *prefix,
                               const char *name, bool required, size_t max,
                               struct sn_problem *problem);

/* null for NAN and infinities, an integer when it is whole. */
json_t *sn_json_number(double value);
/* null for NULL; bytes that are no UTF-8 become '?'. */
json_t *sn_json_string(const char *text);
/* Parsed JSON text from our own storage; null for NULL, "" or damage. */
json_t *sn_json_stored(const char *text);
/* Sets a member and takes the value; a NULL value (out of memory) leaves the
 * member out. */
void sn_json_put(json_t *object, const char *key, json_t *value);

/* Owned text; NULL when out of memory or value is NULL. */
char *sn_json_dump(json_t *value);

#endif
