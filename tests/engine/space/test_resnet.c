/* The ResNet family: the sizes counted on the published code's networks, the
 * shapes of small and odd planes, ids that decode back and every other text
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/space/plan.h"

#define ARCHITECTURES 100000

static const struct sn_space *space;

static struct sn_plan plan_of(const struct sn_arch *arch)
{
    struct sn_plan plan;
    sn_plan_make(space, arch, 3, 1000, &plan);
    return plan;
}

static void test_known_figures(void **state)
{
    struct sn_arch arch;
    struct sn_cost cost;
    sn_arch_largest(space, &arch);
    struct sn_plan plan = plan_of(&arch);
    sn_plan_cost(&plan, &cost);
    assert_true(cost.macs == 7491643904.0);
    assert_true(cost.params == 48105992.0);
    assert_int_equal(plan.n_blocks, 18);
    assert_int_equal(sn_space_slots(space), 18);
    assert_int_equal(plan.block[0].slot, 0);
    assert_int_equal(plan.block[17].slot, 17);
}

/* Widths and middles as Once-for-All rounds them. */
static void test_widths(void **state)
{
    static const int width[3][6] = {{24, 40, 168, 336, 664, 1328},
                                    {24, 48, 208, 408, 816, 1640},
                                    {32, 64, 256, 512, 1024, 2048}};
    static const int mid[3][4] = {
        {32, 64, 136, 264}, {56, 104, 208, 408}, {88, 176, 360, 720}};
    for (int i = 0; i < 3; i++) {
        struct sn_arch arch;
        sn_arch_smallest(space, &arch);
        for (int w = 0; w < 6; w++)
            arch.width[w] = (uint8_t)i;
        for (int s = 0; s < 4; s++)
            for (int b = 0; b < arch.depth[s]; b++)
                arch.expand[s][b] = (uint8_t)(i + 1);
        struct sn_plan plan = plan_of(&arch);
        assert_int_equal(plan.stem_mid, width[i][0]);
        assert_int_equal(plan.stem_out, width[i][1]);
        for (int b = 0; b < plan.n_blocks; b++) {
            const struct sn_block_plan *p = &plan.block[b];
            assert_int_equal(p->out, width[i][2 + p->stage]);
            assert_int_equal(p->mid, mid[i][p->stage]);
            assert_int_equal(p->downsamples, p->index == 0);
            assert_int_equal(p->residual, p->index > 0);
        }
    }
}

static void test_planes(void **state)
{
    static const int size[][6] = {{224, 112, 56, 28, 14, 7},
                                  {132, 66, 33, 17, 9, 5},
                                  {128, 64, 32, 16, 8, 4}};
    for (int i = 0; i < 3; i++) {
        struct sn_arch arch;
        sn_arch_smallest(space, &arch);
        arch.resolution = (uint16_t)size[i][0];
        struct sn_plan plan = plan_of(&arch);
        assert_int_equal(plan.stem_size, size[i][1]);
        assert_int_equal(plan.pool_size, size[i][2]);
        for (int b = 0; b < plan.n_blocks; b++)
            assert_int_equal(plan.block[b].out_size,
                             size[i][2 + plan.block[b].stage]);
    }
}

static void test_widest(void **state)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_limits limits;
    struct sn_arch arch;
    int narrow = 0;
    sn_limits_all(space, &limits);
    for (int i = 0; i < 200; i++) {
        limits.widest = i % 2;
        sn_arch_sample(space, &limits, &rng, &arch);
        assert_int_equal(sn_arch_check(space, &arch, NULL), SN_OK);
        for (int w = 0; w < 6; w++) {
            narrow += arch.width[w] < 2;
            assert_true(!limits.widest || (arch.width[w] == 2 && arch.stem));
        }
    }
    assert_true(narrow > 0);
}

static void expect_id(const struct sn_arch *arch, const char *want)
{
    char id[SN_ARCH_ID_MAX];
    struct sn_arch back;
    sn_arch_encode(space, arch, id);
    if (want)
        assert_string_equal(id, want);
    struct sn_error err;
    if (sn_arch_decode(space, id, &back, &err) != SN_OK)
        fail_msg("%s: %s", id, err.message);
    assert_true(sn_arch_equal(arch, &back));
}

