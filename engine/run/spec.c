/* The settings of a job as one table, and what makes a spec whole. */
#include "engine/engine.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "engine/data/prefetch.h"
#include "engine/run/budget.h"
#include "engine/run/filter.h"
#include "engine/run/precision.h"
#include "engine/run/single.h"
#include "engine/run/strategy.h"
#include "engine/search/predictor.h"

const char *const sn_cost_names[SN_COST_KINDS] = {
    [SN_COST_LATENCY] = "latency_ms",
    [SN_COST_MACS] = "macs",
    [SN_COST_PARAMS] = "params",
    [SN_COST_PEAK_MEMORY] = "peak_memory",
};
const char *const sn_phase_names[SN_PHASE_KINDS] = {
    [SN_PHASE_PREPARE] = "prepare",   [SN_PHASE_WARMUP] = "warmup",
    [SN_PHASE_PROBE] = "probe",       [SN_PHASE_FIT] = "fit",
    [SN_PHASE_FILTER] = "filter",     [SN_PHASE_TRAIN] = "train",
    [SN_PHASE_EVALUATE] = "evaluate", [SN_PHASE_SEARCH] = "search",
};
const char *const sn_stage_names[SN_STAGE_KINDS] = {
    [SN_STAGE_EARLY] = "early",
    [SN_STAGE_FINAL] = "final",
    [SN_STAGE_VERIFY] = "verify",
};
const char *const sn_split_names[3] = {
    [SN_SPLIT_TRAIN] = "train",
    [SN_SPLIT_HOLDOUT] = "holdout",
    [SN_SPLIT_TEST] = "test",
};

const char *const sn_strategy_names[] = {
    "sparsenas", "ofa",     "compofa",  "bignas",  "alphanet", "attentivenas",
    "spos",      "fairnas", "finetune", "scratch", NULL};
const char *const sn_keep_names[] = {
    [SN_KEEP_PREDICTED] = "predicted",
    [SN_KEEP_RANDOM] = "random",
    [SN_KEEP_NONE] = "none",
    NULL,
};

static const char *const predictors[] = {"auto", "ridge", "mlp", NULL};
static const char *const trainers[] = {"path", "sandwich", "teacher", NULL};
static const char *const kernels[] = {"fixed", "elastic", NULL};
static const char *const samplings[] = {"best_up", "worst_up", NULL};
static const char *const crops[] = {"auto", "pad", "resized", NULL};
static const char *const filters[] = {"bilinear", "bicubic", NULL};
static const char *const jitters[] = {"auto", "off", "on", NULL};
static const char *const precisions[] = {"auto", "f32", "bf16", NULL};

#define AT(member) \
    offsetof(struct sn_spec, member), sizeof(((struct sn_spec *)0)->member)

