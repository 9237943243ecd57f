#include "engine/device/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/latency.h"

/* Networks that are larger together are measured one after the other. */
static const double MOST_BYTES = 1e9;

enum { DEFAULT_ARCHITECTURES = 16, MAX_PARTS = SN_MAX_BLOCKS + 2 };

struct sn_table {
    const struct sn_space *space;
    int in_channels, classes;
    struct sn_table_row *row; /* sorted by key, distinct */
    size_t n;
    struct sn_table_fit fit;
};

/* ---- keys ---- */

static const char *const act_names[] = {"none", "relu", "hswish", "relu6"};

static void resnet_part_key(const struct sn_plan *plan, int part,
                            char ret[SN_TABLE_KEY_MAX])
{
    if (part == 0) {
        snprintf(ret, SN_TABLE_KEY_MAX, "stem3/%d-%d-%d/s%d/%s/%d",
                 plan->in_channels, plan->stem_mid, plan->stem_out,
                 plan->stem_stride, plan->stem_residual ? "res" : "plain",
                 plan->resolution);
        return;
    }
    if (part == plan->n_blocks + 1) {
        snprintf(ret, SN_TABLE_KEY_MAX, "pooled/%d-%d/%d", plan->head_out,
                 plan->classes, plan->head_size);
        return;
    }
    const struct sn_block_plan *b = &plan->block[part - 1];
    snprintf(ret, SN_TABLE_KEY_MAX, "bottleneck/%d-%d-%d/s%d/%d/%s", b->in,
             b->mid, b->out, b->stride, b->in_size,
             b->downsamples ? "down" : "res");
}

/* part 0: the stem; 1 + i: block i; n_blocks + 1: the head. */
static void part_key(const struct sn_plan *plan, int part,
                     char ret[SN_TABLE_KEY_MAX])
{
    if (plan->family == SN_FAMILY_RESNET) {
        resnet_part_key(plan, part, ret);
        return;
    }
    if (part == 0) {
        snprintf(ret, SN_TABLE_KEY_MAX, "stem/%d-%d/s%d/%s/%d",
                 plan->in_channels, plan->stem_out, plan->stem_stride,
                 act_names[plan->stem_act], plan->resolution);
        return;
    }
    if (part == plan->n_blocks + 1) {
        snprintf(ret, SN_TABLE_KEY_MAX, "head/%d-%d-%d-%d/%s/%d", plan->head_in,
                 plan->head_out, plan->feature_out, plan->classes,
                 act_names[plan->head_act], plan->head_size);
        return;
    }
    const struct sn_block_plan *b = &plan->block[part - 1];
    snprintf(ret, SN_TABLE_KEY_MAX, "block/%d-%d-%d/k%d/s%d/se%d/%s/%d/%s",
             b->in, b->mid, b->out, b->kernel, b->stride, b->se_mid,
             act_names[b->act], b->in_size, b->residual ? "res" : "plain");
}

static int by_key(const void *a, const void *b)
{
    const struct sn_table_row *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static const struct sn_table_row *find(const struct sn_table *t,
                                       const char *key)
{
    struct sn_table_row wanted;
    snprintf(wanted.key, sizeof wanted.key, "%s", key);
    return bsearch(&wanted, t->row, t->n, sizeof t->row[0], by_key);
}

static void plan_of(const struct sn_table *t, const struct sn_arch *arch,
                    struct sn_plan *ret)
{
    sn_plan_make(t->space, arch, t->in_channels, t->classes, ret);
}

/* ---- resolutions ---- */

/* Blocks are measured at so many of the space's resolutions, its ends among
 * them. Between two of these a sum of parts goes with the number of pixels. */
enum { ANCHORS = 3 };

static int anchor_count(const struct sn_space *space)
{
    return space->n_resolutions < ANCHORS ? space->n_resolutions : ANCHORS;
}

static uint16_t anchor(const struct sn_space *space, int i)
{
    int n = anchor_count(space);
    return space
        ->resolutions[n == 1 ? 0 : i * (space->n_resolutions - 1) / (n - 1)];
}

/* ---- estimates ---- */

/* The plain sum of an architecture's parts, NAN when one has no row. */
static double sum_of_rows(const struct sn_table *t, const struct sn_arch *arch)
{
    struct sn_plan plan;
    char key[SN_TABLE_KEY_MAX];
    double sum = 0;
    plan_of(t, arch, &plan);
    for (int part = 0; part <= plan.n_blocks + 1; part++) {
        part_key(&plan, part, key);
        const struct sn_table_row *row = find(t, key);
        sum += row != NULL ? row->median_ns : NAN;
    }
    return sum;
}

static double sum_of_parts(const struct sn_table *t, const struct sn_arch *arch)
{
    struct sn_arch below = *arch, above = *arch;
    int i = 0;
    while (anchor(t->space, i) < arch->resolution)
        i++;
    above.resolution = anchor(t->space, i);
    if (above.resolution == arch->resolution)
        return sum_of_rows(t, arch);
    below.resolution = anchor(t->space, i - 1);
    double lo = below.resolution, hi = above.resolution, r = arch->resolution;
    double share = (r * r - lo * lo) / (hi * hi - lo * lo);
    return (1 - share) * sum_of_rows(t, &below) +
           share * sum_of_rows(t, &above);
}

/* Weighted least squares of y = a + b x with weights 1 / y^2, so that relative
 * errors are fitted; leaves out point `skip` (n: none). */
static void fit_line(const double *x, const double *y, size_t n, size_t skip,
                     double *ret_a, double *ret_b)
{
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == skip)
            continue;
        double w = 1 / (y[i] * y[i]);
        sw += w;
        sx += w * x[i];
        sy += w * y[i];
        sxx += w * x[i] * x[i];
        sxy += w * x[i] * y[i];
    }
    double d = sw * sxx - sx * sx;
    bool flat = d <= 1e-12 * sw * sxx;
    *ret_b = flat ? sy / sx : (sw * sxy - sx * sy) / d;
    *ret_a = flat ? 0 : (sy - *ret_b * sx) / sw;
}

