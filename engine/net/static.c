#include "engine/net/static.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/net/fold.h"
#include "engine/net/static_parts.h"
#include "engine/rng.h"

static size_t take(size_t *used, size_t floats)
{
    size_t at = *used;
    *used += sn_arena_round(floats);
    return at;
}

static size_t packed_floats(const struct sn_compute *compute,
                            const struct sn_layer *l)
{
    switch (l->kind) {
    case SN_LAYER_STEM: {
        struct sn_stem s = {1, l->i, l->o, l->in_size, l->in_size, l->stride};
        return sn_stem_packed_floats(compute, &s);
    }
    case SN_LAYER_CONV1:
        return sn_conv1_packed_floats(compute, l->i, l->o);
    case SN_LAYER_CONV3:
        return sn_conv3_packed_floats(compute, l->i, l->o);
    case SN_LAYER_DEPTH:
        return (size_t)(l->k * l->k) * (size_t)sn_compute_padded(compute, l->o);
    case SN_LAYER_ABSENT:
        break;
    }
    return 0;
}

static struct sn_folded view(const struct sn_static *net, int j)
{
    const struct sn_layer *l = &net->layer[j];
    if (l->kind == SN_LAYER_ABSENT) {
        return (struct sn_folded){0};
    }
    return (struct sn_folded){.out = l->o,
                              .in = l->i,
                              .kernel = l->k,
                              .stride = l->stride,
                              .depthwise = l->kind == SN_LAYER_DEPTH,
                              .weight = net->plain + net->at[j].weight,
                              .bias = net->plain + net->at[j].bias};
}

static void fill_views(struct sn_static *net)
{
    struct sn_folded_net *f = &net->folded;
    f->stem = view(net, 0);
    f->classifier = view(net, sn_layer_classifier(&f->plan));
    if (f->plan.family == SN_FAMILY_RESNET) {
        f->stem_residual = view(net, SN_STEM_RESIDUAL);
        f->stem_last = view(net, SN_STEM_LAST);
        for (int b = 0; b < f->plan.n_blocks; b++) {
            int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
            f->block[b] = (struct sn_folded_block){
                .expand = view(net, first + SN_CONV_IN),
                .depth = view(net, first + SN_CONV_MID),
                .project = view(net, first + SN_CONV_OUT),
                .shortcut = view(net, first + SN_CONV_SHORT),
            };
        }
        return;
    }
    for (int b = 0; b < f->plan.n_blocks; b++) {
        f->block[b] = (struct sn_folded_block){
            .expand = view(net, sn_layer_in_block(b, SN_EXPAND)),
            .depth = view(net, sn_layer_in_block(b, SN_DEPTH)),
            .se_reduce = view(net, sn_layer_in_block(b, SN_SE_REDUCE)),
            .se_expand = view(net, sn_layer_in_block(b, SN_SE_EXPAND)),
            .project = view(net, sn_layer_in_block(b, SN_PROJECT)),
        };
    }
    f->head = view(net, sn_layer_head(&f->plan));
    f->feature = view(net, sn_layer_feature(&f->plan));
}

/* Where everything is, in floats. */
struct extent {
    size_t plain, packed, affine;
};

static size_t extent_floats(const struct extent *e)
{
    return e->plain + e->packed + 2 * e->affine;
}

static struct extent lay_out(const struct sn_compute *compute,
                             const struct sn_layer *layer, int n_layers,
                             struct folded_at *ret_at)
{
    struct extent e = {0};
    size_t widest = 0;
    for (int j = 0; j < n_layers; j++) {
        const struct sn_layer *l = &layer[j];
        size_t padded = (size_t)sn_compute_padded(compute, l->o);
        ret_at[j].weight = take(&e.plain, sn_layer_weight_floats(l));
        ret_at[j].bias = take(&e.plain, (size_t)l->o);
        ret_at[j].packed = take(&e.packed, packed_floats(compute, l));
        ret_at[j].packed_bias = take(&e.packed, padded);
        widest = padded > widest ? padded : widest;
    }
    e.affine = sn_arena_round(widest);
    return e;
}

