/* The sampler: what a step trains hangs on seed and step alone; paths stay
 * within limits; the sandwich has each end once, the largest first; with
 * members, all but the exploring share come from them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/train/sampler.h"

static const struct sn_space *space(void)
{
    return sn_space_find("mbv3-tiny");
}

static struct sn_sampler make(enum sn_sampler_kind kind, int n)
{
    struct sn_sampler s;
    struct sn_limits all;
    sn_limits_all(space(), &all);
    sn_sampler_init(&s, space(), kind, n, &all);
    return s;
}

static void is_a_function_of_seed_and_step(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_PATHS, 3);
    struct sn_arch a[SN_MAX_SUBNETS], b[SN_MAX_SUBNETS];

    assert_int_equal(sn_sampler_draw(&s, 5, 9, a), 3);
    sn_sampler_draw(&s, 5, 10, b);
    assert_false(sn_arch_equal(&a[0], &b[0]));
    sn_sampler_draw(&s, 6, 9, b);
    assert_false(sn_arch_equal(&a[0], &b[0]));
    sn_sampler_draw(&s, 5, 9, b);
    for (int i = 0; i < 3; i++)
        assert_true(sn_arch_equal(&a[i], &b[i]));
    assert_false(sn_arch_equal(&a[0], &a[1]));
}

static void paths_stay_within_limits(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_PATHS, 2);
    struct sn_arch a[SN_MAX_SUBNETS];

    for (int st = 0; st < space()->n_stages; st++) {
        s.limits.depth[st] = (struct sn_choices){2, {2, 3}};
        s.limits.kernel[st] = (struct sn_choices){1, {5}};
        s.limits.expand[st] = (struct sn_choices){2, {2, 4}};
    }
    for (uint64_t step = 0; step < 200; step++) {
        sn_sampler_draw(&s, 1, step, a);
        for (int st = 0; st < space()->n_stages; st++) {
            assert_in_range(a[0].depth[st], 2, 3);
            for (int b = 0; b < a[0].depth[st]; b++) {
                assert_int_equal(a[0].kernel[st][b], 5);
                assert_int_not_equal(a[0].expand[st][b], 3);
            }
        }
    }
}

static void sandwich_has_each_end_once(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_SANDWICH, 4);
    struct sn_arch a[SN_MAX_SUBNETS], large, small;

    sn_arch_largest(space(), &large);
    sn_arch_smallest(space(), &small);
    for (uint64_t step = 0; step < 50; step++) {
        int n_large = 0, n_small = 0;
        assert_int_equal(sn_sampler_draw(&s, 1, step, a), 4);
        assert_true(sn_arch_equal(&a[0], &large));
        for (int i = 0; i < 4; i++) {
            n_large += sn_arch_equal(&a[i], &large);
            n_small += sn_arch_equal(&a[i], &small);
        }
        assert_int_equal(n_large, 1);
        assert_int_equal(n_small, 1);
    }
}

static void largest_is_alone(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_LARGEST, 4);
    struct sn_arch a[SN_MAX_SUBNETS], large;
    sn_arch_largest(space(), &large);
    assert_int_equal(sn_sampler_draw(&s, 1, 0, a), 1);
    assert_true(sn_arch_equal(&a[0], &large));
}

/* How many of `steps` paths are members; each member's use into used. */
static int count_members(const struct sn_sampler *s, int steps, int *used)
{
    struct sn_arch a[SN_MAX_SUBNETS];
    int n = 0;
    for (int step = 0; step < steps; step++) {
        sn_sampler_draw(s, 2, (uint64_t)step, a);
        for (uint32_t m = 0; m < s->n_members; m++)
            if (sn_arch_equal(&a[0], &s->members[m])) {
                used[m]++;
                n++;
            }
    }
    return n;
}

static void members_and_exploration(void **state)
{
    enum { STEPS = 2000, MEMBERS = 5 };
    struct sn_sampler s = make(SN_SAMPLE_PATHS, 1);
    struct sn_arch members[MEMBERS];
    int used[MEMBERS] = {0};

    for (uint32_t i = 0; i < MEMBERS; i++)
        sn_arch_coupled(space(), 40 * i + 3, &members[i]);
    s.members = members;
    s.n_members = MEMBERS;
    assert_int_equal(count_members(&s, STEPS, used), STEPS);
    for (int i = 0; i < MEMBERS; i++)
        assert_in_range(used[i], STEPS / MEMBERS - 90, STEPS / MEMBERS + 90);

    /* five standard deviations of a binomial share of 0.2 are 90 */
    s.exploration = 0.2;
    assert_in_range(count_members(&s, STEPS, used), 1510, 1690);
    s.exploration = 1;
    assert_int_equal(count_members(&s, STEPS, used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_function_of_seed_and_step),
        cmocka_unit_test(paths_stay_within_limits),
        cmocka_unit_test(sandwich_has_each_end_once),
        cmocka_unit_test(largest_is_alone),
        cmocka_unit_test(members_and_exploration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
