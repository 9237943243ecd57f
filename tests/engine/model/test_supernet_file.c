/* A supernet goes out and comes back bit by bit, statistics included, for the
 * smaller built-in spaces and a large one; published files' older names,
 * half-precision values and the direction of the kernel transforms are
 * understood; a file that lacks a tensor, has one too many, of another shape,
 * type or space, or without finite values, is refused with its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/safetensors.h"
#include "engine/model/supernet_file.h"
#include "engine/net/static.h"
#include "engine/rng.h"
#include "tests/engine/model/help.h"

struct bench {
    char folder[SN_HELP_PATH], path[SN_HELP_PATH], again[SN_HELP_PATH];
    struct sn_compute *compute;
    const struct sn_space *space;
    struct sn_supernet *net;
    struct sn_running *running;
};

static void open_space(struct bench *b, const char *space, int channels,
                       int classes, uint64_t seed)
{
    struct sn_error err = {0};
    b->space = sn_space_find(space);
    if (sn_supernet_new(b->compute, b->space, channels, classes, seed, &b->net,
                        &err) != SN_OK ||
        sn_running_new(b->net, &b->running, &err) != SN_OK)
        fail_msg("%s", err.message);
}

static void close_space(struct bench *b)
{
    sn_running_free(b->running);
    sn_supernet_free(b->net);
    b->running = NULL;
    b->net = NULL;
}

static int setup(void **state)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    sn_help_folder(b.folder);
    sn_help_path(b.folder, "a.safetensors", b.path);
    sn_help_path(b.folder, "b.safetensors", b.again);
    assert_int_equal(sn_compute_new(NULL, &b.compute, NULL), SN_OK);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    close_space(b);
    sn_compute_free(b->compute);
    sn_help_remove(b->folder);
    return 0;
}

/* Nothing is at its start any more. */
static void stir(struct bench *b)
{
    struct sn_rng rng = sn_rng_make(3, SN_STREAM_INIT, 77);
    float *w = sn_supernet_weights(b->net);
    struct sn_running_bn *bns;
    size_t n = sn_running_bns(b->running, &bns);
    for (size_t i = 0; i < sn_supernet_size(b->net); i++)
        w[i] += (float)(0.1 * sn_rng_normal(&rng));
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < bns[i].channels; c++) {
            bns[i].mean[c] = (float)sn_rng_normal(&rng);
            bns[i].var[c] = (float)(0.5 + sn_rng_uniform(&rng));
        }
        bns[i].batches = (int64_t)(1000 + i);
    }
}

static const struct sn_supernet_info plain_info = {
    .step = 4711,
    .normalises = true,
    .mean = {0.485f, 0.456f, 0.406f},
    .std = {0.229f, 0.224f, 0.225f},
    .dataset = "flowers",
    .dataset_checksum = "0123456789abcdef"};

static void write_to(struct bench *b, const char *path, bool statistics)
{
    struct sn_error err = {0};
    if (sn_supernet_file_write(path, b->net, statistics ? b->running : NULL,
                               &plain_info, "daisy\nrose", "1.0",
                               &err) != SN_OK)
        fail_msg("%s", err.message);
}

static struct sn_supernet_file *open_file(struct bench *b, const char *path)
{
    struct sn_supernet_file *file = NULL;
    struct sn_error err = {0};
    if (sn_supernet_file_open(path, b->compute, b->space, &file, &err) != SN_OK)
        fail_msg("%s", err.message);
    return file;
}

/* Writes, reads into another supernet, compares, writes that: equal files. */
static void round_trip(struct bench *b, bool statistics)
{
    struct sn_error err = {0};
    struct bench other = *b;
    size_t n_a, n_b;
    stir(b);
    write_to(b, b->path, statistics);
    struct sn_supernet_file *file = open_file(b, b->path);
    const struct sn_supernet_info *info = sn_supernet_file_info(file);
    assert_int_equal(info->step, 4711);
    assert_int_equal(info->has_statistics, statistics);
    assert_true(info->normalises);
    assert_memory_equal(info->std, plain_info.std,
                        sizeof(float) * (size_t)info->in_channels);
    assert_string_equal(info->dataset, "flowers");
    assert_string_equal(sn_supernet_file_labels(file), "daisy\nrose");
    open_space(&other, b->space->name, info->in_channels, info->classes, 9);
    if (sn_supernet_file_load(file, other.net, other.running, &err) != SN_OK)
        fail_msg("%s", err.message);
    assert_memory_equal(sn_supernet_weights(other.net),
                        sn_supernet_weights(b->net),
                        sizeof(float) * sn_supernet_size(b->net));
    write_to(&other, b->again, statistics);
    unsigned char *a = sn_help_read(b->path, &n_a);
    unsigned char *c = sn_help_read(b->again, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, c, n_a);
    free(a);
    free(c);
    sn_supernet_file_free(file);
    close_space(&other);
}

