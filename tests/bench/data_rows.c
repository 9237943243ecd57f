/* Photographs on their way into a training step: what decoding, cropping and
 * resizing one takes, and what the training loop still waits for them. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

#include "engine/train/trainer.h"
#include "tests/bench/engine_rows.h"
#include "tests/bench/timing.h"

enum { PHOTOS = 96, CLASSES = 2, BATCH = 32, SHARD = 16 };

/* Waves under noise: about as long as a photograph of its size. */
static enum sn_err put_photo(const char *path, int i, struct sn_error *err)
{
    int width = 500 - i % 7, height = 375 + i % 5;
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, (uint64_t)i);
    unsigned char *pixels = malloc((size_t)(3 * width * height)), *jpeg = NULL;
    unsigned long size = 0;
    tjhandle handle = tjInitCompress();
    enum sn_err rc = SN_OK;
    for (int p = 0; pixels != NULL && p < width * height; p++)
        for (int c = 0; c < 3; c++)
            pixels[3 * p + c] =
                (unsigned char)(110 + 70 * sin(p % width * 0.05 + c + i) +
                                50 * sin(p / width * 0.03) +
                                sn_rng_below(&rng, 24));
    if (pixels == NULL || handle == NULL ||
        tjCompress2(handle, pixels, width, 0, height, TJPF_RGB, &jpeg, &size,
                    TJSAMP_420, 90, 0) != 0)
        rc = sn_error_set(err, SN_ERR_INTERNAL, "a photograph is not made");
    FILE *f = rc == SN_OK ? fopen(path, "wb") : NULL;
    if (rc == SN_OK && (f == NULL || fwrite(jpeg, 1, size, f) != size))
        rc = sn_error_set(err, SN_ERR_IO, "%.200s: cannot be written", path);
    if (f != NULL)
        fclose(f);
    if (handle != NULL)
        tjDestroy(handle);
    tjFree(jpeg);
    free(pixels);
    return rc;
}

static void photo_path(const char *dir, int i, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%.2000s/%d/%d.jpg", dir, i % CLASSES, i);
}

static enum sn_err put_all(const char *dir, struct sn_error *err)
{
    char path[PATH_MAX];
    enum sn_err rc = SN_OK;
    for (int c = 0; c < CLASSES; c++) {
        snprintf(path, sizeof path, "%.2000s/%d", dir, c);
        if (mkdir(path, 0700) != 0)
            return sn_error_set(err, SN_ERR_IO, "%.200s: cannot be made", path);
    }
    for (int i = 0; i < PHOTOS && rc == SN_OK; i++) {
        photo_path(dir, i, path);
        rc = put_photo(path, i, err);
    }
    return rc;
}

static void remove_all(const char *dir)
{
    char path[PATH_MAX];
    for (int i = 0; i < PHOTOS; i++) {
        photo_path(dir, i, path);
        (void)unlink(path);
    }
    for (int c = 0; c < CLASSES; c++) {
        snprintf(path, sizeof path, "%.2000s/%d", dir, c);
        (void)rmdir(path);
    }
    (void)rmdir(dir);
}

/* ms an image in one thread, of each step of the way. */
static enum sn_err time_images(const struct sn_view *view,
                               const struct sn_space *space,
                               struct bench_photos *ret, struct sn_error *err)
{
    int r = space->resolution;
    struct sn_augment aug = {.on = true,
                             .flip = true,
                             .brightness = 0.125f,
                             .saturation = 0.5f,
                             .seed = 1};
    uint8_t *pixels = malloc(sn_view_pixel_bytes(view, r));
    float *images = malloc(sn_view_pixel_bytes(view, r) * sizeof(float));
    struct sn_view_room *room = NULL;
    enum sn_err rc = sn_view_room_new(&room, err);
    uint32_t n = sn_view_count(view, SN_SPLIT_TRAIN);
    if (rc == SN_OK && (pixels == NULL || images == NULL))
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for an image");
    for (int pass = 0; pass < 3 && rc == SN_OK; pass++) {
        double decode = 0, finish = 0;
        for (uint32_t i = 0; i < n && rc == SN_OK; i++) {
            struct sn_batch one = {SN_SPLIT_TRAIN, &i, 1, r, &aug};
            int32_t label;
            double from = bench_now();
            rc = sn_view_make_pixels(view, &one, 0, room, pixels, err);
            double between = bench_now();
            if (rc == SN_OK)
                sn_view_finish(view, &one, 0, 1, pixels, images, &label);
            decode += between - from;
            finish += bench_now() - between;
        }
        if (pass == 0 || 1e3 * decode / n < ret->decode_ms)
            ret->decode_ms = 1e3 * decode / n;
        if (pass == 0 || 1e3 * finish / n < ret->finish_ms)
            ret->finish_ms = 1e3 * finish / n;
    }
    sn_view_room_free(room);
    free(pixels);
    free(images);
    return rc;
}

