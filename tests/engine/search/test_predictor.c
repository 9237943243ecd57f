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

/* Fits ridge alone. */
static enum sn_err fit(const struct sn_arch *arch, const double *y, uint32_t n,
                       uint64_t seed, struct sn_predictor **ret, double *out,
                       struct sn_error *err)
{
    struct sn_predictor_params params = {.space = space_of_test(),
                                         .arch = arch,
                                         .accuracy = y,
                                         .n = n,
                                         .seed = seed,
                                         .choice = SN_PREDICT_RIDGE};
    return sn_predictor_fit(&params, ret, out, NULL, NULL, err);
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
    size_t n = sn_predictor_numbers(space, SN_PREDICTOR_RIDGE);
    double *w = malloc(n * sizeof *w);
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, 0);
    struct sn_predictor *p = NULL;
    w[0] = 0.8;
    for (size_t i = 1; i < n; i++)
        w[i] = 0.004 * sn_rng_normal(&rng);
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n, &p, NULL), SN_OK);
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
    assert_int_equal(fit(arch, y, N, 1, &p, out, NULL), SN_OK);
    for (int i = 0; i < FRESH; i++) {
        truth[i] = sn_predictor_score(planted, &fresh[i]);
        found[i] = sn_predictor_score(p, &fresh[i]);
    }
    assert_true(sn_quality_kendall(truth, found, FRESH) > 0.8);
    assert_true(sn_quality_kendall(y, out, N) > 0.7);
    assert_true(sn_quality_mae(truth, found, FRESH) < 0.005);
    assert_int_equal(sn_predictor_kind(p), SN_PREDICTOR_RIDGE);
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
        assert_int_equal(fit(arch, y, N, t, &p, out, NULL), SN_OK);
        assert_int_equal(
            sn_quality_measure(
                &(struct sn_quality_data){
                    .measured = y, .predicted = out, .n = N, .seed = t},
                &q, NULL),
            SN_OK);
        covers += q.tau.lo <= 0 && q.tau.hi >= 0;
        sum += q.tau.value;
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
        for (size_t k = 1; k < n - 1; k++)
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
    assert_int_equal(fit(arch, y, N, 7, &a, a_out, NULL), SN_OK);
    assert_int_equal(fit(arch, y, N, 7, &b, b_out, NULL), SN_OK);
    assert_memory_equal(a_out, b_out, sizeof a_out);
    size_t n = sn_predictor_size(a);
    double *w = malloc(n * sizeof *w);
    sn_predictor_get(a, w);
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n, &copy, NULL), SN_OK);
    for (int i = 0; i < N; i++) {
        assert_true(sn_predictor_score(a, &arch[i]) ==
                    sn_predictor_score(b, &arch[i]));
        assert_true(sn_predictor_score(a, &arch[i]) ==
                    sn_predictor_score(copy, &arch[i]));
    }
    sn_predictor_free(b);
    b = NULL;
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n - 1, &b, NULL),
        SN_ERR_CORRUPT);
    w[3] = NAN;
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n, &b, NULL),
        SN_ERR_CORRUPT);
    assert_null(b);
    free(w);
    sn_predictor_free(a);
    sn_predictor_free(copy);
    sn_predictor_free(NULL);
}

/* ---- the ensemble and the choice ---- */

/* The planted function bent: it flattens where it is high. */
static double bent(const struct sn_predictor *planted,
                   const struct sn_arch *arch)
{
    double x = (sn_predictor_score(planted, arch) - 0.8) / 0.013;
    return 0.8 - 0.02 * exp(-x);
}

struct trial {
    struct sn_arch arch[N];
    double y[N], out[N], sd[N];
    struct sn_predictor *planted;
    struct sn_predictor_params params;
};

static struct trial *trial_new(bool bends, double noise)
{
    struct trial *t = calloc(1, sizeof *t);
    struct sn_rng rng = sn_rng_make(9, SN_STREAM_TEST, 0);
    assert_non_null(t);
    t->planted = plant();
    draw(0, N, t->arch);
    for (int i = 0; i < N; i++)
        t->y[i] = (bends ? bent(t->planted, &t->arch[i])
                         : sn_predictor_score(t->planted, &t->arch[i])) +
                  noise * sn_rng_normal(&rng);
    t->params = (struct sn_predictor_params){.space = space_of_test(),
                                             .arch = t->arch,
                                             .accuracy = t->y,
                                             .n = N,
                                             .seed = 1};
    return t;
}

