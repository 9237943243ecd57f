#include "engine/train/trainer_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/optimizer.h"

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
    struct sn_trainer_shard *shard = &t->shard[s];
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

struct sn_loss sn_trainer_labels_loss(const struct sn_trainer *t)
{
    return (struct sn_loss){
        .n = t->set.shard_size,
        .classes = sn_supernet_classes(t->net),
        .smoothing = t->set.label_smoothing,
        .label_weight = 1,
        .grad_scale = 1.0f / (float)t->set.batch_size,
    };
}

static void task_pair(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    int i = t->first_sub + (int)task / t->n_now;
    int s = (int)task % t->n_now;
    struct sn_trainer_pair *p = &t->pair[i * t->n_now + s];
    struct sn_trainer_shard *shard = &t->shard[s];
    struct sn_loss loss = sn_trainer_labels_loss(t);
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
        rc = sn_trainer_take_candidates(t, err);
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
