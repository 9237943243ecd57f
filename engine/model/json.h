/* sn_json - a strict reader of JSON text, one token at a time, for the headers
 * of weight files.
 *
 * A cursor over bytes that need no NUL. Nothing is read outside of them; the
 * first fault is kept with its offset, and every call after it fails. Recursion
 * is the caller's, so depth is bounded by what the caller expects. Strings are
 * decoded (escapes, surrogate pairs) and must be UTF-8 without NUL. Grammar:
 * RFC 8259.
 */
#ifndef SN_JSON_H
#define SN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sn_json {
    const unsigned char *bytes;
    size_t size, at;
    const char *fault; /* NULL while all is well */
};

void sn_st_json_init(struct sn_json *json, const void *bytes, size_t size);
/* The next byte that is no white space, not taken; 0 at the end. */
unsigned char sn_st_json_peek(struct sn_json *json);
/* Takes the punctuation c, or faults. */
bool sn_st_json_take(struct sn_json *json, char c);
/* Keeps the first fault; returns false. */
bool sn_st_json_fail(struct sn_json *json, const char *fault);
/* A string, decoded into `ret` (room for `max` bytes with its NUL; a string's
 * text in the file is never shorter than its decoded form). */
bool sn_st_json_string(struct sn_json *json, char *ret, size_t max);
/* A whole number from 0 to 2^63 - 1, without sign, fraction or exponent. */
bool sn_st_json_whole(struct sn_json *json, int64_t *ret);
/* After an element: true and the comma taken if another one follows; false
 * with the closing `end` taken, or with a fault. */
bool sn_st_json_more(struct sn_json *json, char end);

/* Whether a NUL-terminated text is UTF-8 (RFC 3629). */
bool sn_utf8_valid(const char *text);

#endif
