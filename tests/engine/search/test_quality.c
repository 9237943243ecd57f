/* Rank statistics have their textbook values; the bootstrap interval covers
 * what it should; the signal is seen where there is one and not elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "engine/rng.h"
#include "engine/search/quality.h"

enum { N = 200 };

static void assert_near(double value, double wanted, double by)
{
    if (!(fabs(value - wanted) <= by))
        fail_msg("%.9g is not %.9g", value, wanted);
}

static double spearman(const double *a, const double *b, uint32_t n)
{
    double rho = NAN;
    assert_int_equal(sn_quality_spearman(a, b, n, &rho, NULL), SN_OK);
    return rho;
}

static void test_known_values(void **state)
{
    /* by hand: 10 pairs, 8 concordant, 2 discordant; sum of d^2 = 4 */
    static const double a[] = {1, 2, 3, 4, 5}, b[] = {2, 1, 4, 3, 5};
    assert_near(sn_quality_kendall(a, b, 5), 0.6, 1e-12);
    assert_near(spearman(a, b, 5), 1 - 6 * 4.0 / (5 * 24), 1e-12);
    assert_near(sn_quality_mae(a, b, 5), 0.8, 1e-12);
    /* ties: 6 pairs; a ties (1,2), b ties (3,4); of the 4 left all agree:
     * 4 / sqrt(5 x 5); ranks 1.5 1.5 3 4 and 1 2 3.5 3.5 */
    static const double c[] = {1, 1, 2, 3}, d[] = {1, 2, 3, 3};
    assert_near(sn_quality_kendall(c, d, 4), 0.8, 1e-12);
    assert_near(spearman(c, d, 4), 4.0 / 4.5, 1e-12);
    static const double up[] = {1, 2, 3}, down[] = {3, 2, 1},
                        flat[] = {2, 2, 2};
    assert_near(sn_quality_kendall(up, up, 3), 1, 0);
    assert_near(sn_quality_kendall(up, down, 3), -1, 0);
    assert_near(sn_quality_kendall(up, flat, 3), 0, 0);
    assert_near(spearman(up, flat, 3), 0, 0);
    assert_near(sn_quality_kendall(up, up, 1), 0, 0);
}

static void test_within_bands(void **state)
{
    /* between the bands the order agrees, inside each it is turned round */
    static const double a[] = {1, 2, 11, 12}, b[] = {2, 1, 12, 11};
    static const uint32_t band[] = {0, 0, 7, 7};
    assert_near(sn_quality_kendall(a, b, 4), 2.0 / 6, 1e-12);
    assert_near(sn_quality_kendall_within(a, b, band, 4), -1, 0);
}

static void test_top_k(void **state)
{
    static const double measured[] = {5, 4, 3, 2, 1};
    static const double predicted[] = {1, 5, 4, 2, 3};
    assert_near(sn_quality_top_k(measured, predicted, 5, 1), 0, 0);
    assert_near(sn_quality_top_k(measured, predicted, 5, 2), 0.5, 0);
    assert_near(sn_quality_top_k(measured, predicted, 5, 3), 2.0 / 3, 1e-12);
    assert_near(sn_quality_top_k(measured, predicted, 5, 9), 1, 0);
}

static enum sn_err measure(const double *a, const double *b,
                           const uint32_t *band, uint32_t n, uint64_t seed,
                           struct sn_quality *ret)
{
    struct sn_quality_data data = {
        .measured = a, .predicted = b, .band = band, .n = n, .seed = seed};
    return sn_quality_measure(&data, ret, NULL);
}

/* truth and a prediction that is `share` of it, the rest noise */
static void make_pairs(uint64_t step, double share, double *a, double *b)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, step);
    for (int i = 0; i < N; i++) {
        a[i] = sn_rng_normal(&rng);
        b[i] = share * a[i] + sqrt(1 - share * share) * sn_rng_normal(&rng);
    }
}

/* For normal pairs tau = 2 asin(rho) / pi. A 90% interval covers it nine times
 * in ten: in 20 trials at least 15 (a chance of 1% to be below). */
