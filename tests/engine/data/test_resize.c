/* Resizing agrees with Pillow's: with values that Pillow gives, and with a
 * plain double-precision reference of the same rules on random images, crops,
 * windows and sizes, by every instruction set; and it reads nothing outside of
 * the crop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/data/resize.h"
#include "engine/rng.h"

/* ---- the reference: weights in doubles, one value at a time ---- */

static double filter_at(enum sn_filter filter, double x)
{
    x = fabs(x);
    if (filter == SN_FILTER_BILINEAR)
        return x < 1 ? 1 - x : 0;
    if (x < 1)
        return 1.5 * x * x * x - 2.5 * x * x + 1;
    return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

static uint8_t to_level(double v)
{
    v = floor(v + 0.5);
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Value o of n_out along a line of n_in values that are `step` apart. */
static uint8_t sample(const uint8_t *line, size_t step, int n_in, int n_out,
                      int o, enum sn_filter filter)
{
    double scale = (double)n_in / n_out, wide = scale > 1 ? scale : 1;
    double reach = wide * (filter == SN_FILTER_BICUBIC ? 2 : 1);
    double centre = (o + 0.5) * scale, sum = 0, weights = 0;
    for (int i = 0; i < n_in; i++) {
        if (i + 0.5 < centre - reach || i + 0.5 > centre + reach)
            continue;
        double w = filter_at(filter, (i + 0.5 - centre) / wide);
        sum += w * line[(size_t)i * step];
        weights += w;
    }
    return to_level(sum / weights);
}

static void reference(const struct sn_pixels *src, enum sn_filter filter,
                      int width, int height, uint8_t *ret)
{
    size_t ch = (size_t)src->channels, row = (size_t)width * ch;
    uint8_t *middle = malloc(row * (size_t)src->height);
    assert_non_null(middle);
    for (int y = 0; y < src->height; y++)
        for (int x = 0; x < width; x++)
            for (size_t c = 0; c < ch; c++)
                middle[(size_t)y * row + (size_t)x * ch + c] =
                    sample(src->at + (size_t)y * src->stride + c, ch,
                           src->width, width, x, filter);
    for (int y = 0; y < height; y++)
        for (size_t x = 0; x < row; x++)
            ret[(size_t)y * row + x] =
                sample(middle + x, row, src->height, height, y, filter);
    free(middle);
}

/* ---- helpers ---- */

static uint8_t *noise(size_t n, uint64_t step)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, step);
    uint8_t *v = malloc(n);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++)
        v[i] = (uint8_t)sn_rng_below(&rng, 256);
    return v;
}

static void resize(const struct sn_pixels *src, const struct sn_resize *how,
                   uint8_t *ret)
{
    struct sn_resize_room room = {0};
    struct sn_error err;
    assert_int_equal(sn_resize(src, how, &room, ret, &err), SN_OK);
    sn_resize_room_close(&room);
}

/* ---- tests ---- */

/* Two bright and two dark squares, as Pillow's own tests have them, and the
 * upper left quarter of what it makes of them. */
static void values_of_pillow(void **state)
{
    static const struct {
        enum sn_filter filter;
        int from, to;
        uint8_t quarter[16];
    } list[] = {
        {SN_FILTER_BILINEAR, 8, 4, {0xe1, 0xc9, 0xc9, 0xb7}},
        {SN_FILTER_BILINEAR, 2, 4, {0xe1, 0xb0, 0xb0, 0x98}},
        {SN_FILTER_BICUBIC,
         12,
         6,
         {0xe1, 0xe3, 0xd4, 0xe3, 0xe5, 0xd6, 0xd4, 0xd6, 0xc9}},
        {SN_FILTER_BICUBIC,
         4,
         8,
         {0xe1, 0xe5, 0xee, 0xb9, 0xe5, 0xe9, 0xf3, 0xbc, 0xee, 0xf3, 0xfd,
          0xc1, 0xb9, 0xbc, 0xc1, 0xa2}},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        uint8_t in[144], out[64];
        int n = list[i].from, m = list[i].to, half = m / 2;
        for (int p = 0; p < n * n; p++)
            in[p] = (p / n < n / 2) == (p % n < n / 2) ? 0xe1 : 0x1e;
        struct sn_pixels src = {in, n, n, 1, (size_t)n};
        struct sn_resize how = {list[i].filter, m, m, 0, 0, m, m};
        resize(&src, &how, out);
        for (int p = 0; p < half * half; p++)
            assert_int_equal(out[p / half * m + p % half], list[i].quarter[p]);
    }
    (void)state;
}

/* On average exact to a hundredth of a level, nowhere off by more than one: the
 * reference's doubles may round the other way. */
