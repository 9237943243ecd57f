/* What a run says while it goes on: cost, progress, series, evaluations. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/run/job.h"
#include "engine/search/pareto.h"

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double sn_job_now(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

void sn_job_log(const struct sn_job *job, enum sn_log_level level,
                const char *fmt, ...)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    char text[512];
    va_list ap;
    if (cb->log == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cb->log(cb->arg, level, text);
}

static double epoch_of(const struct sn_job *job)
{
    struct sn_budget b;
    if (!sn_spec_trains(job->spec))
        return 0; /* the steps are another's */
    sn_budget_make(job->spec, &b);
    return (double)job->state.step / (double)b.steps_per_epoch;
}

void sn_job_series(const struct sn_job *job, const char *name, double value)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    if (cb->series != NULL && isfinite(value))
        cb->series(cb->arg, name, job->state.step, epoch_of(job), value);
}

bool sn_job_stopping(const struct sn_job *job)
{
    return job->run->stop != NULL && atomic_load(job->run->stop) != 0;
}

/* ---- cost ---- */

void sn_job_spend(struct sn_job *job, double images, double macs)
{
    enum sn_phase_kind kind = job->phases.phase[job->state.phase].kind;
    struct sn_phase_cost *cost = &job->state.cost[kind];
    double wall = sn_job_now();
    /* the process's: the loop and the writer are in it, and small beside it */
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);

    if (job->phase_wall > 0) {
        cost->wall_s += wall - job->phase_wall;
        cost->cpu_s += cpu - job->phase_cpu;
    }
    job->phase_wall = wall;
    job->phase_cpu = cpu;
    cost->images += images;
    cost->macs += macs;

    job->rate_images += images;
    double span = wall - job->rate_time;
    if (span >= 1) {
        job->images_per_s = job->rate_images / span;
        job->rate_images = 0;
        job->rate_time = wall;
    }
}

/* ---- progress ---- */

static double phase_fraction(const struct sn_job *job)
{
    const struct sn_strategy_phase *p = &job->phases.phase[job->state.phase];
    if (p->steps > 0)
        return (double)job->state.in_phase / (double)p->steps;
    return job->phase_done;
}

static double job_fraction(const struct sn_job *job)
{
    double done = 0;
    for (uint32_t i = 0; i < job->state.phase; i++)
        done += job->phase_macs[i];
    done += phase_fraction(job) * job->phase_macs[job->state.phase];
    return job->total_macs > 0 ? done / job->total_macs : 0;
}

void sn_job_progress(struct sn_job *job, bool always)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    double now = sn_job_now();
    if (cb->progress == NULL || (!always && now - job->last_progress < 0.25))
        return;
    job->last_progress = now;

    struct sn_progress p = {
        .fraction = job_fraction(job),
        .phase_fraction = phase_fraction(job),
        .eta_s = NAN,
        .images_per_s = job->images_per_s,
        .epoch = epoch_of(job),
        .step = job->state.step,
    };
    const struct sn_strategy_phase *phase =
        &job->phases.phase[job->state.phase];
    p.phase.kind = phase->kind;
    snprintf(p.phase.name, sizeof p.phase.name, "%s", phase->name);
    p.phase.index = (int)job->state.phase;
    p.phase.of = job->phases.n;
    double gained = p.fraction - job->start_fraction;
    if (gained > 0.01)
        p.eta_s = (now - job->started) * (1 - p.fraction) / gained;
    memcpy(p.cost, job->state.cost, sizeof p.cost);
    cb->progress(cb->arg, &p);
}

/* ---- evaluations ---- */

double sn_measured_accuracy(const struct sn_measured *m)
{
    uint32_t images = m->halves.images[0] + m->halves.images[1];
    uint32_t correct = m->halves.correct[0] + m->halves.correct[1];
    return images > 0 ? (double)correct / images : 0;
}

double sn_job_latency_ms(const struct sn_job *job, const struct sn_arch *arch)
{
    struct sn_estimate e;
    sn_table_estimate(job->table, arch, &e);
    return e.ns * 1e-6;
}

void sn_job_evaluation(const struct sn_job *job, const struct sn_measured *m,
                       enum sn_stage_kind stage, enum sn_split split,
                       struct sn_evaluation *ret)
{
    struct sn_plan plan;
    struct sn_estimate e;

