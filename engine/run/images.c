#include "engine/run/images.h"

enum sn_err sn_images_view(const struct sn_spec *spec,
                           const struct sn_dataset *data, struct sn_view **ret,
                           struct sn_error *err)
{
    const struct sn_view_pixels pixels = {
        .crop = (enum sn_crop)spec->train.crop,
        .filter = (enum sn_filter)spec->train.interpolation,
        .cache_bytes = (uint64_t)spec->train.cache_mb << 20,
    };
    /* a spec that was resolved before there was this setting has -1 */
    const int64_t split =
        spec->train.split_seed < 0 ? spec->seed : spec->train.split_seed;
    struct sn_view *view;
    enum sn_err rc =
        sn_view_new(data, (uint64_t)split, (uint32_t)spec->train.holdout,
                    (uint32_t)spec->train.train_limit, &view, err);
    if (rc != SN_OK)
        return rc;
    rc = sn_view_set_pixels(view, &pixels, err);
    if (rc != SN_OK) {
        sn_view_free(view);
        return rc;
    }
    *ret = view;
    return SN_OK;
}

struct sn_augment sn_images_augment(const struct sn_spec *spec)
{
    bool jitter = spec->train.color_jitter == SN_JITTER_ON;
    return (struct sn_augment){
        .pad = spec->train.crop_padding,
        .flip = spec->train.flip,
        .cutout = spec->train.cutout,
        .brightness = jitter ? (float)spec->train.brightness : 0,
        .saturation = jitter ? (float)spec->train.saturation : 0,
    };
}

double sn_images_bytes(const struct sn_spec *spec,
                       const struct sn_dataset_info *data)
{
    double images = (double)data->train + data->test;
    if (!data->variable)
        return images *
               (2.0 + (double)data->channels * data->height * data->width);
    /* Where they are, about a path each; what is cached of them; and one
     * photograph, of some megapixels, in each thread that decodes. */
    const double a_name = 64, a_photograph = 12e6;
    return images * a_name + 1048576.0 * spec->train.cache_mb +
           a_photograph * (spec->train.decoders + spec->train.workers);
}
