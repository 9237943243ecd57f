/* The readers of "cifar10" and "cifar100": the binary versions of
 * https://www.cs.toronto.edu/~kriz/cifar.html, unpacked.
 *
 *   cifar10   label | 1024 red | 1024 green | 1024 blue
 *   cifar100  coarse label | fine label | 1024 red | 1024 green | 1024 blue
 *
 * Files are records without a header: a cut is seen by the size, anything that
 * is out of step by labels out of range.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/data/file.h"
#include "engine/data/format.h"

enum { SIDE = 32, PIXELS = SIDE * SIDE, CHANNELS = 3, MAX_LABELS = 2 };
enum { IMAGE = CHANNELS * PIXELS, MAX_FILES = 5 };

/* What a version's files are like. The last label of a record is the image's.
 */
struct version {
    const char *folder; /* where the archive unpacks to */
    const char *train[MAX_FILES + 1], *test[2];
    size_t labels;
    int limit[MAX_LABELS]; /* a label is below */
};

static const struct version cifar10 = {
    .folder = "cifar-10-batches-bin",
    .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
              "data_batch_4.bin", "data_batch_5.bin"},
    .test = {"test_batch.bin"},
    .labels = 1,
    .limit = {10},
};

static const struct version cifar100 = {
    .folder = "cifar-100-binary",
    .train = {"train.bin"},
    .test = {"test.bin"},
    .labels = 2,
    .limit = {20, 100},
};

/* The number of records of a file, by its size. */
static enum sn_err count(const struct version *v, const struct sn_file *file,
                         uint64_t max_bytes, uint32_t *ret,
                         struct sn_error *err)
{
    size_t record = v->labels + IMAGE;
    uint64_t n = file->size / record;
    if (file->size == 0 || file->size % record != 0)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%s: its %" PRIu64
                            " bytes are no whole number of images of %zu bytes",
                            file->path, file->size, record);
    if (n > max_bytes / IMAGE || n > UINT32_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%s: makes it over %" PRIu64 " bytes", file->path,
                            max_bytes);
    *ret = (uint32_t)n;
    return SN_OK;
}

static enum sn_err take_record(const struct version *v, const char *path,
                               const uint8_t *record, uint32_t i,
                               struct sn_images *images, struct sn_error *err)
{
    for (size_t l = 0; l < v->labels; l++)
        if (record[l] >= v->limit[l])
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "%s: image %" PRIu32
                                " has the label %d, not 0 to %d",
                                path, i, record[l], v->limit[l] - 1);
    images->labels[images->n] = record[v->labels - 1];
    sn_format_interleave(record + v->labels, CHANNELS, PIXELS,
                         images->pixels + (size_t)images->n * IMAGE);
    images->n++;
    return SN_OK;
}

/* Room for n more images; what is there stays owned by *images. */
static enum sn_err grow(struct sn_images *images, uint32_t n, const char *path,
                        struct sn_error *err)
{
    size_t all = (size_t)images->n + n;
    uint8_t *pixels = realloc(images->pixels, all * IMAGE);
    if (pixels != NULL)
        images->pixels = pixels;
    uint16_t *labels = realloc(images->labels, all * sizeof *labels);
    if (labels != NULL)
        images->labels = labels;
    if (pixels == NULL || labels == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for its images",
                            path);
    return SN_OK;
}

/* Appends a file's images. */
static enum sn_err append(const struct version *v, const char *path,
                          uint64_t max_bytes, struct sn_images *images,
                          struct sn_error *err)
{
    uint8_t record[MAX_LABELS + IMAGE];
    struct sn_file file;
    uint32_t n = 0;
    enum sn_err rc = sn_file_open(path, &file, err);
    if (rc != SN_OK)
        return rc;
    rc = count(v, &file, max_bytes - (uint64_t)images->n * IMAGE, &n, err);
    if (rc == SN_OK)
        rc = grow(images, n, path, err);
    for (uint32_t i = 0; rc == SN_OK && i < n; i++) {
        rc = sn_file_read_all(&file, record, v->labels + IMAGE, err);
        if (rc == SN_OK)
            rc = take_record(v, path, record, i, images, err);
    }
    sn_file_close(&file);
    return rc;
}

static enum sn_err read_split(const struct version *v, const char *dir,
                              bool test, uint64_t max_bytes,
                              struct sn_images *ret, struct sn_shape *ret_shape,
                              struct sn_error *err)
{
    char path[PATH_MAX];
    struct sn_images images = {0};
    struct stat st;
    enum sn_err rc = SN_OK;
    snprintf(path, sizeof path, "%s/%s", dir, v->folder);
    bool inside = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const char *const *name = test ? v->test : v->train;
    for (; rc == SN_OK && *name != NULL; name++) {
        int n = snprintf(path, sizeof path, "%s%s%s/%s", dir, inside ? "/" : "",
                         inside ? v->folder : "", *name);
        if (n < 0 || (size_t)n >= sizeof path)
            rc = sn_error_set(err, SN_ERR_INVALID,
                              "the folder's path is too long");
        else
            rc = append(v, path, max_bytes, &images, err);
    }
    if (rc != SN_OK) {
        free(images.pixels);
        free(images.labels);
        return rc;
    }
    *ret = images;
    *ret_shape = (struct sn_shape){CHANNELS, SIDE, SIDE};
    return SN_OK;
}

static enum sn_err read_cifar10(const char *dir, bool test, uint64_t max_bytes,
                                struct sn_images *ret,
                                struct sn_shape *ret_shape,
                                struct sn_error *err)
{
    return read_split(&cifar10, dir, test, max_bytes, ret, ret_shape, err);
}

static enum sn_err read_cifar100(const char *dir, bool test, uint64_t max_bytes,
                                 struct sn_images *ret,
                                 struct sn_shape *ret_shape,
                                 struct sn_error *err)
{
    return read_split(&cifar100, dir, test, max_bytes, ret, ret_shape, err);
}

static const char *const files10[] = {"data_batch_1.bin",
                                      "data_batch_2.bin",
                                      "data_batch_3.bin",
                                      "data_batch_4.bin",
                                      "data_batch_5.bin",
                                      "test_batch.bin",
                                      "cifar-10-batches-bin/data_batch_1.bin",
                                      "cifar-10-batches-bin/data_batch_2.bin",
                                      "cifar-10-batches-bin/data_batch_3.bin",
                                      "cifar-10-batches-bin/data_batch_4.bin",
                                      "cifar-10-batches-bin/data_batch_5.bin",
                                      "cifar-10-batches-bin/test_batch.bin",
                                      NULL};

static const char *const files100[] = {"train.bin", "test.bin",
                                       "cifar-100-binary/train.bin",
                                       "cifar-100-binary/test.bin", NULL};

const struct sn_format sn_format_cifar10 = {
    .is = {.name = "cifar10", .files = files10},
    .classes = 10,
    .read = read_cifar10,
};

const struct sn_format sn_format_cifar100 = {
    .is = {.name = "cifar100", .files = files100},
    .classes = 100,
    .read = read_cifar100,
};
