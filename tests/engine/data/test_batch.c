/* Batches: draws have the distributions and bounds that they shall have;
 * evaluation crops are the middle of a resized image; photographs come out as
 * decoding, cropping and resizing by hand make them; cutout and jitter do what
 * they say; small images are moved as the formula says, at any resolution; a
 * cache changes nothing and keeps its bound; what cannot be read is named.
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
#include <unistd.h>

#include "engine/data/augment.h"
#include "engine/data/cache.h"
#include "engine/data/dataset.h"
#include "engine/data/image.h"
#include "tests/engine/data/photos.h"

enum { TRAIN = 12, TEST = 3, R = 32, SMALL = 8 };

static struct sn_photos photos;

/* ---- helpers ---- */

static struct sn_view *view_of(const struct sn_dataset *data,
                               const struct sn_view_pixels *pixels)
{
    struct sn_view *view;
    assert_int_equal(sn_view_new(data, 3, 2, 0, &view, NULL), SN_OK);
    assert_int_equal(sn_view_set_pixels(view, pixels, NULL), SN_OK);
    return view;
}

static enum sn_err take(const struct sn_view *view, enum sn_split split,
                        uint32_t i, int r, const struct sn_augment *aug,
                        float *images, int32_t *label, struct sn_error *err)
{
    struct sn_batch batch = {split, &i, 1, r, aug};
    struct sn_view_room *room;
    assert_int_equal(sn_view_room_new(&room, NULL), SN_OK);
    enum sn_err rc = sn_view_batch(view, &batch, room, images, label, err);
    sn_view_room_free(room);
    return rc;
}

/* Eight small images by formula, in memory. */
static struct sn_dataset *small_set(int channels)
{
    struct sn_dataset *data = calloc(1, sizeof *data);
    size_t n = 8 * SMALL * SMALL * (size_t)channels;
    assert_non_null(data);
    data->info = (struct sn_dataset_info){.channels = channels,
                                          .classes = 2,
                                          .height = SMALL,
                                          .width = SMALL,
                                          .train = 8};
    data->train.n = 8;
    data->train.pixels = malloc(n);
    data->train.labels = calloc(8, sizeof data->train.labels[0]);
    assert_true(data->train.pixels != NULL && data->train.labels != NULL);
    for (size_t i = 0; i < n; i++)
        data->train.pixels[i] = (uint8_t)(i * 37 % 251);
    for (int c = 0; c < channels; c++) {
        data->info.mean[c] = 0.5f;
        data->scale[c] = 1;
        data->shift[c] = -127.5f;
    }
    return data;
}

/* ---- draws ---- */

static void crops_have_inceptions_sizes(void **state)
{
    enum { N = 4000, W = 500, H = 375 };
    double least = 1, most = 0, sum = 0, low = 9, high = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct sn_augment aug = {.on = true, .seed = 5, .epoch = i % 7};
        struct sn_draw d = sn_draw_make(&aug, SN_CROP_RESIZED, i);
        struct sn_box b = sn_draw_crop(&d, W, H), again;
        again = sn_draw_crop(&d, W, H);
        assert_memory_equal(&b, &again, sizeof b);
        assert_true(b.x >= 0 && b.y >= 0 && b.width >= 1 && b.height >= 1);
        assert_true(b.x + b.width <= W && b.y + b.height <= H);
        double share = (double)b.width * b.height / (W * H);
        double ratio = (double)b.width / b.height;
        least = fmin(least, share);
        most = fmax(most, share);
        low = fmin(low, ratio);
        high = fmax(high, ratio);
        sum += share;
    }
    assert_true(least > 0.075 && least < 0.1 && most > 0.95);
    assert_true(low > 0.74 && low < 0.77 && high > 1.30 && high < 1.35);
    assert_true(sum / N > 0.4 && sum / N < 0.55);
    /* nothing of ratio 3/4 fits a line: the middle of it */
    struct sn_augment aug = {.on = true};
    struct sn_draw d = sn_draw_make(&aug, SN_CROP_RESIZED, 0);
    struct sn_box b = sn_draw_crop(&d, 300, 3);
    assert_true(b.width == 4 && b.height == 3 && b.x == 148 && b.y == 0);
    (void)state;
}