static void test_interval_covers(void **state)
{
    static const double shares[] = {0, 0.6};
    for (int s = 0; s < 2; s++) {
        int covers = 0;
        double wanted = 2 * asin(shares[s]) / 3.141592653589793;
        for (uint64_t t = 0; t < 20; t++) {
            double a[N], b[N];
            struct sn_quality q;
            make_pairs(t, shares[s], a, b);
            assert_int_equal(measure(a, b, NULL, N / 2, t, &q), SN_OK);
            assert_true(q.tau.lo < q.tau.value && q.tau.value < q.tau.hi);
            assert_true(q.tau.value == q.tau_within.value);
            covers += q.tau.lo <= wanted && wanted <= q.tau.hi;
        }
        assert_in_range(covers, 15, 20);
    }
}

static void test_measure_is_a_function_of_the_seed(void **state)
{
    double a[N], b[N];
    uint32_t band[N];
    struct sn_quality p, q, r;
    make_pairs(3, 0.5, a, b);
    for (uint32_t i = 0; i < N; i++)
        band[i] = i % 4;
    assert_int_equal(measure(a, b, band, N, 8, &p), SN_OK);
    assert_int_equal(measure(a, b, band, N, 8, &q), SN_OK);
    assert_int_equal(measure(a, b, band, N, 9, &r), SN_OK);
    assert_true(p.tau.lo == q.tau.lo && p.tau_within.hi == q.tau_within.hi);
    assert_true(p.tau.value == r.tau.value && p.tau.lo != r.tau.lo);
    assert_near(p.spearman.value, spearman(a, b, N), 0);
    assert_near(p.tau_within.value, sn_quality_kendall_within(a, b, band, N),
                0);
    assert_int_equal(measure(a, b, NULL, 0, 8, &p), SN_OK);
    assert_true(p.tau.value == 0 && p.tau.lo == 0 && p.mae.value == 0);
}

/* A band's figures are those of its items alone, and intervals of the right
 * width hold nine of ten. */
static void test_a_band_and_its_coverage(void **state)
{
    double a[N], b[N], sd[N], some_a[N], some_b[N];
    uint32_t band[N], n = 0;
    struct sn_quality one, same;
    make_pairs(6, 0.8, a, b);
    for (uint32_t i = 0; i < N; i++) {
        band[i] = i % 3;
        sd[i] = sqrt(2 * (1 - 0.8)); /* of a - b */
        if (band[i] == 1) {
            some_a[n] = a[i];
            some_b[n++] = b[i];
        }
    }
    struct sn_quality_data data = {
        .measured = a, .predicted = b, .deviation = sd, .band = band, .n = N};
    assert_int_equal(sn_quality_of_band(&data, 1, &one, NULL), SN_OK);
    assert_int_equal(measure(some_a, some_b, NULL, n, 0, &same), SN_OK);
    assert_int_equal(one.n, n);
    assert_near(one.tau.value, same.tau.value, 0);
    assert_near(one.tau.lo, same.tau.lo, 0);
    assert_near(one.mae.hi, same.mae.hi, 0);
    assert_near(one.top_recall.value, same.top_recall.value, 0);
    assert_int_equal(sn_quality_measure(&data, &one, NULL), SN_OK);
    assert_near(one.coverage.value, 0.9, 0.06);
    assert_true(one.coverage.lo < 0.9 && one.coverage.hi > 0.85);
    assert_int_equal(sn_quality_of_band(&data, 7, &one, NULL), SN_OK);
    assert_int_equal(one.n, 0);
}

static void test_compare(void **state)
{
    double a[N], good[N], bad[N], gain, error;
    make_pairs(5, 0.9, a, good);
    make_pairs(5, 0.3, a, bad);
    assert_int_equal(
        sn_quality_compare(a, good, bad, NULL, N, 1, &gain, &error, NULL),
        SN_OK);
    assert_true(gain > 5 * error && error > 0.01);
    assert_int_equal(
        sn_quality_compare(a, good, good, NULL, N, 1, &gain, &error, NULL),
        SN_OK);
    assert_true(gain == 0 && error == 0);
}

