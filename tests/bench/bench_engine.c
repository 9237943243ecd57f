/* bench_engine - how fast the engine trains, evaluates and answers on this
 * machine, and what share that is of the most that the machine can do. Prints
 * a table and writes bench/engine.json.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/engine_rows.h"
#include "tests/bench/output.h"
#include "tests/bench/peak.h"
#include "tests/bench/timing.h"

enum { MAX_WORKERS = 2, TRAIN_IMAGES = 4096, MAX_PARTS = 3, STORES = 2 };

static const char *const store_name[STORES] = {
    [SN_STORE_F32] = "f32", [SN_STORE_BF16] = "bf16"};
enum { SMALL_COPY = 8 << 20, LARGE_COPY = 256 << 20 };

struct options {
    double seconds;
    int windows, evaluation_batch;
    const char *rows, *precision, *out;
};

struct peak { /* of a number of threads, the best so far */
    double gflops[BENCH_PEAK_KINDS], small_gbs, large_gbs;
};

struct bench {
    struct options opt;
    struct bench_setting set;
    struct peak peak[MAX_WORKERS + 1]; /* by threads */
    int n_rows, n_parts;
    struct bench_row row[BENCH_MAX_ROWS];
    struct bench_parts parts[STORES * MAX_PARTS];
    struct bench_photos photos; /* workers 0: not measured */
    struct bench_memory memory;
    double began;
};

/* ---- peaks ---- */

static void raise_to(double *best, double now)
{
    if (now > *best)
        *best = now;
}

/* Between the rows, so that peak and rows meet the machine in the same state.
 */
static void try_peaks(struct bench *b)
{
    for (int t = 1; t <= MAX_WORKERS; t++)
        for (int k = 0; k < BENCH_PEAK_KINDS; k++)
            raise_to(&b->peak[t].gflops[k], bench_peak_gflops(k, t, 0.03));
}

static void try_copies(struct bench *b)
{
    for (int t = 1; t <= MAX_WORKERS; t++) {
        raise_to(&b->peak[t].small_gbs,
                 bench_peak_copy_gbs(SMALL_COPY, t, 0.1));
        raise_to(&b->peak[t].large_gbs,
                 bench_peak_copy_gbs(LARGE_COPY, t, 0.2));
    }
}

/* ---- rows ---- */

static bool wanted(const struct bench *b, const char *name)
{
    const char *list = b->opt.rows;
    const size_t length = strlen(name);
    if (!list)
        return true;
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') &&
            (at[length] == '\0' || at[length] == ','))
            return true;
    return false;
}

static double gflops_of(const struct bench_row *r)
{
    return r->images_per_s * r->flops_per_image / 1e9;
}

static double fraction_of(const struct bench *b, const struct bench_row *r)
{
    return gflops_of(r) / b->peak[r->workers].gflops[BENCH_PEAK_F32];
}

static void print_row(const struct bench *b, const struct bench_row *r)
{
    printf("%-16s %4s %7d %10.1f %9.1f %7.1f%% %10.3f", r->name,
           store_name[r->store], r->workers, r->images_per_s, gflops_of(r),
           100 * fraction_of(b, r), r->ms);
    if (r->cpu > 0)
        printf(" %4.0f%%", 100 * r->cpu);
    printf("\n");
    fflush(stdout);
}

typedef enum sn_err (*row_fn)(const struct bench_setting *set, const char *name,
                              int workers, struct bench_row *ret,
                              struct sn_error *err);

static const struct {
    const char *name;
    row_fn run;
    bool trains;
} throughput[] = {
    {"largest", bench_train_row, true},
    {"smallest", bench_train_row, true},
    {"random", bench_train_row, true},
    {"random_kd", bench_train_row, true},
    {"sandwich", bench_train_row, true},
    {"eval_largest", bench_evaluation_row, false},
    {"eval_smallest", bench_evaluation_row, false},
};
static const char *const latency_name[] = {"latency_largest",
                                           "latency_smallest"};
static const char *const part_name[MAX_PARTS] = {"largest", "smallest",
                                                 "random"};

/* Whether training is measured with such storage. */
static bool stores(const struct bench *b, enum sn_store store)
{
    const bool any = strcmp(b->opt.precision, "auto") == 0;
    return (any || strcmp(b->opt.precision, store_name[store]) == 0) &&
           sn_compute_stores(b->set.compute, store);
}

/* The row with 1 and 2 workers. */
static enum sn_err run_row(struct bench *b, const char *name, row_fn run,
                           enum sn_store store, struct sn_error *err)
{
    b->set.store = store;
    for (int w = 1; w <= MAX_WORKERS; w++) {
        struct bench_row *row = &b->row[b->n_rows];
        try_peaks(b);
        enum sn_err rc = run(&b->set, name, w, row, err);
        if (rc != SN_OK)
            return rc;
        print_row(b, row);
        b->n_rows++;
    }
    return SN_OK;
}

