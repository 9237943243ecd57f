/* Proves that an extracted static network is the sub-network inside the
 * supernet: with BN folded it gives the same logits as the double-precision
 * composition that normalises with the re-calibrated statistics; that these
 * are the averages of batch statistics; and that a teacher's forward equals the
 * training forward. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "engine/net/calibrate.h"
#include "engine/net/static.h"
#include "engine/net/supernet.h"
#include "tests/engine/net/fixture.h"
#include "tests/engine/net/netref.h"

enum { IMAGES = 8, ARCHITECTURES = 10 };

/* Statistics of two batches, of 6 and 2 images: mean of means and of biased
 * variances, weighted by images. */
static void reference_statistics(struct sn_fixture *f,
                                 const struct sn_arch *arch, double *ret)
{
    double logits[IMAGES * 10];
    double *batch = calloc(f->size, sizeof(double));
    const int n[2] = {6, 2};
    size_t at = 0;
    memset(ret, 0, f->size * sizeof(double));
    for (int b = 0; b < 2; b++) {
        struct sn_netref ref = {f->net,       arch,  n[b], f->images64 + at,
                                f->weights64, batch, NULL};
        sn_netref_forward(&ref, logits);
        for (size_t i = 0; i < f->size; i++) {
            ret[i] += batch[i] * n[b] / IMAGES;
        }
        at += (size_t)n[b] * f->image_floats;
    }
    free(batch);
}

static void calibrate(struct sn_fixture *f, struct sn_bn_stats *stats)
{
    sn_bn_stats_reset(stats);
    sn_subnet_calibrate(f->sub, f->cx, f->ws, f->images, 6, stats);
    sn_subnet_calibrate(f->sub, f->cx, f->ws, f->images + 6 * f->image_floats,
                        2, stats);
}

/* The statistics that a calibration found, as the reference takes them. */
static void calibrated_statistics(const struct sn_fixture *f,
                                  const struct sn_bn_stats *stats, double *ret)
{
    const struct sn_supernet *net = f->net;
    memset(ret, 0, f->size * sizeof(double));
    for (int j = 0; j < net->n_layers; j++) {
        if (!net->layer[j].bn) {
            continue;
        }
        const struct sn_stored_layer *s = &net->stored[j];
        ptrdiff_t mean =
            sn_tensor_of(net, net->weights, s->gamma) - net->weights;
        ptrdiff_t var = sn_tensor_of(net, net->weights, s->beta) - net->weights;
        for (int c = 0; c < net->layer[j].o; c++) {
            ret[mean + c] = stats->mean[j][c] / stats->images;
            ret[var + c] = stats->var[j][c] / stats->images;
        }
    }
}

/* |got - want| / |want| over all of them */
static double relative(size_t n, const double *got, const double *want)
{
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < n; i++) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return sqrt(difference / norm);
}

/* max |difference| over max |logit| */
static double distance(const struct sn_fixture *f, const float *got,
                       const double *want)
{
    double worst = 0.0, largest = 0.0;
    for (int i = 0; i < f->n; i++) {
        for (int c = 0; c < f->classes; c++) {
            double w = want[i * f->classes + c];
            double g = (double)got[(size_t)i * f->stride + (size_t)c];
            worst = fmax(worst, fabs(g - w));
            largest = fmax(largest, fabs(w));
        }
    }
    return worst / largest;
}

static void compare(struct sn_fixture *f, const struct sn_arch *arch,
                    struct sn_bn_stats *stats, struct sn_static_space *space,
                    double *worst)
{
    struct sn_error err;
    struct sn_static *net = NULL;
    double want[IMAGES * 10];
    double *statistics = calloc(f->size, sizeof(double));
    double *calibrated = calloc(f->size, sizeof(double));

    sn_subnet_bind(f->sub, NULL, arch);
    calibrate(f, stats);
    assert_int_equal(sn_static_new(f->sub, stats, &net, &err), SN_OK);
    sn_static_forward(net, f->cx, space, f->images, f->n, f->logits);
    assert_int_equal(sn_cx_take_error(f->cx, &err), SN_OK);

    reference_statistics(f, arch, statistics);
    calibrated_statistics(f, stats, calibrated);
    assert_true(relative(f->size, calibrated, statistics) <= 1e-4);
    struct sn_netref ref = {f->net,       arch, IMAGES,    f->images64,
                            f->weights64, NULL, calibrated};
    sn_netref_forward(&ref, want);
    double off = distance(f, f->logits, want);
    *worst = fmax(*worst, off);
    if (!(off <= 1e-5)) {
        char id[SN_ARCH_ID_MAX];
        sn_arch_encode(f->space, arch, id);
        fail_msg("%s: logits are off by %g", id, off);
    }
    sn_static_free(net);
    free(calibrated);
    free(statistics);
}

