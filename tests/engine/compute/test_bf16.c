/* Operators on tensors in bfloat16 against those on floats, given the same
 * values: a thousand random shapes a kernel (1 to 200 channels, odd planes,
 * shards of several chunks), outputs poisoned before. Results differ by
 * roundings to 8 bits alone, of what is stored and of operands of products;
 * depthwise weight gradients and statistics, which have neither, agree as
 * floats do. Rounding itself is to nearest even, NaN stays NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/engine/compute/fixture.h"

#define CASES 1000
#define ROUNDED 4e-3 /* 2^-8: twice half a unit of 8 bits */
#define PRODUCT 8e-3 /* 2^-7: and both operands */
#define EXACT 3e-5

static uint16_t round_one(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float widen_one(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float ret;
    memcpy(&ret, &bits, sizeof ret);
    return ret;
}

/* The same values in both storages: x is rounded on the way. */
static uint16_t *both(struct fix *f, float *x, long count)
{
    uint16_t *p = (uint16_t *)(void *)fix_floats(f, count);
    for (long i = 0; i < count; i++) {
        p[i] = round_one(x[i]);
        x[i] = widen_one(p[i]);
    }
    return p;
}

/* NaN all over */
static uint16_t *poisoned(struct fix *f, long count)
{
    uint16_t *p = (uint16_t *)(void *)fix_floats(f, count);
    memset(p, 0xff, sizeof *p * (size_t)count);
    return p;
}

static float *widened(struct fix *f, const uint16_t *x, long count)
{
    float *p = fix_floats(f, count);
    for (long i = 0; i < count; i++)
        p[i] = widen_one(x[i]);
    return p;
}

static void expect(const char *what, const float *got, const float *want,
                   long count, double tolerance)
{
    double difference = 0, norm = 0;
    for (long i = 0; i < count; i++) {
        difference += pow((double)got[i] - want[i], 2);
        norm += pow(want[i], 2);
    }
    double least = 0.1 * tolerance * sqrt((double)count);
    if (!(sqrt(difference) <= tolerance * sqrt(norm) + least))
        fail_msg("%s: differs by %g of %g", what, sqrt(difference), sqrt(norm));
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
                                       SN_CACT_HSWISH};
    return act[fix_between(f, 0, 2)];
}

static int draw_channels(struct fix *f)
{
    return fix_between(f, 0, 3) ? fix_between(f, 1, 70)
                                : fix_between(f, 1, 200);
}

/* A shape, and operands on it: of[0] is of floats, of[1] the same in bf16. */
struct world {
    int n, h, w, hw, c, cp;
    long size;
};

static struct world draw_world(struct fix *f)
{
    struct world s;
    const int most = fix_between(f, 0, 3) ? 9 : 19;
    s.n = fix_between(f, 1, 5);
    s.h = fix_between(f, 1, most);
    s.w = fix_between(f, 1, most);
    s.hw = s.h * s.w;
    s.c = draw_channels(f);
    s.cp = sn_compute_padded(f->compute, s.c);
    s.size = fix_blocked_size(f, s.n, s.c, s.hw);
    return s;
}

static void draw_source(struct fix *f, const struct world *s, bool gates,
                        struct sn_source of[2])
{
    float *u = tensor(f, s->n, s->c, s->hw);
    of[0] = (struct sn_source){.u = u};
    if (fix_between(f, 0, 3) > 0) {
        of[0].scale = vector(f, s->c, 1, 0.5);
        of[0].shift = vector(f, s->c, 0, 1);
        of[0].act = draw_act(f);
    }
    if (of[0].scale && gates && fix_between(f, 0, 1))
        of[0].gate = fix_blocked(f, s->n, s->c, 1,
                                 fix_normal(f, (long)s->n * s->c, 0.5, 0.2));
    of[1] = of[0];
    of[1].u = both(f, u, s->size);
    if (of[0].scale && gates && fix_between(f, 0, 1)) {
        float *residual = tensor(f, s->n, s->c, s->hw);
        of[1].residual = both(f, residual, s->size);
        of[0].residual = residual;
    }
}

