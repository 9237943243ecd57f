/* sn_pass - one pass of a bound sub-network over a shard: what forward.c and
 * backward.c share. Shapes of a layer in the operators' words, and where its
 * packed weights are.
 */
#ifndef SN_NET_PASS_H
#define SN_NET_PASS_H

#include "engine/net/subnet.h"
#include "engine/net/workspace.h"

struct sn_pass {
    const struct sn_subnet *sub;
    struct sn_cx *cx;
    struct sn_tape *tape;
    const float *images;
    int n;
};

/* The whole forward; fills the tape, writes the logits [n][stride]. */
void sn_pass_forward(const struct sn_pass *p, float *ret_logits);
/* A block's tensors once more, from its input. */
void sn_pass_block_again(const struct sn_pass *p, int b);
/* A block's depthwise input and output as they are read: activated, and gated.
 */
struct sn_source sn_pass_depth_input(const struct sn_pass *p, int b);
struct sn_source sn_pass_depth_output(const struct sn_pass *p, int b);

/* The same of the ResNet family, and its backward. */
void sn_resnet_forward(const struct sn_pass *p, float *ret_logits);
void sn_resnet_backward(const struct sn_pass *p, const float *dlogits,
                        float *ret_gradient);
void sn_resnet_block_again(const struct sn_pass *p, int b);
void sn_resnet_stem_again(const struct sn_pass *p);
/* [resnet] A bottleneck's 3x3 output as it is read: activated. */
struct sn_source sn_pass_middle(const struct sn_pass *p, int b);

static inline const float *sn_pass_weight(const struct sn_pass *p, int j)
{
    return p->sub->packed + p->sub->weight_at[j].fwd;
}

static inline const float *sn_pass_weight_back(const struct sn_pass *p, int j)
{
    return p->sub->packed + p->sub->weight_at[j].bwd;
}

static inline const float *sn_pass_gamma(const struct sn_pass *p, int j)
{
    return p->sub->packed + p->sub->weight_at[j].gamma;
}

/* The BN's shift or the bias. */
static inline const float *sn_pass_beta(const struct sn_pass *p, int j)
{
    return p->sub->packed + p->sub->weight_at[j].beta;
}

static inline struct sn_conv1 sn_pass_conv1(const struct sn_pass *p, int j)
{
    const struct sn_layer *l = &p->sub->layer[j];
    return (struct sn_conv1){p->n,       l->i,       l->o,
                             l->in_size, l->in_size, p->tape->store};
}

/* The same of vectors, which are floats always. */
static inline struct sn_conv1 sn_pass_linear(const struct sn_pass *p, int j)
{
    const struct sn_layer *l = &p->sub->layer[j];
    return (struct sn_conv1){p->n, l->i, l->o, 1, 1, SN_STORE_F32};
}

static inline struct sn_conv3 sn_pass_conv3(const struct sn_pass *p, int j)
{
    return sn_layer_conv3(&p->sub->layer[j], p->n);
}

static inline struct sn_dw sn_pass_dw(const struct sn_pass *p, int j)
{
    const struct sn_layer *l = &p->sub->layer[j];
    return (struct sn_dw){p->n, l->o,      l->in_size,    l->in_size,
                          l->k, l->stride, p->tape->store};
}

static inline struct sn_stem sn_pass_stem(const struct sn_pass *p)
{
    const struct sn_layer *l = &p->sub->layer[0];
    return (struct sn_stem){p->n,       l->i,      l->o,          l->in_size,
                            l->in_size, l->stride, p->tape->store};
}

/* The output of layer j. */
static inline struct sn_plane sn_pass_plane(const struct sn_pass *p, int j)
{
    const struct sn_layer *l = &p->sub->layer[j];
    return (struct sn_plane){p->n, l->o, l->out_size * l->out_size,
                             p->tape->store};
}

/* A block's input. */
static inline struct sn_plane sn_pass_input(const struct sn_pass *p, int b)
{
    const struct sn_block_plan *plan = &p->sub->plan.block[b];
    return (struct sn_plane){p->n, plan->in, plan->in_size * plan->in_size,
                             p->tape->store};
}

#endif
