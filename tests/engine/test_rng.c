/* The counter-based generator: its numbers are fixed for ever (stored jobs
 * resume on them), its streams differ, its ranges hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/err.h"
#include "engine/rng.h"

static void test_replay(void **state)
{
    struct sn_rng a = sn_rng_make(7, SN_STREAM_PATH, 11);
    struct sn_rng b = sn_rng_make(7, SN_STREAM_PATH, 11);
    struct sn_rng c = sn_rng_make(7, SN_STREAM_PROBE, 11);
    struct sn_rng d = sn_rng_make(7, SN_STREAM_PATH, 12);
    uint64_t first = sn_rng_u64(&a);
    assert_true(first == sn_rng_u64(&b));
    assert_true(first != sn_rng_u64(&c));
    assert_true(first != sn_rng_u64(&d));
}

static void test_ranges(void **state)
{
    struct sn_rng r = sn_rng_make(1, SN_STREAM_TEST, 0);
    unsigned seen[5] = {0};
    double sum = 0, square = 0;
    for (int i = 0; i < 50000; i++) {
        seen[sn_rng_below(&r, 5)]++;
        double u = sn_rng_uniform(&r);
        assert_true(u >= 0 && u < 1);
        double n = sn_rng_normal(&r);
        sum += n;
        square += n * n;
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_true(sum / 50000 < 0.02 && sum / 50000 > -0.02);
    assert_true(square / 50000 < 1.03 && square / 50000 > 0.97);
}

static void test_shuffle_is_a_permutation(void **state)
{
    uint32_t items[100], seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        items[i] = i;
    struct sn_rng r = sn_rng_make(3, SN_STREAM_TEST, 0);
    sn_rng_shuffle(&r, items, 100);
    unsigned moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 50);
}

static void test_errors_carry_their_field(void **state)
{
    struct sn_error e;
    assert_int_equal(
        sn_error_at(&e, SN_ERR_RANGE, "/epochs", "%d is too many", 9),
        SN_ERR_RANGE);
    assert_string_equal(e.pointer, "/epochs");
    sn_error_wrap(&e, "job %s", "a");
    assert_string_equal(e.message, "job a: 9 is too many");
    assert_string_equal(sn_err_name(SN_ERR_RANGE), "out_of_range");
    assert_int_equal(sn_error_set(NULL, SN_ERR_IO, "x"), SN_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_shuffle_is_a_permutation),
        cmocka_unit_test(test_errors_carry_their_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
