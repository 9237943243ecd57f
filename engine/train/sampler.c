#include "engine/train/sampler.h"

#include <string.h>

void sn_sampler_init(struct sn_sampler *s, const struct sn_space *space,
                     enum sn_sampler_kind kind, int n,
                     const struct sn_limits *limits)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->n = n < SN_MAX_SUBNETS ? n : SN_MAX_SUBNETS;
    s->space = space;
    s->limits = *limits;
    sn_arch_largest(space, &s->largest);
    sn_arch_smallest(space, &s->smallest);
}

static void draw_path(const struct sn_sampler *s, struct sn_rng *rng,
                      struct sn_arch *ret)
{
    if (s->n_members > 0 && sn_rng_uniform(rng) >= s->exploration)
        *ret = s->members[sn_rng_below(rng, s->n_members)];
    else
        sn_arch_sample(s->space, &s->limits, rng, ret);
}

int sn_sampler_draw(const struct sn_sampler *s, uint64_t seed, uint64_t step,
                    struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_PATH, step);
    int n = 0;

    if (s->kind == SN_SAMPLE_LARGEST) {
        ret[n++] = s->largest;
        return n;
    }
    if (s->kind == SN_SAMPLE_SANDWICH) {
        ret[n++] = s->largest;
        ret[n++] = s->smallest;
    }
    while (n < s->n)
        draw_path(s, &rng, &ret[n++]);
    return n;
}
