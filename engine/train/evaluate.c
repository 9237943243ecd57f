#include "engine/train/evaluate.h"

#include <stdlib.h>
#include <string.h>

/* Images that are loaded at a time. */
enum { CHUNK = 64 };
/* Of those, images of one calibration pass: as in a shard of training, whose
 * statistics the weights have learned with. Twice as many take a tenth longer
 * an image, since they leave the cache, and twice the memory. */
enum { CALIBRATION = 32 };

struct lane { /* one a worker */
    struct sn_subnet *sub;
    struct sn_workspace *ws;
    struct sn_bn_stats *stats;
    struct sn_static_space *space;
    struct sn_view_room *room;
    struct sn_arena arena;
    float *images, *logits;
    int32_t labels[CHUNK];
    uint32_t index[CHUNK];
    struct sn_error error;
};

struct sn_evaluator {
    struct sn_pool *pool;
    const struct sn_supernet *net;
    const struct sn_view *view;
    struct lane *lane;
    uint32_t *calibration_order; /* a shuffle of the training images */
    uint32_t n_train;

    /* the call that runs */
    const struct sn_evaluate_settings *settings;
    const struct sn_arch *archs;
    struct sn_evaluate_result *results;
    struct sn_static **extracted; /* not NULL: extract, do not evaluate */
    struct sn_running *running;   /* not NULL: its statistics, with extracted */
};

static void largest_plan(const struct sn_supernet *net, struct sn_plan *ret)
{
    const struct sn_space *space = sn_supernet_space(net);
    struct sn_arch largest;
    sn_arch_largest(space, &largest);
    sn_plan_make(space, &largest, sn_supernet_in_channels(net),
                 sn_supernet_classes(net), ret);
}

static size_t images_floats(const struct sn_plan *plan)
{
    return sn_arena_round((size_t)CHUNK * (size_t)plan->in_channels *
                          (size_t)plan->resolution * (size_t)plan->resolution);
}

static size_t logits_floats(const struct sn_supernet *net)
{
    return sn_arena_round(CHUNK * sn_net_logit_stride(net));
}

size_t sn_evaluator_bytes(const struct sn_compute *compute,
                          const struct sn_supernet *net, int workers)
{
    struct sn_plan plan;
    largest_plan(net, &plan);
    size_t lane = sn_subnet_bytes(net) +
                  sn_workspace_bytes(net, 0, CALIBRATION, SN_STORE_F32) +
                  sn_static_bytes(compute, &plan) +
                  sn_static_space_bytes(compute, &plan, CHUNK) +
                  sizeof(float) * (images_floats(&plan) + logits_floats(net));
    return (size_t)workers * lane;
}

static enum sn_err lane_init(struct sn_evaluator *e, struct sn_compute *compute,
                             struct lane *lane, struct sn_error *err)
{
    const struct sn_supernet *net = e->net;
    struct sn_plan plan;
    enum sn_err rc;

    largest_plan(net, &plan);
    size_t images = images_floats(&plan), logits = logits_floats(net);
    rc = sn_subnet_new(net, &lane->sub, err);
    if (rc == SN_OK)
        rc =
            sn_workspace_new(net, 0, CALIBRATION, SN_STORE_F32, &lane->ws, err);
    if (rc == SN_OK)
        rc = sn_bn_stats_new(net, &lane->stats, err);
    if (rc == SN_OK)
        rc = sn_static_space_new(compute, &plan, CHUNK, &lane->space, err);
    if (rc == SN_OK)
        rc = sn_view_room_new(&lane->room, err);
    if (rc == SN_OK)
        rc =
            sn_arena_init(&lane->arena, (images + logits) * sizeof(float), err);
    if (rc != SN_OK)
        return rc;
    lane->images = sn_arena_floats(&lane->arena, images);
    lane->logits = sn_arena_floats(&lane->arena, logits);
    return SN_OK;
}

