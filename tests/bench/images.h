/* bench_images - a data set of noise in memory, for benchmarks: colour images
 * of 32 x 32 pixels in ten classes, made as IDX files in a temporary folder,
 * read as the product reads any, and the files removed again.
 */
#ifndef BENCH_IMAGES_H
#define BENCH_IMAGES_H

#include "engine/data/data.h"

enum { BENCH_CHANNELS = 3, BENCH_SIDE = 32, BENCH_CLASSES = 10 };

struct bench_images {
    struct sn_dataset *data;
    struct sn_view *view;
};

/* `train` images for training. */
enum sn_err bench_images_init(struct bench_images *images, uint32_t train,
                              struct sn_error *err);
void bench_images_close(struct bench_images *images);

#endif
