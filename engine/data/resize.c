#include "engine/data/resize.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Bits of a weight behind the point: 8 of a level, 22, and 2 for the overshoot
 * of the cubic make 32. */
enum { PRECISION = 22 };

/* The horizontal pass makes so many values at once: four rows of pixels of 3
 * channels (and an idle one), or sixteen rows of grey ones.
 *
 *   lane   0 1 2 3   4 5 6 7   8 9 10 11   12 13 14 15
 *          R G B -   R G B -   R G B  -    R  G  B  -
 *          row y     y + 1     y + 2       y + 3
 */
enum { LANES = 16 };
struct pass {
    int n, taps;     /* outputs; the most taps of any */
    int *first, *of; /* [n]: first source pixel, taps */
    int32_t *weight; /* [n][taps] */
};

/* ---- weights ---- */

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const struct {
    double support;
    double (*at)(double x);
} filter_table[] = {
    [SN_FILTER_BILINEAR] = {1, triangle},
    [SN_FILTER_BICUBIC] = {2, cubic},
};

static int taps_of(enum sn_filter filter, int in, int out)
{
    double scale = (double)in / out;
    return 2 * (int)ceil(filter_table[filter].support * fmax(scale, 1)) + 1;
}

/* Weights of output `o` over the whole pixels around its centre; they sum up to
 * one. `real` has room for p->taps. */
static void weigh(enum sn_filter filter, int in, int out, int o, int at,
                  struct pass *p, double *real)
{
    double scale = (double)in / out, wide = fmax(scale, 1);
    double support = filter_table[filter].support * wide;
    double centre = (o + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5);
    int end = (int)(centre + support + 0.5);
    int32_t *weight = p->weight + (size_t)at * (size_t)p->taps;

