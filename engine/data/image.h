/* sn_image - decodes one JPEG or PNG image in memory to 8-bit pixels, trusting
 * nothing in it.
 *
 * What an image is, its first bytes say, never its name. Its size is read in
 * the header and held against limits before anything is allocated; an image
 * that is cut short or damaged is an error, never half a picture. Whatever it
 * holds becomes 1 or 3 channels of 8 bits:
 *
 *   grey from colour   (19595 R + 38470 G + 7471 B + 2^15) >> 16, ITU-R 601's
 *                      luma; of a JPEG the luma that it stores
 *   colour from grey   the grey three times
 *   alpha              left out: the colours are taken as they are stored
 *   16 bits            the high 8 of them
 *   CMYK               light through the inks, R = (255 - C)(255 - K) / 255; a
 *                      profile is not applied
 *
 * The orientation that a camera notes beside the pixels is not applied, as the
 * published training pipelines do not either. Thread-safe.
 */
#ifndef SN_IMAGE_H
#define SN_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define SN_IMAGE_MAX_PIXELS ((uint64_t)50000000) /* where none is said */

struct sn_image {
    int width, height, channels;
    uint8_t *pixels; /* [height][width][channels], owned: sn_image_free() */
};

struct sn_image_size {
    int width, height;
};

/* Reads the header alone. Errors as sn_image_decode(). */
enum sn_err sn_image_measure(const uint8_t *bytes, size_t len,
                             uint64_t max_pixels, struct sn_image_size *ret,
                             struct sn_error *err);

/* channels: 1 or 3. max_pixels: 0 is SN_IMAGE_MAX_PIXELS. least: 0, or how long
 * the shorter side must at least be: a JPEG that is larger comes out at 1/2,
 * 1/4 or 1/8 of its size, which saves most of the work. SN_ERR_INVALID when it
 * is no JPEG or PNG, SN_ERR_TOOLARGE when it is over max_pixels, SN_ERR_CORRUPT
 * when it is damaged. */
enum sn_err sn_image_decode(const uint8_t *bytes, size_t len, int channels,
                            uint64_t max_pixels, int least,
                            struct sn_image *ret, struct sn_error *err);

/* Frees the pixels; a zeroed struct is fine, and so is NULL. */
void sn_image_free(struct sn_image *image);

#endif