/* Steps of random paths; the first ones warm the queue up. */
static enum sn_err time_steps(struct sn_trainer *trainer,
                              const struct sn_space *space, double seconds,
                              struct bench_photos *ret, struct sn_error *err)
{
    enum { WARM = 3, LEAST = 6 };
    struct sn_sampler sampler;
    struct sn_limits all;
    double waited = 0, began = 0;
    uint64_t n = 0;
    sn_limits_all(space, &all);
    sn_sampler_init(&sampler, space, SN_SAMPLE_PATHS, 1, &all);
    for (uint64_t step = 0;; step++) {
        const struct sn_trainer_step s = {
            .sampler = &sampler, .rate = 1e-3, .step = step};
        struct sn_trainer_result r;
        if (step == WARM)
            began = bench_now();
        else if (step >= WARM + LEAST && bench_now() - began > seconds)
            break;
        enum sn_err rc = sn_trainer_step(trainer, &s, &r, err);
        if (rc != SN_OK)
            return rc;
        if (step < WARM)
            continue;
        waited += r.waited_s;
        n++;
    }
    double took = bench_now() - began;
    ret->step_ms = 1e3 * took / (double)n;
    ret->stall_ms = 1e3 * waited / (double)n;
    ret->batch = BATCH;
    return SN_OK;
}

static enum sn_err measure(const struct bench_setting *set,
                           const struct sn_view *view,
                           const struct sn_space *space,
                           struct bench_photos *ret, struct sn_error *err)
{
    const struct sn_trainer_settings settings = {
        .batch_size = BATCH,
        .shard_size = SHARD,
        .max_subnets = 1,
        .momentum = 0.9f,
        .augment = {.flip = true, .brightness = 0.125f, .saturation = 0.5f},
        .decoders = ret->workers,
        .seed = 1,
    };
    struct sn_pool *pool = NULL;
    struct sn_supernet *net = NULL;
    struct sn_trainer *trainer = NULL;
    enum sn_err rc = time_images(view, space, ret, err);
    if (rc == SN_OK)
        rc = sn_pool_new(set->compute, ret->workers, &pool, err);
    if (rc == SN_OK)
        rc = sn_supernet_new(set->compute, space, 3, CLASSES, 1, &net, err);
    if (rc == SN_OK)
        rc = sn_trainer_new(pool, net, view, &settings, &trainer, err);
    if (rc == SN_OK)
        rc = time_steps(trainer, space, set->window.seconds, ret, err);
    sn_trainer_free(trainer);
    sn_supernet_free(net);
    sn_pool_free(pool);
    return rc;
}

enum sn_err bench_photos_measure(const struct bench_setting *set, int workers,
                                 struct bench_photos *ret, struct sn_error *err)
{
    const struct sn_space *space = sn_space_find("ofa-mbv3-w1.0");
    struct bench_photos photos = {.workers = workers};
    struct sn_dataset *data = NULL;
    struct sn_view *view = NULL;
    char dir[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    if (space == NULL) {
        *ret = (struct bench_photos){0};
        return SN_OK;
    }
    snprintf(dir, sizeof dir, "%.1900s/snphotosXXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return sn_error_set(err, SN_ERR_IO, "%.200s: cannot be made", dir);
    enum sn_err rc = put_all(dir, err);
    if (rc == SN_OK)
        rc = sn_dataset_open("folder", dir, &data, err);
    if (rc == SN_OK)
        rc = sn_view_new(data, 1, 2, 0, &view, err);
    if (rc == SN_OK)
        rc = measure(set, view, space, &photos, err);
    sn_view_free(view);
    sn_dataset_free(data);
    remove_all(dir);
    if (rc == SN_OK)
        *ret = photos;
    return rc;
}
