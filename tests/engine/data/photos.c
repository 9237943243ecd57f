#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/dataset.h"
#include "engine/rng.h"
#include "tests/engine/data/photos.h"
#include "tests/engine/data/pictures.h"

void sn_photo_size(uint32_t i, int *ret_width, int *ret_height)
{
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, i);
    *ret_width = 40 + (int)sn_rng_below(&rng, 81);
    *ret_height = 40 + (int)sn_rng_below(&rng, 81);
}

/* Waves of a colour and a direction that are the class's. */
static void paint(uint32_t i, int width, int height, int channels,
                  uint8_t *pixels)
{
    uint32_t label = i % SN_PHOTO_CLASSES;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                double along = label == 0 ? x : label == 1 ? y : x + y;
                double v = 128 + 60 * sin(along * (0.1 + 0.02 * (i % 7)) + c) +
                           (c == (int)label ? 50 : 0);
                *pixels++ = (uint8_t)(v > 255 ? 255 : v);
            }
}

static void add(struct sn_photos *photos, struct sn_item_list *list, bool test,
                uint32_t i, int channels)
{
    struct sn_items *items = photos->data->items;
    char name[32], path[128];
    int width, height;
    sn_photo_size(i, &width, &height);
    size_t n = (size_t)(width * height * channels);
    uint8_t *pixels = malloc(n);
    assert_non_null(pixels);
    paint(i, width, height, channels, pixels);
    struct sn_picture p =
        sn_picture_jpeg("-quality 90", width, height, channels, pixels);
    snprintf(name, sizeof name, "%s-%u.jpg", test ? "test" : "train", i);
    snprintf(path, sizeof path, "%s/%s", photos->dir, name);
    sn_picture_put(path, p.bytes, p.n);
    struct sn_item item = {.length = (uint32_t)p.n,
                           .label = (int32_t)(i % SN_PHOTO_CLASSES)};
    assert_int_equal(sn_items_keep(items, name, strlen(name), &item.file, NULL),
                     SN_OK);
    item.name = item.file;
    assert_int_equal(sn_items_add(list, &item, NULL), SN_OK);
    free(p.bytes);
    free(pixels);
}

void sn_photos_init(struct sn_photos *photos, uint32_t n_train, uint32_t n_test,
                    int channels)
{
    snprintf(photos->dir, sizeof photos->dir, "/tmp/sn-photosXXXXXX");
    assert_non_null(mkdtemp(photos->dir));
    struct sn_dataset *data = calloc(1, sizeof *data);
    assert_non_null(data);
    photos->data = data;
    data->info = (struct sn_dataset_info){.channels = channels,
                                          .classes = SN_PHOTO_CLASSES,
                                          .variable = true,
                                          .train = n_train,
                                          .test = n_test};
    snprintf(data->info.checksum, sizeof data->info.checksum,
             "0123456789abcdef");
    for (int c = 0; c < channels; c++) {
        data->info.mean[c] = 0.5f;
        data->info.std[c] = 0.25f;
        data->scale[c] = 1 / (255 * 0.25f);
        data->shift[c] = -2;
    }
    assert_int_equal(sn_items_new(photos->dir, &data->items, NULL), SN_OK);
    for (uint32_t i = 0; i < n_train; i++)
        add(photos, &data->items->train, false, i, channels);
    for (uint32_t i = 0; i < n_test; i++)
        add(photos, &data->items->test, true, n_train + i, channels);
}

void sn_photos_close(struct sn_photos *photos)
{
    sn_dataset_free(photos->data);
    sn_picture_remove_tree(photos->dir);
}
