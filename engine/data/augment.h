/* sn_augment - what is drawn for one image of one epoch, and the parts of it
 * that work on 8-bit pixels.
 *
 * Pure functions of (seed, epoch, image): whoever asks, whenever, in whatever
 * thread, gets the same. Thread-safe.
 *
 * Sources: random-resized crops are Inception's (Szegedy et al., CVPR 2015) as
 * they are drawn in today's frameworks; cutout is DeVries and Taylor's (2017);
 * brightness and saturation blend with black and with the luma, as Pillow's
 * ImageEnhance does.
 */
#ifndef SN_AUGMENT_H
#define SN_AUGMENT_H

#include "engine/data/data.h"
#include "engine/rng.h"

/* A part of an image, in its pixels. */
struct sn_box {
    int x, y, width, height;
};

struct sn_draw {
    int dy, dx; /* SN_CROP_PAD: pixel (y, x) comes from (y + dy, x + dx) */
    bool flip;  /* mirrored after that */
    double cut_y, cut_x;          /* centre of the cutout, in sides */
    float brightness, saturation; /* factors, 1: as it is */
    bool saturation_first;        /* of the two */
    struct sn_rng crop;           /* for sn_draw_crop() */
};

/* aug NULL or not on: nothing happens to the image. `image` is its number in
 * the data set. */
struct sn_draw sn_draw_make(const struct sn_augment *aug, enum sn_crop crop,
                            uint32_t image);

/* SN_CROP_RESIZED: area 0.08 to 1 of the image, ratio of its sides 3/4 to 4/3;
 * where ten tries do not fit, the largest centred one of such a ratio. */
struct sn_box sn_draw_crop(const struct sn_draw *draw, int width, int height);

/* The crop of an evaluation: the image is brought to a shorter side of
 * `resolution` / 0.875, rounded up; the middle of it is taken. */
struct sn_centre {
    int width, height; /* of the whole result */
    int x, y;          /* where the middle begins */
};
struct sn_centre sn_centre_of(int width, int height, int resolution);
/* The same with the shorter side brought to `side` >= resolution. */
struct sn_centre sn_centre_fit(int width, int height, int side, int resolution);

bool sn_draw_jitters(const struct sn_draw *draw);
/* Brightness and saturation of n pixels of 3 channels, in place. */
void sn_draw_jitter(const struct sn_draw *draw, uint8_t *pixels, size_t n);

/* Zeroes the cutout's square of planes [channels][side][side]. */
void sn_draw_cut(const struct sn_draw *draw, int size, int channels, int side,
                 float *planes);

#endif
