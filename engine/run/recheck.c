/* How early held: some of the probed architectures are measured again at the
 * end, as the final evaluations are, and compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/job.h"

/* A rechecked architecture, early and at the end. */
struct pair {
    double measured, predicted, last;
    uint32_t band;
    bool kept, top;
};

static uint32_t band_of(const struct sn_job *job, const struct sn_arch *arch)
{
    return sn_bands_index(&job->bands, sn_target_macs(&job->target, arch));
}

static bool is_end(const struct sn_job *job, const struct sn_arch *arch)
{
    struct sn_arch end;
    sn_arch_largest(job->space, &end);
    if (sn_arch_equal(arch, &end))
        return true;
    sn_arch_smallest(job->space, &end);
    return sn_arch_equal(arch, &end);
}

/* ---- which ones ---- */

/* The next probe of the band: its best by score the first time, then the others
 * as they were drawn. -1: there is none. */
static int64_t next_of_band(const struct sn_job *job, uint32_t band, bool first,
                            const bool *taken)
{
    int64_t best = -1;
    double best_score = -INFINITY;
    for (uint32_t i = 0; i < job->state.n_probes; i++) {
        const struct sn_arch *arch = &job->state.probe[i].arch;
        if (taken[i] || band_of(job, arch) != band || is_end(job, arch))
            continue;
        if (!first)
            return i;
        double score = sn_predictor_score(job->state.predictor, arch);
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* From each band in turn, so that every band has one that the filter kept or
 * nearly did, and more that it did not. */
static uint32_t choose(const struct sn_job *job, uint32_t n, bool *taken,
                       struct sn_measured *ret)
{
    uint32_t have = 0;
    bool any = true;
    for (int turn = 0; any && have < n; turn++) {
        any = false;
        for (uint32_t b = 0; b < job->bands.n && have < n; b++) {
            int64_t i = next_of_band(job, b, turn == 0, taken);
            if (i < 0)
                continue;
            taken[i] = any = true;
            ret[have++].arch = job->state.probe[i].arch;
        }
    }
    return have;
}

/* ---- what came of it ---- */

/* What the filter did with it: its sample rarely held a probe, so this goes by
 * the band's threshold. */
static bool was_kept(const struct sn_job *job, const struct sn_arch *arch)
{
    const struct sn_subspace *sub = job->state.subspace;
    double threshold = sub->band[band_of(job, arch)].threshold;
    return sn_subspace_holds(sub, arch) ||
           (threshold > 0 && /* it kept some of that band */
            sn_predictor_score(job->state.predictor, arch) >= threshold);
}

static uint32_t probe_of(const struct sn_job *job, const struct sn_arch *arch)
{
    uint32_t i = 0;
    while (!sn_arch_equal(&job->state.probe[i].arch, arch))
        i++;
    return i;
}

/* The k best at the end, each against its band's mean: what cost alone brings
 * is not the filter's. */
static void mark_top(struct pair *pair, uint32_t n, uint32_t k)
{
    double mean[SN_MAX_BANDS] = {0};
    uint32_t count[SN_MAX_BANDS] = {0};
    for (uint32_t i = 0; i < n; i++) {
        mean[pair[i].band] += pair[i].last;
        count[pair[i].band]++;
    }
    for (; k > 0; k--) {
        int64_t best = -1;
        double most = -INFINITY;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t b = pair[i].band;
            double lead = pair[i].last - mean[b] / count[b];
            if (!pair[i].top && lead > most) {
                best = i;
                most = lead;
            }
        }
        pair[best].top = true;
    }
}

static void rank_agreement(const struct pair *pair, uint32_t n, double *room,
                           struct sn_outcome_report *ret)
{
    double *measured = room, *predicted = room + n, *last = room + 2 * n;
    uint32_t *band = (uint32_t *)(void *)(room + 3 * n);
    for (uint32_t i = 0; i < n; i++) {
        measured[i] = pair[i].measured;
        predicted[i] = pair[i].predicted;
        last[i] = pair[i].last;
        band[i] = pair[i].band;
    }
    ret->measured_tau = sn_quality_kendall(measured, last, n);
    ret->predicted_tau = sn_quality_kendall(predicted, last, n);
    ret->measured_tau_within =
        sn_quality_kendall_within(measured, last, band, n);
    ret->predicted_tau_within =
        sn_quality_kendall_within(predicted, last, band, n);
}

static void say(struct sn_outcome_report *r)
{
    int at = snprintf(
        r->verdict, sizeof r->verdict,
        "of %u probed architectures the early measurements have the order of "
        "the final ones at tau %.2f (within cost bands %.2f), the predictions "
        "at %.2f (%.2f)",
        r->n, r->measured_tau, r->measured_tau_within, r->predicted_tau,
        r->predicted_tau_within);
    if (r->filtered && at > 0 && (size_t)at < sizeof r->verdict)
        snprintf(r->verdict + at, sizeof r->verdict - (size_t)at,
                 "; of the %u best of their bands the filter had kept %u (of "
                 "all %u, %u)",
                 r->top, r->top_kept, r->n, r->kept);
}

static void compare(const struct sn_job *job, struct pair *pair, double *room,
                    struct sn_outcome_report *r)
{
    const struct sn_job_state *s = &job->state;
    r->filtered = s->subspace != NULL && s->filter_trusted &&
                  job->spec->sparsenas.filter == SN_KEEP_PREDICTED;
    for (uint32_t i = 0; i < r->n; i++) {
        const struct sn_arch *arch = &s->recheck[i].arch;
        uint32_t probe = probe_of(job, arch);
        pair[i] = (struct pair){
            .measured = sn_measured_accuracy(&s->probe[probe]),
            .predicted = s->predicted[probe],
            .last = sn_measured_accuracy(&s->recheck[i]),
            .band = band_of(job, arch),
            .kept = r->filtered && was_kept(job, arch),
        };
    }
    rank_agreement(pair, r->n, room, r);
    r->top = (r->n + 4) / 5;
    mark_top(pair, r->n, r->top);
    for (uint32_t i = 0; i < r->n; i++) {
        r->kept += pair[i].kept;
        r->top_kept += pair[i].kept && pair[i].top;
    }
    say(r);
}

static enum sn_err report(struct sn_job *job, uint32_t n, struct sn_error *err)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    struct sn_outcome_report r = {.step = job->state.step, .n = n};
    struct pair *pair = calloc(n, sizeof pair[0]);
    double *room = calloc(4 * (size_t)n, sizeof room[0]);
    enum sn_err rc = SN_OK;
    if (pair == NULL || room == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to compare");
    } else {
        compare(job, pair, room, &r);
        sn_job_log(job, SN_LOG_INFO, "%s", r.verdict);
        if (cb->outcome != NULL)
            cb->outcome(cb->arg, &r);
    }
    free(room);
    free(pair);
    return rc;
}

enum sn_err sn_job_recheck(struct sn_job *job,
                           const struct sn_evaluate_settings *settings,
                           struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    uint32_t n = (uint32_t)job->spec->sparsenas.recheck;
    if (n == 0 || s->n_probes == 0 || s->predictor == NULL)
        return SN_OK;
    bool *taken = calloc(s->n_probes, sizeof taken[0]);
    struct sn_measured *list = calloc(n, sizeof list[0]);
    enum sn_err rc = SN_OK;
    if (taken == NULL || list == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluations");
        goto out;
    }
    n = choose(job, n, taken, list);
    if (n < 2)
        goto out;
    sn_job_order(job, list, n, sizeof list[0]);
    memcpy(list, s->recheck, s->n_recheck * sizeof list[0]);
    memcpy(s->recheck, list, n * sizeof list[0]);
    rc = sn_job_measure(job, settings, SN_STAGE_FINAL, s->recheck, n,
                        &s->n_recheck, err);
    if (rc == SN_OK)
        rc = report(job, n, err);
out:
    free(list);
    free(taken);
    return rc;
}
