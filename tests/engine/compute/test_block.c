/* The fused first half of a static block in every ISA of this CPU: against the
 * double-precision reference, and against the separate operators on a thousand
 * random shapes: planes of one pixel and odd ones, all borders, with and
 * without the expansion. Outputs are poisoned before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/engine/compute/fixture.h"
#include "tests/engine/compute/reference.h"

/* A case: the shape and plain weights by formula. */
struct half_case {
    struct sn_half_block s;
    int expands, out;
    double *x, *expand_w, *expand_bias, *depth_w, *depth_bias;
};

static struct half_case half_draw(struct fix *f, int i)
{
    static const enum sn_cact acts[] = {SN_CACT_NONE, SN_CACT_RELU,
                                        SN_CACT_HSWISH, SN_CACT_RELU6};
    const int wide = i % 100 == 0;
    const int most = i % 50 == 0 ? 33 : 12, channels = wide ? 200 : 40;
    struct half_case h = {.expands = i % 4 != 0};
    struct sn_half_block *s = &h.s;
    s->n = fix_between(f, 1, wide ? 1 : 3);
    s->in = fix_between(f, 1, channels);
    s->mid = h.expands ? fix_between(f, 1, channels) : s->in;
    s->size = fix_between(f, 1, wide ? 9 : most);
    s->k = 3 + 2 * fix_between(f, 0, 2);
    s->stride = fix_between(f, 1, 2);
    s->act = acts[i % 4];
    h.out = sn_ref_out(s->size, s->stride);
    h.x = fix_normal(f, (long)s->n * s->in * s->size * s->size, 0, 1);
    h.expand_w = fix_normal(f, (long)s->mid * s->in, 0, 1);
    h.expand_bias = fix_normal(f, s->mid, 0, 1);
    h.depth_w = fix_normal(f, (long)s->mid * s->k * s->k, 0, 1);
    h.depth_bias = fix_normal(f, s->mid, 0, 1);
    return h;
}

/* Packs it and lays out the outputs. */
static void half_pack(struct fix *f, struct half_case *h)
{
    struct sn_half_block *s = &h->s;
    const int k2 = s->k * s->k, cp = sn_compute_padded(f->compute, s->mid);
    float *expand_w =
        fix_floats(f, (long)sn_conv1_packed_floats(f->compute, s->in, s->mid));
    float *depth_w = fix_floats(f, (long)k2 * cp);
    sn_conv1_pack(f->compute, s->in, s->mid,
                  fix_copy(f, h->expand_w, (long)s->mid * s->in), s->in,
                  expand_w, NULL);
    sn_dw_pack(f->compute, s->mid, s->k,
               fix_copy(f, h->depth_w, (long)s->mid * k2), depth_w);
    s->x = fix_blocked(f, s->n, s->in, s->size * s->size, h->x);
    s->expand_w = h->expands ? expand_w : NULL;
    s->expand_bias = fix_blocked(f, 1, s->mid, 1, h->expand_bias);
    s->depth_w = depth_w;
    s->depth_bias = fix_blocked(f, 1, s->mid, 1, h->depth_bias);
    s->y = fix_blocked_new(f, s->n, s->mid, h->out * h->out);
}

static void bias_act(const struct half_case *h, int hw, const double *bias,
                     double *y)
{
    for (long i = 0; i < (long)h->s.n * h->s.mid * hw; i++)
        y[i] = sn_ref_act((enum sn_ref_act)h->s.act,
                          y[i] + bias[i / hw % h->s.mid]);
}

static void check_reference(struct fix *f, struct half_case *h)
{
    const struct sn_half_block *s = &h->s;
    const int hw = s->size * s->size, out = h->out * h->out;
    const struct sn_ref_conv1 one = {s->n, s->in, s->mid, hw};
    const struct sn_ref_conv deep = {s->n,    s->mid, s->mid,    s->size,
                                     s->size, s->k,   s->stride, 1};
    double *wide = fix_doubles(f, (long)s->n * s->mid * hw);
    double *y = fix_doubles(f, (long)s->n * s->mid * out);
    if (h->expands) {
        sn_ref_conv1_forward(&one, h->x, h->expand_w, wide);
        bias_act(h, hw, h->expand_bias, wide);
    } else {
        wide = h->x;
    }
    sn_ref_conv_forward(&deep, wide, h->depth_w, y);
    bias_act(h, out, h->depth_bias, y);
    sn_half_block_infer(f->cx, s);
    fix_expect(f, "half block", s->n, s->mid, out, s->y, y);
}

static void reference_on(struct fix *f)
{
    for (int i = 0; i < 40; i++) {
        struct half_case h = half_draw(f, i);
        half_pack(f, &h);
        check_reference(f, &h);
        fix_reset(f);
    }
}

static void test_reference(void **state)
{
    fix_each_isa(reference_on);
}

static void expect_near(const float *got, const float *want, long count)
{
    double error = 0, norm = 0;
    for (long i = 0; i < count; i++) {
        error += pow((double)got[i] - (double)want[i], 2);
        norm += pow((double)want[i], 2);
    }
    if (!(sqrt(error) <= 1e-5 * sqrt(norm)))
        fail_msg("off by %g of %g", sqrt(error), sqrt(norm));
}

static void check_separate(struct fix *f, const struct half_case *h)
{
    const struct sn_half_block *s = &h->s;
    const struct sn_conv1 one = {s->n, s->in, s->mid, s->size, s->size};
    const struct sn_dw deep = {s->n, s->mid, s->size, s->size, s->k, s->stride};
    const struct sn_plane plane = {s->n, s->mid, h->out * h->out};
    float *wide = fix_blocked_new(f, s->n, s->mid, s->size * s->size);
    float *y = fix_blocked_new(f, s->n, s->mid, h->out * h->out);
    double *ones = fix_doubles(f, s->mid);
    for (int c = 0; c < s->mid; c++)
        ones[c] = 1;
    if (h->expands)
        sn_conv1_infer(f->cx, &one, s->x, s->expand_w, s->expand_bias, s->act,
                       NULL, wide);
    sn_dw_forward(f->cx, &deep, h->expands ? wide : s->x, NULL, NULL,
                  SN_CACT_NONE, s->depth_w, y, NULL);
    sn_bn_apply(f->cx, &plane, y, fix_blocked(f, 1, s->mid, 1, ones),
                s->depth_bias, s->act, NULL, NULL, y);
    sn_half_block_infer(f->cx, s);
    expect_near(s->y, y, fix_blocked_size(f, s->n, s->mid, h->out * h->out));
}

static void separate_on(struct fix *f)
{
    for (int i = 0; i < 1000; i++) {
        struct half_case h = half_draw(f, i);
        half_pack(f, &h);
        check_separate(f, &h);
        fix_reset(f);
    }
}

static void test_separate(void **state)
{
    fix_each_isa(separate_on);
}

static void unknown_on(struct fix *f)
{
    struct half_case h = half_draw(f, 1);
    struct sn_error error;
    half_pack(f, &h);
    h.s.k = 4;
    sn_half_block_infer(f->cx, &h.s);
    assert_int_equal(sn_cx_take_error(f->cx, &error), SN_ERR_UNSUPPORTED);
}

static void test_unknown_shape_is_reported(void **state)
{
    fix_each_isa(unknown_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_separate),
        cmocka_unit_test(test_unknown_shape_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
