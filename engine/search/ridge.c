#include "engine/search/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/cholesky.h"

static const double lambdas[] = {0.1, 0.3, 1, 3, 10, 30, 100};
enum { N_LAMBDAS = sizeof lambdas / sizeof lambdas[0] };

/* Room to solve in. */
struct fit {
    const struct sn_design *d;
    double *gram;  /* [size][size], of the training rows, centred */
    double *right; /* [size] */
    double *work;  /* [size][size] */
    double *mean;  /* [size] */
    double y_mean;
    double *weights; /* [1 + size] */
};

static void fit_close(struct fit *fit)
{
    free(fit->gram);
    free(fit->right);
    free(fit->work);
    free(fit->mean);
    free(fit->weights);
}

static enum sn_err fit_init(struct fit *fit, const struct sn_design *d,
                            struct sn_error *err)
{
    size_t p = d->size;
    *fit = (struct fit){.d = d};
    fit->gram = malloc(p * p * sizeof *fit->gram);
    fit->work = malloc(p * p * sizeof *fit->work);
    fit->right = malloc(p * sizeof *fit->right);
    fit->mean = malloc(p * sizeof *fit->mean);
    fit->weights = malloc((p + 1) * sizeof *fit->weights);
    if (fit->gram != NULL && fit->work != NULL && fit->right != NULL &&
        fit->mean != NULL && fit->weights != NULL)
        return SN_OK;
    fit_close(fit);
    return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
}

/* Sums over all rows but those of fold `out` (-1: over all rows). Centring
 * keeps the intercept out of the penalty. */
static void gather(struct fit *fit, int out)
{
    size_t p = fit->d->size, n = 0;
    memset(fit->mean, 0, p * sizeof *fit->mean);
    memset(fit->gram, 0, p * p * sizeof *fit->gram);
    memset(fit->right, 0, p * sizeof *fit->right);
    fit->y_mean = 0;
    for (size_t r = 0; r < fit->d->n; r++) {
        if ((int)fit->d->fold[r] == out)
            continue;
        for (size_t i = 0; i < p; i++)
            fit->mean[i] += (double)fit->d->x[r * p + i];
        fit->y_mean += fit->d->y[r];
        n++;
    }
    for (size_t i = 0; i < p; i++)
        fit->mean[i] /= (double)n;
    fit->y_mean /= (double)n;
    for (size_t r = 0; r < fit->d->n; r++) {
        if ((int)fit->d->fold[r] == out)
            continue;
        const float *x = fit->d->x + r * p;
        for (size_t i = 0; i < p; i++) {
            double xi = (double)x[i] - fit->mean[i];
            for (size_t j = 0; j <= i; j++)
                fit->gram[i * p + j] += xi * ((double)x[j] - fit->mean[j]);
            fit->right[i] += xi * (fit->d->y[r] - fit->y_mean);
        }
    }
}

/* (X'X + lambda I) w = X'y for what gather() summed; into fit->weights. */
static enum sn_err solve(struct fit *fit, double lambda, struct sn_error *err)
{
    size_t p = fit->d->size;
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
    for (size_t i = 0; i < fit->d->size; i++)
        sum += fit->weights[1 + i] * (double)fit->d->x[r * fit->d->size + i];
    return sum;
}

/* Predictions of every row by a model that has not seen it, for every lambda:
 * out [N_LAMBDAS][n]. */
static enum sn_err predict_out_of_fold(struct fit *fit, double *out,
                                       struct sn_error *err)
{
    for (int f = 0; f < SN_DESIGN_FOLDS; f++) {
        gather(fit, f);
        for (int l = 0; l < N_LAMBDAS; l++) {
            enum sn_err rc = solve(fit, lambdas[l], err);
            if (rc != SN_OK)
                return rc;
            for (size_t r = 0; r < fit->d->n; r++)
                if ((int)fit->d->fold[r] == f)
                    out[(size_t)l * fit->d->n + r] = predict_row(fit, r);
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
        for (size_t r = 0; r < fit->d->n; r++) {
            double d = out[(size_t)l * fit->d->n + r] - fit->d->y[r];
            error += d * d;
        }
        if (error < best_error) {
            best = l;
            best_error = error;
        }
    }
    return best;
}

enum sn_err sn_ridge_fit(const struct sn_design *d, double *ret_weights,
                         double *ret_lambda, double *ret_out_of_fold,
                         struct sn_error *err)
{
    struct fit fit;
    enum sn_err rc = fit_init(&fit, d, err);
    if (rc != SN_OK)
        return rc;
    double *out = malloc((size_t)N_LAMBDAS * d->n * sizeof *out);
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
    if (rc != SN_OK)
        goto err_after_out;
    memcpy(ret_weights, fit.weights, (d->size + 1) * sizeof *fit.weights);
    memcpy(ret_out_of_fold, out + (size_t)l * d->n, d->n * sizeof *out);
    *ret_lambda = lambdas[l];
err_after_out:
    free(out);
err_after_fit:
    fit_close(&fit);
    return rc;
}
