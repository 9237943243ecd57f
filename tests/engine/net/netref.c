#include "tests/engine/net/netref.h"
#include "tests/engine/net/resnetref.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer in use: its sliced weight, its vectors, where they came from. */
struct layer {
    const struct sn_tensor *weight, *gamma, *beta;
    int o, run, stored_run; /* weight is [o][run], a slice of stored rows */
    double *w;
    const double *g, *b; /* sliced by their length alone */
};

/* A BN'd layer's output before (raw) and after (act) BN and activation. */
struct normed {
    struct sn_ref_bn bn;
    double *raw, *act, *mean, *var;
};

struct block {
    const struct sn_block_plan *plan;
    struct layer expand, depth, reduce, grow, project;
    struct normed a, b, d;
    double *pooled, *squeezed, *reduced, *grown, *gate, *gated, *x, *y;
};

struct run {
    const struct sn_netref *ref;
    struct sn_plan plan;
    struct layer stem, head, feature, classifier;
    struct normed s, h;
    struct block block[SN_MAX_BLOCKS];
    double *pooled, *mixed, *featured, *raw_scores, *scores;
    void *owned[SN_MAX_BLOCKS * 48];
    int n_owned;
    double *gradient;
    unsigned char *reached;
};

static double *doubles(struct run *r, size_t n)
{
    double *p = calloc(n, sizeof(double));
    if (p == NULL) {
        abort();
    }
    r->owned[r->n_owned++] = p;
    return p;
}

static double *planes(struct run *r, int c, int size)
{
    return doubles(r, (size_t)(r->ref->n * c) * (size_t)(size * size));
}

__attribute__((format(printf, 2, 3))) static const struct sn_tensor *
find(const struct run *r, const char *format, ...)
{
    const struct sn_tensor *t;
    char name[128];
    va_list ap;
    va_start(ap, format);
    vsnprintf(name, sizeof(name), format, ap);
    va_end(ap);
    size_t n = sn_supernet_tensors(r->ref->net, &t);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(t[i].name, name) == 0) {
            return &t[i];
        }
    }
    fprintf(stderr, "no tensor %s\n", name);
    abort();
}

/* ---- slices of weights ---- */

static void take_weight(struct run *r, struct layer *l,
                        const struct sn_tensor *t, int o, int run)
{
    l->weight = t;
    l->o = o;
    l->run = run;
    l->stored_run = (int)(t->count / (size_t)t->shape[0]);
    l->w = doubles(r, (size_t)o * (size_t)run);
    for (int row = 0; row < o; row++) {
        for (int e = 0; e < run; e++) {
            l->w[row * run + e] =
                r->ref->weights[t->offset + (size_t)(row * l->stored_run + e)];
        }
    }
}

static void take_vectors(struct run *r, struct layer *l,
                         const struct sn_tensor *gamma,
                         const struct sn_tensor *beta)
{
    l->gamma = gamma;
    l->beta = beta;
    l->g = gamma != NULL ? r->ref->weights + gamma->offset : NULL;
    l->b = beta != NULL ? r->ref->weights + beta->offset : NULL;
}

static void give(struct run *r, size_t at, double value)
{
    r->gradient[at] += value;
    r->reached[at] = 1;
}

static void give_weight(struct run *r, const struct layer *l, const double *dw)
{
    for (int row = 0; row < l->o; row++) {
        for (int e = 0; e < l->run; e++) {
            give(r, l->weight->offset + (size_t)(row * l->stored_run + e),
                 dw[row * l->run + e]);
        }
    }
}

static void give_vector(struct run *r, const struct sn_tensor *t, int n,
                        const double *d)
{
    for (int i = 0; i < n; i++) {
        give(r, t->offset + (size_t)i, d[i]);
    }
}

/* ---- elastic kernels: out = M centre(in), from kernel `from` to `to` ---- */

static int centre(int from, int to, int u)
{
    return (u / to + (from - to) / 2) * from + u % to + (from - to) / 2;
}

