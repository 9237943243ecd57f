/* Opens data sets and computes what is said about them. */
#include "engine/data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/data/format.h"

/* The formats, the default first: whoever names one asks this table. */
static const struct sn_format *const formats[] = {
    &sn_format_idx, &sn_format_cifar10, &sn_format_cifar100, &sn_format_npy};
enum { FORMATS = sizeof formats / sizeof formats[0] };

const struct sn_dataset_format *sn_dataset_format_at(size_t i)
{
    return i < FORMATS ? &formats[i]->is : NULL;
}

static enum sn_err find(const char *name, const struct sn_format **ret,
                        struct sn_error *err)
{
    char list[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i]->is.name, name) == 0) {
            *ret = formats[i];
            return SN_OK;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s\"%s\"",
                              i == 0             ? ""
                              : i == FORMATS - 1 ? " or "
                                                 : ", ",
                              formats[i]->is.name);
    }
    return sn_error_at(err, SN_ERR_INVALID, "/format", "must be %s", list);
}

enum sn_err sn_dataset_format_find(const char *name,
                                   const struct sn_dataset_format **ret,
                                   struct sn_error *err)
{
    const struct sn_format *format;
    enum sn_err rc = find(name, &format, err);
    if (rc == SN_OK)
        *ret = &format->is;
    return rc;
}

void sn_format_interleave(const uint8_t *planes, size_t channels, size_t pixels,
                          uint8_t *ret)
{
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < pixels; p++)
            ret[p * channels + c] = planes[c * pixels + p];
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

/* A label is a byte as long as all are, two (the low one first) otherwise. */
static void add_labels(XXH3_state_t *hash, const struct sn_images *images,
                       int classes)
{
    for (uint32_t i = 0; i < images->n; i++) {
        uint8_t label[2] = {(uint8_t)images->labels[i],
                            (uint8_t)(images->labels[i] >> 8)};
        XXH3_64bits_update(hash, label, classes > 256 ? 2 : 1);
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
    add_labels(hash, &data->train, data->info.classes);
    XXH3_64bits_update(hash, data->test.pixels, data->test.n * bytes);
    add_labels(hash, &data->test, data->info.classes);
    snprintf(data->info.checksum, sizeof data->info.checksum, "%016" PRIx64,
             (uint64_t)XXH3_64bits_digest(hash));
    XXH3_freeState(hash);
    return SN_OK;
}

static enum sn_err count_classes(const struct sn_format *format,
                                 const char *dir, struct sn_dataset *data,
                                 struct sn_error *err)
{
    /* labels of these formats are bytes: at most 256 classes */
    int a = highest_label(&data->train), b = highest_label(&data->test);
    data->info.classes = format->classes;
    if (format->classes == 0)
        data->info.classes = 1 + (a > b ? a : b);
    if (data->info.classes < 2)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: all images have the same label", dir);
    return SN_OK;
}

static enum sn_err read_both(const struct sn_format *format, const char *dir,
                             struct sn_dataset *data, struct sn_error *err)
{
    struct sn_dataset_info *info = &data->info;
    struct sn_shape train = {0}, test = {0};
    enum sn_err rc = format->read(dir, false, SN_DATASET_MAX_BYTES,
                                  &data->train, &train, err);
    if (rc != SN_OK)
        return rc;
    info->channels = train.channels;
    info->height = train.height;
    info->width = train.width;
    uint64_t left = SN_DATASET_MAX_BYTES - data->train.n * image_bytes(info);
    rc = format->read(dir, true, left, &data->test, &test, err);
    if (rc != SN_OK)
        return rc;
    if (test.channels != train.channels || test.height != train.height ||
        test.width != train.width)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "training images are %d x %d x %d, test images "
                            "%d x %d x %d",
                            train.height, train.width, train.channels,
                            test.height, test.width, test.channels);
    info->train = data->train.n;
    info->test = data->test.n;
    return count_classes(format, dir, data, err);
}

enum sn_err sn_dataset_open(const char *format, const char *dir,
                            struct sn_dataset **ret, struct sn_error *err)
{
    const struct sn_format *reader;
    enum sn_err rc = find(format, &reader, err);
    if (rc != SN_OK)
        return rc;
    struct sn_dataset *data = calloc(1, sizeof *data);
    if (data == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a data set");
    rc = read_both(reader, dir, data, err);
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
    sn_items_free(data->items);
    for (int i = 0; data->class_names != NULL && i < data->info.classes; i++)
        free(data->class_names[i]);
    free(data->class_names);
    free(data);
}

void sn_dataset_info(const struct sn_dataset *data, struct sn_dataset_info *ret)
{
    *ret = data->info;
}

const char *sn_dataset_class_name(const struct sn_dataset *data, int i)
{
    return data->class_names == NULL ? NULL : data->class_names[i];
}
