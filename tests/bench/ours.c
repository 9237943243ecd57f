#include "tests/bench/ours.h"

#include <stdlib.h>

#include "engine/compute/context.h"
#include "engine/compute/primitives.h"
#include "engine/rng.h"

struct bench_ours {
    struct sn_cx *cx; /* borrowed */
    struct bench_case c;
    struct sn_arena memory;
    float *x, *y, *dx, *dy, *packed, *packed_back, *dweights;
    float *gamma, *beta, *mean, *rstd, *scale, *shift, *sums, *dgamma, *dbeta;
};

static enum sn_cact act_of(enum sn_act act)
{
    static const enum sn_cact table[] = {[SN_ACT_NONE] = SN_CACT_NONE,
                                         [SN_ACT_RELU] = SN_CACT_RELU,
                                         [SN_ACT_HSWISH] = SN_CACT_HSWISH,
                                         [SN_ACT_RELU6] = SN_CACT_RELU6};
    return table[act];
}

/* Never zero nor negative where `positive`: variances and their like. */
static float *noise(struct bench_ours *o, size_t floats, bool positive)
{
    struct sn_rng rng = sn_rng_make(floats, SN_STREAM_TEST, 0);
    float *at = sn_arena_floats(&o->memory, floats);
    for (size_t j = 0; j < floats; j++) {
        const float v = (float)sn_rng_uniform(&rng);
        at[j] = positive ? 0.5f + v : 2 * v - 1;
    }
    return at;
}

struct sizes {
    size_t in, out, weights, vector;
};

static struct sizes sizes_of(const struct sn_compute *compute,
                             const struct bench_case *c)
{
    const size_t ip = (size_t)sn_compute_padded(compute, c->i);
    const size_t op = (size_t)sn_compute_padded(compute, c->o);
    const size_t in = (size_t)c->n * (size_t)c->h * (size_t)c->w;
    const size_t out = (size_t)c->n * (size_t)bench_case_out(c, c->h) *
                       (size_t)bench_case_out(c, c->w);
    return (struct sizes){
        .in = in * ip,
        .out = out * op,
        .weights = (size_t)c->k * (size_t)c->k * op *
                   (c->op >= BENCH_DW_FORWARD ? 1 : ip),
        .vector = op,
    };
}

struct bench_ours *bench_ours_new(struct sn_cx *cx, const struct bench_case *c)
{
    struct bench_ours *o = calloc(1, sizeof *o);
    const struct sizes s = sizes_of(sn_cx_compute(cx), c);
    const size_t floats = 2 * sn_arena_round(s.in) + 2 * sn_arena_round(s.out) +
                          3 * sn_arena_round(s.weights) +
                          10 * sn_arena_round(s.vector);
    if (!o)
        return NULL;
    if (sn_arena_init(&o->memory, floats * sizeof(float), NULL) != SN_OK) {
        free(o);
        return NULL;
    }
    o->cx = cx;
    o->c = *c;
    o->x = noise(o, s.in, false);
    o->dx = noise(o, s.in, false);
    o->y = noise(o, s.out, false);
    o->dy = noise(o, s.out, false);
    o->packed = noise(o, s.weights, false);
    o->packed_back = noise(o, s.weights, false);
    o->dweights = noise(o, s.weights, false);
    o->gamma = noise(o, s.vector, true);
    o->rstd = noise(o, s.vector, true);
    o->scale = noise(o, s.vector, true);
    o->beta = noise(o, s.vector, false);
    o->mean = noise(o, s.vector, false);
    o->shift = noise(o, s.vector, false);
    o->dgamma = noise(o, s.vector, false);
    o->dbeta = noise(o, s.vector, false);
    o->sums = noise(o, 2 * s.vector, true);
    return o;
}

void bench_ours_free(struct bench_ours *o)
{
    if (!o)
        return;
    sn_arena_close(&o->memory);
    free(o);
}

bool bench_ours_has(const struct bench_ours *o, enum bench_way way)
{
    return way == BENCH_ENGINE ||
           (o->c.op >= BENCH_CONV1_FORWARD && o->c.op <= BENCH_CONV1_WEIGHTS);
}

/* ---- 1x1 convolutions, in three ways ---- */

static struct sn_conv1 conv1_of(const struct bench_case *c)
{
    return (struct sn_conv1){c->n, c->i, c->o, c->h, c->w};
}

/* Forward, or the data gradient as a forward of the turned shape. */
static void conv1_forward(struct bench_ours *o, enum bench_way way)
{
    const struct sn_conv1 s = conv1_of(&o->c);
    if (way == BENCH_OWN)
        sn_conv1_infer(o->cx, &s, o->x, o->packed, NULL, SN_CACT_NONE, NULL,
                       o->y);
    else if (way == BENCH_PRIMITIVE)
        sn_primitives_forward(o->cx, &s, o->x, o->packed, o->y);
    else
        sn_conv1_forward(o->cx, &s, o->x, o->packed, o->y);
}

static void conv1_data(struct bench_ours *o, enum bench_way way)
{
    const struct sn_conv1 s = conv1_of(&o->c);
    const struct sn_conv1 turned = {s.n, s.o, s.i, s.h, s.w};
    if (way == BENCH_OWN)
        sn_conv1_infer(o->cx, &turned, o->dy, o->packed_back, NULL,
                       SN_CACT_NONE, NULL, o->dx);
    else if (way == BENCH_PRIMITIVE)
        sn_primitives_forward(o->cx, &turned, o->dy, o->packed_back, o->dx);
    else
        sn_conv1_backward_data(o->cx, &s, o->dy, o->packed_back, o->dx);
}

