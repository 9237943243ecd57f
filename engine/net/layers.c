#include "engine/net/layers.h"

#include <string.h>

static struct sn_layer conv1_layer(int o, int i, int size)
{
    return (struct sn_layer){.kind = SN_LAYER_CONV1,
                             .o = o,
                             .i = i,
                             .k = 1,
                             .stride = 1,
                             .in_size = size,
                             .out_size = size};
}

static void block_layers(const struct sn_block_plan *b, struct sn_layer *ret)
{
    if (b->expands) {
        ret[SN_EXPAND] = conv1_layer(b->mid, b->in, b->in_size);
        ret[SN_EXPAND].bn = true;
    }
    ret[SN_DEPTH] = (struct sn_layer){.kind = SN_LAYER_DEPTH,
                                      .bn = true,
                                      .o = b->mid,
                                      .i = b->mid,
                                      .k = b->kernel,
                                      .stride = b->stride,
                                      .in_size = b->in_size,
                                      .out_size = b->out_size};
    if (b->se_mid > 0) {
        ret[SN_SE_REDUCE] = conv1_layer(b->se_mid, b->mid, 1);
        ret[SN_SE_REDUCE].bias = true;
        ret[SN_SE_EXPAND] = conv1_layer(b->mid, b->se_mid, 1);
        ret[SN_SE_EXPAND].bias = true;
    }
    ret[SN_PROJECT] = conv1_layer(b->out, b->mid, b->out_size);
    ret[SN_PROJECT].bn = true;
}

static struct sn_layer conv3_layer(int o, int i, int size, int stride)
{
    return (struct sn_layer){.kind = SN_LAYER_CONV3,
                             .bn = true,
                             .o = o,
                             .i = i,
                             .k = 3,
                             .stride = stride,
                             .in_size = size,
                             .out_size = sn_conv_size(size, stride)};
}

static void bottleneck_layers(const struct sn_block_plan *b,
                              struct sn_layer *ret)
{
    ret[SN_CONV_IN] = conv1_layer(b->mid, b->in, b->in_size);
    ret[SN_CONV_MID] = conv3_layer(b->mid, b->mid, b->in_size, b->stride);
    ret[SN_CONV_OUT] = conv1_layer(b->out, b->mid, b->out_size);
    ret[SN_CONV_IN].bn = ret[SN_CONV_OUT].bn = true;
    if (b->downsamples) {
        ret[SN_CONV_SHORT] = conv1_layer(b->out, b->in, b->out_size);
        ret[SN_CONV_SHORT].bn = true;
    }
}

static struct sn_layer stem_layer(const struct sn_plan *plan, int o)
{
    return (struct sn_layer){.kind = SN_LAYER_STEM,
                             .bn = true,
                             .o = o,
                             .i = plan->in_channels,
                             .k = 3,
                             .stride = plan->stem_stride,
                             .in_size = plan->resolution,
                             .out_size = plan->stem_size};
}

static void resnet_layers(const struct sn_plan *plan, struct sn_layer *ret)
{
    ret[SN_STEM_FIRST] = stem_layer(plan, plan->stem_mid);
    if (plan->stem_residual) {
        ret[SN_STEM_RESIDUAL] =
            conv3_layer(plan->stem_mid, plan->stem_mid, plan->stem_size, 1);
    }
    ret[SN_STEM_LAST] =
        conv3_layer(plan->stem_out, plan->stem_mid, plan->stem_size, 1);
    for (int b = 0; b < plan->n_blocks; b++) {
        bottleneck_layers(&plan->block[b],
                          ret + sn_layer_in_bottleneck(b, SN_CONV_IN));
    }
    struct sn_layer *classifier = ret + sn_layer_classifier(plan);
    *classifier = conv1_layer(plan->classes, plan->head_out, 1);
    classifier->bias = true;
}

