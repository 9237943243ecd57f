/* The built-in spaces have the sizes that their documentation states; ids,
 * sampling, mutation and crossover keep to the space; bad ids are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/space/plan.h"
#include "engine/space/space.h"

static struct sn_cost cost_of(const struct sn_space *space,
                              const struct sn_arch *arch, int channels)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(space, arch, channels, 10, &plan);
    sn_plan_cost(&plan, &cost);
    return cost;
}

/* Equal after rounding to `digits` significant decimal places of `unit`. */
static void assert_about(double value, double stated, double half_step)
{
    if (fabs(value - stated) > half_step)
        fail_msg("%.0f is not %.0f", value, stated);
}

static void test_sizes_of_cifar(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-cifar");
    assert_non_null(space);
    struct sn_arch arch;
    sn_arch_largest(space, &arch);
    struct sn_cost cost = cost_of(space, &arch, 3);
    assert_about(cost.macs, 70.5e6, 0.05e6);
    assert_about(cost.params, 1.777e6, 0.0005e6);
    sn_arch_smallest(space, &arch);
    cost = cost_of(space, &arch, 3);
    assert_about(cost.macs, 11.4e6, 0.05e6);
    assert_about(cost.params, 0.553e6, 0.0005e6);
    assert_about(sn_space_count(space, SN_COUPLING_NONE), 2.2e19, 0.05e19);
}

static void test_sizes_of_tiny(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    assert_non_null(space);
    struct sn_arch arch;
    sn_arch_largest(space, &arch);
    assert_about(cost_of(space, &arch, 1).macs, 3.9e6, 0.05e6);
    sn_arch_smallest(space, &arch);
    assert_about(cost_of(space, &arch, 1).macs, 0.7e6, 0.05e6);
    assert_true(sn_space_count(space, SN_COUPLING_NONE) == pow(258, 5));
    assert_true(sn_space_count(space, SN_COUPLING_COMPOFA) == 243);
}

/* Published figures of the largest and smallest networks, 1,000 classes. */
static void test_published_figures(void **state)
{
    static const struct {
        const char *space;
        int resolution;
        bool largest;
        double macs, params;
    } known[] = {
        {"ofa-mbv3-w1.0", 224, true, 566170656, 7664760},
        {"ofa-mbv3-w1.0", 128, false, 41476224, 3410792},
        {"ofa-mbv3-w1.2", 224, true, 843101040, 10701632},
        {"ofa-proxyless", 224, true, 1004908032, 7942056},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct sn_space *space = sn_space_find(known[i].space);
        struct sn_arch arch;
        struct sn_plan plan;
        struct sn_cost cost;
        assert_non_null(space);
        if (known[i].largest)
            sn_arch_largest(space, &arch);
        else
            sn_arch_smallest(space, &arch);
        assert_int_equal(arch.resolution, known[i].resolution);
        sn_plan_make(space, &arch, 3, 1000, &plan);
        sn_plan_cost(&plan, &cost);
        assert_about(cost.macs, known[i].macs, 0);
        assert_about(cost.params, known[i].params, 0);
    }
    const struct sn_space *space = sn_space_find("ofa-mbv3-w1.0");
    assert_true(sn_space_count(space, SN_COUPLING_NONE) ==
                25 * pow(81 + 729 + 6561, 5));
    assert_true(sn_space_count(space, SN_COUPLING_COMPOFA) == 243);
    space = sn_space_find("ofa-proxyless");
    assert_true(sn_space_count(space, SN_COUPLING_NONE) ==
                25 * pow(81 + 729 + 6561, 5) * 9);
    assert_true(sn_space_count(space, SN_COUPLING_COMPOFA) == 243);
}

