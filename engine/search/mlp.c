#include "engine/search/mlp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 32, MEMBERS = 5, STEPS = 120, PARTNERS = 2 };

static const float top_rate = 0.01f, decay = 3, rank_weight = 0.5f;
static const float beta1 = 0.9f, beta2 = 0.98f;

/* A member's parameters: first [size][HIDDEN], bias [HIDDEN], second [HIDDEN],
 * and the output's bias. */
struct sn_mlp {
    size_t size;
    double mean, scale; /* of what it was trained on */
    float *member[MEMBERS];
    float numbers[];
};

static size_t parameters(size_t size)
{
    return (size + 2) * HIDDEN + 1;
}

static enum sn_err no_memory(struct sn_error *err)
{
    return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
}

static enum sn_err mlp_new(size_t size, struct sn_mlp **ret,
                           struct sn_error *err)
{
    size_t n = MEMBERS * parameters(size);
    if (size > SN_MLP_MAX_INPUTS)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "an encoding of %zu numbers is too long", size);
    struct sn_mlp *mlp = calloc(1, sizeof *mlp + n * sizeof mlp->numbers[0]);
    if (mlp == NULL)
        return no_memory(err);
    mlp->size = size;
    mlp->scale = 1;
    for (int m = 0; m < MEMBERS; m++)
        mlp->member[m] = mlp->numbers + (size_t)m * parameters(size);
    *ret = mlp;
    return SN_OK;
}

void sn_mlp_free(struct sn_mlp *mlp)
{
    free(mlp);
}

/* ---- forward ---- */

/* What of a row is not zero: most of it is. */
struct sparse {
    uint32_t n;
    const uint16_t *index;
    const float *value;
};

static uint32_t compress(const float *x, size_t size, uint16_t *index,
                         float *value)
{
    uint32_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (x[i] != 0) {
            index[n] = (uint16_t)i;
            value[n++] = x[i];
        }
    return n;
}

/* ret_hidden [HIDDEN]: after ReLU. */
static float forward(const float *w, size_t size, const struct sparse *x,
                     float *restrict ret_hidden)
{
    const float *bias = w + size * HIDDEN, *second = bias + HIDDEN;
    float sum = second[HIDDEN];
    memcpy(ret_hidden, bias, HIDDEN * sizeof *bias);
    for (uint32_t k = 0; k < x->n; k++) {
        const float *row = w + (size_t)x->index[k] * HIDDEN;
        const float v = x->value[k];
        for (int h = 0; h < HIDDEN; h++)
            ret_hidden[h] += v * row[h];
    }
    for (int h = 0; h < HIDDEN; h++) {
        ret_hidden[h] = ret_hidden[h] > 0 ? ret_hidden[h] : 0;
        sum += second[h] * ret_hidden[h];
    }
    return sum;
}

double sn_mlp_score(const struct sn_mlp *mlp, const float *x, double *ret_sd)
{
    uint16_t index[SN_MLP_MAX_INPUTS];
    float value[SN_MLP_MAX_INPUTS], hidden[HIDDEN];
    struct sparse row = {compress(x, mlp->size, index, value), index, value};
    double f[MEMBERS], mean = 0, squares = 0;
    for (int m = 0; m < MEMBERS; m++) {
        f[m] = (double)forward(mlp->member[m], mlp->size, &row, hidden);
        mean += f[m] / MEMBERS;
    }
    for (int m = 0; m < MEMBERS; m++)
        squares += (f[m] - mean) * (f[m] - mean);
    if (ret_sd != NULL)
        *ret_sd = mlp->scale * sqrt(squares / (MEMBERS - 1));
    return mlp->mean + mlp->scale * mean;
}

/* ---- training ---- */

struct training {
    size_t size, n; /* rows that are trained on */
    struct sparse *row;
    uint16_t *index; /* of all rows */
    float *value;
    float *target; /* standardised */
    float *output, *output_gradient;
    float *hidden;                         /* [n][HIDDEN] */
    float *gradient, *momentum, *variance; /* [parameters] */
};

static void training_close(struct training *t)
{
    free(t->row);
    free(t->index);
    free(t->value);
    free(t->target);
    free(t->output);
    free(t->output_gradient);
    free(t->hidden);
    free(t->gradient);
    free(t->momentum);
    free(t->variance);
}

