#include "engine/device/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/cover.h"
#include "engine/device/keys.h"
#include "engine/device/latency.h"

/* Networks that are larger together are measured one after the other. */
static const double MOST_BYTES = 1e9;

enum { DEFAULT_ARCHITECTURES = 16, MAX_PARTS = SN_MAX_BLOCKS + 2 };

/* Samples of one key, from every place where the block stands. */
struct samples {
    char key[SN_TABLE_KEY_MAX];
    double *ns;
    size_t n, room;
};

struct survey {
    struct sn_cx *cx;
    const struct sn_space *space;
    int in_channels, classes;
    const atomic_bool *stop;
    uint64_t seed;
    bool one_by_one; /* no network is there but while it is measured */
    uint32_t n_cover, n_random;
    struct sn_arch *arch; /* covering ones, then random ones */
    struct sn_static **net;
    struct sn_static_space *memory;
    struct sn_arena arena;
    float *image, *logits;
    struct samples *set; /* one a key */
    size_t n_sets, sets_room;
};

static void survey_close(struct survey *v)
{
    for (uint32_t i = 0; v->net != NULL && i < v->n_cover + v->n_random; i++)
        sn_static_free(v->net[i]);
    for (size_t i = 0; i < v->n_sets; i++)
        free(v->set[i].ns);
    sn_static_space_free(v->memory);
    sn_arena_close(&v->arena);
    free(v->arch);
    free(v->net);
    free(v->set);
}

static bool keep_sample(struct survey *v, const char *key, double ns)
{
    struct samples *s = NULL;
    for (size_t i = 0; i < v->n_sets && s == NULL; i++)
        if (strcmp(v->set[i].key, key) == 0)
            s = &v->set[i];
    if (s == NULL) {
        if (v->n_sets == v->sets_room) {
            size_t room = v->sets_room ? 2 * v->sets_room : 128;
            void *grown = realloc(v->set, room * sizeof v->set[0]);
            if (grown == NULL)
                return false;
            v->set = grown;
            v->sets_room = room;
        }
        s = &v->set[v->n_sets++];
        memset(s, 0, sizeof *s);
        snprintf(s->key, sizeof s->key, "%s", key);
    }
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        void *grown = realloc(s->ns, room * sizeof s->ns[0]);
        if (grown == NULL)
            return false;
        s->ns = grown;
        s->room = room;
    }
    s->ns[s->n++] = ns;
    return true;
}

/* The i-th of those that correct the sum of the parts. */
static void draw(const struct sn_space *space, uint32_t i, uint64_t seed,
                 struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_DEVICE, 2 + i);
    struct sn_limits all;
    sn_limits_all(space, &all);
    if (i == 0)
        sn_arch_largest(space, ret);
    else if (i == 1)
        sn_arch_smallest(space, ret);
    else
        sn_arch_sample(space, &all, &rng, ret);
}

static enum sn_err choose_architectures(struct survey *v, uint64_t seed,
                                        struct sn_error *err)
{
    uint32_t n = v->n_cover + v->n_random;
    v->arch = calloc(n, sizeof v->arch[0]);
    v->net = calloc(n, sizeof v->net[0]);
    if (v->arch == NULL || v->net == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to measure");
    for (uint32_t i = 0; i < v->n_cover; i++)
        sn_cover_arch(v->space, i, &v->arch[i]);
    for (uint32_t i = 0; i < v->n_random; i++)
        draw(v->space, i, seed, &v->arch[v->n_cover + i]);
    return SN_OK;
}

double sn_table_bytes(const struct sn_compute *compute,
                      const struct sn_space *space, int in_channels,
                      int classes, uint64_t seed)
{
    uint32_t n_cover = sn_cover_count(space),
             n = n_cover + DEFAULT_ARCHITECTURES;
    struct sn_arch arch;
    struct sn_plan plan;
    double sum = 0, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i < n_cover)
            sn_cover_arch(space, i, &arch);
        else
            draw(space, i - n_cover, seed, &arch);
        sn_plan_make(space, &arch, in_channels, classes, &plan);
        double one = (double)sn_static_bytes(compute, &plan);
        sum += one;
        most = one > most ? one : most;
    }
    sn_arch_largest(space, &arch);
    sn_plan_make(space, &arch, in_channels, classes, &plan);
    return (sum > MOST_BYTES ? most : sum) +
           (double)sn_static_space_bytes(compute, &plan, 1);
}