size_t sn_static_bytes(const struct sn_compute *compute,
                       const struct sn_plan *plan)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    struct folded_at at[SN_MAX_LAYERS];
    sn_layers_make(plan, layer);
    struct extent e = lay_out(compute, layer, sn_layer_count(plan), at);
    return sizeof(struct sn_static) + sizeof(float) * extent_floats(&e);
}

/* Memory and views for a plan; the plain weights are still to be written. */
static enum sn_err prepare(struct sn_compute *compute,
                           const struct sn_plan *plan, struct sn_static **ret,
                           struct sn_error *err)
{
    struct sn_static *net = calloc(1, sizeof(*net));
    if (net == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM,
                            "no memory for a static network");
    }
    net->compute = compute;
    net->folded.plan = *plan;
    net->n_layers = sn_layer_count(plan);
    sn_layers_make(plan, net->layer);

    struct extent e = lay_out(compute, net->layer, net->n_layers, net->at);
    enum sn_err rc =
        sn_arena_init(&net->memory, sizeof(float) * extent_floats(&e), err);
    if (rc != SN_OK) {
        sn_static_free(net);
        return rc;
    }
    net->plain = sn_arena_floats(&net->memory, e.plain);
    net->packed = sn_arena_floats(&net->memory, e.packed);
    float *one = sn_arena_floats(&net->memory, e.affine);
    float *zero = sn_arena_floats(&net->memory, e.affine);
    for (size_t c = 0; c < e.affine; c++) {
        one[c] = 1.0f;
        zero[c] = 0.0f;
    }
    net->one = one;
    net->zero = zero;
    fill_views(net);
    *ret = net;
    return SN_OK;
}

static void pack(struct sn_static *net)
{
    for (int j = 0; j < net->n_layers; j++) {
        const struct sn_layer *l = &net->layer[j];
        const float *w = net->plain + net->at[j].weight;
        float *to = net->packed + net->at[j].packed;
        float *bias = net->packed + net->at[j].packed_bias;
        switch (l->kind) {
        case SN_LAYER_STEM: {
            struct sn_stem s = {1,          l->i,       l->o,
                                l->in_size, l->in_size, l->stride};
            sn_stem_pack(net->compute, &s, w, to);
            break;
        }
        case SN_LAYER_CONV1:
            sn_conv1_pack(net->compute, l->i, l->o, w, l->i, to, NULL);
            break;
        case SN_LAYER_CONV3:
            sn_conv3_pack(net->compute, l->i, l->o, w, l->i, to, NULL);
            break;
        case SN_LAYER_DEPTH:
            sn_dw_pack(net->compute, l->o, l->k, w, to);
            break;
        case SN_LAYER_ABSENT:
            continue;
        }
        int padded = sn_compute_padded(net->compute, l->o);
        memset(bias, 0, sizeof(float) * (size_t)padded);
        memcpy(bias, net->plain + net->at[j].bias,
               sizeof(float) * (size_t)l->o);
    }
}

enum sn_err sn_static_new(const struct sn_subnet *sub,
                          const struct sn_bn_stats *stats,
                          struct sn_static **ret, struct sn_error *err)
{
    struct sn_static *net;
    if (!(stats->images > 0.0)) {
        return sn_error_set(err, SN_ERR_INVALID,
                            "BN statistics of no image: calibrate first");
    }
    enum sn_err rc = prepare(sub->net->compute, &sub->plan, &net, err);
    if (rc != SN_OK) {
        return rc;
    }
    for (int j = 0; j < net->n_layers; j++) {
        if (net->layer[j].kind != SN_LAYER_ABSENT) {
            sn_fold_layer(sub, stats, j, net->plain + net->at[j].weight,
                          net->plain + net->at[j].bias);
        }
    }
    pack(net);
    *ret = net;
    return SN_OK;
}

