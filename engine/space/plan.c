#include "engine/space/plan.h"

#include <string.h>

#include "engine/space/resnet.h"

int sn_conv_size(int size, int stride)
{
    return (size + stride - 1) / stride;
}

int sn_space_slot(const struct sn_space *space, int stage, int index)
{
    int slot = index + (space->family == SN_FAMILY_MOBILE); /* the fixed one */
    for (int s = 0; s < stage; s++)
        slot += space->stage[s].depth.value[space->stage[s].depth.n - 1];
    return slot;
}

int sn_space_slots(const struct sn_space *space)
{
    return sn_space_slot(space, space->n_stages, 0);
}

/* Appends the block that follows in a plan and returns its output side. */
static void put_block(struct sn_plan *plan, struct sn_block_plan b)
{
    b.out_size = sn_conv_size(b.in_size, b.stride);
    b.residual = b.stride == 1 && b.in == b.out;
    plan->block[plan->n_blocks++] = b;
}

void sn_space_strides(const struct sn_space *space, int resolution,
                      struct sn_stride_rule *ret)
{
    for (int i = 0; i < space->n_stride_rules; i++)
        if (resolution < space->stride_rule[i].below) {
            *ret = space->stride_rule[i];
            return;
        }
    struct sn_stride_rule own = {.stem = space->stem_stride,
                                 .first = space->first_stride};
    for (int s = 0; s < space->n_stages; s++)
        own.stage[s] = space->stage[s].stride;
    *ret = own;
}

void sn_plan_make(const struct sn_space *space, const struct sn_arch *arch,
                  int in_channels, int classes, struct sn_plan *ret)
{
    struct sn_stride_rule strides;
    if (space->family == SN_FAMILY_RESNET) {
        sn_resnet_plan(space, arch, in_channels, classes, ret);
        return;
    }
    sn_space_strides(space, arch->resolution, &strides);
    struct sn_plan plan = {
        .family = space->family,
        .resolution = arch->resolution,
        .in_channels = in_channels,
        .classes = classes,
        .stem_out = space->stem_width,
        .stem_stride = strides.stem,
        .stem_size = sn_conv_size(arch->resolution, strides.stem),
        .stem_act = space->stem_act,
    };
    put_block(&plan, (struct sn_block_plan){
                         .stage = -1,
                         .in = space->stem_width,
                         .mid = space->stem_width,
                         .out = space->first_width,
                         .kernel = 3,
                         .stride = strides.first,
                         .act = space->first_act,
                         .in_size = plan.stem_size,
                     });
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        for (int i = 0; i < arch->depth[s]; i++) {
            const struct sn_block_plan *before = &plan.block[plan.n_blocks - 1];
            int mid = sn_middle_channels(before->out, arch->expand[s][i]);
            put_block(&plan,
                      (struct sn_block_plan){
                          .stage = s,
                          .index = i,
                          .slot = sn_space_slot(space, s, i),
                          .in = before->out,
                          .mid = mid,
                          .out = stage->width,
                          .kernel = arch->kernel[s][i],
                          .stride = i == 0 ? strides.stage[s] : 1,
                          .se_mid = stage->se ? sn_make_divisible(mid / 4) : 0,
                          .act = stage->act,
                          .expands = true,
                          .in_size = before->out_size,
                      });
        }
    }
    plan.head_in = plan.block[plan.n_blocks - 1].out;
    plan.head_out = space->head_width;
    plan.head_size = plan.block[plan.n_blocks - 1].out_size;
    plan.head_act = space->head_act;
    plan.feature_out = space->feature_width;
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

/* A block's input is alive until its end when the shortcut needs it; the sum
 * goes into the output's own buffer. */
static void block_cost(const struct sn_block_plan *b, struct sn_cost *cost)
{
    double x = plane(b->in, b->in_size);
    double wide = plane(b->mid, b->in_size);
    double narrow = plane(b->mid, b->out_size);
    double out = plane(b->out, b->out_size);
    double kept = b->residual ? x : 0;
    double taps = (double)b->kernel * b->kernel;

    if (b->expands) {
        cost->macs += wide * b->in;
        cost->params += (double)b->in * b->mid + 2.0 * b->mid;
        raise_to(&cost->peak_memory, x + wide);
        raise_to(&cost->peak_memory, kept + wide + narrow);
    } else {
        raise_to(&cost->peak_memory, x + narrow); /* x is the wide one */
    }
    cost->macs += narrow * taps;
    cost->params += b->mid * taps + 2.0 * b->mid;
    if (b->se_mid > 0) {
        cost->macs += 2.0 * b->mid * b->se_mid;
        cost->params += 2.0 * b->mid * b->se_mid + b->se_mid + b->mid;
        /* pooled vector and gates beside the map they scale */
        raise_to(&cost->peak_memory,
                 kept + narrow + b->mid +
                     (b->se_mid > b->mid ? b->se_mid : b->mid));
    }
    cost->macs += out * b->mid;
    cost->params += (double)b->mid * b->out + 2.0 * b->out;
    raise_to(&cost->peak_memory, kept + narrow + out);
}

void sn_plan_cost(const struct sn_plan *plan, struct sn_cost *ret)
{
    struct sn_cost cost = {0};
    if (plan->family == SN_FAMILY_RESNET) {
        sn_resnet_cost(plan, ret);
        return;
    }
    double image = plane(plan->in_channels, plan->resolution);
    double stem = plane(plan->stem_out, plan->stem_size);
    cost.macs = 9.0 * plan->in_channels * stem;
    cost.params = 9.0 * plan->in_channels * plan->stem_out;
    cost.params += 2.0 * plan->stem_out;
    raise_to(&cost.peak_memory, image + stem);

    for (int i = 0; i < plan->n_blocks; i++)
        block_cost(&plan->block[i], &cost);

    double head = plane(plan->head_out, plan->head_size);
    cost.macs += head * plan->head_in;
    cost.params += (double)plan->head_in * plan->head_out;
    cost.params += 2.0 * plan->head_out;
    raise_to(&cost.peak_memory, plane(plan->head_in, plan->head_size) + head);
    raise_to(&cost.peak_memory, head + plan->head_out);

    double feature = (double)plan->head_out * plan->feature_out;
    double linear = (double)sn_plan_features(plan) * plan->classes;
    cost.macs += feature + linear;
    cost.params += feature + linear + plan->classes;
    *ret = cost;
}
