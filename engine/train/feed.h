/* sn_feed - the images of training steps: made by the workers themselves where
 * they are in memory, by decoders ahead of them where they are kept encoded.
 *
 *   find   the step's resolution; waits for its pixels    conductor
 *   load   normalised images of a part of the batch       any worker
 *
 * Which images, how they are augmented and at which resolution is a function
 * of (seed, step). Borrows the view and the list of resolutions.
 */
#ifndef SN_FEED_H
#define SN_FEED_H

#include "engine/data/prefetch.h"

struct sn_feed;

/* settings.threads: decoders; not used where nothing has to be decoded. */
enum sn_err sn_feed_new(const struct sn_view *view,
                        const struct sn_prefetch_settings *settings,
                        int workers, struct sn_feed **ret,
                        struct sn_error *err);
void sn_feed_free(struct sn_feed *feed); /* NULL is fine */

uint64_t sn_feed_epoch_steps(const struct sn_feed *feed);

struct sn_feed_step {
    int resolution;
    double waited_s;
};
enum sn_err sn_feed_find(struct sn_feed *feed, uint64_t step,
                         struct sn_feed_step *ret, struct sn_error *err);
/* Images first to first + n - 1 of the step that was found. */
enum sn_err sn_feed_load(struct sn_feed *feed, int worker, uint32_t first,
                         uint32_t n, float *ret_images, int32_t *ret_labels,
                         struct sn_error *err);

#endif
