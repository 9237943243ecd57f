/* The ResNet family's backward pass: tensors as in workspace.h. A gradient's
 * name is that of its tensor with d before it; dy of a block is in stream[],
 * and its dx goes to the other one, which is the dy of the block before. */
#include <string.h>

#include "engine/net/pass.h"

struct gradient {
    const struct sn_pass *pass;
    float *packed;
};

static float *grad_weight(const struct gradient *g, int j)
{
    return g->packed + g->pass->sub->gradient_at[j].fwd;
}

static float *grad_gamma(const struct gradient *g, int j)
{
    return g->packed + g->pass->sub->gradient_at[j].gamma;
}

static float *grad_beta(const struct gradient *g, int j)
{
    return g->packed + g->pass->sub->gradient_at[j].beta;
}

static size_t plane_floats(const struct gradient *g, int channels, int size)
{
    const struct sn_pass *p = g->pass;
    return (size_t)p->n *
           (size_t)sn_compute_padded(p->sub->net->compute, channels) *
           (size_t)size * (size_t)size;
}

/* From the tape's sums of layer j's gradient to those of its BN, and to how the
 * gradient is read through it; x is the raw output. */
static struct sn_gradient through_bn(const struct gradient *g, int j,
                                     const float *gradient, const float *x)
{
    const struct sn_pass *p = g->pass;
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    struct sn_plane plane = sn_pass_plane(p, j);
    size_t padded = (size_t)sn_compute_padded(p->sub->net->compute, plane.c);
    float *pqr = p->tape->pqr;
    sn_bn_gradient(p->cx, &plane, p->tape->sums, bn->mean, bn->rstd,
                   sn_pass_gamma(p, j), grad_gamma(g, j), grad_beta(g, j), pqr);
    return (struct sn_gradient){gradient, x, pqr, pqr + padded,
                                pqr + 2 * padded};
}

/* The same of a BN without activation, from the gradient of its output. */
static struct sn_gradient through_plain_bn(const struct gradient *g, int j,
                                           const float *dy, const float *x)
{
    const struct sn_pass *p = g->pass;
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    struct sn_plane plane = sn_pass_plane(p, j);
    sn_bn_backward_sums(p->cx, &plane, x, bn->mean, bn->scale, bn->shift,
                        SN_CACT_NONE, NULL, NULL, dy, NULL, p->tape->sums);
    return through_bn(g, j, dy, x);
}

/* In place, through ReLU and BN of layer j whose raw output is x. */
static void relu_bn_back(const struct gradient *g, int j, const float *x,
                         float *d)
{
    const struct sn_pass *p = g->pass;
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    struct sn_plane plane = sn_pass_plane(p, j);
    sn_bn_backward(p->cx, &plane, x, bn->mean, bn->rstd, sn_pass_gamma(p, j),
                   sn_pass_beta(p, j), SN_CACT_RELU, NULL, NULL, d, d,
                   grad_gamma(g, j), grad_beta(g, j));
}

/* Weight gradient of a 3x3 that read x, and dx. */
static void conv3_back(const struct gradient *g, int j, const float *x,
                       const float *dy, float *dx)
{
    const struct sn_pass *p = g->pass;
    struct sn_conv3 s = sn_pass_conv3(p, j);
    sn_conv3_backward_weights(p->cx, &s, x, dy, grad_weight(g, j));
    sn_conv3_backward_data(p->cx, &s, dy, sn_pass_weight_back(p, j), dx);
}

static void conv1_back(const struct gradient *g, int j,
                       const struct sn_source *in, const struct sn_gradient *dy,
                       const struct sn_sink *out)
{
    const struct sn_pass *p = g->pass;
    struct sn_conv1 s = sn_pass_conv1(p, j);
    sn_conv1_backward_fused(p->cx, &s, in, dy, sn_pass_weight_back(p, j), out,
                            grad_weight(g, j));
}

/* From dlogits to the gradient of the last block's output. */
static void tail_back(const struct gradient *g, const float *dlogits, float *dy)
{
    const struct sn_pass *p = g->pass;
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_tape *tape = p->tape;
    int classifier = sn_layer_classifier(plan);
    float *u = tape->vector[0], *v = tape->vector[1];
    struct sn_conv1 s = sn_pass_conv1(p, classifier);
    struct sn_plane plane = {.n = p->n,
                             .c = plan->head_out,
                             .hw = plan->head_size * plan->head_size};

    sn_vec_bias_act_backward(p->cx, p->n, plan->classes, tape->logits,
                             sn_pass_beta(p, classifier), SN_CACT_NONE, dlogits,
                             u, grad_beta(g, classifier));
    sn_conv1_backward_weights(p->cx, &s, tape->pooled, u,
                              grad_weight(g, classifier));
    sn_conv1_backward_data(p->cx, &s, u, sn_pass_weight_back(p, classifier), v);
    sn_pool_backward(p->cx, &plane, v, dy);
}

