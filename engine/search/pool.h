/* sn_pool - candidates: a large set of distinct architectures with their costs,
 * from which probes are drawn and which the filter scores.
 *
 * arch[0] is the space's largest, arch[1] its smallest (one when they are the
 * same); the rest is in random order. Nothing of it is vetoed (the ends never
 * are).
 */
#ifndef SN_POOL_H
#define SN_POOL_H

#include "engine/search/bands.h"

struct sn_pool {
    uint32_t n, ends;     /* ends: 2, or 1 when the space has just one */
    struct sn_arch *arch; /* [n] */
    double *macs;         /* [n] */
};

/* All members of `within` when it is given; all of the space when that is no
 * more than `want`; otherwise `want` tilted draws (fewer if a long search finds
 * no more). Init leaves nothing behind when it fails. */
enum sn_err sn_pool_init(struct sn_pool *pool, const struct sn_target *target,
                         const struct sn_subspace *within,
                         const struct sn_veto *veto, uint32_t want,
                         struct sn_rng rng, struct sn_error *err);
void sn_pool_close(struct sn_pool *pool);

#endif
