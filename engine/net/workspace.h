/* sn_tape - where everything of one pass over a shard is: raw outputs, BN
 * statistics, vectors and temporaries, all inside a workspace's one block.
 *
 *   x --expand--> a -BN,act- --depth--> b -BN,act,gate-> t --project--> d -BN->
 * y
 *
 * A training pass keeps x, a, b, d of every block (raw, before BN); activated
 * tensors are made when they are read, and never stored. A forward-only pass
 * lets every block use the same memory, its stream and raw projections (which
 * the next block still reads) going to and fro between two buffers each.
 * A training pass that recomputes keeps x of every block alone: a and b share
 * memory as there, d goes to and fro, and backward makes each block's anew (of
 * the ResNet family the stem's, too, and all of a block but its output).
 * Tensors (the pointers to void) are stored as the workspace says, vectors and
 * statistics in floats. Batch statistics are kept in all three. A tape is laid
 * out anew for each pass, by arithmetic alone.
 */
#ifndef SN_NET_WORKSPACE_H
#define SN_NET_WORKSPACE_H

#include "engine/net/layers.h"
#include "engine/net/supernet.h"

/* [Cp] each, but sums [2][Cp]; see sn_bn_finish. */
struct sn_bn_tape {
    float *sums, *mean, *rstd, *scale, *shift;
};

struct sn_block_tape {
    void *x, *y;     /* input and output: y is the next one's x */
    void *a, *b, *d; /* raw outputs; a is x where the block does not expand */
    /* SE, [n][Cp]: pool -> reduce (raw, activated) -> expand (raw) -> gate */
    float *pooled, *reduce, *reduced, *expand, *gate;
    /* [resnet] of the shortcut: the window's mean of x (x itself at stride 1),
     * and the raw output of its 1x1 */
    float *mean, *shortcut;
};

/* [resnet] the stem, by layer: raw outputs, and what the next layer reads. */
struct sn_stem_tape {
    float *raw[SN_STEM_LAYERS], *out[SN_STEM_LAYERS];
};

struct sn_tape {
    int n;
    enum sn_store store;
    bool recomputes; /* blocks hold x alone until they are computed again */
    void *stem;
    struct sn_stem_tape stems; /* [resnet] */
    struct sn_block_tape block[SN_MAX_BLOCKS];
    void *head;
    /* mixed is what the classifier reads: pooled where there is no feature
     * layer */
    float *pooled, *feature, *mixed, *logits;
    struct sn_bn_tape bn[SN_MAX_LAYERS]; /* by layer */
    /* The residual stream, to and fro: of the forward-only pass, or the
     * gradients of the backward pass. */
    void *stream[2];
    /* Temporaries of the backward pass: gradients of a depthwise output; of a
     * depthwise input, or of the head; vectors [n][Cp]; a BN's [2][Cp] and
     * [3][Cp]. */
    void *narrow, *wide;
    float *vector[2], *sums, *pqr;
    /* [resnet] in both passes: a bottleneck's activated middle */
    float *active;
};

struct sn_workspace {
    int train_n, forward_n;
    enum sn_store store;
    struct sn_arena memory;
    float *train, *forward;
    struct sn_tape train_tape, forward_tape;
};

/* What a pass keeps for backward. */
enum sn_keep { SN_KEEP_NOTHING, SN_KEEP_INPUTS, SN_KEEP_ALL };

static inline enum sn_keep sn_keep_of_training(const struct sn_supernet *net)
{
    return net->recompute ? SN_KEEP_INPUTS : SN_KEEP_ALL;
}

/* Lays the tape out from `base` and returns the floats it takes; with base NULL
 * it only counts. */
size_t sn_tape_make(const struct sn_compute *compute,
                    const struct sn_plan *plan, int n, enum sn_keep keep,
                    enum sn_store store, float *base, struct sn_tape *ret);

/* The same of the ResNet family. */
size_t sn_resnet_tape_make(const struct sn_compute *compute,
                           const struct sn_plan *plan, int n, enum sn_keep keep,
                           float *base, struct sn_tape *ret);

#endif
