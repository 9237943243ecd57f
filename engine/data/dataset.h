/* struct sn_dataset - what data sets are inside this folder: pixels, labels and
 * what normalises them.
 *
 * Immutable once opened.
 */
#ifndef SN_DATASET_H
#define SN_DATASET_H

#include "engine/data/data.h"
#include "engine/data/items.h"
#include "engine/data/names.h"

struct sn_images {
    uint32_t n;
    uint8_t *pixels;  /* [n][height][width][channels], owned */
    uint16_t *labels; /* [n], owned */
};

/* Either `train` and `test` hold all pixels, or `items` says where the encoded
 * images are and `train` and `test` are empty. */
struct sn_dataset {
    struct sn_dataset_info info;
    struct sn_images train, test;
    struct sn_items *items; /* owned; NULL unless info.variable */
    struct sn_names classes, corrupt;
    /* v * scale + shift is (v / 255 - mean) / std, by channel */
    float scale[SN_MAX_IMAGE_CHANNELS], shift[SN_MAX_IMAGE_CHANNELS];
};

#endif
