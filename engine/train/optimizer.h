/* sn_sgd - stochastic gradient descent with Nesterov momentum and weight decay.
 *
 *   g = gradient + decay * w
 *   m = momentum * m + g
 *   w = w - rate * (g + momentum * m)
 *
 * (Sutskever et al., ICML 2013, in the form that is usual in today's
 * frameworks.) Works on a range of a flat array, so that workers can share it.
 */
#ifndef SN_OPTIMIZER_H
#define SN_OPTIMIZER_H

#include <stddef.h>

struct sn_sgd {
    float rate, momentum, decay;
};

/* weights, momentum and gradient have n floats each. */
void sn_sgd_update(const struct sn_sgd *sgd, size_t n, const float *gradient,
                   float *momentum, float *weights);

#endif
