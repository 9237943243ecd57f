#include "engine/search/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/design.h"
#include "engine/search/mlp.h"
#include "engine/search/ridge.h"

_Static_assert(SN_PREDICTOR_MIN >= 2 * SN_DESIGN_FOLDS, "no fold is empty");

const char *const sn_predictor_names[SN_PREDICTOR_KINDS] = {
    [SN_PREDICTOR_RIDGE] = "ridge",
    [SN_PREDICTOR_MLP] = "mlp",
};

struct sn_predictor {
    const struct sn_space *space;
    enum sn_predictor_kind kind;
    size_t size; /* of the encoding */
    /* of a ridge: [2 + size], the intercept first, the penalty last */
    double *weights;
    struct sn_mlp *mlp;
};

/* ---- fitting ---- */

/* One kind's model and what it says out of fold. */
struct entrant {
    struct sn_predictor *model; /* of a ridge; an MLP's is fitted if it wins */
    double *mean, *sd;          /* [n] */
};

static enum sn_err no_memory(struct sn_error *err)
{
    return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
}

static enum sn_err predictor_new(const struct sn_space *space,
                                 enum sn_predictor_kind kind,
                                 struct sn_predictor **ret,
                                 struct sn_error *err)
{
    struct sn_predictor *p = calloc(1, sizeof *p);
    if (p == NULL)
        return no_memory(err);
    p->space = space;
    p->kind = kind;
    p->size = sn_arch_encoding_size(space);
    if (kind == SN_PREDICTOR_RIDGE) {
        p->weights = calloc(p->size + 2, sizeof *p->weights);
        if (p->weights == NULL) {
            sn_predictor_free(p);
            return no_memory(err);
        }
    }
    *ret = p;
    return SN_OK;
}

void sn_predictor_free(struct sn_predictor *predictor)
{
    if (predictor == NULL)
        return;
    sn_mlp_free(predictor->mlp);
    free(predictor->weights);
    free(predictor);
}

static enum sn_err enter_ridge(const struct sn_predictor_params *params,
                               const struct sn_design *d, struct entrant *ret,
                               struct sn_error *err)
{
    enum sn_err rc =
        predictor_new(params->space, SN_PREDICTOR_RIDGE, &ret->model, err);
    if (rc != SN_OK)
        return rc;
    double *w = ret->model->weights;
    memset(ret->sd, 0, d->n * sizeof *ret->sd);
    return sn_ridge_fit(d, w, &w[d->size + 1], ret->mean, err);
}

static enum sn_err enter(const struct sn_predictor_params *params,
                         const struct sn_design *d, enum sn_predictor_kind kind,
                         struct entrant *ret, struct sn_error *err)
{
    ret->mean = calloc(d->n, sizeof *ret->mean);
    ret->sd = calloc(d->n, sizeof *ret->sd);
    if (ret->mean == NULL || ret->sd == NULL)
        return no_memory(err);
    if (kind == SN_PREDICTOR_RIDGE)
        return enter_ridge(params, d, ret, err);
    return sn_mlp_out_of_fold(d, params->seed, ret->mean, ret->sd, err);
}

/* The MLP's model on everything, once it is the one. */
static enum sn_err finish(const struct sn_predictor_params *params,
                          const struct sn_design *d, struct entrant *entrant,
                          struct sn_error *err)
{
    if (entrant->model != NULL)
        return SN_OK;
    enum sn_err rc =
        predictor_new(params->space, SN_PREDICTOR_MLP, &entrant->model, err);
    return rc != SN_OK ? rc
                       : sn_mlp_fit(d, params->seed, &entrant->model->mlp, err);
}

/* The SD of the error that a row's prediction is to be expected with: of the
 * ensemble where there is one, and what remains in the other folds beyond it.
 */
static void deviations(const struct sn_design *d, const struct entrant *e,
                       double *ret)
{
    for (int f = 0; f < SN_DESIGN_FOLDS; f++) {
        double remains = 0;
        size_t n = 0;
        for (size_t r = 0; r < d->n; r++) {
            double error = d->y[r] - e->mean[r];
            if ((int)d->fold[r] == f)
                continue;
            remains += error * error - e->sd[r] * e->sd[r];
            n++;
        }
        remains = fmax(0, remains / (double)n);
        for (size_t r = 0; r < d->n; r++)
            if ((int)d->fold[r] == f)
                ret[r] = sqrt(remains + e->sd[r] * e->sd[r]);
    }
}

