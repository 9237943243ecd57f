/* bench_kernels - every operator on each shape of a network, by the engine and
 * by oneDNN alone, in one thread: who is quicker, by how much, and how near
 * the machine's limit. Writes a table and bench/kernels.json.
 */
#include <getopt.h>
#include <jansson.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compute/compute.h"
#include "tests/bench/cases.h"
#include "tests/bench/contest.h"
#include "tests/bench/ours.h"
#include "tests/bench/output.h"
#include "tests/bench/peak.h"
#include "tests/bench/rival.h"

/* Slower by less is noise, not a loss. */
#define LOST 1.05
#define HOPELESS 3.0
enum { MAX_KERNELS = 8, COPY_BYTES = 8 << 20 };

struct options {
    int n, rounds;
    const char *ops, *arch, *space, *out;
    double round_s;
    int kernels[MAX_KERNELS + 1];
};

/* Times in seconds, 0: not done this way. Where there are two ways, engine is
 * that of the one which it picks. */
struct result {
    struct bench_case c;
    bool picks_primitive; /* the engine, of a 1x1 convolution's two ways */
    double engine, own, primitive, rival[BENCH_LAYOUTS];
};

struct bench {
    struct options opt;
    struct sn_cx *cx;
    double peak_gflops, copy_gbs; /* of one thread, best so far */
    int n;
    struct result *row;
};

/* ---- measuring ---- */

struct ours_run {
    struct bench_ours *ours;
    enum bench_way way;
};

static void run_ours(void *arg)
{
    const struct ours_run *r = arg;
    bench_ours_run(r->ours, r->way);
}

static void run_rival(void *arg)
{
    bench_rival_run(arg);
}

/* Whether the engine takes oneDNN for the shape: seen by what a new one makes.
 */
static bool picks_primitive(const struct bench_case *c)
{
    struct sn_compute *compute = NULL;
    struct sn_cx *cx = NULL;
    struct bench_ours *o = NULL;
    bool picks = false;
    if (sn_compute_new(NULL, &compute, NULL) == SN_OK &&
        sn_cx_new(compute, &cx, NULL) == SN_OK)
        o = bench_ours_new(cx, c);
    if (o) {
        bench_ours_run(o, BENCH_ENGINE);
        picks = sn_compute_primitives(compute) > 0;
    }
    bench_ours_free(o);
    sn_cx_free(cx);
    sn_compute_free(compute);
    return picks;
}

static int measure(struct bench *b, struct result *r)
{
    enum { WAYS = BENCH_PRIMITIVE + 1 };
    struct bench_way_timed way[WAYS + BENCH_LAYOUTS];
    double *to[WAYS + BENCH_LAYOUTS];
    struct ours_run ours[WAYS];
    struct bench_rival *rival[BENCH_LAYOUTS];
    double *const of_way[WAYS] = {&r->engine, &r->own, &r->primitive};
    struct bench_ours *o = bench_ours_new(b->cx, &r->c);
    int n = 0;

    if (!o)
        return -1;
    const bool two_ways = bench_ours_has(o, BENCH_OWN);
    for (int w = 0; w < WAYS; w++) {
        ours[w] = (struct ours_run){o, w};
        if (!bench_ours_has(o, w) || (two_ways && w == BENCH_ENGINE))
            continue;
        to[n] = of_way[w];
        way[n++] = (struct bench_way_timed){run_ours, &ours[w], 0, 0};
    }
    for (int l = 0; l < BENCH_LAYOUTS; l++) {
        rival[l] = bench_rival_new(&r->c, l);
        if (!rival[l])
            continue;
        to[n] = &r->rival[l];
        way[n++] = (struct bench_way_timed){run_rival, rival[l], 0, 0};
    }
    const double peak = bench_peak_gflops(BENCH_PEAK_F32, 1, 0.004);
    if (peak > b->peak_gflops)
        b->peak_gflops = peak;
    bench_contest(way, n, b->opt.rounds, b->opt.round_s, HOPELESS);
    for (int j = 0; j < n; j++)
        *to[j] = way[j].seconds;
    if (two_ways) {
        r->picks_primitive = picks_primitive(&r->c);
        r->engine = r->picks_primitive ? r->primitive : r->own;
    }
    for (int l = 0; l < BENCH_LAYOUTS; l++)
        bench_rival_free(rival[l]);
    bench_ours_free(o);
    return 0;
}

