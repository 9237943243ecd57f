/* PNG, by libspng. */
#include <spng.h>
#include <stdlib.h>

#include "engine/data/codec.h"

/* What a chunk beside the pixels (a colour profile, a text) may unpack to, and
 * all of them together. */
enum { CHUNK_MAX = 4 << 20, CHUNKS_MAX = 8 << 20 };

static enum sn_err damaged(int code, struct sn_error *err)
{
    if (code == SPNG_EMEM)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to decode a PNG");
    return sn_error_set(err, SN_ERR_CORRUPT, "is a damaged PNG: %s",
                        spng_strerror(code));
}

static enum sn_err begin(const uint8_t *bytes, size_t len, spng_ctx **ret,
                         struct spng_ihdr *ret_header, struct sn_error *err)
{
    spng_ctx *png = spng_ctx_new(0);
    if (png == NULL)
        return damaged(SPNG_EMEM, err);
    int code = spng_set_chunk_limits(png, CHUNK_MAX, CHUNKS_MAX);
    if (code == 0)
        code = spng_set_png_buffer(png, bytes, len);
    if (code == 0)
        code = spng_get_ihdr(png, ret_header);
    if (code != 0) {
        spng_ctx_free(png);
        return damaged(code, err);
    }
    *ret = png;
    return SN_OK;
}

static enum sn_err measure(const uint8_t *bytes, size_t len,
                           struct sn_image_size *ret, struct sn_error *err)
{
    struct spng_ihdr header;
    spng_ctx *png = NULL;
    enum sn_err rc = begin(bytes, len, &png, &header, err);
    if (rc != SN_OK)
        return rc;
    spng_ctx_free(png);
    *ret = (struct sn_image_size){(int)header.width, (int)header.height};
    return SN_OK;
}

/* Grey is made of RGB, as the library gives grey of some kinds alone; of equal
 * thirds the formula makes the grey that they were. */
static enum sn_err decode(const uint8_t *bytes, size_t len,
                          struct sn_image_size size, int channels, int least,
                          struct sn_image *ret, struct sn_error *err)
{
    struct spng_ihdr header;
    spng_ctx *png = NULL;
    size_t n = (size_t)size.width * (size_t)size.height;
    uint8_t *pixels = NULL;
    enum sn_err rc = begin(bytes, len, &png, &header, err);
    if (rc != SN_OK)
        return rc;
    pixels = malloc(3 * n);
    int code = pixels == NULL
                   ? SPNG_EMEM
                   : spng_decode_image(png, pixels, 3 * n, SPNG_FMT_RGB8, 0);
    spng_ctx_free(png);
    if (code != 0) {
        free(pixels);
        return damaged(code, err);
    }
    if (channels == 1)
        sn_codec_grey(pixels, n);
    *ret = (struct sn_image){size.width, size.height, channels, pixels};
    return SN_OK;
}

const struct sn_codec sn_codec_png = {
    .name = "PNG",
    .magic = "\x89PNG\r\n\x1a\n",
    .magic_size = 8,
    .measure = measure,
    .decode = decode,
};
