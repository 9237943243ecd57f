/* sn_static - one architecture extracted from the supernet as a static network:
 * BN folded into the convolutions, ready for inference and for files.
 *
 * Owns its weights; knows nothing of the supernet afterwards. Forward is
 * read-only on the network, so threads may share it, each with its own cx and
 * workspace.
 */
#ifndef SN_STATIC_H
#define SN_STATIC_H

#include "engine/net/net.h"

/* A convolution or linear layer with its folded bias, plain and unpadded.
 * weight [out][in][k][k] ([c][1][k][k] when depthwise); bias [out]. */
struct sn_folded {
    int out, in, kernel, stride;
    bool depthwise;
    const float *weight, *bias; /* borrowed from the sn_static */
};

struct sn_folded_block {
    struct sn_folded expand; /* out == 0 when the block does not expand */
    struct sn_folded depth;
    struct sn_folded se_reduce, se_expand; /* out == 0 without SE */
    struct sn_folded project;
    /* [resnet] expand and project are the two 1x1s and depth the dense 3x3
     * between them; the shortcut's 1x1, out == 0 where the block has none */
    struct sn_folded shortcut;
};

struct sn_folded_net {
    struct sn_plan plan; /* activations, residuals and sizes are here */
    struct sn_folded stem;
    struct sn_folded stem_residual; /* [resnet] out == 0: there is none */
    struct sn_folded stem_last;     /* [resnet] */
    struct sn_folded_block block[SN_MAX_BLOCKS];
    struct sn_folded head; /* 1x1, then head_act, then global pool */
    /* 1x1 on the pooled vector, bias zero, head_act; out == 0: there is none */
    struct sn_folded feature;
    struct sn_folded classifier;
};

struct sn_static;

/* From a bound sub-network and its re-calibrated statistics. */
enum sn_err sn_static_new(const struct sn_subnet *sub,
                          const struct sn_bn_stats *stats,
                          struct sn_static **ret, struct sn_error *err);
void sn_static_free(struct sn_static *net);
/* What a static network with this plan holds. */
size_t sn_static_bytes(const struct sn_compute *compute,
                       const struct sn_plan *plan);
const struct sn_folded_net *sn_static_folded(const struct sn_static *net);
/* A static network with weights by formula (for measuring latency without a
 * supernet). */
enum sn_err sn_static_new_random(struct sn_compute *compute,
                                 const struct sn_plan *plan, uint64_t seed,
                                 struct sn_static **ret, struct sn_error *err);

/* Activation memory for batches of up to n images (largest of a space when made
 * from its largest plan). */
struct sn_static_space;
enum sn_err sn_static_space_new(struct sn_compute *compute,
                                const struct sn_plan *largest, int n,
                                struct sn_static_space **ret,
                                struct sn_error *err);
void sn_static_space_free(struct sn_static_space *mem);
size_t sn_static_space_bytes(const struct sn_compute *compute,
                             const struct sn_plan *largest, int n);
/* images plain [n][c][r][r] -> logits [n][sn_compute_padded(classes)] */
void sn_static_forward(const struct sn_static *net, struct sn_cx *cx,
                       struct sn_static_space *mem, const float *images, int n,
                       float *ret_logits);
/* The same, and how long each part of it took on the monotonic clock:
 * ret_ns[0] the stem, [1 + i] block i, [1 + n_blocks] head, pool, feature and
 * classifier; n_blocks + 2 entries (for latency tables). */
void sn_static_forward_timed(const struct sn_static *net, struct sn_cx *cx,
                             struct sn_static_space *mem, const float *images,
                             int n, float *ret_logits, double *ret_ns);

#endif
