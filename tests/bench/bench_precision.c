/* bench_precision - whether training in bf16 costs accuracy: fixed
 * architectures, each trained alone from the same initial weights on the same
 * images in the same order in f32 and in bf16, over several seeds. Prints what
 * every pair gets on the hold-out, the mean difference with its 95% interval
 * (Student's, over pairs) and the CPU time of both, as a table in Markdown, and
 * writes bench/precision.json.
 *
 * Both are evaluated as any architecture is: BN re-calibrated and folded, f32.
 */
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/evaluate.h"
#include "engine/train/schedule.h"
#include "engine/train/trainer.h"
#include "tests/bench/output.h"
#include "tests/bench/timing.h"

enum { STORES = 2, ARCHS = 5, MAX_SEEDS = 20, CALIBRATION = 2000 };
enum { BATCH = 128, SHARD = 32 };

/* A space is validated where the interval lies inside +- so many points. */
static const double bound = 0.3;

struct options {
    const char *data, *format, *space, *out;
    double epochs;
    int first_seed, seeds, workers;
    uint32_t holdout;
};

struct pair {
    struct sn_arch arch;
    char id[SN_ARCH_ID_MAX];
    int seed;
    double accuracy[STORES]; /* percent */
    double loss[STORES], cpu[STORES];
};

struct bench {
    struct options opt;
    const struct sn_space *space;
    struct sn_compute *compute;
    struct sn_pool *pool;
    struct sn_dataset *data;
    struct sn_dataset_info info;
    struct sn_view *view;
    int n;
    struct pair pair[ARCHS * MAX_SEEDS];
};

struct summary {
    double mean, low, high, cpu_ratio; /* bf16 - f32, points; bf16 / f32 */
};

/* ---- one run ---- */

static enum sn_err train(struct bench *b, struct sn_trainer *trainer,
                         const struct sn_sampler *sampler, double *ret_loss,
                         struct sn_error *err)
{
    const uint64_t steps = (uint64_t)llround(
        b->opt.epochs * (double)sn_trainer_epoch_steps(trainer));
    const struct sn_schedule schedule = {SN_SCHEDULE_COSINE, 0.1, steps,
                                         steps / 20};
    struct sn_trainer_step step = {.sampler = sampler,
                                   .teach = SN_TRAINER_TEACH_NONE};
    enum sn_err rc = SN_OK;
    for (; step.step < steps && rc == SN_OK; step.step++) {
        struct sn_trainer_result result = {0};
        step.rate = sn_schedule_rate(&schedule, step.step);
        rc = sn_trainer_step(trainer, &step, &result, err);
        *ret_loss = result.loss;
    }
    return rc;
}

static enum sn_err evaluate(struct bench *b, struct sn_supernet *net,
                            const struct pair *pair, double *ret,
                            struct sn_error *err)
{
    const struct sn_evaluate_settings settings = {
        .calibration = CALIBRATION,
        .split = SN_SPLIT_HOLDOUT,
        .count = sn_view_count(b->view, SN_SPLIT_HOLDOUT)};
    struct sn_evaluate_result result;
    struct sn_evaluator *evaluator = NULL;
    enum sn_err rc = sn_evaluator_new(b->compute, b->pool, net, b->view,
                                      (uint64_t)pair->seed, &evaluator, err);
    if (rc == SN_OK)
        rc = sn_evaluate(evaluator, &settings, &pair->arch, 1, &result, err);
    sn_evaluator_free(evaluator);
    if (rc == SN_OK)
        *ret = 100.0 * result.correct / result.images;
    return rc;
}

static enum sn_err one_run(struct bench *b, struct pair *pair,
                           enum sn_store store, struct sn_error *err)
{
    const struct sn_trainer_settings settings = {
        .batch_size = BATCH,
        .shard_size = SHARD,
        .max_subnets = 1,
        .store = store,
        .label_smoothing = 0.1f,
        .momentum = 0.9f,
        .weight_decay = 3e-5f,
        .augment = {.pad = 1, .flip = true},
        .seed = (uint64_t)pair->seed,
    };
    struct sn_sampler sampler;
    struct sn_limits all;
    struct sn_supernet *net = NULL;
    struct sn_trainer *trainer = NULL;
    sn_limits_all(b->space, &all);
    sn_sampler_init(&sampler, b->space, SN_SAMPLE_PATHS, 1, &all);
    sampler.members = &pair->arch;
    sampler.n_members = 1;
    const double from = bench_cpu();
    enum sn_err rc =
        sn_supernet_new(b->compute, b->space, b->info.channels, b->info.classes,
                        (uint64_t)pair->seed, &net, err);
    if (rc == SN_OK)
        rc = sn_trainer_new(b->pool, net, b->view, &settings, &trainer, err);
    if (rc == SN_OK)
        rc = train(b, trainer, &sampler, &pair->loss[store], err);
    pair->cpu[store] = bench_cpu() - from;
    if (rc == SN_OK)
        rc = evaluate(b, net, pair, &pair->accuracy[store], err);
    sn_trainer_free(trainer);
    sn_supernet_free(net);
    return rc;
}

