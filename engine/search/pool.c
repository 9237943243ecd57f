#include "engine/search/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/search/archset.h"
#include "engine/search/subspace.h"

/* How many draws may be spent for each that is wanted. */
enum { MAX_TRIES = 20 };

/* What a pool is filled from. */
struct source {
    const struct sn_space *space;
    const struct sn_subspace *within;
    const struct sn_veto *veto;
    uint32_t room;
};

static void put(struct sn_pool *pool, struct sn_archset *seen,
                const struct source *from, const struct sn_arch *arch)
{
    if (pool->n < from->room && !sn_veto_holds(from->veto, arch) &&
        sn_archset_add(seen, arch))
        pool->n++;
}

/* Puts what comes after the ends into random order. */
static void shuffle(struct sn_pool *pool, struct sn_rng *rng)
{
    for (uint32_t i = pool->n; i > pool->ends + 1; i--) {
        uint32_t j = pool->ends + sn_rng_below(rng, i - pool->ends);
        struct sn_arch t = pool->arch[i - 1];
        pool->arch[i - 1] = pool->arch[j];
        pool->arch[j] = t;
    }
}

/* Into `seen`; false when the order is not random yet. */
static bool collect(struct sn_pool *pool, struct sn_archset *seen,
                    const struct source *from, struct sn_rng *rng)
{
    struct sn_arch arch;
    sn_arch_largest(from->space, &arch);
    put(pool, seen, from, &arch);
    sn_arch_smallest(from->space, &arch);
    put(pool, seen, from, &arch);
    pool->ends = pool->n;
    if (from->within != NULL) {
        for (uint32_t i = 0; i < from->within->n; i++)
            put(pool, seen, from, &from->within->arch[i]);
        return false;
    }
    double count = sn_space_count(from->space, SN_COUPLING_NONE);
    if (count <= from->room) {
        for (uint32_t i = 0; i < (uint32_t)count; i++) {
            sn_arch_at(from->space, i, &arch);
            put(pool, seen, from, &arch);
        }
        return false;
    }
    uint64_t tries = (uint64_t)MAX_TRIES * from->room;
    while (pool->n < from->room && tries-- > 0) {
        sn_arch_sample_tilted(from->space, rng, &arch);
        put(pool, seen, from, &arch);
    }
    return true;
}

enum sn_err sn_pool_init(struct sn_pool *pool, const struct sn_target *target,
                         const struct sn_subspace *within,
                         const struct sn_veto *veto, uint32_t want,
                         struct sn_rng rng, struct sn_error *err)
{
    uint32_t room = within != NULL ? within->n + 2 : want;
    struct source from = {target->space, within, veto, room};
    struct sn_archset *seen = NULL;
    memset(pool, 0, sizeof *pool);
    enum sn_err rc = sn_archset_new(room, &seen, err);
    if (rc != SN_OK)
        return rc;
    pool->macs = malloc((room + 1) * sizeof *pool->macs);
    if (pool->macs == NULL) {
        sn_archset_free(seen);
        sn_pool_close(pool);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u candidates",
                            room);
    }
    bool random = collect(pool, seen, &from, &rng);
    pool->arch = sn_archset_take(seen);
    if (!random)
        shuffle(pool, &rng);
    for (uint32_t i = 0; i < pool->n; i++)
        pool->macs[i] = sn_target_macs(target, &pool->arch[i]);
    return SN_OK;
}

void sn_pool_close(struct sn_pool *pool)
{
    free(pool->arch);
    free(pool->macs);
    memset(pool, 0, sizeof *pool);
}
