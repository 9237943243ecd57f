#include "engine/device/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/rng.h"

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- statistics ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const double *sorted, size_t n)
{
    return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

/* Ranks of the order statistics that hold the median with 95%: the binomial's
 * normal approximation, n/2 -+ 0.98 sqrt(n). */
static void median_interval(const double *sorted, size_t n,
                            struct sn_latency *ret)
{
    double half = 0.98 * sqrt((double)n);
    double lo = floor((double)n / 2 - half), hi = ceil((double)n / 2 + half);
    ret->low_ns = sorted[lo < 0 ? 0 : (size_t)lo];
    ret->high_ns = sorted[hi > (double)(n - 1) ? n - 1 : (size_t)hi];
}

void sn_latency_stats(double *ns, size_t n, struct sn_latency *ret)
{
    qsort(ns, n, sizeof ns[0], ascending);
    ret->median_ns = median_of(ns, n);
    ret->min_ns = ns[0];
    ret->samples = (uint32_t)n;
    median_interval(ns, n, ret);
    for (size_t i = 0; i < n; i++)
        ns[i] = fabs(ns[i] - ret->median_ns);
    qsort(ns, n, sizeof ns[0], ascending);
    ret->spread_ns = median_of(ns, n);
}

/* ---- measuring ---- */

struct bench {
    struct sn_cx *cx;
    const struct sn_static *const *net;
    size_t n;
    struct sn_static_space **space; /* one a network */
    struct sn_arena arena;
    float *image, *logits;
    double *sample; /* [n][max_samples] */
    uint32_t *count;
    struct sn_latency_budget budget;
    const atomic_bool *stop;
};

static struct sn_latency_budget
with_defaults(const struct sn_latency_budget *given)
{
    struct sn_latency_budget b = {0};
    if (given != NULL)
        b = *given;
    if (b.warmup_ms <= 0)
        b.warmup_ms = 10;
    if (b.measure_ms <= 0)
        b.measure_ms = 150;
    if (b.rounds == 0)
        b.rounds = 5;
    if (b.max_samples == 0)
        b.max_samples = 1000;
    if (b.min_samples == 0)
        b.min_samples = 15;
    if (b.min_samples > b.max_samples)
        b.min_samples = b.max_samples;
    return b;
}

static double run_once(const struct bench *b, size_t i)
{
    double start = now_ns();
    sn_static_forward(b->net[i], b->cx, b->space[i], b->image, 1, b->logits);
    return now_ns() - start;
}

static bool stopped(const struct bench *b)
{
    return b->stop != NULL && atomic_load(b->stop);
}

static void warm_up(const struct bench *b, size_t i)
{
    double end = now_ns() + b->budget.warmup_ms * 1e6;
    do
        run_once(b, i);
    while (now_ns() < end && !stopped(b));
}

/* One network's share of one round. */
static void measure_round(const struct bench *b, size_t i, uint32_t round)
{
    uint32_t rounds = b->budget.rounds, most = b->budget.max_samples;
    uint32_t least = b->budget.min_samples * (round + 1) / rounds;
    uint32_t quota = (uint32_t)((uint64_t)most * (round + 1) / rounds);
    double end = now_ns() + b->budget.measure_ms * 1e6 / rounds;

    run_once(b, i); /* its weights are cold after the others' */
    while (b->count[i] < quota && !stopped(b) &&
           (now_ns() < end || b->count[i] < least))
        b->sample[(size_t)i * most + b->count[i]++] = run_once(b, i);
}

static enum sn_err open_spaces(struct bench *b, size_t n, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    b->n = n;
    b->space = calloc(n, sizeof b->space[0]);
    if (b->space == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to measure");
    for (size_t i = 0; rc == SN_OK && i < n; i++)
        rc = sn_static_space_new(sn_cx_compute(b->cx),
                                 &sn_static_folded(b->net[i])->plan, 1,
                                 &b->space[i], err);
    return rc;
}

static enum sn_err open_bench(struct bench *b, size_t n, struct sn_error *err)
{
    const struct sn_plan *plan = &sn_static_folded(b->net[0])->plan;
    size_t image = 0; /* of the highest resolution among them */
    for (size_t i = 0; i < n; i++) {
        const struct sn_plan *p = &sn_static_folded(b->net[i])->plan;
        size_t floats = (size_t)p->in_channels * (size_t)p->resolution *
                        (size_t)p->resolution;
        image = floats > image ? floats : image;
    }
    size_t logits =
        (size_t)sn_compute_padded(sn_cx_compute(b->cx), plan->classes);
    struct sn_rng rng = sn_rng_make(0, SN_STREAM_DEVICE, 1);
    enum sn_err rc = open_spaces(b, n, err);
    if (rc == SN_OK)
        rc = sn_arena_init(&b->arena,
                           (sn_arena_round(image) + sn_arena_round(logits)) *
                               sizeof(float),
                           err);
    if (rc != SN_OK)
        return rc;
    b->image = sn_arena_floats(&b->arena, image);
    b->logits = sn_arena_floats(&b->arena, logits);
    for (size_t i = 0; i < image; i++)
        b->image[i] = (float)sn_rng_normal(&rng);
    b->sample = calloc(n * b->budget.max_samples, sizeof b->sample[0]);
    b->count = calloc(n, sizeof b->count[0]);
    if (b->sample == NULL || b->count == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to measure");
    return SN_OK;
}

static void close_bench(struct bench *b)
{
    for (size_t i = 0; b->space != NULL && i < b->n; i++)
        sn_static_space_free(b->space[i]);
    free(b->space);
    sn_arena_close(&b->arena);
    free(b->sample);
    free(b->count);
}

enum sn_err sn_latency_measure(struct sn_cx *cx,
                               const struct sn_static *const *net, size_t n,
                               const struct sn_latency_budget *budget,
                               const atomic_bool *stop, struct sn_latency *ret,
                               struct sn_error *err)
{
    struct bench b = {
        .cx = cx, .net = net, .budget = with_defaults(budget), .stop = stop};
    enum sn_err rc;

    if (n == 0)
        return SN_OK;
    rc = open_bench(&b, n, err);
    for (size_t i = 0; rc == SN_OK && i < n; i++)
        warm_up(&b, i);
    for (uint32_t r = 0; rc == SN_OK && r < b.budget.rounds; r++)
        for (size_t i = 0; i < n; i++)
            measure_round(&b, i, r);
    if (rc == SN_OK && stopped(&b))
        rc = sn_error_set(err, SN_ERR_STOPPED, "measuring was stopped");
    if (rc == SN_OK)
        rc = sn_cx_take_error(cx, err);
    for (size_t i = 0; rc == SN_OK && i < n; i++)
        sn_latency_stats(b.sample + i * b.budget.max_samples, b.count[i],
                         &ret[i]);
    close_bench(&b);
    return rc;
}
