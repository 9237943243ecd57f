/* BN with its activation, squeeze-and-excitation, pooling, vectors and the
 * loss, forward and backward and every ISA of this CPU, against the reference;
 * also where the mean is far larger than the deviation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tests/engine/compute/fixture.h"
#include "tests/engine/compute/reference.h"

#define EPS 1e-5

struct bn {
    struct sn_plane s;
    struct sn_ref_bn ref;
    double *x, *gamma, *beta, *mean, *var;
    float *bx, *bgamma, *bbeta, *bmean, *brstd, *bscale, *bshift;
};

static struct bn bn_draw(struct fix *f, int n, int c, int hw, enum sn_cact act,
                         double mean)
{
    struct bn b = {.s = {n, c, hw},
                   .ref = {n, c, hw, EPS, (enum sn_ref_act)act}};
    const int cp = sn_compute_padded(f->compute, c);
    b.x = fix_normal(f, (long)n * c * hw, mean, 1);
    /* wide enough for ReLU6 to meet its 6 */
    b.gamma = fix_normal(f, c, act == SN_CACT_RELU6 ? 5 : 1, 0.5);
    b.beta = fix_normal(f, c, 0, 1);
    b.mean = fix_doubles(f, c);
    b.var = fix_doubles(f, c);
    sn_ref_bn_statistics(&b.ref, b.x, b.mean, b.var);
    b.bx = fix_blocked(f, n, c, hw, b.x);
    b.bgamma = fix_blocked(f, 1, c, 1, b.gamma);
    b.bbeta = fix_blocked(f, 1, c, 1, b.beta);
    b.bmean = fix_floats(f, cp);
    b.brstd = fix_floats(f, cp);
    b.bscale = fix_floats(f, cp);
    b.bshift = fix_floats(f, cp);
    float *sums = fix_floats(f, 2 * cp);
    sn_bn_sums(f->cx, &b.s, b.bx, sums);
    sn_bn_finish(f->cx, &b.s, sums, b.bgamma, b.bbeta, (float)EPS, b.bmean,
                 b.brstd, b.bscale, b.bshift);
    return b;
}

static void check_bn(struct fix *f, struct bn *b, bool gated, bool residual)
{
    const int n = b->s.n, c = b->s.c, hw = b->s.hw;
    const long count = (long)n * c * hw;
    double *y = fix_doubles(f, count), *out = fix_doubles(f, count);
    double *gate = fix_normal(f, (long)n * c, 0.5, 0.2);
    double *add = fix_normal(f, count, 0, 1);
    fix_expect(f, "bn mean", 1, c, 1, b->bmean, b->mean);
    sn_ref_bn_apply(&b->ref, b->x, b->mean, b->var, b->gamma, b->beta, y);
    sn_ref_gate_forward(n, c, hw, y, gate, out);
    for (long i = 0; i < count; i++)
        out[i] = (gated ? out[i] : y[i]) + (residual ? add[i] : 0);
    float *by = fix_blocked_new(f, n, c, hw);
    sn_bn_apply(f->cx, &b->s, b->bx, b->bscale, b->bshift,
                (enum sn_cact)b->ref.act,
                gated ? fix_blocked(f, n, c, 1, gate) : NULL,
                residual ? fix_blocked(f, n, c, hw, add) : NULL, by);
    fix_expect(f, "bn apply", n, c, hw, by, out);
}