void sn_layers_make(const struct sn_plan *plan,
                    struct sn_layer ret[SN_MAX_LAYERS])
{
    memset(ret, 0, sizeof(ret[0]) * SN_MAX_LAYERS);
    if (plan->family == SN_FAMILY_RESNET) {
        resnet_layers(plan, ret);
        return;
    }
    ret[0] = stem_layer(plan, plan->stem_out);
    for (int b = 0; b < plan->n_blocks; b++) {
        block_layers(&plan->block[b], ret + sn_layer_in_block(b, SN_EXPAND));
    }
    struct sn_layer *head = ret + sn_layer_head(plan);
    *head = conv1_layer(plan->head_out, plan->head_in, plan->head_size);
    head->bn = true;
    if (plan->feature_out > 0) {
        ret[sn_layer_feature(plan)] =
            conv1_layer(plan->feature_out, plan->head_out, 1);
    }
    struct sn_layer *classifier = ret + sn_layer_classifier(plan);
    *classifier = conv1_layer(plan->classes, sn_plan_features(plan), 1);
    classifier->bias = true;
}

int sn_layer_stored(const struct sn_plan *plan, const struct sn_plan *largest,
                    int j)
{
    if (plan->family == SN_FAMILY_RESNET) {
        int at = j - SN_STEM_LAYERS;
        if (j == sn_layer_classifier(plan)) {
            return sn_layer_classifier(largest);
        }
        return at < 0 ? j
                      : sn_layer_in_bottleneck(
                            plan->block[at / SN_BOTTLENECK_LAYERS].slot,
                            SN_CONV_IN) +
                            at % SN_BOTTLENECK_LAYERS;
    }
    int head = sn_layer_head(plan);
    if (j >= head) {
        return sn_layer_head(largest) + (j - head);
    }
    if (j == 0) {
        return 0;
    }
    int b = (j - 1) / SN_BLOCK_LAYERS;
    return sn_layer_in_block(plan->block[b].slot, SN_EXPAND) +
           (j - 1) % SN_BLOCK_LAYERS;
}

size_t sn_layer_weight_floats(const struct sn_layer *layer)
{
    size_t taps = (size_t)layer->k * (size_t)layer->k;
    switch (layer->kind) {
    case SN_LAYER_STEM:
    case SN_LAYER_CONV1:
    case SN_LAYER_CONV3:
        return (size_t)layer->o * (size_t)layer->i * taps;
    case SN_LAYER_DEPTH:
        return (size_t)layer->o * taps;
    case SN_LAYER_ABSENT:
        break;
    }
    return 0;
}

static size_t packed_weight_floats(const struct sn_compute *compute,
                                   const struct sn_layer *l, bool gradient)
{
    switch (l->kind) {
    case SN_LAYER_STEM: {
        struct sn_stem s = {1, l->i, l->o, l->in_size, l->in_size, l->stride};
        return gradient ? sn_layer_weight_floats(l)
                        : sn_stem_packed_floats(compute, &s);
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

static size_t take(size_t *used, size_t floats)
{
    size_t at = *used;
    *used += sn_arena_round(floats);
    return at;
}

static size_t layout(const struct sn_compute *compute,
                     const struct sn_layer *layer, int n_layers, bool gradient,
                     struct sn_layer_at *ret)
{
    size_t used = 0;
    for (int j = 0; j < n_layers; j++) {
        const struct sn_layer *l = &layer[j];
        size_t weight = packed_weight_floats(compute, l, gradient);
        size_t padded = (size_t)sn_compute_padded(compute, l->o);
        bool backward = !gradient && (l->kind == SN_LAYER_CONV1 ||
                                      l->kind == SN_LAYER_CONV3);
        ret[j].fwd = take(&used, weight);
        ret[j].bwd = backward ? take(&used, weight) : ret[j].fwd;
        ret[j].gamma = take(&used, l->bn ? padded : 0);
        ret[j].beta = take(&used, l->bn || l->bias ? padded : 0);
        ret[j].end = used;
    }
    return used;
}

size_t sn_layout_weights(const struct sn_compute *compute,
                         const struct sn_layer *layer, int n_layers,
                         struct sn_layer_at *ret)
{
    return layout(compute, layer, n_layers, false, ret);
}

size_t sn_layout_gradient(const struct sn_compute *compute,
                          const struct sn_layer *layer, int n_layers,
                          struct sn_layer_at *ret)
{
    return layout(compute, layer, n_layers, true, ret);
}
