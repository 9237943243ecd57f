#include "engine/model/folded.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add(struct sn_named_layer *list, size_t *n, const char *name,
                const struct sn_folded *layer)
{
    if (layer->out == 0)
        return;
    snprintf(list[*n].name, sizeof(list[*n].name), "%s", name);
    list[(*n)++].layer = layer;
}

struct part {
    const char *name;
    const struct sn_folded *layer;
};

static void add_parts(struct sn_named_layer *list, size_t *n, int i,
                      const struct part *part, size_t n_parts)
{
    for (size_t p = 0; p < n_parts; p++) {
        char name[32];
        snprintf(name, sizeof(name), "blocks.%d.%s", i, part[p].name);
        add(list, n, name, part[p].layer);
    }
}

static void add_block(struct sn_named_layer *list, size_t *n, int i,
                      const struct sn_folded_block *block)
{
    const struct part parts[] = {{"expand", &block->expand},
                                 {"depth", &block->depth},
                                 {"se.reduce", &block->se_reduce},
                                 {"se.expand", &block->se_expand},
                                 {"project", &block->project}};
    add_parts(list, n, i, parts, sizeof(parts) / sizeof(*parts));
}

static void add_bottleneck(struct sn_named_layer *list, size_t *n, int i,
                           const struct sn_folded_block *block)
{
    const struct part parts[] = {{"conv1", &block->expand},
                                 {"conv2", &block->depth},
                                 {"conv3", &block->project},
                                 {"downsample", &block->shortcut}};
    add_parts(list, n, i, parts, sizeof(parts) / sizeof(*parts));
}

size_t sn_folded_layers(const struct sn_folded_net *net,
                        struct sn_named_layer ret[SN_MAX_FOLDED])
{
    size_t n = 0;
    add(ret, &n, "stem", &net->stem);
    add(ret, &n, "stem.residual", &net->stem_residual);
    add(ret, &n, "stem.last", &net->stem_last);
    for (int i = 0; i < net->plan.n_blocks; i++)
        if (net->plan.family == SN_FAMILY_RESNET)
            add_bottleneck(ret, &n, i, &net->block[i]);
        else
            add_block(ret, &n, i, &net->block[i]);
    add(ret, &n, "head", &net->head);
    add(ret, &n, "feature", &net->feature);
    add(ret, &n, "classifier", &net->classifier);
    return n;
}

static struct sn_folded pointwise(int in, int out)
{
    return (struct sn_folded){.out = out, .in = in, .kernel = 1, .stride = 1};
}

static struct sn_folded dense3(int in, int out, int stride)
{
    return (struct sn_folded){
        .out = out, .in = in, .kernel = 3, .stride = stride};
}

static void resnet_shapes(const struct sn_plan *plan, struct sn_folded_net *ret)
{
    ret->stem = dense3(plan->in_channels, plan->stem_mid, plan->stem_stride);
    if (plan->stem_residual)
        ret->stem_residual = dense3(plan->stem_mid, plan->stem_mid, 1);
    ret->stem_last = dense3(plan->stem_mid, plan->stem_out, 1);
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        struct sn_folded_block *f = &ret->block[i];
        f->expand = pointwise(b->in, b->mid);
        f->depth = dense3(b->mid, b->mid, b->stride);
        f->project = pointwise(b->mid, b->out);
        if (b->downsamples)
            f->shortcut = pointwise(b->in, b->out);
    }
    ret->classifier = pointwise(plan->head_out, plan->classes);
}

void sn_folded_shapes(const struct sn_plan *plan, struct sn_folded_net *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->plan = *plan;
    if (plan->family == SN_FAMILY_RESNET) {
        resnet_shapes(plan, ret);
        return;
    }
    ret->stem = (struct sn_folded){.out = plan->stem_out,
                                   .in = plan->in_channels,
                                   .kernel = 3,
                                   .stride = plan->stem_stride};
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        struct sn_folded_block *f = &ret->block[i];
        if (b->expands)
            f->expand = pointwise(b->in, b->mid);
        f->depth = (struct sn_folded){.out = b->mid,
                                      .in = b->mid,
                                      .kernel = b->kernel,
                                      .stride = b->stride,
                                      .depthwise = true};
        if (b->se_mid) {
            f->se_reduce = pointwise(b->mid, b->se_mid);
            f->se_expand = pointwise(b->se_mid, b->mid);
        }
        f->project = pointwise(b->mid, b->out);
    }
    ret->head = pointwise(plan->head_in, plan->head_out);
    if (plan->feature_out)
        ret->feature = pointwise(plan->head_out, plan->feature_out);
    ret->classifier = pointwise(sn_plan_features(plan), plan->classes);
}

void sn_folded_shape(const struct sn_folded *layer, int64_t ret[4])
{
    ret[0] = layer->out;
    ret[1] = layer->depthwise ? 1 : layer->in;
    ret[2] = ret[3] = layer->kernel;
}

size_t sn_folded_weights(const struct sn_folded *layer)
{
    int64_t shape[4];
    sn_folded_shape(layer, shape);
    return (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
}

static bool finite_all(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* `in` of a depthwise layer is its channels or 1: both are in use. */
static bool same_shape(const struct sn_folded *a, const struct sn_folded *b)
{
    int64_t x[4], y[4];
    sn_folded_shape(a, x);
    sn_folded_shape(b, y);
    return memcmp(x, y, sizeof(x)) == 0 && a->stride == b->stride &&
           a->depthwise == b->depthwise;
}

enum sn_err sn_folded_check(const struct sn_folded_net *net,
                            struct sn_error *err)
{
    struct sn_folded_net shapes;
    struct sn_named_layer have[SN_MAX_FOLDED], want[SN_MAX_FOLDED];
    if (net->plan.n_blocks < 0 || net->plan.n_blocks > SN_MAX_BLOCKS)
        return sn_error_set(err, SN_ERR_INVALID, "a network of %d blocks",
                            net->plan.n_blocks);
    sn_folded_shapes(&net->plan, &shapes);
    size_t n = sn_folded_layers(net, have);
    if (n != sn_folded_layers(&shapes, want))
        return sn_error_set(err, SN_ERR_INVALID,
                            "the network's layers are not its plan's");
    for (size_t i = 0; i < n; i++) {
        const struct sn_folded *layer = have[i].layer;
        if (strcmp(have[i].name, want[i].name) != 0 ||
            !same_shape(layer, want[i].layer) || !layer->weight || !layer->bias)
            return sn_error_set(err, SN_ERR_INVALID,
                                "layer %s is not as the plan has it",
                                have[i].name);
        if (!finite_all(layer->weight, sn_folded_weights(layer)) ||
            !finite_all(layer->bias, (size_t)layer->out))
            return sn_error_set(err, SN_ERR_INVALID,
                                "layer %s has a weight that is no finite "
                                "number",
                                have[i].name);
    }
    return SN_OK;
}
