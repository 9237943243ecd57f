#include "engine/train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/feed.h"
#include "engine/train/optimizer.h"

/* One shard of the batch: images, labels, and what the teacher says of it. */
struct shard {
    float *images;         /* [shard_size][channels][r][r] */
    int32_t *labels;       /* [shard_size] */
    float *teacher;        /* [shard_size][stride] logits */
    struct sn_error error; /* of loading it */
};

/* What one (sub-network, shard) pair leaves behind. */
struct pair {
    float *gradient; /* packed */
    float *logits;   /* [shard_size][stride] */
    float *dlogits;
    double loss;
    uint32_t correct;
};

struct sn_trainer {
    struct sn_trainer_settings set;
    struct sn_pool *pool;
    struct sn_supernet *net;
    const struct sn_view *view;
    int n_shards; /* of a batch */
    int wave;     /* shards in work at once */
    size_t stride;

    struct sn_subnet *sub[SN_MAX_SUBNETS];
    struct sn_subnet *teacher_sub;
    struct sn_workspace **ws; /* one a worker */
    struct shard *shard;      /* wave */
    struct pair *pair;        /* max_subnets * wave */
    float **gradients;        /* the pairs' gradients, for sn_net_reduce */
    struct sn_arena arena;    /* all of the float buffers */

    float *momentum, *master_gradient, *teacher_weights;
    double *part_squares; /* of the gradient, by part of the weights */
    int teacher_bound;    /* for this resolution; 0: for none */

    struct sn_feed *feed;

    /* the step that runs: read by the tasks */
    struct sn_trainer_step now;
    struct sn_arch arch[SN_MAX_SUBNETS];
    int n_drawn, n_subs;
    double candidate_macs;
    int first_sub;          /* of the pass that runs */
    int first_shard, n_now; /* the wave that runs */
    float gradient_scale;
    struct sn_feed_step images;
};

static size_t image_floats(const struct sn_supernet *net)
{
    size_t r = sn_supernet_space(net)->resolution;
    return (size_t)sn_supernet_in_channels(net) * r * r;
}

/* ---- memory ---- */

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

float *sn_trainer_momentum(struct sn_trainer *t)
{
    return t->momentum;
}

/* ---- the fixed teacher ---- */