/* The kernels that a stored one shrinks through: the space's own choices. */
static int next_kernel(const struct run *r, const struct sn_block_plan *b,
                       int from)
{
    const struct sn_choices *k =
        &sn_supernet_space(r->ref->net)->stage[b->stage].kernel;
    int next = 0;
    for (int i = 0; i < k->n; i++) {
        next = k->value[i] < from ? k->value[i] : next;
    }
    return next;
}

static int stored_kernel(const struct layer *l)
{
    return (int)l->weight->shape[3];
}

static void shrink(struct run *r, int slot, int from, int to, int c,
                   const double *in, double *out)
{
    const struct sn_tensor *t =
        find(r, "blocks.%d.conv.depth_conv.conv.%dto%d_matrix", slot, from, to);
    const double *m = r->ref->weights + t->offset;
    int taps = to * to;
    for (int e = 0; e < c * taps; e++) {
        for (int u = 0; u < taps; u++) {
            out[e] += m[e % taps * taps + u] *
                      in[e / taps * from * from + centre(from, to, u)];
        }
    }
}

static void shrink_back(struct run *r, int slot, int from, int to, int c,
                        const double *in, const double *dout, double *din)
{
    const struct sn_tensor *t =
        find(r, "blocks.%d.conv.depth_conv.conv.%dto%d_matrix", slot, from, to);
    const double *m = r->ref->weights + t->offset;
    int taps = to * to;
    for (int e = 0; e < c * taps; e++) {
        for (int u = 0; u < taps; u++) {
            int at = e / taps * from * from + centre(from, to, u);
            give(r, t->offset + (size_t)(e % taps * taps + u),
                 dout[e] * in[at]);
            din[at] += m[e % taps * taps + u] * dout[e];
        }
    }
}

static void take_depth(struct run *r, struct block *b,
                       const struct sn_tensor *t)
{
    int c = b->plan->mid, k = (int)t->shape[3];
    take_weight(r, &b->depth, t, c, k * k);
    while (k > b->plan->kernel) {
        int next = next_kernel(r, b->plan, k);
        double *w = doubles(r, (size_t)(c * next * next));
        shrink(r, b->plan->slot, k, next, c, b->depth.w, w);
        b->depth.w = w;
        k = next;
    }
}

/* dw of the kernel in use back to the stored, one step after the other: the
 * kernel at each step is made again from the stored one. */
static void give_depth(struct run *r, struct block *b, double *dw)
{
    int c = b->plan->mid, k = b->plan->kernel, top = stored_kernel(&b->depth);
    while (k < top) {
        struct layer stored;
        take_weight(r, &stored, b->depth.weight, c, top * top);
        double *in = stored.w;
        int from = top;
        for (int next = next_kernel(r, b->plan, from); next > k;
             next = next_kernel(r, b->plan, from)) {
            double *w = doubles(r, (size_t)(c * next * next));
            shrink(r, b->plan->slot, from, next, c, in, w);
            in = w;
            from = next;
        }
        double *din = doubles(r, (size_t)(c * from * from));
        shrink_back(r, b->plan->slot, from, k, c, in, dw, din);
        dw = din;
        k = from;
    }
    give_weight(r, &b->depth, dw);
}

/* ---- the network's weights ---- */

static void take_bn(struct run *r, struct layer *l, struct normed *y,
                    const char *prefix, int c, int size, enum sn_ref_act act)
{
    take_vectors(r, l, find(r, "%s.weight", prefix),
                 find(r, "%s.bias", prefix));
    y->bn =
        (struct sn_ref_bn){r->ref->n, c, size * size,
                           (double)sn_supernet_space(r->ref->net)->bn_eps, act};
    y->raw = planes(r, c, size);
    y->act = planes(r, c, size);
    y->mean = doubles(r, (size_t)c);
    y->var = doubles(r, (size_t)c);
}

static enum sn_ref_act ref_act(enum sn_act act)
{
    return act == SN_ACT_RELU     ? SN_REF_RELU
           : act == SN_ACT_HSWISH ? SN_REF_HSWISH
           : act == SN_ACT_RELU6  ? SN_REF_RELU6
                                  : SN_REF_NONE;
}

