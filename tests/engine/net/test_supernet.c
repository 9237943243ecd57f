/* Proves that the table of tensors is what files and optimizers rely on: unique
 * names, tensors that tile the flat array, sizes that agree with the plan's
 * cost, initialisation by seed with He's spread; and that mbv3-cifar runs
 * forward and backward with finite results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tests/engine/net/fixture.h"

static void check_table(const struct sn_fixture *f)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t), next = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = 1;
        for (int d = 0; d < t[i].ndim; d++) {
            count *= (size_t)t[i].shape[d];
        }
        assert_int_equal(t[i].count, count);
        assert_int_equal(t[i].offset, next);
        next += count;
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(t[i].name, t[j].name);
        }
    }
    assert_int_equal(next, f->size);
}

static size_t matrix_floats(const struct sn_fixture *f)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t), sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += strstr(t[i].name, "_matrix") != NULL ? t[i].count : 0;
    }
    return sum;
}

static void check_size(const struct sn_fixture *f)
{
    struct sn_arch arch;
    struct sn_plan plan;
    struct sn_cost cost;
    sn_arch_largest(f->space, &arch);
    sn_plan_make(f->space, &arch, sn_supernet_in_channels(f->net), f->classes,
                 &plan);
    sn_plan_cost(&plan, &cost);
    assert_int_equal(f->size - matrix_floats(f), (size_t)cost.params);
}

static void test_tiny(void **state)
{
    struct sn_fixture f;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, 1, 1);
    check_table(&f);
    check_size(&f);
    sn_fixture_close(&f);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return false;
        }
    }
    return true;
}

static void test_cifar(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    struct sn_loss loss = {4, 10, 0.1f, 1.0f, 0.0f, 0.25f};
    sn_fixture_init(&f, "mbv3-cifar", 3, 10, 4, 1);
    check_table(&f);
    check_size(&f);
    assert_true(fabs((double)(f.size - matrix_floats(&f)) - 1.777e6) < 1e3);

    sn_arch_largest(f.space, &arch);
    sn_subnet_bind(f.sub, NULL, &arch);
    double total = sn_fixture_step(&f, &loss);
    assert_true(isfinite(total) && total > 0.0);
    assert_true(all_finite(f.logits, 4 * f.stride));
    assert_true(all_finite(f.master, f.size));
    sn_fixture_close(&f);
}

static const struct sn_tensor *find(const struct sn_fixture *f,
                                    const char *name)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(t[i].name, name) == 0) {
            return &t[i];
        }
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

/* Names as in Once-for-All's published state dict. */
static void test_names(void **state)
{
    static const struct {
        const char *name;
        int ndim;
        bool decays;
    } known[] = {
        {"first_conv.conv.weight", 4, true},
        {"first_conv.bn.bias", 1, false},
        {"blocks.0.conv.depth_conv.conv.weight", 4, true},
        {"blocks.0.conv.point_linear.bn.weight", 1, false},
        {"blocks.1.conv.inverted_bottleneck.conv.conv.weight", 4, true},
        {"blocks.1.conv.inverted_bottleneck.bn.bn.weight", 1, false},
        {"blocks.1.conv.depth_conv.conv.conv.weight", 4, true},
        {"blocks.1.conv.depth_conv.conv.7to5_matrix", 2, false},
        {"blocks.1.conv.depth_conv.conv.5to3_matrix", 2, false},
        {"blocks.1.conv.point_linear.conv.conv.weight", 4, true},
        {"blocks.5.conv.depth_conv.se.fc.reduce.weight", 4, true},
        {"blocks.5.conv.depth_conv.se.fc.expand.bias", 1, false},
        {"blocks.20.conv.point_linear.bn.bn.bias", 1, false},
        {"final_expand_layer.conv.weight", 4, true},
        {"feature_mix_layer.conv.weight", 4, true},
        {"classifier.linear.weight", 2, true},
        {"classifier.linear.bias", 1, false},
    };
    struct sn_fixture f;
    sn_fixture_init(&f, "mbv3-cifar", 3, 10, 1, 1);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct sn_tensor *t = find(&f, known[i].name);
        assert_int_equal(t->ndim, known[i].ndim);
        assert_int_equal(t->decays, known[i].decays);
    }
    sn_fixture_close(&f);
}

/* Mean 0 and He's deviation by fan-out, within five standard errors. */
static void check_he(const struct sn_fixture *f, const char *name)
{
    const struct sn_tensor *t = find(f, name);
    const float *w = sn_supernet_weights(f->net) + t->offset;
    double fan_out = (double)(t->shape[0] * t->shape[2] * t->shape[3]);
    double sigma = sqrt(2.0 / fan_out), n = (double)t->count;
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < t->count; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    assert_true(fabs(sum / n) < 5 * sigma / sqrt(n));
    assert_true(fabs(squares / n / (sigma * sigma) - 1) < 5 * sqrt(2 / n));
}

static void test_start(void **state)
{
    struct sn_fixture f, same, other;
    sn_fixture_init(&f, "mbv3-cifar", 3, 10, 1, 1);
    sn_fixture_init(&same, "mbv3-cifar", 3, 10, 1, 1);
    sn_fixture_init(&other, "mbv3-cifar", 3, 10, 1, 2);
    const float *w = sn_supernet_weights(f.net);
    assert_memory_equal(w, sn_supernet_weights(same.net),
                        f.size * sizeof(float));
    assert_memory_not_equal(w, sn_supernet_weights(other.net),
                            f.size * sizeof(float));
    check_he(&f, "first_conv.conv.weight");
    check_he(&f, "blocks.20.conv.inverted_bottleneck.conv.conv.weight");
    check_he(&f, "blocks.20.conv.depth_conv.conv.conv.weight");
    check_he(&f, "feature_mix_layer.conv.weight");

    const struct sn_tensor *m =
        find(&f, "blocks.3.conv.depth_conv.conv.7to5_matrix");
    for (int i = 0; i < 25 * 25; i++) {
        assert_true(w[m->offset + (size_t)i] == (i % 26 == 0 ? 1.0f : 0.0f));
    }
    const struct sn_tensor *g =
        find(&f, "blocks.3.conv.point_linear.bn.bn.weight");
    assert_true(w[g->offset] == 1.0f && w[g->offset + 1] == 1.0f);
    assert_true(w[find(&f, "classifier.linear.bias")->offset] == 0.0f);
    sn_fixture_close(&other);
    sn_fixture_close(&same);
    sn_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_cifar),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
