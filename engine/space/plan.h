/* sn_plan - an architecture spelled out layer by layer: the shapes that the
 * network, its costs, its latency and its file formats all agree on.
 *
 * Plain data; pure functions; thread-safe.
 *
 *   image [c, r, r] -> stem 3x3 + BN + act -> block 0 (fixed) -> elastic blocks
 *     -> head 1x1 + BN + act -> global pool -> feature 1x1 + act (may be
 * absent)
 *     -> linear [classes]
 *
 * A block:  x [in] -(1x1, BN, act)-> [mid] -(k x k depthwise, BN, act)-> [mid]
 *           -(SE)-> -(1x1, BN)-> [out]  (+ x when residual)
 * The fixed block (expand 1) has no first 1x1.
 *
 * The ResNet family:
 *
 *   image -> stem 3x3 -> (+ 3x3 of itself) -> 3x3 -> max 3x3 / 2 -> blocks
 *     -> global pool -> linear [classes]           every convolution with a BN
 *
 *           x -(1x1, ReLU)-> [mid] -(3x3 dense, ReLU)-> [mid] -(1x1)-> [out]
 *           y = ReLU of that + x, or where it downsamples + 1x1 of x's mean
 *           over 2x2 (of x itself at stride 1)
 */
#ifndef SN_PLAN_H
#define SN_PLAN_H

#include "engine/space/space.h"

struct sn_block_plan {
    int stage; /* -1: the fixed block */
    int index; /* in its stage */
    int slot;  /* which stored block of the supernet: 0 is the fixed one
                  ([resnet] lacks it), then stage by stage, each as many as its
                  max depth */
    int in, mid, out;
    int kernel, stride;
    int se_mid; /* 0: no squeeze-and-excitation */
    enum sn_act act;
    bool expands;          /* has the first 1x1 */
    bool residual;         /* stride 1 and in == out: x itself is added */
    bool downsamples;      /* [resnet] x is added through a window and a 1x1 */
    int in_size, out_size; /* square planes, pixels a side */
};

struct sn_plan {
    enum sn_family family;
    int resolution, in_channels, classes;
    int stem_out, stem_stride, stem_size;
    enum sn_act stem_act;
    int stem_mid, pool_size; /* [resnet] before stem_out; after the maximum */
    bool stem_residual;      /* [resnet] */
    int n_blocks;
    struct sn_block_plan block[SN_MAX_BLOCKS];
    int head_in, head_out, head_size; /* 1x1, on head_size^2 pixels; [resnet]
                                         there is none, and both are equal */
    enum sn_act head_act;             /* of the feature layer, too */
    int feature_out;                  /* 0: pooled straight to linear */
};

struct sn_cost {
    double macs;        /* of convolutions and linears of the static network */
    double params;      /* all trainable before folding: weights, biases, BN's
                           scale and shift; kernel transforms not counted */
    double peak_memory; /* bytes of f32 activations at batch 1, buffers reused:
                           the most alive at once over the layers */
};

/* Output size of a 'same'-padded convolution: ceil(size / stride). */
int sn_conv_size(int size, int stride);

/* `arch` must have been checked. Padding is kernel/2 on every side. */
void sn_plan_make(const struct sn_space *space, const struct sn_arch *arch,
                  int in_channels, int classes, struct sn_plan *ret);
void sn_plan_cost(const struct sn_plan *plan, struct sn_cost *ret);

/* The strides that hold at a resolution (the space's own, or a rule's). */
void sn_space_strides(const struct sn_space *space, int resolution,
                      struct sn_stride_rule *ret);
/* What the classifier reads. */
static inline int sn_plan_features(const struct sn_plan *plan)
{
    return plan->feature_out > 0 ? plan->feature_out : plan->head_out;
}

/* The stored block's slot for (stage, index); slots of the whole supernet. */
int sn_space_slot(const struct sn_space *space, int stage, int index);
int sn_space_slots(const struct sn_space *space);

#endif
