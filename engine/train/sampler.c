#include "engine/train/sampler.h"

#include <math.h>
#include <string.h>

#include "engine/space/plan.h"

void sn_sampler_init(struct sn_sampler *s, const struct sn_space *space,
                     enum sn_sampler_kind kind, int n,
                     const struct sn_limits *limits)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->n = n < SN_MAX_SUBNETS ? n : SN_MAX_SUBNETS;
    s->space = space;
    s->limits = *limits;
    s->candidates = 1;
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

/* ---- candidates of one band ---- */

/* Bands compare architectures of one task, so channels and classes are any; and
 * of one step, which has one resolution, so that is any too, but the same. */
static double log_macs(const struct sn_sampler *s, const struct sn_arch *arch)
{
    struct sn_arch at = *arch;
    struct sn_plan plan;
    struct sn_cost cost;
    at.resolution = s->space->resolution;
    sn_plan_make(s->space, &at, 3, 10, &plan);
    sn_plan_cost(&plan, &cost);
    return log(cost.macs);
}

static int band_of(const struct sn_sampler *s, const struct sn_arch *arch)
{
    double lo = log_macs(s, &s->smallest), hi = log_macs(s, &s->largest);
    double at = hi > lo ? (log_macs(s, arch) - lo) / (hi - lo) : 0;
    int band = (int)(at * s->bands);
    return band < 0 ? 0 : band >= s->bands ? s->bands - 1 : band;
}

/* The last try stands where no other falls into the first one's band. */
static void draw_candidates(const struct sn_sampler *s, struct sn_rng *rng,
                            struct sn_arch *ret)
{
    enum { TRIES = 256 };
    draw_path(s, rng, &ret[0]);
    int band = s->candidates > 1 ? band_of(s, &ret[0]) : 0;
    for (int c = 1; c < s->candidates; c++) {
        int tries = 0;
        do
            draw_path(s, rng, &ret[c]);
        while (band_of(s, &ret[c]) != band && ++tries < TRIES);
    }
}

/* ---- ways of drawing ---- */

static int draw_largest(const struct sn_sampler *s, struct sn_rng *rng,
                        struct sn_arch *ret)
{
    ret[0] = s->largest;
    return 1;
}

static int draw_fixed(const struct sn_sampler *s, struct sn_rng *rng,
                      struct sn_arch *ret)
{
    ret[0] = s->fixed;
    return 1;
}

static int draw_paths(const struct sn_sampler *s, struct sn_rng *rng,
                      struct sn_arch *ret)
{
    for (int i = 0; i < s->n; i++)
        draw_path(s, rng, &ret[i]);
    return s->n;
}

static int draw_sandwich(const struct sn_sampler *s, struct sn_rng *rng,
                         struct sn_arch *ret)
{
    int n = 0;
    ret[n++] = s->largest;
    ret[n++] = s->smallest;
    for (int i = 2; i < s->n && n + s->candidates <= SN_MAX_SUBNETS; i++) {
        draw_candidates(s, rng, &ret[n]);
        n += s->candidates;
    }
    return n;
}

static int draw_coupled(const struct sn_sampler *s, struct sn_rng *rng,
                        struct sn_arch *ret)
{
    for (int i = 0; i < s->n; i++) {
        struct sn_arch path;
        sn_arch_sample(s->space, &s->limits, rng, &path);
        ret[i] = path;
        sn_arch_couple(s->space, &ret[i]);
        if (s->elastic_kernels)
            memcpy(ret[i].kernel, path.kernel, sizeof path.kernel);
    }
    return s->n;
}

int sn_sampler_fair_paths(const struct sn_space *space)
{
    int paths = 0;
    for (int g = 0; g < space->n_stages; g++) {
        int of_block = space->stage[g].kernel.n * space->stage[g].expand.n;
        if (of_block > SN_MAX_SUBNETS || (g > 0 && of_block != paths))
            return 0;
        paths = of_block;
    }
    return paths;
}

static void shuffle(struct sn_rng *rng, int n, uint8_t *ret)
{
    for (int i = 0; i < n; i++)
        ret[i] = (uint8_t)i;
    for (int i = n - 1; i > 0; i--) {
        uint32_t k = sn_rng_below(rng, (uint32_t)i + 1);
        uint8_t kept = ret[i];
        ret[i] = ret[k];
        ret[k] = kept;
    }
}

static int draw_fair(const struct sn_sampler *s, struct sn_rng *rng,
                     struct sn_arch *ret)
{
    int n = sn_sampler_fair_paths(s->space);
    uint8_t order[SN_MAX_SUBNETS];

    sn_arch_sample(s->space, &s->limits, rng, &ret[0]);
    for (int i = 1; i < n; i++)
        ret[i] = ret[0];
    for (int g = 0; g < s->space->n_stages; g++) {
        const struct sn_stage *stage = &s->space->stage[g];
        for (int b = 0; b < ret[0].depth[g]; b++) {
            shuffle(rng, n, order);
            for (int i = 0; i < n; i++) {
                ret[i].kernel[g][b] =
                    stage->kernel.value[order[i] / stage->expand.n];
                ret[i].expand[g][b] =
                    stage->expand.value[order[i] % stage->expand.n];
            }
        }
    }
    return n;
}

typedef int (*draw_fn)(const struct sn_sampler *s, struct sn_rng *rng,
                       struct sn_arch *ret);
static const draw_fn draw_table[] = {
    [SN_SAMPLE_LARGEST] = draw_largest,   [SN_SAMPLE_PATHS] = draw_paths,
    [SN_SAMPLE_SANDWICH] = draw_sandwich, [SN_SAMPLE_COUPLED] = draw_coupled,
    [SN_SAMPLE_FAIR] = draw_fair,         [SN_SAMPLE_FIXED] = draw_fixed,
};

int sn_sampler_draw(const struct sn_sampler *s, uint64_t seed, uint64_t step,
                    struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_PATH, step);
    return draw_table[s->kind](s, &rng, ret);
}
