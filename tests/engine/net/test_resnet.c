/* The ResNet family's networks: logits, loss and the gradient of every tensor
 * of random sub-networks agree with a double-precision composition, which is
 * itself checked by finite differences; what is outside a sub-network gets no
 * gradient; an extracted static network is the sub-network; channel sorting
 * keeps the functions it must; costs are those of the layers; tensors have
 * Once-for-All's names. On a space made for this, with planes that are odd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "engine/net/calibrate.h"
#include "engine/net/static.h"
#include "engine/net/supernet.h"
#include "tests/engine/net/fixture.h"
#include "tests/engine/net/netref.h"

enum { IMAGES = 4, CLASSES = 5, ARCHITECTURES = 12 };

static const struct sn_space small = {
    .name = "resnet-test",
    .family = SN_FAMILY_RESNET,
    .resolution = 18,
    .n_resolutions = 1,
    .resolutions = {18},
    .bn_eps = 1e-5f,
    .stem_width = 32,
    .stem_stride = 2,
    .stem_act = SN_ACT_RELU,
    .n_stages = 3,
    .stage = {{.width = 48,
               .stride = 1,
               .act = SN_ACT_RELU,
               .depth = {2, {1, 2}},
               .kernel = {1, {3}},
               .expand = {3, {1, 2, 3}},
               .base_depth = 1},
              {.width = 64,
               .stride = 2,
               .act = SN_ACT_RELU,
               .depth = {2, {1, 3}},
               .kernel = {1, {3}},
               .expand = {3, {1, 2, 3}},
               .base_depth = 1},
              {.width = 40,
               .stride = 2,
               .act = SN_ACT_RELU,
               .depth = {2, {1, 2}},
               .kernel = {1, {3}},
               .expand = {3, {1, 2, 3}},
               .base_depth = 1}},
    .n_width_ratios = 3,
    .width_ratio = {500, 750, 1000},
    .n_expand_ratios = 3,
    .expand_ratio = {200, 250, 500},
    .elastic_stem = true,
};

static const struct sn_ref_loss ref_loss = {.n = IMAGES,
                                            .classes = CLASSES,
                                            .smoothing = 0.1,
                                            .label_weight = 1.0,
                                            .kd_weight = 0.7};

static void open_small(struct sn_fixture *f, int channels)
{
    sn_fixture_init_space(f, &small, channels, CLASSES, IMAGES, 1);
    sn_fixture_stir(f, 2);
}

static void choose(const struct sn_fixture *f, uint64_t i, struct sn_arch *ret)
{
    if (i == 0)
        sn_arch_largest(f->space, ret);
    else if (i == 1)
        sn_arch_smallest(f->space, ret);
    else
        sn_fixture_sample(f, i, ret);
}

static void unpad(const struct sn_fixture *f, const float *from, double *to)
{
    for (int i = 0; i < f->n * CLASSES; i++)
        to[i] = (double)
            from[(size_t)(i / CLASSES) * f->stride + (size_t)(i % CLASSES)];
}

/* ---- the reference ---- */

/* One direction of random signs a tensor: the slope along it against the
 * gradient's share. */
static double slope_along(struct sn_fixture *f, const struct sn_netref *ref,
                          const struct sn_tensor *t, const double *gradient,
                          double *ret_share)
{
    double teacher[IMAGES * CLASSES], logits[IMAGES * CLASSES], at[2];
    double h = 1e-7, *w = f->weights64 + t->offset;
    double *keep = calloc(t->count, sizeof(double));
    memcpy(keep, w, t->count * sizeof(double));
    unpad(f, f->teacher, teacher);
    for (int side = 0; side < 2; side++) {
        struct sn_rng rng = sn_rng_make(6, SN_STREAM_TEST, t->offset);
        *ret_share = 0;
        for (size_t e = 0; e < t->count; e++) {
            double sign = sn_rng_uniform(&rng) < 0.5 ? -1.0 : 1.0;
            w[e] = keep[e] + (side ? h : -h) * sign;
            *ret_share += sign * gradient[t->offset + e];
        }
        sn_netref_forward(ref, logits);
        at[side] = sn_ref_loss(&ref_loss, logits, f->labels, teacher, NULL);
    }
    memcpy(w, keep, t->count * sizeof(double));
    free(keep);
    return (at[1] - at[0]) / (2 * h);
}

