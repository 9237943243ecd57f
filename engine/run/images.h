/* sn_images - a spec's images: its view of a data set, and how training sees
 * them.
 *
 * Pure but for the view's memory; any thread.
 */
#ifndef SN_RUN_IMAGES_H
#define SN_RUN_IMAGES_H

#include "engine/engine.h"

/* The spec is resolved. Owned by the caller; borrows `data`. */
enum sn_err sn_images_view(const struct sn_spec *spec,
                           const struct sn_dataset *data, struct sn_view **ret,
                           struct sn_error *err);

struct sn_augment sn_images_augment(const struct sn_spec *spec);

/* What a data set and its view hold. */
double sn_images_bytes(const struct sn_spec *spec,
                       const struct sn_dataset_info *data);

#endif
