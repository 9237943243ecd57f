/* Images: every kind of PNG and JPEG becomes the pixels that it was made of;
 * a cut anywhere, a flipped byte or a header that promises gigapixels is an
 * error with a message, before anything is allocated by it; stray bytes
 * between a JPEG's segments are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "engine/data/image.h"
#include "tests/engine/data/pictures.h"

enum { W = 19, H = 13, N = W * H };

static uint8_t smooth(int x, int y, int c)
{
    return (uint8_t)(20 + 6 * x + 5 * y + 20 * c);
}

static void fill(uint8_t *pixels, int channels)
{
    for (int i = 0; i < N * channels; i++)
        pixels[i] = smooth(i / channels % W, i / channels / W, i % channels);
}

static struct sn_image decode(const struct sn_picture *p, int channels)
{
    struct sn_image image = {0};
    struct sn_error err = {0};
    enum sn_err rc =
        sn_image_decode(p->bytes, p->n, channels, 0, 0, &image, &err);
    if (rc != SN_OK)
        fail_msg("%s", err.message);
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    assert_int_equal(image.channels, channels);
    return image;
}

static int luma(int r, int g, int b)
{
    return (299 * r + 587 * g + 114 * b + 500) / 1000;
}

/* Decodes a PNG of one row kind and holds every pixel against `want`. */
static void check_png(int depth, int kind, const uint8_t *rows, size_t row,
                      const uint8_t *palette, uint8_t want[N][3])
{
    struct sn_picture p = sn_picture_png(W, H, depth, kind, rows, row, palette);
    struct sn_image rgb = decode(&p, 3), grey = decode(&p, 1);
    for (int i = 0; i < N; i++) {
        const uint8_t *w = want[i];
        for (int c = 0; c < 3; c++)
            assert_int_equal(rgb.pixels[3 * i + c], w[c]);
        assert_in_range(grey.pixels[i] + 1 - luma(w[0], w[1], w[2]), 0, 2);
        if (w[0] == w[1] && w[1] == w[2])
            assert_int_equal(grey.pixels[i], w[0]);
    }
    sn_image_free(&rgb);
    sn_image_free(&grey);
    free(p.bytes);
}

static void test_png_8(void **state)
{
    static const int kinds[] = {0, 2, 4, 6}, samples[] = {1, 3, 2, 4};
    for (int k = 0; k < 4; k++) {
        int s = samples[k], colours = s > 2 ? 3 : 1;
        uint8_t rows[N * 4], want[N][3];
        for (int i = 0; i < N; i++) {
            for (int c = 0; c < s; c++) /* the last of 2 or 4 is alpha */
                rows[i * s + c] = smooth(i % W, i / W, c) ^ (c == 3 ? 255 : 0);
            for (int c = 0; c < 3; c++)
                want[i][c] = rows[i * s + (colours == 3 ? c : 0)];
        }
        check_png(8, kinds[k], rows, (size_t)(W * s), NULL, want);
    }
}

static void test_png_16(void **state)
{
    for (int kind = 0; kind <= 2; kind += 2) {
        int s = kind == 0 ? 1 : 3;
        uint8_t rows[N * 6], want[N][3];
        for (int i = 0; i < N; i++)
            for (int c = 0; c < 3; c++) {
                int v = smooth(i % W, i / W, s == 1 ? 0 : c);
                want[i][c] = (uint8_t)v;
                if (c < s) {
                    rows[2 * (i * s + c)] = (uint8_t)v;
                    rows[2 * (i * s + c) + 1] = (uint8_t)(7 * i);
                }
            }
        check_png(16, kind, rows, (size_t)(2 * W * s), NULL, want);
    }
}

static void test_png_palette_and_bits(void **state)
{
    uint8_t palette[768], rows[N], want[N][3];
    for (int i = 0; i < 768; i++)
        palette[i] = (uint8_t)(i * 11);
    for (int i = 0; i < N; i++) {
        rows[i] = (uint8_t)i;
        memcpy(want[i], palette + 3 * rows[i], 3);
    }
    check_png(8, 3, rows, W, palette, want);
    /* one bit a pixel, the first one in the highest bit */
    memset(rows, 0, sizeof rows);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            bool on = (x * y) % 3 == 1;
            rows[3 * y + x / 8] |= (uint8_t)(on << (7 - x % 8));
            memset(want[y * W + x], on ? 255 : 0, 3);
        }
    check_png(1, 0, rows, 3, NULL, want);
}

static void assert_near(const struct sn_image *image, int channels,
                        const uint8_t *want, int tolerance)
{
    for (int i = 0; i < N * channels; i++)
        if (abs(image->pixels[i] - want[i]) > tolerance)
            fail_msg("value %d is %d, not %d", i, image->pixels[i], want[i]);
}