static void test_round_trip(void **state)
{
    static const struct {
        const char *space;
        int channels, classes;
        bool statistics;
    } cases[] = {{"mbv3-tiny", 1, 7, true},
                 {"mbv3-cifar", 3, 100, false},
                 {"resnet-tiny", 2, 11, true},
                 {"ofa-proxyless", 3, 5, true}};
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_space(b, cases[i].space, cases[i].channels, cases[i].classes, 1);
        round_trip(b, cases[i].statistics);
        struct sn_supernet_file *file = open_file(b, b->path);
        const struct sn_supernet_info *info = sn_supernet_file_info(file);
        assert_int_equal(info->in_channels, cases[i].channels);
        assert_int_equal(info->classes, cases[i].classes);
        sn_supernet_file_free(file);
        close_space(b);
    }
}

static void test_space_is_named(void **state)
{
    struct bench *b = *state;
    struct sn_supernet_file *file = NULL;
    struct sn_error err = {0};
    char name[SN_NAME_MAX];
    open_space(b, "mbv3-tiny", 1, 7, 1);
    write_to(b, b->path, false);
    assert_int_equal(sn_supernet_file_space(b->path, name, &err), SN_OK);
    assert_string_equal(name, "mbv3-tiny");
    assert_int_equal(sn_supernet_file_open(b->path, b->compute,
                                           sn_space_find("mbv3-cifar"), &file,
                                           &err),
                     SN_ERR_INVALID);
    assert_non_null(strstr(err.message, "mbv3-tiny"));
    assert_string_equal(err.pointer, "/space");
}

/* ---- files of others: the tensors of a.safetensors, changed ---- */

struct foreign {
    struct sn_st_tensor tensor[2048];
    char name[2048][160];
    size_t n;
    struct sn_safetensors *file;
};

static struct foreign *load_foreign(struct bench *b)
{
    struct foreign *f = calloc(1, sizeof *f);
    struct sn_error err = {0};
    assert_non_null(f);
    write_to(b, b->path, true);
    if (sn_safetensors_open(b->path, &f->file, &err) != SN_OK)
        fail_msg("%s", err.message);
    f->n = sn_safetensors_count(f->file);
    for (size_t i = 0; i < f->n; i++) {
        f->tensor[i] = *sn_safetensors_at(f->file, i);
        snprintf(f->name[i], sizeof f->name[i], "%s", f->tensor[i].name);
        f->tensor[i].name = f->name[i];
    }
    return f;
}

static void write_foreign(struct bench *b, const struct foreign *f)
{
    static const struct sn_note note = {"format", "pt"};
    struct sn_error err = {0};
    if (sn_safetensors_write(b->again, f->tensor, f->n, &note, 1, &err) !=
        SN_OK)
        fail_msg("%s", err.message);
}

static void free_foreign(struct foreign *f)
{
    sn_safetensors_free(f->file);
    free(f);
}

static size_t find_foreign(const struct foreign *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->name[i], name) == 0)
            return i;
    fail_msg("no tensor %s", name);
    return 0;
}

static void replace(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from), rest[160];
    if (at == NULL)
        return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    sprintf(at, "%s%s", to, rest);
}

static void expect_equal_load(struct bench *b)
{
    struct bench other = *b;
    struct sn_error err = {0};
    struct sn_supernet_file *file = open_file(b, b->again);
    const struct sn_supernet_info *info = sn_supernet_file_info(file);
    open_space(&other, b->space->name, info->in_channels, info->classes, 9);
    if (sn_supernet_file_load(file, other.net, other.running, &err) != SN_OK)
        fail_msg("%s", err.message);
    assert_memory_equal(sn_supernet_weights(other.net),
                        sn_supernet_weights(b->net),
                        sizeof(float) * sn_supernet_size(b->net));
    sn_supernet_file_free(file);
    close_space(&other);
}

