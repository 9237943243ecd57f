/* sn_static's inside - a static network's memory and a forward in work, shared
 * by static.c and the ResNet family's part of it alone.
 */
#ifndef SN_NET_STATIC_PARTS_H
#define SN_NET_STATIC_PARTS_H

#include "engine/net/layers.h"
#include "engine/net/static.h"

/* Floats from the start of the plain and of the packed block. */
struct folded_at {
    size_t weight, bias;
    size_t packed, packed_bias;
};

struct sn_static {
    struct sn_compute *compute; /* borrowed */
    int n_layers;
    struct sn_layer layer[SN_MAX_LAYERS];
    struct folded_at at[SN_MAX_LAYERS];
    struct sn_arena memory;
    float *plain, *packed;
    const float *one,
        *zero; /* the affine map that changes nothing, for gates */
    struct sn_folded_net folded;
};

struct sn_static_space {
    int group; /* images */
    struct sn_arena memory;
    float *stream[2]; /* the residual stream, to and fro */
    float *narrow;    /* a tile's depthwise outputs, or the head's; [resnet] a
                         bottleneck's middle before its 3x3 */
    float *second;    /* [resnet] the middle after it */
    float *vector[3]; /* [group][Cp] */
};

/* Floats of each buffer. */
struct sn_static_room {
    size_t stream, narrow, second, vector;
};

/* A forward in work. */
struct sn_inference {
    const struct sn_static *net;
    struct sn_cx *cx;
    struct sn_static_space *mem;
};

static inline const float *sn_inference_weight(const struct sn_inference *f,
                                               int j)
{
    return f->net->packed + f->net->at[j].packed;
}

static inline const float *sn_inference_bias(const struct sn_inference *f,
                                             int j)
{
    return f->net->packed + f->net->at[j].packed_bias;
}

/* Of one image. */
static inline size_t sn_inference_floats(const struct sn_inference *f,
                                         int channels, int size)
{
    return (size_t)sn_compute_padded(f->net->compute, channels) *
           (size_t)(size * size);
}

/* n images through layer j: y = act(x * w + bias) (+ residual, which may be y).
 */
void sn_inference_conv1(const struct sn_inference *f, int j, int n,
                        const float *x, enum sn_cact act, const float *residual,
                        float *y);
/* Adds the nanoseconds since *at, which moves on; ns may be NULL. */
void sn_inference_lap(int64_t *at, double *ns);

/* The ResNet family's; `ns` as of sn_static_forward_timed, added to, or NULL.
 */
struct sn_static_room sn_resnet_room(const struct sn_compute *compute,
                                     const struct sn_plan *largest, int group);
void sn_resnet_infer(const struct sn_inference *f, int n, const float *images,
                     float *ret_logits, double *ns);

#endif
