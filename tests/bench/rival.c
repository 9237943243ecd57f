#include "tests/bench/rival.h"

#include <dnnl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 4, MAX_ARGS = 10, MAX_MEMORIES = 32 };

struct step {
    dnnl_primitive_t run;
    int n;
    dnnl_exec_arg_t arg[MAX_ARGS];
};

struct bench_rival {
    struct bench_case c;
    enum bench_layout layout;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int n_steps, n_memories;
    struct step step[MAX_STEPS];
    dnnl_memory_t memory[MAX_MEMORIES];
    dnnl_status_t status; /* the first failure */
};

const char *bench_layout_name(enum bench_layout layout)
{
    static const char *const name[BENCH_LAYOUTS] = {"any", "nChw16c", "nhwc"};
    return name[layout];
}

/* ---- memories and steps: a failure is kept, and what follows does nothing */

static bool ok(struct bench_rival *r, dnnl_status_t st)
{
    if (r->status == dnnl_success)
        r->status = st;
    return r->status == dnnl_success;
}

/* Owned by the rival; filled, since pages that were never written to are all
 * one page, and too fast. Between 1/2 and 3/2: fit for a variance as well. */
static dnnl_memory_t memory_of(struct bench_rival *r,
                               const dnnl_memory_desc_t *md)
{
    void *at = NULL;
    if (r->status != dnnl_success || !md || r->n_memories == MAX_MEMORIES) {
        (void)ok(r, dnnl_invalid_arguments);
        return NULL;
    }
    dnnl_memory_t *m = &r->memory[r->n_memories];
    if (!ok(r, dnnl_memory_create(m, md, r->engine, DNNL_MEMORY_ALLOCATE)))
        return NULL;
    r->n_memories++;
    if (!ok(r, dnnl_memory_get_data_handle(*m, &at)))
        return NULL;
    const size_t bytes = dnnl_memory_desc_get_size(md);
    if (md->data_type != dnnl_f32) {
        memset(at, 1, bytes);
        return *m;
    }
    uint32_t state = 1;
    for (size_t j = 0; j < bytes / sizeof(float); j++) {
        state = state * 1664525u + 1013904223u;
        ((float *)at)[j] = 0.5f + (float)(state >> 8) / (float)(1 << 24);
    }
    return *m;
}

static void take(struct bench_rival *r, int arg, dnnl_memory_t memory)
{
    struct step *s = &r->step[r->n_steps];
    if (s->n == MAX_ARGS)
        (void)ok(r, dnnl_invalid_arguments);
    else
        s->arg[s->n++] = (dnnl_exec_arg_t){arg, memory};
}

/* The step's primitive; its arguments have been taken. */
static void finish(struct bench_rival *r, const_dnnl_primitive_desc_t pd)
{
    if (r->status == dnnl_success &&
        ok(r, dnnl_primitive_create(&r->step[r->n_steps].run, pd)))
        r->n_steps++;
}

