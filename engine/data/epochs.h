/* sn_epochs - which images, at which resolution, the training step `step`
 * takes: a function of (seed, step), whoever asks.
 *
 *   step  0 1 2 ... per-1 | per ...        per: whole batches of an epoch; the
 *   epoch 0               | 1              few images left over are another few
 *                                          in each, since each has its own
 * order
 *
 * A value that remembers the order of the epoch it was last asked for: asking
 * in rising steps is cheap. One thread at a time. Borrows the view.
 */
#ifndef SN_EPOCHS_H
#define SN_EPOCHS_H

#include "engine/data/data.h"

struct sn_epochs {
    const struct sn_view *view;
    uint64_t seed;
    uint32_t batch_size;
    const uint16_t *resolutions; /* borrowed: what a step's is drawn from */
    int n_resolutions;

    uint32_t *order; /* of epoch `known - 1`; 0: of none yet */
    uint64_t known;
};

/* Closed in any case. */
enum sn_err sn_epochs_init(struct sn_epochs *epochs, const struct sn_view *view,
                           uint64_t seed, uint32_t batch_size,
                           const uint16_t *resolutions, int n_resolutions,
                           struct sn_error *err);
void sn_epochs_close(struct sn_epochs *epochs);

uint64_t sn_epochs_steps(const struct sn_epochs *epochs); /* of an epoch */

/* Fills split, index (borrowed until the next call), n, resolution and, in
 * *augment, the epoch. */
void sn_epochs_find(struct sn_epochs *epochs, uint64_t step,
                    struct sn_augment *augment, struct sn_batch *ret);

#endif
