/* Dense 3x3 convolutions, windows of stride 2 and the ReLU after a sum: every
 * ISA of this CPU against the double-precision reference on 300 random shapes
 * each (odd planes, 1x1 ones, channels that fill no block), outputs poisoned
 * before. Packing takes a slice of a wider weight and gives its gradient back
 * to that slice alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/engine/compute/fixture.h"
#include "tests/engine/compute/reference.h"

#define CASES 300

/* ---- dense 3x3 ---- */

struct conv {
    struct sn_conv3 s;
    int ld, hw, out; /* inputs of the wide weight; pixels in and out */
    double *x, *w, *dy;
    double *wide; /* the weight that w is a slice of */
    float *fwd, *bwd;
};

static struct sn_ref_conv reference(const struct conv *c)
{
    return (struct sn_ref_conv){c->s.n, c->s.i, c->s.o,      c->s.h,
                                c->s.w, 3,      c->s.stride, 0};
}

static struct conv draw_conv(struct fix *f, int i)
{
    struct conv c;
    const int most = i % 20 == 0 ? 80 : 24;
    c.s.n = fix_between(f, 1, 3);
    c.s.i = fix_between(f, 1, most);
    c.s.o = fix_between(f, 1, most);
    c.s.h = fix_between(f, 1, i % 10 == 0 ? 17 : 6);
    c.s.w = fix_between(f, 1, i % 10 == 0 ? 17 : 6);
    c.s.stride = fix_between(f, 1, 2);
    c.ld = c.s.i + fix_between(f, 0, 5);
    c.hw = c.s.h * c.s.w;
    c.out = sn_ref_out(c.s.h, c.s.stride) * sn_ref_out(c.s.w, c.s.stride);
    c.x = fix_normal(f, (long)c.s.n * c.s.i * c.hw, 0.2, 1);
    c.dy = fix_normal(f, (long)c.s.n * c.s.o * c.out, 0.2, 1);
    c.wide = fix_normal(f, (long)c.s.o * c.ld * 9, 0, 1);
    c.w = fix_doubles(f, (long)c.s.o * c.s.i * 9);
    for (int o = 0; o < c.s.o; o++)
        memcpy(c.w + (long)o * c.s.i * 9, c.wide + (long)o * c.ld * 9,
               sizeof(double) * (size_t)c.s.i * 9);
    long floats = (long)sn_conv3_packed_floats(f->compute, c.s.i, c.s.o);
    c.fwd = fix_floats(f, floats);
    c.bwd = fix_floats(f, floats);
    sn_conv3_pack(f->compute, c.s.i, c.s.o,
                  fix_copy(f, c.wide, (long)c.s.o * c.ld * 9), c.ld, c.fwd,
                  c.bwd);
    return c;
}

static void check_forward(struct fix *f, const struct conv *c)
{
    const struct sn_ref_conv ref = reference(c);
    const long count = (long)c->s.n * c->s.o * c->out;
    double *want = fix_doubles(f, count), *bias = fix_normal(f, c->s.o, 0, 1);
    const bool relu = fix_between(f, 0, 1);
    float *x = fix_blocked(f, c->s.n, c->s.i, c->hw, c->x);
    float *y = fix_blocked_new(f, c->s.n, c->s.o, c->out);
    sn_ref_conv_forward(&ref, c->x, c->w, want);
    sn_conv3_forward(f->cx, &c->s, x, c->fwd, y);
    fix_expect(f, "3x3 forward", c->s.n, c->s.o, c->out, y, want);
    for (long i = 0; i < count; i++)
        want[i] = sn_ref_act(relu ? SN_REF_RELU : SN_REF_NONE,
                             want[i] + bias[i / c->out % c->s.o]);
    y = fix_blocked_new(f, c->s.n, c->s.o, c->out);
    sn_conv3_infer(f->cx, &c->s, x, c->fwd, fix_blocked(f, 1, c->s.o, 1, bias),
                   relu, y);
    fix_expect(f, "3x3 inference", c->s.n, c->s.o, c->out, y, want);
}

/* The gradient of the slice is added to what is there; the rest stays. */
static void check_weights(struct fix *f, const struct conv *c, const float *x,
                          const float *dy, const double *dw)
{
    float *packed =
        fix_floats(f, (long)sn_conv3_packed_floats(f->compute, c->s.i, c->s.o));
    float *got = fix_copy(f, c->wide, (long)c->s.o * c->ld * 9);
    double *want = fix_doubles(f, (long)c->s.o * c->ld * 9);
    sn_conv3_backward_weights(f->cx, &c->s, x, dy, packed);
    sn_conv3_unpack_add(f->compute, c->s.i, c->s.o, packed, got, c->ld);
    memcpy(want, c->wide, sizeof(double) * (size_t)(c->s.o * c->ld) * 9);
    for (int o = 0; o < c->s.o; o++)
        for (int t = 0; t < c->s.i * 9; t++)
            want[(long)o * c->ld * 9 + t] += dw[(long)o * c->s.i * 9 + t];
    fix_expect_plain(f, "3x3 weight gradient", got, want,
                     (long)c->s.o * c->ld * 9);
}

static void check_backward(struct fix *f, const struct conv *c)
{
    const struct sn_ref_conv ref = reference(c);
    double *dx = fix_doubles(f, (long)c->s.n * c->s.i * c->hw);
    double *dw = fix_doubles(f, (long)c->s.o * c->s.i * 9);
    float *x = fix_blocked(f, c->s.n, c->s.i, c->hw, c->x);
    float *dy = fix_blocked(f, c->s.n, c->s.o, c->out, c->dy);
    float *got = fix_blocked_new(f, c->s.n, c->s.i, c->hw);
    sn_ref_conv_backward(&ref, c->x, c->w, c->dy, dx, dw);
    sn_conv3_backward_data(f->cx, &c->s, dy, c->bwd, got);
    fix_expect(f, "3x3 data gradient", c->s.n, c->s.i, c->hw, got, dx);
    check_weights(f, c, x, dy, dw);
}

