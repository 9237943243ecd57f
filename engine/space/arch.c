/* Architectures: ends of a space, sampling, coupling, mutation, crossover,
 * validity and the one-hot encoding. */
#include "engine/space/space.h"

#include <assert.h>
#include <math.h>
#include <string.h>

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

static int widths_of(const struct sn_space *space)
{
    return space->n_width_ratios > 0 ? SN_STEM_WIDTHS + space->n_stages : 0;
}

/* Fills every block that counts with one end of each list. */
static void arch_end(const struct sn_space *space, bool largest,
                     struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->resolution = largest ? space->resolution : space->resolutions[0];
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
    for (int w = 0; largest && w < widths_of(space); w++)
        ret->width[w] = space->n_width_ratios - 1;
    ret->stem =
        space->family == SN_FAMILY_RESNET && (largest || !space->elastic_stem);
    if (space->always_coupled)
        sn_arch_couple(space, ret);
}

void sn_arch_largest(const struct sn_space *space, struct sn_arch *ret)
{
    arch_end(space, true, ret);
}

void sn_arch_smallest(const struct sn_space *space, struct sn_arch *ret)
{
    arch_end(space, false, ret);
}

/* What a block of a stage can be where its depth is the d-th choice. */
static uint32_t kernels_of(const struct sn_stage *stage, bool coupled)
{
    return coupled && stage->coupled.kernel != 0 ? 1 : stage->kernel.n;
}

static uint32_t expands_of(const struct sn_stage *stage, int d, bool coupled)
{
    return coupled && stage->coupled.expand[d] != 0 ? 1 : stage->expand.n;
}

static double stage_count(const struct sn_stage *stage, bool coupled)
{
    double sum = 0;
    for (int d = 0; d < stage->depth.n; d++)
        sum += pow((double)kernels_of(stage, coupled) *
                       expands_of(stage, d, coupled),
                   stage->depth.value[d]);
    return sum;
}

double sn_space_count(const struct sn_space *space, enum sn_coupling coupling)
{
    bool asked = coupling == SN_COUPLING_COMPOFA;
    double count = asked ? 1 : space->n_resolutions;
    for (int s = 0; s < space->n_stages; s++)
        count *= stage_count(&space->stage[s], asked || space->always_coupled);
    if (space->n_width_ratios > 0)
        count *= pow(space->n_width_ratios, widths_of(space));
    return space->elastic_stem ? 2 * count : count;
}

bool sn_space_has_resolution(const struct sn_space *space, int resolution)
{
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == resolution)
            return true;
    return false;
}

/* The next digit of *i, of `n` values. */
static uint32_t digit_of(uint64_t *i, uint64_t n)
{
    uint32_t digit = (uint32_t)(*i % n);
    *i /= n;
    return digit;
}

/* A stage's digit counts its depths' block choices, all of the first depth
 * before all of the next. */
static void stage_at(const struct sn_stage *stage, bool coupled, uint64_t digit,
                     int s, struct sn_arch *ret)
{
    int d = 0;
    for (;; d++) {
        uint64_t of_depth = 1;
        for (int b = 0; b < stage->depth.value[d]; b++)
            of_depth *= (uint64_t)kernels_of(stage, coupled) *
                        expands_of(stage, d, coupled);
        if (digit < of_depth || d == stage->depth.n - 1)
            break;
        digit -= of_depth;
    }
    ret->depth[s] = stage->depth.value[d];
    for (int b = 0; b < ret->depth[s]; b++) {
        uint32_t k = digit_of(&digit, kernels_of(stage, coupled));
        uint32_t e = digit_of(&digit, expands_of(stage, d, coupled));
        ret->kernel[s][b] = stage->kernel.value[k];
        ret->expand[s][b] = stage->expand.value[e];
    }
}

/* i in mixed radix: stages, widths, the stem, the resolution. */
static void arch_at(const struct sn_space *space, bool coupled, uint64_t i,
                    struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    for (int s = 0; s < space->n_stages; s++) {
        uint64_t n = (uint64_t)stage_count(&space->stage[s], coupled);
        stage_at(&space->stage[s], coupled, i % n, s, ret);
        i /= n;
    }
    for (int w = 0; w < widths_of(space); w++)
        ret->width[w] = (uint8_t)digit_of(&i, space->n_width_ratios);
    ret->stem = space->family == SN_FAMILY_RESNET;
    if (space->elastic_stem)
        ret->stem = (uint8_t)digit_of(&i, 2);
    ret->resolution = space->resolutions[i % space->n_resolutions];
    if (coupled)
        sn_arch_couple(space, ret);
}

