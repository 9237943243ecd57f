/* sn_cover - the architectures that together hold every distinct part of a
 * space, at each resolution that is measured.
 */
#ifndef SN_DEVICE_COVER_H
#define SN_DEVICE_COVER_H

#include <stdint.h>

#include "engine/space/space.h"

uint32_t sn_cover_count(const struct sn_space *space);
/* The i-th. */
void sn_cover_arch(const struct sn_space *space, uint32_t i,
                   struct sn_arch *ret);
/* The i-th resolution that is measured, upwards to the space's highest. Between
 * two of these a sum of parts goes with the number of pixels. */
uint16_t sn_cover_resolution(const struct sn_space *space, int i);

#endif