/* ---- signal ---- */

enum { IMAGES = 1500 };

static uint32_t binomial(struct sn_rng *rng, uint32_t n, double p)
{
    uint32_t hits = 0;
    for (uint32_t i = 0; i < n; i++)
        hits += sn_rng_uniform(rng) < p;
    return hits;
}

/* Accuracies of mean 0.8 + 0.05 x band and of this SD inside a band. */
static void make_halves(uint64_t step, double sd, double band_step,
                        struct sn_halves *halves, uint32_t *band)
{
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, step);
    for (uint32_t i = 0; i < N; i++) {
        band[i] = i % 3;
        double p = 0.8 + band_step * band[i] + sd * sn_rng_normal(&rng);
        for (int h = 0; h < 2; h++) {
            halves[i].images[h] = IMAGES;
            halves[i].correct[h] = binomial(&rng, IMAGES, p);
        }
    }
}

static void test_signal_where_there_is_one(void **state)
{
    struct sn_halves halves[N];
    uint32_t band[N];
    struct sn_signal s;
    make_halves(0, 0.015, 0, halves, band);
    assert_int_equal(sn_signal_measure(halves, band, N, &s, NULL), SN_OK);
    double se = sqrt(0.8 * 0.2 / (2 * IMAGES));
    assert_true(s.overall.real && s.within.real);
    assert_near(s.within.spread, 0.015, 0.0025);
    assert_near(s.within.standard_error, se, 0.0012);
    double wanted = 0.015 * 0.015 / (0.015 * 0.015 + se * se);
    assert_near(s.within.reliability, wanted, 0.08);
}

/* Bands that differ, and nothing inside them: overall yes, within no. */
static void test_signal_between_bands_alone(void **state)
{
    int within = 0, overall = 0;
    for (uint64_t t = 0; t < 10; t++) {
        struct sn_halves halves[N];
        uint32_t band[N];
        struct sn_signal s;
        make_halves(10 + t, 0, 0.03, halves, band);
        assert_int_equal(sn_signal_measure(halves, band, N, &s, NULL), SN_OK);
        overall += s.overall.real;
        within += s.within.real;
        assert_true(s.within.reliability < 0.35);
        assert_true(s.overall.reliability > 0.8);
    }
    assert_int_equal(overall, 10);
    assert_in_range(within, 0, 3); /* one in twenty by chance */
}

static void test_signal_of_nothing(void **state)
{
    struct sn_halves halves[N];
    uint32_t band[N];
    struct sn_signal s;
    struct sn_error err;
    make_halves(30, 0.01, 0, halves, band);
    assert_int_equal(sn_signal_measure(halves, band, 3, &s, &err),
                     SN_ERR_RANGE);
    halves[5].images[1] = 0;
    assert_int_equal(sn_signal_measure(halves, band, N, &s, &err),
                     SN_ERR_INVALID);
    for (uint32_t i = 0; i < N; i++)
        halves[i] = (struct sn_halves){{700, 700}, {1000, 1000}};
    assert_int_equal(sn_signal_measure(halves, NULL, N, &s, &err), SN_OK);
    assert_false(s.overall.real || s.within.real);
    assert_true(s.within.spread == 0 && s.within.reliability == 0);
    for (uint32_t i = 0; i < N; i++)
        band[i] = i; /* a band each: nothing to compare */
    make_halves(31, 0.01, 0, halves, (uint32_t[N]){0});
    assert_int_equal(sn_signal_measure(halves, band, N, &s, &err), SN_OK);
    assert_true(s.overall.real && !s.within.real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_within_bands),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_interval_covers),
        cmocka_unit_test(test_measure_is_a_function_of_the_seed),
        cmocka_unit_test(test_a_band_and_its_coverage),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_signal_where_there_is_one),
        cmocka_unit_test(test_signal_between_bands_alone),
        cmocka_unit_test(test_signal_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
