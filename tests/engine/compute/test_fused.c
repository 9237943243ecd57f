/* Fused operators against the composition of the plain ones that they stand
 * for, every ISA of this CPU: a thousand random shapes a kernel (1 to 200
 * channels, odd planes, 1x1 ones, shards of several chunks), outputs poisoned
 * before. The plain ones have the double-precision reference (test_conv.c,
 * test_norm.c); a depthwise backward is plain with plain operands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/engine/compute/fixture.h"

#define CASES 1000
#define TOLERANCE 2e-5

/* |a - b| / |b| over whole buffers, padding and all; NaN fails. */
static void expect_same(struct fix *f, const char *what, const float *a,
                        const float *b, long count)
{
    double difference = 0, norm = 0;
    for (long i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    /* a BN over one value has no gradient at all but rounding */
    double least = 2e-6 * sqrt((double)count);
    if (!(sqrt(difference) <= TOLERANCE * sqrt(norm) + least))
        fail_msg("%s, %s: differs by %g of %g", f->isa, what, sqrt(difference),
                 sqrt(norm));
}

static float *tensor(struct fix *f, int n, int c, int hw)
{
    return fix_blocked(f, n, c, hw, fix_normal(f, (long)n * c * hw, 0.2, 1));
}

static float *vector(struct fix *f, int c, double mean, double std)
{
    return fix_blocked(f, 1, c, 1, fix_normal(f, c, mean, std));
}

static enum sn_cact draw_act(struct fix *f)
{
    static const enum sn_cact act[] = {SN_CACT_NONE, SN_CACT_RELU,
                                       SN_CACT_HSWISH, SN_CACT_RELU6};
    return act[fix_between(f, 0, 3)];
}

/* Planes from 1 x 1 to 19 x 19, now and then one of several chunks. */
static void draw_plane(struct fix *f, int *n, int *h, int *w)
{
    int most = fix_between(f, 0, 3) ? 9 : 19;
    *n = fix_between(f, 1, 5);
    *h = fix_between(f, 1, most);
    *w = fix_between(f, 1, most);
}

static int draw_channels(struct fix *f)
{
    const int of = fix_between(f, 0, 99);
    if (of == 0)
        return fix_between(f, 640, 700); /* oneDNN's */
    return of < 75 ? fix_between(f, 1, 70) : fix_between(f, 1, 200);
}

struct conv {
    struct sn_conv1 s;
    int hw, ip, op;
    long in_size, out_size;
    float *fwd, *bwd;
};

static struct conv draw_conv(struct fix *f)
{
    struct conv c;
    draw_plane(f, &c.s.n, &c.s.h, &c.s.w);
    c.s.i = draw_channels(f);
    c.s.o = draw_channels(f);
    c.hw = c.s.h * c.s.w;
    c.ip = sn_compute_padded(f->compute, c.s.i);
    c.op = sn_compute_padded(f->compute, c.s.o);
    c.in_size = fix_blocked_size(f, c.s.n, c.s.i, c.hw);
    c.out_size = fix_blocked_size(f, c.s.n, c.s.o, c.hw);
    long floats = (long)sn_conv1_packed_floats(f->compute, c.s.i, c.s.o);
    c.fwd = fix_floats(f, floats);
    c.bwd = fix_floats(f, floats);
    float *w = fix_copy(f, fix_normal(f, (long)c.s.i * c.s.o, 0, 0.2),
                        (long)c.s.i * c.s.o);
    sn_conv1_pack(f->compute, c.s.i, c.s.o, w, c.s.i, c.fwd, c.bwd);
    return c;
}

static struct sn_source draw_source(struct fix *f, int n, int c, int hw,
                                    bool gates)
{
    struct sn_source s = {.u = tensor(f, n, c, hw)};
    if (fix_between(f, 0, 4) == 0)
        return s;
    s.scale = vector(f, c, 1, 0.5);
    s.act = draw_act(f);
    s.shift = vector(f, c, s.act == SN_CACT_RELU6 ? 5 : 0, 1);
    if (gates && fix_between(f, 0, 1))
        s.gate = fix_blocked(f, n, c, 1, fix_normal(f, (long)n * c, 0.5, 0.2));
    if (gates && fix_between(f, 0, 1))
        s.residual = tensor(f, n, c, hw);
    return s;
}

/* The source as a tensor. */
static const float *plain(struct fix *f, int n, int c, int hw,
                          const struct sn_source *s)
{
    if (!s->scale)
        return s->u;
    float *x = fix_blocked_new(f, n, c, hw);
    const struct sn_plane plane = {n, c, hw};
    sn_bn_apply(f->cx, &plane, s->u, s->scale, s->shift, s->act, s->gate,
                s->residual, x);
    return x;
}

static void forward_case(struct fix *f)
{
    struct conv c = draw_conv(f);
    struct sn_source in = draw_source(f, c.s.n, c.s.i, c.hw, true);
    const struct sn_plane out = {c.s.n, c.s.o, c.hw};
    float *y = fix_floats(f, c.out_size), *sums = fix_floats(f, 2 * c.op);
    float *want = fix_floats(f, c.out_size),
          *want_sums = fix_floats(f, 2 * c.op);
    float *kept =
        in.scale && fix_between(f, 0, 1) ? fix_floats(f, c.in_size) : NULL;
    const float *x = plain(f, c.s.n, c.s.i, c.hw, &in);
    sn_conv1_forward(f->cx, &c.s, x, c.fwd, want);
    sn_bn_sums(f->cx, &out, want, want_sums);
    sn_conv1_forward_fused(f->cx, &c.s, &in, c.fwd, kept, y, sums);
    expect_same(f, "y", y, want, c.out_size);
    expect_same(f, "sums", sums, want_sums, 2 * c.op);
    if (kept)
        expect_same(f, "the source kept", kept, x, c.in_size);
}

/* A gradient through a BN, and what it is as a tensor. */
static struct sn_gradient draw_gradient(struct fix *f, int n, int c, int hw,
                                        const float **ret_plain)
{
    struct sn_gradient d = {.g = tensor(f, n, c, hw)};
    *ret_plain = d.g;
    if (fix_between(f, 0, 4) == 0)
        return d;
    const int cp = sn_compute_padded(f->compute, c);
    const struct sn_plane s = {n, c, hw};
    float *x = tensor(f, n, c, hw), *sums = fix_floats(f, 2 * cp);
    float *gamma = vector(f, c, 1, 0.5), *beta = vector(f, c, 0, 1);
    float *mean = fix_floats(f, cp), *rstd = fix_floats(f, cp);
    float *scale = fix_floats(f, cp), *shift = fix_floats(f, cp);
    float *dgamma = fix_floats(f, cp), *dbeta = fix_floats(f, cp);
    float *want_dgamma = fix_floats(f, cp), *want_dbeta = fix_floats(f, cp);
    float *pqr = fix_floats(f, 3 * cp), *dx = fix_blocked_new(f, n, c, hw);
    sn_bn_sums(f->cx, &s, x, sums);
    sn_bn_finish(f->cx, &s, sums, gamma, beta, 1e-2f, mean, rstd, scale, shift);
    sn_bn_backward(f->cx, &s, x, mean, rstd, gamma, beta, SN_CACT_NONE, NULL,
                   NULL, d.g, dx, want_dgamma, want_dbeta);
    sn_bn_backward_sums(f->cx, &s, x, mean, scale, shift, SN_CACT_NONE, NULL,
                        NULL, d.g, NULL, sums);
    sn_bn_gradient(f->cx, &s, sums, mean, rstd, gamma, dgamma, dbeta, pqr);
    expect_same(f, "dgamma", dgamma, want_dgamma, cp);
    expect_same(f, "dbeta", dbeta, want_dbeta, cp);
    *ret_plain = dx;
    d.x = x;
    d.p = pqr;
    d.q = pqr + cp;
    d.r = pqr + 2 * cp;
    return d;
}

/* How the data gradient goes on, and (in dx, sums) what it then is. */
static struct sn_sink draw_sink(struct fix *f, int n, int c, int hw,
                                const struct sn_source *in, float *dx,
                                float *sums)
{
    const long size = fix_blocked_size(f, n, c, hw);
    const int cp = sn_compute_padded(f->compute, c);
    const struct sn_plane s = {n, c, hw};
    struct sn_sink out = {.dx = fix_floats(f, size)};
    if (in->scale && !in->gate && !in->residual) {
        out.through = true;
        out.mean = vector(f, c, 0.2, 0.1);
        out.ret_sums = fix_floats(f, 2 * cp);
        sn_bn_backward_sums(f->cx, &s, in->u, out.mean, in->scale, in->shift,
                            in->act, NULL, NULL, dx, dx, sums);
    } else if (fix_between(f, 0, 1)) {
        out.add = tensor(f, n, c, hw);
        sn_vec_add(f->cx, (size_t)size, out.add, dx);
    }
    return out;
}

static void backward_case(struct fix *f)
{
    struct conv c = draw_conv(f);
    struct sn_source in =
        draw_source(f, c.s.n, c.s.i, c.hw, fix_between(f, 0, 1));
    const float *dy, *x = plain(f, c.s.n, c.s.i, c.hw, &in);
    struct sn_gradient d = draw_gradient(f, c.s.n, c.s.o, c.hw, &dy);
    const long weights = (long)c.ip * c.op;
    float *dw = fix_floats(f, weights), *want_dw = fix_floats(f, weights);
    float *dx = fix_floats(f, c.in_size), *sums = fix_floats(f, 2 * c.ip);
    sn_conv1_backward_weights(f->cx, &c.s, x, dy, want_dw);
    sn_conv1_backward_data(f->cx, &c.s, dy, c.bwd, dx);
    struct sn_sink out = draw_sink(f, c.s.n, c.s.i, c.hw, &in, dx, sums);
    sn_conv1_backward_fused(f->cx, &c.s, &in, &d, c.bwd, &out, dw);
    expect_same(f, "dw", dw, want_dw, weights);
    expect_same(f, "dx", out.dx, dx, c.in_size);
    if (out.ret_sums)
        expect_same(f, "sums of dx", out.ret_sums, sums, 2 * c.ip);
}

static void depthwise_case(struct fix *f)
{
    struct sn_dw s = {.k = 3 + 2 * fix_between(f, 0, 2),
                      .stride = fix_between(f, 1, 2)};
    draw_plane(f, &s.n, &s.h, &s.w);
    s.c = draw_channels(f);
    const int cp = sn_compute_padded(f->compute, s.c), hw = s.h * s.w;
    const int oh = (s.h + s.stride - 1) / s.stride;
    const int ow = (s.w + s.stride - 1) / s.stride;
    const long size = fix_blocked_size(f, s.n, s.c, hw);
    struct sn_source in = draw_source(f, s.n, s.c, hw, false);
    const float *dy, *x = plain(f, s.n, s.c, hw, &in);
    struct sn_gradient d = draw_gradient(f, s.n, s.c, oh * ow, &dy);
    const long taps = (long)s.k * s.k;
    float *packed = fix_floats(f, taps * cp), *w;
    w = fix_copy(f, fix_normal(f, taps * s.c, 0, 0.3), taps * s.c);
    sn_dw_pack(f->compute, s.c, s.k, w, packed);
    float *dw = fix_floats(f, taps * cp), *want_dw = fix_floats(f, taps * cp);
    float *dx = fix_floats(f, size), *sums = fix_floats(f, 2 * cp);
    const struct sn_source plain_in = {.u = x};
    const struct sn_gradient plain_dy = {.g = dy};
    const struct sn_sink plain_out = {.dx = dx};
    sn_dw_backward_fused(f->cx, &s, &plain_in, &plain_dy, packed, &plain_out,
                         want_dw);
    struct sn_sink out = draw_sink(f, s.n, s.c, hw, &in, dx, sums);
    sn_dw_backward_fused(f->cx, &s, &in, &d, packed, &out, dw);
    expect_same(f, "depthwise dw", dw, want_dw, taps * cp);
    expect_same(f, "depthwise dx", out.dx, dx, size);
    if (out.ret_sums)
        expect_same(f, "sums of depthwise dx", out.ret_sums, sums, 2 * cp);
}

/* The gated form, which only the squeeze-and-excitation has. */
static void gated_case(struct fix *f)
{
    struct sn_plane s = {.n = fix_between(f, 1, 4), .c = draw_channels(f)};
    s.hw = fix_between(f, 1, 90);
    const int cp = sn_compute_padded(f->compute, s.c);
    const long size = fix_blocked_size(f, s.n, s.c, s.hw);
    const enum sn_cact act = draw_act(f);
    float *x = tensor(f, s.n, s.c, s.hw), *dy = tensor(f, s.n, s.c, s.hw);
    float *gate = tensor(f, s.n, s.c, 1), *dpool = tensor(f, s.n, s.c, 1);
    float *gamma = vector(f, s.c, 1, 0.5), *beta = vector(f, s.c, 0, 1);
    float *mean = fix_floats(f, cp), *rstd = fix_floats(f, cp);
    float *scale = fix_floats(f, cp), *shift = fix_floats(f, cp);
    float *dgamma = fix_floats(f, cp), *dbeta = fix_floats(f, cp);
    float *want_dgamma = fix_floats(f, cp), *want_dbeta = fix_floats(f, cp);
    float *sums = fix_floats(f, 2 * cp), *pqr = fix_floats(f, 3 * cp);
    float *g = fix_floats(f, size), *dx = fix_floats(f, size);
    sn_bn_sums(f->cx, &s, x, sums);
    sn_bn_finish(f->cx, &s, sums, gamma, beta, 1e-2f, mean, rstd, scale, shift);
    sn_bn_backward(f->cx, &s, x, mean, rstd, gamma, beta, act, gate, dpool, dy,
                   dx, want_dgamma, want_dbeta);
    sn_bn_backward_sums(f->cx, &s, x, mean, scale, shift, act, gate, dpool, dy,
                        g, sums);
    sn_bn_gradient(f->cx, &s, sums, mean, rstd, gamma, dgamma, dbeta, pqr);
    expect_same(f, "gated dgamma", dgamma, want_dgamma, cp);
    expect_same(f, "gated dbeta", dbeta, want_dbeta, cp);
    const int b = sn_compute_block(f->compute);
    for (long i = 0; i < size; i++) {
        long c = i / ((long)s.hw * b) % (cp / b) * b + i % b;
        g[i] = pqr[c] * g[i] + pqr[cp + c] * x[i] + pqr[2 * cp + c];
    }
    expect_same(f, "gated dx", g, dx, size);
}

static void cases(struct fix *f, void (*one)(struct fix *f))
{
    for (int i = 0; i < CASES; i++) {
        one(f);
        fix_reset(f);
    }
}

static void forward_on(struct fix *f)
{
    cases(f, forward_case);
}

static void backward_on(struct fix *f)
{
    cases(f, backward_case);
}

static void depthwise_on(struct fix *f)
{
    cases(f, depthwise_case);
}

static void gated_on(struct fix *f)
{
    cases(f, gated_case);
}

static void test_forward(void **state)
{
    (void)state;
    fix_each_isa(forward_on);
}

static void test_backward(void **state)
{
    (void)state;
    fix_each_isa(backward_on);
}

static void test_depthwise(void **state)
{
    (void)state;
    fix_each_isa(depthwise_on);
}

static void test_gated(void **state)
{
    (void)state;
    fix_each_isa(gated_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_gated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
