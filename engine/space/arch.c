/* Architectures: ends of a space, sampling, coupling, mutation, crossover,
 * validity and the one-hot encoding. */
#include "engine/space/space.h"

#include <assert.h>
#include <string.h>

/* CompOFA's kernels by stage; the first five are the published ones. */
static const uint8_t coupled_kernel[SN_MAX_STAGES] = {3, 5, 3, 3, 5, 3, 3, 5};

static bool holds(const struct sn_choices *list, int value)
{
    for (int i = 0; i < list->n; i++)
        if (list->value[i] == value)
            return true;
    return false;
}

static uint8_t draw(const struct sn_choices *list, struct sn_rng *rng)
{
    assert(list->n >= 1 && list->n <= SN_MAX_CHOICES);
    return list->value[sn_rng_below(rng, list->n)];
}

static int deepest(const struct sn_stage *stage)
{
    return stage->depth.value[stage->depth.n - 1];
}

/* Fills every block that counts with one end of each list. */
static void arch_end(const struct sn_space *space, bool largest,
                     struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->resolution = space->resolution;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        ret->depth[s] = stage->depth.value[largest ? stage->depth.n - 1 : 0];
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] =
                stage->kernel.value[largest ? stage->kernel.n - 1 : 0];
            ret->expand[s][b] =
                stage->expand.value[largest ? stage->expand.n - 1 : 0];
        }
    }
}

void sn_arch_largest(const struct sn_space *space, struct sn_arch *ret)
{
    arch_end(space, true, ret);
}

void sn_arch_smallest(const struct sn_space *space, struct sn_arch *ret)
{
    arch_end(space, false, ret);
}

/* i in mixed radix: a stage's digit counts its depths' block choices, all of
 * the first depth before all of the next. */
void sn_arch_at(const struct sn_space *space, uint64_t i, struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->resolution = space->resolution;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        uint64_t of_depth[SN_MAX_CHOICES], of_stage = 0;
        for (int d = 0; d < stage->depth.n; d++) {
            of_depth[d] = 1;
            for (int b = 0; b < stage->depth.value[d]; b++)
                of_depth[d] *= (uint64_t)stage->kernel.n * stage->expand.n;
            of_stage += of_depth[d];
        }
        uint64_t digit = i % of_stage;
        i /= of_stage;
        int d = 0;
        for (; digit >= of_depth[d]; d++)
            digit -= of_depth[d];
        ret->depth[s] = stage->depth.value[d];
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = stage->kernel.value[digit % stage->kernel.n];
            digit /= stage->kernel.n;
            ret->expand[s][b] = stage->expand.value[digit % stage->expand.n];
            digit /= stage->expand.n;
        }
    }
}

void sn_limits_all(const struct sn_space *space, struct sn_limits *ret)
{
    memset(ret, 0, sizeof *ret);
    for (int s = 0; s < space->n_stages; s++) {
        ret->depth[s] = space->stage[s].depth;
        ret->kernel[s] = space->stage[s].kernel;
        ret->expand[s] = space->stage[s].expand;
    }
}

void sn_arch_sample(const struct sn_space *space,
                    const struct sn_limits *limits, struct sn_rng *rng,
                    struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->resolution = space->resolution;
    for (int s = 0; s < space->n_stages; s++) {
        ret->depth[s] = draw(&limits->depth[s], rng);
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = draw(&limits->kernel[s], rng);
            ret->expand[s][b] = draw(&limits->expand[s], rng);
        }
    }
}

/* The wanted kernel, or where the list lacks it the next smaller one. */
static uint8_t nearest_kernel(const struct sn_choices *list, uint8_t wanted)
{
    uint8_t best = list->value[0];
    for (int i = 0; i < list->n; i++)
        if (list->value[i] <= wanted)
            best = list->value[i];
    return best;
}

void sn_arch_coupled(const struct sn_space *space, uint32_t i,
                     struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->resolution = space->resolution;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        uint32_t d = i % stage->depth.n;
        uint32_t e = d < stage->expand.n ? d : stage->expand.n - 1u;
        i /= stage->depth.n;
        ret->depth[s] = stage->depth.value[d];
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] =
                nearest_kernel(&stage->kernel, coupled_kernel[s]);
            ret->expand[s][b] = stage->expand.value[e];
        }
    }
}

