/* probe, filter: what is measured early, and what is kept for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/job.h"

struct sn_veto sn_job_veto(const struct sn_job *job)
{
    return (struct sn_veto){job->veto, job->n_veto};
}

/* ---- measuring a list ---- */

static void take_result(struct sn_job *job,
                        const struct sn_evaluate_settings *settings,
                        const struct sn_evaluate_result *r,
                        struct sn_measured *m)
{
    memcpy(m->halves.correct, r->half_correct, sizeof r->half_correct);
    memcpy(m->halves.images, r->half_images, sizeof r->half_images);
    sn_job_spend(job, r->images + settings->calibration, r->macs);
}

static void report_group(struct sn_job *job,
                         const struct sn_evaluate_result *results,
                         const struct sn_evaluate_settings *settings,
                         enum sn_stage_kind stage, struct sn_measured *list,
                         uint32_t n)
{
    struct sn_evaluation e;
    for (uint32_t i = 0; i < n; i++) {
        take_result(job, settings, &results[i], &list[i]);
        sn_job_evaluation(job, &list[i], stage, settings->split, &e);
        sn_job_report_evaluation(job, &e);
    }
}

/* All are distinct, so the order is one. */
static int by_resolution(const void *a, const void *b)
{
    const struct sn_arch *x = a, *y = b;
    if (x->resolution != y->resolution)
        return x->resolution < y->resolution ? -1 : 1;
    return memcmp(x, y, sizeof *x);
}

void sn_job_order(const struct sn_job *job, void *list, uint32_t n, size_t size)
{
    if (job->space->n_resolutions > 1)
        qsort(list, n, size, by_resolution);
}

enum sn_err sn_job_measure(struct sn_job *job,
                           const struct sn_evaluate_settings *settings,
                           enum sn_stage_kind stage, struct sn_measured *list,
                           uint32_t n, uint32_t *n_done, struct sn_error *err)
{
    enum { GROUP = 64 };
    struct sn_evaluate_result result[GROUP];
    struct sn_arch arch[GROUP];
    uint32_t group = 2 * (uint32_t)sn_pool_workers(job->pool);

    if (group > GROUP)
        group = GROUP;
    while (*n_done < n) {
        if (sn_job_stopping(job))
            return SN_ERR_STOPPED;
        uint32_t k = n - *n_done < group ? n - *n_done : group;
        for (uint32_t i = 0; i < k; i++)
            arch[i] = list[*n_done + i].arch;
        enum sn_err rc =
            sn_evaluate(job->evaluator, settings, arch, k, result, err);
        if (rc != SN_OK)
            return rc;
        report_group(job, result, settings, stage, list + *n_done, k);
        *n_done += k;
        job->phase_done = job->list_from + job->list_share * *n_done / n;
        sn_job_progress(job, false);
    }
    return SN_OK;
}

enum sn_err sn_job_count(struct sn_job *job,
                         const struct sn_evaluate_settings *settings,
                         struct sn_measured *m, struct sn_error *err)
{
    struct sn_evaluate_result r;
    enum sn_err rc =
        sn_evaluate(job->evaluator, settings, &m->arch, 1, &r, err);
    if (rc == SN_OK)
        take_result(job, settings, &r, m);
    return rc;
}

/* ---- probe ---- */

/* More after every filter that was not trusted; no more than a sub-space has.
 */
uint32_t sn_job_probes(const struct sn_job *job)
{
    const struct sn_subspace *sub = job->state.subspace;
    uint32_t n = (uint32_t)sn_budget_probes(job->spec, job->space, &job->info,
                                            job->state.n_retries);
    return sub != NULL && n > sub->n ? sub->n : n;
}

