/* sn_quality - how good predictions are, and whether there was anything to
 * predict.
 *
 * Rank agreement (Kendall's tau-b, Spearman's rho with mean ranks), errors, and
 * the signal: the part of the spread of measured accuracies that measuring
 * again on other images would repeat. Pure functions; thread-safe. Not-a-number
 * never comes out: where a statistic has no meaning (n < 2, all tied) it is 0.
 */
#ifndef SN_QUALITY_H
#define SN_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

double sn_quality_kendall(const double *a, const double *b, uint32_t n);
/* Over pairs of the same band alone (tau-b's numerator and denominators summed
 * over the bands). */
double sn_quality_kendall_within(const double *a, const double *b,
                                 const uint32_t *band, uint32_t n);
enum sn_err sn_quality_spearman(const double *a, const double *b, uint32_t n,
                                double *ret, struct sn_error *err);
double sn_quality_mae(const double *a, const double *b, uint32_t n);
/* Of the k truly best, the share that is among the k predicted best; ties go
 * to the lower index. */
double sn_quality_top_k(const double *measured, const double *predicted,
                        uint32_t n, uint32_t k);

/* A statistic and its 90% interval, by bootstrap over the items. */
struct sn_stat {
    double value, lo, hi;
};
struct sn_quality {
    uint32_t n;
    struct sn_stat tau;
    struct sn_stat tau_within; /* inside bands */
    struct sn_stat spearman;
    struct sn_stat mae;
    struct sn_stat top_recall; /* of the best tenth (at least one) */
    struct sn_stat coverage;   /* share measured inside the predicted 90% */
};
struct sn_quality_data {
    const double *measured, *predicted;
    const double *deviation; /* the SD expected of each error; NULL: unknown,
                                and coverage is 0 */
    const uint32_t *band;    /* NULL: one band */
    uint32_t n;
    uint64_t seed; /* of the bootstrap: 1,000 replicates, fewer (at least 100)
                      when there are more than 500 items */
};
enum sn_err sn_quality_measure(const struct sn_quality_data *data,
                               struct sn_quality *ret, struct sn_error *err);
/* The same of one band's items alone. */
enum sn_err sn_quality_of_band(const struct sn_quality_data *data,
                               uint32_t band, struct sn_quality *ret,
                               struct sn_error *err);
/* By how much `a` orders better than `b` inside bands: the difference of
 * Kendall's tau, and its standard error by bootstrap (200 replicates). */
enum sn_err sn_quality_compare(const double *measured, const double *a,
                               const double *b, const uint32_t *band,
                               uint32_t n, uint64_t seed, double *ret_gain,
                               double *ret_error, struct sn_error *err);

/* ---- which predictor was the better ---- */

enum sn_predictor_kind {
    SN_PREDICTOR_RIDGE,
    SN_PREDICTOR_MLP,
    SN_PREDICTOR_KINDS
};
extern const char *const sn_predictor_names[SN_PREDICTOR_KINDS];
enum sn_predictor_choice {
    SN_PREDICT_AUTO, /* the better out of fold */
    SN_PREDICT_ONE,  /* + a kind: that one */
    SN_PREDICT_RIDGE = SN_PREDICT_ONE + SN_PREDICTOR_RIDGE,
    SN_PREDICT_MLP = SN_PREDICT_ONE + SN_PREDICTOR_MLP
};
/* All out of fold. Ridge is used unless the MLP's tau inside bands is better by
 * more than one standard error of the difference. */
struct sn_contest {
    bool entered[SN_PREDICTOR_KINDS];
    double tau[SN_PREDICTOR_KINDS], tau_within[SN_PREDICTOR_KINDS];
    double mae[SN_PREDICTOR_KINDS];
    double gain, gain_error; /* of the MLP over ridge, when both entered */
    enum sn_predictor_kind used;
};

/* One architecture measured on two halves of the images. */
struct sn_halves {
    uint32_t correct[2], images[2];
};

/* With half scores a and b over the architectures, their errors being
 * independent: var(true accuracies) = cov(a, b);
 * var(error of the mean) = var(a - b) / 4;
 * reliability of the mean = cov(a, b) / var((a + b) / 2), which is Spearman and
 * Brown's 2r / (1 + r) of the halves' correlation r. The images are the same
 * for all architectures, so what makes them easy or hard for all cancels. */
struct sn_spread {
    double spread;         /* SD of the true accuracies, 0 if none shows */
    double standard_error; /* of one architecture's mean, against the others */
    double reliability;    /* 0..1 */
    bool real;             /* r is over 0 beyond chance (one-sided, 5%) */
};
struct sn_signal {
    struct sn_spread overall;
    struct sn_spread within; /* after taking each band's mean away: what the
                                filter works on, so this one decides */
};
/* band may be NULL: one band. Needs n >= 4 and images in both halves. */
enum sn_err sn_signal_measure(const struct sn_halves *halves,
                              const uint32_t *band, uint32_t n,
                              struct sn_signal *ret, struct sn_error *err);

#endif