static void test_jpeg(void **state)
{
    static const char *const options[] = {
        "-quality 100 -sample 1x1", "-quality 100 -sample 1x1 -progressive",
        "-quality 100 -sample 1x1 -restart 1", "-quality 100 -sample 2x2",
        "-quality 100 -rgb"};
    uint8_t rgb[N * 3], grey[N], three[N * 3];
    fill(rgb, 3);
    fill(grey, 1);
    for (int i = 0; i < N * 3; i++)
        three[i] = grey[i / 3];
    for (size_t o = 0; o < sizeof options / sizeof options[0]; o++) {
        struct sn_picture p = sn_picture_jpeg(options[o], W, H, 3, rgb);
        struct sn_image image = decode(&p, 3);
        assert_near(&image, 3, rgb, o == 3 ? 6 : 3);
        sn_image_free(&image);
        image = decode(&p, 1);
        for (int i = 0; i < N; i++)
            assert_in_range(
                image.pixels[i] + 4 -
                    luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]),
                0, 8);
        sn_image_free(&image);
        free(p.bytes);
    }
    struct sn_picture p = sn_picture_jpeg("-quality 100", W, H, 1, grey);
    struct sn_image image = decode(&p, 1);
    assert_near(&image, 1, grey, 2);
    sn_image_free(&image);
    image = decode(&p, 3);
    assert_near(&image, 3, three, 2);
    sn_image_free(&image);
    free(p.bytes);
}

/* Inks as Adobe's programs store them (0 is all ink), and the plain ones that
 * the same bytes are once nothing says Adobe any more. */
static void test_jpeg_of_inks(void **state)
{
    uint8_t inks[N * 4], want[N * 3];
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    for (int i = 0; i < N; i++) {
        for (int c = 0; c < 4; c++)
            inks[4 * i + c] = c == 3 ? 200 : smooth(i % W, i / W, c);
        for (int c = 0; c < 3; c++)
            want[3 * i + c] = (uint8_t)(inks[4 * i + c] * 200 / 255);
    }
    tjhandle tj = tjInitCompress();
    assert_int_equal(tjCompress2(tj, inks, W, 0, H, TJPF_CMYK, &bytes, &n,
                                 TJSAMP_444, 100, TJFLAG_ACCURATEDCT),
                     0);
    tjDestroy(tj);
    struct sn_picture p = {bytes, n};
    struct sn_image image = decode(&p, 3);
    assert_near(&image, 3, want, 4);
    sn_image_free(&image);
    image = decode(&p, 1);
    assert_in_range(image.pixels[0] + 4 - luma(want[0], want[1], want[2]), 0,
                    8);
    sn_image_free(&image);
    uint8_t *adobe = memmem(bytes, n, "Adobe", 5);
    assert_non_null(adobe);
    adobe[11] = 0; /* no YCCK, but inks as they are: still Adobe's */
    image = decode(&p, 3);
    int dark = image.pixels[0];
    sn_image_free(&image);
    adobe[0] = 'X';
    image = decode(&p, 3);
    assert_int_not_equal(image.pixels[0], dark);
    sn_image_free(&image);
    tjFree(bytes);
}

static void test_scaled(void **state)
{
    enum { SIDE_X = 300, SIDE_Y = 200 };
    static const struct {
        int least, width, height;
    } cases[] = {{0, 300, 200},   {200, 300, 200}, {101, 300, 200},
                 {100, 150, 100}, {50, 75, 50},    {25, 38, 25},
                 {1, 38, 25}};
    uint8_t *pixels = malloc(SIDE_X * SIDE_Y);
    assert_non_null(pixels);
    memset(pixels, 77, SIDE_X * SIDE_Y);
    struct sn_picture p = sn_picture_jpeg("", SIDE_X, SIDE_Y, 1, pixels);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sn_image image = {0};
        assert_int_equal(
            sn_image_decode(p.bytes, p.n, 1, 0, cases[i].least, &image, NULL),
            SN_OK);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].height);
        assert_in_range(image.pixels[image.width * image.height - 1], 76, 78);
        sn_image_free(&image);
    }
    free(p.bytes);
    free(pixels);
}

static enum sn_err try(const uint8_t *bytes, size_t n, struct sn_error *err)
{
    struct sn_image image = {0};
    /* a copy of its own size, so that a sanitizer sees a byte too many */
    uint8_t *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    enum sn_err rc = sn_image_decode(copy, n, 3, 0, 0, &image, err);
    free(copy);
    if (rc != SN_OK)
        assert_null(image.pixels);
    sn_image_free(&image);
    return rc;
}

