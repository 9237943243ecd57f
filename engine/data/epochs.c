#include "engine/data/epochs.h"

#include <stdlib.h>

#include "engine/rng.h"

enum sn_err sn_epochs_init(struct sn_epochs *e, const struct sn_view *view,
                           uint64_t seed, uint32_t batch_size,
                           const uint16_t *resolutions, int n_resolutions,
                           struct sn_error *err)
{
    uint32_t images = sn_view_count(view, SN_SPLIT_TRAIN);
    *e = (struct sn_epochs){.view = view,
                            .seed = seed,
                            .batch_size = batch_size,
                            .resolutions = resolutions,
                            .n_resolutions = n_resolutions};
    e->order = calloc(images, sizeof e->order[0]);
    if (e->order == NULL)
        return sn_error_set(err, SN_ERR_NOMEM,
                            "no memory for the order of %u images", images);
    return SN_OK;
}

void sn_epochs_close(struct sn_epochs *e)
{
    free(e->order);
    e->order = NULL;
}

uint64_t sn_epochs_steps(const struct sn_epochs *e)
{
    return sn_view_count(e->view, SN_SPLIT_TRAIN) / e->batch_size;
}

/* One for all sub-networks of the step, as Once-for-All draws it. */
static int resolution_of(const struct sn_epochs *e, uint64_t step)
{
    struct sn_rng rng = sn_rng_make(e->seed, SN_STREAM_SIZE, step);
    return e->resolutions[sn_rng_below(&rng, (uint32_t)e->n_resolutions)];
}

void sn_epochs_find(struct sn_epochs *e, uint64_t step,
                    struct sn_augment *augment, struct sn_batch *ret)
{
    uint64_t per = sn_epochs_steps(e), epoch = step / per;
    if (e->known != epoch + 1)
        sn_view_epoch_order(e->view, e->seed, epoch, e->order);
    e->known = epoch + 1;
    augment->epoch = epoch;
    *ret = (struct sn_batch){
        .split = SN_SPLIT_TRAIN,
        .index = e->order + step % per * e->batch_size,
        .n = e->batch_size,
        .resolution = resolution_of(e, step),
        .augment = augment,
    };
}