static void trial_free(struct trial *t)
{
    sn_predictor_free(t->planted);
    free(t);
}

/* Each kind wins where it fits: ridge a linear truth, the ensemble a bent one;
 * asked for by name, no other enters. */
static void test_the_better_kind_is_used(void **state)
{
    for (int bends = 0; bends < 2; bends++) {
        struct trial *t = trial_new(bends, 0.001);
        struct sn_predictor *p = NULL;
        struct sn_contest c;
        assert_int_equal(
            sn_predictor_fit(&t->params, &p, t->out, t->sd, &c, NULL), SN_OK);
        assert_int_equal(c.used, bends ? SN_PREDICTOR_MLP : SN_PREDICTOR_RIDGE);
        assert_int_equal(sn_predictor_kind(p), c.used);
        struct sn_quality_data data = {
            .measured = t->y, .predicted = t->out, .deviation = t->sd, .n = N};
        struct sn_quality q;
        assert_int_equal(sn_quality_measure(&data, &q, NULL), SN_OK);
        assert_true(q.tau.value == c.tau[c.used]);
        assert_true(q.coverage.value > 0.82 && q.coverage.value < 0.97);
        sn_predictor_free(p);
        for (int k = 0; k < SN_PREDICTOR_KINDS; k++) {
            t->params.choice = SN_PREDICT_ONE + k;
            assert_int_equal(
                sn_predictor_fit(&t->params, &p, NULL, NULL, &c, NULL), SN_OK);
            assert_int_equal(sn_predictor_kind(p), k);
            assert_true(c.entered[k] && !c.entered[!k]);
            sn_predictor_free(p);
        }
        trial_free(t);
    }
}

/* The ensemble repeats to the bit, also through its numbers. */
static void test_ensemble_repeats(void **state)
{
    struct trial *t = trial_new(true, 0.001);
    struct sn_predictor *a = NULL, *b = NULL, *copy = NULL;
    double again[N];
    t->params.choice = SN_PREDICT_MLP;
    assert_int_equal(
        sn_predictor_fit(&t->params, &a, t->out, t->sd, NULL, NULL), SN_OK);
    assert_int_equal(sn_predictor_fit(&t->params, &b, again, NULL, NULL, NULL),
                     SN_OK);
    assert_memory_equal(again, t->out, sizeof again);
    size_t n = sn_predictor_size(a);
    double *w = malloc(n * sizeof *w);
    sn_predictor_get(a, w);
    assert_int_equal(
        sn_predictor_from(space_of_test(), SN_PREDICTOR_MLP, w, n, &copy, NULL),
        SN_OK);
    for (int i = 0; i < N; i++) {
        double score = sn_predictor_score(a, &t->arch[i]);
        assert_true(score == sn_predictor_score(b, &t->arch[i]));
        assert_true(score == sn_predictor_score(copy, &t->arch[i]));
        assert_true(t->sd[i] > 0);
    }
    sn_predictor_free(copy);
    copy = NULL;
    w[7] = INFINITY;
    assert_int_equal(
        sn_predictor_from(space_of_test(), SN_PREDICTOR_MLP, w, n, &copy, NULL),
        SN_ERR_CORRUPT);
    assert_int_equal(sn_predictor_from(space_of_test(), SN_PREDICTOR_RIDGE, w,
                                       n, &copy, NULL),
                     SN_ERR_CORRUPT);
    assert_null(copy);
    free(w);
    sn_predictor_free(a);
    sn_predictor_free(b);
    trial_free(t);
}

static void test_refusals(void **state)
{
    static struct sn_arch arch[N];
    double y[N] = {0};
    struct sn_predictor *p = NULL;
    struct sn_error err;
    draw(8, N, arch);
    assert_int_equal(fit(arch, y, 9, 1, &p, NULL, &err), SN_ERR_RANGE);
    y[4] = NAN;
    assert_int_equal(fit(arch, y, N, 1, &p, NULL, &err), SN_ERR_INVALID);
    assert_null(p);
    y[4] = 0; /* all accuracies equal: a constant */
    assert_int_equal(fit(arch, y, N, 1, &p, NULL, &err), SN_OK);
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
        cmocka_unit_test(test_the_better_kind_is_used),
        cmocka_unit_test(test_ensemble_repeats),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