static void check_bn_backward(struct fix *f, struct bn *b, bool gated)
{
    const int n = b->s.n, c = b->s.c, hw = b->s.hw;
    const int cp = sn_compute_padded(f->compute, c);
    const long count = (long)n * c * hw;
    double *dy = fix_normal(f, count, 0.1, 1), *dx = fix_doubles(f, count);
    double *inner = fix_doubles(f, count);
    double *gate = fix_normal(f, (long)n * c, 0.5, 0.2);
    double *dpool = fix_normal(f, (long)n * c, 0, 1);
    double *dgamma = fix_doubles(f, c), *dbeta = fix_doubles(f, c);
    for (long i = 0; i < count; i++)
        inner[i] = gated ? dy[i] * gate[i / hw] + dpool[i / hw] / hw : dy[i];
    sn_ref_bn_backward(&b->ref, b->x, b->gamma, b->beta, inner, dx, dgamma,
                       dbeta);
    float *bdy = fix_blocked(f, n, c, hw, dy);
    float *bdgamma = fix_floats(f, cp), *bdbeta = fix_floats(f, cp);
    sn_bn_backward(f->cx, &b->s, b->bx, b->bmean, b->brstd, b->bgamma, b->bbeta,
                   (enum sn_cact)b->ref.act,
                   gated ? fix_blocked(f, n, c, 1, gate) : NULL,
                   gated ? fix_blocked(f, n, c, 1, dpool) : NULL, bdy, bdy,
                   bdgamma, bdbeta);
    fix_expect(f, "bn dx", n, c, hw, bdy, dx);
    fix_expect(f, "bn dgamma", 1, c, 1, bdgamma, dgamma);
    fix_expect(f, "bn dbeta", 1, c, 1, bdbeta, dbeta);
}

static void check_squeeze(struct fix *f, struct bn *b, bool affine)
{
    const int n = b->s.n, c = b->s.c, hw = b->s.hw;
    const long count = (long)n * c * hw;
    double *y = b->x, *pooled = fix_doubles(f, (long)n * c);
    double *dy = fix_normal(f, count, 0, 1), *dx = fix_doubles(f, count);
    double *gate = fix_normal(f, (long)n * c, 0, 1);
    double *dgate = fix_doubles(f, (long)n * c);
    if (affine) {
        y = fix_doubles(f, count);
        sn_ref_bn_apply(&b->ref, b->x, b->mean, b->var, b->gamma, b->beta, y);
    }
    const float *scale = affine ? b->bscale : NULL;
    const enum sn_cact act = (enum sn_cact)b->ref.act;
    float *v = fix_blocked_new(f, n, c, 1), *t = fix_blocked_new(f, n, c, hw);
    sn_ref_pool_forward(n, c, hw, y, pooled);
    sn_pool_forward(f->cx, &b->s, b->bx, scale, b->bshift, act, v);
    fix_expect(f, "pool", n, c, 1, v, pooled);

    sn_ref_pool_backward(n, c, hw, gate, dx);
    sn_pool_backward(f->cx, &b->s, fix_blocked(f, n, c, 1, gate), t);
    fix_expect(f, "pool backward", n, c, hw, t, dx);

    sn_ref_gate_backward(n, c, hw, y, gate, dy, dx, dgate);
    sn_gate_backward(f->cx, &b->s, b->bx, scale, b->bshift, act,
                     fix_blocked(f, n, c, hw, dy), v);
    fix_expect(f, "gate backward", n, c, 1, v, dgate);
}

static void norm_on(struct fix *f)
{
    for (int i = 0; i < 16; i++) {
        int side = fix_between(f, 1, 17);
        struct bn b =
            bn_draw(f, fix_between(f, 2, 8), fix_between(f, 1, 40),
                    side * fix_between(f, 1, 17), (enum sn_cact)(i % 5), 0.5);
        check_bn(f, &b, i / 4 & 1, i / 8 & 1);
        check_bn_backward(f, &b, i / 4 & 1);
        check_squeeze(f, &b, i / 4 & 1);
        fix_reset(f);
    }
}

static void test_norm(void **state)
{
    fix_each_isa(norm_on);
}

/* The statistics keep to the tolerance however large the mean; the backward
 * takes the mean as a float, whose own rounding bounds it. */
static void large_mean_on(struct fix *f)
{
    struct bn b = bn_draw(f, 32, 8, 32 * 32, SN_CACT_NONE, 300);
    double *rstd = fix_doubles(f, b.s.c);
    for (int c = 0; c < b.s.c; c++)
        rstd[c] = 1 / sqrt(b.var[c] + EPS);
    float *plain = fix_floats(f, b.s.c);
    for (int c = 0; c < b.s.c; c++)
        plain[c] = b.brstd[c];
    fix_expect_plain(f, "rstd of a large mean", plain, rstd, b.s.c);
    check_bn(f, &b, false, false);
    fix_reset(f);
    b = bn_draw(f, 32, 8, 32 * 32, SN_CACT_NONE, 30);
    check_bn_backward(f, &b, false);
}

