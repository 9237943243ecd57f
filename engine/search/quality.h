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

struct sn_quality {
    uint32_t n;
    double tau, tau_lo, tau_hi; /* 90% interval: bootstrap over items */
    double tau_within, tau_within_lo, tau_within_hi; /* inside bands */
    double spearman, mae;
    double top_recall; /* of the best tenth (at least one) */
};
/* band may be NULL: one band. The bootstrap draws by seed: 1,000 replicates,
 * fewer (at least 100) when there are more than 500 items. */
enum sn_err sn_quality_measure(const double *measured, const double *predicted,
                               const uint32_t *band, uint32_t n, uint64_t seed,
                               struct sn_quality *ret, struct sn_error *err);

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
