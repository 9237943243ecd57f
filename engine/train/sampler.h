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
    SN_SAMPLE_COUPLED,  /* n of the coupled space (Sahni et al., "CompOFA") */
    /* As many paths as a block has choices, of one drawn depth a stage; every
     * choice of every block of them is in exactly one path (Chu et al.,
     * "FairNAS", strict fairness). */
    SN_SAMPLE_FAIR,
    SN_SAMPLE_FIXED /* `fixed` alone, in every step */
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
    struct sn_arch fixed;
    bool elastic_kernels; /* coupled: kernels are drawn, not fixed by stage */
    /* The sandwich draws so many paths for each place between its ends, all of
     * one MAC band; the trainer takes one of them (Wang et al., "AttentiveNAS",
     * CVPR 2021). The first is drawn like any path, so bands come up as often
     * as random paths fall into them. */
    int candidates, bands;
};

/* Ends from the whole space, no members, one candidate. */
void sn_sampler_init(struct sn_sampler *sampler, const struct sn_space *space,
                     enum sn_sampler_kind kind, int n,
                     const struct sn_limits *limits);
/* Draws at most SN_MAX_SUBNETS, the largest first where there is one, the
 * candidates of a place beside each other; returns how many. */
int sn_sampler_draw(const struct sn_sampler *sampler, uint64_t seed,
                    uint64_t step, struct sn_arch *ret);
/* The choices of a block (kernel and expand together) that a fair step takes in
 * turn; 0 where blocks differ in that, which it cannot serve. */
int sn_sampler_fair_paths(const struct sn_space *space);

#endif
