#include "tests/engine/net/resnetref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A convolution, its BN and what follows, with all that went through it. */
struct unit {
    const struct sn_tensor *weight, *gamma, *beta;
    struct sn_ref_conv conv;
    struct sn_ref_bn bn;
    int run, stored_run; /* floats of an output's weight, in use and stored */
    double *w, *raw, *act, *mean, *var;
    const double *x;
};

struct block {
    struct unit in, mid, out, shortcut;
    double *mean, *y;
};

struct run {
    const struct sn_netref *ref;
    struct sn_plan plan;
    struct unit first, residual, last;
    struct block block[SN_MAX_BLOCKS];
    double *sum, *pool, *pooled, *raw_scores, *scores;
    const struct sn_tensor *linear, *bias;
    double *linear_w;
    void *owned[SN_MAX_BLOCKS * 80];
    int n_owned;
    double *gradient;
    unsigned char *reached;
};

static double *doubles(struct run *r, size_t n)
{
    double *p = calloc(n, sizeof(double));
    if (p == NULL || r->n_owned == (int)(sizeof r->owned / sizeof *r->owned)) {
        abort();
    }
    r->owned[r->n_owned++] = p;
    return p;
}

static double *planes(struct run *r, int c, int size)
{
    return doubles(r, (size_t)(r->ref->n * c) * (size_t)(size * size));
}

static const struct sn_tensor *find(const struct run *r, const char *prefix,
                                    const char *end)
{
    const struct sn_tensor *t;
    char name[128];
    snprintf(name, sizeof(name), "%s.%s", prefix, end);
    size_t n = sn_supernet_tensors(r->ref->net, &t);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(t[i].name, name) == 0) {
            return &t[i];
        }
    }
    fprintf(stderr, "no tensor %s\n", name);
    abort();
}

/* ---- a convolution ---- */

static double *slice(struct run *r, const struct sn_tensor *t, int o, int run,
                     int stored_run)
{
    double *w = doubles(r, (size_t)o * (size_t)run);
    for (int row = 0; row < o; row++) {
        memcpy(w + row * run,
               r->ref->weights + t->offset + (size_t)(row * stored_run),
               sizeof(double) * (size_t)run);
    }
    return w;
}

static void norm(struct run *r, struct unit *u)
{
    size_t bytes = sizeof(double) * (size_t)u->bn.c;
    const struct sn_netref *ref = r->ref;
    u->mean = doubles(r, (size_t)u->bn.c);
    u->var = doubles(r, (size_t)u->bn.c);
    if (ref->statistics != NULL) {
        memcpy(u->mean, ref->statistics + u->gamma->offset, bytes);
        memcpy(u->var, ref->statistics + u->beta->offset, bytes);
    } else {
        sn_ref_bn_statistics(&u->bn, u->raw, u->mean, u->var);
    }
    if (ref->ret_statistics != NULL) {
        memcpy(ref->ret_statistics + u->gamma->offset, u->mean, bytes);
        memcpy(ref->ret_statistics + u->beta->offset, u->var, bytes);
    }
    sn_ref_bn_apply(&u->bn, u->raw, u->mean, u->var,
                    ref->weights + u->gamma->offset,
                    ref->weights + u->beta->offset, u->act);
}

/* What a unit is: o outputs of k x k windows over i planes. */
struct shape {
    int o, i, size, k, stride;
    enum sn_ref_act act;
};

/* prefix: of its tensors' names, before conv.conv.weight and bn.bn.weight. */
static double *unit(struct run *r, struct unit *u, const char *prefix,
                    struct shape s, const double *x)
{
    int out = sn_ref_out(s.size, s.stride);
    u->weight = find(r, prefix, "conv.conv.weight");
    u->gamma = find(r, prefix, "bn.bn.weight");
    u->beta = find(r, prefix, "bn.bn.bias");
    u->conv = (struct sn_ref_conv){r->ref->n, s.i, s.o,      s.size,
                                   s.size,    s.k, s.stride, 0};
    u->bn = (struct sn_ref_bn){r->ref->n, s.o, out * out, 1e-5f, s.act};
    u->run = s.i * s.k * s.k;
    u->stored_run = (int)(u->weight->count / (size_t)u->weight->shape[0]);
    u->w = slice(r, u->weight, s.o, u->run, u->stored_run);
    u->x = x;
    u->raw = planes(r, s.o, out);
    u->act = planes(r, s.o, out);
    sn_ref_conv_forward(&u->conv, x, u->w, u->raw);
    norm(r, u);
    return u->act;
}

static void give(struct run *r, const struct sn_tensor *t, size_t at,
                 double value)
{
    r->gradient[t->offset + at] += value;
    r->reached[t->offset + at] = 1;
}

