/* Static networks: evaluation on all workers, latency in one thread. */
#include <stdlib.h>
#include <string.h>

#include "engine/device/latency.h"
#include "engine/net/static.h"
#include "engine/rng.h"
#include "tests/bench/engine_rows.h"
#include "tests/bench/timing.h"

/* Batches of a round for each worker. */
enum { BATCHES = 4 };

static void plan_of(const struct sn_space *space, bool largest,
                    struct sn_plan *ret)
{
    struct sn_arch arch;
    if (largest)
        sn_arch_largest(space, &arch);
    else
        sn_arch_smallest(space, &arch);
    sn_plan_make(space, &arch, BENCH_CHANNELS, BENCH_CLASSES, ret);
}

static double flops_of(const struct sn_plan *plan)
{
    struct sn_cost cost;
    sn_plan_cost(plan, &cost);
    return 2 * cost.macs;
}

/* ---- evaluation ---- */

struct lane { /* one a worker */
    struct sn_static_space *space;
    struct sn_arena arena;
    float *images, *logits;
};

struct evaluation {
    struct sn_pool *pool;
    struct sn_static *net;
    struct lane *lane;
    int batch, workers;
};

static enum sn_err lane_init(struct lane *lane, struct sn_compute *compute,
                             const struct sn_plan *plan, int batch,
                             struct sn_error *err)
{
    const size_t images =
        (size_t)batch * BENCH_CHANNELS * BENCH_SIDE * BENCH_SIDE;
    const size_t logits =
        (size_t)batch * (size_t)sn_compute_padded(compute, plan->classes);
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    enum sn_err rc =
        sn_static_space_new(compute, plan, batch, &lane->space, err);
    if (rc == SN_OK)
        rc = sn_arena_init(&lane->arena,
                           (sn_arena_round(images) + sn_arena_round(logits)) *
                               sizeof(float),
                           err);
    if (rc != SN_OK)
        return rc;
    lane->images = sn_arena_floats(&lane->arena, images);
    lane->logits = sn_arena_floats(&lane->arena, logits);
    for (size_t j = 0; j < images; j++)
        lane->images[j] = (float)sn_rng_uniform(&rng);
    return SN_OK;
}

static void task_forward(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct evaluation *e = arg;
    struct lane *lane = &e->lane[worker];
    sn_static_forward(e->net, cx, lane->space, lane->images, e->batch,
                      lane->logits);
}

static enum sn_err time_evaluation(struct evaluation *e,
                                   const struct bench_window *window,
                                   struct bench_row *ret, struct sn_error *err)
{
    const uint32_t tasks = (uint32_t)(BATCHES * e->workers);
    enum sn_err rc = sn_pool_run(e->pool, tasks, task_forward, e, err);
    for (int w = 0; w < window->times && rc == SN_OK; w++) {
        const double from = bench_now(), cpu = bench_cpu();
        double took = 0, images = 0;
        while (took < window->seconds && rc == SN_OK) {
            rc = sn_pool_run(e->pool, tasks, task_forward, e, err);
            images += (double)tasks * e->batch;
            took = bench_now() - from;
        }
        if (images / took > ret->images_per_s) {
            ret->images_per_s = images / took;
            ret->cpu = (bench_cpu() - cpu) / (took * ret->workers);
        }
    }
    ret->ms = 1e3 * e->batch * e->workers / ret->images_per_s;
    return rc;
}

enum sn_err bench_evaluation_row(const struct bench_setting *set,
                                 const char *name, int workers,
                                 struct bench_row *ret, struct sn_error *err)
{
    struct bench_row row = {.name = name, .workers = workers};
    struct evaluation e = {.batch = set->evaluation_batch, .workers = workers};
    struct sn_plan plan;
    plan_of(set->space, strcmp(name, "eval_largest") == 0, &plan);
    row.flops_per_image = flops_of(&plan);
    e.lane = calloc((size_t)workers, sizeof e.lane[0]);
    if (!e.lane)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluation");
    enum sn_err rc = sn_pool_new(set->compute, workers, &e.pool, err);
    if (rc == SN_OK)
        rc = sn_static_new_random(set->compute, &plan, 1, &e.net, err);
    for (int w = 0; w < workers && rc == SN_OK; w++)
        rc = lane_init(&e.lane[w], set->compute, &plan, e.batch, err);
    if (rc == SN_OK)
        rc = time_evaluation(&e, &set->window, &row, err);
    sn_pool_free(e.pool);
    for (int w = 0; w < workers; w++) {
        sn_static_space_free(e.lane[w].space);
        sn_arena_close(&e.lane[w].arena);
    }
    sn_static_free(e.net);
    free(e.lane);
    if (rc == SN_OK)
        *ret = row;
    return rc;
}

/* ---- latency ---- */

static void latency_row(const struct sn_latency *l, struct bench_row *ret)
{
    ret->workers = 1;
    ret->ms = l->median_ns / 1e6;
    ret->ms_low = l->low_ns / 1e6;
    ret->ms_high = l->high_ns / 1e6;
    ret->images_per_s = 1e9 / l->median_ns;
}

enum sn_err bench_latency_rows(const struct bench_setting *set,
                               struct bench_row ret[2], struct sn_error *err)
{
    static const char *const name[2] = {"latency_largest", "latency_smallest"};
    const struct sn_latency_budget budget = {
        .warmup_ms = 100,
        .measure_ms = 1e3 * set->window.seconds * set->window.times,
        .rounds = 20,
        .min_samples = 100,
        .max_samples = 20000,
    };
    struct bench_row row[2] = {{0}};
    struct sn_static *net[2] = {NULL};
    struct sn_latency latency[2];
    struct sn_cx *cx = NULL;
    enum sn_err rc = sn_cx_new(set->compute, &cx, err);
    for (int j = 0; j < 2 && rc == SN_OK; j++) {
        struct sn_plan plan;
        plan_of(set->space, j == 0, &plan);
        row[j].name = name[j];
        row[j].flops_per_image = flops_of(&plan);
        rc = sn_static_new_random(set->compute, &plan, 1, &net[j], err);
    }
    if (rc == SN_OK) {
        const struct sn_static *const measured[2] = {net[0], net[1]};
        rc = sn_latency_measure(cx, measured, 2, &budget, NULL, latency, err);
    }
    for (int j = 0; j < 2; j++) {
        sn_static_free(net[j]);
        if (rc == SN_OK) {
            latency_row(&latency[j], &row[j]);
            ret[j] = row[j];
        }
    }
    sn_cx_free(cx);
    return rc;
}
