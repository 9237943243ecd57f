/* JPEG and PNG images: what is decoded has the size that was measured (or a
 * smaller one that is large enough) and all its pixels; what is not says what
 * is wrong. The first byte of an input says how it is decoded. */
#include "tests/fuzz/fuzz.h"

#include "engine/data/image.h"

enum { MAX_PIXELS = 1 << 14 };

static void check(const struct sn_image *image, int channels, int least,
                  const struct sn_image_size *size)
{
    FUZZ_REQUIRE(image->channels == channels);
    FUZZ_REQUIRE(image->width >= 1 && image->width <= size->width);
    FUZZ_REQUIRE(image->height >= 1 && image->height <= size->height);
    if (image->width != size->width || image->height != size->height)
        FUZZ_REQUIRE(least > 0 && image->width >= least &&
                     image->height >= least);
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)channels;
    fuzz_touch(image->pixels, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_image image = {0};
    struct sn_image_size measured = {0, 0};
    struct sn_error err = {0};
    if (size == 0)
        return 0;
    int channels = data[0] & 1 ? 3 : 1;
    int least = data[0] >> 1;
    data++;
    size--;
    enum sn_err rc = sn_image_measure(data, size, MAX_PIXELS, &measured, &err);
    if (rc == SN_OK)
        FUZZ_REQUIRE((uint64_t)measured.width * (uint64_t)measured.height <=
                     MAX_PIXELS);
    else
        FUZZ_REQUIRE(err.message[0] != '\0');
    err = (struct sn_error){0};
    if (sn_image_decode(data, size, channels, MAX_PIXELS, least, &image,
                        &err) == SN_OK) {
        FUZZ_REQUIRE(rc == SN_OK);
        check(&image, channels, least, &measured);
        sn_image_free(&image);
    } else {
        FUZZ_REQUIRE(err.message[0] != '\0');
    }
    return 0;
}