static const struct sn_field fields[] = {
    {"/name", SN_FIELD_STRING, AT(name), 0, SN_LABEL_MAX - 1, 0, "job", NULL,
     false, "a name for people"},
    {"/dataset", SN_FIELD_STRING, AT(dataset), 1, SN_NAME_MAX - 1, 0, "", NULL,
     true, "the data set's name, see GET /datasets"},
    {"/space", SN_FIELD_STRING, AT(space), 1, SN_NAME_MAX - 1, 0, "mbv3-tiny",
     NULL, false, "the search space's name, see GET /spaces"},
    {"/supernet", SN_FIELD_STRING, AT(supernet), 0, SN_NAME_MAX - 1, 0, "",
     NULL, false,
     "searches these weights without training, see GET /supernets; empty: "
     "trains its own. finetune starts from them"},
    {"/architecture", SN_FIELD_STRING, AT(architecture), 0, SN_ARCH_ID_MAX - 1,
     0, "", NULL, false, "the one that finetune or scratch trains"},
    {"/parent", SN_FIELD_STRING, AT(parent), 0, SN_NAME_MAX - 1, 0, "", NULL,
     false, "the job that the architecture is of"},
    {"/strategy", SN_FIELD_ENUM, AT(strategy), 0, 0, SN_STRATEGY_SPARSENAS,
     NULL, sn_strategy_names, false,
     "how the supernet is trained; or one architecture: finetune, scratch",
     true},
    {"/epochs", SN_FIELD_DOUBLE, AT(epochs), 0, 10000, 12, NULL, NULL, false,
     "passes over the training images, all phases together; 0 where a "
     "supernet is searched"},
    {"/seed", SN_FIELD_INT64, AT(seed), 0, 9007199254740991.0, 1, NULL, NULL,
     false, "everything random is a function of it"},
    {"/priority", SN_FIELD_INT, AT(priority), -100, 100, 0, NULL, NULL, false,
     "higher runs first; equals by age"},

    {"/train/batch_size", SN_FIELD_INT, AT(train.batch_size), 2, 65536, 128,
     NULL, NULL, false, "images of one optimizer step"},
    {"/train/shard_size", SN_FIELD_INT, AT(train.shard_size), 2, 1024, 32, NULL,
     NULL, false, "images of one shard, which has its own BN statistics"},
    {"/train/workers", SN_FIELD_INT, AT(train.workers), 0, 256, 0, NULL, NULL,
     false, "threads; 0: as many as the daemon's CPUs"},
    {"/train/precision", SN_FIELD_ENUM, AT(train.precision), 0, 0,
     SN_PRECISION_AUTO, NULL, precisions, false,
     "arithmetic of training; auto: bf16 where the space is validated for it "
     "and the CPU has it, else f32"},
    {"/train/learning_rate", SN_FIELD_DOUBLE, AT(train.learning_rate), 1e-6, 10,
     0.1, NULL, NULL, false,
     "the highest rate of SGD; not given: the strategy's own for the batch",
     true},
    {"/train/momentum", SN_FIELD_DOUBLE, AT(train.momentum), 0, 0.999, 0.9,
     NULL, NULL, false, "Nesterov momentum", true},
    {"/train/weight_decay", SN_FIELD_DOUBLE, AT(train.weight_decay), 0, 0.1,
     3e-5, NULL, NULL, false,
     "on weights alone, not on BN or biases; not given: the strategy's own",
     true},
    {"/train/label_smoothing", SN_FIELD_DOUBLE, AT(train.label_smoothing), 0,
     0.9, 0.1, NULL, NULL, false, "share of the target spread over classes",
     true},
    {"/train/clip_norm", SN_FIELD_DOUBLE, AT(train.clip_norm), 0, 1e6, 0, NULL,
     NULL, false, "the gradient's norm is clipped to it; 0: not at all", true},
    {"/train/clip_value", SN_FIELD_DOUBLE, AT(train.clip_value), 0, 1e6, 0,
     NULL, NULL, false,
     "so is each of its values; 0: not at all; not given: the strategy's own",
     true},
    {"/train/recompute", SN_FIELD_BOOL, AT(train.recompute), 0, 1, 0, NULL,
     NULL, false,
     "keeps only the inputs of blocks for backward: a third of the memory, a "
     "forward more a step",
     true},
    {"/train/warmup_share", SN_FIELD_DOUBLE, AT(train.warmup_share), 0, 0.9,
     0.05, NULL, NULL, false,
     "share of a phase's steps in which the rate rises", true},
    {"/train/kd_ratio", SN_FIELD_DOUBLE, AT(train.kd_ratio), 0, 10, 1, NULL,
     NULL, false, "weight of distillation where a strategy distils", true},
    {"/train/crop_padding", SN_FIELD_INT, AT(train.crop_padding), 0, 16, 1,
     NULL, NULL, false, "random crops after padding by so many pixels", true},
    {"/train/flip", SN_FIELD_BOOL, AT(train.flip), 0, 1, 1, NULL, NULL, false,
     "random horizontal flips", true},
    {"/train/crop", SN_FIELD_ENUM, AT(train.crop), 0, 0, SN_CROP_AUTO, NULL,
     crops, false,
     "how images come to a resolution. pad: small ones, a crop after padding; "
     "resized: a random part in training, the middle in evaluation; auto: pad "
     "for square images of at most 64 pixels"},
    {"/train/interpolation", SN_FIELD_ENUM, AT(train.interpolation), 0, 0,
     SN_FILTER_BILINEAR, NULL, filters, false, "how images are resized"},
    {"/train/cutout", SN_FIELD_INT, AT(train.cutout), 0, 1024, 0, NULL, NULL,
     false, "side in pixels of a random square that is blanked; 0: none"},
    {"/train/color_jitter", SN_FIELD_ENUM, AT(train.color_jitter), 0, 0,
     SN_JITTER_AUTO, NULL, jitters, false,
     "random brightness and saturation; auto: on for colour images whose crop "
     "is resized"},
    {"/train/brightness", SN_FIELD_DOUBLE, AT(train.brightness), 0, 1,
     32 / 255.0, NULL, NULL, false,
     "the jitter multiplies levels by 1 -/+ this"},
    {"/train/saturation", SN_FIELD_DOUBLE, AT(train.saturation), 0, 1, 0.5,
     NULL, NULL, false, "the jitter's distance from grey, times 1 -/+ this"},
    {"/train/decoders", SN_FIELD_INT, AT(train.decoders), 0,
     SN_PREFETCH_MAX_THREADS, 0, NULL, NULL, false,
     "threads that decode images ahead of training; 0: as many as workers"},
    {"/train/cache_mb", SN_FIELD_INT, AT(train.cache_mb), 0, 1048576, 256, NULL,
     NULL, false,
     "MB of decoded images that are kept for evaluations; 0: none"},
    {"/train/holdout", SN_FIELD_INT, AT(train.holdout), 0, 10000000, 0, NULL,
     NULL, false,
     "training images held out for the search; 0: 10000, at most a sixth"},
    {"/train/split_seed", SN_FIELD_INT64, AT(train.split_seed), -1,
     9007199254740991.0, -1, NULL, NULL, false,
     "which images are held out is a function of it; -1: of the seed"},
    {"/train/train_limit", SN_FIELD_INT, AT(train.train_limit), 0, 1000000000,
     0, NULL, NULL, false, "train on so many images at most; 0: all"},
    {"/train/checkpoint_s", SN_FIELD_DOUBLE, AT(train.checkpoint_s), 0.05,
     86400, 30, NULL, NULL, false, "seconds between checkpoints"},

    {"/sparsenas/warmup_epochs", SN_FIELD_DOUBLE, AT(sparsenas.warmup_epochs),
     0, 10000, 0, NULL, NULL, false,
     "training in the full space before probing; 0: 15% of the epochs", true},
    {"/sparsenas/warmup_trainer", SN_FIELD_ENUM, AT(sparsenas.warmup_trainer),
     0, 0, SN_TRAINER_PATH, NULL, trainers, false,
     "uniform single paths, the sandwich, or paths with a teacher, before the "
     "filter",
     true},
    {"/sparsenas/trainer", SN_FIELD_ENUM, AT(sparsenas.trainer), 0, 0,
     SN_TRAINER_PATH, NULL, trainers, false, "the same, after the filter",
     true},
    {"/sparsenas/probes", SN_FIELD_INT, AT(sparsenas.probes), 0, 10000, 0, NULL,
     NULL, false,
     "architectures probed; 0: up to 150 within 10% of the job's MACs"},
    {"/sparsenas/probe_images", SN_FIELD_INT, AT(sparsenas.probe_images), 10,
     1000000, 3000, NULL, NULL, false, "hold-out images of a probe"},
    {"/sparsenas/probe_calibration", SN_FIELD_INT,
     AT(sparsenas.probe_calibration), 8, 100000, 512, NULL, NULL, false,
     "training images that re-calibrate BN for a probe"},
    {"/sparsenas/predictor", SN_FIELD_ENUM, AT(sparsenas.predictor), 0, 0,
     SN_PREDICT_AUTO, NULL, predictors, false,
     "ridge regression, an ensemble of small neural networks, or the one that "
     "orders architectures better out of fold"},
    {"/sparsenas/filter", SN_FIELD_ENUM, AT(sparsenas.filter), 0, 0,
     SN_KEEP_PREDICTED, NULL, sn_keep_names, false,
     "what is kept of each band: predicted, the best by the predictor; random, "
     "as many at random, a control; none, training is not narrowed and the "
     "predictor only chooses what is evaluated at the end"},
    {"/sparsenas/subspace_size", SN_FIELD_INT, AT(sparsenas.subspace_size), 0,
     1000000, 0, NULL, NULL, false,
     "architectures that the filter keeps; 0: 7 x the coupled space, or by "
     "keep_fraction"},
    {"/sparsenas/keep_fraction", SN_FIELD_DOUBLE, AT(sparsenas.keep_fraction),
     0, 1, 0, NULL, NULL, false,
     "share of each band of what was scored that the filter keeps; 0: by "
     "subspace_size"},
    {"/sparsenas/bands", SN_FIELD_INT, AT(sparsenas.bands), 1, 64, 8, NULL,
     NULL, false, "cost bands, each with its own best"},
    {"/sparsenas/veto", SN_FIELD_ARCHS, AT(sparsenas.veto), 0, SN_MAX_VETO, 0,
     NULL, NULL, false,
     "ids of architectures that are never probed, kept or answered"},
    {"/sparsenas/min_tau", SN_FIELD_DOUBLE, AT(sparsenas.min_tau), -1, 1, 0.3,
     NULL, NULL, false,
     "the filter is used when tau's 90% interval lies above it"},
    {"/sparsenas/max_retries", SN_FIELD_INT, AT(sparsenas.max_retries), 0, 10,
     1, NULL, NULL, false, "longer warm-ups before it trains on unfiltered",
     true},
    {"/sparsenas/rounds", SN_FIELD_INT, AT(sparsenas.rounds), 1, 10, 1, NULL,
     NULL, false, "how often it probes and filters, at even distances", true},
    {"/sparsenas/exploration", SN_FIELD_DOUBLE, AT(sparsenas.exploration), 0, 1,
     0.1, NULL, NULL, false, "share of paths still drawn from the whole space",
     true},
    {"/sparsenas/recheck", SN_FIELD_INT, AT(sparsenas.recheck), 0, 1000, 24,
     NULL, NULL, false,
     "probed architectures that are measured again at the end, which says how "
     "early held; 0: none"},

    {"/compofa/kernels", SN_FIELD_ENUM, AT(compofa.kernels), 0, 0,
     SN_KERNELS_FIXED, NULL, kernels, false,
     "kernels of the coupled space: fixed by stage, or elastic"},
    {"/alphanet/clip", SN_FIELD_DOUBLE, AT(alphanet.clip), 1, 1000, 5, NULL,
     NULL, false, "importance weights of alpha-divergences are clipped to it"},
    {"/attentivenas/sampling", SN_FIELD_ENUM, AT(attentivenas.sampling), 0, 0,
     SN_SAMPLING_BEST_UP, NULL, samplings, false,
     "the best or the worst of the candidates is trained"},
    {"/attentivenas/candidates", SN_FIELD_INT, AT(attentivenas.candidates), 2,
     4, 3, NULL, NULL, false, "paths that a place of the sandwich has"},
    {"/attentivenas/bands", SN_FIELD_INT, AT(attentivenas.bands), 1, 64, 16,
     NULL, NULL, false, "MAC bands, of which a place's candidates share one"},

    {"/search/device", SN_FIELD_STRING, AT(search.device), 1, SN_NAME_MAX - 1,
     0, "host", NULL, false, "what latencies belong to"},
    {"/search/evaluations", SN_FIELD_INT, AT(search.evaluations), 0, 100000, 0,
     NULL, NULL, false,
     "final evaluations; 0: up to 100 within 10% of the job's MACs"},
    {"/search/images", SN_FIELD_INT, AT(search.images), 0, 1000000, 0, NULL,
     NULL, false,
     "hold-out images of a final evaluation; 0: all that probes do not use"},
    {"/search/calibration", SN_FIELD_INT, AT(search.calibration), 8, 100000,
     2000, NULL, NULL, false,
     "training images that re-calibrate BN for a final evaluation"},
    {"/search/population", SN_FIELD_INT, AT(search.population), 4, 2000, 100,
     NULL, NULL, false, "of the evolution (NSGA-II)"},
    {"/search/generations", SN_FIELD_INT, AT(search.generations), 1, 10000, 60,
     NULL, NULL, false, "of the evolution"},
    {"/search/latency_ms", SN_FIELD_TARGETS, AT(search.latency_ms), 1e-6, 1e6,
     0, "auto", NULL, false,
     "latency targets, or auto: 25, 50 and 80% of the way from the smallest's "
     "to the largest's"},
    {"/search/macs", SN_FIELD_TARGETS, AT(search.macs), 1, 1e15, 0, "", NULL,
     false,
     "targets in MACs, or auto: 20, 40, 60, 80 and 100% of the way from the "
     "smallest's to the largest's, in logarithms"},
    {"/search/costs", SN_FIELD_COSTS, AT(search.costs), 0, 0,
     1 << SN_COST_LATENCY | 1 << SN_COST_MACS, NULL, NULL, false,
     "costs whose fronts are kept"},

    {"/finetune/epochs", SN_FIELD_DOUBLE, AT(finetune.epochs), 0, 10000, 0,
     NULL, NULL, false,
     "of jobs that fine-tune the architectures found, after this one; 0: none"},
    {"/finetune/scratch", SN_FIELD_BOOL, AT(finetune.scratch), 0, 1, 0, NULL,
     NULL, false, "and of jobs that train them from scratch, to compare"},
};

