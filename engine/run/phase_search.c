/* search: the final predictor, NSGA-II over accuracy and latency, the winners
 * verified and measured as static networks, then the test images, once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/latency.h"
#include "engine/run/job.h"
#include "engine/search/nsga2.h"

/* The candidates of every target, and the ends. */
enum { MAX_VERIFIED = SN_VERIFIED_A_TARGET * SN_MAX_TARGETS + 2 };

/* An architecture that was verified: measured accuracy and latency. */
struct verified {
    struct sn_measured m;
    double estimate; /* accuracy, measured and predicted weighed */
    struct sn_latency latency;
};

struct search {
    struct sn_job *job;
    struct sn_predictor *predictor; /* final */
    double trust; /* of a measurement: the reliable part of the spread */
    struct sn_nsga2_item *front;
    uint32_t n_front;
    uint32_t n;
    struct verified item[MAX_VERIFIED];
    double target[SN_MAX_TARGETS];
    uint32_t n_targets;
    /* the answer to each target: an item, and whether it is within it */
    uint32_t answer[SN_MAX_TARGETS];
    bool found[SN_MAX_TARGETS];
};

/* ---- accuracy: what is believed of an architecture ---- */

static const struct sn_measured *find_final(const struct sn_job *job,
                                            const struct sn_arch *arch)
{
    for (uint32_t i = 0; i < job->state.n_final; i++)
        if (sn_arch_equal(&job->state.final[i].arch, arch))
            return &job->state.final[i];
    return NULL;
}

/* A measurement drawn towards the prediction by as much as its spread is noise:
 * the choice then does not go to whoever was lucky. */
static double believe(const struct search *s, const struct sn_measured *m,
                      const struct sn_arch *arch)
{
    double predicted = sn_predictor_score(s->predictor, arch);
    if (m == NULL)
        return predicted;
    return s->trust * sn_measured_accuracy(m) + (1 - s->trust) * predicted;
}

static enum sn_err fit_final(struct search *s, struct sn_error *err)
{
    struct sn_job *job = s->job;
    struct sn_fit fit;
    enum sn_err rc = sn_job_fit(job, SN_STAGE_FINAL, job->state.final,
                                job->state.n_final, &fit, NULL, err);
    if (rc != SN_OK)
        return rc;
    s->predictor = fit.predictor;
    s->trust = fmin(1, fmax(0, fit.signal.within.reliability));
    return SN_OK;
}

/* ---- evolution ---- */

static void objectives(void *arg, const struct sn_arch *arch,
                       double *ret_accuracy, double *ret_cost)
{
    struct search *s = arg;
    const struct sn_veto veto = sn_job_veto(s->job);
    /* under any other, so that no front holds it */
    *ret_accuracy = sn_veto_holds(&veto, arch)
                        ? -1
                        : believe(s, find_final(s->job, arch), arch);
    *ret_cost = sn_job_latency_ms(s->job, arch);
}

static bool stop_evolution(void *arg)
{
    struct search *s = arg;
    return sn_job_stopping(s->job);
}

static enum sn_err evolve(struct search *s, struct sn_error *err)
{
    struct sn_job *job = s->job;
    uint32_t n = job->state.n_final;
    struct sn_arch *start = calloc(n, sizeof start[0]);
    if (start == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to search");
    for (uint32_t i = 0; i < n; i++)
        start[i] = job->state.final[i].arch;
    struct sn_nsga2_params params = {
        .space = job->space,
        .within = job->state.subspace,
        .population = (uint32_t)job->spec->search.population,
        .generations = (uint32_t)job->spec->search.generations,
        .mutation = 0.1,
        .max_cost = INFINITY,
        .seed = (uint64_t)job->spec->seed,
        .start = start,
        .n_start = n < (uint32_t)job->spec->search.population
                       ? n
                       : (uint32_t)job->spec->search.population,
        .arg = s,
        .evaluate = objectives,
        .stop = stop_evolution,
    };
    enum sn_err rc = sn_nsga2_run(&params, &s->front, &s->n_front, err);
    free(start);
    return rc;
}

/* ---- targets and candidates ---- */

static void add_candidate(struct search *s, const struct sn_arch *arch)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (sn_arch_equal(&s->item[i].m.arch, arch))
            return;
    if (s->n == MAX_VERIFIED)
        return;
    struct verified *v = &s->item[s->n++];
    memset(v, 0, sizeof *v);
    v->m.arch = *arch;
}

