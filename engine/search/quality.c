#include "engine/search/quality.h"

#include <math.h>
#include <stdlib.h>

#include "engine/rng.h"

enum { REPLICATES = 1000, MIN_REPLICATES = 100, FULL_REPLICATES_UP_TO = 500 };

/* ---- Kendall ---- */

/* What tau-b is made of: tau = agree / sqrt(in_a * in_b). */
struct pairs {
    double agree;      /* concordant less discordant */
    double in_a, in_b; /* pairs not tied in a, in b */
};

static double tau_of(struct pairs p)
{
    return p.in_a > 0 && p.in_b > 0 ? p.agree / sqrt(p.in_a * p.in_b) : 0;
}

static int sign(double x)
{
    return (x > 0) - (x < 0);
}

/* Counts over all pairs, and over pairs inside a band. index: a resample, or
 * NULL; band: NULL for one band. */
static void count_pairs(const double *a, const double *b, const uint32_t *band,
                        const uint32_t *index, uint32_t n,
                        struct pairs *ret_all, struct pairs *ret_within)
{
    int64_t all[3] = {0}, within[3] = {0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t u = index != NULL ? index[i] : i;
        for (uint32_t j = 0; j < i; j++) {
            uint32_t v = index != NULL ? index[j] : j;
            int sa = sign(a[u] - a[v]), sb = sign(b[u] - b[v]);
            int same = band == NULL || band[u] == band[v];
            all[0] += sa * sb;
            all[1] += sa != 0;
            all[2] += sb != 0;
            within[0] += same * sa * sb;
            within[1] += same * (sa != 0);
            within[2] += same * (sb != 0);
        }
    }
    *ret_all = (struct pairs){(double)all[0], (double)all[1], (double)all[2]};
    *ret_within =
        (struct pairs){(double)within[0], (double)within[1], (double)within[2]};
}

double sn_quality_kendall_within(const double *a, const double *b,
                                 const uint32_t *band, uint32_t n)
{
    struct pairs all, within;
    count_pairs(a, b, band, NULL, n, &all, &within);
    return tau_of(within);
}

double sn_quality_kendall(const double *a, const double *b, uint32_t n)
{
    return sn_quality_kendall_within(a, b, NULL, n);
}

/* ---- ranks and errors ---- */

struct item {
    double value;
    uint32_t index;
};

static int by_value(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    int s = sign(a->value - b->value);
    return s != 0 ? s : (a->index > b->index) - (a->index < b->index);
}

/* Mean ranks into rank[]; `item` is room for n. */
static void rank(const double *x, uint32_t n, struct item *item, double *ret)
{
    for (uint32_t i = 0; i < n; i++)
        item[i] = (struct item){x[i], i};
    qsort(item, n, sizeof *item, by_value);
    for (uint32_t i = 0; i < n;) {
        uint32_t j = i;
        while (j < n && item[j].value == item[i].value)
            j++;
        for (uint32_t k = i; k < j; k++)
            ret[item[k].index] = ((double)i + (double)j - 1) / 2;
        i = j;
    }
}

