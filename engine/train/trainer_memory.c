#include "engine/train/trainer_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t image_floats(const struct sn_supernet *net)
{
    size_t r = sn_supernet_space(net)->resolution;
    return (size_t)sn_supernet_in_channels(net) * r * r;
}

/* At most so many (sub-network, shard) pairs are in work at once: enough to
 * keep tens of workers busy. */
enum { WAVE_PAIRS = 64 };

int sn_trainer_wave(const struct sn_trainer_settings *set)
{
    int shards = set->batch_size / set->shard_size;
    int most = WAVE_PAIRS / set->max_subnets;
    return shards < most ? shards : most;
}

static size_t arena_floats(const struct sn_supernet *net,
                           const struct sn_trainer_settings *set)
{
    size_t shards = (size_t)sn_trainer_wave(set);
    size_t pairs = shards * (size_t)set->max_subnets;
    size_t logits =
        sn_arena_round((size_t)set->shard_size * sn_net_logit_stride(net));
    size_t images = sn_arena_round((size_t)set->shard_size * image_floats(net));
    return shards * (images + logits) +
           pairs * (sn_arena_round(sn_net_gradient_floats(net)) + 2 * logits) +
           2 * sn_arena_round(sn_supernet_size(net));
}

static struct sn_prefetch_settings
feed_settings(const struct sn_supernet *net,
              const struct sn_trainer_settings *set, int workers)
{
    const struct sn_space *space = sn_supernet_space(net);
    int decoders = set->decoders > 0 ? set->decoders : workers;
    struct sn_prefetch_settings feed = {
        .threads = decoders < SN_PREFETCH_MAX_THREADS ? decoders
                                                      : SN_PREFETCH_MAX_THREADS,
        .batch_size = (uint32_t)set->batch_size,
        .seed = set->seed,
        .resolutions =
            set->resolution > 0 ? &set->resolution : space->resolutions,
        .n_resolutions = set->resolution > 0 ? 1 : space->n_resolutions,
        .augment = set->augment,
    };
    feed.augment.on = true;
    feed.augment.seed = set->seed;
    return feed;
}

void sn_trainer_bytes(const struct sn_supernet *net,
                      const struct sn_trainer_settings *set, int workers,
                      const struct sn_plan *heaviest, bool teacher,
                      bool decodes, struct sn_trainer_bytes *ret)
{
    double shards = sn_trainer_wave(set);
    double shard = set->shard_size;
    double logits = shard * (double)sn_net_logit_stride(net) * sizeof(float);
    double images = shard * (double)image_floats(net) * sizeof(float);
    double flat = (double)sn_supernet_size(net) * sizeof(float);
    double pass = 0;

    ret->batch = shards * (images + shard * sizeof(int32_t) +
                           logits * (2 * set->max_subnets + teacher));
    ret->net = 2 * flat;
    for (int i = 0; i < set->max_subnets; i++) {
        struct sn_touched t;
        sn_net_touched(net, &heaviest[i], set->shard_size, set->store, &t);
        ret->batch += shards * (double)t.gradient;
        ret->net += (double)t.weights;
        pass = fmax(pass, (double)t.pass);
    }
    if (teacher) {
        pass += (double)sn_workspace_bytes(net, 0, set->shard_size, set->store);
        ret->net += flat + (double)sn_subnet_bytes(net);
    }
    ret->shard = workers * pass;
    struct sn_prefetch_settings feed = feed_settings(net, set, workers);
    ret->ahead =
        decodes ? sn_prefetch_bytes(&feed, sn_supernet_in_channels(net)) : 0;
}

static void lay_out(struct sn_trainer *t)
{
    size_t n = (size_t)t->set.shard_size;
    size_t gradient = sn_net_gradient_floats(t->net);
    for (int s = 0; s < t->wave; s++) {
        t->shard[s].images =
            sn_arena_floats(&t->arena, n * image_floats(t->net));
        t->shard[s].teacher = sn_arena_floats(&t->arena, n * t->stride);
    }
    for (int p = 0; p < t->set.max_subnets * t->wave; p++) {
        t->pair[p].gradient = sn_arena_floats(&t->arena, gradient);
        t->pair[p].logits = sn_arena_floats(&t->arena, n * t->stride);
        t->pair[p].dlogits = sn_arena_floats(&t->arena, n * t->stride);
        t->gradients[p] = t->pair[p].gradient;
    }
    size_t size = sn_supernet_size(t->net);
    t->momentum = sn_arena_floats(&t->arena, size);
    t->master_gradient = sn_arena_floats(&t->arena, size);
    memset(t->momentum, 0, size * sizeof(float));
    memset(t->master_gradient, 0, size * sizeof(float));
}

