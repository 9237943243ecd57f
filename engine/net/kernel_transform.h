/* sn_kernel - elastic depthwise kernels: a smaller kernel is the centre of the
 * next larger one, sent through a learned matrix.
 *
 *   7x7 stored -> its centre 5x5, as 25 numbers, times a 25x25 matrix -> 5x5
 *              -> that one's centre 3x3, as 9, times a 9x9 matrix -> 3x3
 *
 * as in Once-for-All: one matrix a step and layer, shared by the channels,
 * identity at the start, used only where the kernel is smaller than the stored.
 * Pure functions on the caller's memory; thread-safe.
 */
#ifndef SN_NET_KERNEL_TRANSFORM_H
#define SN_NET_KERNEL_TRANSFORM_H

#include <stddef.h>

enum {
    SN_KERNEL_MAX = 7,
    SN_KERNEL_STEPS = 2,
    SN_KERNEL_TAPS = SN_KERNEL_MAX * SN_KERNEL_MAX
};

/* Kernels ascending, kernel[n - 1] is the stored one. matrix[m] leads from
 * kernel[m + 1] to kernel[m]: [kernel[m]^2 out][kernel[m]^2 in]. */
struct sn_kernel_chain {
    int n;
    int kernel[SN_KERNEL_STEPS + 1];
    const float *matrix[SN_KERNEL_STEPS];
};

/* stored [c][K*K] -> ret [c][k*k]; k is one of the chain's kernels. */
void sn_kernel_shrink(const struct sn_kernel_chain *chain, int c,
                      const float *stored, int k, float *ret);
/* The gradient of that: dkernel is tap-major, [k*k][ld] with ld >= c. Adds to
 * dstored [c][K*K] and to dmatrix[m] of each step that k needs. */
void sn_kernel_shrink_backward(const struct sn_kernel_chain *chain, int c,
                               const float *stored, int k, const float *dkernel,
                               int ld, float *dstored,
                               float *const dmatrix[SN_KERNEL_STEPS]);

#endif