static void test_large_mean(void **state)
{
    fix_each_isa(large_mean_on);
}

static void vectors_on(struct fix *f)
{
    for (int i = 0; i < 8; i++) {
        const int n = fix_between(f, 1, 33), c = fix_between(f, 1, 70);
        const enum sn_cact act = (enum sn_cact)(i % 5);
        const enum sn_ref_act ref = (enum sn_ref_act)act;
        const int cp = sn_compute_padded(f->compute, c);
        double *x = fix_normal(f, (long)n * c, 0, 4);
        double *bias = i < 4 ? fix_normal(f, c, 0, 1) : NULL;
        double *y = fix_doubles(f, (long)n * c);
        double *dy = fix_normal(f, (long)n * c, 0, 1);
        double *dx = fix_doubles(f, (long)n * c), *dbias = fix_doubles(f, c);
        float *bx = fix_blocked(f, n, c, 1, x);
        float *bbias = bias ? fix_blocked(f, 1, c, 1, bias) : NULL;
        float *by = fix_blocked_new(f, n, c, 1);
        float *bdy = fix_blocked(f, n, c, 1, dy), *bdbias = fix_floats(f, cp);
        sn_ref_bias_act_forward(n, c, x, bias, ref, y);
        sn_vec_bias_act(f->cx, n, c, bx, bbias, act, by);
        fix_expect(f, "bias and act", n, c, 1, by, y);
        sn_vec_add(f->cx, (size_t)n * cp, bx, by);
        for (long k = 0; k < (long)n * c; k++)
            y[k] += x[k];
        fix_expect(f, "add", n, c, 1, by, y);
        sn_ref_bias_act_backward(n, c, x, bias, ref, dy, dx, dbias);
        sn_vec_bias_act_backward(f->cx, n, c, bx, bbias, act, bdy, bdy, bdbias);
        fix_expect(f, "bias and act backward", n, c, 1, bdy, dx);
        fix_expect(f, "dbias", 1, c, 1, bdbias, dbias);
        fix_reset(f);
    }
}

static void test_vectors(void **state)
{
    fix_each_isa(vectors_on);
}

static uint32_t hits(int n, int classes, const double *x, const int32_t *labels)
{
    uint32_t correct = 0;
    for (int i = 0; i < n; i++) {
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (x[(long)i * classes + k] > x[(long)i * classes + best])
                best = k;
        correct += best == labels[i];
    }
    return correct;
}

static void loss_on(struct fix *f)
{
    static const float weight[][3] = {
        {0, 1, 0}, {0.1f, 1, 0}, {0.1f, 0.5f, 1.5f}, {0, 0, 1}};
    for (int i = 0; i < 8; i++) {
        const float *w = weight[i % 4];
        const int n = fix_between(f, 1, 32), classes = fix_between(f, 2, 40);
        const struct sn_loss s = {n, classes, w[0], w[1], w[2], 0.25f};
        const struct sn_ref_loss r = {n, classes, w[0], w[1], w[2]};
        const long count = (long)n * classes;
        double *x = fix_normal(f, count, 1, 3), *dx = fix_doubles(f, count);
        double *teacher = w[2] != 0 ? fix_normal(f, count, 0, 2) : NULL;
        int32_t labels[32];
        for (int k = 0; k < n; k++)
            labels[k] = fix_between(f, 0, classes - 1);
        double want = sn_ref_loss(&r, x, labels, teacher, dx), got = -1;
        for (long k = 0; k < count; k++)
            dx[k] *= 0.25;
        float *bdx = fix_blocked_new(f, n, classes, 1);
        uint32_t correct = 99;
        sn_loss_softmax(f->cx, &s, fix_blocked(f, n, classes, 1, x), labels,
                        teacher ? fix_blocked(f, n, classes, 1, teacher) : NULL,
                        bdx, &got, &correct);
        assert_true(fabs(got - want) <= 1e-6 * fabs(want));
        assert_int_equal(correct, hits(n, classes, x, labels));
        fix_expect(f, "dlogits", n, classes, 1, bdx, dx);
        fix_reset(f);
    }
}

static void test_loss(void **state)
{
    fix_each_isa(loss_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_large_mean),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
