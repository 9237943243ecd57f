/* Fused passes of 1x1 convolutions: our kernel, or oneDNN for wide ones. */
#include "engine/compute/context.h"

static size_t floats_of(const struct sn_cx *cx, const struct sn_conv1 *s, int c)
{
    return (size_t)s->n * (size_t)sn_compute_padded(cx->compute, c) *
           (size_t)s->h * (size_t)s->w;
}

/* The source as a tensor, made at `to` where it is none yet. */
static const float *whole_source(struct sn_cx *cx, const struct sn_plane *plane,
                                 const struct sn_source *in, float *to)
{
    if (!in->scale)
        return in->u;
    sn_bn_apply(cx, plane, in->u, in->scale, in->shift, in->act, in->gate,
                in->residual, to);
    return to;
}

static void wide_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                         const struct sn_source *in, const float *packed_fwd,
                         float *ret_in, float *y, float *ret_sums)
{
    const struct sn_plane from = {s->n, s->i, s->h * s->w};
    const struct sn_plane to = {s->n, s->o, s->h * s->w};
    float *made = ret_in ? ret_in : sn_cx_operands(cx, floats_of(cx, s, s->i));
    if (!made)
        return;
    sn_conv1_forward(cx, s, whole_source(cx, &from, in, made), packed_fwd, y);
    sn_bn_sums(cx, &to, y, ret_sums);
}

static void wide_backward(struct sn_cx *cx, const struct sn_conv1 *s,
                          const struct sn_source *in,
                          const struct sn_gradient *dy, const float *packed_bwd,
                          const struct sn_sink *out, float *ret_packed_dw)
{
    const struct sn_plane from = {s->n, s->i, s->h * s->w};
    const struct sn_plane to = {s->n, s->o, s->h * s->w};
    const size_t x_floats = floats_of(cx, s, s->i);
    float *made = sn_cx_operands(cx, x_floats + floats_of(cx, s, s->o));
    if (!made)
        return;
    const float *x = whole_source(cx, &from, in, made);
    const float *d = dy->g;
    if (dy->p) {
        sn_gradient_apply(cx, &to, dy, made + x_floats);
        d = made + x_floats;
    }
    sn_conv1_backward_weights(cx, s, x, d, ret_packed_dw);
    sn_conv1_backward_data(cx, s, d, packed_bwd, out->dx);
    if (out->through)
        sn_bn_backward_sums(cx, &from, in->u, out->mean, in->scale, in->shift,
                            in->act, NULL, NULL, out->dx, out->dx,
                            out->ret_sums);
    if (out->add)
        sn_vec_add(cx, x_floats, out->add, out->dx);
}

void sn_conv1_forward_fused(struct sn_cx *cx, const struct sn_conv1 *s,
                            const struct sn_source *in, const float *packed_fwd,
                            void *ret_in, void *y, float *ret_sums)
{
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    const int hw = s->h * s->w;
    const struct sn_fused_forward f = {s->n,       hw,     s->i, s->o,    *in,
                                       packed_fwd, ret_in, y,    ret_sums};
    if (sn_conv1_is_wide(s)) {
        wide_forward(cx, s, in, packed_fwd, ret_in, y, ret_sums);
        return;
    }
    float *scratch = sn_cx_scratch(cx, k->fused_scratch(s->n, hw, s->i, s->o));
    if (scratch)
        k->fused_forward(&f, scratch);
}

void sn_conv1_backward_fused(struct sn_cx *cx, const struct sn_conv1 *s,
                             const struct sn_source *in,
                             const struct sn_gradient *dy,
                             const float *packed_bwd, const struct sn_sink *out,
                             float *ret_packed_dw)
{
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    const int hw = s->h * s->w;
    const struct sn_fused_backward f = {
        s->n, hw, s->i, s->o, *in, *dy, packed_bwd, *out, ret_packed_dw};
    if (sn_conv1_is_wide(s)) {
        wide_backward(cx, s, in, dy, packed_bwd, out, ret_packed_dw);
        return;
    }
    float *scratch = sn_cx_scratch(cx, k->fused_scratch(s->n, hw, s->i, s->o));
    if (scratch)
        k->fused_backward(&f, scratch);
}
