/* sn_key - what a row of a latency table is of: a part of a network, or a whole
 * architecture. The keys are listed in table.h.
 */
#ifndef SN_DEVICE_KEYS_H
#define SN_DEVICE_KEYS_H

#include "engine/device/table.h"

/* part 0: the stem; 1 + i: block i; n_blocks + 1: the head. */
void sn_key_make(const struct sn_plan *plan, int part,
                 char ret[SN_TABLE_KEY_MAX]);
void sn_key_make_arch(const struct sn_space *space, const struct sn_arch *arch,
                      char ret[SN_TABLE_KEY_MAX]);
/* The id in a whole architecture's key, borrowed; NULL in a part's. */
const char *sn_key_arch_id(const char *key);

#endif
