#include "engine/train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/optimizer.h"

/* One shard of the batch: images, labels, and what the teacher says of it. */
struct shard {
    float *images;   /* [shard_size][channels][r][r] */
    int32_t *labels; /* [shard_size] */
    float *teacher;  /* [shard_size][stride] logits */
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
    int n_shards;
    size_t stride;

    struct sn_subnet *sub[SN_MAX_SUBNETS];
    struct sn_subnet *teacher_sub;
    struct sn_workspace **ws; /* one a worker */
    struct shard *shard;      /* n_shards */
    struct pair *pair;        /* max_subnets * n_shards */
    float **gradients;        /* the pairs' gradients, for sn_net_reduce */
    struct sn_arena arena;    /* all of the float buffers */

    float *momentum, *master_gradient, *teacher_weights;
    bool teacher_bound;

    uint32_t *order; /* of epoch `order_epoch` */
    uint64_t order_epoch;
    bool order_known;

    /* the step that runs: read by the tasks */
    struct sn_trainer_step now;
    struct sn_arch arch[SN_MAX_SUBNETS];
    int n_subs;
    int first_sub; /* of the pass that runs */
    uint64_t epoch, position;
};

static size_t image_floats(const struct sn_supernet *net)
{
    size_t r = sn_supernet_space(net)->resolution;
    return (size_t)sn_supernet_in_channels(net) * r * r;
}

/* ---- memory ---- */

static size_t arena_floats(const struct sn_supernet *net,
                           const struct sn_trainer_settings *set)
{
    size_t shards = (size_t)(set->batch_size / set->shard_size);
    size_t pairs = shards * (size_t)set->max_subnets;
    size_t logits =
        sn_arena_round((size_t)set->shard_size * sn_net_logit_stride(net));
    size_t images = sn_arena_round((size_t)set->shard_size * image_floats(net));
    return shards * (images + logits) +
           pairs * (sn_arena_round(sn_net_gradient_floats(net)) + 2 * logits) +
           2 * sn_arena_round(sn_supernet_size(net));
}

void sn_trainer_bytes(const struct sn_supernet *net,
                      const struct sn_trainer_settings *set, int workers,
                      const struct sn_plan *heaviest, bool teacher,
                      struct sn_trainer_bytes *ret)
{
    double shards = set->batch_size / set->shard_size;
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
        sn_net_touched(net, &heaviest[i], set->shard_size, &t);
        ret->batch += shards * (double)t.gradient;
        ret->net += (double)t.weights;
        pass = fmax(pass, (double)t.pass);
    }
    if (teacher) {
        pass += (double)sn_workspace_bytes(net, 0, set->shard_size);
        ret->net += flat + (double)sn_subnet_bytes(net);
    }
    ret->shard = workers * pass;
}

