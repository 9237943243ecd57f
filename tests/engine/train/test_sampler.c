/* The sampler: what a step trains hangs on seed and step alone; paths stay
 * within limits; the sandwich has each end once, the largest first; with
 * members, all but the exploring share come from them; coupled paths are the
 * 243 of the coupled space; a fair step takes every choice of every block
 * exactly once; candidates of a place fall into one band.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/space/plan.h"
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

static void fixed_is_alone(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_FIXED, 1);
    struct sn_arch a[SN_MAX_SUBNETS];
    s.fixed = s.smallest;
    for (uint64_t step = 0; step < 4; step++) {
        assert_int_equal(sn_sampler_draw(&s, step, step, a), 1);
        assert_true(sn_arch_equal(&a[0], &s.smallest));
    }
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

static void coupled_are_the_coupled_space(void **state)
{
    enum { COUNT = 243 };
    struct sn_sampler s = make(SN_SAMPLE_COUPLED, 4);
    struct sn_arch all[COUNT], a[SN_MAX_SUBNETS];
    bool seen[COUNT] = {false};
    int n_seen = 0;

    assert_true(sn_space_count(space(), SN_COUPLING_COMPOFA) == COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        sn_arch_coupled(space(), i, &all[i]);
    for (uint64_t step = 0; step < 1000; step++) {
        assert_int_equal(sn_sampler_draw(&s, 1, step, a), 4);
        for (int k = 0; k < 4; k++) {
            int at = 0;
            while (at < COUNT && !sn_arch_equal(&a[k], &all[at]))
                at++;
            assert_in_range(at, 0, COUNT - 1);
            n_seen += !seen[at];
            seen[at] = true;
        }
    }
    assert_int_equal(n_seen, COUNT);
}

/* Depth forces expand still; kernels of a stage are no longer alike. */
static void coupled_with_elastic_kernels(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_COUPLED, 1);
    struct sn_arch a;
    int unlike = 0;
    s.elastic_kernels = true;
    for (uint64_t step = 0; step < 200; step++) {
        sn_sampler_draw(&s, 1, step, &a);
        for (int g = 0; g < space()->n_stages; g++)
            for (int b = 0; b < a.depth[g]; b++) {
                assert_int_equal(a.expand[g][b], a.depth[g] + 1);
                unlike += a.kernel[g][b] != a.kernel[g][0];
            }
    }
    assert_true(unlike > 100);
}

static void fair_takes_every_choice_once(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_FAIR, 1);
    struct sn_arch a[SN_MAX_SUBNETS];
    int n = sn_sampler_fair_paths(space());
    assert_int_equal(n, 2 * 3);
    for (uint64_t step = 0; step < 100; step++) {
        assert_int_equal(sn_sampler_draw(&s, 1, step, a), n);
        for (int g = 0; g < space()->n_stages; g++)
            for (int b = 0; b < a[0].depth[g]; b++) {
                int taken[8][8] = {{0}};
                for (int i = 0; i < n; i++) {
                    assert_int_equal(a[i].depth[g], a[0].depth[g]);
                    taken[a[i].kernel[g][b]][a[i].expand[g][b]]++;
                }
                for (int k = 3; k <= 5; k += 2)
                    for (int e = 2; e <= 4; e++)
                        assert_int_equal(taken[k][e], 1);
            }
    }
}

static double macs_of(const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(space(), arch, 3, 10, &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

static double native_macs(const struct sn_space *of, struct sn_arch arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    arch.resolution = of->resolution;
    sn_plan_make(of, &arch, 3, 10, &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

/* Bands are even in log MACs: the candidates' ratio is a band's at most. */
static void candidates_share_a_band(void **state)
{
    struct sn_sampler s = make(SN_SAMPLE_SANDWICH, 4);
    struct sn_arch a[SN_MAX_SUBNETS];
    s.candidates = 3;
    s.bands = 8;
    double width = pow(macs_of(&s.largest) / macs_of(&s.smallest), 1.0 / 8);
    int outside = 0, alike = 0;
    for (uint64_t step = 0; step < 100; step++) {
        assert_int_equal(sn_sampler_draw(&s, 1, step, a), 2 + 2 * 3);
        assert_true(sn_arch_equal(&a[0], &s.largest));
        assert_true(sn_arch_equal(&a[1], &s.smallest));
        for (int place = 0; place < 2; place++)
            for (int c = 1; c < 3; c++) {
                const struct sn_arch *first = &a[2 + 3 * place];
                double ratio = macs_of(&first[c]) / macs_of(first);
                outside += ratio > width || ratio < 1 / width;
                alike += sn_arch_equal(first, &first[c]);
            }
    }
    assert_int_equal(alike, 0);
    assert_true(outside <= 8); /* of 400: bands that hardly any path meets */
}

/* Of a space with many resolutions, of which a step has one: bands compare all
 * at the largest, whatever resolution a path was drawn with. */
static void bands_know_no_resolution(void **state)
{
    const struct sn_space *many = sn_space_find("ofa-mbv3-w1.0");
    struct sn_sampler s;
    struct sn_limits all;
    struct sn_arch a[SN_MAX_SUBNETS], end;
    int outside = 0;
    sn_limits_all(many, &all);
    sn_sampler_init(&s, many, SN_SAMPLE_SANDWICH, 3, &all);
    assert_true(many->n_resolutions > 1);
    s.candidates = 3;
    s.bands = 8;
    end = s.smallest;
    end.resolution = many->resolution;
    double width =
        pow(native_macs(many, s.largest) / native_macs(many, end), 1.0 / 8);
    for (uint64_t step = 0; step < 100; step++) {
        sn_sampler_draw(&s, 1, step, a);
        for (int c = 3; c < 5; c++) {
            double ratio = native_macs(many, a[c]) / native_macs(many, a[2]);
            outside += ratio > width || ratio < 1 / width;
        }
    }
    assert_true(outside <= 4); /* of 200 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_function_of_seed_and_step),
        cmocka_unit_test(paths_stay_within_limits),
        cmocka_unit_test(sandwich_has_each_end_once),
        cmocka_unit_test(largest_is_alone),
        cmocka_unit_test(fixed_is_alone),
        cmocka_unit_test(members_and_exploration),
        cmocka_unit_test(coupled_are_the_coupled_space),
        cmocka_unit_test(coupled_with_elastic_kernels),
        cmocka_unit_test(fair_takes_every_choice_once),
        cmocka_unit_test(candidates_share_a_band),
        cmocka_unit_test(bands_know_no_resolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