static void test_extracted(void **state)
{
    struct sn_fixture f;
    struct sn_error err;
    struct sn_bn_stats *stats;
    struct sn_static_space *space;
    struct sn_arch arch;
    struct sn_plan largest;
    double worst = 0.0;

    sn_fixture_init(&f, "mbv3-tiny", 1, 10, IMAGES, 1);
    sn_fixture_stir(&f, 2);
    sn_arch_largest(f.space, &arch);
    sn_plan_make(f.space, &arch, 1, 10, &largest);
    assert_int_equal(sn_bn_stats_new(f.net, &stats, &err), SN_OK);
    assert_int_equal(
        sn_static_space_new(f.compute, &largest, IMAGES, &space, &err), SN_OK);
    compare(&f, &arch, stats, space, &worst);
    sn_arch_smallest(f.space, &arch);
    compare(&f, &arch, stats, space, &worst);
    for (uint64_t i = 2; i < ARCHITECTURES; i++) {
        sn_fixture_sample(&f, i, &arch);
        compare(&f, &arch, stats, space, &worst);
    }
    print_message("worst logit is off by %g\n", worst);
    sn_static_space_free(space);
    sn_bn_stats_free(stats);
    sn_fixture_close(&f);
}

static void test_needs_statistics(void **state)
{
    struct sn_fixture f;
    struct sn_error err;
    struct sn_bn_stats *stats;
    struct sn_static *net = NULL;
    struct sn_arch arch;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, 1, 1);
    sn_arch_smallest(f.space, &arch);
    sn_subnet_bind(f.sub, NULL, &arch);
    assert_int_equal(sn_bn_stats_new(f.net, &stats, &err), SN_OK);
    assert_int_equal(sn_static_new(f.sub, stats, &net, &err), SN_ERR_INVALID);
    assert_null(net);
    sn_bn_stats_free(stats);
    sn_fixture_close(&f);
}

/* A static network owns its weights, and shows them as it uses them. */
static void test_owns_weights(void **state)
{
    struct sn_fixture f;
    struct sn_error err;
    struct sn_bn_stats *stats;
    struct sn_static_space *space;
    struct sn_static *net;
    struct sn_arch arch;
    float before[2 * 64];

    sn_fixture_init(&f, "mbv3-tiny", 1, 10, 2, 1);
    sn_fixture_sample(&f, 3, &arch);
    sn_subnet_bind(f.sub, NULL, &arch);
    assert_int_equal(sn_bn_stats_new(f.net, &stats, &err), SN_OK);
    sn_subnet_calibrate(f.sub, f.cx, f.ws, f.images, 2, stats);
    assert_int_equal(sn_static_new(f.sub, stats, &net, &err), SN_OK);
    assert_int_equal(
        sn_static_space_new(f.compute, sn_subnet_plan(f.sub), 2, &space, &err),
        SN_OK);
    sn_static_forward(net, f.cx, space, f.images, 2, f.logits);
    assert_true(2 * f.stride <= 2 * 64);
    memcpy(before, f.logits, 2 * f.stride * sizeof(float));
    memset(sn_supernet_weights(f.net), 0, f.size * sizeof(float));
    sn_static_forward(net, f.cx, space, f.images, 2, f.logits);
    assert_memory_equal(before, f.logits, 2 * f.stride * sizeof(float));

    const struct sn_folded_net *folded = sn_static_folded(net);
    assert_int_equal(folded->classifier.out, 10);
    assert_int_equal(folded->block[0].expand.out, 0);
    assert_int_equal(folded->block[1].expand.out, folded->plan.block[1].mid);
    assert_true(folded->block[1].depth.depthwise);
    sn_static_space_free(space);
    sn_static_free(net);
    sn_bn_stats_free(stats);
    sn_fixture_close(&f);
}