static enum sn_err draw_probes(struct sn_job *job, struct sn_error *err)
{
    uint32_t n = sn_job_probes(job);
    struct sn_probe_params params = {
        .target = job->target,
        .n = n,
        .bands = job->bands.n,
        .within = job->state.subspace,
        .veto = sn_job_veto(job),
        .seed = (uint64_t)job->spec->seed,
        .round = job->state.phase,
    };
    struct sn_arch *arch = calloc(n, sizeof arch[0]);
    if (arch == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for probes");
    enum sn_err rc = sn_probes_draw(&params, arch, err);
    if (rc == SN_OK)
        sn_job_order(job, arch, n, sizeof arch[0]);
    for (uint32_t i = job->state.n_probes; rc == SN_OK && i < n; i++)
        job->state.probe[i].arch = arch[i];
    free(arch);
    return rc;
}

static enum sn_err early_fronts(struct sn_job *job, struct sn_error *err)
{
    uint32_t n = job->state.n_probes;
    struct sn_evaluation *items = calloc(n, sizeof items[0]);
    if (items == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a front");
    for (uint32_t i = 0; i < n; i++)
        sn_job_evaluation(job, &job->state.probe[i], SN_STAGE_EARLY,
                          SN_SPLIT_HOLDOUT, &items[i]);
    enum sn_err rc = sn_job_report_fronts(job, items, n, err);
    free(items);
    return rc;
}

enum sn_err sn_phase_probe(struct sn_job *job, struct sn_error *err)
{
    struct sn_evaluate_settings settings = {
        .calibration = (uint32_t)job->spec->sparsenas.probe_calibration,
        .split = SN_SPLIT_HOLDOUT,
        .count = (uint32_t)job->spec->sparsenas.probe_images,
    };
    enum sn_err rc = draw_probes(job, err);
    if (rc == SN_OK)
        rc = sn_job_measure(job, &settings, SN_STAGE_EARLY, job->state.probe,
                            sn_job_probes(job), &job->state.n_probes, err);
    return rc != SN_OK ? rc : early_fronts(job, err);
}

/* ---- filter ---- */

static void report_subspace(const struct sn_job *job)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    const struct sn_subspace *sub = job->state.subspace;
    struct sn_band_report band[SN_MAX_BANDS];
    double count = sn_space_count(job->space, SN_COUPLING_NONE);

    for (uint32_t i = 0; i < sub->n_bands; i++)
        band[i] = (struct sn_band_report){
            sub->band[i].macs_lo, sub->band[i].macs_hi, sub->band[i].threshold,
            sub->band[i].scored, sub->band[i].kept};
    struct sn_subspace_report report = {
        .step = job->state.step,
        .filter = (enum sn_keep)job->spec->sparsenas.filter,
        .scored = sub->scored,
        .size = sub->n,
        .space_size = count,
        .density = sub->n / count,
        .n_bands = sub->n_bands,
        .bands = band,
        .members = sub->arch,
        .scores = sub->score,
    };
    if (cb->subspace != NULL)
        cb->subspace(cb->arg, &report);
    sn_job_log(job, SN_LOG_INFO,
               "the%s filter kept %u of %u scored architectures (of %.3g)",
               report.filter == SN_KEEP_RANDOM ? " random" : "", sub->n,
               sub->scored, count);
}

void sn_job_filter_params(const struct sn_job *job,
                          struct sn_filter_params *ret)
{
    const struct sn_job_state *s = &job->state;
    *ret = (struct sn_filter_params){
        .target = job->target,
        .predictor = s->predictor,
        .draws = SN_FILTER_DRAWS,
        .bands = job->bands.n,
        .within = s->subspace,
        .veto = sn_job_veto(job),
        .seed = (uint64_t)job->spec->seed,
    };
}

/* Each round keeps less: half the number, or the share of the last round's. */
static uint32_t size_of_round(const struct sn_job *job, int round)
{
    const struct sn_subspace *last = job->state.subspace;
    uint32_t size = (uint32_t)job->spec->sparsenas.subspace_size;
    for (int r = 0; r < round && size > 4; r++)
        size /= 2;
    return last != NULL && size > last->n ? last->n : size;
}

enum sn_err sn_phase_filter(struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    int32_t filter = job->spec->sparsenas.filter;
    int round = job->phases.phase[s->phase].round;
    struct sn_subspace *kept = NULL;

    if (s->filter_trusted && filter == SN_KEEP_NONE) {
        sn_job_log(job, SN_LOG_INFO,
                   "nothing is filtered, as asked: the predictor chooses what "
                   "is evaluated at the end");
    } else if (s->filter_trusted) {
        struct sn_filter_params params;
        sn_job_filter_params(job, &params);
        params.size = size_of_round(job, round);
        params.fraction = job->spec->sparsenas.keep_fraction;
        params.random = filter == SN_KEEP_RANDOM;
        params.round = (uint64_t)round;
        enum sn_err rc = sn_subspace_filter(&params, &kept, err);
        if (rc != SN_OK)
            return rc;
        sn_subspace_free(s->subspace);
        s->subspace = kept;
        report_subspace(job);
    }
    return SN_OK;
}