/* The best of the front and of the final evaluations with a latency in
 * (above, to]. */
static void add_best_between(struct search *s, double above, double to)
{
    struct sn_job *job = s->job;
    const struct sn_veto veto = sn_job_veto(job);
    for (int k = 0; k < SN_VERIFIED_A_TARGET; k++) {
        const struct sn_arch *best = NULL;
        double best_accuracy = -INFINITY;
        uint32_t total = s->n_front + job->state.n_final;
        for (uint32_t i = 0; i < total; i++) {
            const struct sn_arch *a =
                i < s->n_front ? &s->front[i].arch
                               : &job->state.final[i - s->n_front].arch;
            double ms = sn_job_latency_ms(job, a);
            double accuracy = believe(s, find_final(job, a), a);
            bool taken = sn_veto_holds(&veto, a);
            for (uint32_t j = 0; j < s->n; j++)
                taken |= sn_arch_equal(&s->item[j].m.arch, a);
            if (!taken && ms > above && ms <= to && accuracy > best_accuracy) {
                best = a;
                best_accuracy = accuracy;
            }
        }
        if (best == NULL)
            return;
        struct sn_arch copy = *best;
        add_candidate(s, &copy);
    }
}

static enum sn_err measure_latency(struct search *s, uint32_t from,
                                   struct sn_error *err)
{
    struct sn_job *job = s->job;
    struct sn_static *net[MAX_VERIFIED] = {NULL};
    struct sn_latency latency[MAX_VERIFIED];
    uint32_t calibration = (uint32_t)job->spec->search.calibration;
    uint32_t n = s->n - from;
    enum sn_err rc = SN_OK;

    for (uint32_t i = 0; i < n && rc == SN_OK; i++)
        rc = sn_evaluator_extract(job->evaluator, &s->item[from + i].m.arch,
                                  calibration, &net[i], err);
    if (rc == SN_OK)
        rc = sn_latency_measure(job->cx, (const struct sn_static *const *)net,
                                n, NULL, NULL, latency, err);
    for (uint32_t i = 0; i < n; i++) {
        sn_static_free(net[i]);
        if (rc == SN_OK)
            s->item[from + i].latency = latency[i];
    }
    return rc;
}

static double measured_ms(const struct verified *v)
{
    return v->latency.median_ns * 1e-6;
}

static enum sn_err set_targets(struct search *s, struct sn_error *err)
{
    static const double share[] = {0.25, 0.50, 0.80};
    const struct sn_spec *spec = s->job->spec;
    struct sn_arch arch;

    sn_arch_smallest(s->job->space, &arch);
    add_candidate(s, &arch);
    sn_arch_largest(s->job->space, &arch);
    add_candidate(s, &arch);
    enum sn_err rc = measure_latency(s, 0, err);
    if (rc != SN_OK)
        return rc;
    double lo = measured_ms(&s->item[0]), hi = measured_ms(&s->item[1]);
    s->n_targets = spec->search.latency_auto
                       ? sizeof share / sizeof share[0]
                       : (uint32_t)spec->search.n_latency_ms;
    for (uint32_t t = 0; t < s->n_targets; t++)
        s->target[t] = spec->search.latency_auto ? lo + share[t] * (hi - lo)
                                                 : spec->search.latency_ms[t];
    return SN_OK;
}

/* `auto` asks for three points along the front, so each answer is slower than
 * the target before it; a user's own target is a bound alone. */
static double floor_of(const struct search *s, uint32_t t)
{
    return s->job->spec->search.latency_auto && t > 0 ? s->target[t - 1] : 0;
}