const struct sn_field *sn_spec_fields(size_t *ret_n)
{
    *ret_n = sizeof fields / sizeof fields[0];
    return fields;
}

_Static_assert(sizeof fields / sizeof fields[0] <=
                   8 * sizeof((struct sn_spec *)0)->given,
               "a bit a field");

void sn_spec_give(struct sn_spec *spec, size_t field)
{
    spec->given[field / 64] |= UINT64_C(1) << field % 64;
}

bool sn_spec_is_given(const struct sn_spec *spec, size_t field)
{
    return (spec->given[field / 64] >> field % 64 & 1) != 0;
}

void sn_spec_defaults(struct sn_spec *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct sn_field *f = &fields[i];
        char *at = (char *)ret + f->offset;
        switch (f->type) {
        case SN_FIELD_STRING:
            snprintf(at, f->size, "%s", f->initial_text);
            break;
        case SN_FIELD_INT:
        case SN_FIELD_ENUM:
        case SN_FIELD_COSTS:
            *(int32_t *)(void *)at = (int32_t)f->initial;
            break;
        case SN_FIELD_INT64:
            *(int64_t *)(void *)at = (int64_t)f->initial;
            break;
        case SN_FIELD_DOUBLE:
            *(double *)(void *)at = f->initial;
            break;
        case SN_FIELD_BOOL:
            *(bool *)(void *)at = f->initial != 0;
            break;
        case SN_FIELD_TARGETS:
            ((struct sn_targets *)(void *)at)->automatic =
                strcmp(f->initial_text, "auto") == 0;
            break;
        case SN_FIELD_ARCHS: /* none */
            break;
        }
    }
}

