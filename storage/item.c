#include "storage/item.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 2048 };

struct sn_item_chunk {
    struct sn_item_chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

static void *take(struct sn_item *item, size_t bytes)
{
    size_t unit = _Alignof(max_align_t);
    struct sn_item_chunk *chunk = item->chunks;
    if (bytes > SIZE_MAX / 2)
        goto fail;
    bytes = (bytes + unit - 1) / unit * unit;
    if (chunk == NULL || chunk->size - chunk->used < bytes) {
        size_t size = bytes > CHUNK_SIZE ? bytes : CHUNK_SIZE;
        chunk = malloc(sizeof *chunk + size);
        if (chunk == NULL)
            goto fail;
        *chunk = (struct sn_item_chunk){.next = item->chunks, .size = size};
        item->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return memory;
fail:
    item->out_of_memory = true;
    return NULL;
}

void *sn_item_alloc(struct sn_item *item, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        item->out_of_memory = true;
        return NULL;
    }
    void *memory = take(item, n * size);
    return memory != NULL ? memset(memory, 0, n * size) : NULL;
}

void *sn_item_copy(struct sn_item *item, const void *data, size_t n,
                   size_t size)
{
    if (n == 0)
        return NULL;
    void *memory = sn_item_alloc(item, n, size);
    return memory != NULL ? memcpy(memory, data, n * size) : NULL;
}

const char *sn_item_text(struct sn_item *item, const char *text)
{
    if (text == NULL)
        return NULL;
    if (item->last_text != NULL && strcmp(item->last_text, text) == 0)
        return item->last_text;
    size_t size = strlen(text) + 1;
    char *copy = take(item, size);
    if (copy == NULL)
        return NULL;
    item->last_text = memcpy(copy, text, size);
    return copy;
}

struct sn_item *sn_item_new(size_t body_size, const struct sn_write *w)
{
    struct sn_item *item = calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    if (body_size > 0)
        item->body = sn_item_alloc(item, 1, body_size);
    if (w != NULL) {
        item->done = w->done;
        item->arg = w->arg;
        item->n_events = w->n_events;
        item->events =
            sn_item_copy(item, w->events, w->n_events, sizeof *item->events);
    }
    for (size_t i = 0; i < item->n_events && item->events != NULL; i++) {
        struct sn_event *e = &item->events[i];
        e->job = sn_item_text(item, e->job);
        e->type = sn_item_text(item, e->type);
        e->payload = sn_item_text(item, e->payload);
    }
    if (item->out_of_memory) {
        sn_item_free(item);
        return NULL;
    }
    return item;
}

void sn_item_free(struct sn_item *item)
{
    if (item == NULL)
        return;
    struct sn_item_chunk *chunk = item->chunks;
    while (chunk != NULL) {
        struct sn_item_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(item);
}