static void conv_on(struct fix *f)
{
    for (int i = 0; i < CASES; i++) {
        struct conv c = draw_conv(f, i);
        check_forward(f, &c);
        check_backward(f, &c);
        fix_reset(f);
    }
}

static void test_conv(void **state)
{
    fix_each_isa(conv_on);
}

/* ---- windows ---- */

static void check_window(struct fix *f, const struct sn_window *s, bool largest)
{
    const struct sn_ref_window ref = {s->n, s->c, s->h, s->w, largest ? 3 : 2};
    const int hw = s->h * s->w;
    const int out = sn_ref_out(s->h, 2) * sn_ref_out(s->w, 2);
    double *x = fix_normal(f, (long)s->n * s->c * hw, 0, 1);
    double *dy = fix_normal(f, (long)s->n * s->c * out, 0, 1);
    double *y = fix_doubles(f, (long)s->n * s->c * out);
    double *dx = fix_doubles(f, (long)s->n * s->c * hw);
    for (long i = 0; i < (long)s->n * s->c * hw; i += 2)
        x[i] = 0.25 * (int)(4 * x[i]); /* equals, as a ReLU makes them */
    float *fx = fix_blocked(f, s->n, s->c, hw, x);
    float *fdy = fix_blocked(f, s->n, s->c, out, dy);
    float *fy = fix_blocked_new(f, s->n, s->c, out);
    float *fdx = fix_blocked_new(f, s->n, s->c, hw);
    sn_ref_window_forward(&ref, x, y);
    sn_ref_window_backward(&ref, x, dy, dx);
    if (largest) {
        sn_max_window_forward(f->cx, s, fx, fy);
        sn_max_window_backward(f->cx, s, fx, fdy, fdx);
    } else {
        sn_mean_window_forward(f->cx, s, fx, fy);
        sn_mean_window_backward(f->cx, s, fdy, fdx);
    }
    fix_expect(f, largest ? "maximum" : "mean", s->n, s->c, out, fy, y);
    fix_expect(f, largest ? "maximum's gradient" : "mean's gradient", s->n,
               s->c, hw, fdx, dx);
}

static void window_on(struct fix *f)
{
    for (int i = 0; i < CASES; i++) {
        const struct sn_window s = {fix_between(f, 1, 3), fix_between(f, 1, 40),
                                    fix_between(f, 1, 13),
                                    fix_between(f, 1, 13)};
        check_window(f, &s, true);
        check_window(f, &s, false);
        fix_reset(f);
    }
}

static void test_windows(void **state)
{
    fix_each_isa(window_on);
}

/* ---- the ReLU after a sum ---- */

/* x * scale + shift of a plane's channels. */
static double *affine(struct fix *f, const struct sn_plane *s, const double *x,
                      const double *scale, const double *shift)
{
    const long count = (long)s->n * s->c * s->hw;
    double *y = fix_doubles(f, count);
    for (long i = 0; i < count; i++) {
        long c = i / s->hw % s->c;
        y[i] = scale ? x[i] * scale[c] + shift[c] : x[i];
    }
    return y;
}

static float *vector(struct fix *f, int c, const double *x)
{
    return x ? fix_blocked(f, 1, c, 1, x) : NULL;
}

static void check_sum(struct fix *f, const struct sn_plane *s, bool scaled)
{
    const long count = (long)s->n * s->c * s->hw;
    double *v[6];
    for (int i = 0; i < 6; i++)
        v[i] = i >= 4 && !scaled ? NULL
                                 : fix_normal(f, i < 2 ? count : s->c, 0.1, 1);
    double *want = fix_doubles(f, count), *dy = fix_normal(f, count, 0, 1);
    double *g = fix_doubles(f, count);
    sn_ref_sum_relu_forward(count, affine(f, s, v[0], v[2], v[3]),
                            affine(f, s, v[1], v[4], v[5]), want);
    sn_ref_sum_relu_backward(count, want, dy, g);

    const size_t floats = (size_t)fix_blocked_size(f, s->n, s->c, s->hw);
    float *y = fix_blocked_new(f, s->n, s->c, s->hw);
    float *dx = fix_blocked_new(f, s->n, s->c, s->hw);
    sn_sum_relu(f->cx, s, fix_blocked(f, s->n, s->c, s->hw, v[0]),
                vector(f, s->c, v[2]), vector(f, s->c, v[3]),
                fix_blocked(f, s->n, s->c, s->hw, v[1]), vector(f, s->c, v[4]),
                vector(f, s->c, v[5]), y);
    fix_expect(f, "the ReLU of a sum", s->n, s->c, s->hw, y, want);
    sn_relu_backward(f->cx, floats, y, fix_blocked(f, s->n, s->c, s->hw, dy),
                     dx);
    fix_expect(f, "its gradient", s->n, s->c, s->hw, dx, g);
    for (long i = 0; i < count; i++)
        want[i] = v[0][i] > 0 ? v[0][i] : 0;
    y = fix_blocked(f, s->n, s->c, s->hw, v[0]);
    sn_relu(f->cx, floats, y);
    fix_expect(f, "a ReLU", s->n, s->c, s->hw, y, want);
}

static void sum_on(struct fix *f)
{
    for (int i = 0; i < CASES; i++) {
        const struct sn_plane s = {fix_between(f, 1, 3), fix_between(f, 1, 40),
                                   fix_between(f, 1, 50)};
        check_sum(f, &s, i % 2);
        fix_reset(f);
    }
}

static void test_sum(void **state)
{
    fix_each_isa(sum_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