static void test_reference(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    const struct sn_tensor *t;
    double teacher[IMAGES * CLASSES], logits[IMAGES * CLASSES];
    open_small(&f, 1);
    sn_arch_largest(f.space, &arch);
    struct sn_netref ref = {f.net,       &arch, IMAGES, f.images64,
                            f.weights64, 0,     0};
    double *gradient = calloc(f.size, sizeof(double));
    unsigned char *reached = calloc(f.size, 1);
    unpad(&f, f.teacher, teacher);
    sn_netref_backward(&ref, &ref_loss, f.labels, teacher, logits, gradient,
                       reached);
    size_t n = sn_supernet_tensors(f.net, &t);
    for (size_t i = 0; i < n; i++) {
        double share;
        double slope = slope_along(&f, &ref, &t[i], gradient, &share);
        if (fabs(slope - share) > 1e-4 * fabs(share) + 1e-5)
            fail_msg("%s: slope %g, gradient %g", t[i].name, slope, share);
    }
    free(reached);
    free(gradient);
    sn_fixture_close(&f);
}

/* ---- forward and backward ---- */

static double norm(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* The worst tensor: |g - r| over max(|r|, 1e-3 * the largest |r|). */
static double worst_tensor(const struct sn_fixture *f, const double *wanted,
                           const unsigned char *reached)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t);
    double largest = 0.0, worst = 0.0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, norm(wanted + t[i].offset, t[i].count));
    for (size_t i = 0; i < n; i++) {
        const double *r = wanted + t[i].offset;
        double square = 0.0;
        for (size_t e = 0; e < t[i].count; e++) {
            double g = (double)f->master[t[i].offset + e];
            square += (g - r[e]) * (g - r[e]);
            if (!reached[t[i].offset + e] && g != 0.0)
                fail_msg("%s[%zu] is outside and has a gradient", t[i].name, e);
        }
        double off = sqrt(square) / fmax(norm(r, t[i].count), 1e-3 * largest);
        worst = off <= worst ? worst : off;
    }
    return worst;
}

static double compare_once(struct sn_fixture *f, const struct sn_arch *arch)
{
    double want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    double teacher[IMAGES * CLASSES];
    struct sn_loss loss = {.n = IMAGES,
                           .classes = CLASSES,
                           .smoothing = 0.1f,
                           .label_weight = 1.0f,
                           .kd_weight = 0.7f,
                           .grad_scale = 1.0f};
    struct sn_netref ref = {f->net,       arch, IMAGES, f->images64,
                            f->weights64, 0,    0};
    double *gradient = calloc(f->size, sizeof(double));
    unsigned char *reached = calloc(f->size, 1);
    unpad(f, f->teacher, teacher);
    sn_subnet_bind(f->sub, NULL, arch);
    double total = sn_fixture_step(f, &loss);
    double wanted = sn_netref_backward(&ref, &ref_loss, f->labels, teacher,
                                       want, gradient, reached);
    unpad(f, f->logits, got);
    assert_true(sn_ref_distance(got, want, IMAGES * CLASSES) <= 1e-4);
    assert_true(fabs(total - wanted) <= 1e-4 * fabs(wanted));
    double off = worst_tensor(f, gradient, reached);
    free(reached);
    free(gradient);
    return off;
}

/* A ReLU's slope jumps: where an input is within rounding of zero, single and
 * double precision may truly differ. Other images have it elsewhere. */
static void test_gradients(void **state)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        struct sn_fixture f;
        int tries = 0;
        open_small(&f, channels);
        for (uint64_t i = 0; i < ARCHITECTURES; i++) {
            struct sn_arch arch;
            char id[SN_ARCH_ID_MAX];
            double off = INFINITY;
            choose(&f, i, &arch);
            sn_arch_encode(f.space, &arch, id);
            for (int batch = 0; batch < 3 && !(off <= 1e-3); batch++) {
                if (batch > 0)
                    sn_fixture_draw(&f, (uint64_t)(1000 + tries));
                off = compare_once(&f, &arch);
                tries++;
            }
            if (!(off <= 1e-3))
                fail_msg("%s: gradients are off by %g", id, off);
        }
        assert_true(tries < 2 * ARCHITECTURES);
        sn_fixture_close(&f);
    }
}

/* ---- extraction ---- */

/* The statistics that a calibration found, as the reference takes them. */
static void calibrated(const struct sn_fixture *f,
                       const struct sn_bn_stats *stats, double *ret)
{
    const struct sn_supernet *net = f->net;
    for (int j = 0; j < net->n_layers; j++) {
        for (int c = 0; net->layer[j].bn && c < net->layer[j].o; c++) {
            ret[net->tensor[net->stored[j].gamma].offset + (size_t)c] =
                stats->mean[j][c] / stats->images;
            ret[net->tensor[net->stored[j].beta].offset + (size_t)c] =
                stats->var[j][c] / stats->images;
        }
    }
}

/* Images together and one by one, against the reference with the same
 * statistics; and these against the batch's. */