static void take_se(struct run *r, struct block *b, const char *prefix)
{
    const struct sn_block_plan *p = b->plan;
    take_weight(r, &b->reduce, find(r, "%s.reduce.weight", prefix), p->se_mid,
                p->mid);
    take_vectors(r, &b->reduce, NULL, find(r, "%s.reduce.bias", prefix));
    take_weight(r, &b->grow, find(r, "%s.expand.weight", prefix), p->mid,
                p->se_mid);
    take_vectors(r, &b->grow, NULL, find(r, "%s.expand.bias", prefix));
    b->pooled = planes(r, p->mid, 1);
    b->squeezed = planes(r, p->se_mid, 1);
    b->reduced = planes(r, p->se_mid, 1);
    b->grown = planes(r, p->mid, 1);
    b->gate = planes(r, p->mid, 1);
    b->gated = planes(r, p->mid, p->out_size);
}

static void take_block(struct run *r, struct block *b)
{
    const struct sn_block_plan *p = b->plan;
    /* The fixed block is a plain one: its names lack the inner part. */
    const char *conv = p->stage < 0 ? "" : ".conv";
    const char *bn = p->stage < 0 ? "" : ".bn";
    char name[96];
    if (p->expands) {
        snprintf(name, sizeof(name), "blocks.%d.conv.inverted_bottleneck.bn%s",
                 p->slot, bn);
        take_weight(r, &b->expand,
                    find(r, "blocks.%d.conv.inverted_bottleneck.conv%s.weight",
                         p->slot, conv),
                    p->mid, p->in);
        take_bn(r, &b->expand, &b->a, name, p->mid, p->in_size,
                ref_act(p->act));
    }
    take_depth(
        r, b,
        find(r, "blocks.%d.conv.depth_conv.conv%s.weight", p->slot, conv));
    snprintf(name, sizeof(name), "blocks.%d.conv.depth_conv.bn%s", p->slot, bn);
    take_bn(r, &b->depth, &b->b, name, p->mid, p->out_size, ref_act(p->act));
    if (p->se_mid > 0) {
        snprintf(name, sizeof(name), "blocks.%d.conv.depth_conv.se.fc",
                 p->slot);
        take_se(r, b, name);
    }
    take_weight(
        r, &b->project,
        find(r, "blocks.%d.conv.point_linear.conv%s.weight", p->slot, conv),
        p->out, p->mid);
    snprintf(name, sizeof(name), "blocks.%d.conv.point_linear.bn%s", p->slot,
             bn);
    take_bn(r, &b->project, &b->d, name, p->out, p->out_size, SN_REF_NONE);
    b->y = planes(r, p->out, p->out_size);
}

static void take_network(struct run *r)
{
    const struct sn_plan *p = &r->plan;
    take_weight(r, &r->stem, find(r, "first_conv.conv.weight"), p->stem_out,
                9 * p->in_channels);
    take_bn(r, &r->stem, &r->s, "first_conv.bn", p->stem_out, p->stem_size,
            ref_act(p->stem_act));
    for (int i = 0; i < p->n_blocks; i++) {
        r->block[i].plan = &p->block[i];
        take_block(r, &r->block[i]);
    }
    /* MobileNetV2's only 1x1 has the name of MobileNetV3's second */
    bool mixes = p->feature_out > 0;
    const char *head = mixes ? "final_expand_layer" : "feature_mix_layer";
    char name[96];
    snprintf(name, sizeof(name), "%s.bn", head);
    take_weight(r, &r->head, find(r, "%s.conv.weight", head), p->head_out,
                p->head_in);
    take_bn(r, &r->head, &r->h, name, p->head_out, p->head_size,
            ref_act(p->head_act));
    if (mixes) {
        take_weight(r, &r->feature, find(r, "feature_mix_layer.conv.weight"),
                    p->feature_out, p->head_out);
    }
    take_weight(r, &r->classifier, find(r, "classifier.linear.weight"),
                p->classes, mixes ? p->feature_out : p->head_out);
    take_vectors(r, &r->classifier, NULL, find(r, "classifier.linear.bias"));
    r->pooled = planes(r, p->head_out, 1);
    r->mixed = mixes ? planes(r, p->feature_out, 1) : NULL;
    r->featured = mixes ? planes(r, p->feature_out, 1) : r->pooled;
    r->raw_scores = planes(r, p->classes, 1);
    r->scores = planes(r, p->classes, 1);
}

