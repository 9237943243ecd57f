#include "engine/search/bands.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/pool.h"
#include "engine/space/plan.h"

/* The odds between the two ends of a list are at most exp(this). */
#define MAX_TILT 3.0

double sn_target_macs(const struct sn_target *target,
                      const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(target->space, arch, target->in_channels, target->classes,
                 &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

bool sn_veto_holds(const struct sn_veto *veto, const struct sn_arch *arch)
{
    for (uint32_t i = 0; i < veto->n; i++)
        if (sn_arch_equal(&veto->arch[i], arch))
            return true;
    return false;
}

void sn_bands_init(struct sn_bands *bands, const struct sn_target *target,
                   uint32_t n)
{
    struct sn_arch arch;
    bands->n = n < 1 ? 1 : n > SN_MAX_BANDS ? SN_MAX_BANDS : n;
    sn_arch_smallest(target->space, &arch);
    bands->lo = sn_target_macs(target, &arch);
    sn_arch_largest(target->space, &arch);
    bands->hi = sn_target_macs(target, &arch);
}

uint32_t sn_bands_index(const struct sn_bands *bands, double macs)
{
    if (macs <= bands->lo)
        return 0;
    double at = log(macs / bands->lo) / log(bands->hi / bands->lo) * bands->n;
    return at < bands->n ? (uint32_t)at : bands->n - 1;
}

double sn_bands_edge(const struct sn_bands *bands, uint32_t i)
{
    if (i == 0 || i >= bands->n) /* not a bit off */
        return i == 0 ? bands->lo : bands->hi;
    return bands->lo * pow(bands->hi / bands->lo, (double)i / bands->n);
}

/* One of n, of which the i-th has the weight exp(tilt * i / (n - 1)); nothing
 * is drawn where there is one. */
static uint8_t index_tilted(int n, double tilt, struct sn_rng *rng)
{
    enum { MOST = SN_MAX_RESOLUTIONS };
    double sum = 0, weight[MOST];
    if (n == 1)
        return 0;
    for (int i = 0; i < n; i++)
        sum += weight[i] = exp(tilt * i / (n - 1));
    double at = sn_rng_uniform(rng) * sum;
    int i = 0;
    for (; i < n - 1 && at >= weight[i]; i++)
        at -= weight[i];
    return (uint8_t)i;
}

static uint8_t draw_tilted(const struct sn_choices *list, double tilt,
                           struct sn_rng *rng)
{
    return list->value[index_tilted(list->n, tilt, rng)];
}

void sn_arch_sample_tilted(const struct sn_space *space, struct sn_rng *rng,
                           struct sn_arch *ret)
{
    double tilt = (2 * sn_rng_uniform(rng) - 1) * MAX_TILT;
    memset(ret, 0, sizeof *ret);
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        ret->depth[s] = draw_tilted(&stage->depth, tilt, rng);
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = draw_tilted(&stage->kernel, tilt, rng);
            ret->expand[s][b] = draw_tilted(&stage->expand, tilt, rng);
        }
    }
    for (int w = 0;
         space->n_width_ratios > 0 && w < SN_STEM_WIDTHS + space->n_stages; w++)
        ret->width[w] = index_tilted(space->n_width_ratios, tilt, rng);
    ret->stem = space->family == SN_FAMILY_RESNET;
    if (space->elastic_stem)
        ret->stem = index_tilted(2, tilt, rng);
    ret->resolution =
        space->resolutions[index_tilted(space->n_resolutions, tilt, rng)];
}

/* Takes the ends, then from each band in turn its next candidate, until n. */
static void take_in_turn(const struct sn_pool *pool,
                         const struct sn_bands *bands, uint32_t n,
                         struct sn_arch *ret)
{
    uint32_t next[SN_MAX_BANDS]; /* where to look for a band's next one */
    uint32_t taken = 0;
    for (uint32_t b = 0; b < bands->n; b++)
        next[b] = pool->ends;
    for (; taken < pool->ends; taken++)
        ret[taken] = pool->arch[taken];
    for (uint32_t b = 0; taken < n; b = (b + 1) % bands->n) {
        uint32_t i = next[b];
        while (i < pool->n && sn_bands_index(bands, pool->macs[i]) != b)
            i++;
        next[b] = i + 1;
        if (i < pool->n)
            ret[taken++] = pool->arch[i];
        else
            next[b] = pool->n; /* used up */
    }
}

enum sn_err sn_probes_draw(const struct sn_probe_params *params,
                           struct sn_arch *ret, struct sn_error *err)
{
    struct sn_bands bands;
    struct sn_pool pool;
    if (params->n < 2 || params->n > 1u << 20)
        return sn_error_set(err, SN_ERR_RANGE, "%u probes: not from 2 to 2^20",
                            params->n);
    if (params->bands < 1 || params->bands > SN_MAX_BANDS)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%u cost bands: not from 1 to %d", params->bands,
                            SN_MAX_BANDS);
    sn_bands_init(&bands, &params->target, params->bands);
    /* enough for the rarest band to be met as often as it is needed */
    uint32_t want = 64 * params->n + 4096;
    enum sn_err rc = sn_pool_init(
        &pool, &params->target, params->within, &params->veto, want,
        sn_rng_make(params->seed, SN_STREAM_PROBE, params->round), err);
    if (rc != SN_OK)
        return rc;
    if (pool.n < params->n)
        rc = sn_error_set(err, SN_ERR_RANGE,
                          "%u probes wanted, but there are %u architectures",
                          params->n, pool.n);
    else
        take_in_turn(&pool, &bands, params->n, ret);
    sn_pool_close(&pool);
    return rc;
}
