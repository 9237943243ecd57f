/* The ResNet family's forward pass: tensors as in workspace.h.
 *
 *   stem  images -> raw 0, BN, ReLU -> out 0 -> raw 1, BN, ReLU, + out 0
 *           -> out 1 -> raw 2, BN, ReLU -> out 2 -> maximum -> x of block 0
 *   block x -1x1-> a -BN,ReLU-> active -3x3-> b -BN,ReLU,1x1-> d
 *         x (-mean, 1x1-> shortcut) -> y = ReLU(BN(d) + x or BN(shortcut))
 */
#include "engine/net/pass.h"

/* Statistics of layer j's raw output are in the tape's sums already. */
static void finish_bn(const struct sn_pass *p, int j)
{
    struct sn_plane plane = sn_pass_plane(p, j);
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    sn_bn_finish(p->cx, &plane, bn->sums, sn_pass_gamma(p, j),
                 sn_pass_beta(p, j), p->sub->net->space->bn_eps, bn->mean,
                 bn->rstd, bn->scale, bn->shift);
}

static void count_bn(const struct sn_pass *p, int j, const float *raw)
{
    struct sn_plane plane = sn_pass_plane(p, j);
    sn_bn_sums(p->cx, &plane, raw, p->tape->bn[j].sums);
    finish_bn(p, j);
}

/* y = relu(BN of layer j) + more; y may be raw, more may be NULL. */
static void activate(const struct sn_pass *p, int j, const float *raw,
                     const float *more, float *y)
{
    struct sn_plane plane = sn_pass_plane(p, j);
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    sn_bn_apply(p->cx, &plane, raw, bn->scale, bn->shift, SN_CACT_RELU, NULL,
                more, y);
}

static void conv1_bn(const struct sn_pass *p, int j, const struct sn_source *in,
                     float *y)
{
    struct sn_conv1 s = sn_pass_conv1(p, j);
    sn_conv1_forward_fused(p->cx, &s, in, sn_pass_weight(p, j), NULL, y,
                           p->tape->bn[j].sums);
    finish_bn(p, j);
}

static void conv3_bn(const struct sn_pass *p, int j, const float *x, float *y)
{
    struct sn_conv3 s = sn_pass_conv3(p, j);
    sn_conv3_forward(p->cx, &s, x, sn_pass_weight(p, j), y);
    count_bn(p, j, y);
}

static void stem(const struct sn_pass *p)
{
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_stem_tape *t = &p->tape->stems;
    struct sn_stem s = sn_pass_stem(p);
    struct sn_window w = {p->n, plan->stem_out, plan->stem_size,
                          plan->stem_size};
    const float *x = t->out[SN_STEM_FIRST];

    sn_stem_forward(p->cx, &s, p->images, sn_pass_weight(p, SN_STEM_FIRST),
                    t->raw[SN_STEM_FIRST]);
    count_bn(p, SN_STEM_FIRST, t->raw[SN_STEM_FIRST]);
    activate(p, SN_STEM_FIRST, t->raw[SN_STEM_FIRST], NULL,
             t->out[SN_STEM_FIRST]);
    if (plan->stem_residual) {
        conv3_bn(p, SN_STEM_RESIDUAL, x, t->raw[SN_STEM_RESIDUAL]);
        activate(p, SN_STEM_RESIDUAL, t->raw[SN_STEM_RESIDUAL], x,
                 t->out[SN_STEM_RESIDUAL]);
        x = t->out[SN_STEM_RESIDUAL];
    }
    conv3_bn(p, SN_STEM_LAST, x, t->raw[SN_STEM_LAST]);
    activate(p, SN_STEM_LAST, t->raw[SN_STEM_LAST], NULL, t->out[SN_STEM_LAST]);
    sn_max_window_forward(p->cx, &w, t->out[SN_STEM_LAST], p->tape->block[0].x);
}

/* The mean of x's windows, or x itself. */
static void take_mean(const struct sn_pass *p, int b)
{
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    struct sn_window w = {p->n, plan->in, plan->in_size, plan->in_size};
    if (plan->stride > 1) {
        sn_mean_window_forward(p->cx, &w, t->x, t->mean);
    }
}

/* All that a block makes but its output. */
static void branches(const struct sn_pass *p, int b)
{
    const struct sn_block_tape *t = &p->tape->block[b];
    int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
    float *active = p->tape->active != NULL ? p->tape->active : t->a;
    struct sn_source in = {.u = t->x};

    conv1_bn(p, first + SN_CONV_IN, &in, t->a);
    activate(p, first + SN_CONV_IN, t->a, NULL, active);
    conv3_bn(p, first + SN_CONV_MID, active, t->b);
    in = sn_pass_middle(p, b);
    conv1_bn(p, first + SN_CONV_OUT, &in, t->d);
    if (p->sub->plan.block[b].downsamples) {
        take_mean(p, b);
        in = (struct sn_source){.u = t->mean};
        conv1_bn(p, first + SN_CONV_SHORT, &in, t->shortcut);
    }
}

static void block(const struct sn_pass *p, int b)
{
    const struct sn_block_tape *t = &p->tape->block[b];
    int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
    const struct sn_bn_tape *bn = p->tape->bn + first;
    struct sn_plane out = sn_pass_plane(p, first + SN_CONV_OUT);

    branches(p, b);
    if (!p->sub->plan.block[b].downsamples) {
        sn_sum_relu(p->cx, &out, t->d, bn[SN_CONV_OUT].scale,
                    bn[SN_CONV_OUT].shift, t->x, NULL, NULL, t->y);
        return;
    }
    sn_sum_relu(p->cx, &out, t->d, bn[SN_CONV_OUT].scale, bn[SN_CONV_OUT].shift,
                t->shortcut, bn[SN_CONV_SHORT].scale, bn[SN_CONV_SHORT].shift,
                t->y);
}

void sn_resnet_stem_again(const struct sn_pass *p)
{
    stem(p);
}

void sn_resnet_block_again(const struct sn_pass *p, int b)
{
    branches(p, b);
}

struct sn_source sn_pass_middle(const struct sn_pass *p, int b)
{
    const struct sn_bn_tape *bn =
        &p->tape->bn[sn_layer_in_bottleneck(b, SN_CONV_MID)];
    return (struct sn_source){.u = p->tape->block[b].b,
                              .scale = bn->scale,
                              .shift = bn->shift,
                              .act = SN_CACT_RELU};
}

void sn_resnet_forward(const struct sn_pass *p, float *ret_logits)
{
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_tape *tape = p->tape;
    int classifier = sn_layer_classifier(plan);
    struct sn_conv1 s = sn_pass_conv1(p, classifier);
    struct sn_plane plane = {.n = p->n,
                             .c = plan->head_out,
                             .hw = plan->head_size * plan->head_size};

    stem(p);
    for (int b = 0; b < plan->n_blocks; b++) {
        block(p, b);
    }
    sn_pool_forward(p->cx, &plane, tape->block[plan->n_blocks - 1].y, NULL,
                    NULL, SN_CACT_NONE, tape->pooled);
    sn_conv1_forward(p->cx, &s, tape->pooled, sn_pass_weight(p, classifier),
                     tape->logits);
    sn_vec_bias_act(p->cx, p->n, plan->classes, tape->logits,
                    sn_pass_beta(p, classifier), SN_CACT_NONE, ret_logits);
}
