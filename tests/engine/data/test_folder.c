/* Image folders: classes, labels and splits are those of the folders, in the
 * order of bytes; images of one size are decoded, others stay where they are;
 * damaged ones are named, left out, and too many of them refused; links are
 * refused; a folder that has changed since is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/data/dataset.h"
#include "engine/data/image.h"
#include "engine/data/resize.h"
#include "tests/engine/data/pictures.h"

static const char *path_of(void **state, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", (char *)*state, name);
    return path;
}

/* A grey image of the shade v. */
static void put(void **state, const char *name, int side, int v)
{
    sn_picture_flat(path_of(state, name), side, side, v, v, v);
}

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sn-folder-XXXXXX");
    *state = dir;
    return dir == NULL || mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    sn_picture_remove_tree(*state);
    free(*state);
    return 0;
}

static struct sn_dataset_source source_of(void **state)
{
    struct sn_dataset_source source = {.format = "folder", .dir = *state};
    source.options = sn_dataset_options_default(true);
    return source;
}

static struct sn_dataset *open_it(const struct sn_dataset_source *source)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    if (sn_dataset_open_source(source, &data, &err) != SN_OK)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, SN_OK); /* nor what was no failure */
    return data;
}

static void refused(const struct sn_dataset_source *source, enum sn_err code,
                    const char *part)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    assert_int_equal(sn_dataset_open_source(source, &data, &err), code);
    assert_null(data);
    if (strstr(err.message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_train_and_test(void **state)
{
    put(state, "train/dog/b.png", 8, 10);
    put(state, "train/dog/a.jpg", 8, 20);
    put(state, "train/cat/z.png", 8, 30);
    put(state, "train/cat/deep/er/y.png", 8, 40);
    put(state, "train/cat.x/1.png", 8, 50);
    put(state, "test/dog/1.png", 8, 60);
    put(state, "val/cat/1.png", 8, 70); /* not read, as there is test */
    sn_picture_put(path_of(state, "train/dog/note.txt"), (const uint8_t *)"x",
                   1);
    sn_picture_put(path_of(state, "train/dog/.hidden.png"),
                   (const uint8_t *)"x", 1);
    sn_picture_put(path_of(state, ".trash/dog/1.png"), (const uint8_t *)"x", 1);
    struct sn_dataset_source source = source_of(state);
    struct sn_dataset *data = open_it(&source);
    struct sn_dataset_info info;
    sn_dataset_info(data, &info);
    assert_int_equal(info.classes, 3);
    assert_string_equal(sn_dataset_class_name(data, 0), "cat");
    assert_string_equal(sn_dataset_class_name(data, 1), "cat.x");
    assert_string_equal(sn_dataset_class_name(data, 2), "dog");
    assert_null(sn_dataset_class_name(data, 3));
    assert_int_equal(info.train, 5);
    assert_int_equal(info.test, 1);
    assert_int_equal(info.other, 1);
    assert_int_equal(info.corrupt, 0);
    assert_false(info.variable);
    assert_int_equal(info.width, 8);
    assert_int_equal(info.channels, 3);
    /* by bytes of the path: "cat.x/" before "cat/" */
    static const int labels[] = {1, 0, 0, 2, 2},
                     shades[] = {50, 40, 30, 20, 10};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(data->train.labels[i], labels[i]);
        assert_int_equal(data->train.pixels[i * 192 + 77], shades[i]);
    }
    assert_int_equal(data->test.labels[0], 2);
    assert_int_equal(data->test.pixels[0], 60);
    assert_true(info.mean[1] > 29.9 / 255 && info.mean[1] < 30.1 / 255);
    sn_dataset_free(data);
    source.options.channels = 1;
    data = open_it(&source);
    assert_int_equal(data->train.pixels[2 * 64 + 5], 30);
    sn_dataset_free(data);
}

/* `n` images of each of two classes, one level. */
static void put_flat(void **state, int n, int side)
{
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "b/%02d.png", i);
        put(state, name, side, 100 + i);
        snprintf(name, sizeof name, "a/%02d.png", i);
        put(state, name, side, i);
    }
}

