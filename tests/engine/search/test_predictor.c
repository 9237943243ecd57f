/* The linear solver solves; the predictor finds a linear truth through noise,
 * finds nothing in pure noise, and never looks at what it is asked to predict
 * out of fold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/cholesky.h"
#include "engine/search/predictor.h"
#include "engine/search/quality.h"

enum { N = 200, FRESH = 500 };

static void test_cholesky(void **state)
{
    /* by hand: x = (1, -2, 3) */
    double a[9] = {4, 0, 0, 2, 5, 0, 1, 3, 6};
    double x[3] = {4 * 1 + 2 * -2 + 1 * 3, 2 * 1 + 5 * -2 + 3 * 3,
                   1 * 1 + 3 * -2 + 6 * 3};
    assert_true(sn_cholesky_solve(a, 3, x));
    assert_true(fabs(x[0] - 1) < 1e-12);
    assert_true(fabs(x[1] + 2) < 1e-12);
    assert_true(fabs(x[2] - 3) < 1e-12);
    double singular[4] = {1, 0, 1, 1}, y[2] = {1, 1};
    assert_false(sn_cholesky_solve(singular, 2, y));
}

static const struct sn_space *space_of_test(void)
{
    return sn_space_find("mbv3-cifar");
}

static void draw(uint64_t step, uint32_t n, struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, step);
    struct sn_limits limits;
    sn_limits_all(space_of_test(), &limits);
    for (uint32_t i = 0; i < n; i++)
        sn_arch_sample(space_of_test(), &limits, &rng, &ret[i]);
}

/* A random linear function of the encoding around 0.8. Owned by the caller. */
static struct sn_predictor *plant(void)
{
    const struct sn_space *space = space_of_test();
    size_t n = 1 + sn_arch_encoding_size(space);
    double *w = malloc(n * sizeof *w);
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, 0);
    struct sn_predictor *p = NULL;
    w[0] = 0.8;
    for (size_t i = 1; i < n; i++)
        w[i] = 0.004 * sn_rng_normal(&rng);
    assert_int_equal(sn_predictor_from(space, w, n, 1, &p, NULL), SN_OK);
    free(w);
    return p;
}

static void test_finds_a_planted_function(void **state)
{
    static struct sn_arch arch[N], fresh[FRESH];
    double y[N], out[N], truth[FRESH], found[FRESH];
    struct sn_predictor *planted = plant(), *p = NULL;
    struct sn_rng rng = sn_rng_make(3, SN_STREAM_TEST, 0);
    draw(0, N, arch);
    draw(1, FRESH, fresh);
    for (int i = 0; i < N; i++)
        y[i] =
            sn_predictor_score(planted, &arch[i]) + 0.003 * sn_rng_normal(&rng);
    assert_int_equal(
        sn_predictor_fit(space_of_test(), arch, y, N, 1, &p, out, NULL), SN_OK);
    for (int i = 0; i < FRESH; i++) {
        truth[i] = sn_predictor_score(planted, &fresh[i]);
        found[i] = sn_predictor_score(p, &fresh[i]);
    }
    assert_true(sn_quality_kendall(truth, found, FRESH) > 0.8);
    assert_true(sn_quality_kendall(y, out, N) > 0.7);
    assert_true(sn_quality_mae(truth, found, FRESH) < 0.005);
    assert_string_equal(sn_predictor_kind(p), "ridge");
    assert_true(sn_predictor_lambda(p) > 0);
    sn_predictor_free(p);
    sn_predictor_free(planted);
}

/* Pure noise: a tau near 0 whose interval covers 0 (90%: 7 times of 10 or
 * more), and not what a model gets that has seen the answers. */
static void test_finds_nothing_in_noise(void **state)
{
    static struct sn_arch arch[N];
    int covers = 0;
    double sum = 0;
    for (uint64_t t = 0; t < 10; t++) {
        double y[N], out[N];
        struct sn_predictor *p = NULL;
        struct sn_quality q;
        struct sn_rng rng = sn_rng_make(4, SN_STREAM_TEST, t);
        draw(10 + t, N, arch);
        for (int i = 0; i < N; i++)
            y[i] = 0.8 + 0.01 * sn_rng_normal(&rng);
        assert_int_equal(
            sn_predictor_fit(space_of_test(), arch, y, N, t, &p, out, NULL),
            SN_OK);
        assert_int_equal(sn_quality_measure(y, out, NULL, N, t, &q, NULL),
                         SN_OK);
        covers += q.tau_lo <= 0 && q.tau_hi >= 0;
        sum += q.tau;
        sn_predictor_free(p);
    }
    assert_true(fabs(sum / 10) < 0.06);
    assert_in_range(covers, 7, 10);
}

