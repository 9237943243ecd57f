/* sn_item - one write on its way to the writer thread. Internal.
 *
 * An item owns copies of all that it needs: its body (a struct of the caller's
 * choice) and whatever was copied with sn_item_text and sn_item_copy live in
 * its own memory and go with it. A failed copy is remembered, so that callers
 * check once, at submission. apply may run twice (a group that could not be
 * committed is done again item by item), so it sets all of what it leaves in
 * the body or the result anew.
 */
#ifndef SN_STORAGE_ITEM_H
#define SN_STORAGE_ITEM_H

#include "storage/db.h"
#include "storage/storage.h"

struct sn_item_chunk;

struct sn_item {
    struct sn_item *next;
    /* The write itself, inside a savepoint; NULL: only events, or nothing. An
     * error goes to item->result.error and is returned. */
    enum sn_err (*apply)(struct sn_db *db, struct sn_item *item);
    /* Or NULL: after the commit, before done (removing files). */
    void (*after)(struct sn_storage *st, struct sn_item *item);
    void *body;
    struct sn_event *events;
    size_t n_events;
    sn_written_fn done;
    void *arg;
    struct sn_written result;
    struct sn_item_chunk *chunks;
    char *last_text; /* the last text copied: repeated ones are shared */
    bool out_of_memory;
};

/* A new item with a zeroed body and w's events and callback; NULL when there
 * is no memory for it. */
struct sn_item *sn_item_new(size_t body_size, const struct sn_write *w);
void sn_item_free(struct sn_item *item);

/* Memory of the item, zeroed; NULL (and remembered) on failure. */
void *sn_item_alloc(struct sn_item *item, size_t n, size_t size);
/* A copy of an array of n, or NULL when n is 0. */
void *sn_item_copy(struct sn_item *item, const void *data, size_t n,
                   size_t size);
/* A copy of a string; NULL stays NULL. */
const char *sn_item_text(struct sn_item *item, const char *text);

#endif