enum sn_err sn_static_new_random(struct sn_compute *compute,
                                 const struct sn_plan *plan, uint64_t seed,
                                 struct sn_static **ret, struct sn_error *err)
{
    struct sn_static *net;
    enum sn_err rc = prepare(compute, plan, &net, err);
    if (rc != SN_OK) {
        return rc;
    }
    for (int j = 0; j < net->n_layers; j++) {
        const struct sn_layer *l = &net->layer[j];
        struct sn_rng rng = sn_rng_make(seed, SN_STREAM_INIT, (uint64_t)j);
        size_t count = sn_layer_weight_floats(l);
        /* By fan-in, so that activations stay near one without BN. */
        double fan_in = l->o > 0 ? (double)count / l->o : 1.0;
        float *w = net->plain + net->at[j].weight;
        for (size_t e = 0; e < count; e++) {
            w[e] = (float)(sqrt(6.0 / fan_in) * (2 * sn_rng_uniform(&rng) - 1));
        }
        memset(net->plain + net->at[j].bias, 0, sizeof(float) * (size_t)l->o);
    }
    pack(net);
    *ret = net;
    return SN_OK;
}

void sn_static_free(struct sn_static *net)
{
    if (net == NULL) {
        return;
    }
    sn_arena_close(&net->memory);
    free(net);
}

const struct sn_folded_net *sn_static_folded(const struct sn_static *net)
{
    return &net->folded;
}

/* ---- forward ----
 *
 * A batch goes through in groups of images, so that the residual stream stays
 * near; in a block a tile of a group at a time, so that the depthwise output
 * and what is made of it stay in the second cache:
 *
 *     stream --(1x1, k x k)--> narrow --SE, gate--> narrow --1x1--> stream
 *      [group]                 [tile]                              [group]
 */

enum { GROUP = 16 };
/* Bytes of a tile's depthwise outputs, and of the head's. */
enum { TILE_BYTES = 512 * 1024 };

static void raise_to(size_t *most, size_t floats)
{
    *most = floats > *most ? floats : *most;
}

/* Images of a tile whose planes have so many floats each. */
static int tile_of(int n, size_t floats)
{
    size_t fit = TILE_BYTES / sizeof(float) / (floats > 0 ? floats : 1);
    return fit < 1 ? 1 : fit < (size_t)n ? (int)fit : n;
}

static size_t room_floats(const struct sn_static_room *r)
{
    return 2 * r->stream + r->narrow + r->second + 3 * r->vector;
}

static struct sn_static_room room_of(const struct sn_compute *compute,
                                     const struct sn_plan *largest, int group)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    size_t images = (size_t)group;
    struct sn_static_room r = {0};
    if (largest->family == SN_FAMILY_RESNET) {
        return sn_resnet_room(compute, largest, group);
    }
    sn_layers_make(largest, layer);
    for (int j = 0; j < sn_layer_count(largest); j++) {
        const struct sn_layer *l = &layer[j];
        size_t channels = (size_t)sn_compute_padded(compute, l->o);
        size_t plane = channels * (size_t)(l->out_size * l->out_size);
        int role = j == 0 ? SN_PROJECT : (j - 1) % SN_BLOCK_LAYERS;
        raise_to(&r.vector, sn_arena_round(images * channels));
        if (j >= sn_layer_head(largest) || role == SN_DEPTH)
            raise_to(&r.narrow,
                     sn_arena_round(plane * (size_t)tile_of(group, plane)));
        else if (role == SN_PROJECT)
            raise_to(&r.stream, sn_arena_round(images * plane));
    }
    /* A narrower plane lets more images into a tile, up to this much. */
    raise_to(&r.narrow, sn_arena_round(TILE_BYTES / sizeof(float)));
    return r;
}

static int group_of(int n)
{
    return n < GROUP ? n : GROUP;
}

size_t sn_static_space_bytes(const struct sn_compute *compute,
                             const struct sn_plan *largest, int n)
{
    struct sn_static_room r = room_of(compute, largest, group_of(n));
    return sizeof(struct sn_static_space) + sizeof(float) * room_floats(&r);
}

enum sn_err sn_static_space_new(struct sn_compute *compute,
                                const struct sn_plan *largest, int n,
                                struct sn_static_space **ret,
                                struct sn_error *err)
{
    struct sn_static_room r = room_of(compute, largest, group_of(n));
    struct sn_static_space *mem = calloc(1, sizeof(*mem));
    if (mem == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for activations");
    }
    enum sn_err rc =
        sn_arena_init(&mem->memory, sizeof(float) * room_floats(&r), err);
    if (rc != SN_OK) {
        sn_static_space_free(mem);
        return rc;
    }
    mem->group = group_of(n);
    mem->narrow = sn_arena_floats(&mem->memory, r.narrow);
    mem->second = sn_arena_floats(&mem->memory, r.second);
    for (int i = 0; i < 2; i++) {
        mem->stream[i] = sn_arena_floats(&mem->memory, r.stream);
    }
    for (int i = 0; i < 3; i++) {
        mem->vector[i] = sn_arena_floats(&mem->memory, r.vector);
    }
    *ret = mem;
    return SN_OK;
}

