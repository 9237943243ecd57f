/* sn_arch_json - spaces and architectures as JSON, and Once-for-All's way to
 * write an architecture.
 *
 * {"ks": [...], "e": [...], "d": [...], "r": 28}: kernels and expands of all
 * block places, stage after stage, each stage as long as the space's greatest
 * depth; places beyond a stage's depth are 0 when written and ignored when
 * read; depths are whole (Once-for-All's count from a base is not used for this
 * family); r may also be a list of one. Pure; any thread. Owned references.
 */
#ifndef SN_ARCH_JSON_H
#define SN_ARCH_JSON_H

#include <jansson.h>

#include "engine/engine.h"

struct sn_problem;

json_t *sn_space_describe(const struct sn_space *space, bool with_stages);
/* arch, space, resolution, ofa, macs, params, peak_memory, blocks. */
json_t *sn_arch_describe(const struct sn_space *space,
                         const struct sn_arch *arch, int in_channels,
                         int classes);
json_t *sn_arch_to_ofa(const struct sn_space *space,
                       const struct sn_arch *arch);
/* `prefix`: where `ofa` is in the body. False after adding to the problem. */
bool sn_arch_from_ofa(const struct sn_space *space, const json_t *ofa,
                      const char *prefix, struct sn_arch *ret,
                      struct sn_problem *problem);

#endif