static int32_t usable_cpus(void)
{
    cpu_set_t set;
    int n = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > 64 ? 64 : n;
}

/* How images become pixels. */
static enum sn_err resolve_pixels(struct sn_spec *s,
                                  const struct sn_dataset_info *data,
                                  struct sn_error *err)
{
    if (s->train.crop == SN_CROP_PAD && data->variable)
        return sn_error_at(err, SN_ERR_INVALID, "/train/crop",
                           "images of many sizes cannot be padded; resized or "
                           "auto is possible");
    s->train.crop = (int32_t)sn_crop_settle((enum sn_crop)s->train.crop, data);
    if (s->train.color_jitter == SN_JITTER_ON && data->channels != 3)
        return sn_error_at(err, SN_ERR_INVALID, "/train/color_jitter",
                           "grey images have no colour");
    if (s->train.color_jitter == SN_JITTER_AUTO)
        s->train.color_jitter =
            data->channels == 3 && s->train.crop == SN_CROP_RESIZED
                ? SN_JITTER_ON
                : SN_JITTER_OFF;
    if (s->train.decoders == 0)
        s->train.decoders = s->train.workers < SN_PREFETCH_MAX_THREADS
                                ? s->train.workers
                                : SN_PREFETCH_MAX_THREADS;
    return SN_OK;
}