static double pearson(const double *a, const double *b, uint32_t n)
{
    double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
    for (uint32_t i = 0; i < n; i++) {
        ma += a[i];
        mb += b[i];
    }
    ma /= n; /* exact when all ranks are tied, so that aa is exactly 0 */
    mb /= n;
    for (uint32_t i = 0; i < n; i++) {
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
        ab += (a[i] - ma) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

enum sn_err sn_quality_spearman(const double *a, const double *b, uint32_t n,
                                double *ret, struct sn_error *err)
{
    double *ranks = malloc(2 * ((size_t)n + 1) * sizeof *ranks);
    struct item *item = malloc(((size_t)n + 1) * sizeof *item);
    enum sn_err rc = SN_OK;
    if (ranks == NULL || item == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for %u ranks", n);
    } else {
        rank(a, n, item, ranks);
        rank(b, n, item, ranks + n);
        *ret = pearson(ranks, ranks + n, n);
    }
    free(item);
    free(ranks);
    return rc;
}

double sn_quality_mae(const double *a, const double *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += fabs(a[i] - b[i]);
    return n > 0 ? sum / n : 0;
}

/* How many are better than item i: larger, or equal with a lower index. */
static uint32_t better_than(const double *x, uint32_t n, uint32_t i)
{
    uint32_t count = 0;
    for (uint32_t j = 0; j < n; j++)
        count += x[j] > x[i] || (x[j] == x[i] && j < i);
    return count;
}

double sn_quality_top_k(const double *measured, const double *predicted,
                        uint32_t n, uint32_t k)
{
    uint32_t hits = 0;
    k = k < n ? k : n;
    for (uint32_t i = 0; i < n; i++)
        hits +=
            better_than(measured, n, i) < k && better_than(predicted, n, i) < k;
    return k > 0 ? (double)hits / k : 0;
}

/* ---- intervals ---- */

static int by_number(const void *x, const void *y)
{
    return sign(*(const double *)x - *(const double *)y);
}

static void interval(double *value, uint32_t n, double *ret_lo, double *ret_hi)
{
    qsort(value, n, sizeof *value, by_number);
    *ret_lo = value[(uint32_t)(0.05 * (n - 1) + 0.5)];
    *ret_hi = value[(uint32_t)(0.95 * (n - 1) + 0.5)];
}

static uint32_t replicates(uint32_t n)
{
    double share = (double)FULL_REPLICATES_UP_TO / (n > 0 ? n : 1);
    double wanted = REPLICATES * share * share;
    if (wanted > REPLICATES)
        return REPLICATES;
    return wanted < MIN_REPLICATES ? MIN_REPLICATES : (uint32_t)wanted;
}

/* ---- all of it, with intervals ---- */

enum { STATS = 6 }; /* the members of struct sn_quality, in their order */

/* Columns of a resample, and room to rank them. */
struct resample {
    double *column[3];
    uint32_t *band;
    struct item *item;
    double *ranks;
};

static void resample_close(struct resample *r)
{
    free(r->column[0]);
    free(r->band);
    free(r->item);
    free(r->ranks);
}

static enum sn_err resample_init(struct resample *r, uint32_t n,
                                 struct sn_error *err)
{
    size_t room = (size_t)n + 1;
    *r = (struct resample){{malloc(3 * room * sizeof(double))},
                           malloc(room * sizeof(uint32_t)),
                           malloc(room * sizeof(struct item)),
                           malloc(2 * room * sizeof(double))};
    if (r->column[0] == NULL || r->band == NULL || r->item == NULL ||
        r->ranks == NULL) {
        resample_close(r);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a bootstrap");
    }
    r->column[1] = r->column[0] + room;
    r->column[2] = r->column[1] + room;
    return SN_OK;
}

static double coverage(const double *measured, const double *predicted,
                       const double *deviation, uint32_t n)
{
    const double normal_90 = 1.6448536269514722; /* both sides */
    uint32_t inside = 0;
    for (uint32_t i = 0; i < n; i++)
        inside += fabs(measured[i] - predicted[i]) <= normal_90 * deviation[i];
    return n > 0 ? (double)inside / n : 0;
}

static void statistics(const struct resample *r, uint32_t n, double ret[STATS])
{
    const double *a = r->column[0], *b = r->column[1];
    struct pairs all, within;
    count_pairs(a, b, r->band, NULL, n, &all, &within);
    rank(a, n, r->item, r->ranks);
    rank(b, n, r->item, r->ranks + n);
    ret[0] = tau_of(all);
    ret[1] = tau_of(within);
    ret[2] = pearson(r->ranks, r->ranks + n, n);
    ret[3] = sn_quality_mae(a, b, n);
    ret[4] = sn_quality_top_k(a, b, n, n < 10 ? 1 : n / 10);
    ret[5] = coverage(a, b, r->column[2], n);
}

/* index NULL: the items as they are. */
static void gather(const struct sn_quality_data *d, const uint32_t *index,
                   struct resample *r)
{
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t u = index != NULL ? index[i] : i;
        r->column[0][i] = d->measured[u];
        r->column[1][i] = d->predicted[u];
        r->column[2][i] = d->deviation != NULL ? d->deviation[u] : -1;
        r->band[i] = d->band != NULL ? d->band[u] : 0;
    }
}

static void bootstrap(const struct sn_quality_data *d, struct resample *r,
                      uint32_t *index, uint32_t times, double *ret)
{
    struct sn_rng rng = sn_rng_make(d->seed, SN_STREAM_FIT, 1);
    double stat[STATS];
    for (uint32_t t = 0; t < times; t++) {
        for (uint32_t i = 0; i < d->n; i++)
            index[i] = sn_rng_below(&rng, d->n);
        gather(d, index, r);
        statistics(r, d->n, stat);
        for (int k = 0; k < STATS; k++)
            ret[(size_t)k * times + t] = stat[k];
    }
}

enum sn_err sn_quality_measure(const struct sn_quality_data *data,
                               struct sn_quality *ret, struct sn_error *err)
{
    struct sn_quality q = {.n = data->n};
    struct sn_stat *const out[STATS] = {&q.tau, &q.tau_within, &q.spearman,
                                        &q.mae, &q.top_recall, &q.coverage};
    struct resample r;
    double stat[STATS];
    uint32_t times = replicates(data->n);
    enum sn_err rc = resample_init(&r, data->n, err);
    if (rc != SN_OK)
        return rc;
    double *value = malloc(STATS * times * sizeof *value);
    uint32_t *index = malloc(((size_t)data->n + 1) * sizeof *index);
    if (value == NULL || index == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a bootstrap");
    } else {
        bootstrap(data, &r, index, times, value);
        gather(data, NULL, &r);
        statistics(&r, data->n, stat);
        for (int k = 0; k < STATS; k++) {
            out[k]->value = stat[k];
            interval(value + (size_t)k * times, times, &out[k]->lo,
                     &out[k]->hi);
        }
        *ret = q;
    }
    free(index);
    free(value);
    resample_close(&r);
    return rc;
}

enum sn_err sn_quality_of_band(const struct sn_quality_data *data,
                               uint32_t band, struct sn_quality *ret,
                               struct sn_error *err)
{
    struct sn_quality_data one = *data;
    struct resample r;
    enum sn_err rc = resample_init(&r, data->n, err);
    if (rc != SN_OK)
        return rc;
    one.n = 0;
    for (uint32_t i = 0; i < data->n; i++) {
        if ((data->band != NULL ? data->band[i] : 0) != band)
            continue;
        r.column[0][one.n] = data->measured[i];
        r.column[1][one.n] = data->predicted[i];
        r.column[2][one.n++] = data->deviation != NULL ? data->deviation[i] : 0;
    }
    one.measured = r.column[0];
    one.predicted = r.column[1];
    one.deviation = data->deviation != NULL ? r.column[2] : NULL;
    one.band = NULL;
    rc = sn_quality_measure(&one, ret, err);
    resample_close(&r);
    return rc;
}

enum sn_err sn_quality_compare(const double *measured, const double *a,
                               const double *b, const uint32_t *band,
                               uint32_t n, uint64_t seed, double *ret_gain,
                               double *ret_error, struct sn_error *err)
{
    enum { TIMES = 200 };
    double sum = 0, squares = 0;
    struct pairs all, of_a, of_b;
    uint32_t *index = malloc(((size_t)n + 1) * sizeof *index);
    if (index == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a bootstrap");
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_FIT, 2);
    for (int t = 0; t < TIMES; t++) {
        for (uint32_t i = 0; i < n; i++)
            index[i] = sn_rng_below(&rng, n);
        count_pairs(measured, a, band, index, n, &all, &of_a);
        count_pairs(measured, b, band, index, n, &all, &of_b);
        double gain = tau_of(of_a) - tau_of(of_b);
        sum += gain;
        squares += gain * gain;
    }
    free(index);
    double mean = sum / TIMES;
    *ret_gain = sn_quality_kendall_within(measured, a, band, n) -
                sn_quality_kendall_within(measured, b, band, n);
    *ret_error = sqrt(fmax(0, squares / TIMES - mean * mean));
    return SN_OK;
}