static void test_cut_and_damaged(void **state)
{
    uint8_t rgb[N * 3];
    struct sn_error err;
    fill(rgb, 3);
    struct sn_picture set[] = {
        sn_picture_jpeg("-quality 90", W, H, 3, rgb),
        sn_picture_jpeg("-quality 90 -progressive", W, H, 3, rgb),
        sn_picture_png(W, H, 8, 2, rgb, 3 * W, NULL)};
    for (int s = 0; s < 3; s++) {
        /* the last bytes hold nothing of the picture: JPEG's end marker, PNG's
         * empty last chunk and the sums before it */
        size_t whole = set[s].n - (s == 2 ? 12 : 2);
        for (size_t n = 0; n + 8 < whole; n += n < 64 ? 1 : 7) {
            err.message[0] = '\0';
            assert_int_not_equal(try(set[s].bytes, n, &err), SN_OK);
            assert_true(strlen(err.message) > 4);
        }
        for (size_t at = 0; at < set[s].n; at += 3) {
            set[s].bytes[at] ^= 0x55; /* whatever it is then: no crash */
            try(set[s].bytes, set[s].n, &err);
            set[s].bytes[at] ^= 0x55;
        }
        assert_int_equal(try(set[s].bytes, set[s].n, &err), SN_OK);
    }
    set[2].bytes[60] ^= 1; /* a byte of the compressed pixels: its sum is off */
    assert_int_equal(try(set[2].bytes, set[2].n, &err), SN_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "PNG"));
    for (int s = 0; s < 3; s++)
        free(set[s].bytes);
}

/* Between any two segments; the picture is the same. */
static void test_stray_bytes(void **state)
{
    static const char *const markers[] = {"\xff\xdb", "\xff\xc4", "\xff\xda"};
    uint8_t rgb[N * 3];
    fill(rgb, 3);
    struct sn_picture p = sn_picture_jpeg("-baseline", W, H, 3, rgb);
    struct sn_image plain = decode(&p, 3);
    for (int m = 0; m < 3; m++) {
        const uint8_t *marker = memmem(p.bytes, p.n, markers[m], 2);
        assert_non_null(marker);
        size_t at = (size_t)(marker - p.bytes);
        struct sn_picture stray = {malloc(p.n + 3), p.n + 3};
        assert_non_null(stray.bytes);
        memcpy(stray.bytes, p.bytes, at);
        memcpy(stray.bytes + at, "abc", 3);
        memcpy(stray.bytes + at + 3, p.bytes + at, p.n - at);
        struct sn_image image = decode(&stray, 3);
        assert_memory_equal(image.pixels, plain.pixels, sizeof rgb);
        sn_image_free(&image);
        free(stray.bytes);
    }
    sn_image_free(&plain);
    free(p.bytes);
}

static void test_no_image(void **state)
{
    struct sn_error err;
    assert_int_equal(try((const uint8_t *)"GIF89a......", 12, &err),
                     SN_ERR_INVALID);
    assert_int_equal(try((const uint8_t *)"", 0, &err), SN_ERR_CORRUPT);
}

/* A size that a header claims is refused before a byte is allocated for it. */
static void test_too_large(void **state)
{
    uint8_t rgb[N * 3];
    struct sn_error err;
    struct sn_image_size size = {0};
    fill(rgb, 3);
    struct sn_picture jpeg = sn_picture_jpeg("-baseline", W, H, 3, rgb);
    struct sn_picture png = sn_picture_png(W, H, 8, 2, rgb, 3 * W, NULL);
    uint8_t *sof = memmem(jpeg.bytes, jpeg.n, "\xff\xc0", 2);
    assert_non_null(sof);
    memset(sof + 5, 0xff, 4); /* 65535 x 65535: 4.3 gigapixels */
    sof[5] = sof[7] = 0xf0;
    assert_int_equal(try(jpeg.bytes, jpeg.n, &err), SN_ERR_TOOLARGE);
    assert_non_null(strstr(err.message, "61695 x 61695"));
    assert_int_equal(
        sn_image_measure(jpeg.bytes, jpeg.n, UINT64_MAX, &size, &err), SN_OK);
    assert_int_equal(size.width, 61695);
    struct sn_picture huge = {0};
    uint8_t ihdr[13] = {0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8, 2};
    huge.bytes = malloc(8);
    assert_non_null(huge.bytes);
    memcpy(huge.bytes, png.bytes, 8);
    huge.n = 8;
    sn_picture_chunk(&huge, "IHDR", ihdr, sizeof ihdr);
    sn_picture_chunk(&huge, "IDAT", NULL, 0);
    assert_int_not_equal(try(huge.bytes, huge.n, &err), SN_OK);
    struct sn_image image = {0};
    assert_int_equal(
        sn_image_decode(png.bytes, png.n, 3, N - 1, 0, &image, &err),
        SN_ERR_TOOLARGE);
    assert_int_equal(sn_image_decode(png.bytes, png.n, 3, N, 0, &image, &err),
                     SN_OK);
    sn_image_free(&image);
    free(huge.bytes);
    free(jpeg.bytes);
    free(png.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_8),
        cmocka_unit_test(test_png_16),
        cmocka_unit_test(test_png_palette_and_bits),
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_jpeg_of_inks),
        cmocka_unit_test(test_scaled),
        cmocka_unit_test(test_cut_and_damaged),
        cmocka_unit_test(test_stray_bytes),
        cmocka_unit_test(test_no_image),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