/* From the gradient of its activated output to that of its input. */
static double *unit_back(struct run *r, const struct unit *u, const double *dy)
{
    const struct sn_ref_conv *c = &u->conv;
    double *d = doubles(r, (size_t)(u->bn.n * u->bn.c * u->bn.hw));
    double *dx = doubles(r, (size_t)(c->n * c->i * c->h * c->w));
    double *dw = doubles(r, (size_t)(c->o * u->run));
    double *dgamma = doubles(r, (size_t)c->o);
    double *dbeta = doubles(r, (size_t)c->o);
    sn_ref_bn_backward(&u->bn, u->raw, r->ref->weights + u->gamma->offset,
                       r->ref->weights + u->beta->offset, dy, d, dgamma, dbeta);
    sn_ref_conv_backward(c, u->x, u->w, d, dx, dw);
    for (int o = 0; o < c->o; o++) {
        give(r, u->gamma, (size_t)o, dgamma[o]);
        give(r, u->beta, (size_t)o, dbeta[o]);
        for (int e = 0; e < u->run; e++) {
            give(r, u->weight, (size_t)(o * u->stored_run + e),
                 dw[o * u->run + e]);
        }
    }
    return dx;
}

/* ---- forward ---- */

static struct sn_ref_window stem_window(const struct run *r)
{
    const struct sn_plan *p = &r->plan;
    return (struct sn_ref_window){r->ref->n, p->stem_out, p->stem_size,
                                  p->stem_size, 3};
}

static double *stem(struct run *r)
{
    const struct sn_plan *p = &r->plan;
    struct sn_ref_window w = stem_window(r);
    double *x = unit(r, &r->first, "input_stem.0",
                     (struct shape){p->stem_mid, p->in_channels, p->resolution,
                                    3, p->stem_stride, SN_REF_RELU},
                     r->ref->images);
    struct shape s = {p->stem_mid, p->stem_mid, p->stem_size,
                      3,           1,           SN_REF_RELU};
    if (p->stem_residual) {
        double *y = unit(r, &r->residual, "input_stem.1.conv", s, x);
        r->sum = planes(r, p->stem_mid, p->stem_size);
        for (int e = 0; e < r->ref->n * s.o * s.size * s.size; e++) {
            r->sum[e] = y[e] + x[e];
        }
        x = r->sum;
    }
    s.o = p->stem_out;
    x = unit(r, &r->last, "input_stem.2", s, x);
    r->pool = planes(r, p->stem_out, p->pool_size);
    sn_ref_window_forward(&w, x, r->pool);
    return r->pool;
}

static struct sn_ref_window block_window(const struct run *r, int b)
{
    const struct sn_block_plan *p = &r->plan.block[b];
    return (struct sn_ref_window){r->ref->n, p->in, p->in_size, p->in_size, 2};
}

static double *block(struct run *r, int i, double *x)
{
    const struct sn_block_plan *p = &r->plan.block[i];
    struct block *b = &r->block[i];
    struct sn_ref_window w = block_window(r, i);
    char conv[3][32], down[32];
    for (int c = 0; c < 3; c++) {
        snprintf(conv[c], sizeof conv[c], "blocks.%d.conv%d", p->slot, c + 1);
    }
    snprintf(down, sizeof down, "blocks.%d.downsample", p->slot);
    struct shape in = {p->mid, p->in, p->in_size, 1, 1, SN_REF_RELU};
    struct shape mid = {p->mid, p->mid, p->in_size, 3, p->stride, SN_REF_RELU};
    struct shape out = {p->out, p->mid, p->out_size, 1, 1, SN_REF_NONE};
    double *y = unit(r, &b->in, conv[0], in, x);
    y = unit(r, &b->mid, conv[1], mid, y);
    y = unit(r, &b->out, conv[2], out, y);
    if (p->index == 0) {
        b->mean = x;
        if (p->stride > 1) {
            b->mean = planes(r, p->in, p->out_size);
            sn_ref_window_forward(&w, x, b->mean);
        }
        out.i = p->in;
        x = unit(r, &b->shortcut, down, out, b->mean);
    }
    b->y = planes(r, p->out, p->out_size);
    sn_ref_sum_relu_forward(
        (long)r->ref->n * p->out * p->out_size * p->out_size, y, x, b->y);
    return b->y;
}

