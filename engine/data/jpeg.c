/* JPEG, by libturbojpeg. */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "engine/data/codec.h"

struct header {
    struct sn_image_size size;
    int colourspace;
};

/* A sentence of the library's, for the message of an error. */
static enum sn_err damaged(tjhandle tj, struct sn_error *err)
{
    return sn_error_set(err, SN_ERR_CORRUPT, "is a damaged JPEG: %s",
                        tjGetErrorStr2(tj));
}

/* Whether all that the last call found wrong is stray bytes between segments,
 * which many cameras write and which touch no pixel. */
static bool is_stray(tjhandle tj)
{
    return tjGetErrorCode(tj) == TJERR_WARNING &&
           strstr(tjGetErrorStr2(tj), "extraneous bytes") != NULL;
}

static enum sn_err begin(const uint8_t *bytes, size_t len, tjhandle *ret_tj,
                         struct header *ret, struct sn_error *err)
{
    struct header h = {{0, 0}, 0};
    int subsampling;
    if (len > ULONG_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "is too large a file");
    tjhandle tj = tjInitDecompress();
    if (tj == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to decode a JPEG");
    if (tjDecompressHeader3(tj, bytes, (unsigned long)len, &h.size.width,
                            &h.size.height, &subsampling,
                            &h.colourspace) != 0 &&
        !is_stray(tj)) {
        enum sn_err rc = damaged(tj, err);
        tjDestroy(tj);
        return rc;
    }
    *ret_tj = tj;
    *ret = h;
    return SN_OK;
}

static enum sn_err measure(const uint8_t *bytes, size_t len,
                           struct sn_image_size *ret, struct sn_error *err)
{
    struct header h;
    tjhandle tj = NULL;
    enum sn_err rc = begin(bytes, len, &tj, &h, err);
    if (rc != SN_OK)
        return rc;
    tjDestroy(tj);
    *ret = h.size;
    return SN_OK;
}

/* The smallest of the sizes that come cheap whose shorter side is `least`. */
static struct sn_image_size scaled(struct sn_image_size size, int least)
{
    static const tjscalingfactor factors[] = {{1, 8}, {1, 4}, {1, 2}};
    for (int i = 0; least > 0 && i < 3; i++) {
        int width = TJSCALED(size.width, factors[i]);
        int height = TJSCALED(size.height, factors[i]);
        if (width >= least && height >= least)
            return (struct sn_image_size){width, height};
    }
    return size;
}

/* Whether a CMYK image says that Adobe's programs wrote it (a segment APP14),
 * which store 255 where there is no ink. */
static bool is_adobe(const uint8_t *bytes, size_t len)
{
    size_t at = 2;
    while (at + 9 <= len && bytes[at] == 0xff) {
        size_t size = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (bytes[at + 1] == 0xee && memcmp(bytes + at + 4, "Adobe", 5) == 0)
            return true;
        if (bytes[at + 1] == 0xda || size < 2) /* the picture begins */
            return false;
        at += 2 + size;
    }
    return false;
}

/* Decodes; what can be decoded in spite of a fault is as bad as what cannot,
 * but for stray bytes. */
static enum sn_err run(tjhandle tj, const uint8_t *bytes, size_t len,
                       struct sn_image_size size, int format, uint8_t *pixels,
                       struct sn_error *err)
{
    int rc = tjDecompress2(tj, bytes, (unsigned long)len, pixels, size.width,
                           size.width * tjPixelSize[format], size.height,
                           format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
    if (rc == 0 || is_stray(tj))
        return SN_OK;
    return damaged(tj, err);
}

static void from_cmyk(uint8_t *pixels, size_t n, bool inverted)
{
    uint8_t mask = inverted ? 0 : 255;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = pixels + 4 * i;
        uint32_t k = p[3] ^ mask;
        uint8_t rgb[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(((p[c] ^ mask) * k + 127) / 255);
        memcpy(pixels + 3 * i, rgb, 3);
    }
}

static enum sn_err decode(const uint8_t *bytes, size_t len,
                          struct sn_image_size size, int channels, int least,
                          struct sn_image *ret, struct sn_error *err)
{
    struct header h;
    tjhandle tj = NULL;
    enum sn_err rc = begin(bytes, len, &tj, &h, err);
    if (rc != SN_OK)
        return rc;
    bool inks = h.colourspace == TJCS_CMYK || h.colourspace == TJCS_YCCK;
    int format = inks ? TJPF_CMYK : channels == 1 ? TJPF_GRAY : TJPF_RGB;
    size = scaled(size, least);
    size_t n = (size_t)size.width * (size_t)size.height;
    uint8_t *pixels = malloc(n * (size_t)tjPixelSize[format]);
    if (pixels == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for its pixels");
    else
        rc = run(tj, bytes, len, size, format, pixels, err);
    tjDestroy(tj);
    if (rc != SN_OK) {
        free(pixels);
        return rc;
    }
    if (inks)
        from_cmyk(pixels, n,
                  h.colourspace == TJCS_YCCK || is_adobe(bytes, len));
    if (inks && channels == 1)
        sn_codec_grey(pixels, n);
    *ret = (struct sn_image){size.width, size.height, channels, pixels};
    return SN_OK;
}

const struct sn_codec sn_codec_jpeg = {
    .name = "JPEG",
    .magic = "\xff\xd8\xff",
    .magic_size = 3,
    .measure = measure,
    .decode = decode,
};