static void check_static(struct sn_fixture *f, const struct sn_arch *arch,
                         struct sn_bn_stats *stats,
                         struct sn_static_space *memory)
{
    struct sn_error err;
    struct sn_static *net;
    double want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    double *found = calloc(f->size, sizeof(double));
    double *batch = calloc(f->size, sizeof(double));
    sn_subnet_bind(f->sub, NULL, arch);
    sn_bn_stats_reset(stats);
    sn_subnet_calibrate(f->sub, f->cx, f->ws, f->images, IMAGES, stats);
    calibrated(f, stats, found);
    struct sn_netref ref = {f->net,       arch,  IMAGES, f->images64,
                            f->weights64, batch, NULL};
    sn_netref_forward(&ref, want);
    for (size_t i = 0; i < f->size; i++)
        if (batch[i] == 0.0)
            found[i] = 0.0;
    assert_true(sn_ref_distance(found, batch, (long)f->size) <= 1e-5);

    assert_int_equal(sn_static_new(f->sub, stats, &net, &err), SN_OK);
    sn_static_forward(net, f->cx, memory, f->images, IMAGES, f->logits);
    unpad(f, f->logits, got);
    assert_true(sn_ref_distance(got, want, IMAGES * CLASSES) <= 2e-5);
    for (size_t i = 0; i < IMAGES; i++)
        sn_static_forward(net, f->cx, memory, f->images + i * f->image_floats,
                          1, f->logits + i * f->stride);
    unpad(f, f->logits, got);
    assert_true(sn_ref_distance(got, want, IMAGES * CLASSES) <= 2e-5);
    assert_int_equal(sn_cx_take_error(f->cx, &err), SN_OK);
    sn_static_free(net);
    free(batch);
    free(found);
}

static void test_extracted(void **state)
{
    struct sn_fixture f;
    struct sn_error err;
    struct sn_bn_stats *stats;
    struct sn_static_space *memory;
    struct sn_plan largest;
    struct sn_arch arch;
    open_small(&f, 3);
    choose(&f, 0, &arch);
    sn_plan_make(f.space, &arch, 3, CLASSES, &largest);
    assert_int_equal(sn_bn_stats_new(f.net, &stats, &err), SN_OK);
    assert_int_equal(
        sn_static_space_new(f.compute, &largest, IMAGES, &memory, &err), SN_OK);
    for (uint64_t i = 0; i < ARCHITECTURES; i++) {
        choose(&f, i, &arch);
        check_static(&f, &arch, stats, memory);
    }
    sn_static_space_free(memory);
    sn_bn_stats_free(stats);
    sn_fixture_close(&f);
}

static void test_teacher_forward(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    open_small(&f, 3);
    choose(&f, 4, &arch);
    sn_subnet_bind(f.sub, NULL, &arch);
    sn_subnet_forward_train(f.sub, f.cx, f.ws, f.images, f.n, f.logits);
    sn_subnet_forward(f.sub, f.cx, f.ws, f.images, f.n, f.teacher);
    assert_memory_equal(f.logits, f.teacher,
                        (size_t)f.n * f.stride * sizeof(float));
    sn_fixture_close(&f);
}

/* ---- channel sorting ---- */

static void logits_of(struct sn_fixture *f, int expand, double *ret)
{
    struct sn_arch arch;
    sn_arch_largest(f->space, &arch);
    for (int s = 0; s < f->space->n_stages; s++)
        for (int b = 0; b < arch.depth[s]; b++)
            arch.expand[s][b] = (uint8_t)expand;
    sn_subnet_bind(f->sub, NULL, &arch);
    sn_subnet_forward(f->sub, f->cx, f->ws, f->images, f->n, f->logits);
    unpad(f, f->logits, ret);
}

/* L1 of column c of a [rows][columns][run] tensor. */
static double importance(const struct sn_fixture *f, const char *name, int c)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t), i = 0;
    while (i < n && strcmp(t[i].name, name) != 0)
        i++;
    assert_true(i < n);
    const float *w = sn_supernet_weights(f->net) + t[i].offset;
    size_t run = (size_t)(t[i].shape[2] * t[i].shape[3]);
    size_t row = run * (size_t)t[i].shape[1];
    double sum = 0;
    for (size_t e = 0; e < (size_t)t[i].shape[0] * run; e++)
        sum += fabs((double)w[e / run * row + (size_t)c * run + e % run]);
    return sum;
}

static void check_sorted(const struct sn_fixture *f, int from, int to)
{
    for (int c = from + 1; c < to; c++) {
        assert_true(importance(f, "blocks.2.conv3.conv.conv.weight", c - 1) >=
                    importance(f, "blocks.2.conv3.conv.conv.weight", c));
        assert_true(importance(f, "blocks.2.conv2.conv.conv.weight", c - 1) >=
                    importance(f, "blocks.2.conv2.conv.conv.weight", c));
    }
}

