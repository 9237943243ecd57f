/* sn_isa - picks the table of kernels for the CPU.
 *
 * Private to engine/compute. ret_bf16: the kernels for tensors in bf16, all
 * zeros (block 0) where there are none. `wanted` as in sn_compute_new; the name
 * returned is static. SN_ERR_UNSUPPORTED when the CPU or the build lacks it.
 */
#ifndef SN_ISA_H
#define SN_ISA_H

#include "engine/compute/kernels.h"

enum sn_err sn_isa_pick(const char *wanted, const char **ret_name,
                        struct sn_kernels *ret_kernels,
                        struct sn_kernels *ret_bf16, struct sn_error *err);

#endif