static void test_images_must_fit(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_error err;
    assert_int_equal(sn_space_check_images(space, 1, 28, 28, &err), SN_OK);
    assert_int_equal(sn_space_check_images(space, 3, 28, 28, &err), SN_OK);
    assert_int_equal(sn_space_check_images(space, 2, 28, 28, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_space_check_images(space, 1, 27, 28, &err),
                     SN_ERR_INVALID);
    assert_non_null(strstr(err.message, "27 x 28"));
    assert_null(sn_space_find("mbv3-huge"));
}

/* One block of mbv3-tiny's second stage by hand: 16 -> 64 -> 16 on 7x7. */
static void test_a_plan_by_hand(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_arch arch;
    struct sn_plan plan;
    sn_arch_largest(space, &arch);
    sn_plan_make(space, &arch, 1, 10, &plan);
    assert_int_equal(plan.n_blocks, 16);
    assert_int_equal(sn_space_slots(space), 16);
    assert_int_equal(plan.stem_size, 14);
    assert_int_equal(plan.head_size, 4);
    const struct sn_block_plan *b = &plan.block[5];
    assert_int_equal(b->stage, 1);
    assert_int_equal(b->index, 1);
    assert_int_equal(b->slot, 5);
    assert_int_equal(b->mid, 64);
    assert_int_equal(b->se_mid, 16);
    assert_int_equal(b->in_size, 7);
    assert_true(b->residual && b->expands);
    assert_false(plan.block[0].expands);
    assert_true(plan.block[0].residual);
    assert_false(plan.block[1].residual);
    assert_int_equal(plan.block[1].out_size, 7);

    sn_arch_smallest(space, &arch);
    sn_plan_make(space, &arch, 1, 10, &plan);
    assert_int_equal(plan.n_blocks, 6);
    assert_int_equal(plan.block[2].slot, 4); /* a gap: stage 0 is shorter */
}

static void test_rounding(void **state)
{
    static const int table[][2] = {{1, 8},   {8, 8},   {9, 16},   {11, 16},
                                   {12, 16}, {18, 24}, {19, 24},  {20, 24},
                                   {72, 72}, {67, 64}, {100, 104}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(sn_make_divisible(table[i][0]), table[i][1]);
    assert_int_equal(sn_middle_channels(24, 3), 72);
}

static void test_coupled(void **state)
{
    static const uint8_t kernel[5] = {3, 5, 3, 3, 5};
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_arch all[243];
    for (uint32_t i = 0; i < 243; i++) {
        sn_arch_coupled(space, i, &all[i]);
        assert_int_equal(sn_arch_check(space, &all[i], NULL), SN_OK);
        for (int s = 0; s < 5; s++)
            for (int b = 0; b < all[i].depth[s]; b++) {
                assert_int_equal(all[i].expand[s][b], all[i].depth[s] + 1);
                assert_int_equal(all[i].kernel[s][b], kernel[s]);
            }
        for (uint32_t j = 0; j < i; j++)
            assert_false(sn_arch_equal(&all[i], &all[j]));
    }
    sn_arch_coupled(sn_space_find("mbv3-cifar"), 242, &all[0]);
    assert_int_equal(all[0].depth[4], 4);
    assert_int_equal(all[0].expand[4][3], 6);
}

/* A space of 2 stages: counting through it meets every architecture once. */
static void test_counting_through(void **state)
{
    struct sn_space space = *sn_space_find("mbv3-tiny");
    space.n_stages = 2;
    space.stage[0].depth = (struct sn_choices){2, {1, 2}};
    space.stage[1].depth = (struct sn_choices){1, {1}};
    double count = sn_space_count(&space, SN_COUPLING_NONE);
    assert_true(count == (6 + 36) * 6);
    struct sn_arch all[252];
    for (uint32_t i = 0; i < 252; i++) {
        sn_arch_at(&space, i, &all[i]);
        assert_int_equal(sn_arch_check(&space, &all[i], NULL), SN_OK);
        for (uint32_t j = 0; j < i; j++)
            assert_false(sn_arch_equal(&all[i], &all[j]));
    }
}

static void assert_round_trip(const struct sn_space *space,
                              const struct sn_arch *arch)
{
    char id[SN_ARCH_ID_MAX];
    struct sn_arch back;
    assert_int_equal(sn_arch_check(space, arch, NULL), SN_OK);
    sn_arch_encode(space, arch, id);
    assert_int_equal(sn_arch_decode(space, id, &back, NULL), SN_OK);
    assert_true(sn_arch_equal(arch, &back));
}

static void test_ids_round_trip(void **state)
{
    for (size_t i = 0; sn_space_builtin(i) != NULL; i++) {
        const struct sn_space *space = sn_space_builtin(i);
        struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, i);
        struct sn_limits limits;
        struct sn_arch a, b, child;
        sn_limits_all(space, &limits);
        sn_arch_sample(space, &limits, &rng, &a);
        for (int n = 0; n < 34000; n++) {
            sn_arch_sample(space, &limits, &rng, &b);
            assert_round_trip(space, &b);
            sn_arch_crossover(space, &a, &b, &rng, &child);
            assert_round_trip(space, &child);
            sn_arch_mutate(space, 0.3, &rng, &child);
            assert_round_trip(space, &child);
            a = b;
        }
    }
}

/* Ids damaged at random: refused, or the very id of what they decode to. */
static void test_damaged_ids(void **state)
{
    static const char alphabet[] = "0123456789abrke.-. %/\x80";
    const struct sn_space *space = sn_space_find("mbv3-cifar");
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, 0);
    struct sn_limits limits;
    sn_limits_all(space, &limits);
    int accepted = 0;
    for (int n = 0; n < 20000; n++) {
        char id[SN_ARCH_ID_MAX], again[SN_ARCH_ID_MAX];
        struct sn_arch arch;
        struct sn_error err = {0};
        sn_arch_sample(space, &limits, &rng, &arch);
        sn_arch_encode(space, &arch, id);
        size_t len = strlen(id);
        for (uint32_t i = 0; i <= sn_rng_below(&rng, 2); i++)
            id[sn_rng_below(&rng, (uint32_t)len)] =
                alphabet[sn_rng_below(&rng, sizeof alphabet)];
        if (sn_arch_decode(space, id, &arch, &err) != SN_OK) {
            assert_int_equal(err.code, SN_ERR_INVALID);
            assert_true(err.message[0] != '\0');
            continue;
        }
        accepted++;
        sn_arch_encode(space, &arch, again);
        assert_string_equal(id, again);
    }
    assert_true(accepted > 100);
}

