/* Channels are gone through LANES at a time, the lanes innermost: every inner
 * loop is one vector operation, whatever the width of the machine's vectors. */
#include "engine/net/kernel_transform.h"

#include <string.h>

enum { LANES = 16 };

/* Taps of LANES channels. */
typedef float lanes[SN_KERNEL_TAPS][LANES];

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

/* n channels of plain [n][taps] into lanes; those left over are zero. */
static void gather(int n, int taps, const float *plain, lanes ret)
{
    for (int t = 0; t < taps; t++) {
        for (int l = 0; l < LANES; l++) {
            ret[t][l] = l < n ? plain[l * taps + t] : 0.0f;
        }
    }
}

/* One step: the centre of `from` (kernel[m + 1]) through matrix[m]. Returns the
 * centre too, since the gradient needs it. */
static void shrink_step(const struct sn_kernel_chain *chain, int m, lanes from,
                        lanes ret_centre, lanes ret)
{
    int small = chain->kernel[m];
    int taps = small * small;
    const float *matrix = chain->matrix[m];
    for (int u = 0; u < taps; u++) {
        memcpy(ret_centre[u], from[centre_tap(chain->kernel[m + 1], small, u)],
               sizeof(ret_centre[u]));
    }
    for (int t = 0; t < taps; t++) {
        float sum[LANES] = {0};
        for (int u = 0; u < taps; u++) {
            float factor = matrix[t * taps + u];
            for (int l = 0; l < LANES; l++) {
                sum[l] += factor * ret_centre[u][l];
            }
        }
        memcpy(ret[t], sum, sizeof(sum));
    }
}

static int lanes_left(int c, int first)
{
    return c - first < LANES ? c - first : LANES;
}

void sn_kernel_shrink(const struct sn_kernel_chain *chain, int c,
                      const float *stored, int k, float *ret)
{
    int last = chain_index(chain, k);
    int top = chain->kernel[chain->n - 1];
    lanes centre, level[2];

    for (int ch = 0; ch < c; ch += LANES) {
        int n = lanes_left(c, ch), at = 0;
        gather(n, top * top, stored + (size_t)ch * (size_t)(top * top),
               level[0]);
        for (int m = chain->n - 2; m >= last; m--, at = 1 - at) {
            shrink_step(chain, m, level[at], centre, level[1 - at]);
        }
        for (int l = 0; l < n; l++) {
            float *to = ret + (size_t)(ch + l) * (size_t)(k * k);
            for (int t = 0; t < k * k; t++) {
                to[t] = level[at][t][l];
            }
        }
    }
}

/* One step back: `grad` of kernel[m] becomes that of kernel[m + 1], zero around
 * its centre; the matrix's gradient is summed in double over the channels. */
static void grow_step(const struct sn_kernel_chain *chain, int m, lanes centre,
                      double *dmatrix, lanes grad, lanes ret)
{
    int small = chain->kernel[m], large = chain->kernel[m + 1];
    int taps = small * small;
    const float *matrix = chain->matrix[m];
    memset(ret, 0, sizeof(ret[0]) * (size_t)(large * large));
    for (int u = 0; u < taps; u++) {
        float *to = ret[centre_tap(large, small, u)];
        for (int t = 0; t < taps; t++) {
            float factor = matrix[t * taps + u];
            float product[4] = {0};
            for (int l = 0; l < LANES; l += 4) {
                for (int i = 0; i < 4; i++) {
                    to[l + i] += factor * grad[t][l + i];
                    product[i] += grad[t][l + i] * centre[u][l + i];
                }
            }
            dmatrix[t * taps + u] += (double)(product[0] + product[1]) +
                                     (double)(product[2] + product[3]);
        }
    }
}

/* One group of channels, from the gradient of its shrunken kernels. */
static void grow(const struct sn_kernel_chain *chain, int n, int last,
                 const float *stored, lanes grad, float *dstored,
                 double (*dm)[SN_KERNEL_TAPS * SN_KERNEL_TAPS])
{
    int top = chain->kernel[chain->n - 1], taps = top * top, at = 0;
    lanes centre[SN_KERNEL_STEPS], level[2];
    gather(n, taps, stored, level[0]);
    for (int m = chain->n - 2; m >= last; m--, at = 1 - at) {
        shrink_step(chain, m, level[at], centre[m], level[1 - at]);
    }
    for (int m = last; m < chain->n - 1; m++) {
        grow_step(chain, m, centre[m], dm[m], grad, level[0]);
        memcpy(grad, level[0], sizeof(lanes));
    }
    for (int l = 0; l < n; l++) {
        for (int t = 0; t < taps; t++) {
            dstored[(size_t)l * (size_t)taps + (size_t)t] += grad[t][l];
        }
    }
}

void sn_kernel_shrink_backward(const struct sn_kernel_chain *chain, int c,
                               const float *stored, int k, const float *dkernel,
                               int ld, float *dstored,
                               float *const dmatrix[SN_KERNEL_STEPS])
{
    int last = chain_index(chain, k);
    int top = chain->kernel[chain->n - 1];
    double dm[SN_KERNEL_STEPS][SN_KERNEL_TAPS * SN_KERNEL_TAPS] = {0};
    lanes grad;

    for (int ch = 0; ch < c; ch += LANES) {
        int n = lanes_left(c, ch);
        size_t at = (size_t)ch * (size_t)(top * top);
        memset(grad, 0, sizeof(grad));
        for (int t = 0; t < k * k; t++) {
            memcpy(grad[t], dkernel + (size_t)t * (size_t)ld + (size_t)ch,
                   sizeof(float) * (size_t)n);
        }
        grow(chain, n, last, stored + at, grad, dstored + at, dm);
    }
    for (int m = last; m < chain->n - 1; m++) {
        int side = chain->kernel[m] * chain->kernel[m];
        for (int e = 0; e < side * side; e++) {
            dmatrix[m][e] += (float)dm[m][e];
        }
    }
}