static void draw_gradient(struct fix *f, int n, int c, int hw,
                          struct sn_gradient of[2])
{
    const long size = fix_blocked_size(f, n, c, hw);
    float *g = tensor(f, n, c, hw);
    of[0] = (struct sn_gradient){.g = g};
    if (fix_between(f, 0, 3) > 0) {
        of[0].p = vector(f, c, 1, 0.5);
        of[0].q = vector(f, c, 0, 0.1);
        of[0].r = vector(f, c, 0, 0.1);
    }
    of[1] = of[0];
    of[1].g = both(f, g, size);
    if (of[0].p) {
        float *x = tensor(f, n, c, hw);
        of[1].x = both(f, x, size);
        of[0].x = x;
    }
}

static void draw_sink(struct fix *f, const struct world *s,
                      const struct sn_source *in, struct sn_sink of[2])
{
    of[0] = (struct sn_sink){.dx = fix_floats(f, s->size)};
    of[1] = (struct sn_sink){.dx = poisoned(f, s->size)};
    if (in->scale && !in->gate && !in->residual) {
        of[0].through = of[1].through = true;
        of[0].mean = of[1].mean = vector(f, s->c, 0.2, 0.1);
        of[0].ret_sums = fix_floats(f, 2 * s->cp);
        of[1].ret_sums = fix_floats(f, 2 * s->cp);
    } else if (fix_between(f, 0, 1)) {
        float *add = tensor(f, s->n, s->c, s->hw);
        of[1].add = both(f, add, s->size);
        of[0].add = add;
    }
}

static void compare_sinks(struct fix *f, const struct world *s,
                          const struct sn_source *in,
                          const struct sn_sink of[2])
{
    const struct sn_plane plane = {s->n, s->c, s->hw, SN_STORE_F32};
    float *dx = widened(f, of[1].dx, s->size);
    expect("dx", dx, of[0].dx, s->size, PRODUCT);
    if (!of[1].ret_sums)
        return;
    float *sums = fix_floats(f, 2 * s->cp);
    sn_bn_backward_sums(f->cx, &plane, in->u, of[0].mean, in->scale, in->shift,
                        SN_CACT_NONE, NULL, NULL, dx, NULL, sums);
    expect("sums of what is stored", of[1].ret_sums, sums, 2 * s->cp, EXACT);
}

/* Weights of a 1x1, which bf16 holds exactly. */
struct weights {
    long floats;
    float *fwd, *bwd;
};

static struct weights draw_weights(struct fix *f, int i, int o)
{
    const long count = (long)i * o;
    float *w = fix_copy(f, fix_normal(f, count, 0, 0.2), count);
    struct weights ret = {.floats =
                              (long)sn_conv1_packed_floats(f->compute, i, o)};
    (void)both(f, w, count);
    ret.fwd = fix_floats(f, ret.floats);
    ret.bwd = fix_floats(f, ret.floats);
    sn_conv1_pack(f->compute, i, o, w, i, ret.fwd, ret.bwd);
    return ret;
}

static void forward_case(struct fix *f)
{
    const struct world s = draw_world(f);
    const int o = draw_channels(f), op = sn_compute_padded(f->compute, o);
    const struct sn_conv1 plain = {s.n, s.c, o, s.h, s.w, SN_STORE_F32};
    const struct sn_conv1 stored = {s.n, s.c, o, s.h, s.w, SN_STORE_BF16};
    const struct sn_plane out = {s.n, o, s.hw, SN_STORE_F32};
    const struct weights w = draw_weights(f, s.c, o);
    const long size = fix_blocked_size(f, s.n, o, s.hw);
    struct sn_source in[2];
    draw_source(f, &s, true, in);
    const bool keeps = in[0].scale && fix_between(f, 0, 1);
    float *want_kept = keeps ? fix_floats(f, s.size) : NULL;
    uint16_t *kept = keeps ? poisoned(f, s.size) : NULL;
    float *want = fix_floats(f, size), *sums = fix_floats(f, 2 * op);
    uint16_t *y = poisoned(f, size);
    sn_conv1_forward_fused(f->cx, &plain, &in[0], w.fwd, want_kept, want, sums);
    sn_conv1_forward_fused(f->cx, &stored, &in[1], w.fwd, kept, y, sums);
    float *got = widened(f, y, size), *want_sums = fix_floats(f, 2 * op);
    expect("y", got, want, size, PRODUCT);
    sn_bn_sums(f->cx, &out, got, want_sums);
    expect("sums of what is stored", sums, want_sums, 2 * op, EXACT);
    if (keeps)
        expect("the source kept", widened(f, kept, s.size), want_kept, s.size,
               ROUNDED);
}

