/* Learning rates: they rise linearly, then fall along a cosine, or linearly, or
 * exponentially to a twentieth, or hold and fall linearly over the last fifth;
 * the last step still moves, the one after does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "engine/train/schedule.h"

enum { STEPS = 100, RISE = 9 };

static struct sn_schedule of(enum sn_schedule_kind kind)
{
    return (struct sn_schedule){
        .kind = kind, .rate = 0.4, .steps = STEPS, .rise = RISE};
}

static void same(double a, double b)
{
    assert_true(fabs(a - b) < 1e-12);
}

static void rises_linearly(void **state)
{
    for (int kind = SN_SCHEDULE_COSINE; kind <= SN_SCHEDULE_EXPONENTIAL;
         kind++) {
        struct sn_schedule s = of((enum sn_schedule_kind)kind);
        for (uint64_t i = 0; i < RISE; i++)
            same(sn_schedule_rate(&s, i), 0.04 * (double)(i + 1));
        same(sn_schedule_rate(&s, RISE), 0.4);
    }
}

static void cosine_values(void **state)
{
    struct sn_schedule s = of(SN_SCHEDULE_COSINE);
    s.rise = 0;
    same(sn_schedule_rate(&s, 0), 0.4);
    same(sn_schedule_rate(&s, 25), 0.2 * (1 + sqrt(0.5)));
    same(sn_schedule_rate(&s, 50), 0.2);
    same(sn_schedule_rate(&s, 75), 0.2 * (1 - sqrt(0.5)));
    for (uint64_t i = 1; i < STEPS; i++)
        assert_true(sn_schedule_rate(&s, i) < sn_schedule_rate(&s, i - 1));
}

static void cooled_values(void **state)
{
    struct sn_schedule s = of(SN_SCHEDULE_COOLED);
    for (uint64_t i = RISE; i < 80; i++)
        same(sn_schedule_rate(&s, i), 0.4);
    for (uint64_t i = 80; i < STEPS; i++)
        same(sn_schedule_rate(&s, i), 0.4 * (double)(STEPS - i) / 21);
}

static void linear_values(void **state)
{
    struct sn_schedule s = of(SN_SCHEDULE_LINEAR);
    s.rise = 0;
    for (uint64_t i = 0; i < STEPS; i++)
        same(sn_schedule_rate(&s, i), 0.4 * (double)(STEPS - i) / STEPS);
}

static void exponential_values(void **state)
{
    struct sn_schedule s = of(SN_SCHEDULE_EXPONENTIAL);
    s.rise = 0;
    same(sn_schedule_rate(&s, 0), 0.4);
    same(sn_schedule_rate(&s, 13), 0.4 * pow(0.05, 0.2));
    same(sn_schedule_rate(&s, 26), 0.4 * pow(0.05, 0.4));
    for (uint64_t i = 65; i < STEPS; i++)
        same(sn_schedule_rate(&s, i), 0.02);
}

static void last_step_is_small_but_moves(void **state)
{
    for (int kind = SN_SCHEDULE_COSINE; kind <= SN_SCHEDULE_EXPONENTIAL;
         kind++) {
        struct sn_schedule s = of((enum sn_schedule_kind)kind);
        double last = sn_schedule_rate(&s, STEPS - 1);
        assert_true(last > 0 && last < 0.0501 * s.rate);
        same(sn_schedule_rate(&s, STEPS), 0);
        same(sn_schedule_rate(&s, STEPS + 1000), 0);
    }
}

/* Phases of a tiny job can have less than five steps. */
static void tiny_schedules_are_finite(void **state)
{
    for (int kind = SN_SCHEDULE_COSINE; kind <= SN_SCHEDULE_EXPONENTIAL; kind++)
        for (uint64_t steps = 1; steps < 6; steps++)
            for (uint64_t i = 0; i < steps; i++) {
                struct sn_schedule s = of((enum sn_schedule_kind)kind);
                s.steps = steps;
                s.rise = 0;
                double rate = sn_schedule_rate(&s, i);
                assert_true(rate > 0 && rate <= s.rate);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rises_linearly),
        cmocka_unit_test(cosine_values),
        cmocka_unit_test(cooled_values),
        cmocka_unit_test(linear_values),
        cmocka_unit_test(exponential_values),
        cmocka_unit_test(last_step_is_small_but_moves),
        cmocka_unit_test(tiny_schedules_are_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
