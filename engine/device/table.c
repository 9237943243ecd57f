#include "engine/device/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/cover.h"
#include "engine/device/keys.h"

struct sn_table {
    const struct sn_space *space;
    int in_channels, classes;
    struct sn_table_row *row; /* sorted by key, distinct */
    size_t n;
    struct sn_table_fit fit;
};

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

/* ---- estimates ---- */

/* The plain sum of an architecture's parts, NAN when one has no row. */
static double sum_of_rows(const struct sn_table *t, const struct sn_arch *arch)
{
    struct sn_plan plan;
    char key[SN_TABLE_KEY_MAX];
    double sum = 0;
    plan_of(t, arch, &plan);
    for (int part = 0; part <= plan.n_blocks + 1; part++) {
        sn_key_make(&plan, part, key);
        const struct sn_table_row *row = find(t, key);
        sum += row != NULL ? row->median_ns : NAN;
    }
    return sum;
}

static double sum_of_parts(const struct sn_table *t, const struct sn_arch *arch)
{
    struct sn_arch below = *arch, above = *arch;
    int i = 0;
    while (sn_cover_resolution(t->space, i) < arch->resolution)
        i++;
    above.resolution = sn_cover_resolution(t->space, i);
    if (above.resolution == arch->resolution)
        return sum_of_rows(t, arch);
    below.resolution = sn_cover_resolution(t->space, i - 1);
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

/* The correction from the arch rows; without any, the sum itself. */
static void fit_correction(struct sn_table *t, double *x, double *y)
{
    size_t n = 0;
    double errors = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct sn_arch arch;
        const char *id = sn_key_arch_id(t->row[i].key);
        if (id == NULL || sn_arch_decode(t->space, id, &arch, NULL) != SN_OK)
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

/* ---- from rows ---- */

static bool row_is_sound(const struct sn_table *t,
                         const struct sn_table_row *row, size_t i,
                         struct sn_error *err)
{
    struct sn_arch arch;
    const char *id = sn_key_arch_id(row->key), *why = NULL;
    if (!(row->median_ns > 0) || !(row->median_ns < 1e15) ||
        !(row->spread_ns >= 0) || row->samples == 0)
        why = "is no latency";
    else if (i > 0 && strcmp(row[-1].key, row->key) == 0)
        why = "is there twice";
    else if (id != NULL && sn_arch_decode(t->space, id, &arch, NULL) != SN_OK)
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
    for (uint32_t i = 0; rc == SN_OK && i < sn_cover_count(t->space); i++) {
        struct sn_arch arch;
        struct sn_plan plan;
        char key[SN_TABLE_KEY_MAX];
        sn_cover_arch(t->space, i, &arch);
        plan_of(t, &arch, &plan);
        for (int part = 0; part <= plan.n_blocks + 1; part++) {
            sn_key_make(&plan, part, key);
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
        if (!seen[i] && sn_key_arch_id(t->row[i].key) == NULL)
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