enum sn_err sn_trainer_keep_teacher(struct sn_trainer *t, const float *weights,
                                    struct sn_error *err)
{
    size_t bytes = sn_supernet_size(t->net) * sizeof(float);
    if (t->teacher_sub == NULL) {
        enum sn_err rc = sn_subnet_new(t->net, &t->teacher_sub, err);
        if (rc != SN_OK)
            return rc;
    }
    if (t->teacher_weights == NULL)
        t->teacher_weights = malloc(bytes);
    if (t->teacher_weights == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a teacher");
    memcpy(t->teacher_weights,
           weights != NULL ? weights : sn_supernet_weights(t->net), bytes);
    t->teacher_bound = 0;
    return SN_OK;
}

float *sn_trainer_teacher(struct sn_trainer *t)
{
    return t->teacher_weights;
}

void sn_trainer_teacher_changed(struct sn_trainer *t)
{
    t->teacher_bound = 0;
}

/* ---- tasks ---- */

/* Shard s of the wave. */
static void load_shard(struct sn_trainer *t, uint32_t s, int worker)
{
    uint32_t n = (uint32_t)t->set.shard_size;
    struct shard *shard = &t->shard[s];
    shard->error.code = SN_OK;
    (void)sn_feed_load(t->feed, worker, ((uint32_t)t->first_shard + s) * n, n,
                       shard->images, shard->labels, &shard->error);
}

/* The space's largest: the sampler's may be the largest of a sub-space. */
static void bind_teacher(struct sn_trainer *t)
{
    struct sn_arch largest;
    sn_arch_largest(t->now.sampler->space, &largest);
    largest.resolution = (uint16_t)t->images.resolution;
    sn_subnet_bind(t->teacher_sub, t->teacher_weights, &largest);
}

static void task_prepare(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    uint32_t shards = (uint32_t)t->n_now, subs = (uint32_t)t->n_drawn;
    if (task < shards)
        load_shard(t, task, worker);
    else if (task < shards + subs)
        sn_subnet_bind(t->sub[task - shards], NULL, &t->arch[task - shards]);
    else
        bind_teacher(t);
}

static void task_teacher(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    sn_subnet_forward(t->teacher_sub, cx, t->ws[worker], t->shard[task].images,
                      t->set.shard_size, t->shard[task].teacher);
}

/* How sub-network `i` learns: whose logits, and the weight of labels and of the
 * teacher. */
static const float *targets(const struct sn_trainer *t, int i, int s,
                            struct sn_loss *loss)
{
    loss->label_weight = 1;
    loss->kd_weight = 0;
    if (t->now.teach == SN_TRAINER_TEACH_FIXED) {
        loss->kd_weight = (float)t->now.kd_ratio;
        return t->shard[s].teacher;
    }
    if (t->now.teach == SN_TRAINER_TEACH_LARGEST && i > 0) {
        loss->label_weight = 0;
        loss->kd_weight = 1;
        loss->alpha_clip = (float)t->now.alpha_clip;
        return t->pair[s].logits; /* sub-network 0, the same shard */
    }
    return NULL;
}

static struct sn_loss labels_loss(const struct sn_trainer *t)
{
    return (struct sn_loss){
        .n = t->set.shard_size,
        .classes = sn_supernet_classes(t->net),
        .smoothing = t->set.label_smoothing,
        .label_weight = 1,
        .grad_scale = 1.0f / (float)t->set.batch_size,
    };
}

static void task_candidate(void *arg, uint32_t task, int worker,
                           struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    struct sn_loss loss = labels_loss(t);
    struct pair *p = &t->pair[task];
    struct shard *shard = &t->shard[(int)task % t->n_now];

    sn_subnet_forward(t->sub[t->first_sub + (int)task / t->n_now], cx,
                      t->ws[worker], shard->images, loss.n, p->logits);
    sn_loss_softmax(cx, &loss, p->logits, shard->labels, NULL, NULL, &p->loss,
                    &p->correct);
}

static void task_pair(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    int i = t->first_sub + (int)task / t->n_now;
    int s = (int)task % t->n_now;
    struct pair *p = &t->pair[i * t->n_now + s];
    struct shard *shard = &t->shard[s];
    struct sn_loss loss = labels_loss(t);
    const float *teacher = targets(t, i, s, &loss);

    sn_subnet_forward_train(t->sub[i], cx, t->ws[worker], shard->images, loss.n,
                            p->logits);
    sn_loss_softmax(cx, &loss, p->logits, shard->labels, teacher, p->dlogits,
                    &p->loss, &p->correct);
    sn_subnet_backward(t->sub[i], cx, t->ws[worker], shard->images, loss.n,
                       p->dlogits, p->gradient);
}

static void reduce_part(struct sn_trainer *t, int part)
{
    sn_net_reduce(t->net, t->sub, t->n_subs, t->gradients, t->n_now, part,
                  t->first_shard > 0, t->master_gradient);
}

static void task_reduce(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    size_t first, count;
    const struct sn_tensor *tensor;
    double sum = 0;

    reduce_part(t, (int)task);
    if (t->set.clip_norm == 0)
        return;
    sn_supernet_tensors(t->net, &tensor);
    sn_net_part_tensors(t->net, (int)task, &first, &count);
    for (size_t k = first; k < first + count; k++) {
        const float *g = t->master_gradient + tensor[k].offset;
        for (size_t i = 0; i < tensor[k].count; i++)
            sum += (double)g[i] * g[i];
    }
    t->part_squares[task] = sum;
}

/* The last wave's reduction is part of it, but where the norm must be known. */
static void task_update(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    size_t first, count;
    const struct sn_tensor *tensor;
    float *weights = sn_supernet_weights(t->net);

    if (t->set.clip_norm == 0)
        reduce_part(t, (int)task);
    sn_supernet_tensors(t->net, &tensor);
    sn_net_part_tensors(t->net, (int)task, &first, &count);
    for (size_t k = first; k < first + count; k++) {
        const struct sn_tensor *w = &tensor[k];
        struct sn_sgd sgd = {
            .rate = (float)t->now.rate,
            .momentum = t->set.momentum,
            .decay = w->decays ? t->set.weight_decay : 0,
            .scale = t->gradient_scale,
            .clip = t->set.clip_value > 0 ? t->set.clip_value : INFINITY,
        };
        sn_sgd_update(&sgd, w->count, t->master_gradient + w->offset,
                      t->momentum + w->offset, weights + w->offset);
    }
}

/* ---- a step ---- */

uint64_t sn_trainer_epoch_steps(const struct sn_trainer *t)
{
    return sn_feed_epoch_steps(t->feed);
}

/* Where another sub-network's logits are the targets it goes first. */
static enum sn_err run_pairs(struct sn_trainer *t, struct sn_error *err)
{
    uint32_t shards = (uint32_t)t->n_now;
    uint32_t subs = (uint32_t)t->n_subs;
    enum sn_err rc;

