#include "tests/bench/images.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rng.h"

enum { HOLDOUT = 64, TEST = 64, FILES = 4 };

static const char *const names[FILES] = {
    "train-images-idx4-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx4-ubyte", "t10k-labels-idx1-ubyte"};

static void put32(FILE *f, uint32_t v)
{
    const uint8_t byte[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16),
                            (uint8_t)(v >> 8), (uint8_t)v};
    (void)fwrite(byte, 1, sizeof byte, f);
}

static void put_images(FILE *f, uint32_t n)
{
    struct sn_rng rng = sn_rng_make(n, SN_STREAM_TEST, 0);
    uint64_t image[BENCH_SIDE * BENCH_SIDE * BENCH_CHANNELS / 8];
    put32(f, 0x804);
    put32(f, n);
    put32(f, BENCH_SIDE);
    put32(f, BENCH_SIDE);
    put32(f, BENCH_CHANNELS);
    for (uint32_t i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof image / sizeof image[0]; j++)
            image[j] = sn_rng_u64(&rng);
        (void)fwrite(image, sizeof image, 1, f);
    }
}

static void put_labels(FILE *f, uint32_t n)
{
    put32(f, 0x801);
    put32(f, n);
    for (uint32_t i = 0; i < n; i++)
        (void)fputc((int)(i % BENCH_CLASSES), f);
}

static enum sn_err put_file(const char *dir, int which, uint32_t n,
                            struct sn_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.2000s/%s", dir, names[which]);
    FILE *f = fopen(path, "wb");
    if (!f)
        return sn_error_set(err, SN_ERR_IO, "%.200s: cannot be made", path);
    if (which % 2 == 0)
        put_images(f, n);
    else
        put_labels(f, n);
    const int bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return sn_error_set(err, SN_ERR_IO, "%.200s: cannot be written", path);
    return SN_OK;
}

static void remove_all(const char *dir)
{
    char path[PATH_MAX];
    for (int j = 0; j < FILES; j++) {
        snprintf(path, sizeof path, "%.2000s/%s", dir, names[j]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

enum sn_err bench_images_init(struct bench_images *images, uint32_t train,
                              struct sn_error *err)
{
    char dir[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    enum sn_err rc = SN_OK;

    *images = (struct bench_images){0};
    snprintf(dir, sizeof dir, "%.1900s/snbenchXXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return sn_error_set(err, SN_ERR_IO, "%.200s: cannot be made", dir);
    for (int j = 0; j < FILES && rc == SN_OK; j++)
        rc = put_file(dir, j, j < 2 ? train + HOLDOUT : TEST, err);
    if (rc == SN_OK)
        rc = sn_dataset_open("idx", dir, &images->data, err);
    if (rc == SN_OK)
        rc = sn_view_new(images->data, 1, HOLDOUT, 0, &images->view, err);
    remove_all(dir);
    if (rc != SN_OK)
        bench_images_close(images);
    return rc;
}

void bench_images_close(struct bench_images *images)
{
    sn_view_free(images->view);
    sn_dataset_free(images->data);
    *images = (struct bench_images){0};
}
