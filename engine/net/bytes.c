/* What networks take, by the same layouts that their memory is taken by. */
#include "engine/net/subnet.h"
#include "engine/net/workspace.h"

size_t sn_supernet_bytes(const struct sn_supernet *net)
{
    return sizeof(float) * sn_arena_round(net->n_weights) +
           net->n_tensors * sizeof(net->tensor[0]) + sizeof(*net);
}

void sn_net_touched(const struct sn_supernet *net, const struct sn_plan *plan,
                    int n, enum sn_store store, struct sn_touched *ret)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    struct sn_layer_at at[SN_MAX_LAYERS];
    struct sn_tape tape;
    int n_layers = sn_layer_count(plan);
    sn_layers_make(plan, layer);
    ret->pass = sizeof(float) * sn_tape_make(net->compute, plan, n,
                                             sn_keep_of_training(net), store,
                                             NULL, &tape);
    ret->weights =
        sizeof(float) * sn_layout_weights(net->compute, layer, n_layers, at);
    ret->gradient =
        sizeof(float) * sn_layout_gradient(net->compute, layer, n_layers, at);
}

size_t sn_subnet_bytes(const struct sn_supernet *net)
{
    struct sn_layer_at at[SN_MAX_LAYERS];
    return sizeof(struct sn_subnet) +
           sizeof(float) *
               sn_layout_weights(net->compute, net->layer, net->n_layers, at);
}
