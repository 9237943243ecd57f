#include "engine/net/calibrate.h"

#include <stdlib.h>
#include <string.h>

#include "engine/net/pass.h"

static size_t statistics_count(const struct sn_supernet *net)
{
    size_t count = 0;
    for (int j = 0; j < net->n_layers; j++) {
        count += net->layer[j].bn ? 2 * (size_t)net->layer[j].o : 0;
    }
    return count;
}

enum sn_err sn_bn_stats_new(const struct sn_supernet *net,
                            struct sn_bn_stats **ret, struct sn_error *err)
{
    struct sn_bn_stats *stats = calloc(1, sizeof(*stats));
    if (stats == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for BN statistics");
    }
    stats->net = net;
    stats->sum = calloc(statistics_count(net), sizeof(double));
    if (stats->sum == NULL) {
        sn_bn_stats_free(stats);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for BN statistics");
    }
    double *at = stats->sum;
    for (int j = 0; j < net->n_layers; j++) {
        if (net->layer[j].bn) {
            stats->mean[j] = at;
            stats->var[j] = at + net->layer[j].o;
            at += 2 * net->layer[j].o;
        }
    }
    *ret = stats;
    return SN_OK;
}

void sn_bn_stats_free(struct sn_bn_stats *stats)
{
    if (stats == NULL) {
        return;
    }
    free(stats->sum);
    free(stats);
}

void sn_bn_stats_reset(struct sn_bn_stats *stats)
{
    stats->images = 0.0;
    memset(stats->sum, 0, sizeof(double) * statistics_count(stats->net));
}

void sn_subnet_calibrate(const struct sn_subnet *sub, struct sn_cx *cx,
                         struct sn_workspace *ws, const float *images, int n,
                         struct sn_bn_stats *stats)
{
    sn_tape_make(sub->net->compute, &sub->plan, n, SN_KEEP_NOTHING, ws->store,
                 ws->forward, &ws->forward_tape);
    struct sn_pass p = {sub, cx, &ws->forward_tape, images, n};
    sn_pass_forward(&p, ws->forward_tape.logits);

    for (int j = 0; j < sub->n_layers; j++) {
        const struct sn_layer *l = &sub->layer[j];
        if (!l->bn) {
            continue;
        }
        const struct sn_bn_tape *bn = &ws->forward_tape.bn[j];
        int padded = sn_compute_padded(sub->net->compute, l->o);
        double count = (double)n * l->out_size * l->out_size;
        double *mean = stats->mean[sub->stored[j]];
        double *var = stats->var[sub->stored[j]];
        for (int c = 0; c < l->o; c++) {
            mean[c] += (double)bn->mean[c] * n;
            var[c] += (double)bn->sums[padded + c] / count * n;
        }
    }
    stats->images += n;
}
