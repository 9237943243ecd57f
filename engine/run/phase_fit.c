/* fit: what the measured say of those that nobody measured, whether that can be
 * trusted, and what follows when it cannot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/job.h"

/* Columns of one fit, freed together. */
struct fit_room {
    struct sn_arch *arch;
    double *measured, *predicted, *deviation;
    struct sn_quality_band quality[SN_MAX_BANDS];
    uint32_t *band;
    struct sn_halves *halves;
    struct sn_predictor_point *point;
};

static void fit_room_close(struct fit_room *room)
{
    free(room->arch);
    free(room->measured);
    free(room->predicted);
    free(room->deviation);
    free(room->band);
    free(room->halves);
    free(room->point);
}

static bool fit_room_init(struct fit_room *room, uint32_t n)
{
    room->arch = calloc(n, sizeof room->arch[0]);
    room->measured = calloc(n, sizeof room->measured[0]);
    room->predicted = calloc(n, sizeof room->predicted[0]);
    room->deviation = calloc(n, sizeof room->deviation[0]);
    room->band = calloc(n, sizeof room->band[0]);
    room->halves = calloc(n, sizeof room->halves[0]);
    room->point = calloc(n, sizeof room->point[0]);
    return room->arch && room->measured && room->predicted && room->deviation &&
           room->band && room->halves && room->point;
}

static void fill_columns(const struct sn_job *job,
                         const struct sn_measured *list, uint32_t n,
                         struct fit_room *room)
{
    for (uint32_t i = 0; i < n; i++) {
        double macs = sn_target_macs(&job->target, &list[i].arch);
        room->arch[i] = list[i].arch;
        room->measured[i] = sn_measured_accuracy(&list[i]);
        room->band[i] = sn_bands_index(&job->bands, macs);
        room->halves[i] = list[i].halves;
        room->point[i].macs = macs;
        sn_arch_encode(job->space, &list[i].arch, room->point[i].arch);
    }
}

/* ---- in words ---- */

/* Why this kind of predictor. */
static void say_why(const struct sn_job *job, struct sn_predictor_report *r)
{
    const struct sn_contest *c = &r->contest;
    const char *kind = sn_predictor_names[r->kind];
    if (job->spec->sparsenas.predictor != SN_PREDICT_AUTO) {
        snprintf(r->why, sizeof r->why, "%s, as asked", kind);
        return;
    }
    snprintf(r->why, sizeof r->why,
             "%s: within cost bands tau of mlp is %.2f, of ridge %.2f, and the "
             "difference, %.3f, is%s over its standard error, %.3f",
             kind, c->tau_within[SN_PREDICTOR_MLP],
             c->tau_within[SN_PREDICTOR_RIDGE], c->gain,
             r->kind == SN_PREDICTOR_MLP ? "" : " not", c->gain_error);
}

static void say_no_signal(struct sn_predictor_report *r)
{
    const struct sn_spread *s =
        r->signal.overall.real ? &r->signal.within : &r->signal.overall;
    snprintf(r->verdict, sizeof r->verdict,
             "no signal: %sarchitectures differ by less than the noise of "
             "measuring them (spread %.2f points, error %.2f); %s",
             r->signal.overall.real ? "within cost bands " : "",
             100 * s->spread, 100 * s->standard_error,
             r->signal.overall.real ? "at equal cost none is known to be better"
                                    : "the smallest is as good as any");
}

static void say_verdict(const struct sn_job *job, struct sn_predictor_report *r)
{
    /* what the settings ask for in place of a filter that stands on it */
    static const char *const instead[] = {
        [SN_KEEP_PREDICTED] = "",
        [SN_KEEP_RANDOM] = "; the filter keeps any of a band, as asked",
        [SN_KEEP_NONE] = "; nothing is filtered, as asked",
    };
    const struct sn_stat *tau = &r->quality.tau, *in = &r->quality.tau_within;
    double min = job->spec->sparsenas.min_tau;
    if (!r->signal.within.real)
        say_no_signal(r);
    else if (tau->lo <= min)
        snprintf(r->verdict, sizeof r->verdict,
                 "not trusted: tau %.2f [%.2f, %.2f] does not lie above %.2f",
                 tau->value, tau->lo, tau->hi, min);
    else if (in->lo <= 0)
        snprintf(r->verdict, sizeof r->verdict,
                 "not trusted: within cost bands tau %.2f [%.2f, %.2f] does "
                 "not lie above 0",
                 in->value, in->lo, in->hi);
    else
        snprintf(r->verdict, sizeof r->verdict,
                 "trusted: tau %.2f [%.2f, %.2f] lies above %.2f; "
                 "architectures of one cost differ by %.2f points%s",
                 tau->value, tau->lo, tau->hi, min,
                 100 * r->signal.within.spread,
                 instead[job->spec->sparsenas.filter]);
}

/* ---- judging ---- */

static enum sn_err judge_bands(const struct sn_job *job,
                               const struct sn_quality_data *data,
                               struct sn_quality_band *ret,
                               struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (uint32_t b = 0; b < job->bands.n && rc == SN_OK; b++) {
        ret[b].macs_lo = sn_bands_edge(&job->bands, b);
        ret[b].macs_hi = sn_bands_edge(&job->bands, b + 1);
        rc = sn_quality_of_band(data, b, &ret[b].quality, err);
    }
    return rc;
}

