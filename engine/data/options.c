/* How data sets are read: defaults and ranges. */
#include "engine/data/format.h"

enum { MIN_SIZE = 8, MAX_SIZE = 512 };

struct sn_dataset_options sn_dataset_options_default(bool images)
{
    return (struct sn_dataset_options){
        .channels = images ? 3 : 0,
        .test_share = 0.2,
        .split_seed = 1,
        .corrupt_share = 0.01,
    };
}

enum sn_err sn_dataset_options_check(const struct sn_dataset_options *options,
                                     bool images, struct sn_error *err)
{
    const struct sn_dataset_options *o = options;
    if (o->channels != 1 && o->channels != 3 && (images || o->channels != 0))
        return sn_error_at(err, SN_ERR_RANGE, "/channels",
                           "must be 1 (grey) or 3 (colour)");
    if (o->size != 0 && (o->size < MIN_SIZE || o->size > MAX_SIZE))
        return sn_error_at(err, SN_ERR_RANGE, "/size",
                           "must be %d to %d, or 0 for images as they are",
                           MIN_SIZE, MAX_SIZE);
    if (!(o->test_share >= 0.05 && o->test_share <= 0.5))
        return sn_error_at(err, SN_ERR_RANGE, "/test_share",
                           "must be 0.05 to 0.5");
    if (!(o->corrupt_share >= 0 && o->corrupt_share <= 0.5))
        return sn_error_at(err, SN_ERR_RANGE, "/corrupt_share",
                           "must be 0 to 0.5");
    return SN_OK;
}
