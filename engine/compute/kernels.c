/* The whole table of one ISA; with SN_BF16 what training passes over tensors
 * take. */
#include "engine/compute/kernels.h"

void SN_KERNEL(sn_kernels_fill)(struct sn_kernels *k)
{
    k->block = SN_B;
    SN_KERNEL(sn_kernels_depthwise_backward)(k);
    SN_KERNEL(sn_kernels_fused)(k);
    SN_KERNEL(sn_kernels_stem)(k);
    SN_KERNEL(sn_kernels_depthwise)(k);
    SN_KERNEL(sn_kernels_norm)(k);
    SN_KERNEL(sn_kernels_vector)(k);
#ifndef SN_BF16
    SN_KERNEL(sn_kernels_gemm)(k);
    SN_KERNEL(sn_kernels_block)(k);
    SN_KERNEL(sn_kernels_residual)(k);
#endif
}