static void test_random_weights(void **state)
{
    struct sn_fixture f;
    struct sn_error err;
    struct sn_static_space *space;
    struct sn_static *net;
    struct sn_arch arch;
    struct sn_plan plan;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, 2, 1);
    sn_arch_largest(f.space, &arch);
    sn_plan_make(f.space, &arch, 1, 10, &plan);
    assert_int_equal(sn_static_new_random(f.compute, &plan, 1, &net, &err),
                     SN_OK);
    assert_int_equal(sn_static_space_new(f.compute, &plan, 2, &space, &err),
                     SN_OK);
    sn_static_forward(net, f.cx, space, f.images, 2, f.logits);
    for (size_t c = 0; c < 10; c++) {
        assert_true(isfinite(f.logits[c]));
        assert_true(f.logits[c] != f.logits[f.stride + c]);
    }
    sn_static_space_free(space);
    sn_static_free(net);
    sn_fixture_close(&f);
}

/* A batch goes through in groups and tiles, which must not be seen: every image
 * has the logits that it has alone, bit by bit. */
static void test_batches(void **state)
{
    enum { BATCH = 37 };
    struct sn_fixture f;
    struct sn_error err;
    struct sn_static_space *many, *one;
    struct sn_static *net;
    struct sn_arch arch;
    struct sn_plan plan;
    struct sn_arena arena;
    sn_fixture_init(&f, "mbv3-cifar", 1, 10, 1, 1);
    sn_arch_smallest(f.space, &arch);
    sn_plan_make(f.space, &arch, 1, 10, &plan);
    size_t image = (size_t)plan.resolution * (size_t)plan.resolution;
    assert_int_equal(sn_static_new_random(f.compute, &plan, 1, &net, &err),
                     SN_OK);
    assert_int_equal(sn_static_space_new(f.compute, &plan, BATCH, &many, &err),
                     SN_OK);
    assert_int_equal(sn_static_space_new(f.compute, &plan, 1, &one, &err),
                     SN_OK);
    assert_int_equal(
        sn_arena_init(&arena, sizeof(float) * (BATCH * (image + f.stride) + 64),
                      &err),
        SN_OK);
    float *images = sn_arena_floats(&arena, BATCH * image);
    float *logits = sn_arena_floats(&arena, BATCH * f.stride);
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    for (size_t i = 0; i < BATCH * image; i++)
        images[i] = (float)sn_rng_normal(&rng);
    sn_static_forward(net, f.cx, many, images, BATCH, logits);
    for (size_t i = 0; i < BATCH; i++) {
        sn_static_forward(net, f.cx, one, images + i * image, 1, f.logits);
        assert_memory_equal(f.logits, logits + i * f.stride,
                            f.stride * sizeof(float));
    }
    assert_int_equal(sn_cx_take_error(f.cx, &err), SN_OK);
    sn_arena_close(&arena);
    sn_static_space_free(many);
    sn_static_space_free(one);
    sn_static_free(net);
    sn_fixture_close(&f);
}

static void test_teacher_forward(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, IMAGES, 1);
    sn_fixture_stir(&f, 2);
    sn_fixture_sample(&f, 4, &arch);
    sn_subnet_bind(f.sub, NULL, &arch);
    sn_subnet_forward_train(f.sub, f.cx, f.ws, f.images, f.n, f.logits);
    sn_subnet_forward(f.sub, f.cx, f.ws, f.images, f.n, f.teacher);
    assert_memory_equal(f.logits, f.teacher,
                        (size_t)f.n * f.stride * sizeof(float));
    sn_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extracted),
        cmocka_unit_test(test_needs_statistics),
        cmocka_unit_test(test_owns_weights),
        cmocka_unit_test(test_random_weights),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_teacher_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
