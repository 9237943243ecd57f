#include "engine/search/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/cholesky.h"

static const double lambdas[] = {0.1, 0.3, 1, 3, 10, 30, 100};
enum { N_LAMBDAS = sizeof lambdas / sizeof lambdas[0] };

struct sn_predictor {
    const struct sn_space *space;
    double lambda;
    size_t size;     /* of the encoding */
    double *weights; /* [1 + size]: the intercept first */
};

/* The measured architectures, encoded, and room to solve in. */
struct fit {
    size_t n, size;
    float *x;        /* [n][size] */
    const double *y; /* [n] */
    uint32_t *fold;  /* [n] */
    double *gram;    /* [size][size], of the training rows, centred */
    double *right;   /* [size] */
    double *work;    /* [size][size] */
    double *mean;    /* [size] */
    double y_mean;
    double *weights; /* [1 + size] */
};

static void fit_close(struct fit *fit)
{
    free(fit->x);
    free(fit->fold);
    free(fit->gram);
    free(fit->right);
    free(fit->work);
    free(fit->mean);
    free(fit->weights);
}

static enum sn_err fit_init(struct fit *fit, const struct sn_space *space,
                            const struct sn_arch *arch, const double *accuracy,
                            uint32_t n, uint64_t seed, struct sn_error *err)
{
    size_t p = sn_arch_encoding_size(space);
    *fit = (struct fit){.n = n, .size = p, .y = accuracy};
    fit->x = malloc(n * p * sizeof *fit->x);
    fit->fold = malloc(n * sizeof *fit->fold);
    fit->gram = malloc(p * p * sizeof *fit->gram);
    fit->work = malloc(p * p * sizeof *fit->work);
    fit->right = malloc(p * sizeof *fit->right);
    fit->mean = malloc(p * sizeof *fit->mean);
    fit->weights = malloc((p + 1) * sizeof *fit->weights);
    if (fit->x == NULL || fit->fold == NULL || fit->gram == NULL ||
        fit->work == NULL || fit->right == NULL || fit->mean == NULL ||
        fit->weights == NULL) {
        fit_close(fit);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
    }
    for (uint32_t i = 0; i < n; i++) {
        sn_arch_one_hot(space, &arch[i], fit->x + i * p);
        fit->fold[i] = i % SN_PREDICTOR_FOLDS;
    }
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_FIT, 0);
    sn_rng_shuffle(&rng, fit->fold, n);
    return SN_OK;
}

/* Sums over all rows but those of fold `out` (-1: over all rows). Centring
 * keeps the intercept out of the penalty. */
static void gather(struct fit *fit, int out)
{
    size_t p = fit->size, n = 0;
    memset(fit->mean, 0, p * sizeof *fit->mean);
    memset(fit->gram, 0, p * p * sizeof *fit->gram);
    memset(fit->right, 0, p * sizeof *fit->right);
    fit->y_mean = 0;
    for (size_t r = 0; r < fit->n; r++) {
        if ((int)fit->fold[r] == out)
            continue;
        for (size_t i = 0; i < p; i++)
            fit->mean[i] += (double)fit->x[r * p + i];
        fit->y_mean += fit->y[r];
        n++;
    }
    for (size_t i = 0; i < p; i++)
        fit->mean[i] /= (double)n;
    fit->y_mean /= (double)n;
    for (size_t r = 0; r < fit->n; r++) {
        if ((int)fit->fold[r] == out)
            continue;
        const float *x = fit->x + r * p;
        for (size_t i = 0; i < p; i++) {
            double xi = (double)x[i] - fit->mean[i];
            for (size_t j = 0; j <= i; j++)
                fit->gram[i * p + j] += xi * ((double)x[j] - fit->mean[j]);
            fit->right[i] += xi * (fit->y[r] - fit->y_mean);
        }
    }
}

/* (X'X + lambda I) w = X'y for what gather() summed; into fit->weights. */
static enum sn_err solve(struct fit *fit, double lambda, struct sn_error *err)
{
    size_t p = fit->size;
    double *w = fit->weights + 1;
    memcpy(fit->work, fit->gram, p * p * sizeof *fit->work);
    memcpy(w, fit->right, p * sizeof *w);
    for (size_t i = 0; i < p; i++)
        fit->work[i * p + i] += lambda;
    if (!sn_cholesky_solve(fit->work, p, w))
        return sn_error_set(err, SN_ERR_INVALID,
                            "the predictor cannot be fitted: an accuracy is no "
                            "number");
    fit->weights[0] = fit->y_mean;
    for (size_t i = 0; i < p; i++)
        fit->weights[0] -= w[i] * fit->mean[i];
    return SN_OK;
}