static void test_split_by_seed(void **state)
{
    int differs = 0, in_test[2] = {0};
    put_flat(state, 10, 4);
    struct sn_dataset_source source = source_of(state);
    source.options.test_share = 0.3;
    struct sn_dataset *a = open_it(&source), *b = open_it(&source);
    source.options.split_seed = 2;
    struct sn_dataset *c = open_it(&source);
    assert_int_equal(a->info.train, 14);
    assert_int_equal(a->info.test, 6);
    assert_string_equal(a->info.checksum, b->info.checksum);
    bool seen[256] = {false};
    for (uint32_t i = 0; i < 14; i++)
        seen[a->train.pixels[i * 48]] = true;
    for (uint32_t i = 0; i < 6; i++) {
        assert_false(seen[a->test.pixels[i * 48]]);
        in_test[a->test.labels[i]]++;
        differs += a->test.pixels[i * 48] != c->test.pixels[i * 48];
    }
    assert_int_equal(in_test[0], 3); /* the same share of each class */
    assert_true(differs > 0);
    sn_dataset_free(a);
    sn_dataset_free(b);
    sn_dataset_free(c);
}

static void test_sizes_differ(void **state)
{
    struct sn_item_bytes bytes = {0};
    struct sn_image image = {0};
    struct sn_error err = {0};
    put_flat(state, 5, 8);
    sn_picture_flat(path_of(state, "a/03.png"), 12, 9, 0, 255, 51);
    struct sn_dataset_source source = source_of(state);
    struct sn_dataset *data = open_it(&source);
    assert_true(data->info.variable);
    assert_int_equal(data->info.height, 0);
    assert_int_equal(data->info.train, 8);
    assert_non_null(data->items);
    assert_int_equal(data->items->train.n, 8);
    bool found = false;
    double mean = 0;
    for (uint32_t i = 0; i < 8; i++) {
        const struct sn_item *item = &data->items->train.at[i];
        assert_int_equal(sn_items_read(data->items, item, &bytes, &err), SN_OK);
        assert_int_equal(
            sn_image_decode(bytes.bytes, bytes.n, 3, 0, 0, &image, &err),
            SN_OK);
        if (strcmp(sn_items_name(data->items, item), "a/03.png") == 0) {
            found = true;
            assert_int_equal(image.width, 12);
        }
        mean += image.pixels[1] / 255.0 / 8; /* each image counts the same */
        sn_image_free(&image);
    }
    assert_true(found ||
                strcmp(sn_items_name(data->items, &data->items->test.at[0]),
                       "a/03.png") == 0);
    assert_true(mean - data->info.mean[1] < 1e-5 &&
                data->info.mean[1] - mean < 1e-5);
    sn_picture_put(path_of(state, "a/03.png"), (const uint8_t *)"cut", 3);
    int changed = 0;
    for (int t = 0; t < 2; t++) {
        const struct sn_item_list *list =
            t == 0 ? &data->items->train : &data->items->test;
        for (uint32_t i = 0; i < list->n; i++)
            changed += sn_items_read(data->items, &list->at[i], &bytes, &err) ==
                       SN_ERR_CORRUPT;
    }
    assert_int_equal(changed, 1);
    free(bytes.bytes);
    sn_dataset_free(data);
}

static void cut_file(void **state, const char *name)
{
    assert_int_equal(truncate(path_of(state, name), 45), 0);
}

static void test_damaged(void **state)
{
    put_flat(state, 10, 6);
    cut_file(state, "b/04.png");
    sn_picture_put(path_of(state, "a/00.png"), (const uint8_t *)"no image", 8);
    sn_picture_put(path_of(state, "a/08.png"), NULL, 0);
    struct sn_dataset_source source = source_of(state);
    refused(&source, SN_ERR_CORRUPT, "3 of 20 images cannot be decoded");
    refused(&source, SN_ERR_CORRUPT, "a/00.png, a/08.png, b/04.png");
    source.options.corrupt_share = 0.15;
    struct sn_dataset *data = open_it(&source);
    assert_int_equal(data->info.corrupt, 3);
    assert_int_equal(data->info.train + data->info.test, 17);
    assert_string_equal(sn_dataset_corrupt_name(data, 1), "a/08.png");
    for (uint32_t i = 0; i < data->info.train; i++)
        assert_int_equal(data->train.labels[i],
                         data->train.pixels[i * 108] >= 100);
    sn_dataset_free(data);
    source.options.corrupt_share = 0.149;
    refused(&source, SN_ERR_CORRUPT, "over the share of 0.149");
}

