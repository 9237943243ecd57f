/* Block tables: a table made here by formula gives the sums, the correction and
 * the interval that a calculation by hand gives; rows that do not fit are
 * refused; a measured table covers its space, orders its ends, and lives
 * through its rows. No absolute time is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/table.h"

enum { MAX_ROWS = 256 };

static const struct sn_space *space;
static struct sn_table_row row[MAX_ROWS];
static size_t n_rows;

/* One measured table for all tests here: its keys are real, and the tests put
 * numbers of their own beside them. */
static struct sn_compute *compute;
static struct sn_cx *cx;
static struct sn_table *measured;

static int group_setup(void **state)
{
    const struct sn_table_budget budget = {.seconds = 0.5, .architectures = 6};
    const struct sn_table_row *rows;
    struct sn_error err;
    space = sn_space_find("mbv3-tiny");
    if (sn_compute_new(NULL, &compute, &err) != SN_OK ||
        sn_cx_new(compute, &cx, &err) != SN_OK ||
        sn_table_measure(cx, space, 1, 10, 9, &budget, NULL, &measured, &err) !=
            SN_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    n_rows = sn_table_rows(measured, &rows);
    memcpy(row, rows, n_rows * sizeof(*row));
    return n_rows > MAX_ROWS;
}

static int group_teardown(void **state)
{
    sn_table_free(measured);
    sn_cx_free(cx);
    sn_compute_free(compute);
    return 0;
}

static bool is_arch(const struct sn_table_row *r)
{
    return strncmp(r->key, "arch/", 5) == 0;
}

static void test_measured(void **state)
{
    struct sn_arch largest, smallest;
    struct sn_estimate big, small;
    struct sn_table_fit fit;
    size_t kind[4] = {0};
    for (size_t i = 0; i < n_rows; i++) {
        assert_true(row[i].median_ns > 0 && row[i].samples > 0);
        kind[0] += strncmp(row[i].key, "stem/", 5) == 0;
        kind[1] += strncmp(row[i].key, "block/", 6) == 0;
        kind[2] += strncmp(row[i].key, "head/", 5) == 0;
        kind[3] += is_arch(&row[i]);
        assert_true(i == 0 || strcmp(row[i - 1].key, row[i].key) < 0);
    }
    assert_int_equal(kind[0], 1);
    assert_int_equal(kind[2], 1);
    assert_int_equal(kind[3], 6);
    /* the fixed one; five stages of 2 kernels x 3 expansions, in the first
     * block and in those after it; in stage one, 16 to 16, both are alike where
     * the stride is */
    assert_in_range(kind[1], 31, 61);
    sn_arch_largest(space, &largest);
    sn_arch_smallest(space, &smallest);
    sn_table_estimate(measured, &largest, &big);
    sn_table_estimate(measured, &smallest, &small);
    assert_true(0 < small.ns && small.ns < big.ns);
    assert_true(small.low_ns <= small.ns && small.ns <= small.high_ns);
    sn_table_fit(measured, &fit);
    assert_int_equal(fit.architectures, 6);
    assert_true(fit.relative_error >= 0 && isfinite(fit.intercept_ns));
}

static void test_round_trip(void **state)
{
    struct sn_table *again = NULL;
    struct sn_table_row shuffled[MAX_ROWS];
    struct sn_error err;
    const struct sn_table_row *rows;
    struct sn_limits all;
    /* rows may come in any order */
    for (size_t i = 0; i < n_rows; i++)
        shuffled[i] = row[n_rows - 1 - i];
    assert_int_equal(
        sn_table_from_rows(space, 1, 10, shuffled, n_rows, &again, &err),
        SN_OK);
    assert_int_equal(sn_table_rows(again, &rows), n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        assert_string_equal(rows[i].key, row[i].key);
        assert_true(rows[i].median_ns == row[i].median_ns);
        assert_true(rows[i].spread_ns == row[i].spread_ns);
        assert_true(rows[i].samples == row[i].samples);
    }
    sn_limits_all(space, &all);
    for (uint64_t i = 0; i < 50; i++) {
        struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, i);
        struct sn_arch arch;
        struct sn_estimate a, b;
        sn_arch_sample(space, &all, &rng, &arch);
        sn_table_estimate(measured, &arch, &a);
        sn_table_estimate(again, &arch, &b);
        assert_true(a.ns == b.ns && a.low_ns == b.low_ns);
        assert_true(isfinite(a.ns));
    }
    sn_table_free(again);
}

/* ---- numbers made up here ---- */

/* Every part costs 100; whole architectures cost 500 + 2 * their sum, off by
 * the given share, up and down in turn. Returns how many rows. */
