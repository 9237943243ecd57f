#include "engine/net/supernet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rng.h"

/* What Once-for-All calls a layer's weight, its BN's (or bias') prefix; the
 * fixed block is a plain one there and lacks the inner names. */
struct layer_names {
    const char *weight, *bn, *bias;
};

static const struct layer_names elastic_names[SN_BLOCK_LAYERS] = {
    [SN_EXPAND] = {"inverted_bottleneck.conv.conv.weight",
                   "inverted_bottleneck.bn.bn", NULL},
    [SN_DEPTH] = {"depth_conv.conv.conv.weight", "depth_conv.bn.bn", NULL},
    [SN_SE_REDUCE] = {"depth_conv.se.fc.reduce.weight", NULL,
                      "depth_conv.se.fc.reduce.bias"},
    [SN_SE_EXPAND] = {"depth_conv.se.fc.expand.weight", NULL,
                      "depth_conv.se.fc.expand.bias"},
    [SN_PROJECT] = {"point_linear.conv.conv.weight", "point_linear.bn.bn",
                    NULL},
};
static const struct layer_names fixed_names[SN_BLOCK_LAYERS] = {
    [SN_EXPAND] = {"inverted_bottleneck.conv.weight", "inverted_bottleneck.bn",
                   NULL},
    [SN_DEPTH] = {"depth_conv.conv.weight", "depth_conv.bn", NULL},
    [SN_SE_REDUCE] = {"depth_conv.se.fc.reduce.weight", NULL,
                      "depth_conv.se.fc.reduce.bias"},
    [SN_SE_EXPAND] = {"depth_conv.se.fc.expand.weight", NULL,
                      "depth_conv.se.fc.expand.bias"},
    [SN_PROJECT] = {"point_linear.conv.weight", "point_linear.bn", NULL},
};
static const struct layer_names stem_names = {"first_conv.conv.weight",
                                              "first_conv.bn", NULL};
static const struct layer_names tail_names[3] = {
    {"final_expand_layer.conv.weight", "final_expand_layer.bn", NULL},
    {"feature_mix_layer.conv.weight", NULL, NULL},
    {"classifier.linear.weight", NULL, "classifier.linear.bias"},
};
/* Where the head goes straight to the classifier it has the other's name. */
static const struct layer_names only_head_names = {
    "feature_mix_layer.conv.weight", "feature_mix_layer.bn", NULL};

/* [resnet] */
static const struct layer_names stem_conv_names[SN_STEM_LAYERS] = {
    [SN_STEM_FIRST] = {"input_stem.0.conv.conv.weight", "input_stem.0.bn.bn",
                       NULL},
    [SN_STEM_RESIDUAL] = {"input_stem.1.conv.conv.conv.weight",
                          "input_stem.1.conv.bn.bn", NULL},
    [SN_STEM_LAST] = {"input_stem.2.conv.conv.weight", "input_stem.2.bn.bn",
                      NULL},
};
static const struct layer_names bottleneck_names[SN_BOTTLENECK_LAYERS] = {
    [SN_CONV_IN] = {"conv1.conv.conv.weight", "conv1.bn.bn", NULL},
    [SN_CONV_MID] = {"conv2.conv.conv.weight", "conv2.bn.bn", NULL},
    [SN_CONV_OUT] = {"conv3.conv.conv.weight", "conv3.bn.bn", NULL},
    [SN_CONV_SHORT] = {"downsample.conv.conv.weight", "downsample.bn.bn", NULL},
};
static const struct layer_names dynamic_classifier_names = {
    "classifier.linear.linear.weight", NULL, "classifier.linear.linear.bias"};

/* At most weight, two matrices, scale and shift a layer. */
enum { TENSORS_A_LAYER = 3 + SN_KERNEL_STEPS };

static int add_tensor(struct sn_supernet *net, const char *name, int ndim,
                      const int64_t shape[4], bool decays)
{
    struct sn_tensor *t = &net->tensor[net->n_tensors];
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->ndim = ndim;
    t->count = 1;
    for (int d = 0; d < 4; d++) {
        t->shape[d] = d < ndim ? shape[d] : 1;
        t->count *= (size_t)t->shape[d];
    }
    t->offset = net->n_weights;
    t->decays = decays;
    net->n_weights += t->count;
    return (int)net->n_tensors++;
}

