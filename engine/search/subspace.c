#include "engine/search/subspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/pool.h"

int sn_arch_compare(const struct sn_arch *a, const struct sn_arch *b)
{
    if (a->resolution != b->resolution)
        return a->resolution < b->resolution ? -1 : 1;
    int c = memcmp(a->depth, b->depth, sizeof a->depth);
    if (c == 0)
        c = memcmp(a->kernel, b->kernel, sizeof a->kernel);
    if (c == 0)
        c = memcmp(a->expand, b->expand, sizeof a->expand);
    if (c == 0)
        c = memcmp(a->width, b->width, sizeof a->width);
    return c != 0 ? c : a->stem - b->stem;
}

/* ---- making one from members ---- */

struct member {
    struct sn_arch arch;
    double score;
};

static int by_arch(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    return sn_arch_compare(&a->arch, &b->arch);
}

/* Sorts `member` and copies it into a new sub-space without band figures. */
static enum sn_err make(struct member *member, uint32_t n,
                        struct sn_subspace **ret, struct sn_error *err)
{
    struct sn_subspace *sub = calloc(1, sizeof *sub);
    if (sub == NULL)
        goto no_memory;
    sub->arch = malloc(n * sizeof *sub->arch);
    sub->score = malloc(n * sizeof *sub->score);
    if (sub->arch == NULL || sub->score == NULL)
        goto no_memory;
    qsort(member, n, sizeof *member, by_arch);
    for (uint32_t i = 0; i < n; i++) {
        sub->arch[i] = member[i].arch;
        sub->score[i] = member[i].score;
    }
    sub->n = n;
    *ret = sub;
    return SN_OK;

no_memory:
    sn_subspace_free(sub);
    return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u architectures", n);
}

enum sn_err sn_subspace_from(const struct sn_space *space,
                             const struct sn_arch *arch, const double *score,
                             uint32_t n, uint32_t scored,
                             const struct sn_subspace_band *band,
                             uint32_t n_bands, struct sn_subspace **ret,
                             struct sn_error *err)
{
    struct sn_subspace *sub = NULL;
    if (n < 1 || n_bands > SN_MAX_BANDS)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "a sub-space of %u architectures in %u bands", n,
                            n_bands);
    for (uint32_t i = 0; i < n; i++)
        if (sn_arch_check(space, &arch[i], err) != SN_OK)
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "member %u of the sub-space is none of space "
                                "%s",
                                i, space->name);
    struct member *member = malloc(n * sizeof *member);
    if (member == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u architectures",
                            n);
    for (uint32_t i = 0; i < n; i++)
        member[i] = (struct member){arch[i], score[i]};
    enum sn_err rc = make(member, n, &sub, err);
    free(member);
    if (rc != SN_OK)
        return rc;
    for (uint32_t i = 1; i < n; i++) {
        if (!sn_arch_equal(&sub->arch[i - 1], &sub->arch[i]))
            continue;
        sn_subspace_free(sub);
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "the sub-space has a member twice");
    }
    sub->scored = scored;
    sub->n_bands = n_bands;
    if (n_bands > 0)
        memcpy(sub->band, band, n_bands * sizeof *band);
    *ret = sub;
    return SN_OK;
}

void sn_subspace_free(struct sn_subspace *sub)
{
    if (sub == NULL)
        return;
    free(sub->arch);
    free(sub->score);
    free(sub);
}

/* ---- asking ---- */