static enum sn_err run_rows(struct bench *b, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (size_t j = 0; j < sizeof throughput / sizeof throughput[0]; j++) {
        if (!wanted(b, throughput[j].name))
            continue;
        const bool trains = throughput[j].trains;
        if (!trains || stores(b, SN_STORE_F32))
            rc = run_row(b, throughput[j].name, throughput[j].run, SN_STORE_F32,
                         err);
        if (rc == SN_OK && trains && stores(b, SN_STORE_BF16))
            rc = run_row(b, throughput[j].name, throughput[j].run,
                         SN_STORE_BF16, err);
        if (rc != SN_OK)
            return rc;
    }
    if (rc != SN_OK ||
        (!wanted(b, latency_name[0]) && !wanted(b, latency_name[1])))
        return rc;
    struct bench_row latency[2];
    try_peaks(b);
    rc = bench_latency_rows(&b->set, latency, err);
    for (int j = 0; j < 2 && rc == SN_OK; j++)
        if (wanted(b, latency_name[j])) {
            print_row(b, &latency[j]);
            b->row[b->n_rows++] = latency[j];
        }
    return rc;
}

static enum sn_err run_parts(struct bench *b, struct sn_error *err)
{
    enum sn_err rc = bench_memory_measure(&b->set, &b->memory, err);
    if (rc == SN_OK && wanted(b, "photos"))
        rc = bench_photos_measure(&b->set, MAX_WORKERS, &b->photos, err);
    if (!wanted(b, "parts"))
        return rc;
    for (int j = 0; j < STORES * MAX_PARTS && rc == SN_OK; j++) {
        b->set.store = (enum sn_store)(j % STORES);
        if (!stores(b, b->set.store))
            continue;
        rc = bench_parts_measure(&b->set, part_name[j / STORES],
                                 &b->parts[b->n_parts], err);
        b->n_parts += rc == SN_OK;
    }
    return rc;
}

/* ---- telling ---- */

static double sum_of(const struct bench_parts *p)
{
    double sum = 0;
    for (int k = 0; k < BENCH_PARTS; k++)
        sum += p->ms[k];
    return sum;
}

/* Images a second of a row over those of the row `like` it, but with so many
 * workers, and storage; 0: there is none. */
static double ratio_to(const struct bench *b, const struct bench_row *r,
                       int workers, enum sn_store store)
{
    for (int j = 0; j < b->n_rows; j++)
        if (strcmp(b->row[j].name, r->name) == 0 &&
            b->row[j].workers == workers && b->row[j].store == store)
            return r->images_per_s / b->row[j].images_per_s;
    return 0;
}

static double peak_rss_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static void print_parts(const struct bench *b)
{
    printf("\nms of a step of %d images, one thread\n%-17s", BENCH_BATCH, "");
    for (int k = 0; k < BENCH_PARTS; k++)
        printf(" %9s", bench_part_name(k));
    printf(" %9s\n", "sum");
    for (int j = 0; j < b->n_parts; j++) {
        printf("%-12s %4s", b->parts[j].name, store_name[b->parts[j].store]);
        for (int k = 0; k < BENCH_PARTS; k++)
            printf(" %9.3f", b->parts[j].ms[k]);
        printf(" %9.3f\n", sum_of(&b->parts[j]));
    }
}

/* What decoding takes of all the CPU time of a step, were nothing else done by
 * the cores. */
static double data_share_of(const struct bench_photos *p)
{
    return (p->decode_ms + p->finish_ms) * p->batch / (p->step_ms * p->workers);
}

static void print_photos(const struct bench_photos *p)
{
    printf("\nphotographs, %d workers: decode, crop and resize %.2f ms an "
           "image, normalise %.2f ms;\na step of %d images %.0f ms, %.0f%% of "
           "it for the images; stalled %.1f ms (%.1f%%)\n",
           p->workers, p->decode_ms, p->finish_ms, p->batch, p->step_ms,
           100 * data_share_of(p), p->stall_ms, 100 * p->stall_ms / p->step_ms);
}

