/* Tells images apart and holds them against the limits. */
#include "engine/data/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/codec.h"

static const struct sn_codec *const codecs[] = {&sn_codec_jpeg, &sn_codec_png};

static enum sn_err find(const uint8_t *bytes, size_t len,
                        const struct sn_codec **ret, struct sn_error *err)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        const struct sn_codec *codec = codecs[i];
        if (len >= codec->magic_size &&
            memcmp(bytes, codec->magic, codec->magic_size) == 0) {
            *ret = codec;
            return SN_OK;
        }
    }
    if (len == 0)
        return sn_error_set(err, SN_ERR_CORRUPT, "is empty");
    return sn_error_set(err, SN_ERR_INVALID, "is no JPEG or PNG image");
}

static enum sn_err measure(const struct sn_codec *codec, const uint8_t *bytes,
                           size_t len, uint64_t max_pixels,
                           struct sn_image_size *ret, struct sn_error *err)
{
    struct sn_image_size size = {0, 0};
    if (max_pixels == 0)
        max_pixels = SN_IMAGE_MAX_PIXELS;
    enum sn_err rc = codec->measure(bytes, len, &size, err);
    if (rc != SN_OK)
        return rc;
    if (size.width < 1 || size.height < 1)
        return sn_error_set(err, SN_ERR_CORRUPT, "has no pixels");
    if ((uint64_t)size.width > max_pixels / (uint64_t)size.height)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "is of %d x %d pixels, over the limit of %" PRIu64,
                            size.width, size.height, max_pixels);
    *ret = size;
    return SN_OK;
}

enum sn_err sn_image_measure(const uint8_t *bytes, size_t len,
                             uint64_t max_pixels, struct sn_image_size *ret,
                             struct sn_error *err)
{
    const struct sn_codec *codec = NULL;
    enum sn_err rc = find(bytes, len, &codec, err);
    if (rc != SN_OK)
        return rc;
    return measure(codec, bytes, len, max_pixels, ret, err);
}

enum sn_err sn_image_decode(const uint8_t *bytes, size_t len, int channels,
                            uint64_t max_pixels, int least,
                            struct sn_image *ret, struct sn_error *err)
{
    const struct sn_codec *codec = NULL;
    struct sn_image_size size = {0, 0};
    enum sn_err rc = find(bytes, len, &codec, err);
    if (rc == SN_OK)
        rc = measure(codec, bytes, len, max_pixels, &size, err);
    if (rc == SN_OK)
        rc = codec->decode(bytes, len, size, channels, least, ret, err);
    return rc;
}

void sn_codec_grey(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = pixels + 3 * i;
        pixels[i] =
            (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >>
                      16);
    }
}

void sn_image_free(struct sn_image *image)
{
    if (image == NULL)
        return;
    free(image->pixels);
    image->pixels = NULL;
}