static void evaluation_takes_the_middle(void **state)
{
    struct sn_centre c = sn_centre_of(500, 375, 224);
    assert_true(c.width == 341 && c.height == 256 && c.x == 58 && c.y == 16);
    c = sn_centre_of(375, 500, 128);
    assert_true(c.width == 147 && c.height == 196 && c.x == 10 && c.y == 34);
    c = sn_centre_of(1, 1 << 20, 224); /* a line stays within bounds */
    assert_true(c.width == 256 && c.height > 0 && c.y > 0);
    (void)state;
}

static void jitter_blends(void **state)
{
    const uint8_t in[6] = {200, 100, 50, 0, 128, 255};
    uint8_t v[6];
    struct sn_draw d = {.brightness = 1.1f, .saturation = 1};
    memcpy(v, in, 6);
    sn_draw_jitter(&d, v, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(v[i], fmin(255, floor((double)in[i] * 1.1f)));
    d = (struct sn_draw){.brightness = 1, .saturation = 0};
    memcpy(v, in, 6);
    sn_draw_jitter(&d, v, 2);
    assert_true(v[0] == v[1] && v[1] == v[2] && v[0] == 124);
    d.saturation = 1.5f; /* away from the grey of 124, clipped */
    memcpy(v, in, 6);
    sn_draw_jitter(&d, v, 1);
    assert_true(v[0] == 238 && v[1] == 88 && v[2] == 13);
    int first = 0;
    float low = 2, high = 0;
    for (uint32_t i = 0; i < 500; i++) {
        struct sn_augment aug = {
            .on = true, .brightness = 0.125f, .saturation = 0.5f};
        d = sn_draw_make(&aug, SN_CROP_RESIZED, i);
        assert_true(d.saturation >= 0.5f && d.saturation < 1.5f);
        low = fminf(low, d.brightness);
        high = fmaxf(high, d.brightness);
        first += d.saturation_first;
    }
    assert_true(low >= 0.875f && low < 0.89f && high > 1.11f && high < 1.125f);
    assert_in_range(first, 200, 300);
    (void)state;
}

static void cutout_blanks_one_square(void **state)
{
    enum { SIDE = 10, CUT = 4 };
    int inside = 0;
    for (uint32_t i = 0; i < 200; i++) {
        float planes[2][SIDE][SIDE];
        struct sn_augment aug = {.on = true, .cutout = CUT};
        struct sn_draw d = sn_draw_make(&aug, SN_CROP_PAD, i);
        int y0 = SIDE, y1 = -1, x0 = SIDE, x1 = -1, n = 0;
        for (int k = 0; k < 2 * SIDE * SIDE; k++)
            (&planes[0][0][0])[k] = 1;
        sn_draw_cut(&d, CUT, 2, SIDE, &planes[0][0][0]);
        assert_memory_equal(planes[0], planes[1], sizeof planes[0]);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                if (planes[0][y][x] == 0) {
                    y0 = y < y0 ? y : y0;
                    y1 = y > y1 ? y : y1;
                    x0 = x < x0 ? x : x0;
                    x1 = x > x1 ? x : x1;
                    n++;
                }
        assert_int_equal(n, (y1 - y0 + 1) * (x1 - x0 + 1));
        assert_true(n >= 4 && n <= CUT * CUT);
        inside += n == CUT * CUT;
    }
    assert_true(inside > 50 && inside < 190);
    (void)state;
}

/* ---- small images ---- */

/* The stream's first numbers are dy, dx and the flip: jobs of earlier versions
 * resume on them. */
static void small_images_move_by_formula(void **state)
{
    struct sn_dataset *data = small_set(1);
    struct sn_view *view = view_of(data, &(struct sn_view_pixels){0});
    float plain[SMALL][SMALL], moved[SMALL][SMALL];
    int32_t label;
    for (uint32_t i = 0; i < 6; i++) {
        struct sn_augment aug = {
            .on = true, .pad = 2, .flip = true, .seed = 9, .epoch = 4};
        assert_int_equal(
            take(view, SN_SPLIT_TRAIN, i, SMALL, NULL, plain[0], &label, NULL),
            SN_OK);
        assert_int_equal(
            take(view, SN_SPLIT_TRAIN, i, SMALL, &aug, moved[0], &label, NULL),
            SN_OK);
        uint32_t image = 0;
        while (data->train.pixels[image * SMALL * SMALL] - 127.5f !=
               plain[0][0])
            image++;
        struct sn_rng rng =
            sn_rng_make(9, SN_STREAM_AUGMENT, ((uint64_t)4 << 32) + image);
        int dy = (int)sn_rng_below(&rng, 5) - 2;
        int dx = (int)sn_rng_below(&rng, 5) - 2;
        bool flip = sn_rng_below(&rng, 2) == 1;
        for (int y = 0; y < SMALL; y++)
            for (int x = 0; x < SMALL; x++) {
                int sy = y + dy, sx = x + dx;
                bool inside = sy >= 0 && sy < SMALL && sx >= 0 && sx < SMALL;
                if (flip)
                    sx = SMALL - 1 - sx;
                assert_true(moved[y][x] == (inside ? plain[sy][sx] : 0));
            }
    }
    sn_view_free(view);
    sn_dataset_free(data);
    (void)state;
}

static void small_images_are_resized(void **state)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        struct sn_dataset *data = small_set(channels);
        struct sn_view *view = view_of(
            data, &(struct sn_view_pixels){.filter = SN_FILTER_BICUBIC});
        size_t n = 12 * 12 * (size_t)channels;
        float out[12 * 12 * 3];
        uint8_t want[12 * 12 * 3];
        int32_t label;
        struct sn_resize_room room = {0};
        uint32_t image = 0;
        assert_int_equal(sn_view_crop(view), SN_CROP_PAD);
        assert_int_equal(
            take(view, SN_SPLIT_HOLDOUT, 0, 12, NULL, out, &label, NULL),
            SN_OK);
        /* which of them it is, its mean tells by resizing each */
        for (bool same = false; !same; image++) {
            assert_true(image < 8);
            struct sn_pixels src = {
                data->train.pixels + image * SMALL * SMALL * channels, SMALL,
                SMALL, channels, (size_t)(SMALL * channels)};
            struct sn_resize how = {SN_FILTER_BICUBIC, 12, 12, 0, 0, 12, 12};
            assert_int_equal(sn_resize(&src, &how, &room, want, NULL), SN_OK);
            same = true;
            for (size_t k = 0; k < n && same; k++)
                same = out[k % (size_t)channels * 144 + k / (size_t)channels] ==
                       want[k] - 127.5f;
        }
        sn_resize_room_close(&room);
        sn_view_free(view);
        sn_dataset_free(data);
    }
    (void)state;
}

