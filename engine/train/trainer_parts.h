/* sn_trainer's inside - its buffers and the step that runs, shared by
 * trainer.c, trainer_memory.c and trainer_candidates.c alone.
 */
#ifndef SN_TRAINER_PARTS_H
#define SN_TRAINER_PARTS_H

#include "engine/train/feed.h"
#include "engine/train/trainer.h"

/* One shard of the batch: images, labels, and what the teacher says of it. */
struct sn_trainer_shard {
    float *images;         /* [shard_size][channels][r][r] */
    int32_t *labels;       /* [shard_size] */
    float *teacher;        /* [shard_size][stride] logits */
    struct sn_error error; /* of loading it */
};

/* What one (sub-network, shard) pair leaves behind. */
struct sn_trainer_pair {
    float *gradient; /* packed */
    float *logits;   /* [shard_size][stride] */
    float *dlogits;
    double loss;
    uint32_t correct;
};

struct sn_trainer {
    struct sn_trainer_settings set;
    struct sn_pool *pool;
    struct sn_supernet *net;
    const struct sn_view *view;
    int n_shards; /* of a batch */
    int wave;     /* shards in work at once */
    size_t stride;

    struct sn_subnet *sub[SN_MAX_SUBNETS];
    struct sn_subnet *teacher_sub;
    struct sn_workspace **ws;       /* one a worker */
    struct sn_trainer_shard *shard; /* wave */
    struct sn_trainer_pair *pair;   /* max_subnets * wave */
    float **gradients;     /* the pairs' gradients, for sn_net_reduce */
    struct sn_arena arena; /* all of the float buffers */

    float *momentum, *master_gradient, *teacher_weights;
    double *part_squares; /* of the gradient, by part of the weights */
    int teacher_bound;    /* for this resolution; 0: for none */

    struct sn_feed *feed;

    /* the step that runs: read by the tasks */
    struct sn_trainer_step now;
    struct sn_arch arch[SN_MAX_SUBNETS];
    int n_drawn, n_subs;
    double candidate_macs;
    int first_sub;          /* of the pass that runs */
    int first_shard, n_now; /* the wave that runs */
    float gradient_scale;
    struct sn_feed_step images;
};

/* Of labels alone, over one shard; its gradient is the batch's mean. */
struct sn_loss sn_trainer_labels_loss(const struct sn_trainer *trainer);

/* Of each place's candidates one stays, chosen on the wave that is loaded;
 * counts what the choice costs. The step's sub-networks are then the first
 * n_subs. */
enum sn_err sn_trainer_take_candidates(struct sn_trainer *trainer,
                                       struct sn_error *err);

#endif
