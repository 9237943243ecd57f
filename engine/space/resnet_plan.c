/* The ResNet family's shapes and costs. Bottlenecks and the D variant's stem
 * and shortcuts: He et al., "Bag of tricks for image classification with
 * convolutional neural networks", CVPR 2019. */
#include <math.h>

#include "engine/space/resnet.h"

/* A width in channels at choice i of the ratios. */
static int width_of(const struct sn_space *space, int width, int i)
{
    return sn_make_divisible(width * (space->width_ratio[i] / 1000.0));
}

/* expand: an index of the ratios + 1. Halves go to the even number, as where
 * the published weights were made. */
static int middle_of(const struct sn_space *space, int out, int expand)
{
    return sn_make_divisible(
        rint(out * (space->expand_ratio[expand - 1] / 1000.0)));
}

static void put_block(struct sn_plan *plan, const struct sn_space *space,
                      const struct sn_arch *arch, int s, int i, int stride)
{
    const struct sn_block_plan *before =
        plan->n_blocks > 0 ? &plan->block[plan->n_blocks - 1] : NULL;
    int out =
        width_of(space, space->stage[s].width, arch->width[SN_STEM_WIDTHS + s]);
    struct sn_block_plan b = {
        .stage = s,
        .index = i,
        .slot = sn_space_slot(space, s, i),
        .in = before ? before->out : plan->stem_out,
        .mid = middle_of(space, out, arch->expand[s][i]),
        .out = out,
        .kernel = 3,
        .stride = i == 0 ? stride : 1,
        .act = SN_ACT_RELU,
        .expands = true,
        .residual = i > 0,
        .downsamples = i == 0,
        .in_size = before ? before->out_size : plan->pool_size,
    };
    b.out_size = sn_conv_size(b.in_size, b.stride);
    plan->block[plan->n_blocks++] = b;
}

void sn_resnet_plan(const struct sn_space *space, const struct sn_arch *arch,
                    int in_channels, int classes, struct sn_plan *ret)
{
    struct sn_stride_rule strides;
    sn_space_strides(space, arch->resolution, &strides);
    int stem_size = sn_conv_size(arch->resolution, strides.stem);
    struct sn_plan plan = {
        .family = SN_FAMILY_RESNET,
        .resolution = arch->resolution,
        .in_channels = in_channels,
        .classes = classes,
        .stem_mid = sn_make_divisible(
            width_of(space, space->stem_width, arch->width[0]) / 2),
        .stem_out = width_of(space, space->stem_width, arch->width[1]),
        .stem_stride = strides.stem,
        .stem_size = stem_size,
        .stem_act = SN_ACT_RELU,
        .stem_residual = arch->stem != 0,
        .pool_size = sn_conv_size(stem_size, 2),
        .head_act = SN_ACT_NONE,
    };
    for (int s = 0; s < space->n_stages; s++)
        for (int i = 0; i < arch->depth[s]; i++)
            put_block(&plan, space, arch, s, i, strides.stage[s]);
    const struct sn_block_plan *last = &plan.block[plan.n_blocks - 1];
    plan.head_in = plan.head_out = last->out;
    plan.head_size = last->out_size;
    *ret = plan;
}

static double plane(int channels, int size)
{
    return (double)channels * size * size;
}

static void raise_to(double *peak, double floats)
{
    if (4 * floats > *peak)
        *peak = 4 * floats;
}

/* A convolution with BN: y is its output's floats. */
static void add_conv(struct sn_cost *cost, int in, int out, int taps, double y)
{
    cost->macs += y * in * taps;
    cost->params += (double)in * out * taps + 2.0 * out;
}

/* The stem's 3x3s; a residual's sum goes into the output's own buffer. */
static void stem_cost(const struct sn_plan *plan, struct sn_cost *cost)
{
    double image = plane(plan->in_channels, plan->resolution);
    double mid = plane(plan->stem_mid, plan->stem_size);
    double out = plane(plan->stem_out, plan->stem_size);
    add_conv(cost, plan->in_channels, plan->stem_mid, 9, mid);
    raise_to(&cost->peak_memory, image + mid);
    if (plan->stem_residual) {
        add_conv(cost, plan->stem_mid, plan->stem_mid, 9, mid);
        raise_to(&cost->peak_memory, mid + mid);
    }
    add_conv(cost, plan->stem_mid, plan->stem_out, 9, out);
    raise_to(&cost->peak_memory, mid + out);
    raise_to(&cost->peak_memory, out + plane(plan->stem_out, plan->pool_size));
}

/* The block's input is alive until its shortcut was made, which is last; the
 * sum goes into the projection's buffer. */
static void block_cost(const struct sn_block_plan *b, struct sn_cost *cost)
{
    double x = plane(b->in, b->in_size), out = plane(b->out, b->out_size);
    double wide = plane(b->mid, b->in_size),
           narrow = plane(b->mid, b->out_size);
    double pooled = b->stride > 1 ? plane(b->in, b->out_size) : 0;
    add_conv(cost, b->in, b->mid, 1, wide);
    raise_to(&cost->peak_memory, x + wide);
    add_conv(cost, b->mid, b->mid, 9, narrow);
    raise_to(&cost->peak_memory, x + wide + narrow);
    add_conv(cost, b->mid, b->out, 1, out);
    raise_to(&cost->peak_memory, x + narrow + out);
    if (b->downsamples) {
        add_conv(cost, b->in, b->out, 1, out);
        raise_to(&cost->peak_memory, x + out + pooled);
        raise_to(&cost->peak_memory, (pooled > 0 ? pooled : x) + out + out);
    }
}

void sn_resnet_cost(const struct sn_plan *plan, struct sn_cost *ret)
{
    struct sn_cost cost = {0};
    stem_cost(plan, &cost);
    for (int i = 0; i < plan->n_blocks; i++)
        block_cost(&plan->block[i], &cost);
    double linear = (double)plan->head_out * plan->classes;
    cost.macs += linear;
    cost.params += linear + plan->classes;
    raise_to(&cost.peak_memory,
             plane(plan->head_out, plan->head_size) + plan->head_out);
    *ret = cost;
}