static void add_matrices(struct sn_supernet *net, int j, int slot)
{
    struct sn_stored_layer *s = &net->stored[j];
    for (int m = s->n_kernels - 2; m >= 0; m--) {
        char name[96];
        int64_t side = (int64_t)s->kernel[m] * s->kernel[m];
        snprintf(name, sizeof(name),
                 "blocks.%d.conv.depth_conv.conv.%dto%d_matrix", slot,
                 s->kernel[m + 1], s->kernel[m]);
        s->matrix[m] =
            add_tensor(net, name, 2, (const int64_t[4]){side, side}, false);
    }
}

/* slot: of the block that the layer is in, or -1. */
static void add_layer(struct sn_supernet *net, int j, int slot,
                      const struct layer_names *names)
{
    const struct sn_layer *l = &net->layer[j];
    struct sn_stored_layer *s = &net->stored[j];
    char prefix[32] = "", name[96];

    s->weight = s->gamma = s->beta = -1;
    for (int m = 0; m < SN_KERNEL_STEPS; m++) {
        s->matrix[m] = -1;
    }
    if (l->kind == SN_LAYER_ABSENT) {
        return;
    }
    if (slot >= 0) {
        snprintf(prefix, sizeof(prefix),
                 net->space->family == SN_FAMILY_RESNET ? "blocks.%d."
                                                        : "blocks.%d.conv.",
                 slot);
    }
    int64_t in = l->kind == SN_LAYER_DEPTH ? 1 : l->i;
    bool linear = j == sn_layer_classifier(&net->largest);
    snprintf(name, sizeof(name), "%s%s", prefix, names->weight);
    s->weight = add_tensor(net, name, linear ? 2 : 4,
                           (const int64_t[4]){l->o, in, l->k, l->k}, true);
    add_matrices(net, j, slot);
    if (l->bn) {
        const int64_t shape[4] = {l->o};
        snprintf(name, sizeof(name), "%s%s.weight", prefix, names->bn);
        s->gamma = add_tensor(net, name, 1, shape, false);
        snprintf(name, sizeof(name), "%s%s.bias", prefix, names->bn);
        s->beta = add_tensor(net, name, 1, shape, false);
    } else if (l->bias) {
        snprintf(name, sizeof(name), "%s%s", prefix, names->bias);
        s->beta = add_tensor(net, name, 1, (const int64_t[4]){l->o}, false);
    }
}

static enum sn_err take_kernels(struct sn_supernet *net, int b,
                                struct sn_error *err)
{
    const struct sn_block_plan *block = &net->largest.block[b];
    int j = sn_layer_in_block(b, SN_DEPTH);
    struct sn_stored_layer *s = &net->stored[j];
    struct sn_choices fixed = {1, {(uint8_t)block->kernel}};
    const struct sn_choices *k =
        block->stage < 0 ? &fixed : &net->space->stage[block->stage].kernel;

    if (k->n < 1 || k->n > SN_KERNEL_STEPS + 1 ||
        k->value[k->n - 1] != net->layer[j].k) {
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "stage %d has kernels that a supernet cannot store",
                            block->stage);
    }
    s->n_kernels = k->n;
    for (int m = 0; m < k->n; m++) {
        s->kernel[m] = k->value[m];
        if (s->kernel[m] > SN_KERNEL_MAX || s->kernel[m] % 2 == 0 ||
            (m > 0 && s->kernel[m] <= s->kernel[m - 1])) {
            return sn_error_set(err, SN_ERR_UNSUPPORTED,
                                "kernel %d is not one of 3, 5, 7 in order",
                                s->kernel[m]);
        }
    }
    return SN_OK;
}

static void begin_part(struct sn_supernet *net, int layer, int n_layers)
{
    net->part[net->n_parts] = (struct sn_part){
        .first = net->n_tensors, .layer = layer, .n_layers = n_layers};
}

static void end_part(struct sn_supernet *net)
{
    struct sn_part *part = &net->part[net->n_parts++];
    part->count = net->n_tensors - part->first;
}

