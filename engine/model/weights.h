/* sn_weights - one architecture's folded weights as a safetensors file, and
 * back.
 *
 * Tensor names follow the network: stem.weight, stem.bias, blocks.3.expand.*,
 * blocks.3.depth.*, blocks.3.se.reduce.*, blocks.3.se.expand.*,
 * blocks.3.project.*, head.*, feature.*, classifier.*; of the ResNet family
 * stem.*, stem.residual.*, stem.last.*, blocks.3.conv1.* to conv3.*,
 * blocks.3.downsample.*, classifier.*; shapes are [out][in][k][k]. Metadata:
 * format "sparsenas.static.1", arch, space, dataset_checksum, classes,
 * in_channels, resolution, weights_xxh3 (of all weights in this order),
 * producer, version and the notes.
 */
#ifndef SN_WEIGHTS_H
#define SN_WEIGHTS_H

#include "engine/err.h"
#include "engine/model/identity.h"
#include "engine/net/static.h"

/* Borrows everything. Written whole or not at all. */
enum sn_err sn_weights_write(const char *path, const struct sn_folded_net *net,
                             const struct sn_identity *identity,
                             struct sn_error *err);

struct sn_weights; /* a mapped file */

/* Opens a file for the architecture `plan` (its shapes must agree, and the
 * checksum must). ret owned by the caller. */
enum sn_err sn_weights_open(const char *path, const struct sn_plan *plan,
                            struct sn_weights **ret, struct sn_error *err);
void sn_weights_free(struct sn_weights *weights); /* NULL is fine */
/* Borrowed, with weights inside the mapping. */
const struct sn_folded_net *sn_weights_folded(const struct sn_weights *weights);
/* A text of the metadata or NULL; borrowed. */
const char *sn_weights_note(const struct sn_weights *weights, const char *key);

#endif
