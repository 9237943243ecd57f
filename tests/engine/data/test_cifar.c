/* CIFAR data sets: records become images with their planes interleaved, the
 * fine label is the one that counts, the archive's folder is found; a cut, a
 * label out of range or a missing file is refused with the file named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/data/data.h"

/* A batch of images as large as they are stored. */
static void take(const struct sn_view *view, enum sn_split split,
                 const uint32_t *index, uint32_t n,
                 const struct sn_augment *aug, float *images, int32_t *labels)
{
    struct sn_batch batch = {split, index, n, 32, aug};
    struct sn_view_room *room;
    assert_int_equal(sn_view_room_new(&room, NULL), SN_OK);
    assert_int_equal(sn_view_batch(view, &batch, room, images, labels, NULL),
                     SN_OK);
    sn_view_room_free(room);
}

enum { N = 6, PIXELS = 1024 };

static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin",
                                    "data_batch_3.bin", "data_batch_4.bin",
                                    "data_batch_5.bin", "test_batch.bin",
                                    "train.bin",        "test.bin"};
static const char *const folders[] = {"/cifar-10-batches-bin",
                                      "/cifar-100-binary", ""};

static uint8_t pixel(int p, int c)
{
    return (uint8_t)(c * 80 + p % 64);
}

/* N images with the labels first, first + 1, ...; coarse ones where >= 0. */
static void put_file(const char *dir, const char *sub, const char *name,
                     int coarse, int first)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s/%s", dir, sub, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < N; i++) {
        if (coarse >= 0)
            fputc(coarse, f);
        fputc(first + i, f);
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < PIXELS; p++)
                fputc(pixel(p, c), f);
    }
    assert_int_equal(fclose(f), 0);
}

static void put_cifar10(const char *dir, const char *sub)
{
    for (int i = 0; i < 6; i++)
        put_file(dir, sub, names[i], -1, i % 4);
}

static void put_cifar100(const char *dir, const char *sub)
{
    put_file(dir, sub, "train.bin", 19, 94);
    put_file(dir, sub, "test.bin", 0, 0);
}

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sn-cifar-XXXXXX");
    *state = dir;
    return dir == NULL || mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char path[256];
    for (int f = 0; f < 3; f++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            snprintf(path, sizeof path, "%s%s/%s", (char *)*state, folders[f],
                     names[i]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s%s", (char *)*state, folders[f]);
        rmdir(path);
    }
    free(*state);
    return 0;
}

static struct sn_dataset *open_set(const char *format, const char *dir)
{
    struct sn_dataset *data = NULL;
    struct sn_error err;
    if (sn_dataset_open(format, dir, &data, &err) != SN_OK)
        fail_msg("%s", err.message);
    return data;
}

static void assert_refused(const char *format, const char *dir,
                           enum sn_err code, const char *word)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    enum sn_err rc = sn_dataset_open(format, dir, &data, &err);
    if (rc != code || strstr(err.message, word) == NULL)
        fail_msg("%s: \"%s\", without \"%s\"", sn_err_name(rc), err.message,
                 word);
    assert_null(data);
}

static void test_images_are_as_in_the_file(void **state)
{
    static float image[3 * PIXELS];
    struct sn_dataset_info info;
    struct sn_view *view;
    int32_t label;
    put_cifar10(*state, "");
    struct sn_dataset *data = open_set("cifar10", *state);
    sn_dataset_info(data, &info);
    assert_int_equal(info.train, 5 * N);
    assert_int_equal(info.test, N);
    assert_int_equal(info.classes, 10);
    assert_int_equal(info.channels, 3);
    assert_int_equal(info.height, 32);
    assert_int_equal(info.width, 32);
    assert_int_equal(sn_view_new(data, 1, 1, 0, &view, NULL), SN_OK);
    take(view, SN_SPLIT_TEST, &(uint32_t){2}, 1, NULL, image, &label);
    assert_int_equal(label, 3);
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < PIXELS; p++) {
            double v = (double)image[c * PIXELS + p] * (double)info.std[c];
            v = 255 * (v + (double)info.mean[c]);
            assert_true(fabs(v - pixel(p, c)) < 0.01);
        }
    sn_view_free(view);
    sn_dataset_free(data);
}

static void test_fine_labels_count(void **state)
{
    struct sn_dataset_info info;
    struct sn_view *view;
    static float image[3 * PIXELS];
    int32_t label;
    put_cifar100(*state, "");
    struct sn_dataset *data = open_set("cifar100", *state);
    sn_dataset_info(data, &info);
    assert_int_equal(info.classes, 100);
    assert_int_equal(info.train, N);
    assert_int_equal(sn_view_new(data, 1, 0, 0, &view, NULL), SN_OK);
    take(view, SN_SPLIT_TRAIN, &(uint32_t){0}, 1, NULL, image, &label);
    assert_in_range(label, 94, 99);
    sn_view_free(view);
    sn_dataset_free(data);
}

static void test_folder_of_the_archive(void **state)
{
    for (int f = 0; f < 2; f++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s", (char *)*state, folders[f]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    put_cifar10(*state, folders[0]);
    put_cifar100(*state, folders[1]);
    sn_dataset_free(open_set("cifar10", *state));
    sn_dataset_free(open_set("cifar100", *state));
}

static void test_cut_files(void **state)
{
    static const int cuts[] = {0, 1, 3072, 3074, 6 * 3073 - 1, 6 * 3073 + 1};
    char path[256];
    put_cifar10(*state, "");
    snprintf(path, sizeof path, "%s/data_batch_4.bin", (char *)*state);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_int_equal(truncate(path, cuts[i]), 0);
        assert_refused("cifar10", *state, SN_ERR_CORRUPT, "data_batch_4.bin: ");
    }
}

static void test_labels_out_of_range(void **state)
{
    put_cifar10(*state, "");
    put_file(*state, "", "data_batch_5.bin", -1, 5);
    assert_refused("cifar10", *state, SN_ERR_CORRUPT,
                   "data_batch_5.bin: image 5 has the label 10");
    put_cifar100(*state, "");
    put_file(*state, "", "test.bin", 3, 95);
    assert_refused("cifar100", *state, SN_ERR_CORRUPT,
                   "test.bin: image 5 has the label 100");
    put_file(*state, "", "test.bin", 20, 0);
    assert_refused("cifar100", *state, SN_ERR_CORRUPT,
                   "test.bin: image 0 has the label 20");
}

static void test_missing_files(void **state)
{
    assert_refused("cifar100", *state, SN_ERR_NOTFOUND, "train.bin: ");
    put_cifar10(*state, "");
    for (int i = 0; i < 6; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
        unlink(path);
        assert_refused("cifar10", *state, SN_ERR_NOTFOUND, names[i]);
        put_file(*state, "", names[i], -1, 0);
    }
}

static void test_unknown_format(void **state)
{
    assert_refused("png", *state, SN_ERR_INVALID,
                   "\"npy\", \"folder\" or \"tar\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_images_are_as_in_the_file,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_fine_labels_count, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_folder_of_the_archive, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_cut_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_labels_out_of_range, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_missing_files, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_unknown_format, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
