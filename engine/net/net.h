/* sn_net - the supernet: shared weights, sub-networks bound to them, their
 * forward and backward over one shard, and BN re-calibration.
 *
 *   sn_supernet    master weights in plain f32, one flat array, tensors by name
 *   sn_subnet      an architecture bound to the present weights: kernels
 *                  transformed, channels sliced, all packed for sn_compute
 *   sn_workspace   a worker's activations for one shard
 *   gradient       a flat buffer in the sub-network's packed layout, one for
 *                  each (sub-network, shard) pair; reduced in shard order
 *
 *   one training step:
 *     bind sub-networks
 *     for each (sub-network, shard): forward, loss, backward
 *     reduce each part over shards and sub-networks into the master gradient
 *     optimizer
 *
 * Sub-networks and workspaces are made once, sized for the largest
 * architecture; nothing in a step allocates.
 */
#ifndef SN_NET_H
#define SN_NET_H

#include "engine/compute/compute.h"
#include "engine/space/plan.h"
#include "engine/space/space.h"

struct sn_supernet;
struct sn_subnet;
struct sn_workspace;

/* A named weight of the supernet. Names are those of Once-for-All's state dict
 * (first_conv.conv.weight, blocks.1.conv.depth_conv.conv.conv.weight,
 * ...conv.7to5_matrix, ...depth_conv.se.fc.reduce.bias, classifier.linear.bias
 * and so on); blocks are numbered by slot. */
struct sn_tensor {
    char name[96];
    int ndim;
    int64_t shape[4];
    size_t offset, count; /* floats, in sn_supernet_weights() */
    bool decays; /* weight decay applies (convolutions and linear weights) */
};

/* He fan-out initialisation by (seed, tensor); BN scale 1, shift 0; transforms
 * identity. Borrows compute and space for its life. */
enum sn_err sn_supernet_new(struct sn_compute *compute,
                            const struct sn_space *space, int in_channels,
                            int classes, uint64_t seed,
                            struct sn_supernet **ret, struct sn_error *err);
/* The same without weights: for asking what things will take (the *_bytes
 * functions, sizes, tensors and parts); nothing can be bound to it. */
enum sn_err sn_supernet_outline(struct sn_compute *compute,
                                const struct sn_space *space, int in_channels,
                                int classes, struct sn_supernet **ret,
                                struct sn_error *err);
void sn_supernet_free(struct sn_supernet *net);
/* Whether training passes keep only the inputs of blocks and compute the rest
 * again in backward: the same gradients to the bit, from about a third of the
 * memory, for one more forward a step. Off at first; set it before workspaces
 * are made. */
void sn_supernet_set_recompute(struct sn_supernet *net, bool recompute);
/* What a supernet and a sub-network hold, the latter for the largest. */
size_t sn_supernet_bytes(const struct sn_supernet *net);
size_t sn_subnet_bytes(const struct sn_supernet *net);
/* What an architecture with this plan really touches of a workspace, of a
 * sub-network and of a gradient buffer, which are all sized for the largest.
 */
struct sn_touched {
    size_t pass; /* a shard of n images forward and backward */
    size_t weights, gradient;
};
void sn_net_touched(const struct sn_supernet *net, const struct sn_plan *plan,
                    int n, enum sn_store store, struct sn_touched *ret);
const struct sn_space *sn_supernet_space(const struct sn_supernet *net);
int sn_supernet_in_channels(const struct sn_supernet *net);
int sn_supernet_classes(const struct sn_supernet *net);
/* All tensors in a fixed order; together they fill the flat array. */
size_t sn_supernet_tensors(const struct sn_supernet *net,
                           const struct sn_tensor **ret);
float *sn_supernet_weights(struct sn_supernet *net);    /* borrowed, writable */
size_t sn_supernet_size(const struct sn_supernet *net); /* floats */
/* Sorts the middle channels of every block by importance (L1 of the
 * point-linear weights per input channel, then the SE's middle likewise), the
 * same function on the same images as before for the largest network. bands:
 * expand values already trained, ascending (e.g. {4}); channels are sorted
 * inside the widths of those bands only. `also` (may be NULL) are n_also
 * further flat arrays permuted alike: the optimizer's momentum, a teacher. */
void sn_supernet_sort_channels(struct sn_supernet *net,
                               const struct sn_choices *bands,
                               float *const *also, size_t n_also);

