/* The conductor: makes a job, walks its phases, keeps checkpoints.
 *
 *   open -> [restore] -> phase, phase, ... -> close
 *             a checkpoint after each phase, every so often in training, and
 *             when stopped
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/filter.h"
#include "engine/run/images.h"
#include "engine/run/job.h"
#include "engine/run/precision.h"
#include "engine/run/single.h"

/* ---- making and unmaking ---- */

static void job_close(struct sn_job *job)
{
    sn_predictor_free(job->state.predictor);
    sn_subspace_free(job->state.subspace);
    free(job->state.probe);
    free(job->state.predicted);
    free(job->state.final);
    free(job->state.recheck);
    sn_table_free(job->table);
    sn_evaluator_free(job->evaluator);
    sn_trainer_free(job->trainer);
    sn_supernet_free(job->net);
    sn_view_free(job->view);
    sn_pool_free(job->pool);
    sn_cx_free(job->cx);
    sn_compute_free(job->compute);
}

static enum sn_err open_compute(struct sn_job *job, struct sn_error *err)
{
    const struct sn_spec *spec = job->spec;
    enum sn_err rc;
    if ((rc = sn_compute_new(NULL, &job->compute, err)) ||
        (rc = sn_cx_new(job->compute, &job->cx, err)) ||
        (rc =
             sn_pool_new(job->compute, spec->train.workers, &job->pool, err)) ||
        (rc = sn_images_view(spec, job->run->data, &job->view, err)) ||
        (rc = sn_supernet_new(job->compute, job->space, job->info.channels,
                              job->info.classes, (uint64_t)spec->seed,
                              &job->net, err)))
        return rc;
    sn_supernet_set_recompute(job->net, spec->train.recompute);
    return SN_OK;
}

static enum sn_err open_lists(struct sn_job *job, struct sn_error *err)
{
    const struct sn_spec *spec = job->spec;
    struct sn_job_state *s = &job->state;
    size_t most = (size_t)sn_budget_probes(
        spec, job->space, &job->info, (uint32_t)spec->sparsenas.max_retries);
    s->probe = calloc(most + 1, sizeof s->probe[0]);
    s->predicted = calloc(most + 1, sizeof s->predicted[0]);
    s->final = calloc((size_t)spec->search.evaluations + 2, sizeof s->final[0]);
    s->recheck =
        calloc((size_t)spec->sparsenas.recheck + 1, sizeof s->recheck[0]);
    return s->probe != NULL && s->predicted != NULL && s->final != NULL &&
                   s->recheck != NULL
               ? SN_OK
               : sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluations");
}

static enum sn_err open_training(struct sn_job *job, struct sn_error *err)
{
    const struct sn_spec *spec = job->spec;
    const bool trains = sn_spec_trains(spec);
    int trained, drawn;
    sn_strategy_most_subnets(spec, &trained, &drawn);
    struct sn_trainer_settings settings = {
        .batch_size = spec->train.batch_size,
        .shard_size = spec->train.shard_size,
        .max_subnets = trained,
        .max_drawn = drawn,
        .store = sn_precision_store(spec),
        .resolution = sn_single_resolution(spec, job->space),
        .label_smoothing = (float)spec->train.label_smoothing,
        .momentum = (float)spec->train.momentum,
        .weight_decay = (float)spec->train.weight_decay,
        .clip_norm = (float)spec->train.clip_norm,
        .clip_value = (float)spec->train.clip_value,
        .augment = sn_images_augment(spec),
        .decoders = spec->train.decoders,
        .seed = (uint64_t)spec->seed,
    };
    enum sn_err rc;
    if (trains && (rc = sn_trainer_new(job->pool, job->net, job->view,
                                       &settings, &job->trainer, err)) != SN_OK)
        return rc;
    if ((job->run->weights != NULL &&
         (rc = sn_job_take_weights(job, err)) != SN_OK) ||
        (rc = sn_evaluator_new(job->compute, job->pool, job->net, job->view,
                               (uint64_t)spec->seed, &job->evaluator, err)))
        return rc;
    return open_lists(job, err);
}

static enum sn_err job_open(struct sn_job *job, const struct sn_run *run,
                            struct sn_error *err)
{
    memset(job, 0, sizeof *job);
    job->run = run;
    job->spec = run->spec;
    job->space = sn_spec_space(run->spec);
    if ((run->weights != NULL) != (run->spec->supernet[0] != '\0'))
        return sn_error_at(err, SN_ERR_INVALID, "/supernet",
                           "the file of its weights is not at hand");
    if (job->space == NULL)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/space",
                           "there is no space '%s'", run->spec->space);
    sn_dataset_info(run->data, &job->info);
    job->target =
        (struct sn_target){job->space, job->info.channels, job->info.classes};
    sn_bands_init(&job->bands, &job->target,
                  (uint32_t)job->spec->sparsenas.bands);
    job->n_veto = sn_filter_vetoed(job->spec, job->space, job->veto);
    sn_strategy_phases(job->spec, &job->phases);
    enum sn_err rc = open_compute(job, err);
    if (rc == SN_OK)
        rc = open_training(job, err);
    return rc;
}

/* ---- the forecast that the progress bar goes by ---- */

