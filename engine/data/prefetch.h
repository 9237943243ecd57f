/* sn_prefetch - training batches decoded ahead of the training loop by threads
 * of their own.
 *
 *   threads   read, decode, crop, resize          (8-bit pixels)
 *                |  slot of step s: s % slots
 *                v
 *   slots     [ s: taken ][ s+1: whole ][ s+2: 57 of 128 ][ s+3: - ]
 *                |
 *   take      waits until its batch is whole; the workers mirror and normalise
 *
 * What is in a batch is a function of (seed, step) alone, so results do not
 * depend on timing or on the number of threads. Slots are bounded in number and
 * bytes, and made at once; decoding an image allocates what that image takes.
 * The threads go before training's workers (nice 3 against 5): they are asleep
 * when all slots are whole, and a worker that waits for images is the greater
 * loss.
 *
 * Made, asked and freed by one thread. Borrows the view.
 */
#ifndef SN_PREFETCH_H
#define SN_PREFETCH_H

#include "engine/data/epochs.h"

enum { SN_PREFETCH_MAX_THREADS = 64 };

struct sn_prefetch_settings {
    int threads;
    uint32_t batch_size;
    uint64_t seed;
    const uint16_t *resolutions; /* ascending; borrowed */
    int n_resolutions;
    struct sn_augment augment;
};

struct sn_prefetch;
enum sn_err sn_prefetch_new(const struct sn_view *view,
                            const struct sn_prefetch_settings *settings,
                            struct sn_prefetch **ret, struct sn_error *err);
/* Waits for the images that are being decoded. NULL is fine. */
void sn_prefetch_free(struct sn_prefetch *prefetch);

/* Bytes of the slots, for images of so many channels. */
double sn_prefetch_bytes(const struct sn_prefetch_settings *settings,
                         int channels);

struct sn_ready {
    struct sn_batch batch;
    const uint8_t *pixels; /* of all its images, for sn_view_finish() */
    double waited_s;
};
/* The batch of `step`, borrowed until the next call. Steps are meant to follow
 * each other; at any other step it begins anew. An image that cannot be read or
 * decoded is an error that names it. */
enum sn_err sn_prefetch_take(struct sn_prefetch *prefetch, uint64_t step,
                             struct sn_ready *ret, struct sn_error *err);

#endif
