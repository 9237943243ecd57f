/* sn_sgd - stochastic gradient descent with Nesterov momentum and weight decay.
 *
 *   g = clamp(scale * gradient, -clip, clip) + decay * w
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
    float scale; /* of the gradient: 1, or less where its norm is clipped */
    float clip;  /* of each of its values; INFINITY: none */
};

/* weights, momentum and gradient have n floats each. */
void sn_sgd_update(const struct sn_sgd *sgd, size_t n, const float *gradient,
                   float *momentum, float *weights);

#endif
