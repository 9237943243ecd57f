/* sn_place - an object of JSON that is being read: where it is in the body, and
 * where its errors go. Every reader goes on after an error, so that a client is
 * told of all of them.
 *
 * Borrowed; any thread.
 */
#ifndef SN_PLACE_H
#define SN_PLACE_H

#include <jansson.h>
#include <stdint.h>

#include "api/json.h"
#include "api/problem.h"

struct sn_place {
    json_t *object;
    char pointer[SN_POINTER_MAX];
    struct sn_problem *problem;
};

void sn_place_fault(const struct sn_place *p, const char *name,
                    const char *what);
/* The same at the i-th of a member that is a list. */
void sn_place_fault_at(const struct sn_place *p, const char *name, size_t i,
                       const char *what);

/* A whole number from 0 to 65535, 0 after an error; where it is left out,
 * `otherwise`, or an error if that is negative. */
int sn_place_number(const struct sn_place *p, const char *name, int otherwise);
/* One that may not be left out; over 255 it becomes 255. */
uint8_t sn_place_small(const struct sn_place *p, const char *name);
/* False where it is left out. */
bool sn_place_flag(const struct sn_place *p, const char *name);
/* A list of 1 to `most` whole numbers; returns how many, 0 after an error. */
size_t sn_place_numbers(const struct sn_place *p, const char *name, size_t most,
                        uint16_t *ret);
size_t sn_place_bytes(const struct sn_place *p, const char *name, size_t most,
                      uint8_t *ret);
/* The same of numbers with up to three decimals, in thousandths. */
size_t sn_place_ratios(const struct sn_place *p, const char *name, size_t most,
                       uint16_t *ret);

/* Goes into a member that must be an object with no other members than names
 * lists, or into the i-th of a list; false where it is none. */
bool sn_place_enter(const struct sn_place *p, const char *name,
                    const char *const *names, struct sn_place *ret);
bool sn_place_enter_at(const struct sn_place *p, const char *list, size_t i,
                       const char *const *names, struct sn_place *ret);

#endif
