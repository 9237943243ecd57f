/* The alpha-divergences of distillation: value and gradient of the larger one
 * by their definitions, the clipping of importance weights by numbers worked
 * out by hand, and labels beside it. (Cross-entropies are in test_norm.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "engine/compute/compute.h"
#include "engine/rng.h"

enum { CLASSES = 7, IMAGES = 40, MOST = 64 };

static struct sn_compute *compute;
static struct sn_cx *cx;

static void softmax(const double *x, int n, double *ret)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += ret[i] = exp(x[i]);
    for (int i = 0; i < n; i++)
        ret[i] /= sum;
}

/* 1 / (alpha (alpha - 1)) sum q ((p/q)^alpha - 1), with its limit at alpha 1.
 */
static double divergence(int alpha, const double *teacher, const double *x)
{
    double p[CLASSES], q[CLASSES], sum = 0;
    softmax(teacher, CLASSES, p);
    softmax(x, CLASSES, q);
    for (int i = 0; i < CLASSES; i++)
        sum += alpha == 1 ? p[i] * log(p[i] / q[i])
                          : 0.5 * q[i] * (q[i] / p[i] - 1);
    return sum;
}

static double larger(const double *teacher, const double *x)
{
    return fmax(divergence(1, teacher, x), divergence(-1, teacher, x));
}

/* One image's loss and gradient by the product. */
static double loss_of(const struct sn_loss *s, const double *teacher,
                      const double *x, double *ret_dx)
{
    _Alignas(64) float bx[MOST] = {0}, bt[MOST] = {0}, bdx[MOST];
    double loss = -1;
    uint32_t correct;
    int32_t label = 2;
    for (int i = 0; i < s->classes; i++) {
        bx[i] = (float)x[i];
        bt[i] = (float)teacher[i];
    }
    sn_loss_softmax(cx, s, bx, &label, bt, bdx, &loss, &correct);
    for (int i = 0; i < s->classes; i++)
        ret_dx[i] = (double)bdx[i];
    return loss;
}

static void draw(double *x, double deviation, uint64_t image, uint64_t stream)
{
    struct sn_rng rng = sn_rng_make(stream, SN_STREAM_TEST, image);
    for (int i = 0; i < CLASSES; i++)
        x[i] = (double)(float)(deviation * (double)sn_rng_normal(&rng));
}

static void larger_divergence_and_its_gradient(void **state)
{
    const struct sn_loss s = {.n = 1,
                              .classes = CLASSES,
                              .kd_weight = 1.5f,
                              .grad_scale = 0.5f,
                              .alpha_clip = 1e6f};
    int first = 0;
    for (uint64_t image = 0; image < IMAGES; image++) {
        double x[CLASSES], teacher[CLASSES], dx[CLASSES];
        draw(x, 1, image, 1);
        draw(teacher, 1, image, 2);
        double want = larger(teacher, x);
        first += divergence(1, teacher, x) == want;
        double got = loss_of(&s, teacher, x, dx);
        assert_true(fabs(got - 1.5 * want) < 1e-5 * (1 + want));
        for (int i = 0; i < CLASSES; i++) {
            const double h = 1e-5, at = x[i];
            x[i] = at + h;
            double up = larger(teacher, x);
            x[i] = at - h;
            double down = larger(teacher, x);
            x[i] = at;
            double slope = 1.5 * 0.5 * (up - down) / (2 * h);
            assert_true(fabs(dx[i] - slope) < 1e-4 * (1 + fabs(slope)));
        }
    }
    assert_true(first > 3 && first < IMAGES - 3); /* both were met */
}

/* Two classes, p = (0.9, 0.1), q = (0.1, 0.9): 1/r = (1/9, 9), the latter
 * clipped to 5. alpha -1: 0.5 * (0.1 (1/9 - 1) + 0.9 (5 - 1)) = 1.75556;
 * alpha 1: 0.8 log 9 = 1.75778, the larger. With a clip of 5.1 the first is
 * 1.80056 and larger: w = q (1/2 - 1/r) = (0.0388889, -4.14), their sum
 * -4.1011111, dx = q sum(w) - w = (-0.449, 0.449). */
static void importance_is_clipped(void **state)
{
    const double x[] = {0, log(9.0)}, teacher[] = {log(9.0), 0};
    struct sn_loss s = {
        .n = 1, .classes = 2, .kd_weight = 1, .grad_scale = 1, .alpha_clip = 5};
    double dx[2];
    assert_true(fabs(loss_of(&s, teacher, x, dx) - 1.757780) < 1e-5);
    assert_true(fabs(dx[0] + 0.8) < 1e-5 && fabs(dx[1] - 0.8) < 1e-5);
    s.alpha_clip = 5.1f;
    assert_true(fabs(loss_of(&s, teacher, x, dx) - 1.800556) < 1e-5);
    assert_true(fabs(dx[0] + 0.449) < 1e-5 && fabs(dx[1] - 0.449) < 1e-5);
}

static void labels_add_to_it(void **state)
{
    struct sn_loss s = {.n = 1, .classes = CLASSES, .grad_scale = 1};
    double x[CLASSES], teacher[CLASSES], both[CLASSES], own[CLASSES],
        other[CLASSES];
    draw(x, 1, 0, 1);
    draw(teacher, 1, 0, 2);
    s.label_weight = 1;
    double label = loss_of(&s, teacher, x, own);
    s.kd_weight = 1;
    s.alpha_clip = 5;
    double sum = loss_of(&s, teacher, x, both);
    s.label_weight = 0;
    double alpha = loss_of(&s, teacher, x, other);
    assert_true(fabs(sum - label - alpha) < 1e-9);
    for (int i = 0; i < CLASSES; i++)
        assert_true(fabs(both[i] - own[i] - other[i]) < 1e-6);
}

static int open_compute(void **state)
{
    struct sn_error err = {0};
    return sn_compute_new(NULL, &compute, &err) != SN_OK ||
           sn_cx_new(compute, &cx, &err) != SN_OK;
}

static int close_compute(void **state)
{
    sn_cx_free(cx);
    sn_compute_free(compute);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(larger_divergence_and_its_gradient),
        cmocka_unit_test(importance_is_clipped),
        cmocka_unit_test(labels_add_to_it),
    };
    return cmocka_run_group_tests(tests, open_compute, close_compute);
}