static double predict_row(const struct fit *fit, size_t r)
{
    double sum = fit->weights[0];
    for (size_t i = 0; i < fit->size; i++)
        sum += fit->weights[1 + i] * (double)fit->x[r * fit->size + i];
    return sum;
}

/* Predictions of every row by a model that has not seen it, for every lambda:
 * out [N_LAMBDAS][n]. */
static enum sn_err predict_out_of_fold(struct fit *fit, double *out,
                                       struct sn_error *err)
{
    for (int f = 0; f < SN_PREDICTOR_FOLDS; f++) {
        gather(fit, f);
        for (int l = 0; l < N_LAMBDAS; l++) {
            enum sn_err rc = solve(fit, lambdas[l], err);
            if (rc != SN_OK)
                return rc;
            for (size_t r = 0; r < fit->n; r++)
                if ((int)fit->fold[r] == f)
                    out[(size_t)l * fit->n + r] = predict_row(fit, r);
        }
    }
    return SN_OK;
}

static int best_lambda(const struct fit *fit, const double *out)
{
    int best = 0;
    double best_error = INFINITY;
    for (int l = 0; l < N_LAMBDAS; l++) {
        double error = 0;
        for (size_t r = 0; r < fit->n; r++) {
            double d = out[(size_t)l * fit->n + r] - fit->y[r];
            error += d * d;
        }
        if (error < best_error) {
            best = l;
            best_error = error;
        }
    }
    return best;
}

enum sn_err sn_predictor_fit(const struct sn_space *space,
                             const struct sn_arch *arch, const double *accuracy,
                             uint32_t n, uint64_t seed,
                             struct sn_predictor **ret, double *ret_out_of_fold,
                             struct sn_error *err)
{
    struct fit fit;
    if (n < SN_PREDICTOR_MIN)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a predictor needs %d measured architectures, "
                            "there are %u",
                            SN_PREDICTOR_MIN, n);
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(accuracy[i]))
            return sn_error_set(err, SN_ERR_INVALID,
                                "the accuracy of architecture %u is no number",
                                i);
    enum sn_err rc = fit_init(&fit, space, arch, accuracy, n, seed, err);
    if (rc != SN_OK)
        return rc;
    double *out = malloc((size_t)N_LAMBDAS * n * sizeof *out);
    if (out == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
        goto err_after_fit;
    }
    rc = predict_out_of_fold(&fit, out, err);
    if (rc != SN_OK)
        goto err_after_out;
    int l = best_lambda(&fit, out);
    gather(&fit, -1);
    rc = solve(&fit, lambdas[l], err);
    if (rc == SN_OK)
        rc = sn_predictor_from(space, fit.weights, fit.size + 1, lambdas[l],
                               ret, err);
    if (rc == SN_OK && ret_out_of_fold != NULL)
        memcpy(ret_out_of_fold, out + (size_t)l * n, n * sizeof *out);
err_after_out:
    free(out);
err_after_fit:
    fit_close(&fit);
    return rc;
}

enum sn_err sn_predictor_from(const struct sn_space *space,
                              const double *weights, size_t n, double lambda,
                              struct sn_predictor **ret, struct sn_error *err)
{
    size_t size = sn_arch_encoding_size(space);
    if (n != size + 1)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "a predictor of space %s has %zu weights, not %zu",
                            space->name, size + 1, n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(weights[i]))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "weight %zu of the predictor is no number", i);
    struct sn_predictor *p = calloc(1, sizeof *p);
    if (p != NULL)
        p->weights = malloc(n * sizeof *p->weights);
    if (p == NULL || p->weights == NULL) {
        sn_predictor_free(p);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
    }
    memcpy(p->weights, weights, n * sizeof *weights);
    p->space = space;
    p->size = size;
    p->lambda = lambda;
    *ret = p;
    return SN_OK;
}

void sn_predictor_free(struct sn_predictor *predictor)
{
    if (predictor == NULL)
        return;
    free(predictor->weights);
    free(predictor);
}

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

double sn_predictor_score(const struct sn_predictor *predictor,
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

const char *sn_predictor_kind(const struct sn_predictor *predictor)
{
    (void)predictor;
    return "ridge";
}

double sn_predictor_lambda(const struct sn_predictor *predictor)
{
    return predictor->lambda;
}

size_t sn_predictor_size(const struct sn_predictor *predictor)
{
    return predictor->size + 1;
}

void sn_predictor_get(const struct sn_predictor *predictor, double *ret)
{
    memcpy(ret, predictor->weights,
           (predictor->size + 1) * sizeof *predictor->weights);
}