/* ---- photographs ---- */

static struct sn_image decode_file(const char *name, int channels)
{
    char path[128];
    uint8_t bytes[65536];
    struct sn_image image = {0};
    snprintf(path, sizeof path, "%s/%s", photos.dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_int_equal(sn_image_decode(bytes, n, channels, 0, 0, &image, NULL),
                     SN_OK);
    return image;
}

/* Resized as a whole, then cut: not by a window as the batches are. */
static void photographs_of_evaluations(void **state)
{
    struct sn_view *view = view_of(photos.data, &(struct sn_view_pixels){0});
    for (uint32_t i = 0; i < TEST; i++) {
        float out[3][R][R];
        int32_t label;
        char name[32];
        struct sn_resize_room room = {0};
        snprintf(name, sizeof name, "test-%u.jpg", TRAIN + i);
        struct sn_image image = decode_file(name, 3);
        int side = 37; /* 32 / 0.875, rounded up */
        int w = side, h = side;
        if (image.width > image.height)
            w = side * image.width / image.height;
        else
            h = side * image.height / image.width;
        uint8_t *whole = malloc((size_t)(w * h * 3));
        assert_non_null(whole);
        struct sn_pixels src = {image.pixels, image.width, image.height, 3,
                                (size_t)image.width * 3};
        struct sn_resize how = {SN_FILTER_BILINEAR, w, h, 0, 0, w, h};
        assert_int_equal(sn_resize(&src, &how, &room, whole, NULL), SN_OK);
        assert_int_equal(
            take(view, SN_SPLIT_TEST, i, R, NULL, out[0][0], &label, NULL),
            SN_OK);
        assert_int_equal(label, (TRAIN + i) % SN_PHOTO_CLASSES);
        int left = (int)nearbyint((w - R) / 2.0);
        int top = (int)nearbyint((h - R) / 2.0);
        for (int y = 0; y < R; y++)
            for (int x = 0; x < R; x++)
                for (int c = 0; c < 3; c++) {
                    int v = whole[((top + y) * w + left + x) * 3 + c];
                    assert_true(out[c][y][x] ==
                                (float)v * (1 / (255 * 0.25f)) - 2);
                }
        free(whole);
        sn_resize_room_close(&room);
        sn_image_free(&image);
    }
    sn_view_free(view);
    (void)state;
}

/* A crop of training lies near what a full decode gives, although JPEGs may be
 * decoded smaller; and a replay is the same to the bit. */
static void photographs_of_training(void **state)
{
    struct sn_view *view = view_of(photos.data, &(struct sn_view_pixels){0});
    static float a[3][R][R], b[3][R][R];
    double off = 0;
    int32_t label;
    for (uint32_t i = 0; i < TRAIN - 2; i++) {
        struct sn_augment aug = {.on = true, .seed = 4, .epoch = i};
        const struct sn_item *item;
        struct sn_resize_room room = {0};
        uint8_t want[R * R * 3];
        assert_int_equal(
            take(view, SN_SPLIT_TRAIN, i, R, &aug, a[0][0], &label, NULL),
            SN_OK);
        assert_int_equal(
            take(view, SN_SPLIT_TRAIN, i, R, &aug, b[0][0], &label, NULL),
            SN_OK);
        assert_memory_equal(a, b, sizeof a);
        /* which image it is: the one whose crop is nearest */
        double best = 1e9;
        for (uint32_t k = 0; k < TRAIN; k++) {
            item = &photos.data->items->train.at[k];
            struct sn_image image =
                decode_file(sn_items_name(photos.data->items, item), 3);
            struct sn_draw d = sn_draw_make(&aug, SN_CROP_RESIZED, k);
            struct sn_box box = sn_draw_crop(&d, image.width, image.height);
            struct sn_pixels src = {image.pixels, image.width, image.height, 3,
                                    (size_t)image.width * 3};
            src = sn_pixels_crop(&src, box.x, box.y, box.width, box.height);
            struct sn_resize how = {SN_FILTER_BILINEAR, R, R, 0, 0, R, R};
            assert_int_equal(sn_resize(&src, &how, &room, want, NULL), SN_OK);
            double sum = 0;
            for (int p = 0; p < R * R * 3; p++)
                sum += fabs(((&a[p % 3][0][0])[p / 3] + 2) * 63.75 - want[p]);
            best = fmin(best, sum / (R * R * 3));
            sn_image_free(&image);
        }
        off = fmax(off, best);
        sn_resize_room_close(&room);
    }
    assert_true(off < 3);
    sn_view_free(view);
    (void)state;
}

static void what_is_gone_is_named(void **state)
{
    struct sn_view *view = view_of(photos.data, &(struct sn_view_pixels){0});
    struct sn_error err = {0};
    float out[3 * R * R];
    int32_t label;
    char path[128], away[140];
    snprintf(path, sizeof path, "%s/test-%d.jpg", photos.dir, TRAIN);
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(take(view, SN_SPLIT_TEST, 0, R, NULL, out, &label, &err),
                     SN_ERR_NOTFOUND);
    assert_non_null(strstr(err.message, "test-12.jpg"));
    /* as long as it was, but no picture any more */
    FILE *from = fopen(away, "rb"), *to = fopen(path, "wb");
    assert_true(from != NULL && to != NULL);
    for (int n = 0, c; (c = fgetc(from)) != EOF; n++)
        fputc(n < 200 ? c : 0, to);
    fclose(from);
    fclose(to);
    assert_int_equal(take(view, SN_SPLIT_TEST, 0, R, NULL, out, &label, &err),
                     SN_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "test-12.jpg: "));
    assert_int_equal(rename(away, path), 0);
    struct sn_view_pixels pad = {.crop = SN_CROP_PAD};
    assert_int_equal(sn_view_set_pixels(view, &pad, &err), SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/train/crop");
    sn_view_free(view);
    (void)state;
}

/* ---- the cache ---- */

static void a_cache_changes_nothing(void **state)
{
    const uint64_t sizes[] = {0, 3 * R * R * 4, 1 << 20};
    static float want[TRAIN - 2][3 * R * R], out[3 * R * R];
    for (size_t s = 0; s < 3; s++) {
        struct sn_view *view = view_of(
            photos.data, &(struct sn_view_pixels){.cache_bytes = sizes[s]});
        for (int round = 0; round < 2; round++)
            for (uint32_t i = 0; i < TRAIN - 2; i++) {
                int32_t label;
                assert_int_equal(
                    take(view, SN_SPLIT_TRAIN, i, R, NULL, out, &label, NULL),
                    SN_OK);
                if (s == 0 && round == 0)
                    memcpy(want[i], out, sizeof out);
                assert_memory_equal(want[i], out, sizeof out);
            }
        sn_view_free(view);
    }
    (void)state;
}

static void a_cache_keeps_its_bound(void **state)
{
    struct sn_cache *cache;
    uint8_t in[100], out[100];
    int found = 0;
    assert_int_equal(sn_cache_new(1000, &cache, NULL), SN_OK);
    for (uint32_t i = 0; i < 200; i++) {
        struct sn_cache_key key = {i % 20, (uint16_t)(i % 2), i % 3 == 0};
        size_t n = 60 + i % 20;
        memset(in, (int)(i % 20) + 1, n);
        if (sn_cache_get(cache, key, n, out)) {
            assert_memory_equal(in, out, n);
            found++;
        } else {
            sn_cache_put(cache, key, n, in);
        }
        assert_true(sn_cache_bytes(cache) <= 1000);
    }
    assert_true(found > 10);
    /* of another length, or too large for it: not there */
    struct sn_cache_key key = {1, 1, false};
    sn_cache_put(cache, key, 50, in);
    assert_false(sn_cache_get(cache, key, 51, out));
    sn_cache_put(cache, (struct sn_cache_key){7, 7, false}, 1001,
                 (const uint8_t[1001]){0});
    assert_true(sn_cache_bytes(cache) <= 1000);
    sn_cache_free(cache);
    (void)state;
}

static int open_photos(void **state)
{
    sn_photos_init(&photos, TRAIN, TEST, 3);
    (void)state;
    return 0;
}

static int close_photos(void **state)
{
    sn_photos_close(&photos);
    (void)state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_have_inceptions_sizes),
        cmocka_unit_test(evaluation_takes_the_middle),
        cmocka_unit_test(jitter_blends),
        cmocka_unit_test(cutout_blanks_one_square),
        cmocka_unit_test(small_images_move_by_formula),
        cmocka_unit_test(small_images_are_resized),
        cmocka_unit_test(photographs_of_evaluations),
        cmocka_unit_test(photographs_of_training),
        cmocka_unit_test(what_is_gone_is_named),
        cmocka_unit_test(a_cache_changes_nothing),
        cmocka_unit_test(a_cache_keeps_its_bound),
    };
    return cmocka_run_group_tests(tests, open_photos, close_photos);
}