static void test_ids(void **state)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_limits all;
    struct sn_arch arch;
    sn_arch_largest(space, &arch);
    expect_id(&arch, "r224.d22222.e222222222222222222.w222222");
    sn_arch_smallest(space, &arch);
    expect_id(&arch, "r128.d00000.e000000000000000000.w000000");
    arch.resolution = 160;
    arch.stem = 1;
    arch.depth[1] = 3;
    arch.kernel[1][2] = 3;
    arch.expand[1][2] = 3;
    arch.width[1] = 2;
    arch.width[5] = 1;
    expect_id(&arch, "r160.d20100.e000000200000000000.w020001");
    sn_limits_all(space, &all);
    for (int i = 0; i < ARCHITECTURES; i++) {
        sn_arch_sample(space, &all, &rng, &arch);
        expect_id(&arch, NULL);
    }
}

static void test_what_is_no_id(void **state)
{
    static const char *const bad[] = {
        "",
        "r224",
        "r224.d22222.e222222222222222222.w22222",
        "r224.d22222.e222222222222222222.w2222222",
        "r224.d12222.e222222222222222222.w222222",
        "r224.d32222.e222222222222222222.w222222",
        "r224.d23222.e222222222222222222.w222222",
        "r224.d22222.e222222222222222223.w222222",
        "r224.d22222.e222222222222222222.w222223",
        "r224.d22222.e222222222222222222-w222222",
        "r224.d22222,e222222222222222222.w222222",
        "r225.d22222.e222222222222222222.w222222",
        "r0224.d22222.e222222222222222222.w222222",
        "r 224.d22222.e222222222222222222.w222222",
        "r224.d20222.e222222222222222222.w222222", /* a block not there */
        "r224.d2222\xff.e222222222222222222.w222222",
        "r224.dzzzzz.ezzzzzzzzzzzzzzzzzz.wzzzzzz",
        "r99999.d22222.e222222222222222222.w222222",
        "r32.k75-335-57-3333-53.e64-346-66-3346-43",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sn_arch arch;
        struct sn_error err;
        if (sn_arch_decode(space, bad[i], &arch, &err) != SN_ERR_INVALID)
            fail_msg("%s is taken", bad[i]);
    }
}

static void assert_refused(const struct sn_space *s, const char *pointer)
{
    struct sn_error err = {0};
    if (sn_space_check(s, &err) != SN_ERR_INVALID ||
        strcmp(err.pointer, pointer) != 0)
        fail_msg("%s: %d at \"%s\": %s", pointer, err.code, err.pointer,
                 err.message);
}

/* What users may set of this family, and where it is refused. */
static void test_bounds(void **state)
{
    const struct sn_space tiny = *sn_space_find("resnet-tiny");
    struct sn_space s;
    s = tiny;
    s.n_width_ratios = 0;
    assert_refused(&s, "/width_ratios");
    s = tiny;
    s.width_ratio[1] = 650;
    assert_refused(&s, "/width_ratios/1");
    s = tiny;
    s.width_ratio[2] = 2001;
    assert_refused(&s, "/width_ratios/2");
    s = tiny;
    s.n_expand_ratios = 9;
    assert_refused(&s, "/expand_ratios");
    s = tiny;
    s.expand_ratio[0] = 10;
    assert_refused(&s, "/expand_ratios/0");
    s = tiny;
    s.stem_width = 0;
    assert_refused(&s, "/stem/width");
    s = tiny;
    s.stem_width = 4000;
    s.width_ratio[2] = 1500;
    assert_refused(&s, "/stem/width");
    s = tiny;
    s.stem_stride = 4;
    assert_refused(&s, "/stem/stride");
    s = tiny;
    s.n_stages = 9;
    assert_refused(&s, "/stages");
    s = tiny;
    s.stage[1].width = 4097;
    assert_refused(&s, "/stages/1/width");
    s = tiny;
    s.stage[2].width = 2500;
    s.width_ratio[2] = 1700;
    assert_refused(&s, "/stages/2/width");
    s = tiny;
    s.stage[0].stride = 0;
    assert_refused(&s, "/stages/0/stride");
    s = tiny;
    s.stage[0].depth.value[0] = 0;
    assert_refused(&s, "/stages/0/depth/0");
    s = tiny;
    s.stage[1].expand.value[2] = 4;
    assert_refused(&s, "/stages/1/expand/2");
    s = tiny;
    s.stage[1].expand = (struct sn_choices){1, {2}};
    assert_refused(&s, "/stages/1/coupling/expand/0");
    s = tiny;
    s.resolutions[0] = s.resolution = 8;
    assert_refused(&s, "/resolutions/0");
    s = tiny;
    s.stage[2].width = 4096; /* 400 million parameters */
    s.expand_ratio[2] = 1000;
    s.stage[2].depth.value[2] = 8;
    assert_refused(&s, "/stages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_figures),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_widest),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_what_is_no_id),
        cmocka_unit_test(test_bounds),
    };
    space = sn_space_find("ofa-resnet50");
    return space ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