/* Adds to dx what comes through the shortcut's 1x1 and window. */
static void shortcut_back(const struct gradient *g, int b, const float *dsum,
                          float *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    int j = sn_layer_in_bottleneck(b, SN_CONV_SHORT);
    struct sn_window w = {p->n, plan->in, plan->in_size, plan->in_size};
    struct sn_gradient d = through_plain_bn(g, j, dsum, t->shortcut);
    struct sn_source in = {.u = t->mean};
    struct sn_sink out = {.dx = p->tape->narrow};
    const float *more = out.dx;

    conv1_back(g, j, &in, &d, &out);
    if (plan->stride > 1) {
        sn_mean_window_backward(p->cx, &w, out.dx, p->tape->wide);
        more = p->tape->wide;
    }
    sn_vec_add(p->cx, plane_floats(g, plan->in, plan->in_size), more, dx);
}

/* dy becomes the gradient of the sum before the ReLU. */
static void block_back(const struct gradient *g, int b, float *dy, float *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    struct sn_tape *tape = p->tape;
    int first = sn_layer_in_bottleneck(b, SN_CONV_IN);
    const struct sn_bn_tape *bn = tape->bn + first;
    struct sn_plane wide = sn_pass_plane(p, first + SN_CONV_IN);

    sn_relu_backward(p->cx, plane_floats(g, plan->out, plan->out_size), t->y,
                     dy, dy);
    struct sn_gradient d = through_plain_bn(g, first + SN_CONV_OUT, dy, t->d);
    struct sn_source in = sn_pass_middle(p, b);
    struct sn_sink out = {.dx = tape->narrow};
    conv1_back(g, first + SN_CONV_OUT, &in, &d, &out);
    relu_bn_back(g, first + SN_CONV_MID, t->b, tape->narrow);

    sn_bn_apply(p->cx, &wide, t->a, bn[SN_CONV_IN].scale, bn[SN_CONV_IN].shift,
                SN_CACT_RELU, NULL, NULL, tape->active);
    conv3_back(g, first + SN_CONV_MID, tape->active, tape->narrow, tape->wide);
    relu_bn_back(g, first + SN_CONV_IN, t->a, tape->wide);

    d = (struct sn_gradient){.g = tape->wide};
    in = (struct sn_source){.u = t->x};
    out = (struct sn_sink){.dx = dx, .add = plan->residual ? dy : NULL};
    conv1_back(g, first + SN_CONV_IN, &in, &d, &out);
    if (plan->downsamples) {
        shortcut_back(g, b, dy, dx);
    }
}

/* dpool: the gradient of what the stem's maximum makes. */
static void stem_back(const struct gradient *g, const float *dpool)
{
    const struct sn_pass *p = g->pass;
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_stem_tape *t = &p->tape->stems;
    struct sn_stem s = sn_pass_stem(p);
    struct sn_window w = {p->n, plan->stem_out, plan->stem_size,
                          plan->stem_size};
    float *d = p->tape->wide, *du = p->tape->active, *v = p->tape->narrow;
    float *dw = grad_weight(g, SN_STEM_FIRST);
    size_t mid = plane_floats(g, plan->stem_mid, plan->stem_size);

    sn_max_window_backward(p->cx, &w, t->out[SN_STEM_LAST], dpool, d);
    relu_bn_back(g, SN_STEM_LAST, t->raw[SN_STEM_LAST], d);
    conv3_back(g, SN_STEM_LAST,
               t->out[plan->stem_residual ? SN_STEM_RESIDUAL : SN_STEM_FIRST],
               d, du);
    if (plan->stem_residual) {
        memcpy(v, du, sizeof(float) * mid);
        relu_bn_back(g, SN_STEM_RESIDUAL, t->raw[SN_STEM_RESIDUAL], v);
        conv3_back(g, SN_STEM_RESIDUAL, t->out[SN_STEM_FIRST], v, d);
        sn_vec_add(p->cx, mid, d, du);
    }
    relu_bn_back(g, SN_STEM_FIRST, t->raw[SN_STEM_FIRST], du);
    memset(dw, 0, sizeof(float) * sn_layer_weight_floats(&p->sub->layer[0]));
    sn_stem_backward_weights(p->cx, &s, p->images, du, dw);
}

void sn_resnet_backward(const struct sn_pass *p, const float *dlogits,
                        float *ret_gradient)
{
    struct gradient g = {p, ret_gradient};
    void *const *stream = p->tape->stream;
    int last = p->sub->plan.n_blocks - 1;

    tail_back(&g, dlogits, stream[last % 2]);
    for (int b = last; b >= 0; b--) {
        if (p->tape->recomputes) {
            sn_resnet_block_again(p, b);
        }
        block_back(&g, b, stream[b % 2], stream[(b + 1) % 2]);
    }
    if (p->tape->recomputes) {
        sn_resnet_stem_again(p);
    }
    stem_back(&g, stream[1]);
}
