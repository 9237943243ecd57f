/* Where a step's time goes: the trainer's calls one after the other in one
 * thread, each with its own clock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/net.h"
#include "engine/train/optimizer.h"
#include "engine/train/sampler.h"
#include "tests/bench/engine_rows.h"
#include "tests/bench/timing.h"

enum { SHARDS = BENCH_BATCH / BENCH_SHARD };

const char *bench_part_name(enum bench_part part)
{
    static const char *const name[BENCH_PARTS] = {
        "bind", "load", "forward", "loss", "backward", "reduce", "update"};
    return name[part];
}

struct step {
    const struct bench_setting *set;
    struct sn_cx *cx;
    struct sn_supernet *net;
    struct sn_subnet *sub;
    struct sn_workspace *ws;
    struct sn_view_room *room;
    struct sn_arena arena;
    float *images[SHARDS], *gradient[SHARDS];
    float *logits, *dlogits, *master, *momentum;
    int32_t labels[SHARDS][BENCH_SHARD];
    double seconds[BENCH_PARTS];
};

static size_t image_floats(void)
{
    return (size_t)BENCH_SHARD * BENCH_CHANNELS * BENCH_SIDE * BENCH_SIDE;
}

static enum sn_err take_buffers(struct step *s, struct sn_error *err)
{
    const size_t gradient = sn_net_gradient_floats(s->net);
    const size_t logits = BENCH_SHARD * sn_net_logit_stride(s->net);
    const size_t size = sn_supernet_size(s->net);
    const size_t floats =
        SHARDS * (sn_arena_round(image_floats()) + sn_arena_round(gradient)) +
        2 * sn_arena_round(logits) + 2 * sn_arena_round(size);
    enum sn_err rc = sn_arena_init(&s->arena, floats * sizeof(float), err);
    if (rc != SN_OK)
        return rc;
    for (int j = 0; j < SHARDS; j++) {
        s->images[j] = sn_arena_floats(&s->arena, image_floats());
        s->gradient[j] = sn_arena_floats(&s->arena, gradient);
    }
    s->logits = sn_arena_floats(&s->arena, logits);
    s->dlogits = sn_arena_floats(&s->arena, logits);
    s->master = sn_arena_floats(&s->arena, size);
    s->momentum = sn_arena_floats(&s->arena, size);
    memset(s->momentum, 0, size * sizeof(float));
    return SN_OK;
}

static enum sn_err step_open(struct step *s, const struct bench_setting *set,
                             struct sn_error *err)
{
    s->set = set;
    enum sn_err rc = sn_cx_new(set->compute, &s->cx, err);
    if (rc == SN_OK)
        rc = sn_supernet_new(set->compute, set->space, BENCH_CHANNELS,
                             BENCH_CLASSES, 1, &s->net, err);
    if (rc == SN_OK)
        rc = sn_subnet_new(s->net, &s->sub, err);
    if (rc == SN_OK)
        rc = sn_workspace_new(s->net, BENCH_SHARD, 1, s->set->store, &s->ws,
                              err);
    if (rc == SN_OK)
        rc = sn_view_room_new(&s->room, err);
    return rc == SN_OK ? take_buffers(s, err) : rc;
}

static void step_close(struct step *s)
{
    sn_arena_close(&s->arena);
    sn_workspace_free(s->ws);
    sn_view_room_free(s->room);
    sn_subnet_free(s->sub);
    sn_supernet_free(s->net);
    sn_cx_free(s->cx);
}

/* Gives the time since *from to a part, and starts the next. */
static void lap(struct step *s, enum bench_part part, double *from)
{
    const double now = bench_now();
    s->seconds[part] += now - *from;
    *from = now;
}

static void one_shard(struct step *s, int j, double *at)
{
    const struct sn_augment aug = {.on = true, .pad = 1, .flip = true};
    const struct sn_loss loss = {.n = BENCH_SHARD,
                                 .classes = BENCH_CLASSES,
                                 .smoothing = 0.1f,
                                 .label_weight = 1,
                                 .grad_scale = 1.0f / BENCH_BATCH};
    uint32_t index[BENCH_SHARD], correct;
    double sum;
    for (uint32_t i = 0; i < BENCH_SHARD; i++)
        index[i] = (uint32_t)j * BENCH_SHARD + i;
    const struct sn_batch batch = {SN_SPLIT_TRAIN, index, BENCH_SHARD,
                                   BENCH_SIDE, &aug};
    (void)sn_view_batch(s->set->images->view, &batch, s->room, s->images[j],
                        s->labels[j], NULL);
    lap(s, BENCH_PART_LOAD, at);
    sn_subnet_forward_train(s->sub, s->cx, s->ws, s->images[j], BENCH_SHARD,
                            s->logits);
    lap(s, BENCH_PART_FORWARD, at);
    sn_loss_softmax(s->cx, &loss, s->logits, s->labels[j], NULL, s->dlogits,
                    &sum, &correct);
    lap(s, BENCH_PART_LOSS, at);
    sn_subnet_backward(s->sub, s->cx, s->ws, s->images[j], BENCH_SHARD,
                       s->dlogits, s->gradient[j]);
    lap(s, BENCH_PART_BACKWARD, at);
}