static void test_hostile_ids(void **state)
{
    static const char *const bad[] = {
        "",
        "r",
        "r28",
        "r28.k",
        "r028.k3-3-3-3-3.e2-2-2-2-2",
        "r32.k3-3-3-3-3.e2-2-2-2-2",
        " r28.k3-3-3-3-3.e2-2-2-2-2",
        "r28.k3-3-3-3-3.e2-2-2-2-2 ",
        "r28.k3-3-3-3-3.e2-2-2-2",
        "r28.k3-3-3-3-3.e2-2-2-2-2-2",
        "r28.k3-3-3-3-3-3.e2-2-2-2-2",
        "r28.k3333-3-3-3-3.e2222-2-2-2-2",
        "r28.k-3-3-3-3.e-2-2-2-2",
        "r28.k7-3-3-3-3.e2-2-2-2-2",
        "r28.k3-3-3-3-3.e6-2-2-2-2",
        "r28.k33-3-3-3-3.e2-2-2-2-2",
        "r28.k3-3-3-3-3.e22-2-2-2-2",
        "r28.k3-3-3-3-3,e2-2-2-2-2",
        "R28.K3-3-3-3-3.E2-2-2-2-2",
    };
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_arch arch = {.resolution = 77}, before = arch;
    struct sn_error err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&err, 0, sizeof err);
        if (sn_arch_decode(space, bad[i], &arch, &err) != SN_ERR_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_true(strlen(err.message) > 10);
        assert_true(sn_arch_equal(&arch, &before));
    }
    char huge[5000];
    memset(huge, '3', sizeof huge);
    memcpy(huge, "r28.k", 5);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(sn_arch_decode(space, huge, &arch, &err), SN_ERR_INVALID);
    assert_int_equal(
        sn_arch_decode(space, "r28.k3-3-3-3-3.e2-2-2-2-2", &arch, &err), SN_OK);
}

/* Lists with values over 9 are written by index. */
static void test_ids_by_index(void **state)
{
    struct sn_space space = *sn_space_find("mbv3-tiny");
    space.stage[0].kernel = (struct sn_choices){3, {1, 3, 11}};
    struct sn_arch arch;
    char id[SN_ARCH_ID_MAX];
    sn_arch_largest(&space, &arch);
    sn_arch_encode(&space, &arch, id);
    assert_string_equal(id, "r28.k222-555-555-555-555.e444-444-444-444-444");
    assert_round_trip(&space, &arch);
    sn_arch_smallest(&space, &arch);
    assert_round_trip(&space, &arch);
}

