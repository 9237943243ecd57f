#include "engine/data/augment.h"

#include <math.h>

/* Inception's */
static const double least_area = 0.08, least_ratio = 3.0 / 4,
                    most_ratio = 4.0 / 3;
enum { TRIES = 10 };

static float around_one(struct sn_rng *rng, float spread)
{
    double u = sn_rng_uniform(rng);
    return spread > 0 ? (float)(1 + spread * (2 * u - 1)) : 1;
}

struct sn_draw sn_draw_make(const struct sn_augment *aug, enum sn_crop crop,
                            uint32_t image)
{
    struct sn_draw d = {.brightness = 1, .saturation = 1};
    if (aug == NULL || !aug->on)
        return d;
    struct sn_rng rng =
        sn_rng_make(aug->seed, SN_STREAM_AUGMENT, (aug->epoch << 32) + image);
    if (crop == SN_CROP_PAD) {
        uint32_t span = 2 * (uint32_t)aug->pad + 1;
        d.dy = (int)sn_rng_below(&rng, span) - aug->pad;
        d.dx = (int)sn_rng_below(&rng, span) - aug->pad;
    }
    d.flip = sn_rng_below(&rng, 2) == 1 && aug->flip;
    d.cut_y = sn_rng_uniform(&rng);
    d.cut_x = sn_rng_uniform(&rng);
    d.brightness = around_one(&rng, aug->brightness);
    d.saturation = around_one(&rng, aug->saturation);
    d.saturation_first = sn_rng_below(&rng, 2) == 1;
    d.crop = rng;
    return d;
}

static struct sn_box centred(int width, int height)
{
    double ratio = (double)width / height;
    struct sn_box box = {0, 0, width, height};
    if (ratio < least_ratio)
        box.height = (int)lround(width / least_ratio);
    else if (ratio > most_ratio)
        box.width = (int)lround(height * most_ratio);
    box.x = (width - box.width) / 2;
    box.y = (height - box.height) / 2;
    return box;
}

struct sn_box sn_draw_crop(const struct sn_draw *draw, int width, int height)
{
    struct sn_rng rng = draw->crop;
    double low = log(least_ratio), span = log(most_ratio) - low;
    for (int i = 0; i < TRIES; i++) {
        double share = least_area + (1 - least_area) * sn_rng_uniform(&rng);
        double area = share * width * height;
        double ratio = exp(low + span * sn_rng_uniform(&rng));
        double w = round(sqrt(area * ratio)), h = round(sqrt(area / ratio));
        if (w < 1 || w > width || h < 1 || h > height)
            continue;
        struct sn_box box = {.width = (int)w, .height = (int)h};
        box.y = (int)sn_rng_below(&rng, (uint32_t)(height - box.height) + 1);
        box.x = (int)sn_rng_below(&rng, (uint32_t)(width - box.width) + 1);
        return box;
    }
    return centred(width, height);
}

/* The longer side follows the shorter one, rounded down; the bound only holds
 * off images that are lines. */
static int longer_side(int shorter, int of_shorter, int of_longer)
{
    int64_t n = (int64_t)shorter * of_longer / of_shorter;
    return n > 1 << 24 ? 1 << 24 : (int)n;
}

struct sn_centre sn_centre_of(int width, int height, int resolution)
{
    return sn_centre_fit(width, height, (int)ceil(resolution / 0.875),
                         resolution);
}

struct sn_centre sn_centre_fit(int width, int height, int side, int resolution)
{
    struct sn_centre c = {side, side, 0, 0};
    if (width > height)
        c.width = longer_side(side, height, width);
    else
        c.height = longer_side(side, width, height);
    /* halves go to the even neighbour */
    c.x = (int)nearbyint((c.width - resolution) / 2.0);
    c.y = (int)nearbyint((c.height - resolution) / 2.0);
    return c;
}

bool sn_draw_jitters(const struct sn_draw *draw)
{
    return draw->brightness != 1 || draw->saturation != 1;
}

/* Levels are cut off, not rounded, as the source does. */
static uint8_t level(float v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void brighten(float factor, uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pixels[i] = level((float)pixels[i] * factor);
}

static void saturate(float factor, uint8_t *pixels, size_t n)
{
    for (uint8_t *p = pixels; p < pixels + 3 * n; p += 3) {
        int luma = (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16;
        for (int c = 0; c < 3; c++)
            p[c] = level((float)luma + factor * (float)(p[c] - luma));
    }
}

void sn_draw_jitter(const struct sn_draw *draw, uint8_t *pixels, size_t n)
{
    if (draw->saturation != 1 && draw->saturation_first)
        saturate(draw->saturation, pixels, n);
    if (draw->brightness != 1)
        brighten(draw->brightness, pixels, 3 * n);
    if (draw->saturation != 1 && !draw->saturation_first)
        saturate(draw->saturation, pixels, n);
}

static int within(int v, int side)
{
    return v < 0 ? 0 : v > side ? side : v;
}

void sn_draw_cut(const struct sn_draw *draw, int size, int channels, int side,
                 float *planes)
{
    int top = (int)(draw->cut_y * side) - size / 2;
    int left = (int)(draw->cut_x * side) - size / 2;
    int bottom = within(top + size, side), right = within(left + size, side);
    top = within(top, side);
    left = within(left, side);
    for (int c = 0; c < channels; c++, planes += (size_t)side * (size_t)side)
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++)
                planes[(size_t)y * (size_t)side + (size_t)x] = 0;
}