static enum sn_err resolve_images(struct sn_spec *s,
                                  const struct sn_dataset_info *data,
                                  struct sn_error *err)
{
    int32_t all = (int32_t)(data->train > INT32_MAX ? INT32_MAX : data->train);
    if (s->train.holdout == 0)
        s->train.holdout = all / 6 < 10000 ? all / 6 : 10000;
    if (s->train.holdout < 20 || s->train.holdout > all / 2)
        return sn_error_at(err, SN_ERR_RANGE, "/train/holdout",
                           "a hold-out of %d images does not suit %d training "
                           "images: it takes 20 to half of them",
                           s->train.holdout, all);
    int32_t left = all - s->train.holdout;
    if (s->train.train_limit == 0 || s->train.train_limit > left)
        s->train.train_limit = left;
    if (!sn_spec_trains(s) && s->train.batch_size > s->train.train_limit)
        s->train.batch_size = s->train.shard_size = s->train.train_limit;
    if (s->train.batch_size > s->train.train_limit)
        return sn_error_at(err, SN_ERR_RANGE, "/train/batch_size",
                           "a batch of %d is more than the %d training images",
                           s->train.batch_size, s->train.train_limit);
    if (s->train.shard_size > s->train.batch_size)
        s->train.shard_size = s->train.batch_size;
    if (s->train.batch_size % s->train.shard_size != 0)
        return sn_error_at(err, SN_ERR_INVALID, "/train/shard_size",
                           "batch_size %d is no multiple of shard_size %d",
                           s->train.batch_size, s->train.shard_size);