static void test_checks(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_arch good, arch;
    sn_arch_smallest(space, &good);
    arch = good;
    arch.resolution++;
    assert_int_equal(sn_arch_check(space, &arch, NULL), SN_ERR_INVALID);
    arch = good;
    arch.depth[4] = 0;
    assert_int_equal(sn_arch_check(space, &arch, NULL), SN_ERR_INVALID);
    arch = good;
    arch.depth[0] = 255;
    assert_int_equal(sn_arch_check(space, &arch, NULL), SN_ERR_INVALID);
    arch = good;
    arch.kernel[2][0] = 4;
    assert_int_equal(sn_arch_check(space, &arch, NULL), SN_ERR_INVALID);
    arch = good;
    arch.expand[3][2] = 2; /* beyond the depth */
    assert_int_equal(sn_arch_check(space, &arch, NULL), SN_ERR_INVALID);
    sn_arch_normalise(space, &arch);
    assert_true(sn_arch_equal(&arch, &good));
}

static void test_sampling_keeps_limits(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-cifar");
    struct sn_limits limits;
    sn_limits_all(space, &limits);
    limits.depth[1] = (struct sn_choices){2, {2, 3}};
    limits.kernel[1] = (struct sn_choices){1, {7}};
    limits.expand[2] = (struct sn_choices){2, {4, 6}};
    struct sn_rng rng = sn_rng_make(3, SN_STREAM_TEST, 0);
    unsigned depth2 = 0, expand4 = 0, blocks = 0;
    for (int n = 0; n < 4000; n++) {
        struct sn_arch a;
        sn_arch_sample(space, &limits, &rng, &a);
        assert_int_equal(sn_arch_check(space, &a, NULL), SN_OK);
        assert_in_range(a.depth[1], 2, 3);
        depth2 += a.depth[1] == 2;
        for (int b = 0; b < a.depth[1]; b++)
            assert_int_equal(a.kernel[1][b], 7);
        for (int b = 0; b < a.depth[2]; b++) {
            assert_in_range(a.expand[2][b], 4, 6);
            expand4 += a.expand[2][b] == 4;
            blocks++;
        }
    }
    assert_in_range(depth2, 1850, 2150);
    assert_in_range(expand4 * 2, blocks * 95 / 100, blocks * 105 / 100);
}

static void test_mutation_rates(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_rng rng = sn_rng_make(4, SN_STREAM_TEST, 0);
    struct sn_arch start, arch;
    sn_arch_largest(space, &start);
    arch = start;
    sn_arch_mutate(space, 0, &rng, &arch);
    assert_true(sn_arch_equal(&arch, &start));
    unsigned changed = 0, shallower = 0;
    for (int n = 0; n < 4000; n++) {
        arch = start;
        sn_arch_mutate(space, 0.1, &rng, &arch);
        changed += !sn_arch_equal(&arch, &start);
        shallower += arch.depth[0] < 3;
    }
    assert_in_range(shallower, 4000 * 0.05, 4000 * 0.085); /* 0.1 x 2/3 */
    assert_in_range(changed, 4000 * 0.75, 4000 * 0.90);
}

static void test_crossover_takes_from_parents(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_rng rng = sn_rng_make(5, SN_STREAM_TEST, 0);
    struct sn_arch large, small, child;
    sn_arch_largest(space, &large);
    sn_arch_smallest(space, &small);
    unsigned big_kernels = 0;
    for (int n = 0; n < 2000; n++) {
        sn_arch_crossover(space, &large, &small, &rng, &child);
        for (int s = 0; s < 5; s++) {
            assert_true(child.depth[s] == 1 || child.depth[s] == 3);
            assert_true(child.expand[s][0] != 3);
            for (int b = 1; b < child.depth[s]; b++)
                assert_int_equal(child.expand[s][b], 4);
        }
        big_kernels += child.kernel[0][0] == 5;
    }
    assert_in_range(big_kernels, 900, 1100);
}

/* Raising any one choice never lowers a cost, and raises MACs (in small ResNets
 * two expand ratios may round to the same width). */