/* ---- forward ---- */

static void conv1(struct run *r, const struct layer *l, int hw, const double *x,
                  double *y)
{
    struct sn_ref_conv1 s = {r->ref->n, l->run, l->o, hw};
    sn_ref_conv1_forward(&s, x, l->w, y);
}

static void norm(struct run *r, const struct layer *l, struct normed *y)
{
    size_t bytes = sizeof(double) * (size_t)y->bn.c;
    if (r->ref->statistics != NULL) {
        memcpy(y->mean, r->ref->statistics + l->gamma->offset, bytes);
        memcpy(y->var, r->ref->statistics + l->beta->offset, bytes);
    } else {
        sn_ref_bn_statistics(&y->bn, y->raw, y->mean, y->var);
    }
    if (r->ref->ret_statistics != NULL) {
        memcpy(r->ref->ret_statistics + l->gamma->offset, y->mean, bytes);
        memcpy(r->ref->ret_statistics + l->beta->offset, y->var, bytes);
    }
    sn_ref_bn_apply(&y->bn, y->raw, y->mean, y->var, l->g, l->b, y->act);
}

static struct sn_ref_conv depth_shape(const struct run *r,
                                      const struct sn_block_plan *p)
{
    return (struct sn_ref_conv){r->ref->n,  p->mid,    p->mid,    p->in_size,
                                p->in_size, p->kernel, p->stride, 1};
}

static struct sn_ref_conv stem_shape(const struct run *r)
{
    const struct sn_plan *p = &r->plan;
    return (struct sn_ref_conv){r->ref->n,      p->in_channels,
                                p->stem_out,    p->resolution,
                                p->resolution,  3,
                                p->stem_stride, 0};
}

static void block_forward(struct run *r, struct block *b, double *x)
{
    const struct sn_block_plan *p = b->plan;
    int n = r->ref->n, hw = p->out_size * p->out_size;
    b->x = x;
    if (p->expands) {
        conv1(r, &b->expand, p->in_size * p->in_size, x, b->a.raw);
        norm(r, &b->expand, &b->a);
    } else {
        b->a.act = x;
    }
    struct sn_ref_conv s = depth_shape(r, p);
    sn_ref_conv_forward(&s, b->a.act, b->depth.w, b->b.raw);
    norm(r, &b->depth, &b->b);
    if (p->se_mid > 0) {
        sn_ref_pool_forward(n, p->mid, hw, b->b.act, b->pooled);
        conv1(r, &b->reduce, 1, b->pooled, b->squeezed);
        sn_ref_bias_act_forward(n, p->se_mid, b->squeezed, b->reduce.b,
                                SN_REF_RELU, b->reduced);
        conv1(r, &b->grow, 1, b->reduced, b->grown);
        sn_ref_bias_act_forward(n, p->mid, b->grown, b->grow.b, SN_REF_HSIGMOID,
                                b->gate);
        sn_ref_gate_forward(n, p->mid, hw, b->b.act, b->gate, b->gated);
    } else {
        b->gated = b->b.act;
    }
    conv1(r, &b->project, hw, b->gated, b->d.raw);
    norm(r, &b->project, &b->d);
    for (int e = 0; e < n * p->out * hw; e++) {
        b->y[e] = b->d.act[e] + (p->residual ? x[e] : 0.0);
    }
}