/* ---- sub-networks ---- */
enum sn_err sn_subnet_new(const struct sn_supernet *net, struct sn_subnet **ret,
                          struct sn_error *err);
void sn_subnet_free(struct sn_subnet *sub);
/* Takes the supernet's present weights, or `weights` (a flat array of the same
 * shape, such as a teacher's) when not NULL. One thread at a time a subnet; the
 * architecture must have been checked. It is a snapshot for forward and
 * backward; sn_net_reduce and sn_static_new read the flat array again, so it
 * must stay as it is until they are done. */
void sn_subnet_bind(struct sn_subnet *sub, const float *weights,
                    const struct sn_arch *arch);
const struct sn_plan *sn_subnet_plan(const struct sn_subnet *sub);
/* Floats of a gradient buffer (64-byte aligned, as all buffers here), enough
 * for the largest. */
size_t sn_net_gradient_floats(const struct sn_supernet *net);

/* ---- a shard's activations ---- */
/* For training shards of up to train_n images and forward-only batches of up to
 * forward_n of the largest architecture. `store` is how its tensors are stored,
 * in every pass with it; SN_ERR_UNSUPPORTED where there are no kernels for it.
 */
enum sn_err sn_workspace_new(const struct sn_supernet *net, int train_n,
                             int forward_n, enum sn_store store,
                             struct sn_workspace **ret, struct sn_error *err);
void sn_workspace_free(struct sn_workspace *ws);
size_t sn_workspace_bytes(const struct sn_supernet *net, int train_n,
                          int forward_n, enum sn_store store);
/* Padded logits of an image: sn_compute_padded(classes). */
size_t sn_net_logit_stride(const struct sn_supernet *net);

/* Forward with the shard's own BN statistics; keeps what backward needs.
 * images plain [n][in_channels][r][r]; ret_logits [n][stride] (caller's). A
 * subnet may be used by several workers at once (it is read-only here). */
void sn_subnet_forward_train(const struct sn_subnet *sub, struct sn_cx *cx,
                             struct sn_workspace *ws, const float *images,
                             int n, float *ret_logits);
/* Backward of that forward (same sub, ws, images, n); fills (overwrites) the
 * packed gradient of this pair. */
void sn_subnet_backward(const struct sn_subnet *sub, struct sn_cx *cx,
                        struct sn_workspace *ws, const float *images, int n,
                        const float *dlogits, float *ret_gradient);
/* Forward with batch statistics, nothing kept: a teacher. */
void sn_subnet_forward(const struct sn_subnet *sub, struct sn_cx *cx,
                       struct sn_workspace *ws, const float *images, int n,
                       float *ret_logits);

/* Reduction: part p (0 <= p < sn_net_parts) of the master gradient gets, added
 * in this order, every sub-network's sum over its shards in shard order.
 * gradient[s * n_shards + j] is sub-network s, shard j. Overwrites the part of
 * `master_gradient` (flat, like the weights), zero where no sub-network
 * reached; or adds to it, for the later shards of a long batch. Parts are
 * independent: any worker may do any, but each only once,
 * since a sub-network's sum is formed in its first shard's gradient. */
int sn_net_parts(const struct sn_supernet *net);
void sn_net_reduce(const struct sn_supernet *net, struct sn_subnet *const *sub,
                   int n_subs, float *const *gradient, int n_shards, int part,
                   bool adds, float *master_gradient);
/* The tensors of a part: [first, first + count) of the tensor list. */
void sn_net_part_tensors(const struct sn_supernet *net, int part,
                         size_t *ret_first, size_t *ret_count);

/* ---- BN re-calibration ---- */
/* Statistics private to an architecture: averages over batches of batch mean
 * and biased variance, weighted by batch size (as Once-for-All does). */
struct sn_bn_stats;
enum sn_err sn_bn_stats_new(const struct sn_supernet *net,
                            struct sn_bn_stats **ret, struct sn_error *err);
void sn_bn_stats_free(struct sn_bn_stats *stats);
void sn_bn_stats_reset(struct sn_bn_stats *stats);
/* One more batch (n <= forward_n): each BN normalises with its batch statistics
 * while they are averaged. */
void sn_subnet_calibrate(const struct sn_subnet *sub, struct sn_cx *cx,
                         struct sn_workspace *ws, const float *images, int n,
                         struct sn_bn_stats *stats);

#endif