static void test_costs_are_monotone(void **state)
{
    for (size_t i = 0; sn_space_builtin(i) != NULL; i++) {
        const struct sn_space *space = sn_space_builtin(i);
        struct sn_rng rng = sn_rng_make(6, SN_STREAM_TEST, i);
        struct sn_limits limits;
        sn_limits_all(space, &limits);
        for (int n = 0; n < 2000; n++) {
            struct sn_arch a, b;
            sn_arch_sample(space, &limits, &rng, &a);
            b = a;
            int s = (int)sn_rng_below(&rng, space->n_stages);
            int k = (int)sn_rng_below(&rng, a.depth[s]);
            const struct sn_stage *stage = &space->stage[s];
            switch (n % 3) {
            case 0:
                b.kernel[s][k] = stage->kernel.value[stage->kernel.n - 1];
                break;
            case 1:
                b.expand[s][k] = stage->expand.value[stage->expand.n - 1];
                break;
            default:
                b.depth[s] = stage->depth.value[stage->depth.n - 1];
                for (int d = a.depth[s]; d < b.depth[s]; d++) {
                    b.kernel[s][d] = stage->kernel.value[0];
                    b.expand[s][d] = stage->expand.value[0];
                }
            }
            struct sn_cost low = cost_of(space, &a, 3);
            struct sn_cost high = cost_of(space, &b, 3);
            bool may_round = space->family == SN_FAMILY_RESNET;
            assert_true(sn_arch_equal(&a, &b) || may_round ||
                        high.macs > low.macs);
            assert_true(high.macs >= low.macs);
            assert_true(high.params >= low.params);
            assert_true(high.peak_memory >= low.peak_memory);
        }
    }
}

/* A space with everything a user can set: two stages, three resolutions. */
static struct sn_space small_space(void)
{
    struct sn_space s = *sn_space_find("mbv3-tiny");
    s.n_stages = 2;
    s.stem_stride = 1;
    s.n_resolutions = 3;
    s.resolutions[0] = 8;
    s.resolutions[1] = 24;
    s.resolutions[2] = s.resolution = 32;
    s.n_stride_rules = 1;
    s.stride_rule[0] = (struct sn_stride_rule){9, 1, 1, {1, 2}};
    return s;
}

static void assert_refused(const struct sn_space *s, const char *pointer)
{
    struct sn_error err = {0};
    if (sn_space_check(s, &err) != SN_ERR_INVALID ||
        strcmp(err.pointer, pointer) != 0)
        fail_msg("%s: %d at \"%s\": %s", pointer, err.code, err.pointer,
                 err.message);
    assert_true(strlen(err.message) > 10);
}