struct renaming {
    const char *present, *older;
};

/* The present supernet under older names, which stay in `f`. */
static struct foreign *expect_older(struct bench *b,
                                    const struct renaming *renaming, size_t n)
{
    stir(b);
    struct foreign *f = load_foreign(b);
    for (size_t r = 0; r < n; r++) {
        size_t changed = 0;
        for (size_t i = 0; i < f->n; i++) {
            changed += strstr(f->name[i], renaming[r].present) != NULL;
            replace(f->name[i], renaming[r].present, renaming[r].older);
        }
        assert_int_not_equal(changed, 0);
    }
    write_foreign(b, f);
    expect_equal_load(b);
    return f;
}

static void test_older_names(void **state)
{
    static const struct renaming renamed[] = {
        {".conv.depth_conv.", ".mobile_inverted_conv.depth_conv."},
        {".conv.point_linear.", ".mobile_inverted_conv.point_linear."},
        {".conv.inverted_bottleneck.",
         ".mobile_inverted_conv.inverted_bottleneck."},
        {".bn.bn.", ".bn."},
        {".conv.conv.weight", ".conv.weight"},
        {"classifier.linear.", "classifier.linear.linear."},
    };
    static const char *const spaces[] = {"mbv3-tiny", "ofa-proxyless"};
    struct bench *b = *state;
    for (size_t s = 0; s < 2; s++) {
        open_space(b, spaces[s], 1, 7, 1);
        struct foreign *f =
            expect_older(b, renamed, sizeof renamed / sizeof renamed[0]);
        /* and the other way round: what is single in the plain parts, doubled
         */
        replace(f->name[find_foreign(f, "first_conv.bn.weight")], ".bn.",
                ".bn.bn.");
        replace(f->name[find_foreign(f, "first_conv.conv.weight")],
                ".conv.weight", ".conv.conv.weight");
        write_foreign(b, f);
        expect_equal_load(b);
        free_foreign(f);
        close_space(b);
    }
}

/* The residual convolution of the stem keeps a doubled part. */
static void test_older_names_of_resnets(void **state)
{
    static const struct renaming renamed[] = {
        {".bn.bn.", ".bn."},
        {".conv.conv.weight", ".conv.weight"},
        {".linear.linear.", ".linear."},
    };
    struct bench *b = *state;
    open_space(b, "resnet-tiny", 3, 7, 1);
    struct foreign *f =
        expect_older(b, renamed, sizeof renamed / sizeof renamed[0]);
    find_foreign(f, "input_stem.0.conv.weight");
    find_foreign(f, "input_stem.1.conv.conv.weight");
    find_foreign(f, "blocks.0.downsample.bn.running_mean");
    find_foreign(f, "classifier.linear.bias");
    free_foreign(f);
}

static void expect_refusal(struct bench *b, const struct foreign *f,
                           const char *a, const char *c)
{
    struct sn_supernet_file *file = NULL;
    struct sn_error err = {0};
    write_foreign(b, f);
    assert_int_equal(
        sn_supernet_file_open(b->again, b->compute, b->space, &file, &err),
        SN_ERR_INVALID);
    if (strstr(err.message, a) == NULL || strstr(err.message, c) == NULL)
        fail_msg("%s", err.message);
}

static void test_missing(void **state)
{
    struct bench *b = *state;
    open_space(b, "mbv3-tiny", 1, 7, 1);
    struct foreign *f = load_foreign(b);
    size_t i = find_foreign(f, "blocks.3.conv.point_linear.bn.bn.running_var");
    f->tensor[i] = f->tensor[--f->n];
    expect_refusal(b, f, "1 are missing",
                   "blocks.3.conv.point_linear.bn.bn.running_var");
    free_foreign(f);

    f = load_foreign(b);
    i = find_foreign(f, "classifier.linear.bias");
    f->tensor[i] = f->tensor[--f->n];
    expect_refusal(b, f, "missing", "classifier.linear.bias");
    free_foreign(f);
}

