#include "engine/net/running.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/calibrate.h"

struct sn_running {
    const struct sn_supernet *net; /* borrowed */
    size_t n;
    int layer[SN_MAX_LAYERS]; /* the stored layer of each BN */
    struct sn_running_bn *bn;
    float *values; /* all of them */
};

/* The name of a BN is that of its scale without ".weight". */
static void take_name(char ret[96], const char *scale)
{
    static const char suffix[] = ".weight";
    size_t n = strlen(scale) - (sizeof(suffix) - 1);
    memcpy(ret, scale, n);
    ret[n] = '\0';
}

static size_t count_values(const struct sn_supernet *net)
{
    size_t count = 0;
    for (int j = 0; j < net->n_layers; j++) {
        count += net->layer[j].bn ? 2 * (size_t)net->layer[j].o : 0;
    }
    return count;
}

static void lay_out(struct sn_running *running)
{
    const struct sn_supernet *net = running->net;
    float *at = running->values;
    for (int j = 0; j < net->n_layers; j++) {
        if (!net->layer[j].bn) {
            continue;
        }
        struct sn_running_bn *bn = &running->bn[running->n];
        running->layer[running->n++] = j;
        take_name(bn->name, net->tensor[net->stored[j].gamma].name);
        bn->channels = (size_t)net->layer[j].o;
        bn->mean = at;
        bn->var = at + bn->channels;
        at += 2 * bn->channels;
        for (size_t c = 0; c < bn->channels; c++) {
            bn->var[c] = 1.0f;
        }
    }
}

enum sn_err sn_running_new(const struct sn_supernet *net,
                           struct sn_running **ret, struct sn_error *err)
{
    struct sn_running *running = calloc(1, sizeof(*running));
    if (running != NULL) {
        running->net = net;
        running->bn = calloc((size_t)net->n_layers, sizeof(*running->bn));
        running->values = calloc(count_values(net), sizeof(float));
    }
    if (running == NULL || running->bn == NULL || running->values == NULL) {
        sn_running_free(running);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for BN statistics");
    }
    lay_out(running);
    *ret = running;
    return SN_OK;
}

void sn_running_free(struct sn_running *running)
{
    if (running == NULL) {
        return;
    }
    free(running->values);
    free(running->bn);
    free(running);
}

size_t sn_running_bns(struct sn_running *running, struct sn_running_bn **ret)
{
    *ret = running->bn;
    return running->n;
}

void sn_running_take(struct sn_running *running,
                     const struct sn_bn_stats *stats)
{
    for (size_t i = 0; i < running->n; i++) {
        struct sn_running_bn *bn = &running->bn[i];
        int j = running->layer[i];
        for (size_t c = 0; c < bn->channels; c++) {
            bn->mean[c] = (float)(stats->mean[j][c] / stats->images);
            bn->var[c] = (float)(stats->var[j][c] / stats->images);
        }
        bn->batches = 1;
    }
}

void sn_running_give(const struct sn_running *running,
                     struct sn_bn_stats *ret_stats)
{
    sn_bn_stats_reset(ret_stats);
    ret_stats->images = 1.0;
    for (size_t i = 0; i < running->n; i++) {
        const struct sn_running_bn *bn = &running->bn[i];
        int j = running->layer[i];
        for (size_t c = 0; c < bn->channels; c++) {
            ret_stats->mean[j][c] = (double)bn->mean[c];
            ret_stats->var[j][c] = (double)bn->var[c];
        }
    }
}