/* ---- judging ---- */

static int best_layout(const struct result *r)
{
    int best = -1;
    for (int l = 0; l < BENCH_LAYOUTS; l++)
        if (r->rival[l] > 0 && (best < 0 || r->rival[l] < r->rival[best]))
            best = l;
    return best;
}

static double rival_of(const struct result *r)
{
    const int l = best_layout(r);
    return l < 0 ? 0 : r->rival[l];
}

/* Who is quickest, and how long it takes; the engine where it is as quick as
 * any within the noise. */
static const char *winner(const struct result *r, double *ret_seconds)
{
    const struct {
        const char *name;
        double seconds;
    } other[] = {{"own kernel", r->own},
                 {"primitive", r->primitive},
                 {"oneDNN", rival_of(r)}};
    const char *name = "engine";
    double best = r->engine;
    for (size_t j = 0; j < sizeof other / sizeof other[0]; j++)
        if (other[j].seconds > 0 && other[j].seconds < best &&
            other[j].seconds * LOST < r->engine) {
            name = other[j].name;
            best = other[j].seconds;
        }
    *ret_seconds = best;
    return name;
}

static double rate_of(const struct result *r, double seconds)
{
    return seconds > 0 ? bench_case_work(&r->c) / seconds / 1e9 : 0;
}

static double fraction_of(const struct bench *b, const struct result *r)
{
    return rate_of(r, r->engine) /
           (bench_op_moves(r->c.op) ? b->copy_gbs : b->peak_gflops);
}

/* ---- telling ---- */

static void print_ms(double seconds)
{
    if (seconds > 0)
        printf(" %8.3f", 1e3 * seconds);
    else
        printf(" %8s", "-");
}

static void print_row(const struct bench *b, const struct result *r)
{
    char shape[48];
    double best;
    const char *who = winner(r, &best);
    const int l = best_layout(r);
    bench_case_text(&r->c, shape);
    printf("%-17s %-24s %2d", bench_op_name(r->c.op), shape, r->c.times);
    print_ms(r->engine);
    printf(" %7.1f %4.0f%%", rate_of(r, r->engine), 100 * fraction_of(b, r));
    print_ms(r->own);
    print_ms(r->primitive);
    print_ms(rival_of(r));
    printf(" %-8s %s", l < 0 ? "" : bench_layout_name(l), who);
    if (strcmp(who, "engine") != 0)
        printf(" (%.2fx)", r->engine / best);
    printf("\n");
    fflush(stdout);
}

static void print_head(const struct bench *b)
{
    printf("one thread, isa %s, %s, tiles of %d images\n"
           "times in ms; BN's rate is in GB/s, and its share is of the copy; "
           "x: how often the network has it\n\n",
           sn_compute_isa(sn_cx_compute(b->cx)),
           sn_compute_runtime(sn_cx_compute(b->cx)), b->opt.n);
    printf("%-17s %-24s %2s %8s %7s %5s %8s %8s %8s %-8s %s\n", "operator",
           "shape", "x", "engine", "rate", "share", "own", "primit.", "oneDNN",
           "in", "winner");
}

/* The network's time in each operator, and what the best would give. */
static void print_summary(const struct bench *b)
{
    printf("\npeak %.1f GFLOP/s, copy %.1f GB/s (8 MiB)\n", b->peak_gflops,
           b->copy_gbs);
    printf("\n%-17s %9s %9s %9s %6s %s\n", "a network's sum", "engine",
           "oneDNN", "best", "share", "lost shapes");
    for (int op = 0; op < BENCH_OPS; op++) {
        double engine = 0, rival = 0, best = 0, work = 0, quick;
        int n = 0, lost = 0;
        for (int j = 0; j < b->n; j++) {
            const struct result *r = &b->row[j];
            if ((int)r->c.op != op)
                continue;
            n++;
            lost += strcmp(winner(r, &quick), "engine") != 0;
            engine += r->c.times * r->engine;
            rival += r->c.times * rival_of(r);
            best += r->c.times * quick;
            work += r->c.times * bench_case_work(&r->c) / 1e9;
        }
        if (n == 0)
            continue;
        const double limit = bench_op_moves(op) ? b->copy_gbs : b->peak_gflops;
        printf("%-17s %9.3f %9.3f %9.3f %5.0f%% %d of %d\n", bench_op_name(op),
               1e3 * engine, 1e3 * rival, 1e3 * best,
               engine > 0 ? 100 * work / engine / limit : 0, lost, n);
    }
}

