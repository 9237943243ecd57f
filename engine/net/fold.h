/* sn_fold - a sub-network's plain weights with BN folded in.
 *
 *   act(gamma * (w x - mean) / sqrt(var + eps) + beta) = act(w' x + bias')
 *   w' = w * scale, bias' = beta - mean * scale, scale = gamma / sqrt(var +
 * eps)
 *
 * Plain and unpadded; computed in double. Pure functions.
 */
#ifndef SN_NET_FOLD_H
#define SN_NET_FOLD_H

#include "engine/net/calibrate.h"
#include "engine/net/subnet.h"

/* Layer j of the sub-network: weight [o][i][k][k] or [c][k][k], bias [o] (zero
 * where the layer has neither BN nor bias). Reads the weights it is bound to.
 */
void sn_fold_layer(const struct sn_subnet *sub, const struct sn_bn_stats *stats,
                   int j, float *ret_weight, float *ret_bias);

#endif