static void update(struct step *s)
{
    const struct sn_tensor *tensor;
    const size_t n = sn_supernet_tensors(s->net, &tensor);
    float *weights = sn_supernet_weights(s->net);
    for (size_t k = 0; k < n; k++) {
        const struct sn_tensor *w = &tensor[k];
        const struct sn_sgd sgd = {.rate = 1e-3f,
                                   .momentum = 0.9f,
                                   .decay = w->decays ? 3e-5f : 0,
                                   .scale = 1,
                                   .clip = INFINITY};
        sn_sgd_update(&sgd, w->count, s->master + w->offset,
                      s->momentum + w->offset, weights + w->offset);
    }
}

static void one_step(struct step *s, const struct sn_arch *arch)
{
    double at = bench_now();
    sn_subnet_bind(s->sub, NULL, arch);
    lap(s, BENCH_PART_BIND, &at);
    for (int j = 0; j < SHARDS; j++)
        one_shard(s, j, &at);
    for (int part = 0; part < sn_net_parts(s->net); part++)
        sn_net_reduce(s->net, &s->sub, 1, s->gradient, SHARDS, part, false,
                      s->master);
    lap(s, BENCH_PART_REDUCE, &at);
    update(s);
    lap(s, BENCH_PART_UPDATE, &at);
}

/* The architectures that the training row of this name has, `ret` of `most`. */
static int archs_of(const struct bench_setting *set, const char *name, int most,
                    struct sn_arch *ret)
{
    struct sn_sampler sampler;
    struct sn_limits all;
    if (strcmp(name, "largest") == 0) {
        sn_arch_largest(set->space, ret);
        return 1;
    }
    if (strcmp(name, "smallest") == 0) {
        sn_arch_smallest(set->space, ret);
        return 1;
    }
    sn_limits_all(set->space, &all);
    sn_sampler_init(&sampler, set->space, SN_SAMPLE_PATHS, 1, &all);
    for (int j = 0; j < most; j++)
        (void)sn_sampler_draw(&sampler, 1, (uint64_t)j, &ret[j]);
    return most;
}

/* Of several rounds over the architectures the quickest, part by part. */
enum sn_err bench_parts_measure(const struct bench_setting *set,
                                const char *name, struct bench_parts *ret,
                                struct sn_error *err)
{
    enum { ARCHS = 8, LEAST_ROUNDS = 1 };
    struct sn_arch arch[ARCHS];
    struct step *s = calloc(1, sizeof *s);
    struct bench_parts parts = {.name = name, .store = set->store};
    if (!s)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a step");
    enum sn_err rc = step_open(s, set, err);
    const int n = archs_of(set, name, ARCHS, arch);
    const double end = bench_now() + 2 * set->window.seconds;
    for (int r = 0; rc == SN_OK; r++) {
        if (r > LEAST_ROUNDS && bench_now() > end)
            break;
        memset(s->seconds, 0, sizeof s->seconds);
        for (int j = 0; j < n; j++)
            one_step(s, &arch[j]);
        rc = sn_cx_take_error(s->cx, err);
        for (int p = 0; p < BENCH_PARTS && r > 0; p++) { /* the 0th warms up */
            const double ms = 1e3 * s->seconds[p] / n;
            if (r == 1 || ms < parts.ms[p])
                parts.ms[p] = ms;
        }
    }
    step_close(s);
    free(s);
    if (rc == SN_OK)
        *ret = parts;
    return rc;
}

enum sn_err bench_memory_measure(const struct bench_setting *set,
                                 struct bench_memory *ret, struct sn_error *err)
{
    struct sn_supernet *net = NULL;
    enum sn_err rc = sn_supernet_new(set->compute, set->space, BENCH_CHANNELS,
                                     BENCH_CLASSES, 1, &net, err);
    if (rc != SN_OK)
        return rc;
    *ret = (struct bench_memory){
        .weights = sn_supernet_size(net) * sizeof(float),
        .workspace =
            sn_workspace_bytes(net, BENCH_SHARD, BENCH_SHARD, SN_STORE_F32),
        .gradient = sn_net_gradient_floats(net) * sizeof(float),
        .forward_workspace =
            sn_workspace_bytes(net, 1, set->evaluation_batch, SN_STORE_F32),
    };
    sn_supernet_free(net);
    return SN_OK;
}