static void close_to_reference(const char *isa)
{
    static const struct {
        int width, height, channels, out_width, out_height;
    } list[] = {
        {64, 48, 3, 32, 32},  {61, 47, 3, 13, 29}, {61, 47, 1, 13, 29},
        {9, 7, 3, 24, 31},    {9, 7, 1, 24, 31},   {1, 1, 3, 5, 4},
        {40, 40, 3, 40, 40},  {33, 5, 1, 1, 1},    {200, 150, 3, 37, 28},
        {17, 90, 1, 64, 224},
    };
    if (isa != NULL)
        setenv("SPARSENAS_ISA", isa, 1);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        for (int filter = 0; filter < 2; filter++) {
            size_t ch = (size_t)list[i].channels;
            size_t stride = (size_t)list[i].width * ch;
            int w = list[i].out_width, h = list[i].out_height;
            size_t n = (size_t)w * (size_t)h * ch;
            uint8_t *in = noise(stride * (size_t)list[i].height, i);
            uint8_t *out = malloc(n), *want = malloc(n);
            assert_true(out != NULL && want != NULL);
            struct sn_pixels src = {in, list[i].width, list[i].height,
                                    list[i].channels, stride};
            struct sn_resize how = {(enum sn_filter)filter, w, h, 0, 0, w, h};
            resize(&src, &how, out);
            reference(&src, how.filter, w, h, want);
            double off = 0;
            for (size_t k = 0; k < n; k++) {
                assert_in_range(abs(out[k] - want[k]), 0, 1);
                off += abs(out[k] - want[k]);
            }
            assert_true(off / (double)n < 0.01);
            free(in);
            free(out);
            free(want);
        }
    }
    unsetenv("SPARSENAS_ISA");
}

static void like_the_reference(void **state)
{
    close_to_reference(NULL);
    close_to_reference("avx2");
    close_to_reference("portable");
    (void)state;
}

/* A window of the result is that part of the whole result. */
static void windows_are_parts(void **state)
{
    uint8_t *in = noise(70 * 50 * 3, 3);
    struct sn_pixels src = {in, 70, 50, 3, 210};
    struct sn_resize all = {SN_FILTER_BICUBIC, 31, 27, 0, 0, 31, 27};
    struct sn_resize part = {SN_FILTER_BICUBIC, 31, 27, 5, 9, 17, 16};
    uint8_t whole[31 * 27 * 3], window[17 * 16 * 3];
    resize(&src, &all, whole);
    resize(&src, &part, window);
    for (int y = 0; y < part.height; y++)
        assert_memory_equal(window + y * 17 * 3,
                            whole + ((y + part.y) * 31 + part.x) * 3, 17 * 3);
    free(in);
    (void)state;
}

/* A crop is an image of its own: what lies beside it changes nothing. */
static void crops_end_at_their_border(void **state)
{
    uint8_t *in = noise(30 * 20 * 3, 4), crop[11 * 9 * 3];
    uint8_t *a = malloc(24 * 24 * 3), *b = malloc(24 * 24 * 3);
    assert_true(a != NULL && b != NULL);
    struct sn_pixels whole = {in, 30, 20, 3, 90};
    struct sn_pixels part = sn_pixels_crop(&whole, 7, 6, 11, 9);
    for (int y = 0; y < 9; y++)
        memcpy(crop + y * 33, in + (y + 6) * 90 + 21, 33);
    struct sn_pixels copy = {crop, 11, 9, 3, 33};
    for (int filter = 0; filter < 2; filter++) {
        struct sn_resize how = {(enum sn_filter)filter, 24, 24, 0, 0, 24, 24};
        resize(&part, &how, a);
        resize(&copy, &how, b);
        assert_memory_equal(a, b, 24 * 24 * 3);
    }
    free(in);
    free(a);
    free(b);
    (void)state;
}

/* Says how fast it is; nothing depends on it. */
static void speed(void **state)
{
    uint8_t *in = noise(500 * 375 * 3, 5), *out = malloc(224 * 224 * 3);
    struct sn_pixels src = {in, 500, 375, 3, 1500};
    struct sn_resize_room room = {0};
    assert_non_null(out);
    for (int filter = 0; filter < 2; filter++) {
        struct sn_resize how = {
            (enum sn_filter)filter, 224, 224, 0, 0, 224, 224};
        double best = 1e9;
        for (int i = 0; i < 40; i++) {
            struct timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            assert_int_equal(sn_resize(&src, &how, &room, out, NULL), SN_OK);
            clock_gettime(CLOCK_MONOTONIC, &b);
            double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 +
                        (double)(b.tv_nsec - a.tv_nsec);
            best = ns < best ? ns : best;
        }
        print_message("%s, 500x375 to 224x224: %.2f ns an output pixel\n",
                      filter ? "bicubic" : "bilinear", best / (224 * 224));
    }
    sn_resize_room_close(&room);
    free(in);
    free(out);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_pillow),
        cmocka_unit_test(like_the_reference),
        cmocka_unit_test(windows_are_parts),
        cmocka_unit_test(crops_end_at_their_border),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
