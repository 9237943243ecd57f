#include "engine/train/optimizer.h"

void sn_sgd_update(const struct sn_sgd *sgd, size_t n,
                   const float *restrict gradient, float *restrict momentum,
                   float *restrict weights)
{
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * sgd->scale;
        g = g > sgd->clip ? sgd->clip : g < -sgd->clip ? -sgd->clip : g;
        g += sgd->decay * weights[i];
        momentum[i] = sgd->momentum * momentum[i] + g;
        weights[i] -= sgd->rate * (g + sgd->momentum * momentum[i]);
    }
}
