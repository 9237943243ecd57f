/* Channel sorting: before narrower widths are trained, each block's middle
 * channels are put in order of importance, so that the first ones, which narrow
 * sub-networks keep, are the ones that matter. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/supernet.h"

struct sorter {
    const struct sn_supernet *net;
    struct sn_ranked *ranked; /* scratch: the order that is applied */
    float *copy;              /* scratch: a row of channels */
    float *const *also;       /* permuted like the weights */
    size_t n_also;
};

/* By importance, the largest first; equals stay in their order. */
static int compare(const void *a, const void *b)
{
    const struct sn_ranked *x = a, *y = b;
    if (x->importance != y->importance) {
        return x->importance > y->importance ? -1 : 1;
    }
    return x->channel - y->channel;
}

/* L1 of each column of a [rows][columns][run] weight, sorted inside the
 * segments that the ascending `edge`s cut. */
static void rank(struct sorter *sort, const float *w, int rows, int columns,
                 int run, const int *edge, int n_edges)
{
    for (int c = 0; c < columns; c++) {
        sort->ranked[c] = (struct sn_ranked){0.0, c};
        for (int r = 0; r < rows; r++) {
            const float *at =
                w + ((size_t)r * (size_t)columns + (size_t)c) * (size_t)run;
            for (int e = 0; e < run; e++) {
                sort->ranked[c].importance += fabs((double)at[e]);
            }
        }
    }
    int from = 0;
    for (int e = 0; e <= n_edges; e++) {
        int to = e < n_edges && edge[e] < columns ? edge[e] : columns;
        if (to > from) {
            qsort(sort->ranked + from, (size_t)(to - from),
                  sizeof(*sort->ranked), compare);
            from = to;
        }
    }
}

/* Reorders `channels` groups of `run` floats, in each of `rows` rows. */
static void permute(struct sorter *sort, int tensor, int rows, int channels,
                    int run)
{
    if (tensor < 0) {
        return;
    }
    size_t row = (size_t)channels * (size_t)run;
    size_t bytes = sizeof(float) * (size_t)run;
    for (size_t f = 0; f <= sort->n_also; f++) {
        float *flat = f == 0 ? sort->net->weights : sort->also[f - 1];
        float *w = sn_tensor_in(sort->net, flat, tensor);
        for (int r = 0; r < rows; r++, w += row) {
            memcpy(sort->copy, w, sizeof(float) * row);
            for (int c = 0; c < channels; c++) {
                memcpy(w + (size_t)c * (size_t)run,
                       sort->copy +
                           (size_t)sort->ranked[c].channel * (size_t)run,
                       bytes);
            }
        }
    }
}

static void sort_block(struct sorter *sort, int b, const int *mid_edge,
                       const int *se_edge, int n_edges)
{
    const struct sn_supernet *net = sort->net;
    const struct sn_block_plan *plan = &net->largest.block[b];
    const struct sn_stored_layer *s =
        net->stored + sn_layer_in_block(b, SN_EXPAND);
    int mid = plan->mid, se = plan->se_mid;
    int taps = plan->kernel * plan->kernel;

    rank(sort, sn_tensor_of(net, net->weights, s[SN_PROJECT].weight), plan->out,
         mid, 1, mid_edge, n_edges);
    permute(sort, s[SN_PROJECT].weight, plan->out, mid, 1);
    permute(sort, s[SN_EXPAND].weight, 1, mid, plan->in);
    permute(sort, s[SN_EXPAND].gamma, 1, mid, 1);
    permute(sort, s[SN_EXPAND].beta, 1, mid, 1);
    permute(sort, s[SN_DEPTH].weight, 1, mid, taps);
    permute(sort, s[SN_DEPTH].gamma, 1, mid, 1);
    permute(sort, s[SN_DEPTH].beta, 1, mid, 1);
    permute(sort, s[SN_SE_REDUCE].weight, se, mid, 1);
    permute(sort, s[SN_SE_EXPAND].weight, 1, mid, se);
    permute(sort, s[SN_SE_EXPAND].beta, 1, mid, 1);
    if (se > 0) {
        rank(sort, sn_tensor_of(net, net->weights, s[SN_SE_EXPAND].weight), mid,
             se, 1, se_edge, n_edges);
        permute(sort, s[SN_SE_EXPAND].weight, mid, se, 1);
        permute(sort, s[SN_SE_REDUCE].weight, 1, se, mid);
        permute(sort, s[SN_SE_REDUCE].beta, 1, se, 1);
    }
}

/* [resnet] The 3x3's outputs by what the last 1x1 makes of them, then its
 * inputs by what it makes of them itself. */
static void sort_bottleneck(struct sorter *sort, int b, const int *edge,
                            int n_edges)
{
    const struct sn_supernet *net = sort->net;
    const struct sn_block_plan *plan = &net->largest.block[b];
    const struct sn_stored_layer *s =
        net->stored + sn_layer_in_bottleneck(b, SN_CONV_IN);
    int mid = plan->mid, taps = plan->kernel * plan->kernel;

    rank(sort, sn_tensor_of(net, net->weights, s[SN_CONV_OUT].weight),
         plan->out, mid, 1, edge, n_edges);
    permute(sort, s[SN_CONV_OUT].weight, plan->out, mid, 1);
    permute(sort, s[SN_CONV_MID].weight, 1, mid, mid * taps);
    permute(sort, s[SN_CONV_MID].gamma, 1, mid, 1);
    permute(sort, s[SN_CONV_MID].beta, 1, mid, 1);
    rank(sort, sn_tensor_of(net, net->weights, s[SN_CONV_MID].weight), mid, mid,
         taps, edge, n_edges);
    permute(sort, s[SN_CONV_MID].weight, mid, mid, taps);
    permute(sort, s[SN_CONV_IN].weight, 1, mid, plan->in);
    permute(sort, s[SN_CONV_IN].gamma, 1, mid, 1);
    permute(sort, s[SN_CONV_IN].beta, 1, mid, 1);
}

/* The plan of the largest network, but for one expand value everywhere. */
static void band_plan(const struct sn_supernet *net, int expand,
                      struct sn_plan *ret)
{
    struct sn_arch arch;
    sn_arch_largest(net->space, &arch);
    for (int s = 0; s < net->space->n_stages; s++) {
        for (int i = 0; i < arch.depth[s]; i++) {
            arch.expand[s][i] = (uint8_t)expand;
        }
    }
    sn_plan_make(net->space, &arch, net->largest.in_channels,
                 net->largest.classes, ret);
}

void sn_supernet_sort_channels(struct sn_supernet *net,
                               const struct sn_choices *bands,
                               float *const *also, size_t n_also)
{
    struct sorter sort = {net, net->ranked, net->sort_copy, also, n_also};
    struct sn_plan plan[SN_MAX_CHOICES];

    for (int e = 0; e < bands->n; e++) {
        band_plan(net, bands->value[e], &plan[e]);
    }
    for (int b = 0; b < net->largest.n_blocks; b++) {
        int mid[SN_MAX_CHOICES], se[SN_MAX_CHOICES];
        if (!net->largest.block[b].expands) {
            continue; /* its middle is the residual stream */
        }
        for (int e = 0; e < bands->n; e++) {
            mid[e] = plan[e].block[b].mid;
            se[e] = plan[e].block[b].se_mid;
        }
        if (net->largest.family == SN_FAMILY_RESNET) {
            sort_bottleneck(&sort, b, mid, bands->n);
        } else {
            sort_block(&sort, b, mid, se, bands->n);
        }
    }
}