/* Opens what an earlier opening has told of, decoded and encoded sets alike. */
static void check_known(void **state, const char *added)
{
    struct sn_dataset_source source = source_of(state);
    source.options.corrupt_share = 0.5;
    struct sn_dataset *first = open_it(&source);
    struct sn_dataset_known known = {
        .info = first->info, .corrupt = (const char *const *)first->corrupt.at};
    source.known = &known;
    struct sn_dataset *again = open_it(&source);
    assert_string_equal(again->info.checksum, first->info.checksum);
    assert_int_equal(again->info.corrupt, 1);
    assert_int_equal(again->info.train, first->info.train);
    assert_memory_equal(again->info.mean, first->info.mean,
                        sizeof first->info.mean);
    assert_memory_equal(again->scale, first->scale, sizeof first->scale);
    sn_dataset_free(again);
    put(state, added, 6, 9);
    refused(&source, SN_ERR_CONFLICT, "have changed since");
    assert_int_equal(unlink(path_of(state, added)), 0);
    assert_int_equal(truncate(path_of(state, "b/01.png"), 40), 0);
    struct sn_dataset *data = NULL;
    struct sn_error err;
    assert_int_equal(sn_dataset_open_source(&source, &data, &err),
                     SN_ERR_CONFLICT);
    sn_dataset_free(first);
}

static void test_known(void **state)
{
    put_flat(state, 10, 6);
    cut_file(state, "b/04.png");
    check_known(state, "a/zz.png");
    put(state, "b/01.png", 6, 101);
    put(state, "b/02.png", 7, 0); /* of many sizes now */
    check_known(state, "a/zz.png");
}

static void test_links(void **state)
{
    put_flat(state, 4, 6);
    struct sn_dataset_source source = source_of(state);
    assert_int_equal(symlink("/etc/passwd", path_of(state, "a/x.png")), 0);
    refused(&source, SN_ERR_INVALID, "a/x.png: is a link");
    unlink(path_of(state, "a/x.png"));
    assert_int_equal(symlink("/etc", path_of(state, "c")), 0);
    refused(&source, SN_ERR_INVALID, "c: is a link");
    unlink(path_of(state, "c"));
    /* one that appears between the listing and the reading */
    put(state, "a/00.png", 9, 0);
    struct sn_dataset *data = open_it(&source);
    assert_true(data->info.variable);
    struct sn_item_bytes bytes = {0};
    struct sn_error err;
    char moved[512];
    snprintf(moved, sizeof moved, "%s/.moved", (char *)*state);
    assert_int_equal(rename(path_of(state, "a"), moved), 0);
    assert_int_equal(symlink(".moved", path_of(state, "a")), 0);
    assert_int_not_equal(
        sn_items_read(data->items, &data->items->train.at[0], &bytes, &err),
        SN_OK);
    free(bytes.bytes);
    sn_dataset_free(data);
    assert_int_equal(sn_items_open_below(AT_FDCWD, "../tmp", 0), -1);
}

static void test_no_classes(void **state)
{
    struct sn_dataset_source source = source_of(state);
    refused(&source, SN_ERR_INVALID, "has 0 classes");
    put(state, "only/1.png", 6, 1);
    put(state, "only/2.png", 6, 2);
    refused(&source, SN_ERR_INVALID, "has 1 classes");
    mkdir(path_of(state, "empty"), 0700);
    refused(&source, SN_ERR_INVALID, "class empty has no training images");
    put(state, "empty/1.png", 6, 1);
    struct sn_dataset *data = open_it(&source);
    assert_int_equal(data->info.test, 1); /* of the class that can give one */
    sn_dataset_free(data);
    source.dir = "/tmp/sn-there-is-none";
    refused(&source, SN_ERR_NOTFOUND, "no such folder");
}

static void test_other_class_in_test(void **state)
{
    put(state, "train/a/1.png", 6, 1);
    put(state, "train/b/1.png", 6, 1);
    put(state, "val/b/1.png", 6, 1);
    put(state, "val/c/1.png", 6, 1);
    struct sn_dataset_source source = source_of(state);
    refused(&source, SN_ERR_INVALID, "val/c: there is no class");
}

static void test_too_many_classes(void **state)
{
    for (int i = 0; i <= SN_MAX_CLASSES; i++) {
        char name[32];
        snprintf(name, sizeof name, "c%d", i);
        mkdir(path_of(state, name), 0700);
    }
    struct sn_dataset_source source = source_of(state);
    refused(&source, SN_ERR_TOOLARGE, "1000 classes");
}