static void forecast(struct sn_job *job)
{
    struct sn_space_macs macs;
    double kind[SN_PHASE_KINDS];
    int visits[SN_PHASE_KINDS] = {0};

    sn_budget_job_macs(job->spec, job->space, job->info.channels,
                       job->info.classes, &macs);
    sn_budget_phase_macs(job->spec, &macs, kind);
    for (int i = 0; i < job->phases.n; i++)
        visits[job->phases.phase[i].kind]++;
    job->total_macs = 0;
    for (int i = 0; i < job->phases.n; i++) {
        const struct sn_strategy_phase *p = &job->phases.phase[i];
        job->phase_macs[i] = p->steps > 0 ? (double)p->steps *
                                                job->spec->train.batch_size *
                                                sn_strategy_image_macs(p, &macs)
                                          : kind[p->kind] / visits[p->kind];
        job->total_macs += job->phase_macs[i];
    }
}

/* ---- phases ---- */

typedef enum sn_err (*phase_fn)(struct sn_job *job, struct sn_error *err);
static const phase_fn phase_table[SN_PHASE_KINDS] = {
    [SN_PHASE_PREPARE] = sn_phase_prepare,
    [SN_PHASE_WARMUP] = sn_phase_train,
    [SN_PHASE_PROBE] = sn_phase_probe,
    [SN_PHASE_FIT] = sn_phase_fit,
    [SN_PHASE_FILTER] = sn_phase_filter,
    [SN_PHASE_TRAIN] = sn_phase_train,
    [SN_PHASE_EVALUATE] = sn_phase_evaluate,
    [SN_PHASE_SEARCH] = sn_phase_search,
};

static void announce(struct sn_job *job)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    const struct sn_strategy_phase *p = &job->phases.phase[job->state.phase];
    struct sn_phase_report report = {
        .kind = p->kind,
        .index = (int)job->state.phase,
        .of = job->phases.n,
    };
    snprintf(report.name, sizeof report.name, "%s", p->name);
    if (cb->phase != NULL)
        cb->phase(cb->arg, &report);
    job->phase_done = job->list_from = 0;
    job->list_share = 1;
    sn_job_progress(job, true);
}

/* One phase to its end; then the state stands at the next one. */
static enum sn_err walk_phase(struct sn_job *job, struct sn_error *err)
{
    enum sn_phase_kind kind = job->phases.phase[job->state.phase].kind;
    bool last = (int)job->state.phase + 1 == job->phases.n;

    announce(job);
    enum sn_err rc = phase_table[kind](job, err);
    sn_job_spend(job, 0, 0);
    if (rc != SN_OK)
        return rc;
    job->phase_done = 1;
    sn_job_progress(job, true);
    if (last && job->run->keep != NULL &&
        (rc = sn_job_keep_weights(job, err)) != SN_OK)
        return rc;
    if (last)
        return sn_job_checkpoint(job, err);
    job->state.phase++;
    job->state.in_phase = 0;
    job->phase_done = 0;
    if (job->phases.phase[job->state.phase].kind == SN_PHASE_PROBE)
        job->state.n_probes = 0; /* each probing is a new one */
    forecast(job);
    /* prepare leaves nothing that a checkpoint could hold */
    return kind == SN_PHASE_PREPARE ? SN_OK : sn_job_checkpoint(job, err);
}

static enum sn_err walk(struct sn_job *job, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (;;) {
        bool last = (int)job->state.phase + 1 == job->phases.n;
        if (sn_job_stopping(job))
            rc = SN_ERR_STOPPED;
        if (rc == SN_OK)
            rc = walk_phase(job, err);
        if (rc != SN_OK || last)
            break;
    }
    if (rc != SN_ERR_STOPPED)
        return rc;
    if (atomic_load(job->run->stop) < 2) {
        sn_job_progress(job, true); /* what is shown is what is saved */
        enum sn_err saved = sn_job_checkpoint(job, err);
        if (saved != SN_OK)
            return saved;
    }
    return sn_error_set(err, SN_ERR_STOPPED, "stopped at step %llu",
                        (unsigned long long)job->state.step);
}

static enum sn_err start(struct sn_job *job, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    if (job->run->resume != NULL) {
        rc = sn_job_restore(job, err);
        if (rc == SN_OK)
            sn_job_log(job, SN_LOG_INFO, "resumed at step %llu, phase %s",
                       (unsigned long long)job->state.step,
                       job->phases.phase[job->state.phase].name);
        /* latencies belong to the machine, not to the checkpoint */
        if (rc == SN_OK)
            rc = sn_phase_prepare(job, err);
    }
    forecast(job);
    job->started = job->last_checkpoint = job->rate_time = sn_job_now();
    job->start_fraction = 0;
    for (uint32_t i = 0; i < job->state.phase; i++)
        job->start_fraction += job->phase_macs[i] / job->total_macs;
    sn_job_spend(job, 0, 0);
    return rc;
}

enum sn_err sn_engine_run(const struct sn_run *run, struct sn_error *err)
{
    struct sn_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a job");
    enum sn_err rc = job_open(job, run, err);
    if (rc == SN_OK)
        rc = start(job, err);
    if (rc == SN_OK)
        rc = walk(job, err);
    job_close(job);
    free(job);
    return rc;
}
