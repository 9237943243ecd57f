/* sn_supernet's inside - the tensor table and the stored layers, shared by the
 * files of this folder alone.
 *
 * The stored layers are the largest architecture's (layers.h); each knows which
 * tensors of the table it owns. Read-only after sn_supernet_new, but for the
 * weights.
 */
#ifndef SN_NET_SUPERNET_H
#define SN_NET_SUPERNET_H

#include "engine/net/kernel_transform.h"
#include "engine/net/layers.h"
#include "engine/net/net.h"

/* Tensor indexes, -1 where there is none. */
struct sn_stored_layer {
    int weight, gamma, beta; /* beta: the BN's shift or the bias */
    int n_kernels;           /* depthwise: kernels ascending */
    int kernel[SN_KERNEL_STEPS + 1];
    int matrix[SN_KERNEL_STEPS]; /* [m]: from kernel[m + 1] to kernel[m] */
};

struct sn_part {
    size_t first, count; /* tensors */
    int layer, n_layers; /* stored layers */
};

/* A channel and what it weighs, in channel sorting. */
struct sn_ranked {
    double importance;
    int channel;
};

struct sn_supernet {
    struct sn_compute *compute;   /* borrowed */
    const struct sn_space *space; /* borrowed */
    bool recompute;               /* see sn_supernet_set_recompute */
    struct sn_plan largest;
    int n_layers;
    struct sn_layer layer[SN_MAX_LAYERS];
    struct sn_stored_layer stored[SN_MAX_LAYERS];
    struct sn_tensor *tensor;
    size_t n_tensors;
    int n_parts;
    struct sn_part part[SN_MAX_BLOCKS + 4]; /* stem, blocks, the last three */
    struct sn_arena memory;
    float *weights;
    size_t n_weights;
    struct sn_ranked *ranked; /* scratch of channel sorting */
    float *sort_copy;         /* scratch too: as long as the largest tensor */
};

/* A tensor of a flat array; NULL for index -1. */
static inline const float *sn_tensor_of(const struct sn_supernet *net,
                                        const float *flat, int index)
{
    return index < 0 ? NULL : flat + net->tensor[index].offset;
}

static inline float *sn_tensor_in(const struct sn_supernet *net, float *flat,
                                  int index)
{
    return index < 0 ? NULL : flat + net->tensor[index].offset;
}

/* The kernel chain of stored layer j with the matrices of `flat`. */
struct sn_kernel_chain sn_supernet_chain(const struct sn_supernet *net, int j,
                                         const float *flat);

#endif