/* ---- verification ---- */

static enum sn_err verify_accuracy(struct search *s, struct sn_error *err)
{
    struct sn_job *job = s->job;
    struct sn_evaluate_settings settings = {
        .calibration = (uint32_t)job->spec->search.calibration,
        .split = SN_SPLIT_HOLDOUT,
        .first = (uint32_t)job->spec->sparsenas.probe_images,
        .count = (uint32_t)job->spec->search.images,
    };
    struct sn_evaluate_result r;
    for (uint32_t i = 0; i < s->n; i++) {
        struct verified *v = &s->item[i];
        const struct sn_measured *known = find_final(job, &v->m.arch);
        if (sn_job_stopping(job))
            return SN_ERR_STOPPED;
        if (known != NULL) {
            v->m = *known; /* the same images and weights: the same count */
        } else {
            enum sn_err rc =
                sn_evaluate(job->evaluator, &settings, &v->m.arch, 1, &r, err);
            if (rc != SN_OK)
                return rc;
            memcpy(v->m.halves.correct, r.half_correct, sizeof r.half_correct);
            memcpy(v->m.halves.images, r.half_images, sizeof r.half_images);
            sn_job_spend(job, r.images + settings.calibration, r.macs);
        }
        v->estimate = believe(s, &v->m, &v->m.arch);
        job->phase_done = 0.9 * (i + 1) / s->n;
        sn_job_progress(job, false);
    }
    return SN_OK;
}

/* ---- answers ---- */

/* The best within (above, target]; failing that the best within the target;
 * failing that nothing is found, and the answer names the fastest. */
static void choose(struct search *s, uint32_t t)
{
    const double floors[2] = {floor_of(s, t), 0};
    uint32_t fastest = 0;
    for (int pass = 0; pass < 2; pass++) {
        int64_t best = -1;
        for (uint32_t i = 0; i < s->n; i++) {
            double ms = measured_ms(&s->item[i]);
            if (ms < measured_ms(&s->item[fastest]))
                fastest = i;
            if (ms > floors[pass] && ms <= s->target[t] &&
                (best < 0 || s->item[i].estimate > s->item[best].estimate))
                best = i;
        }
        if (best >= 0) {
            s->answer[t] = (uint32_t)best;
            s->found[t] = true;
            return;
        }
    }
    s->answer[t] = fastest;
}

static bool is_selected(const struct search *s, uint32_t i)
{
    for (uint32_t t = 0; t < s->n_targets; t++)
        if (s->found[t] && s->answer[t] == i)
            return true;
    return false;
}

static void describe(const struct search *s, uint32_t i,
                     struct sn_evaluation *ret)
{
    const struct verified *v = &s->item[i];
    sn_job_evaluation(s->job, &v->m, SN_STAGE_VERIFY, SN_SPLIT_HOLDOUT, ret);
    ret->predicted = sn_predictor_score(s->predictor, &v->m.arch);
    ret->latency.measured = measured_ms(v);
    ret->latency.lo = v->latency.low_ns * 1e-6;
    ret->latency.hi = v->latency.high_ns * 1e-6;
    ret->selected = is_selected(s, i);
}

static enum sn_err test_winner(struct search *s, const struct verified *v,
                               struct sn_answer *answer, struct sn_error *err)
{
    struct sn_job *job = s->job;
    struct sn_evaluate_settings settings = {
        .calibration = (uint32_t)job->spec->search.calibration,
        .split = SN_SPLIT_TEST,
        .count = sn_view_count(job->view, SN_SPLIT_TEST),
    };
    struct sn_evaluate_result r;
    struct sn_evaluation e;
    struct sn_measured m = {.arch = v->m.arch};
    enum sn_err rc =
        sn_evaluate(job->evaluator, &settings, &v->m.arch, 1, &r, err);
    if (rc != SN_OK)
        return rc;
    memcpy(m.halves.correct, r.half_correct, sizeof r.half_correct);
    memcpy(m.halves.images, r.half_images, sizeof r.half_images);
    answer->test_images = r.images;
    answer->test_correct = r.correct;
    answer->test_accuracy = sn_measured_accuracy(&m);
    sn_job_spend(job, r.images + settings.calibration, r.macs);
    sn_job_evaluation(job, &m, SN_STAGE_VERIFY, SN_SPLIT_TEST, &e);
    e.predicted = sn_predictor_score(s->predictor, &m.arch);
    e.latency = answer->best.latency;
    sn_job_report_evaluation(job, &e);
    return SN_OK;
}