static void make_resnet_table(struct sn_supernet *net)
{
    begin_part(net, 0, SN_STEM_LAYERS);
    for (int l = 0; l < SN_STEM_LAYERS; l++) {
        add_layer(net, l, -1, &stem_conv_names[l]);
    }
    end_part(net);
    for (int b = 0; b < net->largest.n_blocks; b++) {
        int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
        begin_part(net, first, SN_BOTTLENECK_LAYERS);
        for (int l = 0; l < SN_BOTTLENECK_LAYERS; l++) {
            add_layer(net, first + l, b, &bottleneck_names[l]);
        }
        end_part(net);
    }
    int classifier = sn_layer_classifier(&net->largest);
    begin_part(net, classifier, 1);
    add_layer(net, classifier, -1, &dynamic_classifier_names);
    end_part(net);
}

static enum sn_err make_table(struct sn_supernet *net, struct sn_error *err)
{
    if (net->space->family == SN_FAMILY_RESNET) {
        make_resnet_table(net);
        return SN_OK;
    }
    begin_part(net, 0, 1);
    add_layer(net, 0, -1, &stem_names);
    end_part(net);
    for (int b = 0; b < net->largest.n_blocks; b++) {
        enum sn_err rc = take_kernels(net, b, err);
        if (rc != SN_OK) {
            return rc;
        }
        int first = sn_layer_in_block(b, SN_EXPAND);
        bool fixed = net->largest.block[b].stage < 0;
        begin_part(net, first, SN_BLOCK_LAYERS);
        for (int l = 0; l < SN_BLOCK_LAYERS; l++) {
            add_layer(net, first + l, b,
                      fixed ? &fixed_names[l] : &elastic_names[l]);
        }
        end_part(net);
    }
    for (int t = 0; t < 3; t++) {
        int j = sn_layer_head(&net->largest) + t;
        begin_part(net, j, 1);
        bool only_head = t == 0 && net->largest.feature_out == 0;
        add_layer(net, j, -1, only_head ? &only_head_names : &tail_names[t]);
        end_part(net);
    }
    return SN_OK;
}

static void fill(float *w, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) {
        w[i] = value;
    }
}

static void fill_identity(float *w, int64_t side)
{
    memset(w, 0, sizeof(float) * (size_t)(side * side));
    for (int64_t i = 0; i < side; i++) {
        w[i * side + i] = 1.0f;
    }
}

/* He's normal by fan-out k^2 o for convolutions (depthwise too, as in
 * Once-for-All), uniform in 1/sqrt(inputs) for the linear layer. */
static void init_weight(const struct sn_supernet *net, int j, uint64_t seed)
{
    const struct sn_layer *l = &net->layer[j];
    const struct sn_tensor *t = &net->tensor[net->stored[j].weight];
    float *w = net->weights + t->offset;
    struct sn_rng rng =
        sn_rng_make(seed, SN_STREAM_INIT, (uint64_t)net->stored[j].weight);
    double he = sqrt(2.0 / ((double)l->k * l->k * l->o));
    double edge = 1.0 / sqrt((double)l->i);
    bool linear = j == sn_layer_classifier(&net->largest);
    for (size_t i = 0; i < t->count; i++) {
        w[i] = (float)(linear ? edge * (2.0 * sn_rng_uniform(&rng) - 1.0)
                              : he * sn_rng_normal(&rng));
    }
}

static void init_weights(struct sn_supernet *net, uint64_t seed)
{
    for (int j = 0; j < net->n_layers; j++) {
        const struct sn_stored_layer *s = &net->stored[j];
        if (s->weight < 0) {
            continue;
        }
        init_weight(net, j, seed);
        for (int m = 0; m < s->n_kernels - 1; m++) {
            const struct sn_tensor *t = &net->tensor[s->matrix[m]];
            fill_identity(net->weights + t->offset, t->shape[0]);
        }
        if (s->gamma >= 0) {
            fill(sn_tensor_in(net, net->weights, s->gamma),
                 net->tensor[s->gamma].count, 1.0f);
        }
        if (s->beta >= 0) {
            fill(sn_tensor_in(net, net->weights, s->beta),
                 net->tensor[s->beta].count, 0.0f);
        }
    }
}

static size_t largest_tensor(const struct sn_supernet *net)
{
    size_t most = 0;
    for (size_t t = 0; t < net->n_tensors; t++) {
        if (net->tensor[t].count > most) {
            most = net->tensor[t].count;
        }
    }
    return most;
}

