/* Supernets have every tensor of Once-for-All's state dicts, by name, and none
 * besides, in the shapes that these have: of ResNet50 and of ProxylessNAS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/net/net.h"

struct bench {
    struct sn_compute *compute;
    const struct sn_space *space;
    struct sn_supernet *net; /* an outline: no weights */
};

static int setup(void **state)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    assert_int_equal(sn_compute_new(NULL, &b.compute, NULL), SN_OK);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    sn_supernet_free(b->net);
    sn_compute_free(b->compute);
    return 0;
}

struct shape {
    const char *name;
    int ndim;
    int64_t shape[4];
};

static const struct sn_tensor *named(struct bench *b, const char *prefix,
                                     const char *name)
{
    const struct sn_tensor *t;
    char whole[128];
    size_t n = sn_supernet_tensors(b->net, &t);
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, whole) == 0)
            return &t[i];
    fail_msg("%s has no tensor %s", b->space->name, whole);
    return NULL;
}

/* Each of the list is there; returns how many they are. */
static size_t expect_names(struct bench *b, const char *prefix,
                           const char *const *names)
{
    size_t n = 0;
    for (; names[n]; n++)
        named(b, prefix, names[n]);
    return n;
}

static void expect_shapes(struct bench *b, const struct shape *shape, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct sn_tensor *t = named(b, "", shape[i].name);
        assert_int_equal(t->ndim, shape[i].ndim);
        for (int d = 0; d < t->ndim; d++)
            if (t->shape[d] != shape[i].shape[d])
                fail_msg("%s, dimension %d", t->name, d);
    }
}

static void outline(struct bench *b, const char *space, int classes)
{
    struct sn_error err = {0};
    b->space = sn_space_find(space);
    if (sn_supernet_outline(b->compute, b->space, 3, classes, &b->net, &err) !=
        SN_OK)
        fail_msg("%s", err.message);
}

static void test_names_of_resnet50(void **state)
{
    static const char *const outer[] = {"input_stem.0.conv.conv.weight",
                                        "input_stem.0.bn.bn.weight",
                                        "input_stem.0.bn.bn.bias",
                                        "input_stem.1.conv.bn.bn.weight",
                                        "input_stem.1.conv.conv.conv.weight",
                                        "input_stem.1.conv.bn.bn.bias",
                                        "input_stem.2.conv.conv.weight",
                                        "input_stem.2.bn.bn.weight",
                                        "input_stem.2.bn.bn.bias",
                                        "classifier.linear.linear.weight",
                                        "classifier.linear.linear.bias",
                                        NULL};
    static const char *const inner[] = {
        "conv1.conv.conv.weight", "conv1.bn.bn.weight",
        "conv1.bn.bn.bias",       "conv2.conv.conv.weight",
        "conv2.bn.bn.weight",     "conv2.bn.bn.bias",
        "conv3.conv.conv.weight", "conv3.bn.bn.weight",
        "conv3.bn.bn.bias",       NULL};
    static const char *const shortcut[] = {"downsample.conv.conv.weight",
                                           "downsample.bn.bn.weight",
                                           "downsample.bn.bn.bias", NULL};
    static const struct shape shapes[] = {
        {"input_stem.0.conv.conv.weight", 4, {32, 3, 3, 3}},
        {"input_stem.1.conv.conv.conv.weight", 4, {32, 32, 3, 3}},
        {"input_stem.2.conv.conv.weight", 4, {64, 32, 3, 3}},
        {"blocks.0.conv1.conv.conv.weight", 4, {88, 64, 1, 1}},
        {"blocks.3.conv2.conv.conv.weight", 4, {88, 88, 3, 3}},
        {"blocks.14.conv1.conv.conv.weight", 4, {720, 1024, 1, 1}},
        {"blocks.17.conv3.conv.conv.weight", 4, {2048, 720, 1, 1}},
        {"blocks.14.downsample.conv.conv.weight", 4, {2048, 1024, 1, 1}},
        {"classifier.linear.linear.weight", 2, {1000, 2048}},
        {"classifier.linear.linear.bias", 1, {1000}},
    };
    struct bench *b = *state;
    const struct sn_tensor *t;
    outline(b, "ofa-resnet50", 1000);
    size_t n = expect_names(b, "", outer);
    for (int i = 0; i < 18; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "blocks.%d.", i);
        n += expect_names(b, prefix, inner);
        if (i == 0 || i == 4 || i == 8 || i == 14)
            n += expect_names(b, prefix, shortcut);
    }
    assert_int_equal(sn_supernet_tensors(b->net, &t), n);
    expect_shapes(b, shapes, sizeof shapes / sizeof shapes[0]);
}

static void test_names_of_proxyless(void **state)
{
    static const char *const outer[] = {
        "first_conv.conv.weight",
        "first_conv.bn.weight",
        "first_conv.bn.bias",
        "blocks.0.conv.depth_conv.conv.weight",
        "blocks.0.conv.depth_conv.bn.weight",
        "blocks.0.conv.depth_conv.bn.bias",
        "blocks.0.conv.point_linear.conv.weight",
        "blocks.0.conv.point_linear.bn.weight",
        "blocks.0.conv.point_linear.bn.bias",
        "feature_mix_layer.conv.weight",
        "feature_mix_layer.bn.weight",
        "feature_mix_layer.bn.bias",
        "classifier.linear.weight",
        "classifier.linear.bias",
        NULL};
    static const char *const inner[] = {"inverted_bottleneck.conv.conv.weight",
                                        "inverted_bottleneck.bn.bn.weight",
                                        "inverted_bottleneck.bn.bn.bias",
                                        "depth_conv.conv.conv.weight",
                                        "depth_conv.conv.5to3_matrix",
                                        "depth_conv.conv.7to5_matrix",
                                        "depth_conv.bn.bn.weight",
                                        "depth_conv.bn.bn.bias",
                                        "point_linear.conv.conv.weight",
                                        "point_linear.bn.bn.weight",
                                        "point_linear.bn.bn.bias",
                                        NULL};
    struct bench *b = *state;
    const struct sn_tensor *t;
    outline(b, "ofa-proxyless", 1000);
    size_t n = expect_names(b, "", outer);
    for (int i = 1; i <= 21; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "blocks.%d.conv.", i);
        n += expect_names(b, prefix, inner);
    }
    assert_int_equal(sn_supernet_tensors(b->net, &t), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_of_resnet50, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_of_proxyless, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