static enum sn_err training_init(struct training *t, const struct sn_design *d,
                                 struct sn_error *err)
{
    size_t n = d->n + 1, p = parameters(d->size);
    *t = (struct training){.size = d->size};
    t->row = malloc(n * sizeof *t->row);
    t->index = malloc(n * d->size * sizeof *t->index);
    t->value = malloc(n * d->size * sizeof *t->value);
    t->target = malloc(n * sizeof *t->target);
    t->output = malloc(n * sizeof *t->output);
    t->output_gradient = malloc(n * sizeof *t->output_gradient);
    t->hidden = malloc(n * HIDDEN * sizeof *t->hidden);
    t->gradient = malloc(p * sizeof *t->gradient);
    t->momentum = malloc(p * sizeof *t->momentum);
    t->variance = malloc(p * sizeof *t->variance);
    if (t->row != NULL && t->index != NULL && t->value != NULL &&
        t->target != NULL && t->output != NULL && t->output_gradient != NULL &&
        t->hidden != NULL && t->gradient != NULL && t->momentum != NULL &&
        t->variance != NULL)
        return SN_OK;
    training_close(t);
    return no_memory(err);
}

/* The rows outside fold `out` (-1: all), and their mean and scale. */
static void take_rows(struct training *t, const struct sn_design *d, int out,
                      struct sn_mlp *mlp)
{
    double sum = 0, squares = 0;
    size_t at = 0;
    t->n = 0;
    for (size_t r = 0; r < d->n; r++) {
        if ((int)d->fold[r] == out)
            continue;
        uint32_t n =
            compress(d->x + r * d->size, d->size, t->index + at, t->value + at);
        t->row[t->n] = (struct sparse){n, t->index + at, t->value + at};
        t->target[t->n++] = (float)r; /* its place, until all are known */
        at += n;
        sum += d->y[r];
    }
    mlp->mean = sum / (double)t->n;
    for (size_t i = 0; i < t->n; i++) {
        double off = d->y[(size_t)t->target[i]] - mlp->mean;
        squares += off * off;
    }
    double sd = sqrt(squares / (double)t->n);
    mlp->scale = sd > 0 ? sd : 1;
    for (size_t i = 0; i < t->n; i++)
        t->target[i] =
            (float)((d->y[(size_t)t->target[i]] - mlp->mean) / mlp->scale);
}

static void start(const struct training *t, struct sn_rng *rng, float *w)
{
    float *second = w + (t->size + 1) * HIDDEN;
    uint32_t active = 1;
    for (size_t r = 0; r < t->n; r++)
        active = t->row[r].n > active ? t->row[r].n : active;
    memset(w, 0, parameters(t->size) * sizeof *w);
    for (size_t i = 0; i < t->size * HIDDEN; i++)
        w[i] = (float)(sqrt(1.0 / active) * sn_rng_normal(rng));
    for (int h = 0; h < HIDDEN; h++)
        second[h] = (float)(sqrt(1.0 / HIDDEN) * sn_rng_normal(rng));
}

/* Of the losses by the outputs, for the mean over the rows. */
static void loss_gradient(struct training *t, struct sn_rng *rng)
{
    float share = 1.0f / (float)t->n;
    for (size_t r = 0; r < t->n; r++)
        t->output_gradient[r] = 2 * share * (t->output[r] - t->target[r]);
    for (size_t r = 0; r < t->n; r++)
        for (int k = 0; k < PARTNERS; k++) {
            uint32_t s = sn_rng_below(rng, (uint32_t)t->n);
            float order = t->target[r] - t->target[s];
            if (order == 0)
                continue;
            float side = order > 0 ? 1 : -1;
            float lead = side * (t->output[r] - t->output[s]);
            float g = rank_weight * share / PARTNERS * side / (1 + expf(lead));
            t->output_gradient[r] -= g;
            t->output_gradient[s] += g;
        }
}

static void backward(struct training *t, const float *w)
{
    const float *second = w + (t->size + 1) * HIDDEN;
    float *bias = t->gradient + t->size * HIDDEN;
    float *to_second = bias + HIDDEN;
    memset(t->gradient, 0, parameters(t->size) * sizeof *t->gradient);
    for (size_t r = 0; r < t->n; r++) {
        const struct sparse *x = &t->row[r];
        const float *hidden = t->hidden + r * HIDDEN;
        const float g = t->output_gradient[r];
        float to_hidden[HIDDEN];
        for (int h = 0; h < HIDDEN; h++) {
            to_hidden[h] = hidden[h] > 0 ? g * second[h] : 0;
            bias[h] += to_hidden[h];
            to_second[h] += g * hidden[h];
        }
        to_second[HIDDEN] += g;
        for (uint32_t k = 0; k < x->n; k++) {
            float *restrict row = t->gradient + (size_t)x->index[k] * HIDDEN;
            const float v = x->value[k];
            for (int h = 0; h < HIDDEN; h++)
                row[h] += v * to_hidden[h];
        }
    }
}

