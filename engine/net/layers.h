/* sn_layers - a plan as a flat list of layers with weights, in a fixed order,
 * so that binding, reducing, folding and counting are loops over one table.
 *
 *   0            stem
 *   1 + 5 b + l  block b's layer l: expand, depth, SE reduce, SE expand,
 * project then         head, feature, classifier
 *
 * and of the ResNet family:
 *
 *   0, 1, 2      the stem's convolutions: first, residual, last
 *   3 + 4 b + l  block b's layer l: the three of its branch, its shortcut's
 *   then         classifier
 *
 * A layer that a block lacks (or the feature layer, where the pooled head goes
 * straight to the classifier) is there with kind SN_LAYER_ABSENT. The
 * supernet's own list is that of its largest architecture: there block b is
 * slot b. Plain data, pure functions, thread-safe.
 */
#ifndef SN_NET_LAYERS_H
#define SN_NET_LAYERS_H

#include "engine/compute/compute.h"
#include "engine/space/plan.h"

enum sn_layer_kind {
    SN_LAYER_ABSENT,
    SN_LAYER_STEM,  /* weight [o][i][3][3] */
    SN_LAYER_CONV1, /* weight [o][i] */
    SN_LAYER_DEPTH, /* weight [o][k][k], i == o */
    SN_LAYER_CONV3  /* weight [o][i][3][3], dense */
};

enum sn_block_layer {
    SN_EXPAND,
    SN_DEPTH,
    SN_SE_REDUCE,
    SN_SE_EXPAND,
    SN_PROJECT,
    SN_BLOCK_LAYERS
};

/* [resnet] */
enum sn_stem_layer { SN_STEM_FIRST, SN_STEM_RESIDUAL, SN_STEM_LAST };
enum { SN_STEM_LAYERS = 3 };
enum sn_bottleneck_layer {
    SN_CONV_IN,   /* 1x1 */
    SN_CONV_MID,  /* 3x3 */
    SN_CONV_OUT,  /* 1x1 */
    SN_CONV_SHORT /* the shortcut's 1x1, where the block downsamples */
};
enum { SN_BOTTLENECK_LAYERS = 4 };

enum { SN_MAX_LAYERS = 1 + SN_BLOCK_LAYERS * SN_MAX_BLOCKS + 3 };

struct sn_layer {
    enum sn_layer_kind kind;
    bool bn;   /* a BN follows: scale and shift of o channels */
    bool bias; /* a bias of o channels (never with bn) */
    int o, i, k, stride;
    int in_size, out_size; /* square planes, pixels a side; vectors: 1 */
};

static inline int sn_layer_in_block(int b, enum sn_block_layer l)
{
    return 1 + SN_BLOCK_LAYERS * b + (int)l;
}
static inline int sn_layer_head(const struct sn_plan *plan)
{
    return 1 + SN_BLOCK_LAYERS * plan->n_blocks;
}
static inline int sn_layer_feature(const struct sn_plan *plan)
{
    return sn_layer_head(plan) + 1;
}
static inline int sn_layer_in_bottleneck(int b, enum sn_bottleneck_layer l)
{
    return SN_STEM_LAYERS + SN_BOTTLENECK_LAYERS * b + (int)l;
}
/* These two of either family. */
static inline int sn_layer_classifier(const struct sn_plan *plan)
{
    return plan->family == SN_FAMILY_RESNET
               ? sn_layer_in_bottleneck(plan->n_blocks, SN_CONV_IN)
               : sn_layer_head(plan) + 2;
}
static inline int sn_layer_count(const struct sn_plan *plan)
{
    return sn_layer_classifier(plan) + 1;
}

void sn_layers_make(const struct sn_plan *plan,
                    struct sn_layer ret[SN_MAX_LAYERS]);
/* Where layer j of `plan` is in the list of the largest plan, in which block b
 * is slot b. */
int sn_layer_stored(const struct sn_plan *plan, const struct sn_plan *largest,
                    int j);
/* Layer j in the operators' words, for n images. */
static inline struct sn_conv3 sn_layer_conv3(const struct sn_layer *l, int n)
{
    return (struct sn_conv3){n, l->i, l->o, l->in_size, l->in_size, l->stride};
}
/* Floats of the plain weight. */
size_t sn_layer_weight_floats(const struct sn_layer *layer);

/* Where a layer is in a packed buffer, in floats from its start. In a gradient
 * bwd is unused, and the stem is plain. beta is the bias where there is no BN.
 */
struct sn_layer_at {
    size_t fwd, bwd, gamma, beta;
    size_t end;
};

/* Both return the floats of the whole buffer. */
size_t sn_layout_weights(const struct sn_compute *compute,
                         const struct sn_layer *layer, int n_layers,
                         struct sn_layer_at *ret);
size_t sn_layout_gradient(const struct sn_compute *compute,
                          const struct sn_layer *layer, int n_layers,
                          struct sn_layer_at *ret);

/* An activation in the operators' words. */
static inline enum sn_cact sn_layer_act(enum sn_act act)
{
    switch (act) {
    case SN_ACT_RELU:
        return SN_CACT_RELU;
    case SN_ACT_HSWISH:
        return SN_CACT_HSWISH;
    case SN_ACT_RELU6:
        return SN_CACT_RELU6;
    case SN_ACT_NONE:
        break;
    }
    return SN_CACT_NONE;
}

#endif
