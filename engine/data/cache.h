/* sn_cache - images that were decoded and brought to a resolution, kept up to
 * a bound of bytes: the same few thousand are evaluated again and again.
 *
 * A full cache throws out what a formula picks, so that images that are asked
 * for in turn, over and over, are found in part. What is found is what would be
 * made again, so results do not depend on it. Locks itself; any thread.
 */
#ifndef SN_CACHE_H
#define SN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_cache;

struct sn_cache_key {
    uint32_t image;
    uint16_t resolution;
    bool test;
};

/* Owned by the caller. */
enum sn_err sn_cache_new(uint64_t max_bytes, struct sn_cache **ret,
                         struct sn_error *err);
void sn_cache_free(struct sn_cache *cache); /* NULL is fine */

/* Copies n bytes out; false when they are not there. */
bool sn_cache_get(struct sn_cache *cache, struct sn_cache_key key, size_t n,
                  uint8_t *ret);
/* Keeps a copy, if there is memory. */
void sn_cache_put(struct sn_cache *cache, struct sn_cache_key key, size_t n,
                  const uint8_t *pixels);

uint64_t sn_cache_bytes(struct sn_cache *cache); /* kept now */

#endif