static enum sn_err answer_targets(struct search *s, struct sn_error *err)
{
    const struct sn_callbacks *cb = s->job->run->callbacks;
    for (uint32_t t = 0; t < s->n_targets; t++) {
        const struct verified *v = &s->item[s->answer[t]];
        struct sn_answer answer = {.latency_ms = s->target[t],
                                   .found = s->found[t],
                                   .test_accuracy = NAN};
        describe(s, s->answer[t], &answer.best);
        if (answer.found) {
            enum sn_err rc = test_winner(s, v, &answer, err);
            if (rc != SN_OK)
                return rc;
        } else {
            sn_job_log(s->job, SN_LOG_WARN,
                       "no architecture is within %.4g ms; the fastest found "
                       "takes %.4g ms",
                       s->target[t], measured_ms(v));
        }
        if (cb->answer != NULL)
            cb->answer(cb->arg, t, s->n_targets, &answer);
    }
    return SN_OK;
}

/* Those of a list that were not verified; returns how many. */
static uint32_t describe_rest(const struct search *s,
                              const struct sn_measured *list, uint32_t n,
                              struct sn_evaluation *ret)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool taken = false;
        for (uint32_t j = 0; j < s->n; j++)
            taken |= sn_arch_equal(&s->item[j].m.arch, &list[i].arch);
        if (!taken)
            sn_job_evaluation(s->job, &list[i], SN_STAGE_FINAL,
                              SN_SPLIT_HOLDOUT, &ret[count++]);
    }
    return count;
}

/* The last fronts: everything that was measured with the final weights, what
 * was verified with its measured latency. */
static enum sn_err final_fronts(struct search *s, struct sn_error *err)
{
    struct sn_job *job = s->job;
    uint32_t n = 0;
    struct sn_evaluation *items = calloc(
        job->state.n_final + job->state.n_recheck + s->n, sizeof items[0]);
    if (items == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a front");
    for (uint32_t i = 0; i < s->n; i++) {
        describe(s, i, &items[n]);
        sn_job_report_evaluation(job, &items[n++]);
    }
    n += describe_rest(s, job->state.final, job->state.n_final, &items[n]);
    n += describe_rest(s, job->state.recheck, job->state.n_recheck, &items[n]);
    enum sn_err rc = sn_job_report_fronts(job, items, n, err);
    free(items);
    return rc;
}

static enum sn_err search(struct search *s, struct sn_error *err)
{
    enum sn_err rc;
    if ((rc = fit_final(s, err)) || (rc = evolve(s, err)) ||
        (rc = set_targets(s, err)))
        return rc;
    uint32_t ends = s->n;
    for (uint32_t t = 0; t < s->n_targets; t++)
        add_best_between(s, floor_of(s, t), s->target[t]);
    if ((rc = verify_accuracy(s, err)) || (rc = measure_latency(s, ends, err)))
        return rc;
    for (uint32_t t = 0; t < s->n_targets; t++)
        choose(s, t);
    if ((rc = final_fronts(s, err)) != SN_OK)
        return rc;
    return answer_targets(s, err);
}

enum sn_err sn_phase_search(struct sn_job *job, struct sn_error *err)
{
    struct search *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to search");
    s->job = job;
    enum sn_err rc = search(s, err);
    sn_predictor_free(s->predictor);
    free(s->front);
    free(s);
    return rc;
}
