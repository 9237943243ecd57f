/* search: the final predictor, NSGA-II over accuracy and each bounded cost, the
 * winners verified and measured as static networks, then the test images, once.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/latency.h"
#include "engine/run/job.h"
#include "engine/search/nsga2.h"

/* The candidates of every target, and the ends. */
enum { MAX_VERIFIED = SN_VERIFIED_A_TARGET * SN_MAX_ANSWERS + 2 };

/* An architecture that was verified: measured accuracy and latency. */
struct verified {
    struct sn_measured m;
    double estimate; /* accuracy, measured and predicted weighed */
    struct sn_latency latency;
    struct sn_halves test; /* no images: not tested */
};

/* A bound of a cost, and what is answered to it. */
struct target {
    enum sn_cost_kind cost;
    double above, bound;
    uint32_t answer; /* an item ... */
    bool found;      /* ... and whether it is within the bound */
};

struct search {
    struct sn_job *job;
    enum sn_cost_kind evolving;     /* the cost that the evolution goes by */
    struct sn_predictor *predictor; /* final */
    double trust; /* of a measurement: the reliable part of the spread */
    struct sn_nsga2_item *front;
    uint32_t n_front;
    uint32_t n;
    struct verified item[MAX_VERIFIED];
    struct target target[SN_MAX_ANSWERS];
    uint32_t n_targets;
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

/* ---- cost ---- */

static double predicted_cost(const struct search *s, enum sn_cost_kind cost,
                             const struct sn_arch *arch)
{
    return cost == SN_COST_LATENCY ? sn_job_latency_ms(s->job, arch)
                                   : sn_target_macs(&s->job->target, arch);
}

static double measured_ms(const struct verified *v)
{
    return v->latency.median_ns * 1e-6;
}

static double cost_of(const struct search *s, enum sn_cost_kind cost,
                      const struct verified *v)
{
    return cost == SN_COST_LATENCY
               ? measured_ms(v)
               : sn_target_macs(&s->job->target, &v->m.arch);
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
    *ret_cost = predicted_cost(s, s->evolving, arch);
}

static bool stop_evolution(void *arg)
{
    struct search *s = arg;
    return sn_job_stopping(s->job);
}

/* Adds what one evolution found to the front's. */
static enum sn_err join_front(struct search *s, struct sn_nsga2_item *more,
                              uint32_t n, struct sn_error *err)
{
    struct sn_nsga2_item *all =
        realloc(s->front, (s->n_front + n + 1) * sizeof all[0]);
    if (all == NULL) {
        free(more);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to search");
    }
    memcpy(all + s->n_front, more, n * sizeof all[0]);
    s->front = all;
    s->n_front += n;
    free(more);
    return SN_OK;
}

static enum sn_err evolve(struct search *s, enum sn_cost_kind cost,
                          struct sn_error *err)
{
    struct sn_job *job = s->job;
    uint32_t n = job->state.n_final, n_found = 0;
    struct sn_nsga2_item *found = NULL;
    s->evolving = cost;
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
    enum sn_err rc = sn_nsga2_run(&params, &found, &n_found, err);
    free(start);
    return rc == SN_OK ? join_front(s, found, n_found, err) : rc;
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

/* The best of the front and of the final evaluations with a predicted cost
 * within (above, bound]. */
static void add_best_between(struct search *s, const struct target *t)
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
            double cost = predicted_cost(s, t->cost, a);
            double accuracy = believe(s, find_final(job, a), a);
            bool taken = sn_veto_holds(&veto, a);
            for (uint32_t j = 0; j < s->n; j++)
                taken |= sn_arch_equal(&s->item[j].m.arch, a);
            if (!taken && cost > t->above && cost <= t->bound &&
                accuracy > best_accuracy) {
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

/* `automatic` latencies ask for three points along the front, so each answer is
 * slower than the target before it; all other targets are bounds alone. */
static void set_latencies(struct search *s, double lo, double hi)
{
    static const double share[SN_AUTO_LATENCIES] = {0.25, 0.50, 0.80};
    const struct sn_targets *of = &s->job->spec->search.latency_ms;
    int n = of->automatic ? (int)SN_AUTO_LATENCIES : of->n;
    for (int i = 0; i < n; i++) {
        struct target *t = &s->target[s->n_targets++];
        t->cost = SN_COST_LATENCY;
        t->bound = of->automatic ? lo + share[i] * (hi - lo) : of->bound[i];
        t->above = of->automatic && i > 0 ? t[-1].bound : 0;
    }
}

static void set_macs(struct search *s, double lo, double hi)
{
    const struct sn_targets *of = &s->job->spec->search.macs;
    int n = of->automatic ? (int)SN_AUTO_MACS : of->n;
    for (int i = 0; i < n; i++) {
        struct target *t = &s->target[s->n_targets++];
        t->cost = SN_COST_MACS;
        t->bound = of->bound[i];
        if (of->automatic) /* the last is the largest's own, not a bit less */
            t->bound = i + 1 == n ? hi : lo * pow(hi / lo, (i + 1.0) / n);
    }
}

static enum sn_err set_targets(struct search *s, struct sn_error *err)
{
    struct sn_arch arch;

    sn_arch_smallest(s->job->space, &arch);
    add_candidate(s, &arch);
    sn_arch_largest(s->job->space, &arch);
    add_candidate(s, &arch);
    enum sn_err rc = measure_latency(s, 0, err);
    if (rc != SN_OK)
        return rc;
    set_latencies(s, measured_ms(&s->item[0]), measured_ms(&s->item[1]));
    set_macs(s, cost_of(s, SN_COST_MACS, &s->item[0]),
             cost_of(s, SN_COST_MACS, &s->item[1]));
    return SN_OK;
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
    for (uint32_t i = 0; i < s->n; i++) {
        struct verified *v = &s->item[i];
        const struct sn_measured *known = find_final(job, &v->m.arch);
        if (sn_job_stopping(job))
            return SN_ERR_STOPPED;
        if (known != NULL) {
            v->m = *known; /* the same images and weights: the same count */
        } else {
            enum sn_err rc = sn_job_count(job, &settings, &v->m, err);
            if (rc != SN_OK)
                return rc;
        }
        v->estimate = believe(s, &v->m, &v->m.arch);
        job->phase_done = 0.9 * (i + 1) / s->n;
        sn_job_progress(job, false);
    }
    return SN_OK;
}

/* ---- answers ---- */

/* The best within (above, bound]; failing that the best within the bound;
 * failing that nothing is found, and the answer names the cheapest. */
static void choose(const struct search *s, struct target *t)
{
    const double floors[2] = {t->above, 0};
    uint32_t cheapest = 0;
    for (int pass = 0; pass < 2; pass++) {
        int64_t best = -1;
        for (uint32_t i = 0; i < s->n; i++) {
            double cost = cost_of(s, t->cost, &s->item[i]);
            if (cost < cost_of(s, t->cost, &s->item[cheapest]))
                cheapest = i;
            if (cost > floors[pass] && cost <= t->bound &&
                (best < 0 || s->item[i].estimate > s->item[best].estimate))
                best = i;
        }
        if (best >= 0) {
            t->answer = (uint32_t)best;
            t->found = true;
            return;
        }
    }
    t->answer = cheapest;
}

static bool is_selected(const struct search *s, uint32_t i)
{
    for (uint32_t t = 0; t < s->n_targets; t++)
        if (s->target[t].found && s->target[t].answer == i)
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

static enum sn_err test_item(struct search *s, uint32_t i, struct sn_error *err)
{
    struct sn_job *job = s->job;
    struct verified *v = &s->item[i];
    struct sn_evaluate_settings settings = {
        .calibration = (uint32_t)job->spec->search.calibration,
        .split = SN_SPLIT_TEST,
        .count = sn_view_count(job->view, SN_SPLIT_TEST),
    };
    struct sn_evaluation e, known;
    struct sn_measured m = {.arch = v->m.arch};
    enum sn_err rc = sn_job_count(job, &settings, &m, err);
    if (rc != SN_OK)
        return rc;
    v->test = m.halves;
    describe(s, i, &known);
    sn_job_evaluation(job, &m, SN_STAGE_VERIFY, SN_SPLIT_TEST, &e);
    e.predicted = known.predicted;
    e.latency = known.latency;
    sn_job_report_evaluation(job, &e);
    return SN_OK;
}

/* An architecture meets the test images once, however many targets it answers.
 */
static enum sn_err test_winner(struct search *s, uint32_t i,
                               struct sn_answer *answer, struct sn_error *err)
{
    const struct sn_halves *test = &s->item[i].test;
    enum sn_err rc = test->images[0] > 0 ? SN_OK : test_item(s, i, err);
    if (rc != SN_OK)
        return rc;
    answer->test_images = test->images[0] + test->images[1];
    answer->test_correct = test->correct[0] + test->correct[1];
    answer->test_accuracy = (double)answer->test_correct / answer->test_images;
    return SN_OK;
}

static void say_none_found(const struct search *s, const struct target *t)
{
    const struct verified *nearest = &s->item[t->answer];
    sn_job_log(s->job, SN_LOG_WARN,
               "no architecture is within %.4g %s; the cheapest found takes "
               "%.4g",
               t->bound, t->cost == SN_COST_LATENCY ? "ms" : "MACs",
               cost_of(s, t->cost, nearest));
}

static enum sn_err answer_targets(struct search *s, struct sn_error *err)
{
    const struct sn_callbacks *cb = s->job->run->callbacks;
    for (uint32_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->target[i];
        struct sn_answer answer = {.cost = t->cost,
                                   .bound = t->bound,
                                   .found = t->found,
                                   .test_accuracy = NAN};
        describe(s, t->answer, &answer.best);
        if (answer.found) {
            enum sn_err rc = test_winner(s, t->answer, &answer, err);
            if (rc != SN_OK)
                return rc;
        } else {
            say_none_found(s, t);
        }
        if (cb->answer != NULL)
            cb->answer(cb->arg, i, s->n_targets, &answer);
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
    const struct sn_targets *macs = &s->job->spec->search.macs;
    enum sn_err rc;
    if ((rc = fit_final(s, err)) || (rc = evolve(s, SN_COST_LATENCY, err)) ||
        ((macs->automatic || macs->n > 0) &&
         (rc = evolve(s, SN_COST_MACS, err))) ||
        (rc = set_targets(s, err)))
        return rc;
    uint32_t ends = s->n;
    for (uint32_t t = 0; t < s->n_targets; t++)
        add_best_between(s, &s->target[t]);
    if ((rc = verify_accuracy(s, err)) || (rc = measure_latency(s, ends, err)))
        return rc;
    for (uint32_t t = 0; t < s->n_targets; t++)
        choose(s, &s->target[t]);
    if ((rc = final_fronts(s, err)) != SN_OK)
        return rc;
    return answer_targets(s, err);
}

enum sn_err sn_phase_search(struct sn_job *job, struct sn_error *err)
{
    if (sn_spec_is_single(job->spec))
        return sn_single_measure(job, err);
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
