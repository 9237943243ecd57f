/* The signal: how much of the spread of measured accuracies is real. */
#include "engine/search/quality.h"

#include <math.h>
#include <stdlib.h>

#define NORMAL_95 1.6448536269514722 /* one-sided 5% */
/* A variance that only the rounding of means can leave; one image more in a
 * million gives 1e-12. */
#define ROUNDING 1e-24

/* Takes the mean of each band (of everything when band is NULL) away from x;
 * returns the degrees of freedom that are left. */
static uint32_t centre(double *x, const uint32_t *band, uint32_t n,
                       double *mean)
{
    uint32_t groups = 0;
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;
        uint32_t count = 0, earlier = 0;
        for (uint32_t j = 0; j < n; j++) {
            if (band != NULL && band[j] != band[i])
                continue;
            sum += x[j];
            count++;
            earlier += j < i;
        }
        mean[i] = sum / count;
        groups += earlier == 0;
    }
    for (uint32_t i = 0; i < n; i++)
        x[i] -= mean[i];
    return n - groups;
}

static struct sn_spread spread_of(const double *a, const double *b, uint32_t n,
                                  uint32_t freedom)
{
    struct sn_spread ret = {0};
    double aa = 0, bb = 0, ab = 0, mm = 0, dd = 0;
    if (freedom < 3)
        return ret;
    for (uint32_t i = 0; i < n; i++) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
        mm += (a[i] + b[i]) * (a[i] + b[i]) / 4;
        dd += (a[i] - b[i]) * (a[i] - b[i]) / 4;
    }
    ret.standard_error = sqrt(dd / freedom);
    if (ab <= 0 || aa < ROUNDING * freedom || bb < ROUNDING * freedom)
        return ret;
    ret.spread = sqrt(ab / freedom);
    ret.reliability = ab / mm < 1 ? ab / mm : 1;
    /* Fisher's z of the halves' correlation; its SE is 1/sqrt(items - 3) */
    double r = ab / sqrt(aa * bb);
    ret.real = r > 0.999999 || atanh(r) * sqrt(freedom - 2.0) > NORMAL_95;
    return ret;
}

enum sn_err sn_signal_measure(const struct sn_halves *halves,
                              const uint32_t *band, uint32_t n,
                              struct sn_signal *ret, struct sn_error *err)
{
    if (n < 4)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%u measured architectures are too few to tell "
                            "signal from noise",
                            n);
    for (uint32_t i = 0; i < n; i++)
        if (halves[i].images[0] == 0 || halves[i].images[1] == 0)
            return sn_error_set(err, SN_ERR_INVALID,
                                "architecture %u has a half without images", i);
    double *a = malloc(3 * (size_t)n * sizeof *a);
    if (a == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for half scores");
    double *b = a + n, *mean = b + n;
    for (uint32_t i = 0; i < n; i++) {
        a[i] = (double)halves[i].correct[0] / halves[i].images[0];
        b[i] = (double)halves[i].correct[1] / halves[i].images[1];
    }
    struct sn_signal signal;
    centre(a, NULL, n, mean);
    uint32_t freedom = centre(b, NULL, n, mean);
    signal.overall = spread_of(a, b, n, freedom);
    centre(a, band, n, mean);
    freedom = centre(b, band, n, mean);
    signal.within = spread_of(a, b, n, freedom);
    free(a);
    *ret = signal;
    return SN_OK;
}
