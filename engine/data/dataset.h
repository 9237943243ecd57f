/* struct sn_dataset - what data sets are inside this folder: pixels, labels and
 * what normalises them.
 *
 * Immutable once opened.
 */
#ifndef SN_DATASET_H
#define SN_DATASET_H

#include "engine/data/data.h"

struct sn_images {
    uint32_t n;
    uint8_t *pixels; /* [n][height][width][channels], owned */
    uint8_t *labels; /* [n], owned */
};

struct sn_dataset {
    struct sn_dataset_info info;
    struct sn_images train, test;
    /* v * scale + shift is (v / 255 - mean) / std, by channel */
    float scale[SN_MAX_IMAGE_CHANNELS], shift[SN_MAX_IMAGE_CHANNELS];
};

#endif
