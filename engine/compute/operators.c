/* The operators of compute.h that are our own kernels: scratch and dispatch. */
#include "engine/compute/context.h"

/* ---- the stem ---- */

size_t sn_stem_packed_floats(const struct sn_compute *c,
                             const struct sn_stem *s)
{
    return (size_t)9 * s->i * sn_compute_padded(c, s->o);
}

void sn_stem_pack(const struct sn_compute *c, const struct sn_stem *s,
                  const float *w, float *ret_packed)
{
    c->kernels.stem_pack(s, w, ret_packed);
}

void sn_stem_forward(struct sn_cx *cx, const struct sn_stem *s, const float *x,
                     const float *packed, void *y)
{
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    float *scratch = sn_cx_scratch(cx, k->stem_scratch(s));
    if (scratch)
        k->stem_forward(s, x, packed, NULL, SN_CACT_NONE, scratch, y);
}

void sn_stem_infer(struct sn_cx *cx, const struct sn_stem *s, const float *x,
                   const float *packed, const float *bias, enum sn_cact act,
                   float *y)
{
    float *scratch = sn_cx_scratch(cx, cx->k->stem_scratch(s));
    if (scratch)
        cx->k->stem_forward(s, x, packed, bias, act, scratch, y);
}

void sn_stem_backward_weights(struct sn_cx *cx, const struct sn_stem *s,
                              const float *x, const void *dy, float *dw)
{
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    float *scratch = sn_cx_scratch(cx, k->stem_scratch(s));
    if (scratch)
        k->stem_weights(s, x, dy, scratch, dw);
}

/* ---- depthwise ---- */

void sn_dw_pack(const struct sn_compute *comp, int c, int k, const float *w,
                float *ret_packed)
{
    comp->kernels.dw_pack(c, k, w, ret_packed);
}

void sn_dw_unpack_add(const struct sn_compute *comp, int c, int k,
                      const float *packed, float *dw)
{
    comp->kernels.dw_unpack_add(c, k, packed, dw);
}

/* Whether a shape has a kernel; else the error is kept. */
static bool dw_known(struct sn_cx *cx, const struct sn_dw *s)
{
    if ((s->k == 3 || s->k == 5 || s->k == 7) &&
        (s->stride == 1 || s->stride == 2))
        return true;
    struct sn_error error;
    sn_error_set(&error, SN_ERR_UNSUPPORTED,
                 "no depthwise kernel of size %d and stride %d", s->k,
                 s->stride);
    sn_cx_fail(cx, &error);
    return false;
}

/* Scratch for a depthwise call, NULL where there can be none. */
static float *dw_scratch(struct sn_cx *cx, const struct sn_dw *s,
                         size_t (*floats)(const struct sn_dw *s))
{
    return dw_known(cx, s) ? sn_cx_scratch(cx, floats(s)) : NULL;
}

void sn_dw_forward(struct sn_cx *cx, const struct sn_dw *s, const void *x,
                   const float *scale, const float *shift, enum sn_cact in_act,
                   const float *packed, void *y, float *ret_sums)
{
    const struct sn_affine in = {scale, shift, in_act};
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    float *scratch = dw_scratch(cx, s, k->dw_scratch);
    if (scratch)
        k->dw_forward(s, x, &in, packed, scratch, y, ret_sums);
}

void sn_half_block_infer(struct sn_cx *cx, const struct sn_half_block *s)
{
    const struct sn_dw dw = {s->n, s->mid, s->size, s->size, s->k, s->stride};
    if (!dw_known(cx, &dw))
        return;
    float *scratch = sn_cx_scratch(cx, cx->k->half_block_scratch(s));
    if (scratch)
        cx->k->half_block(s, scratch);
}

/* ---- batch normalisation ---- */

void sn_bn_sums(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                float *ret_sums)
{
    sn_cx_kernels(cx, s->store)->bn_sums(s, x, ret_sums);
}

void sn_bn_finish(struct sn_cx *cx, const struct sn_plane *s, const float *sums,
                  const float *gamma, const float *beta, float eps,
                  float *ret_mean, float *ret_rstd, float *ret_scale,
                  float *ret_shift)
{
    cx->k->bn_finish(s, sums, gamma, beta, eps, ret_mean, ret_rstd, ret_scale,
                     ret_shift);
}

void sn_bn_apply(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                 const float *scale, const float *shift, enum sn_cact act,
                 const float *gate, const void *residual, void *y)
{
    const struct sn_affine in = {scale, shift, act};
    sn_cx_kernels(cx, s->store)->bn_apply(s, x, &in, gate, residual, y);
}

void sn_bn_backward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                    const float *mean, const float *rstd, const float *gamma,
                    const float *beta, enum sn_cact act, const float *gate,
                    const float *dpool, const void *dy, void *dx,
                    float *ret_dgamma, float *ret_dbeta)
{
    sn_cx_kernels(cx, s->store)
        ->bn_backward(s, x, mean, rstd, gamma, beta, act, gate, dpool, dy, dx,
                      ret_dgamma, ret_dbeta);
}

