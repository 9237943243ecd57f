/* Opens data sets and computes what is said about them. */
#include "engine/data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/data/format.h"
#include "engine/data/survey.h"

/* The formats, the default first: whoever names one asks this table. */
static const struct sn_format *const formats[] = {
    &sn_format_idx, &sn_format_cifar10, &sn_format_cifar100,
    &sn_format_npy, &sn_format_folder,  &sn_format_tar};
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

static void add_items(XXH3_state_t *hash, const struct sn_items *items,
                      const struct sn_item_list *list)
{
    uint8_t n[4] = {(uint8_t)list->n, (uint8_t)(list->n >> 8),
                    (uint8_t)(list->n >> 16), (uint8_t)(list->n >> 24)};
    XXH3_64bits_update(hash, n, sizeof n);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct sn_item *item = &list->at[i];
        const char *name = sn_items_name(items, item);
        uint8_t rest[6] = {
            (uint8_t)item->length,         (uint8_t)(item->length >> 8),
            (uint8_t)(item->length >> 16), (uint8_t)(item->length >> 24),
            (uint8_t)item->label,          (uint8_t)(item->label >> 8)};
        XXH3_64bits_update(hash, name, strlen(name) + 1);
        XXH3_64bits_update(hash, rest, sizeof rest);
    }
}