enum sn_err sn_evaluator_new(struct sn_compute *compute, struct sn_pool *pool,
                             const struct sn_supernet *net,
                             const struct sn_view *view, uint64_t seed,
                             struct sn_evaluator **ret, struct sn_error *err)
{
    struct sn_evaluator *e = calloc(1, sizeof *e);
    enum sn_err rc = SN_OK;
    if (e == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluation");
    e->pool = pool;
    e->net = net;
    e->view = view;
    e->n_train = sn_view_count(view, SN_SPLIT_TRAIN);
    e->lane = calloc((size_t)sn_pool_workers(pool), sizeof e->lane[0]);
    e->calibration_order = calloc(e->n_train, sizeof e->calibration_order[0]);
    if (e->lane == NULL || e->calibration_order == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluation");
    for (int w = 0; w < sn_pool_workers(pool) && rc == SN_OK; w++)
        rc = lane_init(e, compute, &e->lane[w], err);
    if (rc != SN_OK) {
        sn_evaluator_free(e);
        return rc;
    }
    for (uint32_t i = 0; i < e->n_train; i++)
        e->calibration_order[i] = i;
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_CALIBRATE, 0);
    sn_rng_shuffle(&rng, e->calibration_order, e->n_train);
    *ret = e;
    return SN_OK;
}

void sn_evaluator_free(struct sn_evaluator *e)
{
    if (e == NULL)
        return;
    for (int w = 0; e->lane != NULL && w < sn_pool_workers(e->pool); w++) {
        struct lane *lane = &e->lane[w];
        sn_subnet_free(lane->sub);
        sn_workspace_free(lane->ws);
        sn_bn_stats_free(lane->stats);
        sn_static_space_free(lane->space);
        sn_view_room_free(lane->room);
        sn_arena_close(&lane->arena);
    }
    free(e->lane);
    free(e->calibration_order);
    free(e);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Binds, re-calibrates and folds; the caller frees. */
static enum sn_err extract(struct sn_evaluator *e, struct lane *lane,
                           struct sn_cx *cx, const struct sn_arch *arch,
                           uint32_t calibration, struct sn_static **ret,
                           struct sn_error *err)
{
    uint32_t wanted = smaller(calibration, e->n_train);

    sn_subnet_bind(lane->sub, NULL, arch);
    sn_bn_stats_reset(lane->stats);
    for (uint32_t at = 0; at < wanted;) {
        uint32_t n = smaller(CALIBRATION, wanted - at);
        struct sn_batch batch = {SN_SPLIT_TRAIN, e->calibration_order + at, n,
                                 arch->resolution, NULL};
        enum sn_err rc = sn_view_batch(e->view, &batch, lane->room,
                                       lane->images, lane->labels, err);
        if (rc != SN_OK)
            return rc;
        sn_subnet_calibrate(lane->sub, cx, lane->ws, lane->images, (int)n,
                            lane->stats);
        at += n;
    }
    return sn_static_new(lane->sub, lane->stats, ret, err);
}

static uint32_t argmax(const float *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return (uint32_t)best;
}

static enum sn_err count_correct(struct sn_evaluator *e, struct lane *lane,
                                 struct sn_cx *cx, const struct sn_static *net,
                                 struct sn_evaluate_result *ret,
                                 struct sn_error *err)
{
    int resolution = sn_subnet_plan(lane->sub)->resolution;
    const struct sn_evaluate_settings *set = e->settings;
    size_t stride = sn_net_logit_stride(e->net);
    int classes = sn_supernet_classes(e->net);

    for (uint32_t at = 0; at < set->count;) {
        uint32_t n = smaller(CHUNK, set->count - at);
        for (uint32_t i = 0; i < n; i++)
            lane->index[i] = set->first + at + i;
        struct sn_batch batch = {set->split, lane->index, n, resolution, NULL};
        enum sn_err rc = sn_view_batch(e->view, &batch, lane->room,
                                       lane->images, lane->labels, err);
        if (rc != SN_OK)
            return rc;
        sn_static_forward(net, cx, lane->space, lane->images, (int)n,
                          lane->logits);
        for (uint32_t i = 0; i < n; i++) {
            bool hit = argmax(lane->logits + i * stride, classes) ==
                       (uint32_t)lane->labels[i];
            uint32_t half = (at + i) % 2;
            ret->images++;
            ret->correct += hit;
            ret->half_images[half]++;
            ret->half_correct[half] += hit;
        }
        at += n;
    }
    return SN_OK;
}

static void task_evaluate(void *arg, uint32_t task, int worker,
                          struct sn_cx *cx)
{
    struct sn_evaluator *e = arg;
    struct lane *lane = &e->lane[worker];
    struct sn_static *net = NULL;
    struct sn_cost cost;

    if (lane->error.code != SN_OK)
        return;
    if (extract(e, lane, cx, &e->archs[task], e->settings->calibration, &net,
                &lane->error) != SN_OK)
        return;
    if (e->extracted != NULL) {
        e->extracted[task] = net;
        if (e->running != NULL)
            sn_running_take(e->running, lane->stats);
        return;
    }
    struct sn_evaluate_result *r = &e->results[task];
    memset(r, 0, sizeof *r);
    (void)count_correct(e, lane, cx, net, r, &lane->error);
    sn_plan_cost(sn_subnet_plan(lane->sub), &cost);
    r->macs = cost.macs * ((double)e->settings->calibration + r->images);
    sn_static_free(net);
}

static enum sn_err run(struct sn_evaluator *e, uint32_t n, struct sn_error *err)
{
    for (int w = 0; w < sn_pool_workers(e->pool); w++)
        e->lane[w].error = (struct sn_error){0};
    enum sn_err rc = sn_pool_run(e->pool, n, task_evaluate, e, err);
    for (int w = 0; w < sn_pool_workers(e->pool) && rc == SN_OK; w++) {
        if (e->lane[w].error.code == SN_OK)
            continue;
        rc = e->lane[w].error.code;
        if (err != NULL)
            *err = e->lane[w].error;
    }
    return rc;
}

enum sn_err sn_evaluate(struct sn_evaluator *e,
                        const struct sn_evaluate_settings *settings,
                        const struct sn_arch *archs, uint32_t n,
                        struct sn_evaluate_result *ret, struct sn_error *err)
{
    uint32_t have = sn_view_count(e->view, settings->split);
    if (settings->first > have || settings->count > have - settings->first)
        return sn_error_set(err, SN_ERR_RANGE,
                            "images %u to %u of a split of %u", settings->first,
                            settings->first + settings->count, have);
    e->settings = settings;
    e->archs = archs;
    e->results = ret;
    e->extracted = NULL;
    return run(e, n, err);
}

enum sn_err sn_evaluator_extract(struct sn_evaluator *e,
                                 const struct sn_arch *arch,
                                 uint32_t calibration, struct sn_static **ret,
                                 struct sn_error *err)
{
    struct sn_evaluate_settings settings = {.calibration = calibration};
    struct sn_static *net = NULL;
    e->settings = &settings;
    e->archs = arch;
    e->results = NULL;
    e->extracted = &net;
    enum sn_err rc = run(e, 1, err);
    if (rc == SN_OK)
        *ret = net;
    else
        sn_static_free(net);
    return rc;
}

enum sn_err sn_evaluator_statistics(struct sn_evaluator *e,
                                    const struct sn_arch *arch,
                                    uint32_t calibration,
                                    struct sn_running *ret,
                                    struct sn_error *err)
{
    struct sn_static *net = NULL;
    e->running = ret;
    enum sn_err rc = sn_evaluator_extract(e, arch, calibration, &net, err);
    e->running = NULL;
    sn_static_free(net);
    return rc;
}