static enum sn_err make_network(struct survey *v, uint32_t i,
                                struct sn_error *err)
{
    struct sn_plan plan;
    sn_plan_make(v->space, &v->arch[i], v->in_channels, v->classes, &plan);
    return sn_static_new_random(sn_cx_compute(v->cx), &plan, v->seed,
                                &v->net[i], err);
}

static double networks_bytes(const struct survey *v)
{
    double sum = 0;
    for (uint32_t i = 0; i < v->n_cover + v->n_random; i++) {
        struct sn_plan plan;
        sn_plan_make(v->space, &v->arch[i], v->in_channels, v->classes, &plan);
        sum += (double)sn_static_bytes(sn_cx_compute(v->cx), &plan);
    }
    return sum;
}

static enum sn_err survey_open(struct survey *v, struct sn_error *err)
{
    struct sn_compute *compute = sn_cx_compute(v->cx);
    struct sn_plan plan;
    struct sn_arch largest;
    enum sn_err rc = choose_architectures(v, v->seed, err);

    v->one_by_one = rc == SN_OK && networks_bytes(v) > MOST_BYTES;
    for (uint32_t i = 0;
         rc == SN_OK && !v->one_by_one && i < v->n_cover + v->n_random; i++)
        rc = make_network(v, i, err);
    if (rc != SN_OK)
        return rc;
    sn_arch_largest(v->space, &largest);
    sn_plan_make(v->space, &largest, v->in_channels, v->classes, &plan);
    size_t image =
        (size_t)v->in_channels * v->space->resolution * v->space->resolution;
    size_t logits = (size_t)sn_compute_padded(compute, v->classes);
    rc = sn_static_space_new(compute, &plan, 1, &v->memory, err);
    if (rc == SN_OK)
        rc = sn_arena_init(&v->arena,
                           (sn_arena_round(image) + sn_arena_round(logits)) *
                               sizeof(float),
                           err);
    if (rc != SN_OK)
        return rc;
    v->image = sn_arena_floats(&v->arena, image);
    v->logits = sn_arena_floats(&v->arena, logits);
    struct sn_rng rng = sn_rng_make(v->seed, SN_STREAM_DEVICE, 0);
    for (size_t i = 0; i < image; i++)
        v->image[i] = (float)sn_rng_normal(&rng);
    return SN_OK;
}

/* Runs of one covering network; the first ones only warm it up. */
static bool time_parts(struct survey *v, uint32_t i)
{
    enum { WARM = 2, RUNS = 6 };
    const struct sn_plan *plan = &sn_static_folded(v->net[i])->plan;
    double ns[MAX_PARTS];
    char key[SN_TABLE_KEY_MAX];
    for (int run = 0; run < WARM + RUNS; run++) {
        sn_static_forward_timed(v->net[i], v->cx, v->memory, v->image, 1,
                                v->logits, ns);
        for (int part = 0; run >= WARM && part <= plan->n_blocks + 1; part++) {
            sn_key_make(plan, part, key);
            if (!keep_sample(v, key, ns[part]))
                return false;
        }
    }
    return true;
}

/* A whole random architecture, as a user of it would see it. */
static bool time_whole(struct survey *v, uint32_t i)
{
    enum { WARM = 2, RUNS = 6 };
    char key[SN_TABLE_KEY_MAX];
    double ns[MAX_PARTS];
    int parts = sn_static_folded(v->net[i])->plan.n_blocks + 2;
    sn_key_make_arch(v->space, &v->arch[i], key);
    for (int run = 0; run < WARM + RUNS; run++) {
        double sum = 0;
        sn_static_forward_timed(v->net[i], v->cx, v->memory, v->image, 1,
                                v->logits, ns);
        for (int part = 0; part < parts; part++)
            sum += ns[part];
        if (run >= WARM && !keep_sample(v, key, sum))
            return false;
    }
    return true;
}