static void test_unexpected(void **state)
{
    struct bench *b = *state;
    static const float value[4];
    open_space(b, "mbv3-tiny", 1, 7, 1);
    struct foreign *f = load_foreign(b);
    for (int i = 0; i < 3; i++) {
        sprintf(f->name[f->n], "extra.%d", i);
        f->tensor[f->n] = sn_st_vector(f->name[f->n], SN_ST_F32, 4, value);
        f->n++;
    }
    expect_refusal(b, f, "3 are unexpected (extra.0, extra.1, ...)", "");
    f->n -= 3;
    sprintf(f->name[f->n], "first_conv.bn.bn.weight");
    f->tensor[f->n] = f->tensor[find_foreign(f, "first_conv.bn.weight")];
    f->tensor[f->n].name = f->name[f->n];
    f->n++;
    expect_refusal(b, f, "two names", "first_conv.bn");
    free_foreign(f);
}

static void test_shape_and_type(void **state)
{
    struct bench *b = *state;
    open_space(b, "mbv3-tiny", 1, 7, 1);
    struct foreign *f = load_foreign(b);
    size_t i = find_foreign(f, "blocks.2.conv.point_linear.conv.conv.weight");
    int64_t *shape = f->tensor[i].shape, first = shape[0];
    shape[0] = shape[1];
    shape[1] = first;
    expect_refusal(b, f, "1 have another shape", f->name[i]);
    shape[1] = shape[0];
    shape[0] = first;
    i = find_foreign(f, "blocks.2.conv.point_linear.bn.bn.weight");
    f->tensor[i].dtype = SN_ST_I32;
    expect_refusal(b, f, "1 have a type that is not read", f->name[i]);
    free_foreign(f);
}

static void test_sizes(void **state)
{
    struct bench *b = *state;
    open_space(b, "mbv3-tiny", 1, 7, 1);
    struct foreign *f = load_foreign(b);
    f->tensor[find_foreign(f, "classifier.linear.bias")].shape[0] = 0;
    expect_refusal(b, f, "classifier.linear.bias", "2 to 1000");
    free_foreign(f);
}

static void test_values(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct bench *b = *state;
    struct sn_error err = {0};
    open_space(b, "mbv3-tiny", 1, 7, 1);
    for (size_t i = 0; i < 3; i++) {
        sn_supernet_weights(b->net)[5] = bad[i];
        write_to(b, b->path, true);
        struct sn_supernet_file *file = open_file(b, b->path);
        assert_int_equal(sn_supernet_file_load(file, b->net, NULL, &err),
                         SN_ERR_INVALID);
        assert_non_null(strstr(err.message, "first_conv.conv.weight"));
        sn_supernet_file_free(file);
    }
}

/* Half precisions: exact where a value has few digits. */
static void test_half(void **state)
{
    static const uint16_t f16[] = {0x3c00, 0xc100, 0x0001, 0x8000, 0x7bff};
    static const float f16_is[] = {1.0f, -2.5f, 5.9604644775390625e-8f, -0.0f,
                                   65504.0f};
    static const uint16_t bf16[] = {0x3f80, 0xc020, 0x0001, 0x8000, 0x7f7f};
    static const float bf16_is[] = {1.0f, -2.5f, 9.18354961579912e-41f, -0.0f,
                                    3.3895314e38f};
    struct bench *b = *state;
    struct sn_error err = {0};
    uint16_t bits[16], bits2[16];
    open_space(b, "mbv3-tiny", 1, 7, 1);
    struct foreign *f = load_foreign(b);
    size_t i = find_foreign(f, "first_conv.bn.weight");
    size_t j = find_foreign(f, "first_conv.bn.bias");
    assert_int_equal(f->tensor[i].shape[0], 16);
    for (int c = 0; c < 16; c++) {
        bits[c] = f16[c % 5];
        bits2[c] = bf16[c % 5];
    }
    f->tensor[i].dtype = SN_ST_F16;
    f->tensor[i].data = bits;
    f->tensor[j].dtype = SN_ST_BF16;
    f->tensor[j].data = bits2;
    write_foreign(b, f);
    free_foreign(f);
    struct sn_supernet_file *file = open_file(b, b->again);
    assert_int_equal(sn_supernet_file_load(file, b->net, NULL, &err), SN_OK);
    sn_supernet_file_free(file);
    const struct sn_tensor *t;
    sn_supernet_tensors(b->net, &t);
    const float *w = sn_supernet_weights(b->net);
    for (int k = 1; k < 3; k++)
        for (int c = 0; c < 16; c++) {
            float want = k == 1 ? f16_is[c % 5] : bf16_is[c % 5];
            assert_memory_equal(&w[t[k].offset + (size_t)c], &want, 4);
        }
}

