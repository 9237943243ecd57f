#include <assert.h>

#include "engine/net/pass.h"

/* Statistics of layer j's raw output y are in the tape's sums already. */
static void finish_bn(const struct sn_pass *p, int j)
{
    struct sn_plane plane = sn_pass_plane(p, j);
    const struct sn_bn_tape *bn = &p->tape->bn[j];
    sn_bn_finish(p->cx, &plane, bn->sums, sn_pass_gamma(p, j),
                 sn_pass_beta(p, j), p->sub->net->space->bn_eps, bn->mean,
                 bn->rstd, bn->scale, bn->shift);
}

/* y = conv(source), raw, and its BN's scale and shift; the source itself goes
 * to x where that is not NULL. */
static void conv_bn(const struct sn_pass *p, int j, const struct sn_source *in,
                    void *x, void *y)
{
    struct sn_conv1 s = sn_pass_conv1(p, j);
    sn_conv1_forward_fused(p->cx, &s, in, sn_pass_weight(p, j), x, y,
                           p->tape->bn[j].sums);
    finish_bn(p, j);
}

static void conv_vector(const struct sn_pass *p, int j, const float *x,
                        float *y)
{
    struct sn_conv1 s = sn_pass_linear(p, j);
    sn_conv1_forward(p->cx, &s, x, sn_pass_weight(p, j), y);
}

/* The stem's output, as the first block reads it. */
static struct sn_source stem(const struct sn_pass *p)
{
    struct sn_tape *tape = p->tape;
    const struct sn_bn_tape *bn = &tape->bn[0];
    struct sn_stem s = sn_pass_stem(p);
    struct sn_plane plane = sn_pass_plane(p, 0);
    sn_stem_forward(p->cx, &s, p->images, sn_pass_weight(p, 0), tape->stem);
    sn_bn_sums(p->cx, &plane, tape->stem, bn->sums);
    finish_bn(p, 0);
    return (struct sn_source){.u = tape->stem,
                              .scale = bn->scale,
                              .shift = bn->shift,
                              .act = sn_layer_act(p->sub->plan.stem_act)};
}

static void squeeze_excite(const struct sn_pass *p, int b)
{
    const struct sn_block_tape *t = &p->tape->block[b];
    int depth = sn_layer_in_block(b, SN_DEPTH);
    int reduce = sn_layer_in_block(b, SN_SE_REDUCE);
    int expand = sn_layer_in_block(b, SN_SE_EXPAND);
    const struct sn_bn_tape *bn = &p->tape->bn[depth];
    struct sn_plane plane = sn_pass_plane(p, depth);

    sn_pool_forward(p->cx, &plane, t->b, bn->scale, bn->shift,
                    sn_layer_act(p->sub->plan.block[b].act), t->pooled);
    conv_vector(p, reduce, t->pooled, t->reduce);
    sn_vec_bias_act(p->cx, p->n, p->sub->layer[reduce].o, t->reduce,
                    sn_pass_beta(p, reduce), SN_CACT_RELU, t->reduced);
    conv_vector(p, expand, t->reduced, t->expand);
    sn_vec_bias_act(p->cx, p->n, p->sub->layer[expand].o, t->expand,
                    sn_pass_beta(p, expand), SN_CACT_HSIGMOID, t->gate);
}

struct sn_source sn_pass_depth_output(const struct sn_pass *p, int b)
{
    const struct sn_block_tape *t = &p->tape->block[b];
    const struct sn_bn_tape *bn = &p->tape->bn[sn_layer_in_block(b, SN_DEPTH)];
    return (struct sn_source){.u = t->b,
                              .scale = bn->scale,
                              .shift = bn->shift,
                              .act = sn_layer_act(p->sub->plan.block[b].act),
                              .gate = t->gate};
}

struct sn_source sn_pass_depth_input(const struct sn_pass *p, int b)
{
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    const struct sn_bn_tape *bn = &p->tape->bn[sn_layer_in_block(b, SN_EXPAND)];
    if (!plan->expands) {
        return (struct sn_source){.u = t->x};
    }
    return (struct sn_source){.u = t->a,
                              .scale = bn->scale,
                              .shift = bn->shift,
                              .act = sn_layer_act(plan->act)};
}

/* *io is how the block's input is read, and afterwards how its output is; x is
 * where the input goes, NULL where it is already. */