static void backward_case(struct fix *f)
{
    const struct world s = draw_world(f);
    const int o = draw_channels(f);
    const struct sn_conv1 plain = {s.n, s.c, o, s.h, s.w, SN_STORE_F32};
    const struct sn_conv1 stored = {s.n, s.c, o, s.h, s.w, SN_STORE_BF16};
    const struct weights w = draw_weights(f, s.c, o);
    struct sn_source in[2];
    struct sn_gradient dy[2];
    struct sn_sink out[2];
    draw_source(f, &s, fix_between(f, 0, 1), in);
    draw_gradient(f, s.n, o, s.hw, dy);
    draw_sink(f, &s, &in[0], out);
    float *want = fix_floats(f, w.floats), *dw = fix_floats(f, w.floats);
    sn_conv1_backward_fused(f->cx, &plain, &in[0], &dy[0], w.bwd, &out[0],
                            want);
    sn_conv1_backward_fused(f->cx, &stored, &in[1], &dy[1], w.bwd, &out[1], dw);
    expect("dw", dw, want, w.floats, PRODUCT);
    compare_sinks(f, &s, &in[0], out);
}

static void depthwise_case(struct fix *f)
{
    const struct world s = draw_world(f);
    const int k = 3 + 2 * fix_between(f, 0, 2), stride = fix_between(f, 1, 2);
    const struct sn_dw plain = {s.n, s.c, s.h, s.w, k, stride, SN_STORE_F32};
    const struct sn_dw stored = {s.n, s.c, s.h, s.w, k, stride, SN_STORE_BF16};
    const int out_hw = ((s.h - 1) / stride + 1) * ((s.w - 1) / stride + 1);
    const struct sn_plane out_plane = {s.n, s.c, out_hw, SN_STORE_F32};
    const long size = fix_blocked_size(f, s.n, s.c, out_hw), taps = k * k;
    struct sn_source in[2];
    struct sn_gradient dy[2];
    struct sn_sink out[2];
    draw_source(f, &s, false, in);
    draw_gradient(f, s.n, s.c, out_hw, dy);
    draw_sink(f, &s, &in[0], out);
    float *w = fix_copy(f, fix_normal(f, taps * s.c, 0, 0.3), taps * s.c);
    float *packed = fix_floats(f, taps * s.cp);
    sn_dw_pack(f->compute, s.c, k, w, packed);

    float *want = fix_floats(f, size), *sums = fix_floats(f, 2 * s.cp);
    float *want_sums = fix_floats(f, 2 * s.cp);
    uint16_t *y = poisoned(f, size);
    sn_dw_forward(f->cx, &plain, in[0].u, in[0].scale, in[0].shift, in[0].act,
                  packed, want, NULL);
    sn_dw_forward(f->cx, &stored, in[1].u, in[1].scale, in[1].shift, in[1].act,
                  packed, y, fix_between(f, 0, 3) ? sums : NULL);
    float *got = widened(f, y, size);
    expect("depthwise y", got, want, size, ROUNDED);
    sn_bn_sums(f->cx, &out_plane, got, want_sums);
    if (!isnan(sums[0]))
        expect("sums of depthwise y", sums, want_sums, 2 * s.cp, EXACT);

    float *want_dw = fix_floats(f, taps * s.cp);
    float *dw = fix_floats(f, taps * s.cp);
    sn_dw_backward_fused(f->cx, &plain, &in[0], &dy[0], packed, &out[0],
                         want_dw);
    sn_dw_backward_fused(f->cx, &stored, &in[1], &dy[1], packed, &out[1], dw);
    expect("depthwise dw", dw, want_dw, taps * s.cp, EXACT);
    compare_sinks(f, &s, &in[0], out);
}