static const dnnl_memory_desc_t *query(const_dnnl_primitive_desc_t pd,
                                       dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static dnnl_primitive_desc_t describe(struct bench_rival *r,
                                      const_dnnl_op_desc_t desc,
                                      const_dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t pd = NULL;
    if (r->status == dnnl_success)
        (void)ok(r,
                 dnnl_primitive_desc_create(&pd, desc, NULL, r->engine, hint));
    return pd;
}

/* ---- BN and activation ---- */

static unsigned flags_of(const struct bench_rival *r, bool known)
{
    return dnnl_use_scaleshift |
           (r->c.act == SN_ACT_RELU ? dnnl_fuse_norm_relu : 0) |
           (known ? dnnl_use_global_stats : 0);
}

/* The BN itself, its ReLU in it; `known`: statistics are given. */
static dnnl_memory_t normalise(struct bench_rival *r,
                               const dnnl_memory_desc_t *md, bool known)
{
    dnnl_batch_normalization_desc_t d;
    if (!ok(r, dnnl_batch_normalization_forward_desc_init(
                   &d, known ? dnnl_forward_inference : dnnl_forward_training,
                   md, 1e-5f, flags_of(r, known))))
        return NULL;
    dnnl_primitive_desc_t pd = describe(r, &d, NULL);
    if (!pd)
        return NULL;
    /* (With statistics given they are sources 1 and 2, else outputs.) */
    const dnnl_memory_desc_t *vector = query(pd, dnnl_query_weights_md);
    dnnl_memory_desc_t one;
    const dnnl_dims_t channels = {r->c.i};
    (void)ok(r,
             dnnl_memory_desc_init_by_tag(&one, 1, channels, dnnl_f32, dnnl_a));
    dnnl_memory_t y = memory_of(r, md);
    take(r, DNNL_ARG_SRC, memory_of(r, md));
    take(r, DNNL_ARG_DST, y);
    take(r, DNNL_ARG_MEAN, memory_of(r, &one));
    take(r, DNNL_ARG_VARIANCE, memory_of(r, &one));
    take(r, DNNL_ARG_SCALE_SHIFT, memory_of(r, vector));
    if (!known && r->c.act == SN_ACT_RELU)
        take(r, DNNL_ARG_WORKSPACE,
             memory_of(r, query(pd, dnnl_query_workspace_md)));
    finish(r, pd);
    dnnl_primitive_desc_destroy(pd);
    return y;
}

static dnnl_memory_t activate(struct bench_rival *r,
                              const dnnl_memory_desc_t *md, dnnl_memory_t x)
{
    dnnl_eltwise_desc_t d;
    if (r->c.act != SN_ACT_HSWISH)
        return x;
    if (!ok(r,
            dnnl_eltwise_forward_desc_init(&d, dnnl_forward_training,
                                           dnnl_eltwise_hardswish, md, 0, 0)))
        return NULL;
    dnnl_primitive_desc_t pd = describe(r, &d, NULL);
    if (!pd)
        return NULL;
    dnnl_memory_t y = memory_of(r, md);
    take(r, DNNL_ARG_SRC, x);
    take(r, DNNL_ARG_DST, y);
    finish(r, pd);
    dnnl_primitive_desc_destroy(pd);
    return y;
}

static dnnl_memory_t activate_backward(struct bench_rival *r,
                                       const dnnl_memory_desc_t *md,
                                       dnnl_memory_t dy)
{
    dnnl_eltwise_desc_t f, b;
    if (r->c.act != SN_ACT_HSWISH)
        return dy;
    if (!ok(r,
            dnnl_eltwise_forward_desc_init(&f, dnnl_forward_training,
                                           dnnl_eltwise_hardswish, md, 0, 0)) ||
        !ok(r, dnnl_eltwise_backward_desc_init(&b, dnnl_eltwise_hardswish, md,
                                               md, 0, 0)))
        return NULL;
    dnnl_primitive_desc_t hint = describe(r, &f, NULL);
    dnnl_primitive_desc_t pd = describe(r, &b, hint);
    dnnl_memory_t dx = NULL;
    if (pd) {
        dx = memory_of(r, md);
        take(r, DNNL_ARG_SRC, memory_of(r, md));
        take(r, DNNL_ARG_DIFF_DST, dy);
        take(r, DNNL_ARG_DIFF_SRC, dx);
        finish(r, pd);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
    return dx;
}

static void normalise_backward(struct bench_rival *r,
                               const dnnl_memory_desc_t *md)
{
    dnnl_batch_normalization_desc_t f, b;
    dnnl_memory_desc_t one;
    const dnnl_dims_t channels = {r->c.i};
    if (!ok(r, dnnl_batch_normalization_forward_desc_init(
                   &f, dnnl_forward_training, md, 1e-5f, flags_of(r, false))) ||
        !ok(r, dnnl_batch_normalization_backward_desc_init(
                   &b, dnnl_backward, md, md, 1e-5f, flags_of(r, false))) ||
        !ok(r,
            dnnl_memory_desc_init_by_tag(&one, 1, channels, dnnl_f32, dnnl_a)))
        return;
    dnnl_memory_t dy = activate_backward(r, md, memory_of(r, md));
    dnnl_primitive_desc_t hint = describe(r, &f, NULL);
    dnnl_primitive_desc_t pd = describe(r, &b, hint);
    if (pd) {
        take(r, DNNL_ARG_SRC, memory_of(r, md));
        take(r, DNNL_ARG_MEAN, memory_of(r, &one));
        take(r, DNNL_ARG_VARIANCE, memory_of(r, &one));
        take(r, DNNL_ARG_DIFF_DST, dy);
        take(r, DNNL_ARG_SCALE_SHIFT,
             memory_of(r, query(pd, dnnl_query_weights_md)));
        take(r, DNNL_ARG_DIFF_SRC, memory_of(r, md));
        take(r, DNNL_ARG_DIFF_SCALE_SHIFT,
             memory_of(r, query(pd, dnnl_query_diff_weights_md)));
        if (r->c.act == SN_ACT_RELU)
            take(r, DNNL_ARG_WORKSPACE,
                 memory_of(r, query(pd, dnnl_query_workspace_md)));
        finish(r, pd);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
}

/* ---- convolutions ---- */

struct conv_descs {
    dnnl_memory_desc_t src, weights, dst;
    dnnl_dims_t stride, pad;
};

static dnnl_format_tag_t tag_of(enum bench_layout layout)
{
    return layout == BENCH_LAYOUT_NHWC      ? dnnl_nhwc
           : layout == BENCH_LAYOUT_BLOCKED ? dnnl_nChw16c
                                            : dnnl_format_tag_any;
}

static bool conv_descs(struct bench_rival *r, struct conv_descs *d)
{
    const struct bench_case *c = &r->c;
    const bool depthwise = c->op >= BENCH_DW_FORWARD;
    const bool stem = c->op < BENCH_CONV1_FORWARD;
    const dnnl_dims_t src = {c->n, c->i, c->h, c->w};
    const dnnl_dims_t dst = {c->n, c->o, bench_case_out(c, c->h),
                             bench_case_out(c, c->w)};
    const dnnl_dims_t plain = {c->o, c->i, c->k, c->k};
    const dnnl_dims_t grouped = {c->o, 1, 1, c->k, c->k};
    /* Images come plain; the first convolution of oneDNN takes them so. */
    const dnnl_format_tag_t tag = tag_of(r->layout);
    const dnnl_format_tag_t in =
        stem && r->layout == BENCH_LAYOUT_BLOCKED ? dnnl_nchw : tag;
    *d = (struct conv_descs){.stride = {c->stride, c->stride},
                             .pad = {c->k / 2, c->k / 2}};
    return ok(r, dnnl_memory_desc_init_by_tag(&d->src, 4, src, dnnl_f32, in)) &&
           ok(r,
              dnnl_memory_desc_init_by_tag(&d->dst, 4, dst, dnnl_f32, tag)) &&
           ok(r, dnnl_memory_desc_init_by_tag(&d->weights, depthwise ? 5 : 4,
                                              depthwise ? grouped : plain,
                                              dnnl_f32, dnnl_format_tag_any));
}

enum direction { FORWARD, DATA, WEIGHTS };

static dnnl_primitive_desc_t conv_backward(struct bench_rival *r,
                                           const struct conv_descs *d,
                                           enum direction direction,
                                           const_dnnl_primitive_desc_t hint)
{
    dnnl_convolution_desc_t cd;
    dnnl_status_t st =
        direction == DATA
            ? dnnl_convolution_backward_data_desc_init(
                  &cd, dnnl_convolution_direct, &d->src, &d->weights, &d->dst,
                  d->stride, d->pad, d->pad)
            : dnnl_convolution_backward_weights_desc_init(
                  &cd, dnnl_convolution_direct, &d->src, &d->weights, NULL,
                  &d->dst, d->stride, d->pad, d->pad);
    return ok(r, st) ? describe(r, &cd, hint) : NULL;
}

/* Takes the arguments of a convolution. */
static void conv_args(struct bench_rival *r, const_dnnl_primitive_desc_t pd,
                      enum direction direction, dnnl_memory_t src)
{
    static const struct {
        int arg;
        dnnl_query_t md;
    } table[][3] = {
        [FORWARD] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                     {DNNL_ARG_DST, dnnl_query_dst_md}},
        [DATA] = {{DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md},
                  {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                  {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}},
        [WEIGHTS] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                     {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md},
                     {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}},
    };
    for (int j = 0; j < 3; j++)
        take(r, table[direction][j].arg,
             j == 0 && src ? src
                           : memory_of(r, query(pd, table[direction][j].md)));
}

static void convolve(struct bench_rival *r, enum direction direction,
                     bool fused)
{
    struct conv_descs d;
    dnnl_convolution_desc_t cd;
    if (!conv_descs(r, &d) ||
        !ok(r, dnnl_convolution_forward_desc_init(
                   &cd, dnnl_forward_training, dnnl_convolution_direct, &d.src,
                   &d.weights, NULL, &d.dst, d.stride, d.pad, d.pad)))
        return;
    dnnl_primitive_desc_t forward = describe(r, &cd, NULL), backward = NULL;
    if (forward && direction != FORWARD)
        backward = conv_backward(r, &d, direction, forward);
    dnnl_primitive_desc_t pd = direction == FORWARD ? forward : backward;
    if (pd) {
        dnnl_memory_t src = NULL;
        if (fused) {
            const dnnl_memory_desc_t *md = query(pd, dnnl_query_src_md);
            src = activate(r, md, normalise(r, md, true));
        }
        conv_args(r, pd, direction, src);
        finish(r, pd);
    }
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_desc_destroy(backward);
}

/* ---- the whole ---- */

static void norm(struct bench_rival *r)
{
    const struct bench_case *c = &r->c;
    const dnnl_dims_t dims = {c->n, c->i, c->h, c->w};
    dnnl_memory_desc_t md;
    if (r->layout == BENCH_LAYOUT_ANY) /* BN takes what it is given */
        r->status = dnnl_unimplemented;
    if (!ok(r, dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32,
                                            tag_of(r->layout))))
        return;
    if (c->op == BENCH_BN_BACKWARD)
        normalise_backward(r, &md);
    else
        activate(r, &md, normalise(r, &md, c->op == BENCH_BN_APPLY));
}

static void build(struct bench_rival *r)
{
    switch (r->c.op) {
    case BENCH_STEM_FORWARD:
    case BENCH_CONV1_FORWARD:
    case BENCH_DW_FORWARD:
        convolve(r, FORWARD, false);
        break;
    case BENCH_DW_FORWARD_FUSED:
        convolve(r, FORWARD, true);
        break;
    case BENCH_CONV1_DATA:
        convolve(r, DATA, false);
        break;
    case BENCH_STEM_WEIGHTS:
    case BENCH_CONV1_WEIGHTS:
        convolve(r, WEIGHTS, false);
        break;
    case BENCH_DW_BACKWARD:
    case BENCH_DW_BACKWARD_FUSED:
        convolve(r, WEIGHTS, r->c.op == BENCH_DW_BACKWARD_FUSED);
        convolve(r, DATA, false);
        break;
    default:
        norm(r);
        break;
    }
}

struct bench_rival *bench_rival_new(const struct bench_case *c,
                                    enum bench_layout layout)
{
    struct bench_rival *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->c = *c;
    r->layout = layout;
    (void)(ok(r, dnnl_engine_create(&r->engine, dnnl_cpu, 0)) &&
           ok(r, dnnl_stream_create(&r->stream, r->engine,
                                    dnnl_stream_default_flags)));
    if (r->status == dnnl_success)
        build(r);
    if (r->status == dnnl_success)
        bench_rival_run(r);
    if (r->status != dnnl_success || r->n_steps == 0) {
        bench_rival_free(r);
        return NULL;
    }
    return r;
}

void bench_rival_free(struct bench_rival *r)
{
    if (!r)
        return;
    for (int s = 0; s < r->n_steps; s++)
        dnnl_primitive_destroy(r->step[s].run);
    for (int m = 0; m < r->n_memories; m++)
        dnnl_memory_destroy(r->memory[m]);
    dnnl_stream_destroy(r->stream);
    dnnl_engine_destroy(r->engine);
    free(r);
}

void bench_rival_run(struct bench_rival *r)
{
    for (int s = 0; s < r->n_steps; s++)
        (void)ok(r, dnnl_primitive_execute(r->step[s].run, r->stream,
                                           r->step[s].n, r->step[s].arg));
    (void)ok(r, dnnl_stream_wait(r->stream));
}