void sn_static_space_free(struct sn_static_space *mem)
{
    if (mem == NULL) {
        return;
    }
    sn_arena_close(&mem->memory);
    free(mem);
}

void sn_inference_conv1(const struct sn_inference *f, int j, int n,
                        const float *x, enum sn_cact act, const float *residual,
                        float *y)
{
    const struct sn_layer *l = &f->net->layer[j];
    struct sn_conv1 s = {n, l->i, l->o, l->in_size, l->in_size};
    sn_conv1_infer(f->cx, &s, x, sn_inference_weight(f, j),
                   sn_inference_bias(f, j), act, residual, y);
}

/* x is gated in place. */
static void squeeze_excite(const struct sn_inference *f, int b, int n, float *x)
{
    const struct sn_layer *l = &f->net->layer[sn_layer_in_block(b, SN_DEPTH)];
    struct sn_plane plane = {n, l->o, l->out_size * l->out_size};
    float *const *v = f->mem->vector;
    sn_pool_forward(f->cx, &plane, x, NULL, NULL, SN_CACT_NONE, v[0]);
    sn_inference_conv1(f, sn_layer_in_block(b, SN_SE_REDUCE), n, v[0],
                       SN_CACT_RELU, NULL, v[1]);
    sn_inference_conv1(f, sn_layer_in_block(b, SN_SE_EXPAND), n, v[1],
                       SN_CACT_HSIGMOID, NULL, v[2]);
    sn_bn_apply(f->cx, &plane, x, f->net->one, f->net->zero, SN_CACT_NONE, v[2],
                NULL, x);
}

/* A tile of n images. */
static void tile(const struct sn_inference *f, int b, int n, const float *x,
                 float *y)
{
    const struct sn_block_plan *plan = &f->net->folded.plan.block[b];
    int expand = sn_layer_in_block(b, SN_EXPAND);
    int depth = sn_layer_in_block(b, SN_DEPTH);
    float *narrow = f->mem->narrow;
    const struct sn_half_block half = {
        .n = n,
        .in = plan->in,
        .mid = plan->mid,
        .size = plan->in_size,
        .k = plan->kernel,
        .stride = plan->stride,
        .act = sn_layer_act(plan->act),
        .x = x,
        .expand_w = plan->expands ? sn_inference_weight(f, expand) : NULL,
        .expand_bias = plan->expands ? sn_inference_bias(f, expand) : NULL,
        .depth_w = sn_inference_weight(f, depth),
        .depth_bias = sn_inference_bias(f, depth),
        .y = narrow,
    };
    sn_half_block_infer(f->cx, &half);
    if (plan->se_mid > 0) {
        squeeze_excite(f, b, n, narrow);
    }
    sn_inference_conv1(f, sn_layer_in_block(b, SN_PROJECT), n, narrow,
                       SN_CACT_NONE, plan->residual ? x : NULL, y);
}

static void block(const struct sn_inference *f, int b, int n)
{
    const struct sn_block_plan *plan = &f->net->folded.plan.block[b];
    size_t in = sn_inference_floats(f, plan->in, plan->in_size);
    size_t mid = sn_inference_floats(f, plan->mid, plan->out_size);
    size_t out = sn_inference_floats(f, plan->out, plan->out_size);
    int step = tile_of(n, mid);
    const float *x = f->mem->stream[b % 2];
    float *y = f->mem->stream[(b + 1) % 2];
    for (int at = 0; at < n; at += step) {
        int images = n - at < step ? n - at : step;
        tile(f, b, images, x + (size_t)at * in, y + (size_t)at * out);
    }
}

void sn_inference_lap(int64_t *at, double *ns)
{
    struct timespec t;
    if (ns == NULL) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    *ns += (double)(now - *at);
    *at = now;
}