static enum sn_err take_memory(struct sn_supernet *net, struct sn_error *err)
{
    size_t largest = largest_tensor(net);
    net->ranked = calloc(largest, sizeof(*net->ranked));
    if (net->ranked == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a supernet");
    }
    size_t floats = sn_arena_round(net->n_weights) + sn_arena_round(largest);
    enum sn_err rc = sn_arena_init(&net->memory, sizeof(float) * floats, err);
    if (rc == SN_OK) {
        net->weights = sn_arena_floats(&net->memory, net->n_weights);
        net->sort_copy = sn_arena_floats(&net->memory, largest);
    }
    return rc;
}

enum sn_err sn_supernet_outline(struct sn_compute *compute,
                                const struct sn_space *space, int in_channels,
                                int classes, struct sn_supernet **ret,
                                struct sn_error *err)
{
    struct sn_arch arch;
    struct sn_supernet *net = calloc(1, sizeof(*net));
    if (net == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a supernet");
    }
    net->compute = compute;
    net->space = space;
    sn_arch_largest(space, &arch);
    sn_plan_make(space, &arch, in_channels, classes, &net->largest);
    net->n_layers = sn_layer_count(&net->largest);
    sn_layers_make(&net->largest, net->layer);

    enum sn_err rc;
    net->tensor =
        calloc((size_t)net->n_layers * TENSORS_A_LAYER, sizeof(*net->tensor));
    if (net->tensor == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a supernet");
    } else {
        rc = make_table(net, err);
    }
    if (rc != SN_OK) {
        sn_supernet_free(net);
        return rc;
    }
    *ret = net;
    return SN_OK;
}

enum sn_err sn_supernet_new(struct sn_compute *compute,
                            const struct sn_space *space, int in_channels,
                            int classes, uint64_t seed,
                            struct sn_supernet **ret, struct sn_error *err)
{
    struct sn_supernet *net;
    enum sn_err rc =
        sn_supernet_outline(compute, space, in_channels, classes, &net, err);
    if (rc != SN_OK) {
        return rc;
    }
    rc = take_memory(net, err);
    if (rc != SN_OK) {
        sn_supernet_free(net);
        return rc;
    }
    init_weights(net, seed);
    *ret = net;
    return SN_OK;
}

void sn_supernet_free(struct sn_supernet *net)
{
    if (net == NULL) {
        return;
    }
    sn_arena_close(&net->memory);
    free(net->ranked);
    free(net->tensor);
    free(net);
}

void sn_supernet_set_recompute(struct sn_supernet *net, bool recompute)
{
    net->recompute = recompute;
}

const struct sn_space *sn_supernet_space(const struct sn_supernet *net)
{
    return net->space;
}

int sn_supernet_in_channels(const struct sn_supernet *net)
{
    return net->largest.in_channels;
}

int sn_supernet_classes(const struct sn_supernet *net)
{
    return net->largest.classes;
}

size_t sn_supernet_tensors(const struct sn_supernet *net,
                           const struct sn_tensor **ret)
{
    *ret = net->tensor;
    return net->n_tensors;
}

float *sn_supernet_weights(struct sn_supernet *net)
{
    return net->weights;
}

size_t sn_supernet_size(const struct sn_supernet *net)
{
    return net->n_weights;
}

size_t sn_net_logit_stride(const struct sn_supernet *net)
{
    return (size_t)sn_compute_padded(net->compute, net->largest.classes);
}

int sn_net_parts(const struct sn_supernet *net)
{
    return net->n_parts;
}

void sn_net_part_tensors(const struct sn_supernet *net, int part,
                         size_t *ret_first, size_t *ret_count)
{
    *ret_first = net->part[part].first;
    *ret_count = net->part[part].count;
}

struct sn_kernel_chain sn_supernet_chain(const struct sn_supernet *net, int j,
                                         const float *flat)
{
    const struct sn_stored_layer *s = &net->stored[j];
    struct sn_kernel_chain chain = {.n = s->n_kernels};
    for (int m = 0; m < s->n_kernels; m++) {
        chain.kernel[m] = s->kernel[m];
    }
    for (int m = 0; m < s->n_kernels - 1; m++) {
        chain.matrix[m] = sn_tensor_of(net, flat, s->matrix[m]);
    }
    return chain;
}
