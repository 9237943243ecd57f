/* sn_archset - a set of architectures: hashing with open addressing, for
 * draws that must be distinct.
 *
 * Owned by one thread at a time. Members are copied.
 */
#ifndef SN_ARCHSET_H
#define SN_ARCHSET_H

#include "engine/space/space.h"

struct sn_archset; /* opaque */

/* `room`: how many will be added at most. ret owned by the caller. */
enum sn_err sn_archset_new(uint32_t room, struct sn_archset **ret,
                           struct sn_error *err);
void sn_archset_free(struct sn_archset *set); /* NULL is fine */
/* Frees the set but for its members, in the order in which they were added:
 * owned by the caller, free(). */
struct sn_arch *sn_archset_take(struct sn_archset *set);
/* True when it was not there yet (and now is). A full set takes no more. */
bool sn_archset_add(struct sn_archset *set, const struct sn_arch *arch);
uint32_t sn_archset_count(const struct sn_archset *set);
bool sn_archset_holds(const struct sn_archset *set, const struct sn_arch *arch);

#endif
