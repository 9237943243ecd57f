/* The backward pass: tensors as in workspace.h. A gradient's name is that of
 * its tensor with d before it; dy of a block is in stream[], and its dx goes to
 * the other one, which is the dy of the block before. */
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

static float *grad_beta(const struct gradient *g, int j)
{
    return g->packed + g->pass->sub->gradient_at[j].beta;
}

/* From the sums of layer j's gradient (tape's sums, see sn_bn_backward_sums) to
 * those of its BN, and to how the gradient g is read through it; x is the raw
 * output. */
static struct sn_gradient through_bn(const struct gradient *g, int j,
                                     const void *gradient, const void *x)
{
    const struct sn_pass *p = g->pass;
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    struct sn_plane plane = sn_pass_plane(p, j);
    size_t padded = (size_t)sn_compute_padded(p->sub->net->compute, plane.c);
    float *pqr = p->tape->pqr;
    sn_bn_gradient(
        p->cx, &plane, p->tape->sums, bn->mean, bn->rstd, sn_pass_gamma(p, j),
        g->packed + p->sub->gradient_at[j].gamma, grad_beta(g, j), pqr);
    return (struct sn_gradient){gradient, x, pqr, pqr + padded,
                                pqr + 2 * padded};
}

/* From the gradient of what layer j's BN and activation give, dy, to its raw
 * output's, which is read from dx and the layer's raw output x. */
static struct sn_gradient bn_back(const struct gradient *g, int j,
                                  const void *x, enum sn_cact act,
                                  const void *dy, void *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    struct sn_plane plane = sn_pass_plane(p, j);
    sn_bn_backward_sums(p->cx, &plane, x, bn->mean, bn->scale, bn->shift, act,
                        NULL, NULL, dy, dx, p->tape->sums);
    return through_bn(g, j, dx, x);
}

/* Weight gradient of a linear layer, and dx, which may share memory with x. */
static void linear_back(const struct gradient *g, int j, const float *x,
                        const float *dy, float *dx)
{
    const struct sn_pass *p = g->pass;
    struct sn_conv1 s = sn_pass_linear(p, j);
    sn_conv1_backward_weights(p->cx, &s, x, dy, grad_weight(g, j));
    sn_conv1_backward_data(p->cx, &s, dy, sn_pass_weight_back(p, j), dx);
}

/* From dlogits to the gradient of the last block's output, into dx. */
static void tail_back(const struct gradient *g, const float *dlogits, void *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_tape *tape = p->tape;
    int head = sn_layer_head(plan), feature = sn_layer_feature(plan);
    int classifier = sn_layer_classifier(plan);
    float *u = tape->vector[0], *v = tape->vector[1];
    struct sn_plane plane = sn_pass_plane(p, head);
    enum sn_cact act = sn_layer_act(plan->head_act);

    sn_vec_bias_act_backward(p->cx, p->n, plan->classes, tape->logits,
                             sn_pass_beta(p, classifier), SN_CACT_NONE, dlogits,
                             u, grad_beta(g, classifier));
    linear_back(g, classifier, tape->mixed, u, v);
    float *dpooled = v;
    if (plan->feature_out > 0) {
        sn_vec_bias_act_backward(p->cx, p->n, plan->feature_out, tape->feature,
                                 NULL, act, v, v, NULL);
        linear_back(g, feature, tape->pooled, v, u);
        dpooled = u;
    }
    sn_pool_backward(p->cx, &plane, dpooled, tape->wide);
    struct sn_gradient d =
        bn_back(g, head, tape->head, act, tape->wide, tape->wide);
    struct sn_conv1 s = sn_pass_conv1(p, head);
    struct sn_source in = {.u = tape->block[plan->n_blocks - 1].y};
    struct sn_sink out = {.dx = dx};
    sn_conv1_backward_fused(p->cx, &s, &in, &d, sn_pass_weight_back(p, head),
                            &out, grad_weight(g, head));
}

/* From the gradient of the gated tensor to that of the pooled vector, which
 * comes back in vector[0]. */
static void squeeze_excite_back(const struct gradient *g, int b,
                                const void *dnarrow)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_tape *t = &p->tape->block[b];
    int depth = sn_layer_in_block(b, SN_DEPTH);
    int reduce = sn_layer_in_block(b, SN_SE_REDUCE);
    int expand = sn_layer_in_block(b, SN_SE_EXPAND);
    const struct sn_bn_tape *bn = &p->tape->bn[depth];
    struct sn_plane plane = sn_pass_plane(p, depth);
    float *u = p->tape->vector[0], *v = p->tape->vector[1];

    sn_gate_backward(p->cx, &plane, t->b, bn->scale, bn->shift,
                     sn_layer_act(p->sub->plan.block[b].act), dnarrow, u);
    sn_vec_bias_act_backward(p->cx, p->n, p->sub->layer[expand].o, t->expand,
                             sn_pass_beta(p, expand), SN_CACT_HSIGMOID, u, u,
                             grad_beta(g, expand));
    linear_back(g, expand, t->reduced, u, v);
    sn_vec_bias_act_backward(p->cx, p->n, p->sub->layer[reduce].o, t->reduce,
                             sn_pass_beta(p, reduce), SN_CACT_RELU, v, v,
                             grad_beta(g, reduce));
    linear_back(g, reduce, t->pooled, v, u);
}

/* From the gradient of a block's raw projection to that of its raw depthwise
 * output's BN, in `narrow`, and its sums. */