    if (first < 0)
        first = 0;
    if (end > in)
        end = in;
    for (int i = first; i < end; i++) {
        real[i - first] =
            filter_table[filter].at((i - centre + 0.5) * (1 / wide));
        sum += real[i - first];
    }
    for (int i = 0; i < end - first; i++) {
        double w = (sum != 0 ? real[i] / sum : real[i]) * (1 << PRECISION);
        weight[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    p->first[at] = first;
    p->of[at] = end - first;
}

/* ---- memory ---- */

static size_t whole(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

void sn_resize_room_close(struct sn_resize_room *room)
{
    free(room->block);
    *room = (struct sn_resize_room){0};
}

static enum sn_err reserve(struct sn_resize_room *room, size_t bytes,
                           struct sn_error *err)
{
    if (room->bytes >= bytes)
        return SN_OK;
    free(room->block);
    room->bytes = 0;
    room->block = aligned_alloc(64, whole(bytes));
    if (room->block == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to resize an image");
    room->bytes = whole(bytes);
    return SN_OK;
}

static size_t pass_bytes(int n, int taps)
{
    size_t weights = (size_t)n * (size_t)taps * sizeof(int32_t);
    return whole(2 * (size_t)n * sizeof(int)) + whole(weights);
}

static uint8_t *pass_place(struct pass *p, int n, int taps, uint8_t *block)
{
    p->n = n;
    p->taps = taps;
    p->first = (int *)(void *)block;
    p->of = p->first + n;
    p->weight = (int32_t *)(void *)(block + whole(2 * (size_t)n * sizeof(int)));
    return block + pass_bytes(n, taps);
}

/* ---- passes ---- */

/* Makes LANES values at once: the weighted sum of `taps` stripes of levels,
 * which are `step` bytes apart, rounded and clipped to levels. */
typedef void (*stripe_fn)(const uint8_t *in, size_t step, const int32_t *weight,
                          int taps, uint8_t *ret);

static void stripe_portable(const uint8_t *in, size_t step,
                            const int32_t *weight, int taps, uint8_t *ret)
{
    int32_t sum[LANES];
    for (int l = 0; l < LANES; l++)
        sum[l] = 1 << (PRECISION - 1);
    for (int t = 0; t < taps; t++, in += step)
        for (int l = 0; l < LANES; l++)
            sum[l] += in[l] * weight[t];
    for (int l = 0; l < LANES; l++) {
        int32_t v = sum[l] >> PRECISION;
        ret[l] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void stripe_avx2(const uint8_t *in,
                                                        size_t step,
                                                        const int32_t *weight,
                                                        int taps, uint8_t *ret)
{
    __m256i lo = _mm256_set1_epi32(1 << (PRECISION - 1)), hi = lo;
    for (int t = 0; t < taps; t++, in += step) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)in);
        __m256i w = _mm256_set1_epi32(weight[t]);
        __m256i a = _mm256_cvtepu8_epi32(v);
        __m256i b = _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(v, v));
        lo = _mm256_add_epi32(lo, _mm256_mullo_epi32(a, w));
        hi = _mm256_add_epi32(hi, _mm256_mullo_epi32(b, w));
    }
    lo = _mm256_srai_epi32(lo, PRECISION);
    hi = _mm256_srai_epi32(hi, PRECISION);
    /* packing goes by halves of 128 bits: puts their parts in order again */
    __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(lo, hi), 0xd8);
    _mm_storeu_si128((__m128i *)(void *)ret,
                     _mm_packus_epi16(_mm256_castsi256_si128(both),
                                      _mm256_extracti128_si256(both, 1)));
}
#endif

static stripe_fn pick(void)
{
    const char *wanted = getenv("SPARSENAS_ISA");
#if defined(__x86_64__)
    if ((wanted == NULL || strcmp(wanted, "portable") != 0) &&
        __builtin_cpu_supports("avx2"))
        return stripe_avx2;
#endif
    (void)wanted;
    return stripe_portable;
}

/* ---- an image ---- */

struct sn_pixels sn_pixels_crop(const struct sn_pixels *image, int x, int y,
                                int width, int height)
{
    struct sn_pixels crop = *image;
    assert(x >= 0 && y >= 0 && width >= 1 && height >= 1);
    assert(x + width <= image->width && y + height <= image->height);
    crop.at += (size_t)y * image->stride + (size_t)(x * image->channels);
    crop.width = width;
    crop.height = height;
    return crop;
}

struct work {
    stripe_fn stripe;
    struct pass h, v;
    double *real;
    uint8_t *lanes, *across; /* a group of rows before and after the pass */
    uint8_t *middle;         /* rows [top, top + rows) after it */
    size_t stride;           /* of the middle */
    int top, rows;
};

/* Copies n pixels of 3 channels, by 4 bytes: all but the last one have a
 * neighbour whose byte may come along, and may be written over. */
static void copy_pixels(const uint8_t *in, size_t in_step, int n, uint8_t *out,
                        size_t out_step)
{
    for (int x = 0; x < n - 1; x++, in += in_step, out += out_step)
        memcpy(out, in, 4);
    memcpy(out, in, 3);
}

/* Pixel columns [from, end) of `n` rows, at most the lanes', side by side. */
static void gather(const struct sn_pixels *src, int row, int n, int from,
                   int end, uint8_t *lanes)
{
    lanes += (size_t)from * LANES;
    for (int r = 0; r < n; r++) {
        const uint8_t *in = src->at + (size_t)(row + r) * src->stride;
        if (src->channels == 1)
            for (int x = from; x < end; x++)
                lanes[(x - from) * LANES + r] = in[x];
        else
            copy_pixels(in + (size_t)from * 3, 3, end - from, lanes + 4 * r,
                        LANES);
    }
}

static void scatter(const uint8_t *across, int channels, int n, int width,
                    uint8_t *rows, size_t stride)
{
    for (int r = 0; r < n; r++, rows += stride) {
        if (channels == 1)
            for (int x = 0; x < width; x++)
                rows[x] = across[x * LANES + r];
        else
            copy_pixels(across + 4 * r, LANES, width, rows, 3);
    }
}

static void run_across(const struct sn_pixels *src, struct work *w)
{
    int group = src->channels == 1 ? LANES : LANES / 4;
    int last = w->h.n - 1;
    int from = w->h.first[0], end = w->h.first[last] + w->h.of[last];
    for (int y = 0; y < w->rows; y += group) {
        int n = w->rows - y < group ? w->rows - y : group;
        uint8_t *to = w->middle + (size_t)y * w->stride;
        gather(src, w->top + y, n, from, end, w->lanes);
        for (int x = 0; x < w->h.n; x++)
            w->stripe(w->lanes + (size_t)w->h.first[x] * LANES, LANES,
                      w->h.weight + (size_t)x * (size_t)w->h.taps, w->h.of[x],
                      w->across + (size_t)x * LANES);
        scatter(w->across, src->channels, n, w->h.n, to, w->stride);
    }
}

/* Row y of the result. The last stripe may be only partly wanted. */
static void run_down(const struct work *w, int y, uint8_t *ret)
{
    const uint8_t *in =
        w->middle + (size_t)(w->v.first[y] - w->top) * w->stride;
    const int32_t *weight = w->v.weight + (size_t)y * (size_t)w->v.taps;
    uint8_t last[LANES];
    size_t x = 0;
    for (; x + LANES <= w->stride; x += LANES)
        w->stripe(in + x, w->stride, weight, w->v.of[y], ret + x);
    if (x == w->stride)
        return;
    w->stripe(in + x, w->stride, weight, w->v.of[y], last);
    memcpy(ret + x, last, w->stride - x);
}

/* The middle has LANES bytes more than its rows need, for the last stripe. */
static enum sn_err plan(const struct sn_pixels *src,
                        const struct sn_resize *how,
                        struct sn_resize_room *room, struct work *w,
                        struct sn_error *err)
{
    int h_taps = taps_of(how->filter, src->width, how->out_width);
    int v_taps = taps_of(how->filter, src->height, how->out_height);
    size_t h = pass_bytes(how->width, h_taps);
    size_t v = pass_bytes(how->height, v_taps);
    size_t real =
        whole((size_t)(h_taps > v_taps ? h_taps : v_taps) * sizeof(double));
    size_t lanes = whole((size_t)src->width * LANES);
    size_t across = whole((size_t)how->width * LANES);
    w->stride = (size_t)how->width * (size_t)src->channels;
    size_t middle = w->stride * (size_t)src->height + LANES;
    enum sn_err rc = reserve(room, h + v + real + lanes + across + middle, err);
    if (rc != SN_OK)
        return rc;
    uint8_t *at = pass_place(&w->h, how->width, h_taps, room->block);
    at = pass_place(&w->v, how->height, v_taps, at);
    w->real = (double *)(void *)at;
    w->lanes = at + real;
    w->across = w->lanes + lanes;
    w->middle = w->across + across;
    memset(w->lanes, 0, lanes); /* idle lanes are not nothing */
    memset(w->middle + w->stride * (size_t)src->height, 0, LANES);
    return SN_OK;
}

enum sn_err sn_resize(const struct sn_pixels *source,
                      const struct sn_resize *how, struct sn_resize_room *room,
                      uint8_t *ret, struct sn_error *err)
{
    struct work w = {.stripe = pick()};
    enum sn_err rc = plan(source, how, room, &w, err);
    if (rc != SN_OK)
        return rc;
    for (int i = 0; i < how->width; i++)
        weigh(how->filter, source->width, how->out_width, how->x + i, i, &w.h,
              w.real);
    for (int i = 0; i < how->height; i++)
        weigh(how->filter, source->height, how->out_height, how->y + i, i, &w.v,
              w.real);
    int last = how->height - 1;
    w.top = w.v.first[0];
    w.rows = w.v.first[last] + w.v.of[last] - w.top;
    run_across(source, &w);
    for (int y = 0; y < how->height; y++)
        run_down(&w, y, ret + (size_t)y * w.stride);
    return SN_OK;
}