static size_t made_up(struct sn_table_row *ret, bool with_archs, double off)
{
    size_t n = 0, turn = 0;
    for (size_t i = 0; i < n_rows; i++) {
        struct sn_arch arch;
        ret[n] = row[i];
        ret[n].median_ns = 100;
        if (is_arch(&row[i])) {
            double parts = 3; /* stem, fixed block, head */
            if (!with_archs)
                continue;
            assert_int_equal(sn_arch_decode(space, row[i].key + 5, &arch, NULL),
                             SN_OK);
            for (int s = 0; s < space->n_stages; s++)
                parts += arch.depth[s];
            ret[n].median_ns =
                (500 + 2 * 100 * parts) * (1 + (turn++ % 2 ? off : -off));
        }
        n++;
    }
    return n;
}

static void test_sum_and_correction(void **state)
{
    struct sn_table_row made[MAX_ROWS];
    struct sn_table *t = NULL;
    struct sn_arch arch;
    struct sn_estimate e;
    struct sn_table_fit fit;
    struct sn_error err;
    double parts = 3;
    sn_arch_largest(space, &arch);
    for (int s = 0; s < space->n_stages; s++)
        parts += arch.depth[s];

    size_t n = made_up(made, false, 0);
    assert_int_equal(sn_table_from_rows(space, 1, 10, made, n, &t, &err),
                     SN_OK);
    sn_table_estimate(t, &arch, &e);
    assert_true(fabs(e.ns - 100 * parts) < 1e-6);
    sn_table_fit(t, &fit);
    assert_int_equal(fit.architectures, 0);
    sn_table_free(t);

    n = made_up(made, true, 0);
    assert_int_equal(sn_table_from_rows(space, 1, 10, made, n, &t, &err),
                     SN_OK);
    sn_table_fit(t, &fit);
    assert_true(fabs(fit.intercept_ns - 500) < 1e-3);
    assert_true(fabs(fit.slope - 2) < 1e-6 && fit.relative_error < 1e-6);
    sn_table_estimate(t, &arch, &e);
    assert_true(fabs(e.ns - (500 + 200 * parts)) < 1e-3);
    sn_table_free(t);

    n = made_up(made, true, 0.1);
    assert_int_equal(sn_table_from_rows(space, 1, 10, made, n, &t, &err),
                     SN_OK);
    sn_table_fit(t, &fit);
    assert_true(fit.relative_error > 0.05 && fit.relative_error < 0.5);
    sn_table_estimate(t, &arch, &e);
    assert_true(fabs(e.high_ns / e.ns - 1 - 1.96 * fit.relative_error) < 1e-9);
    sn_table_free(t);
}

static enum sn_err refuse(const struct sn_table_row *rows, size_t n,
                          const char *message)
{
    struct sn_table *t = NULL;
    struct sn_error err = {0};
    enum sn_err code = sn_table_from_rows(space, 1, 10, rows, n, &t, &err);
    assert_null(t);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
    return code;
}

static void test_rows_that_do_not_fit(void **state)
{
    struct sn_table_row bad[MAX_ROWS + 1];
    struct sn_table *t = NULL;
    struct sn_error err;
    static const double numbers[] = {0, -1, NAN, INFINITY};
    memcpy(bad, row, n_rows * sizeof(*row));
    for (size_t i = 0; i < 4; i++) {
        bad[4] = row[4];
        bad[4].median_ns = numbers[i];
        assert_int_equal(refuse(bad, n_rows, "no latency"), SN_ERR_INVALID);
    }
    bad[4] = row[5];
    assert_int_equal(refuse(bad, n_rows, "twice"), SN_ERR_INVALID);
    bad[4] = row[4];
    bad[n_rows] = row[4];
    snprintf(bad[n_rows].key, sizeof(bad[n_rows].key), "block/of/others");
    assert_int_equal(refuse(bad, n_rows + 1, "another space"), SN_ERR_INVALID);
    snprintf(bad[n_rows].key, sizeof(bad[n_rows].key), "arch/r28.k9.e9");
    assert_int_equal(refuse(bad, n_rows + 1, "no architecture"),
                     SN_ERR_INVALID);
    /* the last row is the stem's, which every network needs */
    assert_int_equal(refuse(bad, n_rows - 1, "no latency of stem"),
                     SN_ERR_NOTFOUND);
    assert_int_equal(refuse(bad, 0, "no latency of"), SN_ERR_NOTFOUND);
    /* another head: as many classes as there are */
    assert_int_equal(sn_table_from_rows(space, 1, 11, row, n_rows, &t, &err),
                     SN_ERR_NOTFOUND);
    assert_null(t);
}

static void test_stopping(void **state)
{
    atomic_bool stop = true;
    struct sn_table *t = NULL;
    struct sn_error err;
    assert_int_equal(
        sn_table_measure(cx, space, 1, 10, 9, NULL, &stop, &t, &err),
        SN_ERR_STOPPED);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measured),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sum_and_correction),
        cmocka_unit_test(test_rows_that_do_not_fit),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