bool sn_subspace_holds(const struct sn_subspace *sub,
                       const struct sn_arch *arch)
{
    uint32_t lo = 0, hi = sub->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = sn_arch_compare(&sub->arch[mid], arch);
        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

void sn_subspace_sample(const struct sn_subspace *sub, struct sn_rng *rng,
                        struct sn_arch *ret)
{
    *ret = sub->arch[sn_rng_below(rng, sub->n)];
}

static unsigned differences(const struct sn_arch *a, const struct sn_arch *b)
{
    const uint8_t *ka = a->kernel[0], *kb = b->kernel[0];
    const uint8_t *ea = a->expand[0], *eb = b->expand[0];
    unsigned count = 0;
    for (int i = 0; i < SN_MAX_STAGES * SN_MAX_DEPTH; i++)
        count += (ka[i] != kb[i]) + (ea[i] != eb[i]);
    for (int s = 0; s < SN_MAX_STAGES; s++)
        count += a->depth[s] != b->depth[s];
    return count;
}

void sn_subspace_nearest(const struct sn_subspace *sub,
                         const struct sn_arch *arch, struct sn_arch *ret)
{
    uint32_t best = 0;
    unsigned least = differences(&sub->arch[0], arch);
    for (uint32_t i = 1; i < sub->n; i++) {
        unsigned d = differences(&sub->arch[i], arch);
        if (d < least) {
            least = d;
            best = i;
        }
    }
    *ret = sub->arch[best];
}

/* ---- filtering ---- */

struct candidate {
    uint32_t band;
    bool end;
    double key; /* what it is kept by: its score, or chance */
    double score;
    const struct sn_arch *arch;
};

/* Band by band, ends first, then by falling key; ties by architecture, so that
 * the order in which the pool was drawn plays no part. */
static int by_band_and_key(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;
    if (a->band != b->band)
        return a->band < b->band ? -1 : 1;
    if (a->end != b->end)
        return a->end ? -1 : 1;
    if (a->key != b->key)
        return a->key > b->key ? -1 : 1;
    return sn_arch_compare(a->arch, b->arch);
}

/* Gives `wanted` places to the bands one at a time in turn, none of them more
 * than limit[]. Returns how many could not be given. */
static uint32_t share_out(uint32_t wanted, uint32_t n_bands,
                          const uint32_t *limit, uint32_t *kept)
{
    bool any = true;
    while (wanted > 0 && any) {
        any = false;
        for (uint32_t b = 0; b < n_bands && wanted > 0; b++) {
            if (kept[b] >= limit[b])
                continue;
            kept[b]++;
            wanted--;
            any = true;
        }
    }
    return wanted;
}

/* Keeps the first band[].kept of every band of the sorted candidates. */
static uint32_t keep(const struct candidate *c, uint32_t n,
                     struct sn_subspace_band *band, struct member *ret)
{
    uint32_t kept = 0, in_band = 0;
    bool any[SN_MAX_BANDS] = {false};
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && c[i].band != c[i - 1].band)
            in_band = 0;
        if (in_band++ >= band[c[i].band].kept)
            continue;
        ret[kept++] = (struct member){*c[i].arch, c[i].score};
        if (c[i].end)
            continue;
        double *threshold = &band[c[i].band].threshold;
        if (!any[c[i].band] || c[i].score < *threshold)
            *threshold = c[i].score;
        any[c[i].band] = true;
    }
    return kept;
}

/* How many each band may keep: half of what was scored, so that thin bands are
 * filtered too; only when that is not enough, all. */
static void plan_size(uint32_t size, uint32_t n_bands, const uint32_t *all,
                      uint32_t *kept)
{
    uint32_t half[SN_MAX_BANDS] = {0}, ends = 0;
    for (uint32_t b = 0; b < n_bands; b++) {
        half[b] = (all[b] + 1) / 2;
        ends += kept[b];
    }
    uint32_t left = share_out(size - ends, n_bands, half, kept);
    share_out(left, n_bands, all, kept);
}

static void plan_fraction(double fraction, uint32_t n_bands,
                          const uint32_t *all, uint32_t *kept)
{
    for (uint32_t b = 0; b < n_bands; b++) {
        uint32_t share = (uint32_t)llround(fraction * all[b]);
        if (share == 0 && all[b] > 0)
            share = 1;
        if (share > kept[b])
            kept[b] = share;
    }
}