static void lay_out(struct sn_trainer *t)
{
    size_t n = (size_t)t->set.shard_size;
    size_t gradient = sn_net_gradient_floats(t->net);
    for (int s = 0; s < t->n_shards; s++) {
        t->shard[s].images =
            sn_arena_floats(&t->arena, n * image_floats(t->net));
        t->shard[s].teacher = sn_arena_floats(&t->arena, n * t->stride);
    }
    for (int p = 0; p < t->set.max_subnets * t->n_shards; p++) {
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
    size_t pairs = (size_t)t->set.max_subnets * (size_t)t->n_shards;
    size_t n = (size_t)t->set.shard_size;

    t->ws = calloc((size_t)workers, sizeof t->ws[0]);
    t->shard = calloc((size_t)t->n_shards, sizeof t->shard[0]);
    t->pair = calloc(pairs, sizeof t->pair[0]);
    t->gradients = calloc(pairs, sizeof t->gradients[0]);
    t->order =
        calloc(sn_view_count(t->view, SN_SPLIT_TRAIN), sizeof t->order[0]);
    if (t->ws == NULL || t->shard == NULL || t->pair == NULL ||
        t->gradients == NULL || t->order == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the trainer");
    for (int s = 0; s < t->n_shards; s++) {
        t->shard[s].labels = calloc(n, sizeof t->shard[s].labels[0]);
        if (t->shard[s].labels == NULL)
            return sn_error_set(err, SN_ERR_NOMEM, "no memory for labels");
    }
    enum sn_err rc = sn_arena_init(
        &t->arena, arena_floats(t->net, &t->set) * sizeof(float), err);
    for (int w = 0; w < workers && rc == SN_OK; w++)
        rc = sn_workspace_new(t->net, t->set.shard_size, t->set.shard_size,
                              &t->ws[w], err);
    for (int i = 0; i < t->set.max_subnets && rc == SN_OK; i++)
        rc = sn_subnet_new(t->net, &t->sub[i], err);
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
        (uint32_t)settings->batch_size > images)
        return sn_error_set(err, SN_ERR_INVALID,
                            "batches of %d in shards of %d do not suit %u "
                            "training images",
                            settings->batch_size, settings->shard_size, images);
    struct sn_trainer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the trainer");
    t->set = *settings;
    t->pool = pool;
    t->net = net;
    t->view = view;
    t->n_shards = settings->batch_size / settings->shard_size;
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
    for (int w = 0; t->ws != NULL && w < sn_pool_workers(t->pool); w++)
        sn_workspace_free(t->ws[w]);
    for (int s = 0; t->shard != NULL && s < t->n_shards; s++)
        free(t->shard[s].labels);
    sn_arena_close(&t->arena);
    free(t->teacher_weights);
    free(t->ws);
    free(t->shard);
    free(t->pair);
    free(t->gradients);
    free(t->order);
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
    t->teacher_bound = false;
    return SN_OK;
}

float *sn_trainer_teacher(struct sn_trainer *t)
{
    return t->teacher_weights;
}

void sn_trainer_teacher_changed(struct sn_trainer *t)
{
    t->teacher_bound = false;
}

/* ---- tasks ---- */

static void load_shard(struct sn_trainer *t, uint32_t s)
{
    uint32_t n = (uint32_t)t->set.shard_size;
    struct sn_augment aug = {
        .on = true,
        .pad = t->set.crop_padding,
        .flip = t->set.flip,
        .seed = t->set.seed,
        .epoch = t->epoch,
    };
    sn_view_batch(t->view, SN_SPLIT_TRAIN,
                  t->order + t->position * (uint64_t)t->set.batch_size + s * n,
                  n, &aug, t->shard[s].images, t->shard[s].labels);
}

static void task_prepare(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    uint32_t subs = (uint32_t)t->n_subs, shards = (uint32_t)t->n_shards;
    if (task < subs)
        sn_subnet_bind(t->sub[task], NULL, &t->arch[task]);
    else if (task < subs + shards)
        load_shard(t, task - subs);
    else
        sn_subnet_bind(t->teacher_sub, t->teacher_weights,
                       &t->now.sampler->largest);
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
        return t->pair[s].logits; /* sub-network 0, the same shard */
    }
    return NULL;
}

static void task_pair(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    int i = t->first_sub + (int)task / t->n_shards;
    int s = (int)task % t->n_shards;
    struct pair *p = &t->pair[i * t->n_shards + s];
    struct shard *shard = &t->shard[s];
    struct sn_loss loss = {
        .n = t->set.shard_size,
        .classes = sn_supernet_classes(t->net),
        .smoothing = t->set.label_smoothing,
        .grad_scale = 1.0f / (float)t->set.batch_size,
    };
    const float *teacher = targets(t, i, s, &loss);

    sn_subnet_forward_train(t->sub[i], cx, t->ws[worker], shard->images, loss.n,
                            p->logits);
    sn_loss_softmax(cx, &loss, p->logits, shard->labels, teacher, p->dlogits,
                    &p->loss, &p->correct);
    sn_subnet_backward(t->sub[i], cx, t->ws[worker], shard->images, loss.n,
                       p->dlogits, p->gradient);
}