void sn_arch_at(const struct sn_space *space, uint64_t i, struct sn_arch *ret)
{
    arch_at(space, space->always_coupled, i, ret);
}

void sn_arch_coupled(const struct sn_space *space, uint64_t i,
                     struct sn_arch *ret)
{
    arch_at(space, true, i, ret);
    ret->resolution = space->resolution;
}

void sn_arch_couple(const struct sn_space *space, struct sn_arch *arch)
{
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        int d = 0;
        while (d < stage->depth.n - 1 &&
               stage->depth.value[d] != arch->depth[s])
            d++;
        for (int b = 0; b < arch->depth[s]; b++) {
            if (stage->coupled.kernel != 0)
                arch->kernel[s][b] = stage->coupled.kernel;
            if (stage->coupled.expand[d] != 0)
                arch->expand[s][b] = stage->coupled.expand[d];
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

/* The choices that are not a stage's; nothing is drawn where there is one. */
static void draw_whole(const struct sn_space *space, bool widest,
                       struct sn_rng *rng, struct sn_arch *ret)
{
    for (int w = 0; w < widths_of(space); w++)
        ret->width[w] = widest
                            ? space->n_width_ratios - 1
                            : (uint8_t)sn_rng_below(rng, space->n_width_ratios);
    ret->stem = space->family == SN_FAMILY_RESNET;
    if (space->elastic_stem && !widest)
        ret->stem = (uint8_t)sn_rng_below(rng, 2);
}

static uint16_t draw_resolution(const struct sn_space *space,
                                struct sn_rng *rng)
{
    return space->n_resolutions == 1
               ? space->resolution
               : space->resolutions[sn_rng_below(rng, space->n_resolutions)];
}

void sn_arch_sample(const struct sn_space *space,
                    const struct sn_limits *limits, struct sn_rng *rng,
                    struct sn_arch *ret)
{
    memset(ret, 0, sizeof *ret);
    for (int s = 0; s < space->n_stages; s++) {
        ret->depth[s] = draw(&limits->depth[s], rng);
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = draw(&limits->kernel[s], rng);
            ret->expand[s][b] = draw(&limits->expand[s], rng);
        }
    }
    draw_whole(space, limits->widest, rng, ret);
    ret->resolution = limits->resolution != 0 ? limits->resolution
                                              : draw_resolution(space, rng);
    if (space->always_coupled)
        sn_arch_couple(space, ret);
}

/* The choices that are not a stage's, each with probability p. */
static void mutate_whole(const struct sn_space *space, double p,
                         struct sn_rng *rng, struct sn_arch *arch)
{
    for (int w = 0; w < widths_of(space); w++)
        if (sn_rng_uniform(rng) < p)
            arch->width[w] = (uint8_t)sn_rng_below(rng, space->n_width_ratios);
    if (space->elastic_stem && sn_rng_uniform(rng) < p)
        arch->stem = (uint8_t)sn_rng_below(rng, 2);
    if (space->n_resolutions > 1 && sn_rng_uniform(rng) < p)
        arch->resolution = draw_resolution(space, rng);
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
    mutate_whole(space, p, rng, arch);
    if (space->always_coupled)
        sn_arch_couple(space, arch);
    sn_arch_normalise(space, arch);
}

void sn_arch_crossover(const struct sn_space *space, const struct sn_arch *a,
                       const struct sn_arch *b, struct sn_rng *rng,
                       struct sn_arch *ret)
{
    const struct sn_arch *parent[2] = {a, b};
    struct sn_arch child = {.resolution = a->resolution, .stem = a->stem};
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
    for (int w = 0; w < widths_of(space); w++)
        child.width[w] = parent[sn_rng_below(rng, 2)]->width[w];
    if (space->elastic_stem)
        child.stem = parent[sn_rng_below(rng, 2)]->stem;
    if (space->n_resolutions > 1)
        child.resolution = parent[sn_rng_below(rng, 2)]->resolution;
    if (space->always_coupled)
        sn_arch_couple(space, &child);
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
    for (int w = widths_of(space); w < SN_STEM_WIDTHS + SN_MAX_STAGES; w++)
        arch->width[w] = 0;
    if (space->family != SN_FAMILY_RESNET)
        arch->stem = 0;
}

bool sn_arch_equal(const struct sn_arch *a, const struct sn_arch *b)
{
    return a->resolution == b->resolution &&
           memcmp(a->depth, b->depth, sizeof a->depth) == 0 &&
           memcmp(a->kernel, b->kernel, sizeof a->kernel) == 0 &&
           memcmp(a->expand, b->expand, sizeof a->expand) == 0 &&
           memcmp(a->width, b->width, sizeof a->width) == 0 &&
           a->stem == b->stem;
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

static enum sn_err check_whole(const struct sn_space *space,
                               const struct sn_arch *arch, struct sn_error *err)
{
    int least = space->family == SN_FAMILY_RESNET && !space->elastic_stem;
    for (int w = 0; w < widths_of(space); w++)
        if (arch->width[w] >= space->n_width_ratios)
            return sn_error_set(err, SN_ERR_INVALID, "width %d: no choice %d",
                                w, arch->width[w]);
    if (space->family == SN_FAMILY_RESNET &&
        (arch->stem > 1 || arch->stem < least))
        return sn_error_set(err, SN_ERR_INVALID, "the stem has no choice %d",
                            arch->stem);
    return SN_OK;
}

enum sn_err sn_arch_check(const struct sn_space *space,
                          const struct sn_arch *arch, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    if (!sn_space_has_resolution(space, arch->resolution))
        return sn_error_set(
            err, SN_ERR_INVALID, "space %s has no resolution %d%s", space->name,
            arch->resolution, space->n_resolutions > 1 ? " in its list" : "");
    for (int s = 0; s < space->n_stages && rc == SN_OK; s++)
        rc = check_stage(&space->stage[s], s, arch, err);
    if (rc == SN_OK)
        rc = check_whole(space, arch, err);
    if (rc != SN_OK)
        return rc;
    struct sn_arch normal = *arch;
    sn_arch_normalise(space, &normal);
    if (!sn_arch_equal(&normal, arch))
        return sn_error_set(err, SN_ERR_INVALID,
                            "values beyond the depth of a stage");
    if (space->always_coupled)
        sn_arch_couple(space, &normal);
    if (!sn_arch_equal(&normal, arch))
        return sn_error_set(err, SN_ERR_INVALID,
                            "kernels or expands that the depths do not allow "
                            "by the coupling of space %s",
                            space->name);
    return SN_OK;
}

size_t sn_arch_encoding_size(const struct sn_space *space)
{
    size_t n = (size_t)widths_of(space) * space->n_width_ratios;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        n += (size_t)deepest(stage) * (stage->kernel.n + stage->expand.n);
    }
    n += space->elastic_stem ? 1 : 0;
    return n + (space->n_resolutions > 1 ? space->n_resolutions + 1u : 0);
}

/* Writes one choice as 0/1 over its list; returns where the next one goes. */
static float *put_choice(float *at, const struct sn_choices *list, int value)
{
    for (int i = 0; i < list->n; i++)
        *at++ = list->value[i] == value ? 1.0f : 0.0f;
    return at;
}

static void put_resolution(float *at, const struct sn_space *space,
                           const struct sn_arch *arch)
{
    double least = space->resolutions[0];
    for (int i = 0; i < space->n_resolutions; i++)
        *at++ = space->resolutions[i] == arch->resolution ? 1.0f : 0.0f;
    *at = (float)((arch->resolution - least) / (space->resolution - least));
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
    for (int w = 0; w < widths_of(space); w++)
        for (int i = 0; i < space->n_width_ratios; i++)
            *ret++ = arch->width[w] == i ? 1.0f : 0.0f;
    if (space->elastic_stem)
        *ret++ = arch->stem;
    if (space->n_resolutions > 1)
        put_resolution(ret, space, arch);
}