static void print_rest(const struct bench *b)
{
    printf("\npeaks    threads  f32 GFLOP/s (%s)  bf16 GFLOP/s  copy GB/s at 8 "
           "MiB, 256 MiB\n",
           bench_peak_isa(BENCH_PEAK_F32));
    for (int t = 1; t <= MAX_WORKERS; t++)
        printf("         %7d %12.1f %21.1f %12.1f %8.1f\n", t,
               b->peak[t].gflops[BENCH_PEAK_F32],
               b->peak[t].gflops[BENCH_PEAK_BF16], b->peak[t].small_gbs,
               b->peak[t].large_gbs);
    printf("\nof the run's best f32 peak, and 2 workers over 1\n");
    for (int j = 0; j < b->n_rows; j++) {
        const struct bench_row *r = &b->row[j];
        const double scaling =
            r->workers == 2 ? ratio_to(b, r, 1, r->store) : 0;
        const double gain = r->store == SN_STORE_BF16
                                ? ratio_to(b, r, r->workers, SN_STORE_F32)
                                : 0;
        printf("%-16s %4s %d %7.1f%%", r->name, store_name[r->store],
               r->workers, 100 * fraction_of(b, r));
        if (scaling > 0)
            printf("  x%.2f", scaling);
        if (gain > 0)
            printf("  bf16/f32 %.2f", gain);
        printf("\n");
    }
    if (b->n_parts > 0)
        print_parts(b);
    if (b->photos.workers > 0)
        print_photos(&b->photos);
    printf("\nprimitives made: %zu; MiB: weights %.1f, workspace of a worker "
           "%.1f (shard of %d),\ngradient of a pair %.1f, workspace of "
           "evaluation %.1f (batch of %d); peak RSS %.0f MiB; %.0f s\n",
           sn_compute_primitives(b->set.compute),
           (double)b->memory.weights / (1 << 20),
           (double)b->memory.workspace / (1 << 20), BENCH_SHARD,
           (double)b->memory.gradient / (1 << 20),
           (double)b->memory.forward_workspace / (1 << 20),
           b->opt.evaluation_batch, peak_rss_mib(), bench_now() - b->began);
}

/* ---- JSON ---- */

static json_t *peaks_json(const struct bench *b)
{
    json_t *all = json_array();
    for (int t = 1; t <= MAX_WORKERS; t++) {
        const struct peak *p = &b->peak[t];
        json_t *o =
            json_pack("{s:i, s:f, s:f, s:f}", "threads", t, "fma_gflops",
                      p->gflops[BENCH_PEAK_F32], "copy_8mib_gbs", p->small_gbs,
                      "copy_256mib_gbs", p->large_gbs);
        if (bench_peak_isa(BENCH_PEAK_BF16))
            json_object_set_new(o, "bf16_gflops",
                                json_real(p->gflops[BENCH_PEAK_BF16]));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *row_json(const struct bench *b, const struct bench_row *r)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f}", "name",
                          r->name, "precision", store_name[r->store], "workers",
                          r->workers, "images_per_s", r->images_per_s, "gflops",
                          gflops_of(r), "fraction_of_peak", fraction_of(b, r),
                          "ms", r->ms, "flops_per_image", r->flops_per_image);
    const double scaling = ratio_to(b, r, 1, r->store);
    if (r->ms_low > 0) {
        json_object_set_new(o, "ms_low", json_real(r->ms_low));
        json_object_set_new(o, "ms_high", json_real(r->ms_high));
    }
    if (r->cpu > 0)
        json_object_set_new(o, "cpu_share", json_real(r->cpu));
    if (r->workers == 2 && scaling > 0)
        json_object_set_new(o, "scaling", json_real(scaling));
    return o;
}

static json_t *parts_json(const struct bench *b)
{
    json_t *all = json_array();
    for (int j = 0; j < b->n_parts; j++) {
        json_t *ms = json_object();
        for (int k = 0; k < BENCH_PARTS; k++)
            json_object_set_new(ms, bench_part_name(k),
                                json_real(b->parts[j].ms[k]));
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:f, s:o}", "name", b->parts[j].name,
                           "precision", store_name[b->parts[j].store], "sum_ms",
                           sum_of(&b->parts[j]), "ms", ms));
    }
    return all;
}

static json_t *photos_json(const struct bench_photos *p)
{
    if (p->workers == 0)
        return json_null();
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "workers",
                     p->workers, "batch", p->batch, "decode_ms", p->decode_ms,
                     "finish_ms", p->finish_ms, "step_ms", p->step_ms,
                     "stall_ms", p->stall_ms, "data_share", data_share_of(p));
}

static json_t *memory_json(const struct bench *b)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:f}", "weights_bytes",
                     (json_int_t)b->memory.weights, "workspace_bytes",
                     (json_int_t)b->memory.workspace, "gradient_bytes",
                     (json_int_t)b->memory.gradient,
                     "evaluation_workspace_bytes",
                     (json_int_t)b->memory.forward_workspace, "peak_rss_mib",
                     peak_rss_mib());
}

static int write_json(const struct bench *b)
{
    json_t *rows = json_array();
    for (int j = 0; j < b->n_rows; j++)
        json_array_append_new(rows, row_json(b, &b->row[j]));
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:I, s:o}", "space",
        b->set.space->name, "isa", sn_compute_isa(b->set.compute), "runtime",
        sn_compute_runtime(b->set.compute), "batch", BENCH_BATCH, "shard",
        BENCH_SHARD, "evaluation_batch", b->opt.evaluation_batch, "peaks",
        peaks_json(b), "rows", rows, "parts", parts_json(b), "photos",
        photos_json(&b->photos), "primitives",
        (json_int_t)sn_compute_primitives(b->set.compute), "memory",
        memory_json(b));
    return bench_output_write(root, b->opt.out);
}