    t->first_sub = 0;
    if (t->now.teach != SN_TRAINER_TEACH_LARGEST || subs == 1)
        return sn_pool_run(t->pool, subs * shards, task_pair, t, err);
    rc = sn_pool_run(t->pool, shards, task_pair, t, err);
    if (rc != SN_OK)
        return rc;
    t->first_sub = 1;
    return sn_pool_run(t->pool, (subs - 1) * shards, task_pair, t, err);
}

/* ---- candidates ---- */

/* Which of the n candidates whose losses are in the pairs is taken. */
static int taken_candidate(const struct sn_trainer *t, int n)
{
    double best = 0;
    int taken = 0;
    for (int k = 0; k < n; k++) {
        double loss = 0;
        for (int s = 0; s < t->n_now; s++)
            loss += t->pair[k * t->n_now + s].loss;
        if (k == 0 || (t->now.worst ? loss > best : loss < best)) {
            best = loss;
            taken = k;
        }
    }
    return taken;
}

/* The candidates of each place behind the sandwich's ends lie side by side; the
 * taken ones move up to the front. A place they leave is behind theirs always:
 *
 *   largest smallest | a0 a1 a2 | b0 b1 b2   ->   largest smallest a1 b0 ...
 */
static enum sn_err take_candidates(struct sn_trainer *t, struct sn_error *err)
{
    const int n = t->now.sampler->candidates, ends = 2;
    struct sn_cost cost;
    enum sn_err rc = SN_OK;

    t->n_subs = ends;
    for (int at = ends; at + n <= t->n_drawn && rc == SN_OK; at += n) {
        t->first_sub = at;
        rc = sn_pool_run(t->pool, (uint32_t)(n * t->n_now), task_candidate, t,
                         err);
        for (int k = 0; k < n; k++) {
            sn_plan_cost(sn_subnet_plan(t->sub[at + k]), &cost);
            t->candidate_macs += cost.macs * t->n_now * t->set.shard_size;
        }
        int taken = at + taken_candidate(t, n);
        struct sn_subnet *sub = t->sub[taken];
        t->sub[taken] = t->sub[t->n_subs];
        t->sub[t->n_subs++] = sub;
    }
    return rc;
}

static enum sn_err first_error(const struct sn_trainer *t, struct sn_error *err)
{
    for (int s = 0; s < t->n_now; s++) {
        if (t->shard[s].error.code == SN_OK)
            continue;
        if (err != NULL)
            *err = t->shard[s].error;
        return t->shard[s].error.code;
    }
    return SN_OK;
}

/* One wave of shards: up to the gradients of its pairs. */
static enum sn_err run_wave(struct sn_trainer *t, struct sn_error *err)
{
    bool fixed = t->now.teach == SN_TRAINER_TEACH_FIXED;
    bool binds = t->first_shard == 0;
    uint32_t tasks = (uint32_t)t->n_now;
    enum sn_err rc;

