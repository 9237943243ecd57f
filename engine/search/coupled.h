/* sn_coupled - the coupled sub-space of CompOFA as members, to be searched.
 *
 * All of it where that is few; otherwise a sample, drawn by the seed. Every
 * resolution of the space counts. Members have no score.
 */
#ifndef SN_COUPLED_H
#define SN_COUPLED_H

#include "engine/search/subspace.h"

/* elastic_kernels: kernels are free, depth alone forces the rest. At most
 * `most` members. ret owned by the caller. */
enum sn_err sn_coupled_subspace(const struct sn_space *space,
                                bool elastic_kernels, uint32_t most,
                                uint64_t seed, struct sn_subspace **ret,
                                struct sn_error *err);

#endif
