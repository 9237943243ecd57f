#include "engine/net/kernel_transform.h"

#include <string.h>

/* Index of tap u of a small x small centre in its large x large kernel. */
static int centre_tap(int large, int small, int u)
{
    int edge = (large - small) / 2;
    return (u / small + edge) * large + u % small + edge;
}

static int chain_index(const struct sn_kernel_chain *chain, int k)
{
    int m = chain->n - 1;
    while (m > 0 && chain->kernel[m] != k) {
        m--;
    }
    return m;
}

/* One step: the centre of `from` (kernel[m + 1]) through matrix[m]. Returns the
 * centre too, since the gradient needs it. */
static void shrink_step(const struct sn_kernel_chain *chain, int m,
                        const float *from, float *ret_centre, float *ret)
{
    int small = chain->kernel[m];
    int taps = small * small;
    const float *matrix = chain->matrix[m];
    for (int u = 0; u < taps; u++) {
        ret_centre[u] = from[centre_tap(chain->kernel[m + 1], small, u)];
    }
    for (int t = 0; t < taps; t++) {
        float sum = 0.0f;
        for (int u = 0; u < taps; u++) {
            sum += matrix[t * taps + u] * ret_centre[u];
        }
        ret[t] = sum;
    }
}

void sn_kernel_shrink(const struct sn_kernel_chain *chain, int c,
                      const float *stored, int k, float *ret)
{
    int last = chain_index(chain, k);
    int top = chain->kernel[chain->n - 1];
    float centre[SN_KERNEL_TAPS], level[2][SN_KERNEL_TAPS];

    for (int ch = 0; ch < c; ch++) {
        const float *from = stored + (size_t)ch * (size_t)(top * top);
        for (int m = chain->n - 2; m >= last; m--) {
            shrink_step(chain, m, from, centre, level[m % 2]);
            from = level[m % 2];
        }
        memcpy(ret + (size_t)ch * (size_t)(k * k), from,
               sizeof(float) * (size_t)(k * k));
    }
}

/* One step back: `grad` of kernel[m] becomes that of kernel[m + 1], zero around
 * its centre; the matrix's gradient is summed in double over the channels. */
static void grow_step(const struct sn_kernel_chain *chain, int m,
                      const float *centre, double *dmatrix, const float *grad,
                      float *ret)
{
    int small = chain->kernel[m], large = chain->kernel[m + 1];
    int taps = small * small;
    float dcentre[SN_KERNEL_TAPS] = {0};
    const float *matrix = chain->matrix[m];
    for (int t = 0; t < taps; t++) {
        for (int u = 0; u < taps; u++) {
            dmatrix[t * taps + u] += (double)grad[t] * (double)centre[u];
            dcentre[u] += matrix[t * taps + u] * grad[t];
        }
    }
    memset(ret, 0, sizeof(float) * (size_t)(large * large));
    for (int u = 0; u < taps; u++) {
        ret[centre_tap(large, small, u)] = dcentre[u];
    }
}

void sn_kernel_shrink_backward(const struct sn_kernel_chain *chain, int c,
                               const float *stored, int k, const float *dkernel,
                               int ld, float *dstored,
                               float *const dmatrix[SN_KERNEL_STEPS])
{
    int last = chain_index(chain, k);
    int top = chain->kernel[chain->n - 1];
    int taps = top * top;
    double dm[SN_KERNEL_STEPS][SN_KERNEL_TAPS * SN_KERNEL_TAPS] = {0};
    float centre[SN_KERNEL_STEPS][SN_KERNEL_TAPS];
    float level[2][SN_KERNEL_TAPS];

    for (int ch = 0; ch < c; ch++) {
        const float *from = stored + (size_t)ch * (size_t)taps;
        for (int m = chain->n - 2; m >= last; m--) {
            shrink_step(chain, m, from, centre[m], level[m % 2]);
            from = level[m % 2];
        }
        float grad[SN_KERNEL_TAPS], next[SN_KERNEL_TAPS];
        for (int t = 0; t < k * k; t++) {
            grad[t] = dkernel[(size_t)t * (size_t)ld + (size_t)ch];
        }
        for (int m = last; m < chain->n - 1; m++) {
            grow_step(chain, m, centre[m], dm[m], grad, next);
            memcpy(grad, next, sizeof(grad));
        }
        for (int t = 0; t < taps; t++) {
            dstored[(size_t)ch * (size_t)taps + (size_t)t] += grad[t];
        }
    }
    for (int m = last; m < chain->n - 1; m++) {
        int side = chain->kernel[m] * chain->kernel[m];
        for (int e = 0; e < side * side; e++) {
            dmatrix[m][e] += (float)dm[m][e];
        }
    }
}