static void project_back(const struct gradient *g, int b,
                         const struct sn_gradient *dd)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_tape *t = &p->tape->block[b];
    struct sn_tape *tape = p->tape;
    int depth = sn_layer_in_block(b, SN_DEPTH);
    int project = sn_layer_in_block(b, SN_PROJECT);
    bool gated = p->sub->plan.block[b].se_mid > 0;
    const struct sn_bn_tape *bn = &tape->bn[depth];
    struct sn_conv1 s = sn_pass_conv1(p, project);
    struct sn_source in = sn_pass_depth_output(p, b);
    struct sn_sink out = {.dx = tape->narrow,
                          .through = !gated,
                          .mean = bn->mean,
                          .ret_sums = gated ? NULL : tape->sums};
    sn_conv1_backward_fused(p->cx, &s, &in, dd, sn_pass_weight_back(p, project),
                            &out, grad_weight(g, project));
    if (gated) {
        struct sn_plane plane = sn_pass_plane(p, depth);
        squeeze_excite_back(g, b, tape->narrow);
        sn_bn_backward_sums(p->cx, &plane, t->b, bn->mean, bn->scale, bn->shift,
                            in.act, t->gate, tape->vector[0], tape->narrow,
                            tape->narrow, tape->sums);
    }
}

/* Where the block expands dx gets the gradient of the expansion's BN, and its
 * sums; else that of the block's input. */
static void depth_back(const struct gradient *g, int b,
                       const struct sn_gradient *db, void *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    int depth = sn_layer_in_block(b, SN_DEPTH);
    struct sn_dw dw = sn_pass_dw(p, depth);
    struct sn_source in = sn_pass_depth_input(p, b);
    struct sn_sink out = {.dx = dx};
    if (plan->expands) {
        out.through = true;
        out.mean = p->tape->bn[sn_layer_in_block(b, SN_EXPAND)].mean;
        out.ret_sums = p->tape->sums;
    }
    sn_dw_backward_fused(p->cx, &dw, &in, db, sn_pass_weight(p, depth), &out,
                         grad_weight(g, depth));
}

static void block_back(const struct gradient *g, int b, const void *dy,
                       void *dx)
{
    const struct sn_pass *p = g->pass;
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    struct sn_tape *tape = p->tape;
    int expand = sn_layer_in_block(b, SN_EXPAND);
    int depth = sn_layer_in_block(b, SN_DEPTH);
    int project = sn_layer_in_block(b, SN_PROJECT);
    const struct sn_bn_tape *bn = &tape->bn[project];
    struct sn_plane plane = sn_pass_plane(p, project);

    sn_bn_backward_sums(p->cx, &plane, t->d, bn->mean, bn->scale, bn->shift,
                        SN_CACT_NONE, NULL, NULL, dy, NULL, tape->sums);
    struct sn_gradient d = through_bn(g, project, dy, t->d);
    project_back(g, b, &d);
    d = through_bn(g, depth, tape->narrow, t->b);
    if (plan->expands) {
        depth_back(g, b, &d, tape->wide);
        d = through_bn(g, expand, tape->wide, t->a);
        struct sn_conv1 s = sn_pass_conv1(p, expand);
        struct sn_source in = {.u = t->x};
        struct sn_sink out = {.dx = dx, .add = plan->residual ? dy : NULL};
        sn_conv1_backward_fused(p->cx, &s, &in, &d,
                                sn_pass_weight_back(p, expand), &out,
                                grad_weight(g, expand));
        return;
    }
    depth_back(g, b, &d, dx);
    if (plan->residual) {
        struct sn_plane input = sn_pass_input(p, b);
        sn_add(p->cx, &input, dy, dx);
    }
}

static void stem_back(const struct gradient *g, const void *dx)
{
    const struct sn_pass *p = g->pass;
    struct sn_stem s = sn_pass_stem(p);
    float *dw = grad_weight(g, 0);
    enum sn_cact act = sn_layer_act(p->sub->plan.stem_act);
    struct sn_plane plane = sn_pass_plane(p, 0);
    struct sn_gradient d = bn_back(g, 0, p->tape->stem, act, dx, p->tape->wide);
    sn_gradient_apply(p->cx, &plane, &d, p->tape->wide);
    memset(dw, 0, sizeof(float) * sn_layer_weight_floats(&p->sub->layer[0]));
    sn_stem_backward_weights(p->cx, &s, p->images, p->tape->wide, dw);
}

void sn_subnet_backward(const struct sn_subnet *sub, struct sn_cx *cx,
                        struct sn_workspace *ws, const float *images, int n,
                        const float *dlogits, float *ret_gradient)
{
    struct sn_pass p = {sub, cx, &ws->train_tape, images, n};
    struct gradient g = {&p, ret_gradient};
    void *const *stream = ws->train_tape.stream;
    int last = sub->plan.n_blocks - 1;

    if (sub->plan.family == SN_FAMILY_RESNET) {
        sn_resnet_backward(&p, dlogits, ret_gradient);
        return;
    }
    tail_back(&g, dlogits, stream[last % 2]);
    for (int b = last; b >= 0; b--) {
        if (ws->train_tape.recomputes) {
            sn_pass_block_again(&p, b);
        }
        block_back(&g, b, stream[b % 2], stream[(b + 1) % 2]);
    }
    stem_back(&g, stream[1]);
}