/* Ridge unless the MLP is better by more than the difference's error. */
static enum sn_err compare(const struct sn_predictor_params *params,
                           const struct entrant *entrant,
                           struct sn_contest *ret, struct sn_error *err)
{
    const double *y = params->accuracy;
    enum sn_err rc = SN_OK;
    for (int k = 0; k < SN_PREDICTOR_KINDS; k++) {
        if (entrant[k].mean == NULL)
            continue;
        ret->entered[k] = true;
        ret->tau[k] = sn_quality_kendall(y, entrant[k].mean, params->n);
        ret->tau_within[k] = sn_quality_kendall_within(y, entrant[k].mean,
                                                       params->band, params->n);
        ret->mae[k] = sn_quality_mae(y, entrant[k].mean, params->n);
        ret->used = (enum sn_predictor_kind)k;
    }
    if (!ret->entered[SN_PREDICTOR_RIDGE] || !ret->entered[SN_PREDICTOR_MLP])
        return SN_OK;
    rc = sn_quality_compare(y, entrant[SN_PREDICTOR_MLP].mean,
                            entrant[SN_PREDICTOR_RIDGE].mean, params->band,
                            params->n, params->seed, &ret->gain,
                            &ret->gain_error, err);
    ret->used =
        ret->gain > ret->gain_error ? SN_PREDICTOR_MLP : SN_PREDICTOR_RIDGE;
    return rc;
}

static enum sn_err check(const struct sn_predictor_params *params,
                         struct sn_error *err)
{
    if (params->n < SN_PREDICTOR_MIN)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a predictor needs %d measured architectures, "
                            "there are %u",
                            SN_PREDICTOR_MIN, params->n);
    for (uint32_t i = 0; i < params->n; i++)
        if (!isfinite(params->accuracy[i]))
            return sn_error_set(err, SN_ERR_INVALID,
                                "the accuracy of architecture %u is no number",
                                i);
    return SN_OK;
}

enum sn_err sn_predictor_fit(const struct sn_predictor_params *params,
                             struct sn_predictor **ret, double *ret_out_of_fold,
                             double *ret_deviation,
                             struct sn_contest *ret_contest,
                             struct sn_error *err)
{
    struct entrant entrant[SN_PREDICTOR_KINDS] = {{0}};
    struct sn_contest contest = {0};
    struct sn_design d = {0};
    enum sn_err rc = check(params, err);
    if (rc == SN_OK)
        rc = sn_design_init(&d, params->space, params->arch, params->accuracy,
                            params->n, params->seed, err);
    for (int k = 0; k < SN_PREDICTOR_KINDS && rc == SN_OK; k++)
        if (params->choice == SN_PREDICT_AUTO ||
            (int)params->choice == SN_PREDICT_ONE + k)
            rc = enter(params, &d, (enum sn_predictor_kind)k, &entrant[k], err);
    if (rc == SN_OK)
        rc = compare(params, entrant, &contest, err);
    struct entrant *used = &entrant[contest.used];
    if (rc == SN_OK)
        rc = finish(params, &d, used, err);
    if (rc == SN_OK) {
        if (ret_out_of_fold != NULL)
            memcpy(ret_out_of_fold, used->mean, d.n * sizeof used->mean[0]);
        if (ret_deviation != NULL)
            deviations(&d, used, ret_deviation);
        if (ret_contest != NULL)
            *ret_contest = contest;
        *ret = used->model;
        used->model = NULL;
    }
    for (int k = 0; k < SN_PREDICTOR_KINDS; k++) {
        sn_predictor_free(entrant[k].model);
        free(entrant[k].mean);
        free(entrant[k].sd);
    }
    sn_design_close(&d);
    return rc;
}

/* ---- scoring ---- */

