/* sn_items - encoded images where they lie: files below a data set's folder, or
 * stored parts of them (members of a tar), with their labels, by split.
 *
 *   names   "cat/1.jpg\0cat/2.jpg\0..."   "a.tar\0a.tar/17.jpg\0a.tar/18.jpg\0"
 *              ^ file = name                ^ file  ^ name
 *   bytes   the whole file                 [offset, offset + length) of a.tar
 *
 * Filled by one thread, then read-only: sn_items_read() may be called by any
 * number of threads. Files are opened below the folder's descriptor, part by
 * part of their path, and never through a link, so whoever changes the folder
 * meanwhile leads no reader out of it.
 */
#ifndef SN_ITEMS_H
#define SN_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum { SN_ITEM_MAX_BYTES = 256 << 20, SN_ITEMS_MAX = 1 << 24 };

struct sn_item {
    uint32_t file;   /* in names: the path, relative to the folder */
    uint32_t name;   /* in names: for messages; also what orders the items */
    uint64_t offset; /* in that file */
    uint32_t length; /* 1 to SN_ITEM_MAX_BYTES */
    int32_t label;
};

struct sn_item_list {
    struct sn_item *at;
    uint32_t n, room;
};

struct sn_items {
    int folder; /* its descriptor, closed by sn_items_free() */
    char *names;
    size_t names_size, names_room;
    struct sn_item_list train, test;
};

/* Opens `dir`, which may itself be reached through links. Returns owned. */
enum sn_err sn_items_new(const char *dir, struct sn_items **ret,
                         struct sn_error *err);
void sn_items_free(struct sn_items *items); /* NULL is fine */

/* Keeps a copy of `text` of n bytes; *ret is its place in names. */
enum sn_err sn_items_keep(struct sn_items *items, const char *text, size_t n,
                          uint32_t *ret, struct sn_error *err);
/* Appends to one of the two lists. SN_ERR_TOOLARGE over SN_ITEMS_MAX. */
enum sn_err sn_items_add(struct sn_item_list *list, const struct sn_item *item,
                         struct sn_error *err);

static inline const char *sn_items_name(const struct sn_items *items,
                                        const struct sn_item *item)
{
    return items->names + item->name;
}

/* Room for an item's bytes, used again from one to the next. Zeroed at first,
 * freed by free(bytes). */
struct sn_item_bytes {
    uint8_t *bytes;
    size_t n, room;
};

/* Reads an item whole. SN_ERR_CORRUPT when the file is no longer as it was
 * when it was listed, SN_ERR_NOTFOUND when it has gone; messages start with
 * the item's name. */
enum sn_err sn_items_read(const struct sn_items *items,
                          const struct sn_item *item,
                          struct sn_item_bytes *bytes, struct sn_error *err);

/* Opens a file (flags: O_RDONLY, O_DIRECTORY ...) below the folder without
 * following any link; returns the descriptor, or -1 with errno. */
int sn_items_open_below(int folder, const char *path, int flags);

#endif
