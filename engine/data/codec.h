/* sn_codec - one file format of images: how it begins, what reads its size and
 * what decodes it. For image.c alone, which holds their results against the
 * limits.
 *
 * Thread-safe.
 */
#ifndef SN_CODEC_H
#define SN_CODEC_H

#include "engine/data/image.h"

struct sn_codec {
    const char *name;
    const char *magic; /* the first bytes */
    size_t magic_size;
    enum sn_err (*measure)(const uint8_t *bytes, size_t len,
                           struct sn_image_size *ret, struct sn_error *err);
    /* `size` is what measure() found, in its limits. *ret is owned. */
    enum sn_err (*decode)(const uint8_t *bytes, size_t len,
                          struct sn_image_size size, int channels, int least,
                          struct sn_image *ret, struct sn_error *err);
};

extern const struct sn_codec sn_codec_jpeg, sn_codec_png;

/* RGB becomes grey, in place: pixel i of `pixels` is then its i-th byte. */
void sn_codec_grey(uint8_t *pixels, size_t n);

#endif
