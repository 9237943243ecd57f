/* The mobile families beside MobileNetV3's small ones: Once-for-All's own
 * spaces at two resolutions (the supernet's forward is the extracted network's,
 * sorting keeps the largest's function, costs are those of the layers), a space
 * with MobileNetV2's blocks against the reference, and recomputation, whose
 * results are the same to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "engine/net/layers.h"
#include "engine/net/static.h"
#include "tests/engine/net/fixture.h"
#include "tests/engine/net/netref.h"

enum { CLASSES = 10 };

static double relative(const struct sn_fixture *f, const float *got,
                       const float *want)
{
    double difference = 0, norm = 0;
    for (int i = 0; i < f->n; i++)
        for (int c = 0; c < f->classes; c++) {
            double a = (double)got[(size_t)i * f->stride + (size_t)c];
            double b = (double)want[(size_t)i * f->stride + (size_t)c];
            difference += (a - b) * (a - b);
            norm += b * b;
        }
    return sqrt(difference / norm);
}

/* Small ones of the space, so that a test takes a second. */
static void sample(const struct sn_space *space, uint64_t i, int resolution,
                   struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(9, SN_STREAM_TEST, i);
    struct sn_limits few;
    sn_limits_all(space, &few);
    for (int s = 0; s < space->n_stages; s++) {
        few.depth[s].n = 1;
        few.expand[s].n = 2;
    }
    few.resolution = (uint16_t)resolution;
    sn_arch_sample(space, &few, &rng, ret);
}

/* With the statistics of one batch, both are the same network on it. */
static void extracted(struct sn_fixture *f, const struct sn_arch *arch,
                      struct sn_bn_stats *stats)
{
    struct sn_error err;
    struct sn_static *net = NULL;
    struct sn_static_space *memory = NULL;
    sn_subnet_bind(f->sub, NULL, arch);
    sn_bn_stats_reset(stats);
    sn_subnet_calibrate(f->sub, f->cx, f->ws, f->images, f->n, stats);
    sn_subnet_forward(f->sub, f->cx, f->ws, f->images, f->n, f->logits);
    assert_int_equal(sn_static_new(f->sub, stats, &net, &err), SN_OK);
    assert_int_equal(sn_static_space_new(f->compute, sn_subnet_plan(f->sub),
                                         f->n, &memory, &err),
                     SN_OK);
    sn_static_forward(net, f->cx, memory, f->images, f->n, f->teacher);
    assert_int_equal(sn_cx_take_error(f->cx, &err), SN_OK);
    double off = relative(f, f->teacher, f->logits);
    if (!(off < 1e-4)) {
        char id[SN_ARCH_ID_MAX];
        sn_arch_encode(f->space, arch, id);
        fail_msg("%s %s: logits are off by %g", f->space->name, id, off);
    }
    sn_static_space_free(memory);
    sn_static_free(net);
}

static void family_on(const char *name)
{
    static const int resolutions[] = {128, 164};
    struct sn_fixture f;
    struct sn_bn_stats *stats;
    struct sn_error err;
    sn_fixture_init(&f, name, 3, CLASSES, 2, 4);
    sn_fixture_stir(&f, 5);
    assert_int_equal(sn_bn_stats_new(f.net, &stats, &err), SN_OK);
    for (int i = 0; i < 2; i++) {
        struct sn_arch arch;
        sample(f.space, (uint64_t)i, resolutions[i % 2], &arch);
        extracted(&f, &arch, stats);
    }

    struct sn_arch largest;
    struct sn_choices none = {0};
    sn_arch_largest(f.space, &largest);
    largest.resolution = 128;
    sn_subnet_bind(f.sub, NULL, &largest);
    sn_subnet_forward(f.sub, f.cx, f.ws, f.images, f.n, f.teacher);
    sn_supernet_sort_channels(f.net, &none, NULL, 0);
    sn_subnet_bind(f.sub, NULL, &largest);
    sn_subnet_forward(f.sub, f.cx, f.ws, f.images, f.n, f.logits);
    assert_true(memcmp(f.logits, f.teacher, sizeof(float) * f.stride) != 0);
    assert_true(relative(&f, f.logits, f.teacher) < 1e-4);
    sn_bn_stats_free(stats);
    sn_fixture_close(&f);
}

static void test_mbv3(void **state)
{
    family_on("ofa-mbv3-w1.0");
}

static void test_proxyless(void **state)
{
    family_on("ofa-proxyless");
}

/* The layers are what is extracted, and know nothing of how costs are counted.
 */
static void layers_cost(const struct sn_plan *plan, struct sn_cost *ret)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    sn_layers_make(plan, layer);
    *ret = (struct sn_cost){0};
    for (int j = 0; j < sn_layer_count(plan); j++) {
        const struct sn_layer *l = &layer[j];
        double weights = (double)sn_layer_weight_floats(l);
        ret->macs += weights * l->out_size * l->out_size;
        ret->params += weights + l->o * (2.0 * l->bn + l->bias);
    }
}

static void test_costs(void **state)
{
    const struct sn_space *space;
    for (size_t i = 0; (space = sn_space_builtin(i)) != NULL; i++) {
        struct sn_rng rng = sn_rng_make(10, SN_STREAM_TEST, i);
        struct sn_limits all;
        if (space->family != SN_FAMILY_MOBILE)
            continue;
        sn_limits_all(space, &all);
        for (int n = 0; n < 1000; n++) {
            struct sn_arch arch;
            struct sn_plan plan;
            struct sn_cost cost, counted;
            sn_arch_sample(space, &all, &rng, &arch);
            sn_plan_make(space, &arch, 3, 1000, &plan);
            sn_plan_cost(&plan, &cost);
            layers_cost(&plan, &counted);
            assert_true(cost.macs == counted.macs);
            assert_true(cost.params == counted.params);
        }
    }
}