static void forward(struct run *r, const struct sn_netref *ref)
{
    r->ref = ref;
    sn_plan_make(sn_supernet_space(ref->net), ref->arch,
                 sn_supernet_in_channels(ref->net),
                 sn_supernet_classes(ref->net), &r->plan);
    const struct sn_plan *p = &r->plan;
    take_network(r);
    struct sn_ref_conv s = stem_shape(r);
    sn_ref_conv_forward(&s, ref->images, r->stem.w, r->s.raw);
    norm(r, &r->stem, &r->s);
    double *x = r->s.act;
    for (int i = 0; i < p->n_blocks; i++) {
        block_forward(r, &r->block[i], x);
        x = r->block[i].y;
    }
    int hw = p->head_size * p->head_size;
    conv1(r, &r->head, hw, x, r->h.raw);
    norm(r, &r->head, &r->h);
    sn_ref_pool_forward(ref->n, p->head_out, hw, r->h.act, r->pooled);
    if (p->feature_out > 0) {
        conv1(r, &r->feature, 1, r->pooled, r->mixed);
        sn_ref_bias_act_forward(ref->n, p->feature_out, r->mixed, NULL,
                                ref_act(p->head_act), r->featured);
    }
    conv1(r, &r->classifier, 1, r->featured, r->raw_scores);
    sn_ref_bias_act_forward(ref->n, p->classes, r->raw_scores, r->classifier.b,
                            SN_REF_NONE, r->scores);
}

/* ---- backward ---- */

static double *conv1_back(struct run *r, const struct layer *l, int hw,
                          const double *x, const double *dy)
{
    struct sn_ref_conv1 s = {r->ref->n, l->run, l->o, hw};
    double *dx = doubles(r, (size_t)(r->ref->n * l->run * hw));
    double *dw = doubles(r, (size_t)(l->o * l->run));
    sn_ref_conv1_backward(&s, x, l->w, dy, dx, dw);
    give_weight(r, l, dw);
    return dx;
}

static double *norm_back(struct run *r, const struct layer *l,
                         const struct normed *y, const double *dy)
{
    double *dx = doubles(r, (size_t)(y->bn.n * y->bn.c * y->bn.hw));
    double *dgamma = doubles(r, (size_t)y->bn.c);
    double *dbeta = doubles(r, (size_t)y->bn.c);
    sn_ref_bn_backward(&y->bn, y->raw, l->g, l->b, dy, dx, dgamma, dbeta);
    give_vector(r, l->gamma, y->bn.c, dgamma);
    give_vector(r, l->beta, y->bn.c, dbeta);
    return dx;
}

static double *bias_back(struct run *r, const struct layer *l, int c,
                         const double *x, enum sn_ref_act act, const double *dy)
{
    double *dx = planes(r, c, 1), *dbias = doubles(r, (size_t)c);
    sn_ref_bias_act_backward(r->ref->n, c, x, l->b, act, dy, dx, dbias);
    if (l->beta != NULL) {
        give_vector(r, l->beta, c, dbias);
    }
    return dx;
}

/* From the gradient of the gated planes to that of the activated ones. */
static double *se_back(struct run *r, struct block *b, const double *dgated)
{
    const struct sn_block_plan *p = b->plan;
    int n = r->ref->n, hw = p->out_size * p->out_size;
    double *dact = planes(r, p->mid, p->out_size);
    double *spread = planes(r, p->mid, p->out_size);
    double *dgate = planes(r, p->mid, 1);
    sn_ref_gate_backward(n, p->mid, hw, b->b.act, b->gate, dgated, dact, dgate);
    double *d =
        bias_back(r, &b->grow, p->mid, b->grown, SN_REF_HSIGMOID, dgate);
    d = conv1_back(r, &b->grow, 1, b->reduced, d);
    d = bias_back(r, &b->reduce, p->se_mid, b->squeezed, SN_REF_RELU, d);
    d = conv1_back(r, &b->reduce, 1, b->pooled, d);
    sn_ref_pool_backward(n, p->mid, hw, d, spread);
    for (int e = 0; e < n * p->mid * hw; e++) {
        dact[e] += spread[e];
    }
    return dact;
}

