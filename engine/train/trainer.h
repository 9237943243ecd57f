/* sn_trainer - the training loop's step: sub-networks, shards, loss, backward,
 * reduction in shard order, update.
 *
 *   load shards, bind sub-networks        n_shards + n_subs (+ 1) tasks
 *   choose among candidates               their n x n_shards tasks a place
 *   teacher, or the sandwich's largest    n_shards tasks
 *   forward, loss, backward               n_subs x n_shards tasks
 *   reduce and update                     one task a part of the weights
 *
 * A batch of more pairs than sn_trainer_wave() allows goes in waves of shards,
 * whose gradients add up before the one update, so that buffers stay bounded
 * whatever the batch.
 *
 * All sub-networks of a step, the teacher too, see its images at one
 * resolution, drawn by (seed, step) from the space's list (Once-for-All's way;
 * a sandwich's ends are its largest and smallest architecture at that
 * resolution, so that an image is decoded and resized once a step).
 *
 * Workers take tasks as they become free; every sum is in shard order, so
 * results depend neither on timing nor on the number of workers. After the
 * first step nothing here allocates. Called from one thread (the conductor).
 */
#ifndef SN_TRAINER_H
#define SN_TRAINER_H

#include "engine/data/data.h"
#include "engine/net/net.h"
#include "engine/train/sampler.h"

struct sn_trainer;

struct sn_trainer_settings {
    int batch_size, shard_size; /* batch_size is a multiple of shard_size */
    int max_subnets;            /* trained a step */
    int max_drawn; /* drawn a step: more, where candidates are; 0: as many */
    enum sn_store store; /* of activations and their gradients */
    uint16_t resolution; /* of every step; 0: drawn, see above */
    float label_smoothing, momentum, weight_decay;
    float clip_norm;           /* of the whole gradient; 0: none */
    float clip_value;          /* of each of its values; 0: none */
    struct sn_augment augment; /* of training images; the epoch is a step's */
    int decoders; /* threads, where images are kept encoded; 0: as many as
                     workers */
    uint64_t seed;
};

/* Shards that are in work at once: by formula, not by the number of workers,
 * since sums depend on it. */
int sn_trainer_wave(const struct sn_trainer_settings *settings);

/* Borrows pool, net and view for its life. */
enum sn_err sn_trainer_new(struct sn_pool *pool, struct sn_supernet *net,
                           const struct sn_view *view,
                           const struct sn_trainer_settings *settings,
                           struct sn_trainer **ret, struct sn_error *err);
void sn_trainer_free(struct sn_trainer *trainer);

/* What a trainer comes to hold where sub-network i of a step is at most
 * `heaviest[i]` (max_subnets of them), by what drives it. `teacher`: a fixed
 * one is kept. */
struct sn_trainer_bytes {
    double batch; /* images, logits, and a gradient a (sub-network, shard) */
    double shard; /* activations: one shard a worker */
    double ahead; /* batches that are decoded ahead */
    double net;   /* momentum, sums, bound weights */
};
void sn_trainer_bytes(const struct sn_supernet *net,
                      const struct sn_trainer_settings *settings, int workers,
                      const struct sn_plan *heaviest, bool teacher,
                      bool decodes, struct sn_trainer_bytes *ret);

/* Momentum, flat like the weights: for checkpoints. Writable. */
float *sn_trainer_momentum(struct sn_trainer *trainer);

/* Takes a copy of the present weights as the fixed teacher (the largest network
 * of them); or sets it from `weights` when not NULL. */
enum sn_err sn_trainer_keep_teacher(struct sn_trainer *trainer,
                                    const float *weights, struct sn_error *err);
/* The teacher's flat weights, NULL if there is none. Writable: channel sorting
 * permutes them alike (then call sn_trainer_teacher_changed). */
float *sn_trainer_teacher(struct sn_trainer *trainer);
void sn_trainer_teacher_changed(struct sn_trainer *trainer);

enum sn_trainer_teach {
    SN_TRAINER_TEACH_NONE,
    SN_TRAINER_TEACH_LARGEST, /* the sandwich's first sub-network */
    SN_TRAINER_TEACH_FIXED
};

struct sn_trainer_step {
    const struct sn_sampler *sampler;
    enum sn_trainer_teach teach;
    /* FIXED: labels count 1, the teacher kd_ratio (Once-for-All). LARGEST: the
     * largest learns from labels, the others from it alone (BigNAS). */
    double kd_ratio;
    double alpha_clip; /* LARGEST: by alpha-divergences; 0: cross-entropy */
    /* Of a place's candidates the one with the highest loss on the step's
     * images is trained, else the one with the lowest (of the first wave). */
    bool worst;
    double rate;
    uint64_t step; /* global: says epoch, images and paths */
};

struct sn_trainer_result {
    double loss;     /* mean over images and sub-networks */
    double accuracy; /* of the training batch, likewise */
    uint32_t images; /* batch_size */
    double macs;     /* done, training counted as 3 x forward */
    double waited_s; /* for images that were still being decoded */
};

/* Steps of an epoch: whole batches; the few images left over are another few
 * in each epoch, since each has its own order. */
uint64_t sn_trainer_epoch_steps(const struct sn_trainer *trainer);

/* A loss that is no number is SN_ERR_INVALID: training diverged. */
enum sn_err sn_trainer_step(struct sn_trainer *trainer,
                            const struct sn_trainer_step *step,
                            struct sn_trainer_result *ret,
                            struct sn_error *err);

#endif
