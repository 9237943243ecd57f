/* 1x1 convolutions, linear layers, the stem and depthwise convolutions, in all
 * directions and every ISA of this CPU, against the reference; and oneDNN's
 * and our own 1x1 against each other's results through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/engine/compute/fixture.h"
#include "tests/engine/compute/reference.h"

static void check_conv1(struct fix *f, const struct sn_conv1 *s)
{
    const int hw = s->h * s->w, ld = s->i + 3;
    const struct sn_ref_conv1 r = {s->n, s->i, s->o, hw};
    const long nx = (long)s->n * s->i * hw, ny = (long)s->n * s->o * hw;
    const long nw = (long)s->o * s->i;
    double *x = fix_normal(f, nx, 0.3, 1), *dy = fix_normal(f, ny, 0, 1);
    double *w = fix_normal(f, nw, 0, 1);
    double *wide = fix_normal(f, (long)s->o * ld, 0, 1);
    for (long k = 0; k < nw; k++)
        wide[k / s->i * ld + k % s->i] = w[k];
    double *y = fix_doubles(f, ny), *dx = fix_doubles(f, nx);
    double *dw = fix_doubles(f, nw);
    sn_ref_conv1_forward(&r, x, w, y);
    sn_ref_conv1_backward(&r, x, w, dy, dx, dw);

    const long packed = (long)sn_conv1_packed_floats(f->compute, s->i, s->o);
    float *fwd = fix_floats(f, packed), *bwd = fix_floats(f, packed);
    float *grad = fix_floats(f, packed);
    sn_conv1_pack(f->compute, s->i, s->o, fix_copy(f, wide, (long)s->o * ld),
                  ld, fwd, bwd);
    float *bx = fix_blocked(f, s->n, s->i, hw, x);
    float *bdy = fix_blocked(f, s->n, s->o, hw, dy);
    float *by = fix_blocked_new(f, s->n, s->o, hw);
    float *bdx = fix_blocked_new(f, s->n, s->i, hw);
    sn_conv1_forward(f->cx, s, bx, fwd, by);
    fix_expect(f, "conv1 forward", s->n, s->o, hw, by, y);
    sn_conv1_backward_data(f->cx, s, bdy, bwd, bdx);
    fix_expect(f, "conv1 data", s->n, s->i, hw, bdx, dx);
    sn_conv1_backward_weights(f->cx, s, bx, bdy, grad);

    double *start = fix_normal(f, (long)s->o * ld, 0, 1);
    float *plain = fix_copy(f, start, (long)s->o * ld);
    sn_conv1_unpack_add(f->compute, s->i, s->o, grad, plain, ld);
    for (long k = 0; k < nw; k++)
        start[k / s->i * ld + k % s->i] += dw[k];
    fix_expect_plain(f, "conv1 weights", plain, start, (long)s->o * ld);
}

static void check_conv1_infer(struct fix *f, const struct sn_conv1 *s,
                              enum sn_cact act, int residual)
{
    const int hw = s->h * s->w;
    const struct sn_ref_conv1 r = {s->n, s->i, s->o, hw};
    const long ny = (long)s->n * s->o * hw;
    double *x = fix_normal(f, (long)s->n * s->i * hw, 0, 1);
    double *w = fix_normal(f, (long)s->o * s->i, 0, 1);
    double *bias = fix_normal(f, s->o, 0, 1), *y = fix_doubles(f, ny);
    double *add = fix_normal(f, ny, 0, 1);
    sn_ref_conv1_forward(&r, x, w, y);
    for (long k = 0; k < ny; k++)
        y[k] = sn_ref_act((enum sn_ref_act)act, y[k] + bias[k / hw % s->o]) +
               (residual ? add[k] : 0);
    float *fwd =
        fix_floats(f, (long)sn_conv1_packed_floats(f->compute, s->i, s->o));
    sn_conv1_pack(f->compute, s->i, s->o, fix_copy(f, w, (long)s->o * s->i),
                  s->i, fwd, NULL);
    float *by = fix_blocked_new(f, s->n, s->o, hw);
    sn_conv1_infer(f->cx, s, fix_blocked(f, s->n, s->i, hw, x), fwd,
                   fix_blocked(f, 1, s->o, 1, bias), act,
                   residual ? fix_blocked(f, s->n, s->o, hw, add) : NULL, by);
    fix_expect(f, "conv1 infer", s->n, s->o, hw, by, y);
}

static void conv1_on(struct fix *f)
{
    for (int i = 0; i < 24; i++) {
        int side = fix_between(f, 1, 15), plane = i % 4 != 0;
        struct sn_conv1 s = {fix_between(f, 1, 9), fix_between(f, 1, 70),
                             fix_between(f, 1, 70), plane ? side : 1,
                             plane ? fix_between(f, 1, 15) : 1};
        check_conv1(f, &s);
        check_conv1_infer(f, &s, (enum sn_cact)(i % 5), i % 5 == 0);
        fix_reset(f);
    }
}

static void test_conv1(void **state)
{
    fix_each_isa(conv1_on);
}

/* Enough work that oneDNN takes it; twice, the second time from the cache. */
static void conv1_large_on(struct fix *f)
{
    const struct sn_conv1 s = {2, 1010, 130, 3, 5};
    for (int i = 0; i < 2; i++) {
        check_conv1(f, &s);
        fix_reset(f);
    }
}

