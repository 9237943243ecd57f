/* Pooling, gates and vectors per image. */
#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

static const struct sn_affine no_affine = {NULL, NULL, SN_CACT_NONE};

/* Sum over a plane of act(x * scale + shift), times dy when not NULL. */
SN_INLINE vec plane_sum(const enum sn_cact act, const bool affine, int hw,
                        const stored *x, vec scale, vec shift, const stored *dy)
{
    vec sum[2] = {{0}};
    for (int i = 0; i < hw; i++) {
        vec v = fetch(x + (ptrdiff_t)i * SN_B);
        if (affine)
            v = act_of(act, v * scale + shift);
        sum[i & 1] += dy ? v * fetch(dy + (ptrdiff_t)i * SN_B) : v;
    }
    return sum[0] + sum[1];
}

SN_INLINE vec sum_of(int hw, const stored *x, const struct sn_affine *in, int c,
                     const stored *dy)
{
    const vec none = {0};
    if (!in->scale)
        return plane_sum(SN_CACT_NONE, false, hw, x, none, none, dy);
    vec scale = load(in->scale + c * SN_B), shift = load(in->shift + c * SN_B);
    switch (in->act) {
    case SN_CACT_RELU:
        return plane_sum(SN_CACT_RELU, true, hw, x, scale, shift, dy);
    case SN_CACT_RELU6:
        return plane_sum(SN_CACT_RELU6, true, hw, x, scale, shift, dy);
    case SN_CACT_HSWISH:
        return plane_sum(SN_CACT_HSWISH, true, hw, x, scale, shift, dy);
    case SN_CACT_HSIGMOID:
        return plane_sum(SN_CACT_HSIGMOID, true, hw, x, scale, shift, dy);
    default:
        return plane_sum(SN_CACT_NONE, true, hw, x, scale, shift, dy);
    }
}

static void pool_forward(const struct sn_plane *s, const void *tensor,
                         const struct sn_affine *in, float *pooled)
{
    const stored *x = tensor;
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    if (!in)
        in = &no_affine;
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < cb; c++, x += plane, pooled += SN_B)
            store(pooled, keep(lanes_of(s->c, c),
                               sum_of(s->hw, x, in, c, NULL) * (1.0f / s->hw)));
}

static void pool_backward(const struct sn_plane *s, const float *dpooled,
                          void *ret_dx)
{
    stored *dx = ret_dx;
    const int planes = s->n * blocks_of(s->c);
    for (int p = 0; p < planes; p++, dpooled += SN_B) {
        vec v = load(dpooled) * (1.0f / s->hw);
        for (int i = 0; i < s->hw; i++, dx += SN_B)
            put(dx, v);
    }
}

static void gate_backward(const struct sn_plane *s, const void *tensor,
                          const struct sn_affine *in, const void *gradient,
                          float *dgate)
{
    const stored *x = tensor, *dy = gradient;
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < cb; c++, x += plane, dy += plane, dgate += SN_B)
            store(dgate, sum_of(s->hw, x, in, c, dy));
}

SN_INLINE vec act_any(enum sn_cact act, vec v)
{
    switch (act) {
    case SN_CACT_RELU:
        return act_of(SN_CACT_RELU, v);
    case SN_CACT_RELU6:
        return act_of(SN_CACT_RELU6, v);
    case SN_CACT_HSWISH:
        return act_of(SN_CACT_HSWISH, v);
    case SN_CACT_HSIGMOID:
        return act_of(SN_CACT_HSIGMOID, v);
    default:
        return v;
    }
}

SN_INLINE vec slope_any(enum sn_cact act, vec v)
{
    switch (act) {
    case SN_CACT_RELU:
        return slope_of(SN_CACT_RELU, v);
    case SN_CACT_RELU6:
        return slope_of(SN_CACT_RELU6, v);
    case SN_CACT_HSWISH:
        return slope_of(SN_CACT_HSWISH, v);
    case SN_CACT_HSIGMOID:
        return slope_of(SN_CACT_HSIGMOID, v);
    default:
        return slope_of(SN_CACT_NONE, v);
    }
}

static void bias_act(int n, int c, const float *x, const float *bias,
                     enum sn_cact act, float *y)
{
    const int cb = blocks_of(c);
    for (int i = 0; i < n; i++)
        for (int b = 0; b < cb; b++, x += SN_B, y += SN_B) {
            vec v = load(x) + load_or_zero(bias, b * SN_B);
            store(y, keep(lanes_of(c, b), act_any(act, v)));
        }
}

static void bias_act_backward(int n, int c, const float *x, const float *bias,
                              enum sn_cact act, const float *dy, float *dx,
                              float *dbias)
{
    const int cb = blocks_of(c);
    for (int b = 0; b < cb; b++) {
        vec shift = load_or_zero(bias, b * SN_B), sum = {0};
        for (int i = 0; i < n; i++) {
            ptrdiff_t at = ((ptrdiff_t)i * cb + b) * SN_B;
            vec g = load(dy + at) * slope_any(act, load(x + at) + shift);
            store(dx + at, g);
            sum += g;
        }
        if (dbias)
            store(dbias + b * SN_B, sum);
    }
}

static void vec_add(size_t count, const float *x, float *y)
{
    size_t i = 0;
    for (; i + SN_B <= count; i += SN_B)
        store(y + i, load(y + i) + load(x + i));
    for (; i < count; i++)
        y[i] += x[i];
}

static void add(const struct sn_plane *s, const void *tensor, void *sum)
{
    const stored *x = tensor;
    stored *y = sum;
    const ptrdiff_t count = (ptrdiff_t)s->n * blocks_of(s->c) * s->hw * SN_B;
    for (ptrdiff_t i = 0; i < count; i += SN_B)
        put(y + i, fetch(y + i) + fetch(x + i));
}

void SN_KERNEL(sn_kernels_vector)(struct sn_kernels *k)
{
    k->pool_forward = pool_forward;
    k->pool_backward = pool_backward;
    k->gate_backward = gate_backward;
    k->bias_act = bias_act;
    k->bias_act_backward = bias_act_backward;
    k->vec_add = vec_add;
    k->add = add;
}