/* How many each band keeps. */
static void plan_bands(const struct sn_filter_params *params,
                       const struct candidate *c, uint32_t n, uint32_t n_bands,
                       struct sn_subspace_band *band)
{
    uint32_t kept[SN_MAX_BANDS] = {0}, all[SN_MAX_BANDS] = {0};
    for (uint32_t i = 0; i < n; i++) {
        all[c[i].band]++;
        kept[c[i].band] += c[i].end;
    }
    if (params->size > 0)
        plan_size(params->size, n_bands, all, kept);
    else
        plan_fraction(params->fraction, n_bands, all, kept);
    for (uint32_t b = 0; b < n_bands; b++) {
        band[b].scored = all[b];
        band[b].kept = kept[b];
    }
}

static enum sn_err check_params(const struct sn_filter_params *params,
                                struct sn_error *err)
{
    bool by_fraction =
        params->size == 0 && params->fraction > 0 && params->fraction <= 1;
    if (params->size < 2 && !by_fraction)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a sub-space has at least 2 architectures, not %u",
                            params->size);
    if (params->bands < 1 || params->bands > SN_MAX_BANDS)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%u cost bands: not from 1 to %d", params->bands,
                            SN_MAX_BANDS);
    if (params->draws < params->size)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%u draws are too few for a sub-space of %u",
                            params->draws, params->size);
    return SN_OK;
}

static void score_pool(const struct sn_filter_params *params,
                       const struct sn_pool *pool, const struct sn_bands *bands,
                       struct candidate *ret)
{
    for (uint32_t i = 0; i < pool->n; i++) {
        double score = sn_predictor_score(params->predictor, &pool->arch[i]);
        ret[i] = (struct candidate){
            .band = sn_bands_index(bands, pool->macs[i]),
            .end = i < pool->ends,
            /* the pool is in random order */
            .key = params->random ? -(double)i : score,
            .score = score,
            .arch = &pool->arch[i],
        };
    }
    qsort(ret, pool->n, sizeof *ret, by_band_and_key);
}

enum sn_err sn_subspace_filter(const struct sn_filter_params *params,
                               struct sn_subspace **ret, struct sn_error *err)
{
    struct sn_bands bands;
    struct sn_pool pool;
    struct sn_subspace_band band[SN_MAX_BANDS] = {0};
    struct sn_subspace *sub = NULL;
    enum sn_err rc = check_params(params, err);
    if (rc != SN_OK)
        return rc;
    sn_bands_init(&bands, &params->target, params->bands);
    rc = sn_pool_init(
        &pool, &params->target, params->within, &params->veto, params->draws,
        sn_rng_make(params->seed, SN_STREAM_FILTER, params->round), err);
    if (rc != SN_OK)
        return rc;
    struct candidate *c = malloc((pool.n + 1) * sizeof *c);
    struct member *member = malloc((pool.n + 1) * sizeof *member);
    if (c == NULL || member == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for %u candidates",
                          pool.n);
        goto done;
    }
    if (pool.n < params->size) {
        rc = sn_error_set(err, SN_ERR_RANGE,
                          "a sub-space of %u wanted, but there are %u "
                          "architectures to choose from",
                          params->size, pool.n);
        goto done;
    }
    score_pool(params, &pool, &bands, c);
    plan_bands(params, c, pool.n, bands.n, band);
    rc = make(member, keep(c, pool.n, band, member), &sub, err);
    if (rc != SN_OK)
        goto done;
    sub->scored = pool.n;
    sub->n_bands = bands.n;
    for (uint32_t b = 0; b < bands.n; b++) {
        sub->band[b] = band[b];
        sub->band[b].macs_lo = sn_bands_edge(&bands, b);
        sub->band[b].macs_hi = sn_bands_edge(&bands, b + 1);
    }
    *ret = sub;
done:
    free(member);
    free(c);
    sn_pool_close(&pool);
    return rc;
}
