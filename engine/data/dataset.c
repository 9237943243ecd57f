/* Opens data sets and computes what is said about them. */
#include "engine/data/dataset.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "engine/data/idx.h"

enum { MAX_SIDE = 4096 };
#define MAX_BYTES ((uint64_t)4 << 30) /* of all pixels together */

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
                               struct sn_dataset_info *ret,
                               struct sn_error *err)
{
    uint32_t channels = idx->rank == 4 ? idx->dim[3] : 1;
    if (idx->rank == 4 && channels != 3)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%s: images of 4 dimensions are [n, h, w, 3], the "
                            "last is %" PRIu32,
                            stem, channels);
    if (idx->dim[1] > MAX_SIDE || idx->dim[2] > MAX_SIDE)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%s: images of %" PRIu32 " x %" PRIu32
                            " pixels, over %d",
                            stem, idx->dim[1], idx->dim[2], MAX_SIDE);
    ret->channels = (int)channels;
    ret->height = (int)idx->dim[1];
    ret->width = (int)idx->dim[2];
    return SN_OK;
}

/* Reads "<which>-images" and "<which>-labels", which must agree. */
static enum sn_err read_pair(const char *dir, const char *which,
                             uint64_t max_bytes, struct sn_images *ret,
                             struct sn_dataset_info *ret_shape,
                             struct sn_error *err)
{
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
    *ret = (struct sn_images){images.dim[0], images.data, labels.data};
    return SN_OK;

err_after_labels:
    free(labels.data);
err_after_images:
    free(images.data);
    return rc;
}

static int highest_label(const struct sn_images *images)
{
    int highest = 0;
    for (uint32_t i = 0; i < images->n; i++)
        if (images->labels[i] > highest)
            highest = images->labels[i];
    return highest;
}

static size_t image_bytes(const struct sn_dataset_info *info)
{
    return (size_t)info->channels * (size_t)info->height * (size_t)info->width;
}

/* Mean and standard deviation of the training pixels by channel, from counts
 * of the 256 values: exact, whatever the number of pixels. */
static void measure(struct sn_dataset *data)
{
    struct sn_dataset_info *info = &data->info;
    size_t total = data->train.n * image_bytes(info);
    size_t step = (size_t)info->channels;
    for (size_t c = 0; c < step; c++) {
        uint64_t count[256] = {0};
        for (size_t i = c; i < total; i += step)
            count[data->train.pixels[i]]++;
        double n = (double)(total / step), sum = 0, square = 0;
        for (int v = 0; v < 256; v++)
            sum += (double)count[v] * v / 255;
        double mean = sum / n;
        for (int v = 0; v < 256; v++)
            square +=
                (double)count[v] * (v / 255.0 - mean) * (v / 255.0 - mean);
        double std = sqrt(square / n);
        if (std == 0) /* one flat colour: there is nothing to scale */
            std = 1;
        info->mean[c] = (float)mean;
        info->std[c] = (float)std;
        data->scale[c] = (float)(1 / (255 * std));
        data->shift[c] = (float)(-mean / std);
    }
}

static enum sn_err checksum(struct sn_dataset *data, struct sn_error *err)
{
    size_t bytes = image_bytes(&data->info);
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a checksum");
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, data->train.pixels, data->train.n * bytes);
    XXH3_64bits_update(hash, data->train.labels, data->train.n);
    XXH3_64bits_update(hash, data->test.pixels, data->test.n * bytes);
    XXH3_64bits_update(hash, data->test.labels, data->test.n);
    snprintf(data->info.checksum, sizeof data->info.checksum, "%016" PRIx64,
             (uint64_t)XXH3_64bits_digest(hash));
    XXH3_freeState(hash);
    return SN_OK;
}

static enum sn_err read_both(const char *dir, struct sn_dataset *data,
                             struct sn_error *err)
{
    struct sn_dataset_info *info = &data->info, test = {0};
    enum sn_err rc =
        read_pair(dir, "train", MAX_BYTES, &data->train, info, err);
    if (rc != SN_OK)
        return rc;
    uint64_t left = MAX_BYTES - data->train.n * image_bytes(info);
    rc = read_pair(dir, "t10k", left, &data->test, &test, err);
    if (rc != SN_OK)
        return rc;
    if (test.channels != info->channels || test.height != info->height ||
        test.width != info->width)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "training images are %d x %d x %d, test images "
                            "%d x %d x %d",
                            info->height, info->width, info->channels,
                            test.height, test.width, test.channels);
    info->train = data->train.n;
    info->test = data->test.n;
    /* labels are bytes, so at most 256 classes: below SN_MAX_CLASSES */
    int a = highest_label(&data->train), b = highest_label(&data->test);
    info->classes = 1 + (a > b ? a : b);
    if (info->classes < 2)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: all images have the same label", dir);
    return SN_OK;
}

enum sn_err sn_dataset_open_idx(const char *dir, struct sn_dataset **ret,
                                struct sn_error *err)
{
    struct sn_dataset *data = calloc(1, sizeof *data);
    if (data == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a data set");
    enum sn_err rc = read_both(dir, data, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    measure(data);
    rc = checksum(data, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    *ret = data;
    return SN_OK;

err_after_alloc:
    sn_dataset_free(data);
    return rc;
}

void sn_dataset_free(struct sn_dataset *data)
{
    if (data == NULL)
        return;
    free(data->train.pixels);
    free(data->train.labels);
    free(data->test.pixels);
    free(data->test.labels);
    free(data);
}

void sn_dataset_info(const struct sn_dataset *data, struct sn_dataset_info *ret)
{
    *ret = data->info;
}