/* ---- all of them ---- */

/* The largest, the smallest, and three drawn. */
static void arch_of(const struct sn_space *space, int i, struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, (uint64_t)i);
    struct sn_limits all;
    sn_limits_all(space, &all);
    if (i == 0)
        sn_arch_largest(space, ret);
    else if (i == 1)
        sn_arch_smallest(space, ret);
    else
        sn_arch_sample(space, &all, &rng, ret);
}

static double difference(const struct pair *p)
{
    return p->accuracy[SN_STORE_BF16] - p->accuracy[SN_STORE_F32];
}

/* Student's 97.5% quantile (Abramowitz and Stegun, 26.7.5). */
static double quantile(int freedom)
{
    const double z = 1.959964, v = freedom, z2 = z * z;
    return z + z * (z2 + 1) / (4 * v) +
           z * ((5 * z2 + 16) * z2 + 3) / (96 * v * v) +
           z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * v * v * v);
}

static struct summary summarise(const struct bench *b)
{
    double sum = 0, square = 0, cpu[STORES] = {0};
    for (int i = 0; i < b->n; i++) {
        sum += difference(&b->pair[i]);
        for (int s = 0; s < STORES; s++)
            cpu[s] += b->pair[i].cpu[s];
    }
    const double mean = sum / b->n;
    for (int i = 0; i < b->n; i++)
        square += pow(difference(&b->pair[i]) - mean, 2);
    const double half = quantile(b->n - 1) * sqrt(square / (b->n - 1) / b->n);
    return (struct summary){mean, mean - half, mean + half,
                            cpu[SN_STORE_BF16] / cpu[SN_STORE_F32]};
}

static enum sn_err run_pairs(struct bench *b, struct sn_error *err)
{
    printf("| seed | architecture | f32, %% | bf16, %% | difference, points "
           "| CPU s, f32 | bf16 |\n|--:|:--|--:|--:|--:|--:|--:|\n");
    for (int k = 0; k < b->opt.seeds; k++)
        for (int i = 0; i < ARCHS; i++) {
            const int seed = b->opt.first_seed + k;
            struct pair *p = &b->pair[b->n];
            *p = (struct pair){.seed = seed};
            arch_of(b->space, i, &p->arch);
            sn_arch_encode(b->space, &p->arch, p->id);
            for (int s = 0; s < STORES; s++) {
                enum sn_err rc = one_run(b, p, (enum sn_store)s, err);
                if (rc != SN_OK)
                    return rc;
            }
            b->n++;
            printf("| %d | `%s` | %.2f | %.2f | %+.2f | %.1f | %.1f |\n", seed,
                   p->id, p->accuracy[SN_STORE_F32], p->accuracy[SN_STORE_BF16],
                   difference(p), p->cpu[SN_STORE_F32], p->cpu[SN_STORE_BF16]);
            fflush(stdout);
        }
    return SN_OK;
}

/* ---- telling ---- */

