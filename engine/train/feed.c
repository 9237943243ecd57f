#include "engine/train/feed.h"

#include <stdlib.h>

struct sn_feed {
    const struct sn_view *view;
    struct sn_epochs epochs;
    struct sn_augment augment;
    struct sn_prefetch *prefetch; /* NULL: the images are in memory */
    struct sn_view_room **room;   /* one a worker */
    int workers;
    struct sn_ready now; /* pixels NULL: to be made */
};

enum sn_err sn_feed_new(const struct sn_view *view,
                        const struct sn_prefetch_settings *settings,
                        int workers, struct sn_feed **ret, struct sn_error *err)
{
    struct sn_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to load images");
    feed->view = view;
    feed->augment = settings->augment;
    enum sn_err rc = sn_epochs_init(&feed->epochs, view, settings->seed,
                                    settings->batch_size, settings->resolutions,
                                    settings->n_resolutions, err);
    feed->room = calloc((size_t)workers, sizeof feed->room[0]);
    if (feed->room == NULL && rc == SN_OK)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to load images");
    for (; rc == SN_OK && feed->workers < workers; feed->workers++)
        rc = sn_view_room_new(&feed->room[feed->workers], err);
    if (rc == SN_OK && sn_view_decodes(view))
        rc = sn_prefetch_new(view, settings, &feed->prefetch, err);
    if (rc != SN_OK) {
        sn_feed_free(feed);
        return rc;
    }
    *ret = feed;
    return SN_OK;
}

void sn_feed_free(struct sn_feed *feed)
{
    if (feed == NULL)
        return;
    sn_prefetch_free(feed->prefetch);
    for (int w = 0; w < feed->workers; w++)
        sn_view_room_free(feed->room[w]);
    free(feed->room);
    sn_epochs_close(&feed->epochs);
    free(feed);
}

uint64_t sn_feed_epoch_steps(const struct sn_feed *feed)
{
    return sn_epochs_steps(&feed->epochs);
}

enum sn_err sn_feed_find(struct sn_feed *feed, uint64_t step,
                         struct sn_feed_step *ret, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    if (feed->prefetch != NULL) {
        rc = sn_prefetch_take(feed->prefetch, step, &feed->now, err);
    } else {
        feed->now = (struct sn_ready){0};
        sn_epochs_find(&feed->epochs, step, &feed->augment, &feed->now.batch);
    }
    if (rc == SN_OK)
        *ret = (struct sn_feed_step){feed->now.batch.resolution,
                                     feed->now.waited_s};
    return rc;
}

enum sn_err sn_feed_load(struct sn_feed *feed, int worker, uint32_t first,
                         uint32_t n, float *ret_images, int32_t *ret_labels,
                         struct sn_error *err)
{
    struct sn_batch part = feed->now.batch;
    if (feed->now.pixels != NULL) {
        size_t size = sn_view_pixel_bytes(feed->view, part.resolution);
        sn_view_finish(feed->view, &part, first, n,
                       feed->now.pixels + first * size, ret_images, ret_labels);
        return SN_OK;
    }
    part.index += first;
    part.n = n;
    return sn_view_batch(feed->view, &part, feed->room[worker], ret_images,
                         ret_labels, err);
}