static bool is_arch(const struct sn_table_row *row)
{
    return strncmp(row->key, "arch/", 5) == 0;
}

/* The correction from the arch rows; without any, the sum itself. */
static void fit_correction(struct sn_table *t, double *x, double *y)
{
    size_t n = 0;
    double errors = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct sn_arch arch;
        if (!is_arch(&t->row[i]) ||
            sn_arch_decode(t->space, t->row[i].key + 5, &arch, NULL) != SN_OK)
            continue;
        x[n] = sum_of_parts(t, &arch);
        y[n++] = t->row[i].median_ns;
    }
    t->fit = (struct sn_table_fit){.slope = 1};
    if (n == 0)
        return;
    t->fit.architectures = (uint32_t)n;
    fit_line(x, y, n, n, &t->fit.intercept_ns, &t->fit.slope);
    for (size_t i = 0; n > 2 && i < n; i++) {
        double a, b;
        fit_line(x, y, n, i, &a, &b);
        double e = (a + b * x[i]) / y[i] - 1;
        errors += e * e;
    }
    t->fit.relative_error = n > 2 ? sqrt(errors / (double)n) : 0;
}

void sn_table_estimate(const struct sn_table *t, const struct sn_arch *arch,
                       struct sn_estimate *ret)
{
    double sum = sum_of_parts(t, arch);
    ret->ns = t->fit.intercept_ns + t->fit.slope * sum;
    /* far below all that was fitted on a line can cross zero */
    if (ret->ns < 0.1 * sum)
        ret->ns = 0.1 * sum;
    ret->low_ns = ret->ns * fmax(0, 1 - 1.96 * t->fit.relative_error);
    ret->high_ns = ret->ns * (1 + 1.96 * t->fit.relative_error);
}

void sn_table_fit(const struct sn_table *t, struct sn_table_fit *ret)
{
    *ret = t->fit;
}

size_t sn_table_rows(const struct sn_table *t, const struct sn_table_row **ret)
{
    *ret = t->row;
    return t->n;
}

void sn_table_free(struct sn_table *t)
{
    if (t == NULL)
        return;
    free(t->row);
    free(t);
}

/* ---- covering architectures ---- */

/* Of the ResNet family a block is its expand and the widths before and after
 * it, the stem its two widths and its residual. Two widths take turns along the
 * network, so that pairs of neighbours take all pairs of choices. */
static uint32_t resnet_cover_count(const struct sn_space *space)
{
    uint32_t widths = space->n_width_ratios, expands = 1;
    for (int s = 0; s < space->n_stages; s++)
        if (space->stage[s].expand.n > expands)
            expands = space->stage[s].expand.n;
    if (space->elastic_stem && expands < 2)
        expands = 2;
    return widths * widths * expands;
}

static void resnet_cover(const struct sn_space *space, uint32_t i,
                         struct sn_arch *ret)
{
    uint32_t n = space->n_width_ratios, e = i / n / n;
    for (int w = 0; w < SN_STEM_WIDTHS + space->n_stages; w++)
        ret->width[w] = (uint8_t)(w % 2 ? i / n % n : i % n);
    if (space->elastic_stem)
        ret->stem = e % 2;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_choices *expand = &space->stage[s].expand;
        for (int b = 0; b < ret->depth[s]; b++)
            ret->expand[s][b] = expand->value[e % expand->n];
    }
}

/* The i-th covering architecture: at full depth every block takes choice i of
 * (kernel, expand), so that together they hold every distinct block; and that
 * at each resolution that is measured. */
static uint32_t cover_choices(const struct sn_space *space)
{
    uint32_t most = 0;
    if (space->family == SN_FAMILY_RESNET)
        return resnet_cover_count(space);
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *st = &space->stage[s];
        uint32_t n = (uint32_t)st->kernel.n * st->expand.n;
        most = n > most ? n : most;
    }
    return most;
}

static uint32_t cover_count(const struct sn_space *space)
{
    return cover_choices(space) * (uint32_t)anchor_count(space);
}

