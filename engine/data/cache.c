/* A table of lists by hash, and an array of all entries to pick one from. */
#include "engine/data/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rng.h"

enum { LISTS = 1 << 14 };

struct entry {
    struct sn_cache_key key;
    struct entry *next; /* of its list */
    size_t at;          /* in `all` */
    size_t n;
    uint8_t pixels[];
};

struct sn_cache {
    pthread_mutex_t lock;
    uint64_t max_bytes, bytes, turns;
    struct entry *list[LISTS];
    struct entry **all;
    size_t count, room;
};

enum sn_err sn_cache_new(uint64_t max_bytes, struct sn_cache **ret,
                         struct sn_error *err)
{
    struct sn_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a cache");
    cache->max_bytes = max_bytes;
    pthread_mutex_init(&cache->lock, NULL);
    *ret = cache;
    return SN_OK;
}

void sn_cache_free(struct sn_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->count; i++)
        free(cache->all[i]);
    free(cache->all);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static size_t list_of(struct sn_cache_key key)
{
    uint64_t v = key.image * 0x9e3779b97f4a7c15u;
    v ^= (v >> 29) + key.resolution * 0xbf58476du + key.test;
    return (size_t)((v * 0xd1342543de82ef95u) >> 50) % LISTS;
}

static bool same(struct sn_cache_key a, struct sn_cache_key b)
{
    return a.image == b.image && a.resolution == b.resolution &&
           a.test == b.test;
}

/* Where the pointer to the entry is; to NULL when there is none. */
static struct entry **find(struct sn_cache *cache, struct sn_cache_key key)
{
    struct entry **e = &cache->list[list_of(key)];
    while (*e != NULL && !same((*e)->key, key))
        e = &(*e)->next;
    return e;
}

bool sn_cache_get(struct sn_cache *cache, struct sn_cache_key key, size_t n,
                  uint8_t *ret)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *e = *find(cache, key);
    bool found = e != NULL && e->n == n;
    if (found)
        memcpy(ret, e->pixels, n);
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void drop(struct sn_cache *cache, struct entry *e)
{
    struct entry *last = cache->all[--cache->count];
    *find(cache, e->key) = e->next;
    cache->all[e->at] = last;
    last->at = e->at;
    cache->bytes -= e->n;
    free(e);
}

static void drop_any(struct sn_cache *cache)
{
    struct sn_rng rng = sn_rng_make(0, SN_STREAM_CACHE, cache->turns++);
    drop(cache, cache->all[sn_rng_below(&rng, (uint32_t)cache->count)]);
}

static bool has_place(struct sn_cache *cache)
{
    if (cache->count < cache->room)
        return true;
    size_t room = cache->room == 0 ? 256 : 2 * cache->room;
    struct entry **all = realloc(cache->all, room * sizeof all[0]);
    if (all == NULL)
        return false;
    cache->all = all;
    cache->room = room;
    return true;
}

void sn_cache_put(struct sn_cache *cache, struct sn_cache_key key, size_t n,
                  const uint8_t *pixels)
{
    if (n > cache->max_bytes)
        return;
    struct entry *e = malloc(sizeof *e + n);
    if (e == NULL)
        return;
    e->key = key;
    e->n = n;
    memcpy(e->pixels, pixels, n);

    pthread_mutex_lock(&cache->lock);
    struct entry **old = find(cache, key);
    if (*old != NULL)
        drop(cache, *old);
    while (cache->bytes > cache->max_bytes - n)
        drop_any(cache);
    if (has_place(cache)) {
        struct entry **list = &cache->list[list_of(key)];
        e->next = *list;
        e->at = cache->count;
        *list = e;
        cache->all[cache->count++] = e;
        cache->bytes += n;
        e = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    free(e);
}

uint64_t sn_cache_bytes(struct sn_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}