static enum sn_err allocate(struct sn_trainer *t, struct sn_error *err)
{
    int workers = sn_pool_workers(t->pool);
    size_t pairs = (size_t)t->set.max_subnets * (size_t)t->wave;
    size_t n = (size_t)t->set.shard_size;

    t->ws = calloc((size_t)workers, sizeof t->ws[0]);
    t->shard = calloc((size_t)t->wave, sizeof t->shard[0]);
    t->pair = calloc(pairs, sizeof t->pair[0]);
    t->gradients = calloc(pairs, sizeof t->gradients[0]);
    t->part_squares =
        calloc((size_t)sn_net_parts(t->net), sizeof t->part_squares[0]);
    if (t->ws == NULL || t->shard == NULL || t->pair == NULL ||
        t->gradients == NULL || t->part_squares == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the trainer");
    for (int s = 0; s < t->wave; s++) {
        t->shard[s].labels = calloc(n, sizeof t->shard[s].labels[0]);
        if (t->shard[s].labels == NULL)
            return sn_error_set(err, SN_ERR_NOMEM, "no memory for labels");
    }
    enum sn_err rc = sn_arena_init(
        &t->arena, arena_floats(t->net, &t->set) * sizeof(float), err);
    for (int w = 0; w < workers && rc == SN_OK; w++)
        rc = sn_workspace_new(t->net, t->set.shard_size, t->set.shard_size,
                              t->set.store, &t->ws[w], err);
    for (int i = 0; i < t->set.max_drawn && rc == SN_OK; i++)
        rc = sn_subnet_new(t->net, &t->sub[i], err);
    struct sn_prefetch_settings feed = feed_settings(t->net, &t->set, workers);
    if (rc == SN_OK)
        rc = sn_feed_new(t->view, &feed, workers, &t->feed, err);
    if (rc == SN_OK)
        lay_out(t);
    return rc;
}

enum sn_err sn_trainer_new(struct sn_pool *pool, struct sn_supernet *net,
                           const struct sn_view *view,
                           const struct sn_trainer_settings *settings,
                           struct sn_trainer **ret, struct sn_error *err)
{
    uint32_t images = sn_view_count(view, SN_SPLIT_TRAIN);
    if (settings->shard_size < 1 ||
        settings->batch_size % settings->shard_size != 0 ||
        settings->batch_size < 1 || settings->max_subnets < 1 ||
        settings->max_subnets > SN_MAX_SUBNETS ||
        settings->max_drawn > SN_MAX_SUBNETS ||
        (uint32_t)settings->batch_size > images)
        return sn_error_set(err, SN_ERR_INVALID,
                            "batches of %d in shards of %d do not suit %u "
                            "training images",
                            settings->batch_size, settings->shard_size, images);
    struct sn_trainer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the trainer");
    t->set = *settings;
    if (t->set.max_drawn < t->set.max_subnets)
        t->set.max_drawn = t->set.max_subnets;
    t->pool = pool;
    t->net = net;
    t->view = view;
    t->n_shards = settings->batch_size / settings->shard_size;
    t->wave = sn_trainer_wave(settings);
    t->stride = sn_net_logit_stride(net);
    enum sn_err rc = allocate(t, err);
    if (rc != SN_OK) {
        sn_trainer_free(t);
        return rc;
    }
    *ret = t;
    return SN_OK;
}

void sn_trainer_free(struct sn_trainer *t)
{
    if (t == NULL)
        return;
    for (int i = 0; i < SN_MAX_SUBNETS; i++)
        sn_subnet_free(t->sub[i]);
    sn_subnet_free(t->teacher_sub);
    sn_feed_free(t->feed);
    for (int w = 0; t->ws != NULL && w < sn_pool_workers(t->pool); w++)
        sn_workspace_free(t->ws[w]);
    for (int s = 0; t->shard != NULL && s < t->wave; s++)
        free(t->shard[s].labels);
    sn_arena_close(&t->arena);
    free(t->teacher_weights);
    free(t->ws);
    free(t->shard);
    free(t->pair);
    free(t->gradients);
    free(t->part_squares);
    free(t);
}