static enum sn_err checksum(struct sn_dataset *data, struct sn_error *err)
{
    size_t bytes = image_bytes(&data->info);
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a checksum");
    XXH3_64bits_reset(hash);
    if (data->items != NULL) {
        add_items(hash, data->items, &data->items->train);
        add_items(hash, data->items, &data->items->test);
    } else {
        XXH3_64bits_update(hash, data->train.pixels, data->train.n * bytes);
        add_labels(hash, &data->train, data->info.classes);
        XXH3_64bits_update(hash, data->test.pixels, data->test.n * bytes);
        add_labels(hash, &data->test, data->info.classes);
    }
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

/* Grey images become colour ones where that is wanted. */
static enum sn_err take_channels(int wanted, uint64_t max_bytes,
                                 struct sn_images *images,
                                 struct sn_shape *shape, struct sn_error *err)
{
    uint64_t n =
        (uint64_t)images->n * (uint64_t)shape->height * (uint64_t)shape->width;
    if (wanted == 0 || wanted == shape->channels)
        return SN_OK;
    if (wanted < shape->channels)
        return sn_error_at(err, SN_ERR_INVALID, "/channels",
                           "its images have %d channels, and are not made grey",
                           shape->channels);
    if (n > max_bytes / 3)
        return sn_error_at(
            err, SN_ERR_TOOLARGE, "/channels",
            "with 3 channels its pixels are over %" PRIu64 " bytes", max_bytes);
    uint8_t *wide = malloc(3 * n);
    if (wide == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for colour images");
    for (uint64_t i = 0; i < n; i++)
        memset(wide + 3 * i, images->pixels[i], 3);
    free(images->pixels);
    images->pixels = wide;
    shape->channels = 3;
    return SN_OK;
}

static enum sn_err read_both(const struct sn_format *format,
                             const struct sn_dataset_source *source,
                             struct sn_dataset *data, struct sn_error *err)
{
    const char *dir = source->dir;
    int channels = format->is.channels ? source->options.channels : 0;
    struct sn_dataset_info *info = &data->info;
    struct sn_shape train = {0}, test = {0};
    enum sn_err rc = format->read(dir, false, SN_DATASET_MAX_BYTES,
                                  &data->train, &train, err);
    if (rc == SN_OK)
        rc = take_channels(channels, SN_DATASET_MAX_BYTES, &data->train, &train,
                           err);
    if (rc != SN_OK)
        return rc;
    info->channels = train.channels;
    info->height = train.height;
    info->width = train.width;
    uint64_t left = SN_DATASET_MAX_BYTES - data->train.n * image_bytes(info);
    rc = format->read(dir, true, left, &data->test, &test, err);
    if (rc == SN_OK)
        rc = take_channels(channels, left, &data->test, &test, err);
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

/* ---- images that are listed ---- */

/* What is known to be damaged does not count. */
static void drop_known(const struct sn_items *items,
                       const struct sn_names *corrupt,
                       struct sn_item_list *list)
{
    uint32_t n = 0;
    for (uint32_t i = 0; corrupt->n > 0 && i < list->n; i++)
        if (sn_names_find(corrupt, sn_items_name(items, &list->at[i])) < 0)
            list->at[n++] = list->at[i];
    if (corrupt->n > 0)
        list->n = n;
}

static enum sn_err take_known(const struct sn_dataset_known *known,
                              struct sn_dataset *data, struct sn_names *ret,
                              struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (uint32_t i = 0; rc == SN_OK && i < known->info.corrupt; i++)
        rc = sn_names_add(ret, known->corrupt[i], err);
    sn_names_sort(ret);
    drop_known(data->items, ret, &data->items->train);
    drop_known(data->items, ret, &data->items->test);
    return rc;
}

/* Images of many sizes, as an earlier survey found them. */
static void trust(const struct sn_dataset_known *known, struct sn_dataset *data)
{
    uint32_t other = data->info.other;
    data->info = known->info;
    data->info.other = other;
    data->info.train = data->items->train.n;
    data->info.test = data->items->test.n;
    data->info.classes = (int)data->classes.n;
}

static enum sn_err open_images(const struct sn_format *reader,
                               const struct sn_dataset_source *source,
                               struct sn_dataset *data, struct sn_error *err)
{
    struct sn_names corrupt = {0};
    enum sn_err rc = sn_dataset_options_check(&source->options, true, err);
    if (rc == SN_OK)
        rc = reader->list(source, data, err);
    if (rc == SN_OK && source->known != NULL)
        rc = take_known(source->known, data, &corrupt, err);
    if (rc == SN_OK && source->known != NULL && source->known->info.variable)
        trust(source->known, data);
    else if (rc == SN_OK)
        rc = sn_survey(source, data, err);
    if (rc == SN_OK && source->known != NULL) {
        sn_names_close(&data->corrupt);
        data->corrupt = corrupt;
        data->info.corrupt = corrupt.n;
        return SN_OK;
    }
    sn_names_close(&corrupt);
    return rc;
}

/* ---- opening ---- */

static enum sn_err compare(const struct sn_dataset_source *source,
                           const struct sn_dataset *data, struct sn_error *err)
{
    const struct sn_dataset_info *was, *is = &data->info;
    if (source->known == NULL ||
        strcmp((was = &source->known->info)->checksum, is->checksum) == 0)
        return SN_OK;
    return sn_error_set(err, SN_ERR_CONFLICT,
                        "its files have changed since it was registered: "
                        "%" PRIu32 " training and %" PRIu32 " test images, "
                        "checksum %s, became %" PRIu32 ", %" PRIu32
                        " and %s; delete it and register it again",
                        was->train, was->test, was->checksum, is->train,
                        is->test, is->checksum);
}

static void set_scale(struct sn_dataset *data)
{
    const struct sn_dataset_info *info = &data->info;
    for (int c = 0; c < info->channels; c++) {
        data->scale[c] = (float)(1 / (255 * (double)info->std[c]));
        data->shift[c] = (float)(-(double)info->mean[c] / info->std[c]);
    }
}

enum sn_err sn_dataset_open_source(const struct sn_dataset_source *source,
                                   struct sn_dataset **ret,
                                   struct sn_error *err)
{
    const struct sn_format *reader = NULL;
    enum sn_err rc = find(source->format, &reader, err);
    if (rc != SN_OK)
        return rc;
    struct sn_dataset *data = calloc(1, sizeof *data);
    if (data == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a data set");
    rc = reader->list != NULL ? open_images(reader, source, data, err)
                              : read_both(reader, source, data, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    if (data->info.variable)
        set_scale(data);
    else
        measure(data);
    rc = checksum(data, err);
    if (rc == SN_OK)
        rc = compare(source, data, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    *ret = data;
    return SN_OK;

err_after_alloc:
    sn_dataset_free(data);
    return rc;
}

enum sn_err sn_dataset_open(const char *format, const char *dir,
                            struct sn_dataset **ret, struct sn_error *err)
{
    const struct sn_dataset_format *found = NULL;
    enum sn_err rc = sn_dataset_format_find(format, &found, err);
    if (rc != SN_OK)
        return rc;
    struct sn_dataset_source source = {.format = format, .dir = dir};
    source.options = sn_dataset_options_default(found->images);
    return sn_dataset_open_source(&source, ret, err);
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
    sn_names_close(&data->classes);
    sn_names_close(&data->corrupt);
    free(data);
}

void sn_dataset_info(const struct sn_dataset *data, struct sn_dataset_info *ret)
{
    *ret = data->info;
}

const char *sn_dataset_class_name(const struct sn_dataset *data, int i)
{
    return (uint32_t)i < data->classes.n ? data->classes.at[i] : NULL;
}

const char *sn_dataset_corrupt_name(const struct sn_dataset *data, uint32_t i)
{
    return data->corrupt.at[i];
}
