#include <stdlib.h>
#include <string.h>

#include "engine/net/subnet.h"

static size_t largest_depth_floats(const struct sn_supernet *net)
{
    size_t most = 0;
    for (int j = 0; j < net->n_layers; j++) {
        const struct sn_layer *l = &net->layer[j];
        size_t floats = sn_layer_weight_floats(l);
        if (l->kind == SN_LAYER_DEPTH && floats > most) {
            most = floats;
        }
    }
    return most;
}

enum sn_err sn_subnet_new(const struct sn_supernet *net, struct sn_subnet **ret,
                          struct sn_error *err)
{
    struct sn_subnet *sub = calloc(1, sizeof(*sub));
    if (sub == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a sub-network");
    }
    sub->net = net;
    size_t packed = sn_layout_weights(net->compute, net->layer, net->n_layers,
                                      sub->weight_at);
    size_t kernel = largest_depth_floats(net);
    enum sn_err rc = sn_arena_init(
        &sub->memory,
        sizeof(float) * (sn_arena_round(packed) + sn_arena_round(kernel)), err);
    if (rc != SN_OK) {
        sn_subnet_free(sub);
        return rc;
    }
    sub->packed = sn_arena_floats(&sub->memory, packed);
    sub->kernel = sn_arena_floats(&sub->memory, kernel);
    *ret = sub;
    return SN_OK;
}

void sn_subnet_free(struct sn_subnet *sub)
{
    if (sub == NULL) {
        return;
    }
    sn_arena_close(&sub->memory);
    free(sub);
}

static void bind_depth(struct sn_subnet *sub, int j, const float *weight,
                       float *packed)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    if (l->k < net->layer[sub->stored[j]].k) {
        struct sn_kernel_chain chain =
            sn_supernet_chain(net, sub->stored[j], sub->weights);
        sn_kernel_shrink(&chain, l->o, weight, l->k, sub->kernel);
        weight = sub->kernel;
    }
    sn_dw_pack(net->compute, l->o, l->k, weight, packed);
}

/* A padded vector: the first c of the stored, then zeros. */
static void bind_vector(const struct sn_compute *compute, int c,
                        const float *from, float *to)
{
    size_t used = sizeof(float) * (size_t)c;
    size_t padded = sizeof(float) * (size_t)sn_compute_padded(compute, c);
    memcpy(to, from, used);
    memset((char *)to + used, 0, padded - used);
}

static void bind_layer(struct sn_subnet *sub, int j)
{
    const struct sn_supernet *net = sub->net;
    const struct sn_layer *l = &sub->layer[j];
    const struct sn_stored_layer *s = &net->stored[sub->stored[j]];
    const struct sn_layer_at *at = &sub->weight_at[j];
    const float *weight = sn_tensor_of(net, sub->weights, s->weight);

    switch (l->kind) {
    case SN_LAYER_STEM: {
        struct sn_stem stem = {1,          l->i,       l->o,
                               l->in_size, l->in_size, l->stride};
        sn_stem_pack(net->compute, &stem, weight, sub->packed + at->fwd);
        break;
    }
    case SN_LAYER_CONV1:
        sn_conv1_pack(net->compute, l->i, l->o, weight,
                      net->layer[sub->stored[j]].i, sub->packed + at->fwd,
                      sub->packed + at->bwd);
        break;
    case SN_LAYER_CONV3:
        sn_conv3_pack(net->compute, l->i, l->o, weight,
                      net->layer[sub->stored[j]].i, sub->packed + at->fwd,
                      sub->packed + at->bwd);
        break;
    case SN_LAYER_DEPTH:
        bind_depth(sub, j, weight, sub->packed + at->fwd);
        break;
    case SN_LAYER_ABSENT:
        return;
    }
    if (l->bn) {
        bind_vector(net->compute, l->o,
                    sn_tensor_of(net, sub->weights, s->gamma),
                    sub->packed + at->gamma);
    }
    if (l->bn || l->bias) {
        bind_vector(net->compute, l->o,
                    sn_tensor_of(net, sub->weights, s->beta),
                    sub->packed + at->beta);
    }
}

void sn_subnet_bind(struct sn_subnet *sub, const float *weights,
                    const struct sn_arch *arch)
{
    const struct sn_supernet *net = sub->net;
    sub->weights = weights != NULL ? weights : net->weights;
    sn_plan_make(net->space, arch, net->largest.in_channels,
                 net->largest.classes, &sub->plan);
    sub->n_layers = sn_layer_count(&sub->plan);
    sn_layers_make(&sub->plan, sub->layer);
    sn_layout_weights(net->compute, sub->layer, sub->n_layers, sub->weight_at);
    sub->gradient_floats = sn_layout_gradient(net->compute, sub->layer,
                                              sub->n_layers, sub->gradient_at);
    for (int j = 0; j < sub->n_layers; j++) {
        sub->stored[j] = sn_layer_stored(&sub->plan, &net->largest, j);
        bind_layer(sub, j);
    }
}

const struct sn_plan *sn_subnet_plan(const struct sn_subnet *sub)
{
    return &sub->plan;
}

size_t sn_net_gradient_floats(const struct sn_supernet *net)
{
    struct sn_layer_at at[SN_MAX_LAYERS];
    return sn_layout_gradient(net->compute, net->layer, net->n_layers, at);
}