/* The weight of `value`, whose list's weights begin at `at`. */
static double weight_of(const struct sn_choices *list, uint8_t value,
                        const double *at)
{
    for (int i = 0; i < list->n; i++)
        if (list->value[i] == value)
            return at[i];
    return 0;
}

/* The choices that are not a stage's, in the encoding's order. */
static double score_whole(const struct sn_space *space,
                          const struct sn_arch *arch, const double *at)
{
    int widths =
        space->n_width_ratios > 0 ? SN_STEM_WIDTHS + space->n_stages : 0;
    double sum = 0;
    for (int w = 0; w < widths; w++, at += space->n_width_ratios)
        sum += at[arch->width[w]];
    if (space->elastic_stem)
        sum += *at++ * arch->stem;
    if (space->n_resolutions == 1)
        return sum;
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == arch->resolution)
            sum += at[i];
    double least = space->resolutions[0];
    return sum + at[space->n_resolutions] * (arch->resolution - least) /
                     (space->resolution - least);
}

static double score_ridge(const struct sn_predictor *predictor,
                          const struct sn_arch *arch)
{
    const struct sn_space *space = predictor->space;
    const double *at = predictor->weights + 1;
    double sum = predictor->weights[0];
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        int step = stage->kernel.n + stage->expand.n;
        for (int b = 0; b < arch->depth[s]; b++) {
            const double *w = at + b * step;
            sum += weight_of(&stage->kernel, arch->kernel[s][b], w);
            sum += weight_of(&stage->expand, arch->expand[s][b],
                             w + stage->kernel.n);
        }
        at += stage->depth.value[stage->depth.n - 1] * step;
    }
    return sum + score_whole(space, arch, at);
}

static double score_mlp(const struct sn_predictor *predictor,
                        const struct sn_arch *arch)
{
    float x[SN_MLP_MAX_INPUTS];
    sn_arch_one_hot(predictor->space, arch, x);
    return sn_mlp_score(predictor->mlp, x, NULL);
}

double sn_predictor_score(const struct sn_predictor *predictor,
                          const struct sn_arch *arch)
{
    return predictor->kind == SN_PREDICTOR_MLP ? score_mlp(predictor, arch)
                                               : score_ridge(predictor, arch);
}

enum sn_predictor_kind sn_predictor_kind(const struct sn_predictor *predictor)
{
    return predictor->kind;
}

/* ---- as numbers ---- */

static size_t numbers_of(enum sn_predictor_kind kind, size_t size)
{
    return kind == SN_PREDICTOR_MLP ? sn_mlp_numbers(size) : size + 2;
}

size_t sn_predictor_size(const struct sn_predictor *predictor)
{
    return numbers_of(predictor->kind, predictor->size);
}

size_t sn_predictor_numbers(const struct sn_space *space,
                            enum sn_predictor_kind kind)
{
    return numbers_of(kind, sn_arch_encoding_size(space));
}

void sn_predictor_get(const struct sn_predictor *predictor, double *ret)
{
    if (predictor->kind == SN_PREDICTOR_MLP)
        sn_mlp_get(predictor->mlp, ret);
    else
        memcpy(ret, predictor->weights,
               (predictor->size + 2) * sizeof *predictor->weights);
}

enum sn_err sn_predictor_from(const struct sn_space *space,
                              enum sn_predictor_kind kind,
                              const double *numbers, size_t n,
                              struct sn_predictor **ret, struct sn_error *err)
{
    struct sn_predictor *p = NULL;
    size_t wanted = sn_predictor_numbers(space, kind);
    if (n != wanted)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "a predictor of space %s has %zu numbers, not %zu",
                            space->name, wanted, n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(numbers[i]))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "number %zu of the predictor is none", i);
    enum sn_err rc = predictor_new(space, kind, &p, err);
    if (rc == SN_OK && kind == SN_PREDICTOR_MLP)
        rc = sn_mlp_from(p->size, numbers, &p->mlp, err);
    else if (rc == SN_OK)
        memcpy(p->weights, numbers, n * sizeof *numbers);
    if (rc != SN_OK) {
        sn_predictor_free(p);
        return rc;
    }
    *ret = p;
    return SN_OK;
}
