/* sn_filter - the settings of the early filter: made whole, and what they veto.
 *
 * Pure functions of a spec; thread-safe.
 */
#ifndef SN_RUN_FILTER_H
#define SN_RUN_FILTER_H

#include "engine/engine.h"

/* Architectures that may be measured and kept: all but the vetoed. */
double sn_filter_open_count(const struct sn_spec *spec,
                            const struct sn_space *space);
/* Gives subspace_size its default, unless a share is kept; refuses what
 * contradicts itself, naming the field. */
enum sn_err sn_filter_resolve(struct sn_spec *spec,
                              const struct sn_space *space,
                              struct sn_error *err);
/* The vetoed architectures of a resolved spec; returns how many. */
uint32_t sn_filter_vetoed(const struct sn_spec *spec,
                          const struct sn_space *space,
                          struct sn_arch ret[SN_MAX_VETO]);

#endif
