/* sn_folded_layers - the layers of a folded network as a list, in the order and
 * under the names that every file format uses.
 *
 * Pure functions; thread-safe.
 */
#ifndef SN_FOLDED_H
#define SN_FOLDED_H

#include "engine/net/static.h"

enum { SN_MAX_FOLDED = 5 * SN_MAX_BLOCKS + 6 };

struct sn_named_layer {
    /* stem, blocks.3.se.reduce, classifier; [resnet] stem.last, blocks.3.conv1
     * to conv3, blocks.3.downsample */
    char name[32];
    const struct sn_folded *layer;
};

/* Lists the layers that are there (out > 0); returns how many. `layer` borrows
 * from net. */
size_t sn_folded_layers(const struct sn_folded_net *net,
                        struct sn_named_layer ret[SN_MAX_FOLDED]);
/* Shapes as the plan has them, weights and biases NULL. */
void sn_folded_shapes(const struct sn_plan *plan, struct sn_folded_net *ret);
/* Floats of the layer's weight. */
size_t sn_folded_weights(const struct sn_folded *layer);
/* Its weight's shape [out][in][k][k], in = 1 when depthwise. */
void sn_folded_shape(const struct sn_folded *layer, int64_t ret[4]);
/* Whether all shapes are the plan's and all values are finite numbers. */
enum sn_err sn_folded_check(const struct sn_folded_net *net,
                            struct sn_error *err);

#endif