static int tell(const struct bench *b)
{
    const struct summary s = summarise(b);
    const bool valid = s.low > -bound && s.high < bound;
    printf("\n%s, %d pairs, %u hold-out images, %g epochs of %u images: mean "
           "difference %+.3f points, 95%% interval [%+.3f, %+.3f], %s +-%.1f; "
           "CPU time bf16 / f32 %.3f\n",
           b->space->name, b->n, sn_view_count(b->view, SN_SPLIT_HOLDOUT),
           b->opt.epochs, sn_view_count(b->view, SN_SPLIT_TRAIN), s.mean, s.low,
           s.high, valid ? "inside" : "not inside", bound, s.cpu_ratio);
    json_t *pairs = json_array();
    for (int i = 0; i < b->n; i++) {
        const struct pair *p = &b->pair[i];
        json_array_append_new(
            pairs,
            json_pack("{s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "seed",
                      p->seed, "arch", p->id, "f32", p->accuracy[SN_STORE_F32],
                      "bf16", p->accuracy[SN_STORE_BF16], "loss_f32",
                      p->loss[SN_STORE_F32], "loss_bf16",
                      p->loss[SN_STORE_BF16], "cpu_s_f32", p->cpu[SN_STORE_F32],
                      "cpu_s_bf16", p->cpu[SN_STORE_BF16]));
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:f, s:I, s:f, s:f, s:f, s:f, s:b, s:f, s:o}", "space",
        b->space->name, "dataset_checksum", b->info.checksum, "epochs",
        b->opt.epochs, "holdout",
        (json_int_t)sn_view_count(b->view, SN_SPLIT_HOLDOUT), "mean", s.mean,
        "low", s.low, "high", s.high, "bound", bound, "inside", (int)valid,
        "cpu_ratio", s.cpu_ratio, "pairs", pairs);
    return bench_output_write(root, b->opt.out);
}

static const char usage[] =
    "usage: bench_precision [--space NAME] [--data FOLDER] [--format NAME]\n"
    "         [--epochs E] [--first-seed N] [--seeds N] [--holdout N]\n"
    "         [--workers N] [--out FILE]\n";

static int read_options(int argc, char **argv, struct options *opt)
{
    static const struct option table[] = {
        {"space", required_argument, NULL, 's'},
        {"data", required_argument, NULL, 'd'},
        {"format", required_argument, NULL, 'f'},
        {"epochs", required_argument, NULL, 'e'},
        {"first-seed", required_argument, NULL, '1'},
        {"seeds", required_argument, NULL, 'n'},
        {"holdout", required_argument, NULL, 'h'},
        {"workers", required_argument, NULL, 'w'},
        {"out", required_argument, NULL, 'o'},
        {0},
    };
    int bad = 0;
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;)
        switch (c) {
        case 's':
            opt->space = optarg;
            break;
        case 'd':
            opt->data = optarg;
            break;
        case 'f':
            opt->format = optarg;
            break;
        case 'e':
            opt->epochs = atof(optarg);
            break;
        case '1':
            opt->first_seed = atoi(optarg);
            break;
        case 'n':
            opt->seeds = atoi(optarg);
            break;
        case 'h':
            opt->holdout = (uint32_t)atoi(optarg);
            break;
        case 'w':
            opt->workers = atoi(optarg);
            break;
        case 'o':
            opt->out = optarg;
            break;
        default:
            bad = 1;
        }
    bad |= !(opt->epochs > 0 && opt->epochs <= 1000) || opt->seeds < 1 ||
           opt->first_seed < 0 || opt->seeds > MAX_SEEDS || opt->workers < 1 ||
           opt->workers > 64 || optind < argc;
    return bad ? -1 : 0;
}

static enum sn_err run(struct bench *b, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    b->space = sn_space_find(b->opt.space);
    if (!b->space)
        return sn_error_set(err, SN_ERR_NOTFOUND, "there is no space %.60s",
                            b->opt.space);
    if ((rc = sn_compute_new(NULL, &b->compute, err)) ||
        (rc = sn_pool_new(b->compute, b->opt.workers, &b->pool, err)) ||
        (rc = sn_dataset_open(b->opt.format, b->opt.data, &b->data, err)) ||
        (rc = sn_view_new(b->data, 1, b->opt.holdout, 0, &b->view, err)))
        return rc;
    sn_dataset_info(b->data, &b->info);
    return run_pairs(b, err);
}

int main(int argc, char **argv)
{
    struct bench b = {.opt = {.data = "/usr/share/datasets/fashion-mnist",
                              .format = "idx",
                              .space = "mbv3-tiny",
                              .epochs = 8,
                              .first_seed = 1,
                              .seeds = 3,
                              .holdout = 20000,
                              .workers = 2,
                              .out = "bench/precision.json"}};
    struct sn_error err = {0};
    if (read_options(argc, argv, &b.opt) != 0) {
        fputs(usage, stderr);
        return 2;
    }
    int rc = 1;
    if (run(&b, &err) == SN_OK)
        rc = tell(&b) != 0;
    else
        fprintf(stderr, "bench_precision: %s\n", err.message);
    sn_view_free(b.view);
    sn_dataset_free(b.data);
    sn_pool_free(b.pool);
    sn_compute_free(b.compute);
    return rc;
}