    /* Probing and the final choice use different parts of the hold-out. */
    int32_t half = s->train.holdout / 2;
    if (s->sparsenas.probe_images > half)
        s->sparsenas.probe_images = half;
    int32_t rest = s->train.holdout - s->sparsenas.probe_images;
    if (s->search.images == 0 || s->search.images > rest)
        s->search.images = rest;
    if (s->sparsenas.probe_calibration > s->train.train_limit)
        s->sparsenas.probe_calibration = s->train.train_limit;
    if (s->search.calibration > s->train.train_limit)
        s->search.calibration = s->train.train_limit;
    return SN_OK;
}

/* Nothing is trained: a field of training alone that is not at its default
 * contradicts that. */
static enum sn_err check_untrained(const struct sn_spec *s,
                                   struct sn_error *err)
{
    struct sn_spec initial;
    sn_spec_defaults(&initial);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct sn_field *f = &fields[i];
        const char *is = (const char *)s + f->offset;
        const char *was = (const char *)&initial + f->offset;
        if (f->trains && memcmp(is, was, f->size) != 0)
            return sn_error_at(err, SN_ERR_INVALID, f->pointer,
                               "contradicts the supernet: nothing is trained");
    }
    return SN_OK;
}

static enum sn_err resolve_epochs(struct sn_spec *s, struct sn_error *err)
{
    struct sn_budget b;
    if (!sn_spec_trains(s)) {
        s->epochs = 0;
        return check_untrained(s, err);
    }
    if (s->sparsenas.warmup_epochs == 0) {
        s->sparsenas.warmup_epochs = 0.15 * s->epochs;
        double floor_epochs = (double)SN_MIN_WARMUP_STEPS *
                              s->train.batch_size / s->train.train_limit;
        if (s->sparsenas.warmup_epochs < floor_epochs)
            s->sparsenas.warmup_epochs =
                floor_epochs < s->epochs / 2 ? floor_epochs : s->epochs / 2;
    }
    sn_budget_make(s, &b);
    if (b.total_steps < 2)
        return sn_error_at(err, SN_ERR_RANGE, "/epochs",
                           "%g epochs of %d images are less than two steps of "
                           "%d images",
                           s->epochs, s->train.train_limit,
                           s->train.batch_size);
    if (s->strategy == SN_STRATEGY_SPARSENAS &&
        b.teacher_steps + b.warmup_steps >= b.total_steps)
        return sn_error_at(err, SN_ERR_RANGE, "/sparsenas/warmup_epochs",
                           "a warm-up of %g epochs leaves nothing of %g%s",
                           s->sparsenas.warmup_epochs, s->epochs,
                           b.teacher_steps > 0 ? " and the teacher's" : "");
    uint64_t left = b.total_steps - b.teacher_steps - b.warmup_steps;
    if (s->strategy == SN_STRATEGY_SPARSENAS &&
        left < (uint64_t)s->sparsenas.rounds)
        return sn_error_at(err, SN_ERR_RANGE, "/sparsenas/rounds",
                           "the warm-up leaves %llu steps, less than one for "
                           "each of %d rounds",
                           (unsigned long long)left, s->sparsenas.rounds);
    return SN_OK;
}