/* Batch normalisation, pooling, gates, sums of tensors. */
static void plane_case(struct fix *f)
{
    const struct world s = draw_world(f);
    const struct sn_plane plain = {s.n, s.c, s.hw, SN_STORE_F32};
    const struct sn_plane stored = {s.n, s.c, s.hw, SN_STORE_BF16};
    float *x = tensor(f, s.n, s.c, s.hw), *dy = tensor(f, s.n, s.c, s.hw);
    uint16_t *x16 = both(f, x, s.size), *dy16 = both(f, dy, s.size);
    float *scale = vector(f, s.c, 1, 0.5), *shift = vector(f, s.c, 0, 1);
    float *mean = vector(f, s.c, 0.2, 0.1);
    float *gate = tensor(f, s.n, s.c, 1), *dpool = tensor(f, s.n, s.c, 1);
    const enum sn_cact act = draw_act(f);
    const long vectors = (long)s.n * s.cp;
    float *want = fix_floats(f, s.size);
    uint16_t *got = poisoned(f, s.size);
    float *a = fix_floats(f, vectors), *b = fix_floats(f, vectors);
    float *sums = fix_floats(f, 2 * s.cp), *want_sums = fix_floats(f, 2 * s.cp);

    sn_bn_apply(f->cx, &plain, x, scale, shift, act, gate, dy, want);
    sn_bn_apply(f->cx, &stored, x16, scale, shift, act, gate, dy16, got);
    expect("applied", widened(f, got, s.size), want, s.size, ROUNDED);
    sn_pool_forward(f->cx, &plain, x, scale, shift, act, a);
    sn_pool_forward(f->cx, &stored, x16, scale, shift, act, b);
    expect("pooled", b, a, vectors, EXACT);
    sn_gate_backward(f->cx, &plain, x, scale, shift, act, dy, a);
    sn_gate_backward(f->cx, &stored, x16, scale, shift, act, dy16, b);
    expect("dgate", b, a, vectors, EXACT);
    sn_bn_backward_sums(f->cx, &plain, x, mean, scale, shift, act, gate, dpool,
                        dy, want, want_sums);
    sn_bn_backward_sums(f->cx, &stored, x16, mean, scale, shift, act, gate,
                        dpool, dy16, got, sums);
    expect("g", widened(f, got, s.size), want, s.size, ROUNDED);
    expect("sums of g", sums, want_sums, 2 * s.cp, ROUNDED);
    sn_add(f->cx, &plain, x, dy);
    sn_add(f->cx, &stored, x16, dy16);
    expect("sum", widened(f, dy16, s.size), dy, s.size, ROUNDED);
}

/* What is stored is the nearest, a tie to even; a plane of one pixel takes its
 * vector as it is. */
static void rounding(struct fix *f)
{
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, FLT_MAX,
                                    1.0f, NAN,   -NAN,     0x1p-126f};
    enum { N = 64, SPECIAL = sizeof special / sizeof special[0] };
    const struct sn_plane s = {N, 16, 1, SN_STORE_BF16};
    float *x = fix_floats(f, N * 16);
    uint16_t *got = poisoned(f, N * 16);
    for (int i = 0; i < N * 16; i++) {
        /* every third a tie */
        uint32_t bits = (uint32_t)fix_between(f, 0, 0x1fffff) << 10;
        bits = (bits & 0x80ffffff) | 0x3f000000;
        if (i % 3 == 0)
            bits = (bits & 0xffff0000) | 0x8000;
        memcpy(&x[i], &bits, sizeof bits);
        if (i < SPECIAL)
            x[i] = special[i];
    }
    sn_pool_backward(f->cx, &s, x, got);
    for (int i = 0; i < N * 16; i++)
        if (isnan(x[i]))
            assert_true(isnan(widen_one(got[i])));
        else
            assert_int_equal(got[i], round_one(x[i]));
}

static void (*one_case)(struct fix *f);

static void where_it_is(struct fix *f)
{
    if (!sn_compute_stores(f->compute, SN_STORE_BF16))
        return;
    for (int i = 0; i < CASES; i++) {
        one_case(f);
        fix_reset(f);
    }
}

static void run(void (*one)(struct fix *f))
{
    one_case = one;
    fix_each_isa(where_it_is);
}

static void test_forward(void **state)
{
    (void)state;
    run(forward_case);
}

static void test_backward(void **state)
{
    (void)state;
    run(backward_case);
}

static void test_depthwise(void **state)
{
    (void)state;
    run(depthwise_case);
}

static void test_planes(void **state)
{
    (void)state;
    run(plane_case);
}

static void test_rounding(void **state)
{
    (void)state;
    run(rounding);
}

/* Only the avx512 kernels have it. */
static void others_lack_it(struct fix *f)
{
    if (strcmp(f->isa, "avx512") != 0)
        assert_false(sn_compute_stores(f->compute, SN_STORE_BF16));
    assert_true(sn_compute_stores(f->compute, SN_STORE_F32));
}

static void test_others_lack_it(void **state)
{
    (void)state;
    fix_each_isa(others_lack_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),   cmocka_unit_test(test_backward),
        cmocka_unit_test(test_depthwise), cmocka_unit_test(test_planes),
        cmocka_unit_test(test_rounding),  cmocka_unit_test(test_others_lack_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