static void stem(const struct sn_inference *f, int n, const float *images)
{
    const struct sn_layer *l = &f->net->layer[0];
    struct sn_stem s = {n, l->i, l->o, l->in_size, l->in_size, l->stride};
    sn_stem_infer(
        f->cx, &s, images, sn_inference_weight(f, 0), sn_inference_bias(f, 0),
        sn_layer_act(f->net->folded.plan.stem_act), f->mem->stream[0]);
}

static void head(const struct sn_inference *f, int n, float *ret_logits)
{
    const struct sn_plan *plan = &f->net->folded.plan;
    struct sn_static_space *mem = f->mem;
    const float *x = mem->stream[plan->n_blocks % 2];
    size_t in = sn_inference_floats(f, plan->head_in, plan->head_size);
    size_t out = sn_inference_floats(f, plan->head_out, plan->head_size);
    size_t vector = sn_inference_floats(f, plan->head_out, 1);
    enum sn_cact act = sn_layer_act(plan->head_act);
    int step = tile_of(n, out);
    for (int at = 0; at < n; at += step) {
        int images = n - at < step ? n - at : step;
        struct sn_plane plane = {images, plan->head_out,
                                 plan->head_size * plan->head_size};
        sn_inference_conv1(f, sn_layer_head(plan), images, x + (size_t)at * in,
                           act, NULL, mem->narrow);
        sn_pool_forward(f->cx, &plane, mem->narrow, NULL, NULL, SN_CACT_NONE,
                        mem->vector[0] + (size_t)at * vector);
    }
    const float *features = mem->vector[0];
    if (plan->feature_out > 0) {
        sn_inference_conv1(f, sn_layer_feature(plan), n, features, act, NULL,
                           mem->vector[1]);
        features = mem->vector[1];
    }
    sn_inference_conv1(f, sn_layer_classifier(plan), n, features, SN_CACT_NONE,
                       NULL, ret_logits);
}

/* ns may be NULL; else every part's time is added to it. */
static void forward(const struct sn_inference *f, int n, const float *images,
                    float *ret_logits, double *ns)
{
    int n_blocks = f->net->folded.plan.n_blocks;
    double unused = 0;
    int64_t at = 0;
    if (f->net->folded.plan.family == SN_FAMILY_RESNET) {
        sn_resnet_infer(f, n, images, ret_logits, ns);
        return;
    }
    sn_inference_lap(&at, ns != NULL ? &unused : NULL);
    stem(f, n, images);
    sn_inference_lap(&at, ns != NULL ? &ns[0] : NULL);
    for (int b = 0; b < n_blocks; b++) {
        block(f, b, n);
        sn_inference_lap(&at, ns != NULL ? &ns[1 + b] : NULL);
    }
    head(f, n, ret_logits);
    sn_inference_lap(&at, ns != NULL ? &ns[1 + n_blocks] : NULL);
}

static void forward_groups(const struct sn_inference *f, int n,
                           const float *images, float *ret_logits, double *ns)
{
    const struct sn_plan *plan = &f->net->folded.plan;
    size_t image = (size_t)plan->in_channels * (size_t)plan->resolution *
                   (size_t)plan->resolution;
    size_t logits = (size_t)sn_compute_padded(f->net->compute, plan->classes);
    for (int at = 0; at < n; at += f->mem->group) {
        int group = n - at < f->mem->group ? n - at : f->mem->group;
        forward(f, group, images + (size_t)at * image,
                ret_logits + (size_t)at * logits, ns);
    }
}

void sn_static_forward(const struct sn_static *net, struct sn_cx *cx,
                       struct sn_static_space *mem, const float *images, int n,
                       float *ret_logits)
{
    struct sn_inference f = {net, cx, mem};
    forward_groups(&f, n, images, ret_logits, NULL);
}

void sn_static_forward_timed(const struct sn_static *net, struct sn_cx *cx,
                             struct sn_static_space *mem, const float *images,
                             int n, float *ret_logits, double *ret_ns)
{
    struct sn_inference f = {net, cx, mem};
    for (int i = 0; i < net->folded.plan.n_blocks + 2; i++) {
        ret_ns[i] = 0;
    }
    forward_groups(&f, n, images, ret_logits, ret_ns);
}
