/* A ResNet's inference: a group of images a layer at a time, BN folded.
 *
 *   stem   images -> narrow (-> second, + narrow) -> stream 1 -> stream 0
 *   block  x -1x1-> narrow -3x3-> second -1x1, + x or shortcut-> y, ReLU
 *   shortcut  x -mean-> narrow -1x1-> y, which the sum then reads
 */
#include "engine/net/static_parts.h"

static void raise_to(size_t *most, size_t floats)
{
    *most = floats > *most ? floats : *most;
}

struct sn_static_room sn_resnet_room(const struct sn_compute *compute,
                                     const struct sn_plan *largest, int group)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    struct sn_static_room r = {0};
    sn_layers_make(largest, layer);
    for (int j = 0; j < sn_layer_count(largest); j++) {
        const struct sn_layer *l = &layer[j];
        size_t images = (size_t)group;
        size_t channels = (size_t)sn_compute_padded(compute, l->o);
        size_t out = sn_arena_round(images * channels *
                                    (size_t)(l->out_size * l->out_size));
        int role = (j - SN_STEM_LAYERS) % SN_BOTTLENECK_LAYERS;
        size_t in =
            sn_arena_round(images * (size_t)sn_compute_padded(compute, l->i) *
                           (size_t)(l->in_size * l->in_size));
        if (l->kind == SN_LAYER_ABSENT) {
            continue;
        }
        if (j == sn_layer_classifier(largest)) {
            raise_to(&r.vector, out > in ? out : in);
        } else if (j == SN_STEM_LAST || role == SN_CONV_OUT) {
            raise_to(&r.stream, out);
        } else if (j == SN_STEM_RESIDUAL || role == SN_CONV_MID) {
            raise_to(&r.second, out);
        } else if (role == SN_CONV_SHORT) {
            raise_to(&r.narrow, in);
        } else {
            raise_to(&r.narrow, out);
        }
    }
    return r;
}

static size_t floats_of(const struct sn_inference *f, int n, int channels,
                        int size)
{
    return (size_t)n * sn_inference_floats(f, channels, size);
}

static void conv3(const struct sn_inference *f, int j, int n, const float *x,
                  float *y)
{
    struct sn_conv3 s = sn_layer_conv3(&f->net->layer[j], n);
    sn_conv3_infer(f->cx, &s, x, sn_inference_weight(f, j),
                   sn_inference_bias(f, j), true, y);
}

static void stem(const struct sn_inference *f, int n, const float *images)
{
    const struct sn_plan *plan = &f->net->folded.plan;
    const struct sn_layer *l = &f->net->layer[SN_STEM_FIRST];
    struct sn_static_space *mem = f->mem;
    struct sn_stem s = {n, l->i, l->o, l->in_size, l->in_size, l->stride};
    struct sn_window w = {n, plan->stem_out, plan->stem_size, plan->stem_size};
    const float *x = mem->narrow;

    sn_stem_infer(f->cx, &s, images, sn_inference_weight(f, SN_STEM_FIRST),
                  sn_inference_bias(f, SN_STEM_FIRST), SN_CACT_RELU,
                  mem->narrow);
    if (plan->stem_residual) {
        conv3(f, SN_STEM_RESIDUAL, n, x, mem->second);
        sn_vec_add(f->cx, floats_of(f, n, plan->stem_mid, plan->stem_size), x,
                   mem->second);
        x = mem->second;
    }
    conv3(f, SN_STEM_LAST, n, x, mem->stream[1]);
    sn_max_window_forward(f->cx, &w, mem->stream[1], mem->stream[0]);
}

/* The shortcut's sum is y's first content. */
static void shortcut(const struct sn_inference *f, int b, int n, const float *x,
                     float *y)
{
    const struct sn_block_plan *plan = &f->net->folded.plan.block[b];
    struct sn_window w = {n, plan->in, plan->in_size, plan->in_size};
    if (plan->stride > 1) {
        sn_mean_window_forward(f->cx, &w, x, f->mem->narrow);
        x = f->mem->narrow;
    }
    sn_inference_conv1(f, sn_layer_in_bottleneck(b, SN_CONV_SHORT), n, x,
                       SN_CACT_NONE, NULL, y);
}

static void block(const struct sn_inference *f, int b, int n)
{
    const struct sn_block_plan *plan = &f->net->folded.plan.block[b];
    struct sn_static_space *mem = f->mem;
    int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
    const float *x = mem->stream[b % 2];
    float *y = mem->stream[(b + 1) % 2];

    sn_inference_conv1(f, first + SN_CONV_IN, n, x, SN_CACT_RELU, NULL,
                       mem->narrow);
    conv3(f, first + SN_CONV_MID, n, mem->narrow, mem->second);
    if (plan->downsamples) {
        shortcut(f, b, n, x, y);
    }
    sn_inference_conv1(f, first + SN_CONV_OUT, n, mem->second, SN_CACT_NONE,
                       plan->downsamples ? y : x, y);
    sn_relu(f->cx, floats_of(f, n, plan->out, plan->out_size), y);
}

static void tail(const struct sn_inference *f, int n, float *ret_logits)
{
    const struct sn_plan *plan = &f->net->folded.plan;
    struct sn_plane plane = {
        .n = n, .c = plan->head_out, .hw = plan->head_size * plan->head_size};
    sn_pool_forward(f->cx, &plane, f->mem->stream[plan->n_blocks % 2], NULL,
                    NULL, SN_CACT_NONE, f->mem->vector[0]);
    sn_inference_conv1(f, sn_layer_classifier(plan), n, f->mem->vector[0],
                       SN_CACT_NONE, NULL, ret_logits);
}

void sn_resnet_infer(const struct sn_inference *f, int n, const float *images,
                     float *ret_logits, double *ns)
{
    int n_blocks = f->net->folded.plan.n_blocks;
    double unused = 0;
    int64_t at = 0;
    sn_inference_lap(&at, ns != NULL ? &unused : NULL);
    stem(f, n, images);
    sn_inference_lap(&at, ns != NULL ? &ns[0] : NULL);
    for (int b = 0; b < n_blocks; b++) {
        block(f, b, n);
        sn_inference_lap(&at, ns != NULL ? &ns[1 + b] : NULL);
    }
    tail(f, n, ret_logits);
    sn_inference_lap(&at, ns != NULL ? &ns[1 + n_blocks] : NULL);
}