void sn_arch_mutate(const struct sn_space *space, double p, struct sn_rng *rng,
                    struct sn_arch *arch)
{
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        int before = arch->depth[s];
        if (sn_rng_uniform(rng) < p)
            arch->depth[s] = draw(&stage->depth, rng);
        for (int b = 0; b < arch->depth[s]; b++) {
            /* a block that the new depth brings in has nothing to keep */
            if (b < before && sn_rng_uniform(rng) >= p)
                continue;
            arch->kernel[s][b] = draw(&stage->kernel, rng);
            arch->expand[s][b] = draw(&stage->expand, rng);
        }
    }
    sn_arch_normalise(space, arch);
}

void sn_arch_crossover(const struct sn_space *space, const struct sn_arch *a,
                       const struct sn_arch *b, struct sn_rng *rng,
                       struct sn_arch *ret)
{
    const struct sn_arch *parent[2] = {a, b};
    struct sn_arch child = {.resolution = space->resolution};
    for (int s = 0; s < space->n_stages; s++) {
        child.depth[s] = parent[sn_rng_below(rng, 2)]->depth[s];
        for (int i = 0; i < child.depth[s]; i++) {
            uint32_t k = sn_rng_below(rng, 2), e = sn_rng_below(rng, 2);
            if (i >= a->depth[s] || i >= b->depth[s]) /* one has this block */
                k = e = i >= a->depth[s];
            child.kernel[s][i] = parent[k]->kernel[s][i];
            child.expand[s][i] = parent[e]->expand[s][i];
        }
    }
    *ret = child;
}

void sn_arch_normalise(const struct sn_space *space, struct sn_arch *arch)
{
    for (int s = 0; s < SN_MAX_STAGES; s++) {
        if (s >= space->n_stages)
            arch->depth[s] = 0;
        for (int b = arch->depth[s]; b < SN_MAX_DEPTH; b++)
            arch->kernel[s][b] = arch->expand[s][b] = 0;
    }
}

bool sn_arch_equal(const struct sn_arch *a, const struct sn_arch *b)
{
    return a->resolution == b->resolution &&
           memcmp(a->depth, b->depth, sizeof a->depth) == 0 &&
           memcmp(a->kernel, b->kernel, sizeof a->kernel) == 0 &&
           memcmp(a->expand, b->expand, sizeof a->expand) == 0;
}

static enum sn_err check_stage(const struct sn_stage *stage, int s,
                               const struct sn_arch *arch, struct sn_error *err)
{
    if (!holds(&stage->depth, arch->depth[s]))
        return sn_error_set(err, SN_ERR_INVALID,
                            "stage %d cannot have %d blocks", s,
                            arch->depth[s]);
    for (int b = 0; b < arch->depth[s]; b++) {
        if (!holds(&stage->kernel, arch->kernel[s][b]))
            return sn_error_set(err, SN_ERR_INVALID,
                                "stage %d, block %d: no kernel %d", s, b,
                                arch->kernel[s][b]);
        if (!holds(&stage->expand, arch->expand[s][b]))
            return sn_error_set(err, SN_ERR_INVALID,
                                "stage %d, block %d: no expand %d", s, b,
                                arch->expand[s][b]);
    }
    return SN_OK;
}

enum sn_err sn_arch_check(const struct sn_space *space,
                          const struct sn_arch *arch, struct sn_error *err)
{
    if (arch->resolution != space->resolution)
        return sn_error_set(err, SN_ERR_INVALID,
                            "space %s has resolution %d, not %d", space->name,
                            space->resolution, arch->resolution);
    for (int s = 0; s < space->n_stages; s++) {
        enum sn_err rc = check_stage(&space->stage[s], s, arch, err);
        if (rc != SN_OK)
            return rc;
    }
    struct sn_arch normal = *arch;
    sn_arch_normalise(space, &normal);
    if (!sn_arch_equal(&normal, arch))
        return sn_error_set(err, SN_ERR_INVALID,
                            "values beyond the depth of a stage");
    return SN_OK;
}

size_t sn_arch_encoding_size(const struct sn_space *space)
{
    size_t n = 0;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        n += (size_t)deepest(stage) * (stage->kernel.n + stage->expand.n);
    }
    return n;
}

/* Writes one choice as 0/1 over its list; returns where the next one goes. */
static float *put_choice(float *at, const struct sn_choices *list, int value)
{
    for (int i = 0; i < list->n; i++)
        *at++ = list->value[i] == value ? 1.0f : 0.0f;
    return at;
}

void sn_arch_one_hot(const struct sn_space *space, const struct sn_arch *arch,
                     float *ret)
{
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        for (int b = 0; b < deepest(stage); b++) {
            ret = put_choice(ret, &stage->kernel, arch->kernel[s][b]);
            ret = put_choice(ret, &stage->expand, arch->expand[s][b]);
        }
    }
}