static void print_lost(const struct bench *b)
{
    int lost = 0;
    for (int j = 0; j < b->n; j++) {
        const struct result *r = &b->row[j];
        double best;
        char shape[48];
        const char *who = winner(r, &best);
        if (strcmp(who, "engine") == 0)
            continue;
        if (lost++ == 0)
            printf("\nlost by more than %.0f%%:\n", 100 * (LOST - 1));
        bench_case_text(&r->c, shape);
        printf("  %-17s %-24s %.3f ms, %s %.3f ms: %.2fx\n",
               bench_op_name(r->c.op), shape, 1e3 * r->engine, who, 1e3 * best,
               r->engine / best);
    }
    if (lost == 0)
        printf("\nno shape lost by more than %.0f%%\n", 100 * (LOST - 1));
}

static void put_ms(json_t *object, const char *key, double seconds)
{
    if (seconds > 0)
        json_object_set_new(object, key, json_real(1e3 * seconds));
}

static json_t *row_json(const struct bench *b, const struct result *r)
{
    char shape[48], key[32];
    double best;
    const char *who = winner(r, &best);
    const bool moves = bench_op_moves(r->c.op);
    bench_case_text(&r->c, shape);
    json_t *o =
        json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:s, s:f}", "op",
                  bench_op_name(r->c.op), "shape", shape, "n", r->c.n, "times",
                  r->c.times, moves ? "gb_s" : "gflops", rate_of(r, r->engine),
                  moves ? "fraction_of_copy" : "fraction_of_peak",
                  fraction_of(b, r), "winner", who, "best_ms", 1e3 * best);
    put_ms(o, "engine_ms", r->engine);
    put_ms(o, "own_ms", r->own);
    put_ms(o, "primitive_ms", r->primitive);
    put_ms(o, "onednn_ms", rival_of(r));
    for (int l = 0; l < BENCH_LAYOUTS; l++) {
        snprintf(key, sizeof key, "onednn_%s_ms", bench_layout_name(l));
        put_ms(o, key, r->rival[l]);
    }
    json_object_set_new(o, "lost", json_boolean(strcmp(who, "engine") != 0));
    return o;
}

static int write_json(const struct bench *b)
{
    json_t *rows = json_array();
    for (int j = 0; j < b->n; j++)
        json_array_append_new(rows, row_json(b, &b->row[j]));
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:f, s:f}, s:o}",
                             "space", b->opt.space, "arch", b->opt.arch, "isa",
                             sn_compute_isa(sn_cx_compute(b->cx)), "runtime",
                             sn_compute_runtime(sn_cx_compute(b->cx)), "n",
                             b->opt.n, "peaks", "fma_gflops", b->peak_gflops,
                             "copy_gbs", b->copy_gbs, "rows", rows);
    return bench_output_write(root, b->opt.out);
}

/* ---- options ---- */

static const char usage[] =
    "usage: bench_kernels [--n IMAGES] [--ops NAME,...] [--kernels 3,5,7]\n"
    "         [--arch largest|smallest|ID] [--space NAME] [--quick]\n"
    "         [--rounds N] [--out FILE]\n"
    "  --ops      beginnings of operators' names, such as dw_,conv1_weights\n"
    "  --kernels  depthwise sizes to try besides the network's own\n";

static int read_kernels(char *text, struct options *opt)
{
    int n = 0;
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
        const int k = atoi(part);
        if ((k != 3 && k != 5 && k != 7) || n == MAX_KERNELS)
            return -1;
        opt->kernels[n++] = k;
    }
    return 0;
}

