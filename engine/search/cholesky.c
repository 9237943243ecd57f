#include "engine/search/cholesky.h"

#include <math.h>

/* a = L L^T, row by row. */
static bool factor(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i != j)
                a[i * n + j] = sum / a[j * n + j];
            else if (!(sum > 0)) /* also when it is no number */
                return false;
            else
                a[i * n + i] = sqrt(sum);
        }
    }
    return true;
}

bool sn_cholesky_solve(double *a, size_t n, double *x)
{
    if (!factor(a, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            x[i] -= a[i * n + k] * x[k];
        x[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            x[i] -= a[k * n + i] * x[k];
        x[i] /= a[i * n + i];
    }
    return true;
}