static void cover(const struct sn_space *space, uint32_t i, struct sn_arch *ret)
{
    sn_arch_largest(space, ret);
    ret->resolution = anchor(space, (int)(i / cover_choices(space)));
    i %= cover_choices(space);
    if (space->family == SN_FAMILY_RESNET) {
        resnet_cover(space, i, ret);
        return;
    }
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *st = &space->stage[s];
        uint32_t c = i % ((uint32_t)st->kernel.n * st->expand.n);
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = st->kernel.value[c % st->kernel.n];
            ret->expand[s][b] = st->expand.value[c / st->kernel.n];
        }
    }
}

/* ---- from rows ---- */

static bool row_is_sound(const struct sn_table *t,
                         const struct sn_table_row *row, size_t i,
                         struct sn_error *err)
{
    struct sn_arch arch;
    const char *why = NULL;
    if (!(row->median_ns > 0) || !(row->median_ns < 1e15) ||
        !(row->spread_ns >= 0) || row->samples == 0)
        why = "is no latency";
    else if (i > 0 && strcmp(row[-1].key, row->key) == 0)
        why = "is there twice";
    else if (is_arch(row) &&
             sn_arch_decode(t->space, row->key + 5, &arch, NULL) != SN_OK)
        why = "is no architecture of this space";
    if (why != NULL)
        sn_error_set(err, SN_ERR_INVALID, "latency row '%s' %s", row->key, why);
    return why == NULL;
}

/* Every block of the space has a row, and every row is of the space. */
static enum sn_err check_coverage(const struct sn_table *t,
                                  struct sn_error *err)
{
    bool *seen = calloc(t->n + 1, sizeof seen[0]);
    enum sn_err rc = SN_OK;
    if (seen == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a table");
    for (uint32_t i = 0; rc == SN_OK && i < cover_count(t->space); i++) {
        struct sn_arch arch;
        struct sn_plan plan;
        char key[SN_TABLE_KEY_MAX];
        cover(t->space, i, &arch);
        plan_of(t, &arch, &plan);
        for (int part = 0; part <= plan.n_blocks + 1; part++) {
            part_key(&plan, part, key);
            const struct sn_table_row *row = find(t, key);
            if (row == NULL) {
                rc = sn_error_set(err, SN_ERR_NOTFOUND,
                                  "there is no latency of %s", key);
                break;
            }
            seen[row - t->row] = true;
        }
    }
    for (size_t i = 0; rc == SN_OK && i < t->n; i++)
        if (!seen[i] && !is_arch(&t->row[i]))
            rc = sn_error_set(err, SN_ERR_INVALID,
                              "latency row '%s' is of another space",
                              t->row[i].key);
    free(seen);
    return rc;
}

enum sn_err sn_table_from_rows(const struct sn_space *space, int in_channels,
                               int classes, const struct sn_table_row *rows,
                               size_t n, struct sn_table **ret,
                               struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    double *xy = calloc(2 * n + 1, sizeof xy[0]);
    struct sn_table *t = calloc(1, sizeof *t);
    if (t != NULL)
        t->row = calloc(n + 1, sizeof t->row[0]);
    if (xy == NULL || t == NULL || t->row == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a table");
        goto out;
    }
    t->space = space;
    t->in_channels = in_channels;
    t->classes = classes;
    t->n = n;
    for (size_t i = 0; i < n; i++) {
        t->row[i] = rows[i];
        t->row[i].key[SN_TABLE_KEY_MAX - 1] = '\0';
    }
    qsort(t->row, n, sizeof t->row[0], by_key);
    for (size_t i = 0; i < n && rc == SN_OK; i++)
        if (!row_is_sound(t, &t->row[i], i, err))
            rc = SN_ERR_INVALID;
    if (rc == SN_OK)
        rc = check_coverage(t, err);
    if (rc == SN_OK)
        fit_correction(t, xy, xy + n);
out:
    free(xy);
    if (rc == SN_OK)
        *ret = t;
    else
        sn_table_free(t);
    return rc;
}

/* ---- measuring ---- */

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
        cover(v->space, i, &v->arch[i]);
    for (uint32_t i = 0; i < v->n_random; i++)
        draw(v->space, i, seed, &v->arch[v->n_cover + i]);
    return SN_OK;
}

double sn_table_bytes(const struct sn_compute *compute,
                      const struct sn_space *space, int in_channels,
                      int classes, uint64_t seed)
{
    uint32_t n_cover = cover_count(space), n = n_cover + DEFAULT_ARCHITECTURES;
    struct sn_arch arch;
    struct sn_plan plan;
    double sum = 0, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i < n_cover)
            cover(space, i, &arch);
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
            part_key(plan, part, key);
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
    char key[SN_TABLE_KEY_MAX] = "arch/";
    double ns[MAX_PARTS];
    int parts = sn_static_folded(v->net[i])->plan.n_blocks + 2;
    sn_arch_encode(v->space, &v->arch[i], key + 5);
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
                       .n_cover = cover_count(space),
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