    memset(ret, 0, sizeof *ret);
    sn_arch_encode(job->space, &m->arch, ret->arch);
    ret->stage = stage;
    ret->split = split;
    ret->step = job->state.step;
    ret->images = m->halves.images[0] + m->halves.images[1];
    ret->correct = m->halves.correct[0] + m->halves.correct[1];
    ret->accuracy = sn_measured_accuracy(m);
    ret->predicted = job->state.predictor != NULL
                         ? sn_predictor_score(job->state.predictor, &m->arch)
                         : NAN;
    sn_plan_make(job->space, &m->arch, job->info.channels, job->info.classes,
                 &plan);
    sn_plan_cost(&plan, &ret->cost);
    sn_table_estimate(job->table, &m->arch, &e);
    ret->latency = (struct sn_latency_ms){
        .predicted = e.ns * 1e-6,
        .measured = NAN,
        .lo = e.low_ns * 1e-6,
        .hi = e.high_ns * 1e-6,
    };
}

void sn_job_report_evaluation(const struct sn_job *job,
                              const struct sn_evaluation *evaluation)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    if (cb->evaluation != NULL)
        cb->evaluation(cb->arg, evaluation);
}

/* ---- fronts ---- */

static double cost_of(const struct sn_evaluation *e, enum sn_cost_kind kind)
{
    switch (kind) {
    case SN_COST_LATENCY:
        return isnan(e->latency.measured) ? e->latency.predicted
                                          : e->latency.measured;
    case SN_COST_MACS:
        return e->cost.macs;
    case SN_COST_PARAMS:
        return e->cost.params;
    case SN_COST_PEAK_MEMORY:
        return e->cost.peak_memory;
    default:
        return NAN;
    }
}

struct front_room {
    struct sn_point *point;
    uint32_t *index;
    struct sn_evaluation *item;
};

static enum sn_err report_front(struct sn_job *job, enum sn_cost_kind kind,
                                const struct sn_evaluation *items, uint32_t n,
                                struct front_room *room, struct sn_error *err)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    struct sn_front_report report = {
        .cost = kind,
        .as_of_step = job->state.step,
        .items = room->item,
    };
    struct sn_point reference = {0, 0};
    double volume;

    for (uint32_t i = 0; i < n; i++) {
        double cost = cost_of(&items[i], kind);
        room->point[i] = (struct sn_point){items[i].accuracy, cost};
        if (cost > reference.cost)
            reference.cost = cost;
    }
    enum sn_err rc =
        sn_pareto_front(room->point, n, room->index, &report.n, err);
    if (rc == SN_OK)
        rc = sn_pareto_hypervolume(room->point, n, reference, &volume, err);
    if (rc != SN_OK)
        return rc;
    for (uint32_t i = 0; i < report.n; i++)
        room->item[i] = items[room->index[i]];
    snprintf(report.device, sizeof report.device, "%s",
             job->spec->search.device);
    if (cb->front != NULL)
        cb->front(cb->arg, &report);
    /* as a share of the box from zero accuracy and no cost to the dearest */
    if (kind == SN_COST_MACS && reference.cost > 0)
        sn_job_series(job, "hypervolume", volume / reference.cost);
    return SN_OK;
}

enum sn_err sn_job_report_fronts(struct sn_job *job,
                                 const struct sn_evaluation *items, uint32_t n,
                                 struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    struct front_room room = {
        .point = calloc(n + 1, sizeof *room.point),
        .index = calloc(n + 1, sizeof *room.index),
        .item = calloc(n + 1, sizeof *room.item),
    };
    if (room.point == NULL || room.index == NULL || room.item == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a front");
    double best = 0;
    for (uint32_t i = 0; i < n; i++)
        best = items[i].accuracy > best ? items[i].accuracy : best;
    if (n > 0)
        sn_job_series(job, "best_accuracy", best);
    for (int k = 0; k < SN_COST_KINDS && rc == SN_OK; k++)
        if (job->spec->search.costs & (1 << k))
            rc = report_front(job, (enum sn_cost_kind)k, items, n, &room, err);
    free(room.point);
    free(room.index);
    free(room.item);
    return rc;
}