static void test_sort(void **state)
{
    static const struct sn_choices none = {0}, middle = {1, {2}};
    struct sn_fixture f;
    double largest[IMAGES * CLASSES], narrow[IMAGES * CLASSES];
    double got[IMAGES * CLASSES];
    open_small(&f, 3);
    float *companion = calloc(f.size, sizeof(float));
    memcpy(companion, sn_supernet_weights(f.net), f.size * sizeof(float));
    logits_of(&f, 3, largest);
    logits_of(&f, 2, narrow);
    sn_supernet_sort_channels(f.net, &middle, &companion, 1);
    check_sorted(&f, 0, 16); /* 64 channels by 0.25, and by 0.5 */
    check_sorted(&f, 16, 32);
    logits_of(&f, 3, got);
    assert_true(sn_ref_distance(got, largest, IMAGES * CLASSES) <= 1e-5);
    logits_of(&f, 2, got);
    assert_true(sn_ref_distance(got, narrow, IMAGES * CLASSES) <= 1e-5);
    assert_memory_equal(companion, sn_supernet_weights(f.net),
                        f.size * sizeof(float));
    sn_supernet_sort_channels(f.net, &none, NULL, 0);
    check_sorted(&f, 0, 32);
    logits_of(&f, 3, got);
    assert_true(sn_ref_distance(got, largest, IMAGES * CLASSES) <= 1e-5);
    assert_true(memcmp(companion, sn_supernet_weights(f.net),
                       f.size * sizeof(float)) != 0);
    free(companion);
    sn_fixture_close(&f);
}

/* ---- the table ---- */

static void check_costs(const struct sn_space *space,
                        const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    struct sn_layer layer[SN_MAX_LAYERS];
    double macs = 0, params = 0;
    sn_plan_make(space, arch, 3, CLASSES, &plan);
    sn_plan_cost(&plan, &cost);
    sn_layers_make(&plan, layer);
    for (int j = 0; j < sn_layer_count(&plan); j++) {
        double weight = (double)sn_layer_weight_floats(&layer[j]);
        macs += weight * layer[j].out_size * layer[j].out_size;
        params += weight + layer[j].o * (layer[j].bn * 2 + layer[j].bias);
    }
    assert_true(cost.macs == macs);
    assert_true(cost.params == params);
}

static void test_costs_are_of_the_layers(void **state)
{
    const struct sn_space *space = sn_space_find("ofa-resnet50");
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_limits all;
    assert_non_null(space);
    sn_limits_all(space, &all);
    for (int i = 0; i < 1000; i++) {
        struct sn_arch arch;
        sn_arch_sample(space, &all, &rng, &arch);
        check_costs(space, &arch);
    }
}

static void test_names(void **state)
{
    static const char *const first[] = {
        "input_stem.0.conv.conv.weight",
        "input_stem.0.bn.bn.weight",
        "input_stem.0.bn.bn.bias",
        "input_stem.1.conv.conv.conv.weight",
        "input_stem.1.conv.bn.bn.weight",
        "input_stem.1.conv.bn.bn.bias",
        "input_stem.2.conv.conv.weight",
        "input_stem.2.bn.bn.weight",
        "input_stem.2.bn.bn.bias",
        "blocks.0.conv1.conv.conv.weight",
        "blocks.0.conv1.bn.bn.weight",
        "blocks.0.conv1.bn.bn.bias",
        "blocks.0.conv2.conv.conv.weight",
        "blocks.0.conv2.bn.bn.weight",
        "blocks.0.conv2.bn.bn.bias",
        "blocks.0.conv3.conv.conv.weight",
        "blocks.0.conv3.bn.bn.weight",
        "blocks.0.conv3.bn.bn.bias",
        "blocks.0.downsample.conv.conv.weight",
        "blocks.0.downsample.bn.bn.weight",
        "blocks.0.downsample.bn.bn.bias",
        "blocks.1.conv1.conv.conv.weight",
    };
    const struct sn_tensor *t;
    struct sn_fixture f;
    open_small(&f, 3);
    size_t n = sn_supernet_tensors(f.net, &t);
    assert_int_equal(n, 9 + 7 * 9 + 3 * 3 + 2);
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        assert_string_equal(t[i].name, first[i]);
    assert_string_equal(t[n - 2].name, "classifier.linear.linear.weight");
    assert_string_equal(t[n - 1].name, "classifier.linear.linear.bias");
    assert_int_equal(t[n - 2].ndim, 2);
    assert_int_equal(t[12].ndim, 4);
    assert_int_equal(t[12].shape[1], 24);
    assert_int_equal(t[12].shape[3], 3);
    sn_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_extracted),
        cmocka_unit_test(test_teacher_forward),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_costs_are_of_the_layers),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
