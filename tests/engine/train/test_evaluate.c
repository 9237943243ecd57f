/* Evaluation: the same counts every time and with any number of workers; halves
 * and ranges add up to the whole; ranges beyond a split are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/train/evaluate.h"
#include "tests/engine/train/fixture.h"

enum { TRAIN = 240, HOLDOUT = 101, TEST = 24, ARCHS = 5 };

static struct sn_small_set set;
static struct sn_compute *compute;
static struct sn_view *view;
static struct sn_supernet *net;
static struct sn_arch arch[ARCHS];

static void ok(enum sn_err rc, const struct sn_error *err)
{
    if (rc != SN_OK)
        fail_msg("%s", err->message);
}

static void evaluate(int workers, const struct sn_evaluate_settings *s,
                     struct sn_evaluate_result *ret)
{
    struct sn_error e = {0};
    struct sn_pool *pool = NULL;
    struct sn_evaluator *evaluator = NULL;
    ok(sn_pool_new(compute, workers, &pool, &e), &e);
    ok(sn_evaluator_new(compute, pool, net, view, 7, &evaluator, &e), &e);
    ok(sn_evaluate(evaluator, s, arch, ARCHS, ret, &e), &e);
    sn_evaluator_free(evaluator);
    sn_pool_free(pool);
}

static void assert_same(const struct sn_evaluate_result *a,
                        const struct sn_evaluate_result *b)
{
    for (int i = 0; i < ARCHS; i++) {
        assert_int_equal(a[i].images, b[i].images);
        assert_int_equal(a[i].correct, b[i].correct);
        assert_int_equal(a[i].half_correct[0], b[i].half_correct[0]);
        assert_int_equal(a[i].half_correct[1], b[i].half_correct[1]);
        assert_true(!(a[i].macs < b[i].macs) && !(a[i].macs > b[i].macs));
    }
}

static void workers_change_nothing(void **state)
{
    struct sn_evaluate_settings s = {80, SN_SPLIT_HOLDOUT, 0, HOLDOUT};
    struct sn_evaluate_result a[ARCHS], b[ARCHS];
    evaluate(1, &s, a);
    evaluate(1, &s, b);
    assert_same(a, b);
    evaluate(2, &s, b);
    assert_same(a, b);
}

static void halves_are_the_total(void **state)
{
    struct sn_evaluate_settings s = {80, SN_SPLIT_HOLDOUT, 0, HOLDOUT};
    struct sn_evaluate_result r[ARCHS];
    evaluate(2, &s, r);
    for (int i = 0; i < ARCHS; i++) {
        assert_int_equal(r[i].images, HOLDOUT);
        assert_int_equal(r[i].half_images[0], 51);
        assert_int_equal(r[i].half_images[1], 50);
        assert_int_equal(r[i].half_correct[0] + r[i].half_correct[1],
                         r[i].correct);
        assert_true(r[i].correct <= r[i].images && r[i].macs > 0);
    }
}

/* The weights are untrained, so counts differ from range to range. */
static void ranges_add_up(void **state)
{
    struct sn_evaluate_settings s = {80, SN_SPLIT_HOLDOUT, 0, HOLDOUT};
    struct sn_evaluate_result all[ARCHS], a[ARCHS], b[ARCHS];
    evaluate(2, &s, all);
    s.count = 70;
    evaluate(2, &s, a);
    s.first = 70;
    s.count = HOLDOUT - 70;
    evaluate(2, &s, b);
    for (int i = 0; i < ARCHS; i++) {
        assert_int_equal(a[i].images + b[i].images, HOLDOUT);
        assert_int_equal(a[i].correct + b[i].correct, all[i].correct);
    }
}

static void ranges_beyond_are_refused(void **state)
{
    const struct sn_evaluate_settings bad[] = {
        {80, SN_SPLIT_HOLDOUT, 0, HOLDOUT + 1},
        {80, SN_SPLIT_HOLDOUT, HOLDOUT, 1},
        {80, SN_SPLIT_HOLDOUT, HOLDOUT + 1, 0},
        {80, SN_SPLIT_HOLDOUT, 5, UINT32_MAX},
        {80, SN_SPLIT_TEST, 1, TEST},
    };
    struct sn_error e = {0};
    struct sn_pool *pool = NULL;
    struct sn_evaluator *evaluator = NULL;
    struct sn_evaluate_result r[ARCHS];
    ok(sn_pool_new(compute, 1, &pool, &e), &e);
    ok(sn_evaluator_new(compute, pool, net, view, 7, &evaluator, &e), &e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sn_evaluate(evaluator, &bad[i], arch, ARCHS, r, &e),
                         SN_ERR_RANGE);
    sn_evaluator_free(evaluator);
    sn_pool_free(pool);
}

static int open_all(void **state)
{
    struct sn_error e = {0};
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_limits all;

    sn_small_set_init(&set, TRAIN, TEST);
    ok(sn_view_new(set.data, 7, HOLDOUT, 0, &view, &e), &e);
    ok(sn_compute_new(NULL, &compute, &e), &e);
    ok(sn_supernet_new(compute, space, 1, SN_SMALL_CLASSES, 7, &net, &e), &e);
    sn_limits_all(space, &all);
    for (uint64_t i = 0; i < ARCHS; i++) {
        struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, i);
        sn_arch_sample(space, &all, &rng, &arch[i]);
    }
    return 0;
}

static int close_all(void **state)
{
    sn_supernet_free(net);
    sn_compute_free(compute);
    sn_view_free(view);
    sn_small_set_close(&set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(halves_are_the_total),
        cmocka_unit_test(ranges_add_up),
        cmocka_unit_test(ranges_beyond_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
