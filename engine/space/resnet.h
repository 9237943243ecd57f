/* sn_resnet - what the ResNet family has of its own: its plan, its costs and
 * its text ids. Internal to engine/space; plan.c and archid.c come here by the
 * space's family.
 *
 * Id: r224.d20122.e<a digit a stored block>.w<stem's two widths, stages>, in
 * Once-for-All's order: d is the stem's choice (2: with its residual 3x3, 0:
 * without), then the blocks of each stage over its base depth; e and w are
 * indexes of the space's ratios, in base 36. A block that is not there has the
 * digit 0.
 *
 * Pure functions; thread-safe.
 */
#ifndef SN_SPACE_RESNET_H
#define SN_SPACE_RESNET_H

#include "engine/space/plan.h"

/* As sn_plan_make and sn_plan_cost. */
void sn_resnet_plan(const struct sn_space *space, const struct sn_arch *arch,
                    int in_channels, int classes, struct sn_plan *ret);
void sn_resnet_cost(const struct sn_plan *plan, struct sn_cost *ret);

/* As sn_arch_encode and sn_arch_decode; `id` is shorter than SN_ARCH_ID_MAX. */
void sn_resnet_encode(const struct sn_space *space, const struct sn_arch *arch,
                      char ret_id[SN_ARCH_ID_MAX]);
enum sn_err sn_resnet_decode(const struct sn_space *space, const char *id,
                             struct sn_arch *ret, struct sn_error *err);

/* As sn_space_builtin, of this family. */
const struct sn_space *sn_resnet_builtin(size_t i);

#endif