static void block(const struct sn_pass *p, int b, void *x, struct sn_source *io)
{
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    const struct sn_block_tape *t = &p->tape->block[b];
    int expand = sn_layer_in_block(b, SN_EXPAND);
    int depth = sn_layer_in_block(b, SN_DEPTH);
    int project = sn_layer_in_block(b, SN_PROJECT);
    const struct sn_bn_tape *bn = p->tape->bn;

    if (plan->expands) {
        conv_bn(p, expand, io, x, t->a);
    } else if (x != NULL) {
        struct sn_plane plane = sn_pass_input(p, b);
        sn_bn_apply(p->cx, &plane, io->u, io->scale, io->shift, io->act, NULL,
                    io->residual, x);
    }
    struct sn_dw dw = sn_pass_dw(p, depth);
    struct sn_source in = sn_pass_depth_input(p, b);
    sn_dw_forward(p->cx, &dw, in.u, in.scale, in.shift, in.act,
                  sn_pass_weight(p, depth), t->b, bn[depth].sums);
    finish_bn(p, depth);
    if (plan->se_mid > 0) {
        squeeze_excite(p, b);
    }
    in = sn_pass_depth_output(p, b);
    conv_bn(p, project, &in, NULL, t->d);
    *io = (struct sn_source){.u = t->d,
                             .scale = bn[project].scale,
                             .shift = bn[project].shift,
                             .residual = plan->residual ? t->x : NULL};
}

static void tail(const struct sn_pass *p, const struct sn_source *in,
                 float *ret_logits)
{
    const struct sn_plan *plan = &p->sub->plan;
    const struct sn_tape *tape = p->tape;
    int head = sn_layer_head(plan);
    int classifier = sn_layer_classifier(plan);
    struct sn_plane plane = sn_pass_plane(p, head);
    enum sn_cact act = sn_layer_act(plan->head_act);

    conv_bn(p, head, in, tape->block[plan->n_blocks - 1].y, tape->head);
    sn_pool_forward(p->cx, &plane, tape->head, tape->bn[head].scale,
                    tape->bn[head].shift, act, tape->pooled);
    if (plan->feature_out > 0) {
        conv_vector(p, sn_layer_feature(plan), tape->pooled, tape->feature);
        sn_vec_bias_act(p->cx, p->n, plan->feature_out, tape->feature, NULL,
                        act, tape->mixed);
    }
    conv_vector(p, classifier, tape->mixed, tape->logits);
    sn_vec_bias_act(p->cx, p->n, plan->classes, tape->logits,
                    sn_pass_beta(p, classifier), SN_CACT_NONE, ret_logits);
}

void sn_pass_block_again(const struct sn_pass *p, int b)
{
    struct sn_source io = {.u = p->tape->block[b].x};
    block(p, b, NULL, &io);
}

void sn_pass_forward(const struct sn_pass *p, float *ret_logits)
{
    if (p->sub->plan.family == SN_FAMILY_RESNET) {
        sn_resnet_forward(p, ret_logits);
        return;
    }
    struct sn_source io = stem(p);
    for (int b = 0; b < p->sub->plan.n_blocks; b++) {
        block(p, b, p->tape->block[b].x, &io);
    }
    tail(p, &io, ret_logits);
}

void sn_subnet_forward_train(const struct sn_subnet *sub, struct sn_cx *cx,
                             struct sn_workspace *ws, const float *images,
                             int n, float *ret_logits)
{
    assert(n <= ws->train_n);
    sn_tape_make(sub->net->compute, &sub->plan, n,
                 sn_keep_of_training(sub->net), ws->store, ws->train,
                 &ws->train_tape);
    struct sn_pass p = {sub, cx, &ws->train_tape, images, n};
    sn_pass_forward(&p, ret_logits);
}

void sn_subnet_forward(const struct sn_subnet *sub, struct sn_cx *cx,
                       struct sn_workspace *ws, const float *images, int n,
                       float *ret_logits)
{
    assert(n <= ws->forward_n);
    sn_tape_make(sub->net->compute, &sub->plan, n, SN_KEEP_NOTHING, ws->store,
                 ws->forward, &ws->forward_tape);
    struct sn_pass p = {sub, cx, &ws->forward_tape, images, n};
    sn_pass_forward(&p, ret_logits);
}