static void test_space_checks(void **state)
{
    const struct sn_space *builtin;
    struct sn_error err = {0};
    for (size_t i = 0; (builtin = sn_space_builtin(i)) != NULL; i++)
        if (sn_space_check(builtin, &err) != SN_OK)
            fail_msg("%s: %s: %s", builtin->name, err.pointer, err.message);
    struct sn_space s = small_space();
    if (sn_space_check(&s, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    strcpy(s.name, "../x");
    assert_refused(&s, "/name");
    s = small_space();
    s.resolutions[1] = 8;
    assert_refused(&s, "/resolutions/1");
    s = small_space();
    s.n_resolutions = 0;
    assert_refused(&s, "/resolutions");
    s = small_space();
    s.resolution = 24;
    assert_refused(&s, "/resolutions");
    s = small_space();
    s.resolutions[2] = s.resolution = 1024;
    assert_refused(&s, "/resolutions/2");
    s = small_space();
    s.stride_rule[0].below = 8;
    assert_refused(&s, "/strides/0/below");
    s = small_space();
    s.stride_rule[0].stage[1] = 0;
    assert_refused(&s, "/strides/0/stages/1");
    s = small_space(); /* its smallest images would become one pixel */
    s.n_stride_rules = 0;
    s.stem_stride = s.first_stride = 2;
    s.stage[1].stride = 2;
    assert_refused(&s, "/resolutions/0");
    s = small_space(); /* no memory is made for larger planes */
    s.stride_rule[0] = (struct sn_stride_rule){25, 1, 1, {1, 1}};
    assert_refused(&s, "/resolutions/1");
    s = small_space();
    s.n_stages = 0;
    assert_refused(&s, "/stages");
    s = small_space();
    s.stage[1].depth.value[2] = 9;
    assert_refused(&s, "/stages/1/depth/2");
    s = small_space();
    s.stage[0].kernel = (struct sn_choices){1, {4}};
    assert_refused(&s, "/stages/0/kernel/0");
    s = small_space();
    s.stage[0].expand.n = 0;
    assert_refused(&s, "/stages/0/expand");
    s = small_space();
    s.stage[1].width = 0;
    assert_refused(&s, "/stages/1/width");
    s = small_space();
    s.stage[0].width = s.stage[1].width = 4096;
    assert_refused(&s, "/stages");
    s = small_space();
    s.stage[0].coupled.kernel = 7;
    assert_refused(&s, "/stages/0/coupling/kernel");
    s = small_space();
    s.always_coupled = true;
    assert_refused(&s, "/stages/0/coupling/kernel");
    s = small_space();
    s.bn_eps = 0;
    assert_refused(&s, "/bn_epsilon");
}

/* A space that is always coupled, at several resolutions: whatever draws from
 * it keeps to it, and counting through it meets every architecture once. */
static void test_always_coupled(void **state)
{
    struct sn_space s = small_space();
    struct sn_rng rng = sn_rng_make(8, SN_STREAM_TEST, 0);
    struct sn_limits all;
    struct sn_arch list[27], a, b, child;
    s.always_coupled = true;
    for (int i = 0; i < 2; i++) {
        s.stage[i].kernel = (struct sn_choices){1, {5}};
        s.stage[i].coupled.kernel = 5;
    }
    assert_int_equal(sn_space_check(&s, NULL), SN_OK);
    assert_true(sn_space_count(&s, SN_COUPLING_NONE) == 27);
    assert_true(sn_space_count(&s, SN_COUPLING_COMPOFA) == 9);
    for (uint32_t i = 0; i < 27; i++) {
        sn_arch_at(&s, i, &list[i]);
        assert_round_trip(&s, &list[i]);
        for (uint32_t j = 0; j < i; j++)
            assert_false(sn_arch_equal(&list[i], &list[j]));
    }
    sn_limits_all(&s, &all);
    sn_arch_largest(&s, &a);
    assert_round_trip(&s, &a);
    assert_int_equal(a.resolution, 32);
    sn_arch_smallest(&s, &a);
    assert_int_equal(a.resolution, 8);
    unsigned met[33] = {0};
    for (int n = 0; n < 3000; n++) {
        sn_arch_sample(&s, &all, &rng, &b);
        met[b.resolution]++;
        sn_arch_crossover(&s, &a, &b, &rng, &child);
        assert_round_trip(&s, &child);
        sn_arch_mutate(&s, 0.5, &rng, &child);
        assert_round_trip(&s, &child);
        a = b;
    }
    assert_in_range(met[8], 900, 1100);
    assert_in_range(met[24], 900, 1100);
    all.resolution = 24;
    sn_arch_sample(&s, &all, &rng, &b);
    assert_int_equal(b.resolution, 24);
    b.expand[0][0] = b.depth[0] == 1 ? 4 : 2; /* not what its depth forces */
    assert_int_equal(sn_arch_check(&s, &b, NULL), SN_ERR_INVALID);
    float x[2 * 3 * 4 + 4];
    assert_int_equal(sn_arch_encoding_size(&s), sizeof x / sizeof x[0]);
    sn_arch_one_hot(&s, &b, x);
    assert_true(x[24] == 0 && x[25] == 1 && x[26] == 0);
    assert_true(x[27] > 0.66f && x[27] < 0.67f);
}

static void test_one_hot(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    size_t size = sn_arch_encoding_size(space);
    assert_int_equal(size, 75);
    float x[75];
    struct sn_arch arch;
    sn_arch_smallest(space, &arch);
    sn_arch_one_hot(space, &arch, x);
    float sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += x[i];
    assert_true(sum == 10); /* a kernel and an expand a stage */
    assert_true(x[0] == 1 && x[1] == 0 && x[2] == 1 && x[5] == 0);
    arch.kernel[4][0] = 5;
    sn_arch_one_hot(space, &arch, x);
    assert_true(x[60] == 0 && x[61] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_of_cifar),
        cmocka_unit_test(test_sizes_of_tiny),
        cmocka_unit_test(test_published_figures),
        cmocka_unit_test(test_images_must_fit),
        cmocka_unit_test(test_a_plan_by_hand),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_coupled),
        cmocka_unit_test(test_counting_through),
        cmocka_unit_test(test_ids_round_trip),
        cmocka_unit_test(test_damaged_ids),
        cmocka_unit_test(test_hostile_ids),
        cmocka_unit_test(test_ids_by_index),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_sampling_keeps_limits),
        cmocka_unit_test(test_mutation_rates),
        cmocka_unit_test(test_crossover_takes_from_parents),
        cmocka_unit_test(test_costs_are_monotone),
        cmocka_unit_test(test_one_hot),
        cmocka_unit_test(test_space_checks),
        cmocka_unit_test(test_always_coupled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