/* ---- fused passes ---- */

void sn_dw_backward_fused(struct sn_cx *cx, const struct sn_dw *s,
                          const struct sn_source *in,
                          const struct sn_gradient *dy, const float *packed,
                          const struct sn_sink *out, float *ret_packed_dw)
{
    const struct sn_kernels *k = sn_cx_kernels(cx, s->store);
    float *scratch = dw_scratch(cx, s, k->dw_backward_scratch);
    if (scratch)
        k->dw_backward(s, in, dy, packed, out, scratch, ret_packed_dw);
}

void sn_bn_backward_sums(struct sn_cx *cx, const struct sn_plane *s,
                         const void *x, const float *mean, const float *scale,
                         const float *shift, enum sn_cact act,
                         const float *gate, const float *dpool, const void *dy,
                         void *ret_g, float *ret_sums)
{
    const struct sn_affine in = {scale, shift, act};
    sn_cx_kernels(cx, s->store)
        ->bn_backward_sums(s, x, mean, &in, gate, dpool, dy, ret_g, ret_sums);
}

void sn_bn_gradient(struct sn_cx *cx, const struct sn_plane *s,
                    const float *sums, const float *mean, const float *rstd,
                    const float *gamma, float *ret_dgamma, float *ret_dbeta,
                    float *ret_pqr)
{
    cx->k->bn_gradient(s, sums, mean, rstd, gamma, ret_dgamma, ret_dbeta,
                       ret_pqr);
}

void sn_gradient_apply(struct sn_cx *cx, const struct sn_plane *s,
                       const struct sn_gradient *d, void *dx)
{
    sn_cx_kernels(cx, s->store)->gradient_apply(s, d, dx);
}

/* ---- squeeze-and-excitation, pooling, vectors ---- */

void sn_pool_forward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                     const float *scale, const float *shift, enum sn_cact act,
                     float *ret_pooled)
{
    const struct sn_affine in = {scale, shift, act};
    sn_cx_kernels(cx, s->store)->pool_forward(s, x, &in, ret_pooled);
}

void sn_pool_backward(struct sn_cx *cx, const struct sn_plane *s,
                      const float *dpooled, void *dx)
{
    sn_cx_kernels(cx, s->store)->pool_backward(s, dpooled, dx);
}

void sn_gate_backward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                      const float *scale, const float *shift, enum sn_cact act,
                      const void *dy, float *ret_dgate)
{
    const struct sn_affine in = {scale, shift, act};
    sn_cx_kernels(cx, s->store)->gate_backward(s, x, &in, dy, ret_dgate);
}

void sn_vec_bias_act(struct sn_cx *cx, int n, int c, const float *x,
                     const float *bias, enum sn_cact act, float *y)
{
    cx->k->bias_act(n, c, x, bias, act, y);
}

void sn_vec_bias_act_backward(struct sn_cx *cx, int n, int c, const float *x,
                              const float *bias, enum sn_cact act,
                              const float *dy, float *dx, float *ret_dbias)
{
    cx->k->bias_act_backward(n, c, x, bias, act, dy, dx, ret_dbias);
}

void sn_vec_add(struct sn_cx *cx, size_t count, const float *x, float *y)
{
    cx->k->vec_add(count, x, y);
}

void sn_add(struct sn_cx *cx, const struct sn_plane *s, const void *x, void *y)
{
    sn_cx_kernels(cx, s->store)->add(s, x, y);
}

/* ---- windows, and the ReLU after a sum ---- */

void sn_max_window_forward(struct sn_cx *cx, const struct sn_window *s,
                           const float *x, float *y)
{
    cx->k->max_window(s, x, y);
}

void sn_max_window_backward(struct sn_cx *cx, const struct sn_window *s,
                            const float *x, const float *dy, float *dx)
{
    cx->k->max_window_backward(s, x, dy, dx);
}

void sn_mean_window_forward(struct sn_cx *cx, const struct sn_window *s,
                            const float *x, float *y)
{
    cx->k->mean_window(s, x, y);
}

void sn_mean_window_backward(struct sn_cx *cx, const struct sn_window *s,
                             const float *dy, float *dx)
{
    cx->k->mean_window_backward(s, dy, dx);
}

void sn_sum_relu(struct sn_cx *cx, const struct sn_plane *s, const float *x,
                 const float *scale, const float *shift, const float *other,
                 const float *other_scale, const float *other_shift, float *y)
{
    const struct sn_affine in = {scale, shift, SN_CACT_NONE};
    const struct sn_affine other_in = {other_scale, other_shift, SN_CACT_NONE};
    cx->k->sum_relu(s, x, &in, other, &other_in, y);
}

void sn_relu(struct sn_cx *cx, size_t count, float *y)
{
    cx->k->relu(count, y);
}

void sn_relu_backward(struct sn_cx *cx, size_t count, const float *y,
                      const float *dy, float *dx)
{
    cx->k->relu_backward(count, y, dy, dx);
}
