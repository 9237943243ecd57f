/* sn_subnet's inside - an architecture's layers and its packed weights, shared
 * by the files of this folder alone.
 *
 * layer[j], weight_at[j] and gradient_at[j] go together (layers.h); stored[j]
 * is the supernet's layer that j is a slice of. Written by sn_subnet_bind only.
 */
#ifndef SN_NET_SUBNET_H
#define SN_NET_SUBNET_H

#include "engine/net/supernet.h"

struct sn_subnet {
    const struct sn_supernet *net; /* borrowed */
    const float *weights;          /* bound to these: borrowed until rebound */
    struct sn_plan plan;
    int n_layers;
    struct sn_layer layer[SN_MAX_LAYERS];
    int stored[SN_MAX_LAYERS];
    struct sn_layer_at weight_at[SN_MAX_LAYERS];
    struct sn_layer_at gradient_at[SN_MAX_LAYERS];
    size_t gradient_floats; /* of this architecture */
    struct sn_arena memory;
    float *packed;
    float *kernel; /* scratch of bind: one layer's shrunk kernels */
};

#endif
