#include "engine/run/budget.h"

#include <math.h>
#include <string.h>

#include "engine/run/filter.h"
#include "engine/run/memory.h"
#include "engine/run/single.h"
#include "engine/run/strategy.h"

/* Of the epochs, for sparsenas on a teacher: as Once-for-All's has it. */
static const double teacher_share = 180.0 / 605;

void sn_budget_make(const struct sn_spec *spec, struct sn_budget *ret)
{
    uint64_t per =
        (uint64_t)spec->train.train_limit / (uint64_t)spec->train.batch_size;
    ret->steps_per_epoch = per < 1 ? 1 : per;
    double n = (double)ret->steps_per_epoch;
    ret->total_steps = (uint64_t)llround(spec->epochs * n);
    ret->warmup_steps = ret->teacher_steps = 0;
    if (spec->strategy != SN_STRATEGY_SPARSENAS)
        return;
    ret->warmup_steps = (uint64_t)llround(spec->sparsenas.warmup_epochs * n);
    if (spec->sparsenas.trainer == SN_TRAINER_TEACHER ||
        spec->sparsenas.warmup_trainer == SN_TRAINER_TEACHER)
        ret->teacher_steps =
            (uint64_t)llround(teacher_share * (double)ret->total_steps);
}

static double macs_of(const struct sn_space *space, const struct sn_arch *arch,
                      int in_channels, int classes)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(space, arch, in_channels, classes, &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

/* Over the resolutions, of which a step draws one. */
static double mean_macs(const struct sn_space *space, struct sn_arch arch,
                        int in_channels, int classes)
{
    double sum = 0;
    for (int i = 0; i < space->n_resolutions; i++) {
        arch.resolution = space->resolutions[i];
        sum += macs_of(space, &arch, in_channels, classes);
    }
    return sum / space->n_resolutions;
}

void sn_budget_space_macs(const struct sn_space *space, int in_channels,
                          int classes, struct sn_space_macs *ret)
{
    enum { SAMPLE = 256 };
    struct sn_limits all;
    struct sn_rng rng = sn_rng_make(0, SN_STREAM_FILTER, 0);
    struct sn_arch arch;
    double sum = 0;

    sn_limits_all(space, &all);
    for (int i = 0; i < SAMPLE; i++) {
        sn_arch_sample(space, &all, &rng, &arch);
        sum += macs_of(space, &arch, in_channels, classes);
    }
    ret->mean = sum / SAMPLE;
    sn_arch_largest(space, &arch);
    ret->largest = mean_macs(space, arch, in_channels, classes);
    sn_arch_smallest(space, &arch);
    ret->smallest = mean_macs(space, arch, in_channels, classes);
}

int sn_budget_targets(const struct sn_spec *spec)
{
    const struct sn_targets *latency = &spec->search.latency_ms;
    const struct sn_targets *macs = &spec->search.macs;
    return (latency->automatic ? (int)SN_AUTO_LATENCIES : latency->n) +
           (macs->automatic ? (int)SN_AUTO_MACS : macs->n);
}

void sn_budget_job_macs(const struct sn_spec *spec,
                        const struct sn_space *space, int in_channels,
                        int classes, struct sn_space_macs *ret)
{
    struct sn_arch arch;
    if (!sn_spec_is_single(spec)) {
        sn_budget_space_macs(space, in_channels, classes, ret);
        return;
    }
    sn_single_arch(spec, space, &arch);
    ret->mean = ret->largest = ret->smallest =
        macs_of(space, &arch, in_channels, classes);
}

static double evaluation_macs(const struct sn_space_macs *macs,
                              int32_t calibration, int32_t images)
{
    return macs->mean * ((double)calibration + images);
}

void sn_budget_phase_macs(const struct sn_spec *spec,
                          const struct sn_space_macs *macs,
                          double ret[SN_PHASE_KINDS])
{
    struct sn_strategy_phases list;
    const int32_t images = sn_spec_is_single(spec)
                               ? spec->sparsenas.probe_images
                               : spec->search.images;

    memset(ret, 0, SN_PHASE_KINDS * sizeof ret[0]);
    sn_strategy_phases(spec, &list);
    for (int i = 0; i < list.n; i++) {
        const struct sn_strategy_phase *p = &list.phase[i];
        double work = 0;
        switch (p->kind) {
        case SN_PHASE_WARMUP:
        case SN_PHASE_TRAIN:
            work = (double)p->steps * spec->train.batch_size *
                   sn_strategy_image_macs(p, macs);
            break;
        case SN_PHASE_PROBE:
            work = spec->sparsenas.probes *
                   evaluation_macs(macs, spec->sparsenas.probe_calibration,
                                   spec->sparsenas.probe_images);
            break;
        case SN_PHASE_EVALUATE:
            work = (spec->search.evaluations + spec->sparsenas.recheck) *
                   evaluation_macs(macs, spec->search.calibration, images);
            break;
        case SN_PHASE_SEARCH:
            /* winners verified on the hold-out and the test images */
            work =
                (sn_spec_is_single(spec) ? 1 : 5.0 * sn_budget_targets(spec)) *
                evaluation_macs(macs, spec->search.calibration, images);
            break;
        default:
            break;
        }
        ret[p->kind] += work;
    }
}

static int32_t clamp_count(double n, int32_t lo, int32_t hi)
{
    return n < lo ? lo : n > hi ? hi : (int32_t)n;
}

void sn_budget_resolve_counts(struct sn_spec *spec,
                              const struct sn_space *space,
                              const struct sn_dataset_info *data)
{
    struct sn_space_macs macs;
    double phase[SN_PHASE_KINDS];

    if (sn_spec_is_single(spec)) { /* before and after */
        spec->sparsenas.probes = spec->strategy == SN_STRATEGY_FINETUNE;
        spec->search.evaluations = 1;
        return;
    }
    sn_budget_space_macs(space, data->channels, data->classes, &macs);
    sn_budget_phase_macs(spec, &macs, phase);
    double tenth = 0.1 * (phase[SN_PHASE_WARMUP] + phase[SN_PHASE_TRAIN]);
    if (!sn_spec_trains(spec)) { /* measuring is all that it does */
        double count = sn_space_count(space, SN_COUPLING_NONE);
        if (spec->sparsenas.probes == 0)
            spec->sparsenas.probes = clamp_count(count, 1, 100);
        if (spec->search.evaluations == 0)
            spec->search.evaluations = clamp_count(count, 1, 50);
        return;
    }
    if (spec->sparsenas.probes == 0)
        spec->sparsenas.probes = clamp_count(
            tenth / evaluation_macs(&macs, spec->sparsenas.probe_calibration,
                                    spec->sparsenas.probe_images),
            40, 150);
    if (spec->search.evaluations == 0)
        spec->search.evaluations =
            clamp_count(tenth / evaluation_macs(&macs, spec->search.calibration,
                                                spec->search.images),
                        20, 100);
}

int32_t sn_budget_probes(const struct sn_spec *spec,
                         const struct sn_space *space,
                         const struct sn_dataset_info *data, uint32_t retries)
{
    struct sn_space_macs macs;
    double phase[SN_PHASE_KINDS];
    int32_t n = spec->sparsenas.probes;
    if (retries == 0)
        return n;
    sn_budget_space_macs(space, data->channels, data->classes, &macs);
    sn_budget_phase_macs(spec, &macs, phase);
    double room = 0.1 * (phase[SN_PHASE_WARMUP] + phase[SN_PHASE_TRAIN]) /
                  evaluation_macs(&macs, spec->sparsenas.probe_calibration,
                                  spec->sparsenas.probe_images);
    double most = fmin(room, sn_filter_open_count(spec, space));
    double want = n * pow(1.5, retries);
    return want <= most ? (int32_t)want : most > n ? (int32_t)most : n;
}

/* Multiply-accumulates a second of a worker, over a whole job: as the demo has
 * it on a core with AVX-512. Other machines differ; the ETA of a running job
 * goes by what it measures. */
static const double worker_rate = 32e9;

enum sn_err sn_spec_forecast(const struct sn_spec *spec,
                             const struct sn_dataset_info *data,
                             struct sn_forecast *ret, struct sn_error *err)
{
    const struct sn_space *space = sn_spec_space(spec);
    struct sn_space_macs macs;
    double phase[SN_PHASE_KINDS];
    struct sn_arch arch;
    struct sn_plan plan;
    struct sn_cost cost;
    enum sn_err rc;

    if (space == NULL)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/space",
                           "there is no space '%s'", spec->space);
    sn_budget_job_macs(spec, space, data->channels, data->classes, &macs);
    sn_budget_phase_macs(spec, &macs, phase);
    ret->macs = 0;
    for (int i = 0; i < SN_PHASE_KINDS; i++) {
        ret->macs += phase[i];
        ret->phase_macs[i] = phase[i];
    }
    ret->images = spec->epochs * spec->train.train_limit;
    if (!sn_spec_trains(spec))
        ret->images = ret->macs / macs.mean;

    rc = sn_memory_forecast(spec, space, data, &ret->memory_bytes,
                            &ret->memory_field, err);
    if (rc != SN_OK)
        return rc;
    sn_arch_largest(space, &arch);
    sn_plan_make(space, &arch, data->channels, data->classes, &plan);
    sn_plan_cost(&plan, &cost);
    /* two checkpoints with momentum, and the supernet that is left */
    ret->disk_bytes = 5 * 4.0 * cost.params + 3 * 65536 + 2e6;
    ret->seconds = ret->macs / (worker_rate * spec->train.workers) + 5;
    return SN_OK;
}