/* ---- what an architecture takes from a file ---- */

static const struct sn_tensor *tensor_of(struct bench *b, const char *name,
                                         float **ret)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(b->net, &t);
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0) {
            *ret = sn_supernet_weights(b->net) + t[i].offset;
            return &t[i];
        }
    fail_msg("no tensor %s", name);
    return NULL;
}

static struct sn_static *extract(struct bench *b, const struct sn_arch *arch)
{
    struct sn_subnet *sub = NULL;
    struct sn_bn_stats *stats = NULL;
    struct sn_static *net = NULL;
    assert_int_equal(sn_subnet_new(b->net, &sub, NULL), SN_OK);
    assert_int_equal(sn_bn_stats_new(b->net, &stats, NULL), SN_OK);
    sn_subnet_bind(sub, NULL, arch);
    sn_running_give(b->running, stats);
    assert_int_equal(sn_static_new(sub, stats, &net, NULL), SN_OK);
    sn_bn_stats_free(stats);
    sn_subnet_free(sub);
    return net;
}

/* The matrix is [out][in], applied to the centre 3x3 of the 5x5, row by row: a
 * matrix whose row 2 (top right) takes 10 times input 3 (middle left) makes
 * the top right tap ten times what stands at row 2, column 1 of the 5x5. */
static void test_transform_direction(void **state)
{
    struct bench *b = *state;
    struct sn_arch arch;
    float *w, *matrix, *gamma;
    open_space(b, "mbv3-tiny", 1, 7, 1);
    tensor_of(b, "blocks.1.conv.depth_conv.conv.conv.weight", &w);
    tensor_of(b, "blocks.1.conv.depth_conv.conv.5to3_matrix", &matrix);
    const struct sn_tensor *t =
        tensor_of(b, "blocks.1.conv.depth_conv.bn.bn.weight", &gamma);
    for (size_t c = 0; c < t->count; c++)
        gamma[c] =
            sqrtf(1.0f + b->space->bn_eps); /* over 1 + eps: a scale of 1 */
    for (int i = 0; i < 25; i++)
        w[i] = (float)(i + 1); /* row 2, column 1: 12 */
    memset(matrix + (ptrdiff_t)9 * 2, 0, 9 * sizeof(float));
    matrix[9 * 2 + 3] = 10.0f;
    sn_arch_smallest(b->space, &arch);
    assert_int_equal(arch.kernel[0][0], 3);
    struct sn_static *net = extract(b, &arch);
    const float *got = sn_static_folded(net)->block[1].depth.weight;
    static const float want[9] = {7, 8, 120, 12, 13, 14, 17, 18, 19};
    for (int i = 0; i < 9; i++)
        assert_true(fabsf(got[i] - want[i]) < 1e-4f);
    sn_static_free(net);
}

/* y = gamma (x - mean) / sqrt(var + eps) + beta, by hand for one channel. */
static void test_statistics_are_used(void **state)
{
    struct bench *b = *state;
    struct sn_running_bn *bns;
    struct sn_arch arch;
    float *w, *gamma, *beta;
    open_space(b, "mbv3-tiny", 1, 7, 1);
    tensor_of(b, "first_conv.conv.weight", &w);
    tensor_of(b, "first_conv.bn.weight", &gamma);
    tensor_of(b, "first_conv.bn.bias", &beta);
    sn_running_bns(b->running, &bns);
    assert_string_equal(bns[0].name, "first_conv.bn");
    w[0] = 3.0f;
    gamma[0] = 2.0f;
    beta[0] = 0.5f;
    bns[0].mean[0] = 1.5f;
    bns[0].var[0] = 4.0f - b->space->bn_eps;
    sn_arch_largest(b->space, &arch);
    struct sn_static *net = extract(b, &arch);
    const struct sn_folded *stem = &sn_static_folded(net)->stem;
    assert_true(fabsf(stem->weight[0] - 3.0f) < 1e-5f);
    assert_true(fabsf(stem->bias[0] + 1.0f) < 1e-5f); /* 0.5 - 1.5 * 2/2 */
    sn_static_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_space_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_names_of_resnets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unexpected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shape_and_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transform_direction, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_statistics_are_used, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