static int read_options(int argc, char **argv, struct options *opt)
{
    static const struct option table[] = {
        {"n", required_argument, NULL, 'n'},
        {"ops", required_argument, NULL, 'o'},
        {"kernels", required_argument, NULL, 'k'},
        {"arch", required_argument, NULL, 'a'},
        {"space", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'},
        {"out", required_argument, NULL, 'f'},
        {"quick", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int bad = 0;
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;)
        switch (c) {
        case 'n':
            opt->n = atoi(optarg);
            break;
        case 'o':
            opt->ops = optarg;
            break;
        case 'k':
            bad |= read_kernels(optarg, opt);
            break;
        case 'a':
            opt->arch = optarg;
            break;
        case 's':
            opt->space = optarg;
            break;
        case 'r':
            opt->rounds = atoi(optarg);
            break;
        case 'f':
            opt->out = optarg;
            break;
        case 'q':
            opt->rounds = 3;
            opt->round_s = 0.0005;
            break;
        default:
            bad = 1;
        }
    bad |= opt->n < 1 || opt->n > 4096 || opt->rounds < 1 || optind < argc;
    return bad ? -1 : 0;
}

/* Whether one of the beginnings in `list` is the name's. */
static bool wanted(const char *list, const char *name)
{
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        if (n > 0 && strncmp(list, name, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* The shapes that the options ask for; NULL, with a message, on bad ones. */
static struct result *choose(const struct options *opt, int *ret_n)
{
    static struct bench_case all[BENCH_MAX_CASES];
    const struct sn_space *space = sn_space_find(opt->space);
    struct sn_error err = {0};
    struct sn_arch arch;
    struct sn_plan plan;
    if (!space) {
        fprintf(stderr, "no space \"%s\"\n", opt->space);
        return NULL;
    }
    if (strcmp(opt->arch, "largest") == 0) {
        sn_arch_largest(space, &arch);
    } else if (strcmp(opt->arch, "smallest") == 0) {
        sn_arch_smallest(space, &arch);
    } else if (sn_arch_decode(space, opt->arch, &arch, &err) != SN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return NULL;
    }
    sn_plan_make(space, &arch, 3, 10, &plan);
    const int n = bench_cases_make(&plan, opt->n, opt->kernels, all);
    struct result *row = calloc((size_t)n + 1, sizeof *row);
    for (int j = 0; row && j < n; j++)
        if (!opt->ops || wanted(opt->ops, bench_op_name(all[j].op)))
            row[(*ret_n)++].c = all[j];
    if (row && *ret_n == 0) {
        fprintf(stderr, "no operator's name begins with \"%s\"\n", opt->ops);
        free(row);
        row = NULL;
    }
    return row;
}

int main(int argc, char **argv)
{
    struct bench b = {.opt = {.n = 16,
                              .rounds = 5,
                              .round_s = 0.002,
                              .arch = "largest",
                              .space = "mbv3-cifar",
                              .out = "bench/kernels.json"}};
    struct sn_compute *compute = NULL;
    struct sn_error err = {0};
    int rc = 1;

    if (read_options(argc, argv, &b.opt) != 0) {
        fputs(usage, stderr);
        return 2;
    }
    omp_set_num_threads(1);
    b.row = choose(&b.opt, &b.n);
    if (!b.row)
        return 2;
    if (sn_compute_new(NULL, &compute, &err) != SN_OK ||
        sn_cx_new(compute, &b.cx, &err) != SN_OK) {
        fprintf(stderr, "%s\n", err.message);
        goto out;
    }
    b.peak_gflops = bench_peak_gflops(BENCH_PEAK_F32, 1, 0.1);
    b.copy_gbs = bench_peak_copy_gbs(COPY_BYTES, 1, 0.1);
    print_head(&b);
    for (int j = 0; j < b.n; j++) {
        if (measure(&b, &b.row[j]) != 0 ||
            sn_cx_take_error(b.cx, &err) != SN_OK) {
            fprintf(stderr, "%s\n", err.message[0] ? err.message : "no memory");
            goto out;
        }
        print_row(&b, &b.row[j]);
    }
    print_summary(&b);
    print_lost(&b);
    rc = write_json(&b) != 0;
out:
    sn_cx_free(b.cx);
    sn_compute_free(compute);
    free(b.row);
    return rc;
}