static enum sn_err judge(struct sn_job *job, struct fit_room *room, uint32_t n,
                         struct sn_predictor_report *r, bool *ret_trusted,
                         struct sn_error *err)
{
    struct sn_quality_data data = {
        .measured = room->measured,
        .predicted = room->predicted,
        .deviation = room->deviation,
        .band = room->band,
        .n = n,
        .seed = (uint64_t)job->spec->seed,
    };
    enum sn_err rc = sn_quality_measure(&data, &r->quality, err);
    if (rc == SN_OK)
        rc = judge_bands(job, &data, room->quality, err);
    if (rc == SN_OK)
        rc = sn_signal_measure(room->halves, room->band, n, &r->signal, err);
    if (rc != SN_OK)
        return rc;
    r->n_bands = job->bands.n;
    r->bands = room->quality;
    /* Cost alone raises tau, and the filter works inside bands: there the
     * order must be better than chance too. */
    *ret_trusted = r->signal.within.real &&
                   r->quality.tau.lo > job->spec->sparsenas.min_tau &&
                   r->quality.tau_within.lo > 0;
    r->used = *ret_trusted && job->spec->sparsenas.filter == SN_KEEP_PREDICTED;
    say_why(job, r);
    say_verdict(job, r);
    return SN_OK;
}

static enum sn_err fit(const struct sn_job *job, const struct fit_room *room,
                       uint32_t n, struct sn_predictor **ret,
                       struct sn_predictor_report *r, struct sn_error *err)
{
    struct sn_predictor_params params = {
        .space = job->space,
        .arch = room->arch,
        .accuracy = room->measured,
        .band = room->band,
        .n = n,
        .seed = (uint64_t)job->spec->seed,
        .choice = (enum sn_predictor_choice)job->spec->sparsenas.predictor,
    };
    enum sn_err rc = sn_predictor_fit(&params, ret, room->predicted,
                                      room->deviation, &r->contest, err);
    if (rc == SN_OK)
        r->kind = sn_predictor_kind(*ret);
    return rc;
}

enum sn_err sn_job_fit(struct sn_job *job, enum sn_stage_kind stage,
                       const struct sn_measured *list, uint32_t n,
                       struct sn_fit *ret, double *ret_predicted,
                       struct sn_error *err)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    struct fit_room room = {0};
    struct sn_predictor *predictor = NULL;
    struct sn_predictor_report report = {
        .stage = stage, .step = job->state.step, .n = n};
    bool trusted = false;
    enum sn_err rc = SN_OK;

    if (!fit_room_init(&room, n))
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to fit a predictor");
    if (rc == SN_OK) {
        fill_columns(job, list, n, &room);
        rc = fit(job, &room, n, &predictor, &report, err);
    }
    if (rc == SN_OK)
        rc = judge(job, &room, n, &report, &trusted, err);
    if (rc != SN_OK) {
        sn_predictor_free(predictor);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++) {
        room.point[i].measured = room.measured[i];
        room.point[i].predicted = room.predicted[i];
    }
    report.points = room.point;
    if (cb->predictor != NULL)
        cb->predictor(cb->arg, &report);
    sn_job_log(job, SN_LOG_INFO, "%s predictor: %s", sn_stage_names[stage],
               report.verdict);
    sn_job_log(job, SN_LOG_INFO, "%s predictor is %s", sn_stage_names[stage],
               report.why);
    if (ret_predicted != NULL)
        memcpy(ret_predicted, room.predicted, n * sizeof room.predicted[0]);
    *ret = (struct sn_fit){predictor, report.signal, trusted};
out:
    fit_room_close(&room);
    return rc;
}

enum sn_err sn_phase_fit(struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    struct sn_fit fit;
    enum sn_err rc = sn_job_fit(job, SN_STAGE_EARLY, s->probe, s->n_probes,
                                &fit, s->predicted, err);
    if (rc != SN_OK)
        return rc;
    sn_predictor_free(s->predictor);
    s->predictor = fit.predictor;
    s->filter_trusted = fit.trusted;
    /* Without any signal a longer warm-up is not what is missing. */
    bool retry = !s->filter_trusted && fit.signal.within.real &&
                 s->n_retries < (uint32_t)job->spec->sparsenas.max_retries;
    uint32_t filter = s->phase + 1;
    if (retry && sn_strategy_insert_retry(&job->phases, (int)filter)) {
        s->retry_at[s->n_retries++] = filter;
        sn_job_log(job, SN_LOG_INFO,
                   "the early filter is not trusted yet: a longer warm-up, "
                   "then it probes %u again",
                   sn_job_probes(job));
    } else if (!s->filter_trusted) {
        sn_job_log(job, SN_LOG_WARN, "no filter: %s in the %s",
                   job->run->weights != NULL ? "the search goes on"
                                             : "training goes on",
                   s->subspace != NULL ? "present sub-space" : "whole space");
    }
    return SN_OK;
}