static void test_conv1_large(void **state)
{
    fix_each_isa(conv1_large_on);
}

static void check_stem(struct fix *f, const struct sn_stem *s, enum sn_cact act)
{
    const int oh = sn_ref_out(s->h, s->stride),
              ow = sn_ref_out(s->w, s->stride);
    const struct sn_ref_conv r = {s->n, s->i, s->o,      s->h,
                                  s->w, 3,    s->stride, 0};
    const long nx = (long)s->n * s->i * s->h * s->w;
    const long nw = (long)s->o * s->i * 9, ny = (long)s->n * s->o * oh * ow;
    double *x = fix_normal(f, nx, 0.2, 1), *w = fix_normal(f, nw, 0, 1);
    double *y = fix_doubles(f, ny), *dy = fix_normal(f, ny, 0, 1);
    double *dw = fix_doubles(f, nw), *bias = fix_normal(f, s->o, 0, 1);
    sn_ref_conv_forward(&r, x, w, y);
    sn_ref_conv_backward(&r, x, w, dy, NULL, dw);

    float *packed = fix_floats(f, (long)sn_stem_packed_floats(f->compute, s));
    sn_stem_pack(f->compute, s, fix_copy(f, w, nw), packed);
    float *by = fix_blocked_new(f, s->n, s->o, oh * ow);
    float *plain = fix_copy(f, x, nx);
    sn_stem_forward(f->cx, s, plain, packed, by);
    fix_expect(f, "stem forward", s->n, s->o, oh * ow, by, y);

    for (long k = 0; k < ny; k++)
        y[k] =
            sn_ref_act((enum sn_ref_act)act, y[k] + bias[k / (oh * ow) % s->o]);
    by = fix_blocked_new(f, s->n, s->o, oh * ow);
    sn_stem_infer(f->cx, s, plain, packed, fix_blocked(f, 1, s->o, 1, bias),
                  act, by);
    fix_expect(f, "stem infer", s->n, s->o, oh * ow, by, y);

    double *start = fix_normal(f, nw, 0, 1);
    float *grad = fix_copy(f, start, nw);
    sn_stem_backward_weights(f->cx, s, plain,
                             fix_blocked(f, s->n, s->o, oh * ow, dy), grad);
    for (long k = 0; k < nw; k++)
        start[k] += dw[k];
    fix_expect_plain(f, "stem weights", grad, start, nw);
}

static void stem_on(struct fix *f)
{
    for (int i = 0; i < 12; i++) {
        struct sn_stem s = {fix_between(f, 1, 4),  i % 2 ? 3 : 1,
                            fix_between(f, 1, 40), fix_between(f, 1, 33),
                            fix_between(f, 1, 33), 1 + i / 2 % 2};
        check_stem(f, &s, (enum sn_cact)(i % 5));
        fix_reset(f);
    }
}

static void test_stem(void **state)
{
    fix_each_isa(stem_on);
}

struct dw_case {
    struct sn_dw s;
    enum sn_cact act;
    double *x, *z, *scale, *shift, *w, *y, *dy, *dz, *dw;
    int oh, ow;
};

static struct dw_case dw_draw(struct fix *f, const struct sn_dw *s,
                              enum sn_cact act, bool affine)
{
    const int hw = s->h * s->w;
    struct dw_case d = {.s = *s,
                        .act = act,
                        .oh = sn_ref_out(s->h, s->stride),
                        .ow = sn_ref_out(s->w, s->stride)};
    const long nx = (long)s->n * s->c * hw;
    const long ny = (long)s->n * s->c * d.oh * d.ow,
               nw = (long)s->c * s->k * s->k;
    const struct sn_ref_conv r = {s->n, s->c, s->c,      s->h,
                                  s->w, s->k, s->stride, 1};
    const double mean = act == SN_CACT_RELU6 ? 4 : 0.5; /* to meet its 6 */
    d.x = fix_normal(f, nx, 0, 1);
    d.z = fix_doubles(f, nx);
    d.scale = affine ? fix_normal(f, s->c, 1, 1) : NULL;
    d.shift = affine ? fix_normal(f, s->c, mean, 1) : NULL;
    for (long k = 0; k < nx; k++) {
        long c = k / hw % s->c;
        d.z[k] = affine ? sn_ref_act((enum sn_ref_act)act,
                                     d.x[k] * d.scale[c] + d.shift[c])
                        : d.x[k];
    }
    d.w = fix_normal(f, nw, 0, 1);
    d.y = fix_doubles(f, ny);
    d.dy = fix_normal(f, ny, 0, 1);
    d.dz = fix_doubles(f, nx);
    d.dw = fix_doubles(f, nw);
    sn_ref_conv_forward(&r, d.z, d.w, d.y);
    sn_ref_conv_backward(&r, d.z, d.w, d.dy, d.dz, d.dw);
    return d;
}