/* As conv1.c lays it out: a plane's pixels are rows and an image a group; with
 * planes of one pixel the images are the rows of one group. */
static void own_weights(struct bench_ours *o)
{
    const struct bench_case *c = &o->c;
    const int b = sn_compute_block(sn_cx_compute(o->cx));
    const int ip = sn_compute_padded(sn_cx_compute(o->cx), c->i);
    const int op = sn_compute_padded(sn_cx_compute(o->cx), c->o);
    const int hw = c->h * c->w;
    struct sn_gemm_weights g = {
        .groups = hw == 1 ? 1 : c->n,
        .rows = hw == 1 ? c->n : hw,
        .i = c->i,
        .o = c->o,
        .x_row = hw == 1 ? ip : b,
        .y_row = hw == 1 ? op : b,
        .x_group = (ptrdiff_t)ip * hw,
        .y_group = (ptrdiff_t)op * hw,
        .x_block = (ptrdiff_t)b * hw,
        .y_block = (ptrdiff_t)b * hw,
        .x = o->x,
        .dy = o->dy,
        .dw = o->dweights,
    };
    o->cx->k->gemm_weights(&g);
}

static void conv1_weights(struct bench_ours *o, enum bench_way way)
{
    const struct sn_conv1 s = conv1_of(&o->c);
    if (way == BENCH_OWN)
        own_weights(o);
    else if (way == BENCH_PRIMITIVE)
        sn_primitives_weights(o->cx, &s, o->x, o->dy, o->dweights);
    else
        sn_conv1_backward_weights(o->cx, &s, o->x, o->dy, o->dweights);
}

/* ---- the others ---- */

static void stem(struct bench_ours *o)
{
    const struct bench_case *c = &o->c;
    const struct sn_stem s = {c->n, c->i, c->o, c->h, c->w, c->stride};
    if (c->op == BENCH_STEM_FORWARD)
        sn_stem_forward(o->cx, &s, o->x, o->packed, o->y);
    else
        sn_stem_backward_weights(o->cx, &s, o->x, o->dy, o->dweights);
}

static void depthwise_backward(struct bench_ours *o, bool fused)
{
    const struct bench_case *c = &o->c;
    const struct sn_dw s = {c->n, c->i, c->h, c->w, c->k, c->stride};
    struct sn_source in = {.u = o->x};
    struct sn_gradient dy = {.g = o->dy};
    struct sn_sink out = {.dx = o->dx};
    if (fused) {
        in.scale = o->scale;
        in.shift = o->shift;
        in.act = act_of(c->act);
        dy = (struct sn_gradient){o->dy, o->y, o->scale, o->mean, o->shift};
        out.through = true;
        out.mean = o->mean;
        out.ret_sums = o->sums;
    }
    sn_dw_backward_fused(o->cx, &s, &in, &dy, o->packed, &out, o->dweights);
}

static void depthwise(struct bench_ours *o)
{
    const struct bench_case *c = &o->c;
    const struct sn_dw s = {c->n, c->i, c->h, c->w, c->k, c->stride};
    const bool fused = c->op == BENCH_DW_FORWARD_FUSED;
    sn_dw_forward(o->cx, &s, o->x, fused ? o->scale : NULL,
                  fused ? o->shift : NULL,
                  fused ? act_of(c->act) : SN_CACT_NONE, o->packed, o->y,
                  fused ? o->sums : NULL);
}

static void norm(struct bench_ours *o)
{
    const struct bench_case *c = &o->c;
    const struct sn_plane s = {c->n, c->i, c->h * c->w};
    const enum sn_cact act = act_of(c->act);
    if (c->op == BENCH_BN_BACKWARD) {
        sn_bn_backward(o->cx, &s, o->x, o->mean, o->rstd, o->gamma, o->beta,
                       act, NULL, NULL, o->dy, o->dx, o->dgamma, o->dbeta);
        return;
    }
    if (c->op == BENCH_BN_FORWARD) {
        sn_bn_sums(o->cx, &s, o->x, o->sums);
        sn_bn_finish(o->cx, &s, o->sums, o->gamma, o->beta, 1e-5f, o->mean,
                     o->rstd, o->scale, o->shift);
    }
    sn_bn_apply(o->cx, &s, o->x, o->scale, o->shift, act, NULL, NULL, o->y);
}

void bench_ours_run(struct bench_ours *o, enum bench_way way)
{
    switch (o->c.op) {
    case BENCH_STEM_FORWARD:
    case BENCH_STEM_WEIGHTS:
        stem(o);
        break;
    case BENCH_CONV1_FORWARD:
        conv1_forward(o, way);
        break;
    case BENCH_CONV1_DATA:
        conv1_data(o, way);
        break;
    case BENCH_CONV1_WEIGHTS:
        conv1_weights(o, way);
        break;
    case BENCH_DW_BACKWARD:
        depthwise_backward(o, false);
        break;
    case BENCH_DW_BACKWARD_FUSED:
        depthwise_backward(o, true);
        break;
    case BENCH_BN_FORWARD:
    case BENCH_BN_APPLY:
    case BENCH_BN_BACKWARD:
        norm(o);
        break;
    default:
        depthwise(o);
        break;
    }
}
