/* Training: the product's trainer on images of noise. */
#include <string.h>

#include "engine/train/trainer.h"
#include "tests/bench/engine_rows.h"
#include "tests/bench/timing.h"

/* What a row trains. The same `steps` are done again and again, so that each
 * window has the same sub-networks and windows can be compared. */
static const struct kind {
    const char *name;
    enum sn_sampler_kind draw;
    int subnets;
    bool smallest; /* paths are all the smallest network */
    enum sn_trainer_teach teach;
    uint64_t steps;
} table[] = {
    {"largest", SN_SAMPLE_LARGEST, 1, false, SN_TRAINER_TEACH_NONE, 2},
    {"smallest", SN_SAMPLE_PATHS, 1, true, SN_TRAINER_TEACH_NONE, 2},
    {"random", SN_SAMPLE_PATHS, 1, false, SN_TRAINER_TEACH_NONE, 8},
    {"random_kd", SN_SAMPLE_PATHS, 1, false, SN_TRAINER_TEACH_FIXED, 8},
    {"sandwich", SN_SAMPLE_SANDWICH, 4, false, SN_TRAINER_TEACH_LARGEST, 4},
};

struct run {
    struct sn_trainer *trainer;
    struct sn_sampler sampler;
    const struct kind *kind;
    double macs, images; /* of one round */
};

/* The first `steps` of the row's. */
static enum sn_err some_steps(struct run *r, uint64_t steps,
                              struct sn_error *err)
{
    struct sn_trainer_step step = {.sampler = &r->sampler,
                                   .teach = r->kind->teach,
                                   .kd_ratio = 1,
                                   .rate = 1e-3};
    enum sn_err rc = SN_OK;
    r->macs = r->images = 0;
    for (; step.step < steps && rc == SN_OK; step.step++) {
        struct sn_trainer_result result = {0};
        rc = sn_trainer_step(r->trainer, &step, &result, err);
        r->macs += result.macs;
        r->images += result.images;
    }
    return rc;
}

/* Windows of whole rounds; where a round takes far longer than a window shall,
 * fewer of them. */
static enum sn_err time_rounds(struct run *r, const struct bench_window *window,
                               struct bench_row *ret, struct sn_error *err)
{
    enum sn_err rc = some_steps(r, 1, err); /* memory, most primitives */
    const double late = bench_now() + 1.5 * window->seconds * window->times;
    for (int w = 0; w < window->times && rc == SN_OK; w++) {
        const double from = bench_now(), cpu = bench_cpu();
        double took = 0, images = 0;
        while (took < window->seconds && rc == SN_OK) {
            rc = some_steps(r, r->kind->steps, err);
            images += r->images;
            took = bench_now() - from;
        }
        if (images / took > ret->images_per_s) {
            ret->images_per_s = images / took;
            ret->cpu = (bench_cpu() - cpu) / (took * ret->workers);
        }
        if (bench_now() > late)
            break;
    }
    if (rc != SN_OK)
        return rc;
    ret->flops_per_image = 2 * r->macs / r->images;
    ret->ms = 1e3 * BENCH_BATCH / ret->images_per_s;
    return SN_OK;
}

static enum sn_err train(const struct bench_setting *set, struct sn_pool *pool,
                         struct sn_supernet *net, const struct kind *kind,
                         struct bench_row *ret, struct sn_error *err)
{
    const struct sn_trainer_settings settings = {
        .batch_size = BENCH_BATCH,
        .shard_size = BENCH_SHARD,
        .max_subnets = kind->subnets,
        .store = set->store,
        .label_smoothing = 0.1f,
        .momentum = 0.9f,
        .weight_decay = 3e-5f,
        .augment = {.pad = 1, .flip = true},
        .seed = 1,
    };
    struct run r = {.kind = kind};
    struct sn_limits all;
    sn_limits_all(set->space, &all);
    sn_sampler_init(&r.sampler, set->space, kind->draw, kind->subnets, &all);
    if (kind->smallest) {
        r.sampler.members = &r.sampler.smallest;
        r.sampler.n_members = 1;
    }
    enum sn_err rc = sn_trainer_new(pool, net, set->images->view, &settings,
                                    &r.trainer, err);
    if (rc == SN_OK && kind->teach == SN_TRAINER_TEACH_FIXED)
        rc = sn_trainer_keep_teacher(r.trainer, NULL, err);
    if (rc == SN_OK)
        rc = time_rounds(&r, &set->window, ret, err);
    sn_trainer_free(r.trainer);
    return rc;
}

enum sn_err bench_train_row(const struct bench_setting *set, const char *name,
                            int workers, struct bench_row *ret,
                            struct sn_error *err)
{
    struct bench_row row = {
        .name = name, .store = set->store, .workers = workers};
    const struct kind *kind = table;
    struct sn_pool *pool = NULL;
    struct sn_supernet *net = NULL;
    while (strcmp(kind->name, name) != 0)
        if (++kind == table + sizeof table / sizeof table[0])
            return sn_error_set(err, SN_ERR_NOTFOUND, "no row %s", name);
    enum sn_err rc = sn_pool_new(set->compute, workers, &pool, err);
    if (rc == SN_OK)
        rc = sn_supernet_new(set->compute, set->space, BENCH_CHANNELS,
                             BENCH_CLASSES, 1, &net, err);
    if (rc == SN_OK)
        rc = train(set, pool, net, kind, &row, err);
    sn_supernet_free(net);
    sn_pool_free(pool);
    if (rc == SN_OK)
        *ret = row;
    return rc;
}
