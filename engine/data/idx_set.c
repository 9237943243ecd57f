/* The reader of "idx": the four files of the MNIST family, plain or gzip. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/data/format.h"
#include "engine/data/idx.h"

/* Reads the first that exists of "<dir>/<stem>-idx<rank>-ubyte[.gz]". */
static enum sn_err read_first(const char *dir, const char *stem, int lo_rank,
                              int hi_rank, uint64_t max_bytes,
                              struct sn_idx *ret, struct sn_error *err)
{
    char path[PATH_MAX];
    for (int rank = lo_rank; rank <= hi_rank; rank++) {
        for (int gz = 0; gz < 2; gz++) {
            int n = snprintf(path, sizeof path, "%s/%s-idx%d-ubyte%s", dir,
                             stem, rank, gz ? ".gz" : "");
            if (n < 0 || (size_t)n >= sizeof path)
                return sn_error_set(err, SN_ERR_INVALID,
                                    "the folder's path is too long");
            struct sn_error why = {0}; /* of a name that need not be there */
            enum sn_err rc = sn_idx_read(path, max_bytes, ret, &why);
            if (rc == SN_ERR_NOTFOUND)
                continue;
            if (rc != SN_OK)
                return sn_error_set(err, rc, "%s", why.message);
            if (ret->rank >= lo_rank && ret->rank <= hi_rank)
                return SN_OK;
            free(ret->data);
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "%s: %d dimensions, not %d", path, ret->rank,
                                rank);
        }
    }
    return sn_error_set(err, SN_ERR_NOTFOUND,
                        "no file %s/%s-idx%d-ubyte, nor with .gz", dir, stem,
                        lo_rank);
}

/* The shape of images [n, h, w] or [n, h, w, 3]. */
static enum sn_err check_shape(const char *stem, const struct sn_idx *idx,
                               struct sn_shape *ret, struct sn_error *err)
{
    uint32_t channels = idx->rank == 4 ? idx->dim[3] : 1;
    if (idx->rank == 4 && channels != 3)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%s: images of 4 dimensions are [n, h, w, 3], the "
                            "last is %" PRIu32,
                            stem, channels);
    if (idx->dim[1] > SN_IMAGE_MAX_SIDE || idx->dim[2] > SN_IMAGE_MAX_SIDE)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%s: images of %" PRIu32 " x %" PRIu32
                            " pixels, over %d",
                            stem, idx->dim[1], idx->dim[2], SN_IMAGE_MAX_SIDE);
    ret->channels = (int)channels;
    ret->height = (int)idx->dim[1];
    ret->width = (int)idx->dim[2];
    return SN_OK;
}

/* Reads "train-" or "t10k-images" and "-labels", which must agree. */
static enum sn_err read_split(const char *dir, bool test, uint64_t max_bytes,
                              struct sn_images *ret, struct sn_shape *ret_shape,
                              struct sn_error *err)
{
    const char *which = test ? "t10k" : "train";
    char stem[32];
    struct sn_idx images, labels;
    snprintf(stem, sizeof stem, "%s-images", which);
    enum sn_err rc = read_first(dir, stem, 3, 4, max_bytes, &images, err);
    if (rc != SN_OK)
        return rc;
    rc = check_shape(stem, &images, ret_shape, err);
    if (rc != SN_OK)
        goto err_after_images;
    snprintf(stem, sizeof stem, "%s-labels", which);
    rc = read_first(dir, stem, 1, 1, UINT32_MAX, &labels, err);
    if (rc != SN_OK)
        goto err_after_images;
    if (labels.dim[0] != images.dim[0]) {
        rc = sn_error_set(err, SN_ERR_CORRUPT,
                          "%s: %" PRIu32 " labels for %" PRIu32 " images", stem,
                          labels.dim[0], images.dim[0]);
        goto err_after_labels;
    }
    uint16_t *wide = malloc(labels.bytes * sizeof *wide);
    if (wide == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for labels", stem);
        goto err_after_labels;
    }
    for (size_t i = 0; i < labels.bytes; i++)
        wide[i] = labels.data[i];
    free(labels.data);
    *ret = (struct sn_images){images.dim[0], images.data, wide};
    return SN_OK;

err_after_labels:
    free(labels.data);
err_after_images:
    free(images.data);
    return rc;
}

static const char *const files[] = {"train-images-idx3-ubyte",
                                    "train-images-idx3-ubyte.gz",
                                    "train-images-idx4-ubyte",
                                    "train-images-idx4-ubyte.gz",
                                    "train-labels-idx1-ubyte",
                                    "train-labels-idx1-ubyte.gz",
                                    "t10k-images-idx3-ubyte",
                                    "t10k-images-idx3-ubyte.gz",
                                    "t10k-images-idx4-ubyte",
                                    "t10k-images-idx4-ubyte.gz",
                                    "t10k-labels-idx1-ubyte",
                                    "t10k-labels-idx1-ubyte.gz",
                                    NULL};

const struct sn_format sn_format_idx = {
    .is = {.name = "idx", .files = files, .channels = true},
    .read = read_split,
};