static void forward(struct run *r, const struct sn_netref *ref)
{
    r->ref = ref;
    sn_plan_make(sn_supernet_space(ref->net), ref->arch,
                 sn_supernet_in_channels(ref->net),
                 sn_supernet_classes(ref->net), &r->plan);
    const struct sn_plan *p = &r->plan;
    double *x = stem(r);
    for (int i = 0; i < p->n_blocks; i++) {
        x = block(r, i, x);
    }
    r->pooled = planes(r, p->head_out, 1);
    r->raw_scores = planes(r, p->classes, 1);
    r->scores = planes(r, p->classes, 1);
    r->linear = find(r, "classifier.linear.linear", "weight");
    r->bias = find(r, "classifier.linear.linear", "bias");
    r->linear_w =
        slice(r, r->linear, p->classes, p->head_out, (int)r->linear->shape[1]);
    struct sn_ref_conv1 s = {ref->n, p->head_out, p->classes, 1};
    sn_ref_pool_forward(ref->n, p->head_out, p->head_size * p->head_size, x,
                        r->pooled);
    sn_ref_conv1_forward(&s, r->pooled, r->linear_w, r->raw_scores);
    sn_ref_bias_act_forward(ref->n, p->classes, r->raw_scores,
                            ref->weights + r->bias->offset, SN_REF_NONE,
                            r->scores);
}

/* ---- backward ---- */

static void add(double *to, const double *from, long count)
{
    for (long e = 0; e < count; e++) {
        to[e] += from[e];
    }
}

static double *block_back(struct run *r, int i, const double *dy)
{
    const struct sn_block_plan *p = &r->plan.block[i];
    struct block *b = &r->block[i];
    struct sn_ref_window w = block_window(r, i);
    long x = (long)r->ref->n * p->in * p->in_size * p->in_size;
    long y = (long)r->ref->n * p->out * p->out_size * p->out_size;
    double *g = doubles(r, (size_t)y);
    sn_ref_sum_relu_backward(y, b->y, dy, g);
    double *d = unit_back(r, &b->out, g);
    d = unit_back(r, &b->mid, d);
    d = unit_back(r, &b->in, d);
    if (p->index > 0) {
        add(d, g, x);
        return d;
    }
    double *more = unit_back(r, &b->shortcut, g);
    if (p->stride > 1) {
        double *spread = doubles(r, (size_t)x);
        sn_ref_window_backward(&w, NULL, more, spread);
        more = spread;
    }
    add(d, more, x);
    return d;
}

static double *tail_back(struct run *r, const double *dlogits)
{
    const struct sn_plan *p = &r->plan;
    struct sn_ref_conv1 s = {r->ref->n, p->head_out, p->classes, 1};
    double *d = planes(r, p->classes, 1), *dbias = planes(r, p->classes, 1);
    double *dw = doubles(r, (size_t)(p->classes * p->head_out));
    double *dpooled = planes(r, p->head_out, 1);
    double *dx = planes(r, p->head_out, p->head_size);
    sn_ref_bias_act_backward(r->ref->n, p->classes, r->raw_scores,
                             r->ref->weights + r->bias->offset, SN_REF_NONE,
                             dlogits, d, dbias);
    sn_ref_conv1_backward(&s, r->pooled, r->linear_w, d, dpooled, dw);
    for (int o = 0; o < p->classes; o++) {
        give(r, r->bias, (size_t)o, dbias[o]);
        for (int e = 0; e < p->head_out; e++) {
            give(r, r->linear, (size_t)(o * (int)r->linear->shape[1] + e),
                 dw[o * p->head_out + e]);
        }
    }
    sn_ref_pool_backward(r->ref->n, p->head_out, p->head_size * p->head_size,
                         dpooled, dx);
    return dx;
}

static void backward(struct run *r, const double *dlogits)
{
    const struct sn_plan *p = &r->plan;
    struct sn_ref_window w = stem_window(r);
    double *d = tail_back(r, dlogits);
    for (int i = p->n_blocks - 1; i >= 0; i--) {
        d = block_back(r, i, d);
    }
    double *dlast = planes(r, p->stem_out, p->stem_size);
    sn_ref_window_backward(&w, r->last.act, d, dlast);
    d = unit_back(r, &r->last, dlast);
    if (p->stem_residual) {
        double *more = unit_back(r, &r->residual, d);
        add(d, more,
            (long)r->ref->n * p->stem_mid * p->stem_size * p->stem_size);
    }
    unit_back(r, &r->first, d);
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

void sn_resnetref_forward(const struct sn_netref *ref, double *ret_logits)
{
    struct run *r = run_new();
    forward(r, ref);
    copy_logits(r, ret_logits);
    run_free(r);
}

double sn_resnetref_backward(const struct sn_netref *ref,
                             const struct sn_ref_loss *loss,
                             const int32_t *labels, const double *teacher,
                             double *ret_logits, double *gradient,
                             unsigned char *reached)
{
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
