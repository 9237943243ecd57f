/* sn_single - jobs of one architecture: `finetune` trains it further from a
 * supernet's weights, `scratch` alone from new ones, so that what inheriting is
 * worth can be seen.
 *
 * Their hold-out is measured on the images that probes take (the first
 * sparsenas.probe_images of it): no final choice of a search was made by these,
 * so that its intervals hold. Pure; thread-safe.
 */
#ifndef SN_SINGLE_H
#define SN_SINGLE_H

#include "engine/engine.h"

/* Refuses what contradicts the strategy: an architecture that is missing, is
 * none of the space's or belongs to no such job; a supernet that is missing or
 * too much; winners to fine-tune where nothing is searched. */
enum sn_err sn_single_resolve(const struct sn_spec *spec,
                              const struct sn_space *space,
                              struct sn_error *err);
/* The architecture of such a job's spec, which is resolved. */
void sn_single_arch(const struct sn_spec *spec, const struct sn_space *space,
                    struct sn_arch *ret);
/* Its resolution; 0: the job is none of these. */
uint16_t sn_single_resolution(const struct sn_spec *spec,
                              const struct sn_space *space);

#endif
