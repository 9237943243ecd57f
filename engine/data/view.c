/* Views: the split into training, hold-out and test images. */
#include "engine/data/view.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/rng.h"

enum sn_err sn_view_new(const struct sn_dataset *data, uint64_t seed,
                        uint32_t holdout, uint32_t train_limit,
                        struct sn_view **ret, struct sn_error *err)
{
    uint32_t n = data->info.train;
    if (holdout >= n)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a hold-out of %" PRIu32 " leaves none of %" PRIu32
                            " images to train on",
                            holdout, n);
    struct sn_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a view");
    view->order = malloc(n * sizeof *view->order);
    if (view->order == NULL) {
        sn_view_free(view);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a view");
    }
    for (uint32_t i = 0; i < n; i++)
        view->order[i] = i;
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_SPLIT, 0);
    sn_rng_shuffle(&rng, view->order, n);
    view->data = data;
    view->crop = sn_crop_settle(SN_CROP_AUTO, &data->info);
    view->holdout = holdout;
    view->train = n - holdout;
    if (train_limit > 0 && train_limit < view->train)
        view->train = train_limit;
    *ret = view;
    return SN_OK;
}

void sn_view_free(struct sn_view *view)
{
    if (view == NULL)
        return;
    sn_cache_free(view->cache);
    free(view->order);
    free(view);
}

uint32_t sn_view_count(const struct sn_view *view, enum sn_split split)
{
    switch (split) {
    case SN_SPLIT_TRAIN:
        return view->train;
    case SN_SPLIT_HOLDOUT:
        return view->holdout;
    default:
        return view->data->info.test;
    }
}

void sn_view_epoch_order(const struct sn_view *view, uint64_t seed,
                         uint64_t epoch, uint32_t *ret)
{
    for (uint32_t i = 0; i < view->train; i++)
        ret[i] = i;
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_SHUFFLE, epoch);
    sn_rng_shuffle(&rng, ret, view->train);
}

uint32_t sn_view_image(const struct sn_view *view, enum sn_split split,
                       uint32_t index)
{
    assert(index < sn_view_count(view, split));
    if (split == SN_SPLIT_TRAIN)
        return view->order[view->holdout + index];
    return split == SN_SPLIT_HOLDOUT ? view->order[index] : index;
}

int sn_view_channels(const struct sn_view *view)
{
    return view->data->info.channels;
}

bool sn_view_decodes(const struct sn_view *view)
{
    return view->data->info.variable;
}

enum sn_crop sn_view_crop(const struct sn_view *view)
{
    return view->crop;
}

enum sn_crop sn_crop_settle(enum sn_crop crop,
                            const struct sn_dataset_info *info)
{
    enum { SMALL = 64 };
    if (crop != SN_CROP_AUTO)
        return crop;
    bool small =
        !info->variable && info->height == info->width && info->height <= SMALL;
    return small ? SN_CROP_PAD : SN_CROP_RESIZED;
}

enum sn_err sn_view_set_pixels(struct sn_view *view,
                               const struct sn_view_pixels *pixels,
                               struct sn_error *err)
{
    const struct sn_dataset_info *info = &view->data->info;
    struct sn_cache *cache = NULL;
    if (pixels->crop == SN_CROP_PAD && info->variable)
        return sn_error_at(err, SN_ERR_INVALID, "/train/crop",
                           "images of many sizes cannot be padded: resized is "
                           "possible");
    if (info->variable && pixels->cache_bytes > 0) {
        enum sn_err rc = sn_cache_new(pixels->cache_bytes, &cache, err);
        if (rc != SN_OK)
            return rc;
    }
    sn_cache_free(view->cache);
    view->cache = cache;
    view->crop = sn_crop_settle(pixels->crop, info);
    view->filter = pixels->filter;
    return SN_OK;
}
