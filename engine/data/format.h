/* sn_format - what makes images of a format's files: a reader each, in a file
 * of its own, and the limits that hold for all of them. dataset.c has their
 * table.
 *
 * Thread-safe.
 */
#ifndef SN_FORMAT_H
#define SN_FORMAT_H

#include "engine/data/dataset.h"

enum { SN_IMAGE_MAX_SIDE = 4096 };
#define SN_DATASET_MAX_DECODED ((uint64_t)512 << 20) /* of JPEGs and PNGs */
#define SN_DATASET_MAX_BYTES ((uint64_t)4 << 30) /* of all pixels together */

struct sn_shape {
    int channels, height, width;
};

struct sn_format {
    struct sn_dataset_format is;
    int classes; /* 0: one more than the highest label */
    /* Reads the training or the test images, max_bytes of pixels at most.
     * *ret is owned by the caller. */
    enum sn_err (*read)(const char *dir, bool test, uint64_t max_bytes,
                        struct sn_images *ret, struct sn_shape *ret_shape,
                        struct sn_error *err);
    /* Or of JPEGs and PNGs: lists them into data->items, by split and in order
     * of their names' bytes, with data->classes and data->info.other. What is
     * there stays for the caller to free. */
    enum sn_err (*list)(const struct sn_dataset_source *source,
                        struct sn_dataset *data, struct sn_error *err);
};

extern const struct sn_format sn_format_idx, sn_format_cifar10,
    sn_format_cifar100, sn_format_npy, sn_format_folder, sn_format_tar;

/* For lists: whether a file's name ends as those of JPEG and PNG files do. */
bool sn_format_is_image_name(const char *name);

/* For lists, data->items->train having all images: moves each class's share of
 * test images to data->items->test, by options.split_seed. */
enum sn_err sn_format_split(const struct sn_dataset_options *options,
                            struct sn_dataset *data, struct sn_error *err);

/* Sorts both lists, sees that every class has training images, and that there
 * are test images. */
enum sn_err sn_format_finish_list(const char *dir, struct sn_dataset *data,
                                  struct sn_error *err);

/* Planes [channels][pixels] become pixels [pixels][channels]. */
void sn_format_interleave(const uint8_t *planes, size_t channels, size_t pixels,
                          uint8_t *ret);

#endif