    if (binds)
        tasks += (uint32_t)t->n_drawn +
                 (fixed && t->teacher_bound != t->images.resolution);
    rc = sn_pool_run(t->pool, tasks, task_prepare, t, err);
    if (fixed)
        t->teacher_bound = t->images.resolution;
    if (rc == SN_OK)
        rc = first_error(t, err);
    if (rc == SN_OK && binds && t->now.sampler->candidates > 1)
        rc = take_candidates(t, err);
    if (rc == SN_OK && fixed)
        rc = sn_pool_run(t->pool, (uint32_t)t->n_now, task_teacher, t, err);
    if (rc == SN_OK)
        rc = run_pairs(t, err);
    return rc;
}

/* All waves; every gradient but the last wave's is in the master gradient. */
static enum sn_err run_batch(struct sn_trainer *t, double *ret_loss,
                             double *ret_correct, struct sn_error *err)
{
    uint32_t parts = (uint32_t)sn_net_parts(t->net);
    enum sn_err rc = SN_OK;

    *ret_loss = *ret_correct = 0;
    for (int at = 0; at < t->n_shards && rc == SN_OK; at += t->wave) {
        int left = t->n_shards - at;
        t->first_shard = at;
        t->n_now = left < t->wave ? left : t->wave;
        rc = run_wave(t, err);
        for (int p = 0; p < t->n_subs * t->n_now && rc == SN_OK; p++) {
            *ret_loss += t->pair[p].loss;
            *ret_correct += t->pair[p].correct;
        }
        if (rc == SN_OK && (left > t->wave || t->set.clip_norm > 0))
            rc = sn_pool_run(t->pool, parts, task_reduce, t, err);
    }
    return rc;
}

/* What the gradient is scaled by so that its norm is clip_norm at most. */
static float clipped_scale(const struct sn_trainer *t)
{
    double sum = 0;
    if (t->set.clip_norm == 0)
        return 1;
    for (int p = 0; p < sn_net_parts(t->net); p++)
        sum += t->part_squares[p];
    double norm = sqrt(sum);
    return norm > t->set.clip_norm ? (float)(t->set.clip_norm / norm) : 1;
}

static void sum_up(const struct sn_trainer *t, double loss, double correct,
                   struct sn_trainer_result *ret)
{
    double macs = t->candidate_macs;
    double images = t->set.batch_size;
    struct sn_cost cost;

    for (int i = 0; i < t->n_subs; i++) {
        sn_plan_cost(sn_subnet_plan(t->sub[i]), &cost);
        macs += 3 * cost.macs * images;
    }
    if (t->now.teach == SN_TRAINER_TEACH_FIXED) {
        sn_plan_cost(sn_subnet_plan(t->teacher_sub), &cost);
        macs += cost.macs * images;
    }
    ret->loss = loss / (images * t->n_subs);
    ret->accuracy = correct / (images * t->n_subs);
    ret->images = (uint32_t)t->set.batch_size;
    ret->macs = macs;
    ret->waited_s = t->images.waited_s;
}

enum sn_err sn_trainer_step(struct sn_trainer *t,
                            const struct sn_trainer_step *step,
                            struct sn_trainer_result *ret, struct sn_error *err)
{
    struct sn_trainer_result result;
    double loss, correct;
    enum sn_err rc;

    if (step->teach == SN_TRAINER_TEACH_FIXED && t->teacher_weights == NULL)
        return sn_error_set(err, SN_ERR_INTERNAL, "there is no teacher");
    t->now = *step;
    rc = sn_feed_find(t->feed, step->step, &t->images, err);
    if (rc != SN_OK)
        return rc;
    t->n_drawn =
        sn_sampler_draw(step->sampler, t->set.seed, step->step, t->arch);
    t->n_subs = t->n_drawn;
    t->candidate_macs = 0;
    /* a step has one resolution: its images are shared */
    for (int i = 0; i < t->n_drawn; i++)
        t->arch[i].resolution = (uint16_t)t->images.resolution;
    if (t->n_drawn > t->set.max_drawn ||
        (step->sampler->candidates == 1 && t->n_drawn > t->set.max_subnets))
        return sn_error_set(err, SN_ERR_INTERNAL,
                            "%d sub-networks a step, prepared for %d",
                            t->n_drawn, t->set.max_drawn);

    rc = run_batch(t, &loss, &correct, err);
    if (rc != SN_OK)
        return rc;
    sum_up(t, loss, correct, &result);
    if (!isfinite(result.loss))
        return sn_error_set(err, SN_ERR_INVALID,
                            "training diverged at step %llu (the loss is no "
                            "number): try a lower learning_rate",
                            (unsigned long long)step->step);
    t->gradient_scale = clipped_scale(t);
    rc = sn_pool_run(t->pool, (uint32_t)sn_net_parts(t->net), task_update, t,
                     err);
    if (rc == SN_OK)
        *ret = result;
    return rc;
}