static void task_update(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    size_t first, count;
    const struct sn_tensor *tensor;
    float *weights = sn_supernet_weights(t->net);

    sn_net_reduce(t->net, t->sub, t->n_subs, t->gradients, t->n_shards,
                  (int)task, t->master_gradient);
    sn_supernet_tensors(t->net, &tensor);
    sn_net_part_tensors(t->net, (int)task, &first, &count);
    for (size_t k = first; k < first + count; k++) {
        const struct sn_tensor *w = &tensor[k];
        struct sn_sgd sgd = {
            .rate = (float)t->now.rate,
            .momentum = t->set.momentum,
            .decay = w->decays ? t->set.weight_decay : 0,
        };
        sn_sgd_update(&sgd, w->count, t->master_gradient + w->offset,
                      t->momentum + w->offset, weights + w->offset);
    }
}

/* ---- a step ---- */

uint64_t sn_trainer_epoch_steps(const struct sn_trainer *t)
{
    return sn_view_count(t->view, SN_SPLIT_TRAIN) / (uint64_t)t->set.batch_size;
}

static void find_batch(struct sn_trainer *t, uint64_t step)
{
    uint64_t per = sn_trainer_epoch_steps(t);
    t->epoch = step / per;
    t->position = step % per;
    if (t->order_known && t->order_epoch == t->epoch)
        return;
    sn_view_epoch_order(t->view, t->set.seed, t->epoch, t->order);
    t->order_epoch = t->epoch;
    t->order_known = true;
}

/* Where another sub-network's logits are the targets it goes first. */
static enum sn_err run_pairs(struct sn_trainer *t, struct sn_error *err)
{
    uint32_t shards = (uint32_t)t->n_shards;
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

static void sum_up(const struct sn_trainer *t, struct sn_trainer_result *ret)
{
    double loss = 0, correct = 0, macs = 0;
    double images = t->set.batch_size;
    struct sn_cost cost;

    for (int p = 0; p < t->n_subs * t->n_shards; p++) {
        loss += t->pair[p].loss;
        correct += t->pair[p].correct;
    }
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
}

enum sn_err sn_trainer_step(struct sn_trainer *t,
                            const struct sn_trainer_step *step,
                            struct sn_trainer_result *ret, struct sn_error *err)
{
    bool fixed = step->teach == SN_TRAINER_TEACH_FIXED;
    struct sn_trainer_result result;
    enum sn_err rc;

    if (fixed && t->teacher_weights == NULL)
        return sn_error_set(err, SN_ERR_INTERNAL, "there is no teacher");
    t->now = *step;
    find_batch(t, step->step);
    t->n_subs =
        sn_sampler_draw(step->sampler, t->set.seed, step->step, t->arch);
    if (t->n_subs > t->set.max_subnets)
        return sn_error_set(err, SN_ERR_INTERNAL,
                            "%d sub-networks a step, prepared for %d",
                            t->n_subs, t->set.max_subnets);

    uint32_t tasks =
        (uint32_t)(t->n_subs + t->n_shards) + (fixed && !t->teacher_bound);
    rc = sn_pool_run(t->pool, tasks, task_prepare, t, err);
    t->teacher_bound |= fixed;
    if (rc == SN_OK && fixed)
        rc = sn_pool_run(t->pool, (uint32_t)t->n_shards, task_teacher, t, err);
    if (rc == SN_OK)
        rc = run_pairs(t, err);
    if (rc != SN_OK)
        return rc;
    sum_up(t, &result);
    if (!isfinite(result.loss))
        return sn_error_set(err, SN_ERR_INVALID,
                            "training diverged at step %llu (the loss is no "
                            "number): try a lower learning_rate",
                            (unsigned long long)step->step);
    rc = sn_pool_run(t->pool, (uint32_t)sn_net_parts(t->net), task_update, t,
                     err);
    if (rc == SN_OK)
        *ret = result;
    return rc;
}