/* ---- options ---- */

static const char usage[] =
    "usage: bench_engine [--rows NAME,...] [--quick] [--seconds S]\n"
    "         [--windows N] [--precision f32|bf16|auto] [--eval-batch N]\n"
    "         [--out FILE]\n"
    "  --rows     largest, smallest, random, random_kd, sandwich,\n"
    "             eval_largest, eval_smallest, latency_largest,\n"
    "             latency_smallest, parts (time by part of a step), photos\n"
    "  --precision  of training; auto: each that the CPU has\n"
    "  --seconds  of a window (1); --windows  of a row, the best counts (3)\n";

static int read_options(int argc, char **argv, struct options *opt)
{
    static const struct option table[] = {
        {"rows", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"windows", required_argument, NULL, 'w'},
        {"precision", required_argument, NULL, 'p'},
        {"eval-batch", required_argument, NULL, 'e'},
        {"out", required_argument, NULL, 'o'},
        {"quick", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int bad = 0;
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;)
        switch (c) {
        case 'r':
            opt->rows = optarg;
            break;
        case 's':
            opt->seconds = atof(optarg);
            break;
        case 'w':
            opt->windows = atoi(optarg);
            break;
        case 'p':
            opt->precision = optarg;
            break;
        case 'e':
            opt->evaluation_batch = atoi(optarg);
            break;
        case 'o':
            opt->out = optarg;
            break;
        case 'q':
            opt->seconds = 0.2;
            opt->windows = 2;
            break;
        default:
            bad = 1;
        }
    bad |= !(opt->seconds > 0 && opt->seconds <= 60) || opt->windows < 1 ||
           opt->windows > 100 || opt->evaluation_batch < 1 ||
           opt->evaluation_batch > 4096 || optind < argc;
    return bad ? -1 : 0;
}

static enum sn_err check_precision(const struct bench *b, struct sn_error *err)
{
    if (stores(b, SN_STORE_F32) || stores(b, SN_STORE_BF16))
        return SN_OK;
    return sn_error_set(
        err, SN_ERR_UNSUPPORTED,
        "precision \"%.20s\": this CPU and build have f32%s", b->opt.precision,
        sn_compute_stores(b->set.compute, SN_STORE_BF16) ? " and bf16"
                                                         : " alone");
}

static enum sn_err run(struct bench *b, struct bench_images *images,
                       struct sn_error *err)
{
    enum sn_err rc = sn_compute_new(NULL, &b->set.compute, err);
    if (rc == SN_OK)
        rc = check_precision(b, err);
    if (rc == SN_OK)
        rc = bench_images_init(images, TRAIN_IMAGES, err);
    if (rc != SN_OK)
        return rc;
    printf("%s, batch %d in shards of %d, isa %s, %s\n\n", b->set.space->name,
           BENCH_BATCH, BENCH_SHARD, sn_compute_isa(b->set.compute),
           sn_compute_runtime(b->set.compute));
    printf("%-17s %3s %7s %10s %9s %8s %10s %5s\n", "row", "", "workers",
           "images/s", "GFLOP/s", "of peak", "ms", "CPU");
    try_copies(b);
    rc = run_rows(b, err);
    if (rc == SN_OK)
        rc = run_parts(b, err);
    if (rc == SN_OK && b->n_rows + b->n_parts == 0)
        rc = sn_error_set(err, SN_ERR_NOTFOUND, "no row is named \"%.60s\"",
                          b->opt.rows);
    try_copies(b);
    try_peaks(b);
    return rc;
}

int main(int argc, char **argv)
{
    struct bench b = {.opt = {.seconds = 1,
                              .windows = 3,
                              .evaluation_batch = 64,
                              .precision = "auto",
                              .out = "bench/engine.json"}};
    struct bench_images images = {0};
    struct sn_error err = {0};

    if (read_options(argc, argv, &b.opt) != 0) {
        fputs(usage, stderr);
        return 2;
    }
    b.began = bench_now();
    b.set = (struct bench_setting){
        .space = sn_space_find("mbv3-cifar"),
        .images = &images,
        .window = {b.opt.seconds, b.opt.windows},
        .evaluation_batch = b.opt.evaluation_batch,
    };
    int rc = 1;
    if (run(&b, &images, &err) == SN_OK) {
        print_rest(&b);
        rc = write_json(&b) != 0;
    } else {
        fprintf(stderr, "bench_engine: %s\n", err.message);
    }
    bench_images_close(&images);
    sn_compute_free(b.set.compute);
    return rc;
}
