/* sn_bn_stats' inside - averaged batch statistics by stored layer, shared by
 * the files of this folder alone. */
#ifndef SN_NET_CALIBRATE_H
#define SN_NET_CALIBRATE_H

#include "engine/net/supernet.h"

struct sn_bn_stats {
    const struct sn_supernet *net; /* borrowed */
    double images;                 /* the weights' sum; 0: nothing yet */
    double *sum;                   /* all of them, by images */
    double *mean[SN_MAX_LAYERS];   /* by stored layer: images * mean */
    double *var[SN_MAX_LAYERS];    /* the same of the biased variance */
};

#endif
