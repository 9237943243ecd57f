#include "engine/net/fold.h"

#include <math.h>
#include <string.h>

/* The sub-network's slice of the stored weight, its kernel shrunk. */
static void slice(const struct sn_subnet *sub, int j, float *ret)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    const struct sn_layer *stored = &net->layer[sub->stored[j]];
    const float *w =
        sn_tensor_of(net, sub->weights, net->stored[sub->stored[j]].weight);
    if (l->kind == SN_LAYER_DEPTH) {
        struct sn_kernel_chain chain =
            sn_supernet_chain(net, sub->stored[j], sub->weights);
        sn_kernel_shrink(&chain, l->o, w, l->k, ret);
        return;
    }
    size_t taps = (size_t)(l->k * l->k);
    size_t row = (size_t)l->i * taps, stored_row = (size_t)stored->i * taps;
    for (int o = 0; o < l->o; o++) {
        memcpy(ret + (size_t)o * row, w + (size_t)o * stored_row,
               sizeof(float) * row);
    }
}

void sn_fold_layer(const struct sn_subnet *sub, const struct sn_bn_stats *stats,
                   int j, float *ret_weight, float *ret_bias)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    const struct sn_stored_layer *s = &net->stored[sub->stored[j]];
    const float *gamma = sn_tensor_of(net, sub->weights, s->gamma);
    const float *beta = sn_tensor_of(net, sub->weights, s->beta);
    size_t run = sn_layer_weight_floats(l) / (size_t)l->o;

    slice(sub, j, ret_weight);
    for (int o = 0; o < l->o; o++) {
        ret_bias[o] = beta != NULL ? beta[o] : 0.0f;
        if (!l->bn) {
            continue;
        }
        double mean = stats->mean[sub->stored[j]][o] / stats->images;
        double var = stats->var[sub->stored[j]][o] / stats->images;
        double scale =
            (double)gamma[o] / sqrt(var + (double)net->space->bn_eps);
        for (size_t e = 0; e < run; e++) {
            float *w = &ret_weight[(size_t)o * run + e];
            *w = (float)((double)*w * scale);
        }
        ret_bias[o] = (float)((double)beta[o] - mean * scale);
    }
}
