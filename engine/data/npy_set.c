/* The reader of "npy": pairs of NumPy arrays, {train,test}_images.npy of bytes
 * and {train,test}_labels.npy of any integers.
 *
 * Images are [n, h, w], [n, h, w, c] or [n, c, h, w], with c of 1 or 3. Where
 * the last two fit both, the channels are last, as in IDX.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/data/format.h"
#include "engine/data/npy.h"

static bool is_channels(uint64_t n)
{
    return n == 1 || n == 3;
}

static enum sn_err shape_of(const struct sn_npy *npy, struct sn_shape *ret,
                            bool *ret_planes, struct sn_error *err)
{
    const char *path = npy->file.path;
    const uint64_t *d = npy->dim;
    bool last = npy->rank == 4 && is_channels(d[3]);
    bool planes = npy->rank == 4 && !last && is_channels(d[1]);
    if (npy->rank != 3 && !last && !planes)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: images are [n, h, w], [n, h, w, c] or "
                            "[n, c, h, w] with c of 1 or 3",
                            path);
    if (npy->kind != 'u' || npy->width != 1)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: its elements are %c%d; images are u1 (uint8)",
                            path, npy->kind, npy->width);
    uint64_t height = d[planes ? 2 : 1], width = d[planes ? 3 : 2];
    if (height > SN_IMAGE_MAX_SIDE || width > SN_IMAGE_MAX_SIDE)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%s: images of %" PRIu64 " x %" PRIu64
                            " pixels, over %d",
                            path, height, width, SN_IMAGE_MAX_SIDE);
    ret->channels = last ? (int)d[3] : planes ? (int)d[1] : 1;
    ret->height = (int)height;
    ret->width = (int)width;
    *ret_planes = planes;
    return SN_OK;
}

/* The images one by one, as planes need a turn. */
static enum sn_err read_planes(struct sn_npy *npy, const struct sn_shape *shape,
                               uint8_t *pixels, struct sn_error *err)
{
    size_t channels = (size_t)shape->channels;
    size_t plane = (size_t)shape->height * (size_t)shape->width;
    uint8_t *image = malloc(channels * plane);
    enum sn_err rc = SN_OK;
    if (image == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for an image",
                            npy->file.path);
    for (uint64_t i = 0; rc == SN_OK && i < npy->dim[0]; i++) {
        rc = sn_file_read_all(&npy->file, image, channels * plane, err);
        if (rc == SN_OK)
            sn_format_interleave(image, channels, plane,
                                 pixels + i * channels * plane);
    }
    free(image);
    return rc;
}

static enum sn_err read_images(const char *path, uint64_t max_bytes,
                               struct sn_images *images,
                               struct sn_shape *ret_shape, struct sn_error *err)
{
    struct sn_npy npy;
    struct sn_shape shape = {0};
    bool planes = false;
    enum sn_err rc = sn_npy_open(path, &npy, err);
    if (rc != SN_OK)
        return rc;
    rc = shape_of(&npy, &shape, &planes, err);
    if (rc != SN_OK)
        goto err_after_open;
    uint64_t size = (uint64_t)shape.channels * (uint64_t)shape.height *
                    (uint64_t)shape.width;
    if (npy.dim[0] > UINT32_MAX || npy.dim[0] > max_bytes / size) {
        rc = sn_error_set(err, SN_ERR_TOOLARGE,
                          "%s: holds over %" PRIu64 " bytes", path, max_bytes);
        goto err_after_open;
    }
    images->n = (uint32_t)npy.dim[0];
    images->pixels = malloc(npy.dim[0] * size);
    if (images->pixels == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for its images",
                          path);
    else if (planes)
        rc = read_planes(&npy, &shape, images->pixels, err);
    else
        rc =
            sn_file_read_all(&npy.file, images->pixels, npy.dim[0] * size, err);
    *ret_shape = shape;
err_after_open:
    sn_file_close(&npy.file);
    return rc;
}

static uint64_t element(const uint8_t *at, int width)
{
    uint64_t v = 0;
    for (int i = width; i-- > 0;)
        v = v << 8 | at[i];
    return v;
}

static enum sn_err take_labels(struct sn_npy *npy, uint16_t *labels,
                               struct sn_error *err)
{
    uint8_t at[8];
    for (uint64_t i = 0; i < npy->dim[0]; i++) {
        enum sn_err rc =
            sn_file_read_all(&npy->file, at, (size_t)npy->width, err);
        if (rc != SN_OK)
            return rc;
        uint64_t v = element(at, npy->width);
        /* a negative one of one byte would pass for a label */
        if (v > UINT8_MAX || (npy->kind == 'i' && npy->width == 1 && v > 127))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "%s: label %" PRIu64 " is not 0 to 255",
                                npy->file.path, i);
        labels[i] = (uint16_t)v;
    }
    return SN_OK;
}

static enum sn_err read_labels(const char *path, struct sn_images *images,
                               struct sn_error *err)
{
    struct sn_npy npy;
    enum sn_err rc = sn_npy_open(path, &npy, err);
    if (rc != SN_OK)
        return rc;
    if (npy.rank != 1)
        rc = sn_error_set(err, SN_ERR_INVALID,
                          "%s: labels are [n], not of %d dimensions", path,
                          npy.rank);
    else if (npy.dim[0] != images->n)
        rc = sn_error_set(err, SN_ERR_CORRUPT,
                          "%s: %" PRIu64 " labels for %" PRIu32 " images", path,
                          npy.dim[0], images->n);
    else if ((images->labels = malloc(images->n * sizeof *images->labels)) ==
             NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for labels", path);
    else
        rc = take_labels(&npy, images->labels, err);
    sn_file_close(&npy.file);
    return rc;
}

static enum sn_err read_split(const char *dir, bool test, uint64_t max_bytes,
                              struct sn_images *ret, struct sn_shape *ret_shape,
                              struct sn_error *err)
{
    char path[PATH_MAX];
    const char *which = test ? "test" : "train";
    struct sn_images images = {0};
    struct sn_shape shape = {0};
    int n = snprintf(path, sizeof path, "%s/%s_images.npy", dir, which);
    if (n < 0 || (size_t)n >= sizeof path)
        return sn_error_set(err, SN_ERR_INVALID,
                            "the folder's path is too long");
    enum sn_err rc = read_images(path, max_bytes, &images, &shape, err);
    if (rc == SN_OK) {
        /* as long as the other */
        snprintf(path, sizeof path, "%s/%s_labels.npy", dir, which);
        rc = read_labels(path, &images, err);
    }
    if (rc != SN_OK) {
        free(images.pixels);
        free(images.labels);
        return rc;
    }
    *ret = images;
    *ret_shape = shape;
    return SN_OK;
}

static const char *const files[] = {"train_images.npy", "train_labels.npy",
                                    "test_images.npy", "test_labels.npy", NULL};

const struct sn_format sn_format_npy = {
    .is = {.name = "npy", .files = files, .channels = true},
    .read = read_split,
};