/* Biases decay too: they are few, and all is standardised. */
static void adam(struct training *t, int step, float *restrict w)
{
    size_t n = parameters(t->size);
    float rate = top_rate * (1 - (float)step / STEPS);
    float first = 1 - powf(beta1, (float)step + 1);
    float other = 1 - powf(beta2, (float)step + 1);
    float *restrict m = t->momentum, *restrict v = t->variance;
    const float *restrict g = t->gradient;
    for (size_t i = 0; i < n; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        float move = m[i] / first / (sqrtf(v[i] / other) + 1e-8f);
        w[i] -= rate * (move + decay * w[i]);
    }
}

static void train_member(struct training *t, struct sn_rng rng, float *w)
{
    size_t n = parameters(t->size);
    memset(t->momentum, 0, n * sizeof *t->momentum);
    memset(t->variance, 0, n * sizeof *t->variance);
    start(t, &rng, w);
    for (int step = 0; step < STEPS; step++) {
        for (size_t r = 0; r < t->n; r++)
            t->output[r] =
                forward(w, t->size, &t->row[r], t->hidden + r * HIDDEN);
        loss_gradient(t, &rng);
        backward(t, w);
        adam(t, step, w);
    }
}

static void train(struct training *t, const struct sn_design *d, int out,
                  uint64_t seed, struct sn_mlp *mlp)
{
    enum { FIRST = 1000 }; /* steps of the stream below are the bootstrap's */
    take_rows(t, d, out, mlp);
    for (int m = 0; m < MEMBERS; m++) {
        uint64_t step = FIRST + (uint64_t)((out + 1) * MEMBERS + m);
        train_member(t, sn_rng_make(seed, SN_STREAM_FIT, step), mlp->member[m]);
    }
}

enum sn_err sn_mlp_fit(const struct sn_design *d, uint64_t seed,
                       struct sn_mlp **ret, struct sn_error *err)
{
    struct sn_mlp *mlp = NULL;
    struct training t;
    enum sn_err rc = mlp_new(d->size, &mlp, err);
    if (rc == SN_OK)
        rc = training_init(&t, d, err);
    if (rc != SN_OK) {
        sn_mlp_free(mlp);
        return rc;
    }
    train(&t, d, -1, seed, mlp);
    training_close(&t);
    *ret = mlp;
    return SN_OK;
}

enum sn_err sn_mlp_out_of_fold(const struct sn_design *d, uint64_t seed,
                               double *ret_mean, double *ret_sd,
                               struct sn_error *err)
{
    struct sn_mlp *mlp = NULL;
    struct training t;
    enum sn_err rc = mlp_new(d->size, &mlp, err);
    if (rc == SN_OK)
        rc = training_init(&t, d, err);
    for (int f = 0; f < SN_DESIGN_FOLDS && rc == SN_OK; f++) {
        train(&t, d, f, seed, mlp);
        for (size_t r = 0; r < d->n; r++)
            if ((int)d->fold[r] == f)
                ret_mean[r] = sn_mlp_score(mlp, d->x + r * d->size, &ret_sd[r]);
    }
    if (rc == SN_OK)
        training_close(&t);
    sn_mlp_free(mlp);
    return rc;
}

/* ---- as numbers ---- */

size_t sn_mlp_numbers(size_t size)
{
    return 2 + MEMBERS * parameters(size);
}

void sn_mlp_get(const struct sn_mlp *mlp, double *ret)
{
    ret[0] = mlp->mean;
    ret[1] = mlp->scale;
    for (size_t i = 2; i < sn_mlp_numbers(mlp->size); i++)
        ret[i] = (double)mlp->numbers[i - 2];
}

enum sn_err sn_mlp_from(size_t size, const double *numbers, struct sn_mlp **ret,
                        struct sn_error *err)
{
    struct sn_mlp *mlp = NULL;
    for (size_t i = 0; i < sn_mlp_numbers(size); i++)
        if (!isfinite(numbers[i]))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "weight %zu of the predictor is no number", i);
    enum sn_err rc = mlp_new(size, &mlp, err);
    if (rc != SN_OK)
        return rc;
    mlp->mean = numbers[0];
    mlp->scale = numbers[1];
    for (size_t i = 2; i < sn_mlp_numbers(size); i++)
        mlp->numbers[i - 2] = (float)numbers[i];
    *ret = mlp;
    return SN_OK;
}
