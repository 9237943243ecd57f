#include <string.h>

#include "engine/net/subnet.h"

/* Ranges are whole cache lines (sn_arena_round), so that the inner loop has a
 * fixed length. */
enum { LINE = 16 };

/* Adds the shards' floats [at, end) into the first shard's, in shard order. */
static void sum_shards(float *const *gradient, int n_shards, size_t at,
                       size_t end)
{
    float *sum = gradient[0];
    for (size_t line = at; line < end; line += LINE) {
        for (int j = 1; j < n_shards; j++) {
            const float *g = gradient[j] + line;
            for (int i = 0; i < LINE; i++) {
                sum[line + (size_t)i] += g[i];
            }
        }
    }
}

static void add_vector(int c, const float *from, float *to)
{
    for (int i = 0; i < c; i++) {
        to[i] += from[i];
    }
}

static void add_depth(const struct sn_subnet *sub, int j, const float *packed,
                      float *master)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    const struct sn_stored_layer *s = &net->stored[sub->stored[j]];
    float *dw = sn_tensor_in(net, master, s->weight);
    if (l->k == net->layer[sub->stored[j]].k) {
        sn_dw_unpack_add(net->compute, l->o, l->k, packed, dw);
        return;
    }
    struct sn_kernel_chain chain =
        sn_supernet_chain(net, sub->stored[j], sub->weights);
    float *dmatrix[SN_KERNEL_STEPS];
    for (int m = 0; m < SN_KERNEL_STEPS; m++) {
        dmatrix[m] = sn_tensor_in(net, master, s->matrix[m]);
    }
    sn_kernel_shrink_backward(
        &chain, l->o, sn_tensor_of(net, sub->weights, s->weight), l->k, packed,
        sn_compute_padded(net->compute, l->o), dw, dmatrix);
}

/* Adds layer j of one sub-network to the master gradient. */
static void add_layer(const struct sn_subnet *sub, int j, const float *gradient,
                      float *master)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    const struct sn_stored_layer *s = &net->stored[sub->stored[j]];
    const struct sn_layer_at *at = &sub->gradient_at[j];
    float *dw = sn_tensor_in(net, master, s->weight);

    switch (l->kind) {
    case SN_LAYER_STEM:
        add_vector((int)sn_layer_weight_floats(l), gradient + at->fwd, dw);
        break;
    case SN_LAYER_CONV1:
        sn_conv1_unpack_add(net->compute, l->i, l->o, gradient + at->fwd, dw,
                            net->layer[sub->stored[j]].i);
        break;
    case SN_LAYER_CONV3:
        sn_conv3_unpack_add(net->compute, l->i, l->o, gradient + at->fwd, dw,
                            net->layer[sub->stored[j]].i);
        break;
    case SN_LAYER_DEPTH:
        add_depth(sub, j, gradient + at->fwd, master);
        break;
    case SN_LAYER_ABSENT:
        return;
    }
    if (l->bn) {
        add_vector(l->o, gradient + at->gamma,
                   sn_tensor_in(net, master, s->gamma));
    }
    if (l->bn || l->bias) {
        add_vector(l->o, gradient + at->beta,
                   sn_tensor_in(net, master, s->beta));
    }
}

/* The first of `sub`'s layers that are in the part, or -1. */
static int layer_in_part(const struct sn_subnet *sub,
                         const struct sn_part *part)
{
    for (int j = 0; j < sub->n_layers; j++) {
        if (sub->stored[j] == part->layer) {
            return j;
        }
    }
    return -1;
}

void sn_net_reduce(const struct sn_supernet *net, struct sn_subnet *const *sub,
                   int n_subs, float *const *gradient, int n_shards, int part,
                   bool adds, float *master_gradient)
{
    const struct sn_part *at = &net->part[part];
    for (size_t t = at->first; !adds && t < at->first + at->count; t++) {
        memset(master_gradient + net->tensor[t].offset, 0,
               sizeof(float) * net->tensor[t].count);
    }
    for (int s = 0; s < n_subs; s++) {
        int first = layer_in_part(sub[s], at);
        if (first < 0) {
            continue;
        }
        float *const *of_sub = gradient + (size_t)s * (size_t)n_shards;
        int last = first + at->n_layers - 1;
        sum_shards(of_sub, n_shards, sub[s]->gradient_at[first].fwd,
                   sub[s]->gradient_at[last].end);
        for (int j = first; j <= last; j++) {
            add_layer(sub[s], j, of_sub[0], master_gradient);
        }
    }
}
