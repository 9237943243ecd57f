/* struct sn_view - what views are inside this folder.
 *
 * Set up by one thread, then read-only but for the cache, which locks itself.
 */
#ifndef SN_VIEW_H
#define SN_VIEW_H

#include "engine/data/cache.h"
#include "engine/data/dataset.h"

struct sn_view {
    const struct sn_dataset *data;
    uint32_t *order; /* of all training images: hold-out first, then training */
    uint32_t holdout, train;
    enum sn_crop crop; /* never SN_CROP_AUTO */
    enum sn_filter filter;
    struct sn_cache *cache; /* NULL: none */
};

/* The number of an image in the data set, from its number in the split. */
uint32_t sn_view_image(const struct sn_view *view, enum sn_split split,
                       uint32_t index);

#endif