/* One turn of a network; what it took is taken from *left. */
static enum sn_err survey_network(struct survey *v, uint32_t i, double *left,
                                  struct sn_error *err)
{
    double before = 0, ns[MAX_PARTS];
    if (v->stop != NULL && atomic_load(v->stop))
        return sn_error_set(err, SN_ERR_STOPPED, "measuring was stopped");
    sn_static_forward_timed(v->net[i], v->cx, v->memory, v->image, 1, v->logits,
                            ns);
    for (int part = 0; part < sn_static_folded(v->net[i])->plan.n_blocks + 2;
         part++)
        before += ns[part];
    bool ok = i < v->n_cover ? time_parts(v, i) : time_whole(v, i);
    if (!ok)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to measure");
    *left -= 9 * before; /* it ran nine times */
    return SN_OK;
}

enum { ROUNDS = 3 };

/* Every network made, measured and freed. */
static enum sn_err survey_one_by_one(struct survey *v, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    double unused = 0;
    for (uint32_t i = 0; rc == SN_OK && i < v->n_cover + v->n_random; i++) {
        rc = make_network(v, i, err);
        for (int round = 0; rc == SN_OK && round < ROUNDS; round++)
            rc = survey_network(v, i, &unused, err);
        sn_static_free(v->net[i]);
        v->net[i] = NULL;
    }
    return rc == SN_OK ? sn_cx_take_error(v->cx, err) : rc;
}

/* Rounds over all networks in turn until the time is over, at least three. */
static enum sn_err survey_run(struct survey *v, double seconds,
                              struct sn_error *err)
{
    double left = seconds * 1e9;
    if (v->one_by_one)
        return survey_one_by_one(v, err);
    for (int round = 0; round < ROUNDS || left > 0; round++) {
        for (uint32_t i = 0; i < v->n_cover + v->n_random; i++) {
            enum sn_err rc = survey_network(v, i, &left, err);
            if (rc != SN_OK)
                return rc;
        }
    }
    return sn_cx_take_error(v->cx, err);
}

enum sn_err sn_table_measure(struct sn_cx *cx, const struct sn_space *space,
                             int in_channels, int classes, uint64_t seed,
                             const struct sn_table_budget *budget,
                             const atomic_bool *stop, struct sn_table **ret,
                             struct sn_error *err)
{
    struct survey v = {.cx = cx,
                       .space = space,
                       .in_channels = in_channels,
                       .classes = classes,
                       .stop = stop,
                       .seed = seed,
                       .n_cover = sn_cover_count(space),
                       .n_random = DEFAULT_ARCHITECTURES};
    double seconds = 3;
    struct sn_table_row *row = NULL;
    enum sn_err rc;

    if (budget != NULL && budget->architectures > 0)
        v.n_random = budget->architectures;
    if (budget != NULL && budget->seconds > 0)
        seconds = budget->seconds;
    rc = survey_open(&v, err);
    if (rc == SN_OK)
        rc = survey_run(&v, seconds, err);
    if (rc != SN_OK)
        goto out;
    row = calloc(v.n_sets, sizeof row[0]);
    if (row == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a table");
        goto out;
    }
    for (size_t i = 0; i < v.n_sets; i++) {
        struct sn_latency stats;
        sn_latency_stats(v.set[i].ns, v.set[i].n, &stats);
        snprintf(row[i].key, sizeof row[i].key, "%s", v.set[i].key);
        row[i].median_ns = fmax(stats.median_ns, 1);
        row[i].spread_ns = stats.spread_ns;
        row[i].samples = stats.samples;
    }
    rc = sn_table_from_rows(space, in_channels, classes, row, v.n_sets, ret,
                            err);
out:
    free(row);
    survey_close(&v);
    return rc;
}
