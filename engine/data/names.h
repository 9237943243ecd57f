/* sn_names - a list of texts: names of classes, of damaged images.
 *
 * Zeroed at first, closed in the end.
 */
#ifndef SN_NAMES_H
#define SN_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_names {
    char **at; /* owned, as is every text */
    uint32_t n, room;
};

/* Appends a copy. */
enum sn_err sn_names_add(struct sn_names *names, const char *text,
                         struct sn_error *err);
/* In the order of their bytes. */
void sn_names_sort(struct sn_names *names);
/* The place of a text in a sorted list, or -1. */
int64_t sn_names_find(const struct sn_names *names, const char *text);
void sn_names_close(struct sn_names *names);

#endif