static void test_stopped(void **state)
{
    struct sn_dataset_watch watch = {.stop = true};
    put_flat(state, 10, 6);
    struct sn_dataset_source source = source_of(state);
    source.watch = &watch;
    refused(&source, SN_ERR_STOPPED, "stopped");
    watch.stop = false;
    watch.done = 0;
    sn_dataset_free(open_it(&source));
    assert_int_equal(watch.all, 20);
    assert_int_equal(watch.done, 20);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

/* A picture whose every pixel is another, so that a shift shows. */
static void put_slope(void **state, const char *name, int width, int height)
{
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    assert_non_null(rgb);
    for (int y = 0, i = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[i++] = (uint8_t)(x * 5 + y * (3 + c) + 40 * c);
    struct sn_picture png =
        sn_picture_png(width, height, 8, 2, rgb, (size_t)width * 3, NULL);
    sn_picture_put(path_of(state, name), png.bytes, png.n);
    free(png.bytes);
    free(rgb);
}

/* What an evaluation at the resolution `side` would make of the picture when it
 * brought the shorter side to `side`. */
static void squares_of(void **state, const char *name, int side, uint8_t *ret)
{
    uint8_t bytes[1 << 16];
    struct sn_error err = {0};
    struct sn_image image = {0};
    struct sn_resize_room room = {0};
    FILE *f = fopen(path_of(state, name), "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_int_equal(sn_image_decode(bytes, n, 3, 0, 0, &image, &err), SN_OK);
    int w = image.width, h = image.height;
    struct sn_pixels from = {image.pixels, w, h, 3, (size_t)w * 3};
    struct sn_resize how = {SN_FILTER_BILINEAR, side, side, 0, 0, side, side};
    if (w > h) {
        how.out_width = side * w / h;
        how.x = (how.out_width - side) / 2;
    } else {
        how.out_height = side * h / w;
        how.y = (how.out_height - side) / 2;
    }
    assert_int_equal(sn_resize(&from, &how, &room, ret, &err), SN_OK);
    sn_resize_room_close(&room);
    sn_image_free(&image);
}

static void test_size(void **state)
{
    enum { SIDE = 16, BYTES = SIDE * SIDE * 3 };
    static const char *const names[] = {"train/a/1.png", "train/a/2.png",
                                        "train/b/1.png", "test/b/1.png"};
    static const int sizes[][2] = {{40, 24}, {20, 36}, {16, 16}, {8, 12}};
    uint8_t expected[BYTES];
    struct sn_dataset_info first, again;
    for (int i = 0; i < 4; i++)
        put_slope(state, names[i], sizes[i][0], sizes[i][1]);
    sn_picture_put(path_of(state, "train/a/0.png"), (const uint8_t *)"x", 1);
    struct sn_dataset_source source = source_of(state);
    source.options.corrupt_share = 0.2;
    struct sn_dataset *data = open_it(&source);
    sn_dataset_info(data, &first);
    assert_true(first.variable);
    sn_dataset_free(data);

    source.options.size = SIDE;
    data = open_it(&source);
    sn_dataset_info(data, &first);
    assert_false(first.variable);
    assert_int_equal(first.width, SIDE);
    assert_int_equal(first.height, SIDE);
    assert_int_equal(first.train, 3);
    assert_int_equal(first.corrupt, 1);
    for (int i = 0; i < 4; i++) {
        squares_of(state, names[i], SIDE, expected);
        assert_memory_equal(i < 3 ? data->train.pixels + i * BYTES
                                  : data->test.pixels,
                            expected, BYTES);
    }
    assert_int_equal(sn_crop_settle(SN_CROP_AUTO, &first), SN_CROP_PAD);

    /* as it is opened again by what was found */
    struct sn_dataset_known known = {first,
                                     (const char *const *)data->corrupt.at};
    struct sn_dataset *second;
    source.known = &known;
    second = open_it(&source);
    sn_dataset_info(second, &again);
    assert_string_equal(again.checksum, first.checksum);
    sn_dataset_free(second);
    sn_dataset_free(data);
    source.known = NULL;
    source.options.size = 7;
    refused(&source, SN_ERR_RANGE, "must be 8 to 512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_train_and_test),
        TEST(test_split_by_seed),
        TEST(test_sizes_differ),
        TEST(test_damaged),
        TEST(test_known),
        TEST(test_links),
        TEST(test_no_classes),
        TEST(test_other_class_in_test),
        TEST(test_too_many_classes),
        TEST(test_stopped),
        TEST(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