static double *block_backward(struct run *r, struct block *b, double *dy)
{
    const struct sn_block_plan *p = b->plan;
    int n = r->ref->n;
    double *d = norm_back(r, &b->project, &b->d, dy);
    d = conv1_back(r, &b->project, p->out_size * p->out_size, b->gated, d);
    if (p->se_mid > 0) {
        d = se_back(r, b, d);
    }
    d = norm_back(r, &b->depth, &b->b, d);

    struct sn_ref_conv s = depth_shape(r, p);
    double *da = planes(r, p->mid, p->in_size);
    double *dw = doubles(r, (size_t)(p->mid * p->kernel * p->kernel));
    sn_ref_conv_backward(&s, b->a.act, b->depth.w, d, da, dw);
    give_depth(r, b, dw);
    if (p->expands) {
        da = norm_back(r, &b->expand, &b->a, da);
        da = conv1_back(r, &b->expand, p->in_size * p->in_size, b->x, da);
    }
    for (int e = 0; p->residual && e < n * p->in * p->in_size * p->in_size;
         e++) {
        da[e] += dy[e];
    }
    return da;
}

static void backward(struct run *r, const double *dlogits)
{
    const struct sn_plan *p = &r->plan;
    int hw = p->head_size * p->head_size;
    double *d = bias_back(r, &r->classifier, p->classes, r->raw_scores,
                          SN_REF_NONE, dlogits);
    d = conv1_back(r, &r->classifier, 1, r->featured, d);
    if (p->feature_out > 0) {
        d = bias_back(r, &r->feature, p->feature_out, r->mixed,
                      ref_act(p->head_act), d);
        d = conv1_back(r, &r->feature, 1, r->pooled, d);
    }
    double *dplane = planes(r, p->head_out, p->head_size);
    sn_ref_pool_backward(r->ref->n, p->head_out, hw, d, dplane);
    d = norm_back(r, &r->head, &r->h, dplane);
    d = conv1_back(r, &r->head, hw, r->block[p->n_blocks - 1].y, d);
    for (int i = p->n_blocks - 1; i >= 0; i--) {
        d = block_backward(r, &r->block[i], d);
    }
    d = norm_back(r, &r->stem, &r->s, d);
    struct sn_ref_conv s = stem_shape(r);
    double *dw = doubles(r, (size_t)(r->stem.o * r->stem.run));
    sn_ref_conv_backward(&s, r->ref->images, r->stem.w, d, NULL, dw);
    give_weight(r, &r->stem, dw);
}

static struct run *run_new(void)
{
    struct run *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        abort();
    }
    return r;
}

static void run_free(struct run *r)
{
    for (int i = 0; i < r->n_owned; i++) {
        free(r->owned[i]);
    }
    free(r);
}

static void copy_logits(const struct run *r, double *ret)
{
    memcpy(ret, r->scores,
           sizeof(double) * (size_t)(r->ref->n * r->plan.classes));
}

static bool is_resnet(const struct sn_netref *ref)
{
    return sn_supernet_space(ref->net)->family == SN_FAMILY_RESNET;
}

void sn_netref_forward(const struct sn_netref *ref, double *ret_logits)
{
    if (is_resnet(ref)) {
        sn_resnetref_forward(ref, ret_logits);
        return;
    }
    struct run *r = run_new();
    forward(r, ref);
    copy_logits(r, ret_logits);
    run_free(r);
}

double sn_netref_backward(const struct sn_netref *ref,
                          const struct sn_ref_loss *loss, const int32_t *labels,
                          const double *teacher, double *ret_logits,
                          double *gradient, unsigned char *reached)
{
    if (is_resnet(ref)) {
        return sn_resnetref_backward(ref, loss, labels, teacher, ret_logits,
                                     gradient, reached);
    }
    struct run *r = run_new();
    forward(r, ref);
    r->gradient = gradient;
    r->reached = reached;
    copy_logits(r, ret_logits);
    double *dlogits = planes(r, r->plan.classes, 1);
    double total = sn_ref_loss(loss, r->scores, labels, teacher, dlogits);
    backward(r, dlogits);
    run_free(r);
    return total;
}
