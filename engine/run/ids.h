/* sn_ids - lists of architectures as lines of text, in a checkpoint.
 *
 * A list is of anything that begins with an architecture, `stride` bytes apart.
 */
#ifndef SN_RUN_IDS_H
#define SN_RUN_IDS_H

#include "engine/model/safetensors.h"
#include "engine/space/space.h"

/* An id a line. Owned by the caller; NULL without memory. */
char *sn_ids_join(const struct sn_space *space, const void *list, size_t stride,
                  uint32_t n);
/* From the tensor `name`; SN_ERR_CORRUPT when it has no n ids of the space. */
enum sn_err sn_ids_split(const struct sn_safetensors *file, const char *name,
                         const struct sn_space *space, void *list,
                         size_t stride, uint32_t n, struct sn_error *err);

#endif
