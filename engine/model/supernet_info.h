/* sn_supernet_info - what a supernet's file says of itself: plain data, for the
 * engine's door too.
 */
#ifndef SN_SUPERNET_INFO_H
#define SN_SUPERNET_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/space/space.h"

enum { SN_FILE_CHANNELS = 3, SN_FILE_CLASSES = 1000 /* at most */ };

struct sn_supernet_info {
    int in_channels, classes;
    uint64_t step; /* optimizer steps; 0 where the file does not say */
    bool has_statistics;
    bool normalises; /* mean and std are known: of pixels in 0..1 */
    float mean[SN_FILE_CHANNELS], std[SN_FILE_CHANNELS];
    char dataset[SN_NAME_MAX]; /* it was trained on, or "" */
    char dataset_checksum[17]; /* or "" */
};

#endif
