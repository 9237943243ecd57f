/* sn_sampler - which sub-networks a training step trains: a pure function of
 * (seed, step).
 */
#ifndef SN_SAMPLER_H
#define SN_SAMPLER_H

#include "engine/space/space.h"

enum { SN_MAX_SUBNETS = 16 };

enum sn_sampler_kind {
    SN_SAMPLE_LARGEST,  /* the largest end alone */
    SN_SAMPLE_PATHS,    /* n random paths */
    SN_SAMPLE_SANDWICH, /* largest end, smallest end, n - 2 random paths */
};

struct sn_sampler {
    enum sn_sampler_kind kind;
    int n;
    const struct sn_space *space;
    struct sn_limits limits; /* what random paths are drawn from ... */
    /* ... unless there are members (borrowed): then from these, but for a share
     * of `exploration`, which still comes from the limits. */
    const struct sn_arch *members;
    uint32_t n_members;
    double exploration;
    struct sn_arch largest, smallest; /* the sandwich's ends */
};

/* Ends from the whole space, no members. */
void sn_sampler_init(struct sn_sampler *sampler, const struct sn_space *space,
                     enum sn_sampler_kind kind, int n,
                     const struct sn_limits *limits);
/* Draws at most SN_MAX_SUBNETS, the largest first where there is one; returns
 * how many. */
int sn_sampler_draw(const struct sn_sampler *sampler, uint64_t seed,
                    uint64_t step, struct sn_arch *ret);

#endif