/* ---- a small space with MobileNetV2's blocks ---- */

static struct sn_space v2_space(void)
{
    struct sn_space s = *sn_space_find("mbv3-tiny");
    snprintf(s.name, sizeof s.name, "v2");
    s.n_resolutions = 2;
    s.resolutions[0] = 19;
    s.resolutions[1] = s.resolution = 28;
    s.n_stride_rules = 1;
    s.stride_rule[0] = (struct sn_stride_rule){20, 1, 1, {2, 1, 1, 2, 1}};
    s.bn_eps = 1e-3f;
    s.stem_act = s.first_act = s.head_act = SN_ACT_RELU6;
    for (int i = 0; i < s.n_stages; i++) {
        s.stage[i].act = SN_ACT_RELU6;
        s.stage[i].se = false;
    }
    s.feature_width = 0;
    return s;
}

static double gradient_error(const struct sn_fixture *f, const double *want)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < f->size; i++) {
        double d = (double)f->master[i] - want[i];
        difference += d * d;
        norm += want[i] * want[i];
    }
    return sqrt(difference / norm);
}

static void test_v2_gradients(void **state)
{
    const struct sn_space space = v2_space();
    const struct sn_loss loss = {4, CLASSES, 0, 1, 0, 1};
    const struct sn_ref_loss ref_loss = {
        .n = 4, .classes = CLASSES, .label_weight = 1};
    struct sn_fixture f;
    sn_fixture_init_space(&f, &space, 3, CLASSES, 4, 6);
    sn_fixture_stir(&f, 7);
    double *want = calloc(f.size, sizeof *want);
    unsigned char *reached = calloc(f.size, 1);
    double logits[4 * CLASSES];
    for (int i = 0; i < 4; i++) {
        struct sn_arch arch;
        struct sn_rng rng = sn_rng_make(12, SN_STREAM_TEST, (uint64_t)i);
        struct sn_limits all;
        sn_limits_all(&space, &all);
        all.resolution = space.resolutions[i % 2];
        sn_arch_sample(&space, &all, &rng, &arch);
        memset(want, 0, sizeof *want * f.size);
        sn_subnet_bind(f.sub, NULL, &arch);
        double got = sn_fixture_step(&f, &loss);
        const struct sn_netref ref = {f.net,       &arch, 4,   f.images64,
                                      f.weights64, NULL,  NULL};
        double total = sn_netref_backward(&ref, &ref_loss, f.labels, NULL,
                                          logits, want, reached);
        assert_true(fabs(got - total) < 1e-4 * fabs(total));
        assert_true(gradient_error(&f, want) < 1e-3);
    }
    free(reached);
    free(want);
    sn_fixture_close(&f);
}

/* ---- recomputation ---- */

static void step(struct sn_fixture *f, const struct sn_arch *arch)
{
    const struct sn_loss loss = {f->n, f->classes, 0, 1, 0, 1};
    sn_subnet_bind(f->sub, NULL, arch);
    sn_fixture_step(f, &loss);
}

/* At most `share` of the memory is taken. */
static void recompute_on(const char *name, int in_channels, int n, int archs,
                         double share)
{
    struct sn_fixture f;
    struct sn_error err;
    sn_fixture_init(&f, name, in_channels, CLASSES, n, 8);
    sn_fixture_stir(&f, 9);
    float *logits = malloc(sizeof(float) * f.stride * (size_t)n);
    float *master = malloc(sizeof(float) * f.size);
    for (int i = 0; i < archs; i++) {
        struct sn_arch arch;
        size_t all = sn_workspace_bytes(f.net, n, 0, SN_STORE_F32);
        sn_fixture_sample(&f, (uint64_t)i, &arch);
        arch.resolution = f.space->resolutions[0];
        step(&f, &arch);
        memcpy(logits, f.logits, sizeof(float) * f.stride * (size_t)n);
        memcpy(master, f.master, sizeof(float) * f.size);

        sn_supernet_set_recompute(f.net, true);
        size_t less = sn_workspace_bytes(f.net, n, 0, SN_STORE_F32);
        if ((double)less > (double)all * share)
            fail_msg("%s: %.3f of the memory", name,
                     (double)less / (double)all);
        struct sn_workspace *ws = f.ws;
        assert_int_equal(
            sn_workspace_new(f.net, n, n, SN_STORE_F32, &f.ws, &err), SN_OK);
        step(&f, &arch);
        assert_memory_equal(logits, f.logits,
                            sizeof(float) * f.stride * (size_t)n);
        assert_memory_equal(master, f.master, sizeof(float) * f.size);
        sn_workspace_free(f.ws);
        f.ws = ws;
        sn_supernet_set_recompute(f.net, false);
    }
    free(master);
    free(logits);
    sn_fixture_close(&f);
}

static void test_recompute(void **state)
{
    recompute_on("mbv3-tiny", 1, 5, 4, 0.55);
    recompute_on("mbv3-cifar", 3, 3, 2, 0.55);
    recompute_on("ofa-mbv3-w1.0", 3, 2, 1, 0.55);
    recompute_on("resnet-tiny", 1, 4, 4, 0.65);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbv3),      cmocka_unit_test(test_proxyless),
        cmocka_unit_test(test_costs),     cmocka_unit_test(test_v2_gradients),
        cmocka_unit_test(test_recompute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
