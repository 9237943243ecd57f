/* sn_resize - a crop of an image brought to another size, antialiased, as
 * Pillow's Image.crop(box).resize(size, filter) does it, level for level.
 *
 *   source            horizontal pass     vertical pass
 *   +-----------+     +----+              +----+
 *   |  +---+    | --> |    | h rows  -->  |    | out_h
 *   |  | h |    |     +----+              +----+
 *   |  +-w-+    |      out_w               out_w
 *   +-----------+
 *
 * An output pixel is the weighted mean of the source pixels within the
 * filter's support around its centre; where the image shrinks, the support
 * grows by the reduction, so nothing aliases. Each pass rounds to 8 bits.
 * Weights are whole multiples of 2^-22, so that the result is the same on every
 * machine. Source of the rules: Pillow's documentation of its filters, and
 * Keys, "Cubic convolution interpolation" (1981), a = -1/2, for bicubic.
 *
 * Thread-safe. Everything is borrowed for the call.
 */
#ifndef SN_RESIZE_H
#define SN_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum sn_filter { SN_FILTER_BILINEAR, SN_FILTER_BICUBIC };

/* Interleaved 8-bit pixels, 1 or 3 channels. */
struct sn_pixels {
    const uint8_t *at; /* of the upper left pixel */
    int width, height, channels;
    size_t stride; /* bytes from row to row */
};

/* The part of an image from (x, y) on; it must lie inside. */
struct sn_pixels sn_pixels_crop(const struct sn_pixels *image, int x, int y,
                                int width, int height);

enum { SN_RESIZE_MAX_SIDE = 1 << 16 };

/* What is made of the source: pixels from (x, y) on of the whole result, which
 * would be out_width x out_height. All of it: {w, h, 0, 0, w, h}. */
struct sn_resize {
    enum sn_filter filter;
    int out_width, out_height; /* 1 to SN_RESIZE_MAX_SIDE, as the source's */
    int x, y, width, height;   /* the window that is wanted */
};

/* Memory that calls share, so that only the first ones allocate. Zeroed at
 * first, then closed. One thread at a time. */
struct sn_resize_room {
    void *block;
    size_t bytes;
};
void sn_resize_room_close(struct sn_resize_room *room);

/* Writes the window, height rows of width pixels without gaps. Only memory can
 * fail. */
enum sn_err sn_resize(const struct sn_pixels *source,
                      const struct sn_resize *how, struct sn_resize_room *room,
                      uint8_t *ret, struct sn_error *err);

#endif