/* The sum over active weights is the product with the one-hot vector. */
static void test_score_is_the_dot_product(void **state)
{
    static struct sn_arch arch[N];
    struct sn_predictor *p = plant();
    size_t n = sn_predictor_size(p);
    double *w = malloc(n * sizeof *w);
    float *x = malloc(n * sizeof *x);
    sn_predictor_get(p, w);
    draw(5, N, arch);
    for (int i = 0; i < N; i++) {
        double sum = w[0];
        sn_arch_one_hot(space_of_test(), &arch[i], x);
        for (size_t k = 1; k < n; k++)
            sum += w[k] * (double)x[k - 1];
        assert_true(fabs(sum - sn_predictor_score(p, &arch[i])) < 1e-12);
    }
    free(x);
    free(w);
    sn_predictor_free(p);
}

static void test_deterministic_and_storable(void **state)
{
    static struct sn_arch arch[N];
    double y[N], a_out[N], b_out[N];
    struct sn_predictor *a = NULL, *b = NULL, *copy = NULL;
    struct sn_rng rng = sn_rng_make(6, SN_STREAM_TEST, 0);
    draw(6, N, arch);
    for (int i = 0; i < N; i++)
        y[i] = sn_rng_uniform(&rng);
    const struct sn_space *space = space_of_test();
    assert_int_equal(sn_predictor_fit(space, arch, y, N, 7, &a, a_out, NULL),
                     SN_OK);
    assert_int_equal(sn_predictor_fit(space, arch, y, N, 7, &b, b_out, NULL),
                     SN_OK);
    assert_memory_equal(a_out, b_out, sizeof a_out);
    size_t n = sn_predictor_size(a);
    double *w = malloc(n * sizeof *w);
    sn_predictor_get(a, w);
    assert_int_equal(
        sn_predictor_from(space, w, n, sn_predictor_lambda(a), &copy, NULL),
        SN_OK);
    for (int i = 0; i < N; i++) {
        assert_true(sn_predictor_score(a, &arch[i]) ==
                    sn_predictor_score(b, &arch[i]));
        assert_true(sn_predictor_score(a, &arch[i]) ==
                    sn_predictor_score(copy, &arch[i]));
    }
    sn_predictor_free(b);
    b = NULL;
    assert_int_equal(sn_predictor_from(space, w, n - 1, 1, &b, NULL),
                     SN_ERR_CORRUPT);
    w[3] = NAN;
    assert_int_equal(sn_predictor_from(space, w, n, 1, &b, NULL),
                     SN_ERR_CORRUPT);
    assert_null(b);
    free(w);
    sn_predictor_free(a);
    sn_predictor_free(copy);
    sn_predictor_free(NULL);
}

static void test_refusals(void **state)
{
    static struct sn_arch arch[N];
    double y[N] = {0};
    struct sn_predictor *p = NULL;
    struct sn_error err;
    draw(8, N, arch);
    assert_int_equal(
        sn_predictor_fit(space_of_test(), arch, y, 9, 1, &p, NULL, &err),
        SN_ERR_RANGE);
    y[4] = NAN;
    assert_int_equal(
        sn_predictor_fit(space_of_test(), arch, y, N, 1, &p, NULL, &err),
        SN_ERR_INVALID);
    assert_null(p);
    y[4] = 0; /* all accuracies equal: a constant */
    assert_int_equal(
        sn_predictor_fit(space_of_test(), arch, y, N, 1, &p, NULL, &err),
        SN_OK);
    assert_true(fabs(sn_predictor_score(p, &arch[0])) < 1e-12);
    sn_predictor_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cholesky),
        cmocka_unit_test(test_finds_a_planted_function),
        cmocka_unit_test(test_finds_nothing_in_noise),
        cmocka_unit_test(test_score_is_the_dot_product),
        cmocka_unit_test(test_deterministic_and_storable),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