/* A predictor is not fitted on less, and there may be no more than there are.
 */
static enum sn_err check_counts(const struct sn_spec *s,
                                const struct sn_space *space,
                                struct sn_error *err)
{
    double count = sn_filter_open_count(s, space);
    const struct {
        const char *pointer;
        int32_t n;
    } list[] = {{"/sparsenas/probes", s->sparsenas.probes},
                {"/search/evaluations", s->search.evaluations}};
    if (sn_spec_is_single(s))
        return SN_OK; /* there is nothing to predict */
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i].n < SN_PREDICTOR_MIN || list[i].n > count)
            return sn_error_at(err, SN_ERR_RANGE, list[i].pointer,
                               "%d architectures: a predictor takes at least "
                               "%d, and there are %.0f to measure",
                               list[i].n, (int)SN_PREDICTOR_MIN, count);
    return SN_OK;
}

const struct sn_space *sn_spec_space(const struct sn_spec *spec)
{
    return spec->made_space != NULL ? spec->made_space
                                    : sn_space_find(spec->space);
}

enum sn_err sn_spec_resolve(struct sn_spec *spec,
                            const struct sn_dataset_info *data,
                            struct sn_error *err)
{
    struct sn_spec s = *spec;
    const struct sn_space *space = sn_spec_space(&s);
    enum sn_err rc;

    if (space == NULL)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/space",
                           "there is no space '%s'", s.space);
    struct sn_error why = {0};
    rc = sn_space_check_images(space, data->channels, data->height, data->width,
                               &why);
    if (rc != SN_OK)
        return sn_error_at(err, SN_ERR_INVALID, "/space", "%s", why.message);
    if (strcmp(s.search.device, "host") != 0)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/search/device",
                           "there is no device '%s'; this machine is 'host'",
                           s.search.device);
    if (s.train.workers == 0)
        s.train.workers = usable_cpus();
    if (s.train.split_seed < 0)
        s.train.split_seed = s.seed;
    sn_strategy_defaults(&s);
    if ((rc = sn_single_resolve(&s, space, err)) != SN_OK ||
        (rc = sn_precision_resolve(&s, space, err)) != SN_OK ||
        (rc = sn_strategy_check(&s, space, err)) != SN_OK ||
        (rc = resolve_pixels(&s, data, err)) != SN_OK ||
        (rc = resolve_images(&s, data, err)) != SN_OK ||
        (rc = sn_filter_resolve(&s, space, err)) != SN_OK ||
        (rc = resolve_epochs(&s, err)) != SN_OK)
        return rc;
    sn_budget_resolve_counts(&s, space, data);
    if (s.strategy != SN_STRATEGY_SPARSENAS || s.supernet[0] != '\0')
        s.sparsenas.recheck = 0; /* nothing comes between early and final */
    if (s.sparsenas.recheck > s.sparsenas.probes)
        s.sparsenas.recheck = s.sparsenas.probes;
    if ((rc = check_counts(&s, space, err)) != SN_OK)
        return rc;
    memset(s.given, 0xff, sizeof s.given); /* all is decided */
    *spec = s;
    return SN_OK;
}