static void check_dw_sums(struct fix *f, const struct dw_case *d,
                          const float *sums)
{
    const struct sn_ref_bn bn = {d->s.n, d->s.c, d->oh * d->ow, 0, SN_REF_NONE};
    const double count = (double)d->s.n * d->oh * d->ow;
    const int cp = sn_compute_padded(f->compute, d->s.c);
    double *mean = fix_doubles(f, d->s.c), *var = fix_doubles(f, d->s.c);
    sn_ref_bn_statistics(&bn, d->y, mean, var);
    for (int c = 0; c < d->s.c; c++) {
        mean[c] *= count;
        var[c] *= count;
    }
    fix_expect(f, "dw sum", 1, d->s.c, 1, sums, mean);
    if (count > 1)
        fix_expect(f, "dw deviations", 1, d->s.c, 1, sums + cp, var);
}

static void check_dw(struct fix *f, const struct dw_case *d)
{
    const struct sn_dw *s = &d->s;
    const int cp = sn_compute_padded(f->compute, s->c), k2 = s->k * s->k;
    float *packed = fix_floats(f, (long)k2 * cp);
    float *grad = fix_floats(f, (long)k2 * cp);
    float *sums = fix_floats(f, 2 * cp);
    sn_dw_pack(f->compute, s->c, s->k, fix_copy(f, d->w, (long)s->c * k2),
               packed);
    float *scale = d->scale ? fix_blocked(f, 1, s->c, 1, d->scale) : NULL;
    float *shift = d->scale ? fix_blocked(f, 1, s->c, 1, d->shift) : NULL;
    float *x = fix_blocked(f, s->n, s->c, s->h * s->w, d->x);
    float *dy = fix_blocked(f, s->n, s->c, d->oh * d->ow, d->dy);
    float *y = fix_blocked_new(f, s->n, s->c, d->oh * d->ow);
    float *dz = fix_blocked_new(f, s->n, s->c, s->h * s->w);
    sn_dw_forward(f->cx, s, x, scale, shift, d->act, packed, y, sums);
    fix_expect(f, "dw forward", s->n, s->c, d->oh * d->ow, y, d->y);
    check_dw_sums(f, d, sums);
    const struct sn_source in = {
        .u = x, .scale = scale, .shift = shift, .act = d->act};
    const struct sn_gradient from = {.g = dy};
    const struct sn_sink to = {.dx = dz};
    sn_dw_backward_fused(f->cx, s, &in, &from, packed, &to, grad);
    fix_expect(f, "dw data", s->n, s->c, s->h * s->w, dz, d->dz);
    double *start = fix_normal(f, (long)s->c * k2, 0, 1);
    float *plain = fix_copy(f, start, (long)s->c * k2);
    sn_dw_unpack_add(f->compute, s->c, s->k, grad, plain);
    for (int i = 0; i < s->c * k2; i++)
        start[i] += d->dw[i];
    fix_expect_plain(f, "dw weights", plain, start, (long)s->c * k2);
}

static void dw_on(struct fix *f)
{
    for (int k = 3; k <= 7; k += 2)
        for (int stride = 1; stride <= 2; stride++)
            for (int i = 0; i < 8; i++) {
                int most = i == 0 ? 33 : 16;
                struct sn_dw s = {fix_between(f, 1, 4),
                                  fix_between(f, 1, 36),
                                  fix_between(f, 1, most),
                                  fix_between(f, 1, most),
                                  k,
                                  stride};
                struct dw_case d = dw_draw(f, &s, (enum sn_cact)(i % 5), i < 5);
                check_dw(f, &d);
                fix_reset(f);
            }
}

static void test_depthwise(void **state)
{
    fix_each_isa(dw_on);
}

static void unknown_on(struct fix *f)
{
    const struct sn_dw s = {1, 3, 4, 4, 4, 1};
    struct sn_error error;
    float *x = fix_blocked_new(f, 1, 3, 16);
    sn_dw_forward(f->cx, &s, x, NULL, NULL, SN_CACT_NONE, x, x, NULL);
    assert_int_equal(sn_cx_take_error(f->cx, &error), SN_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "size 4"));
    assert_int_equal(sn_cx_take_error(f->cx, &error), SN_OK);
}

static void test_unknown_shape_is_reported(void **state)
{
    fix_each_isa(unknown_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv1),
        cmocka_unit_test(test_conv1_large),
        cmocka_unit_test(test_stem),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_unknown_shape_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
