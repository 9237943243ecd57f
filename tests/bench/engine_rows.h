/* bench_engine's rows - the engine at work on mbv3-cifar, each row one way of
 * using it, warmed up and then timed in windows of which the best counts.
 *
 *   train_rows.c   steps of the product's own trainer
 *   still_rows.c   static networks: evaluation and latency
 *   step_parts.c   where a step's time goes, in one thread
 *   data_rows.c    photographs on their way into a step of ofa-mbv3-w1.0
 *
 * All functions are called from one thread; on failure they say why in err.
 */
#ifndef BENCH_ENGINE_ROWS_H
#define BENCH_ENGINE_ROWS_H

#include "engine/compute/compute.h"
#include "engine/space/space.h"
#include "tests/bench/images.h"

enum { BENCH_BATCH = 64, BENCH_SHARD = 32, BENCH_MAX_ROWS = 32 };

struct bench_window {
    double seconds; /* about, at least one whole round of the row's steps */
    int times;      /* windows; the best counts */
};

/* What the rows share. */
struct bench_setting {
    struct sn_compute *compute;
    const struct sn_space *space;
    const struct bench_images *images;
    struct bench_window window;
    int evaluation_batch;
    enum sn_store store; /* of training */
};

struct bench_row {
    const char *name;
    enum sn_store store;
    int workers;
    double images_per_s;
    double flops_per_image; /* of the unpadded network */
    double ms;              /* a step, a batch of evaluation, or the latency */
    double ms_low, ms_high; /* latency: the median's 95% interval */
    double cpu; /* share of the workers' cores that the process had: what is
                   well below 1 was disturbed by others. 0: not known */
};

/* largest, smallest, random, random_kd, sandwich */
enum sn_err bench_train_row(const struct bench_setting *set, const char *name,
                            int workers, struct bench_row *ret,
                            struct sn_error *err);
/* eval_largest, eval_smallest */
enum sn_err bench_evaluation_row(const struct bench_setting *set,
                                 const char *name, int workers,
                                 struct bench_row *ret, struct sn_error *err);
/* latency_largest, latency_smallest: together, in turn */
enum sn_err bench_latency_rows(const struct bench_setting *set,
                               struct bench_row ret[2], struct sn_error *err);

/* Where the time of a step of BENCH_BATCH images goes, in one thread. */
enum bench_part {
    BENCH_PART_BIND,
    BENCH_PART_LOAD,
    BENCH_PART_FORWARD,
    BENCH_PART_LOSS,
    BENCH_PART_BACKWARD,
    BENCH_PART_REDUCE,
    BENCH_PART_UPDATE,
    BENCH_PARTS
};
const char *bench_part_name(enum bench_part part);

struct bench_parts {
    const char *name; /* largest, smallest, random */
    enum sn_store store;
    double ms[BENCH_PARTS];
};
enum sn_err bench_parts_measure(const struct bench_setting *set,
                                const char *name, struct bench_parts *ret,
                                struct sn_error *err);

/* JPEGs of about 500 x 375 pixels, which are decoded ahead by as many threads
 * as there are workers, in a space of 128 to 224 pixels: random paths. */
struct bench_photos {
    int workers, batch;
    double decode_ms;         /* an image: read, decoded, cropped, resized to
                                 the largest resolution, jittered; one thread */
    double finish_ms;         /* mirrored, normalised */
    double step_ms, stall_ms; /* of which the loop waited for images */
};
enum sn_err bench_photos_measure(const struct bench_setting *set, int workers,
                                 struct bench_photos *ret,
                                 struct sn_error *err);

/* Bytes of what a training job with this batch and shard holds. */
struct bench_memory {
    size_t weights, workspace, gradient, forward_workspace;
};
enum sn_err bench_memory_measure(const struct bench_setting *set,
                                 struct bench_memory *ret,
                                 struct sn_error *err);

#endif
