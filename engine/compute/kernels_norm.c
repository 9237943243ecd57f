/* Batch normalisation with the activation after it.
 *
 * Channel block by channel block over all images: a block's constants stay in
 * registers, its sums in double across images. The backward goes over the data
 * twice: once to sum, once to apply. With t = x * scale + shift, g = dy *
 * act'(t) and xhat = (x - mean) * rstd, over N = n * hw values:
 *
 *     dbeta = sum g,  dgamma = sum g * xhat
 *     dx = gamma * rstd * (g - dbeta / N - xhat * dgamma / N)
 *
 * (Ioffe and Szegedy, 2015).
 */
#include <math.h>

#include "engine/compute/kernels.h"
#include "engine/compute/operand.h"
#include "engine/compute/sums.h"
#include "engine/compute/vec.h"

static void bn_sums(const struct sn_plane *s, const void *x, float *ret)
{
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    for (int c = 0; c < cb; c++) {
        struct sums sums = {.count = 0};
        for (int n = 0; n < s->n; n++)
            sums_add(&sums, (const stored *)x + (n * cb + c) * plane, s->hw);
        sums_finish(&sums, ret, c, cb * SN_B);
    }
}

static void bn_finish(const struct sn_plane *s, const float *sums,
                      const float *gamma, const float *beta, float eps,
                      float *mean, float *rstd, float *scale, float *shift)
{
    const int cp = blocks_of(s->c) * SN_B;
    const double count = (double)s->n * s->hw;
    for (int c = 0; c < cp; c++) {
        double m = sums[c] / count;
        double var = sums[cp + c] / count;
        double r = 1 / sqrt((var > 0 ? var : 0) + eps);
        mean[c] = (float)m;
        rstd[c] = (float)r;
        scale[c] = (float)(gamma[c] * r);
        shift[c] = (float)(beta[c] - m * gamma[c] * r);
    }
}

struct apply {
    vec scale, shift, gate;
    ivec lanes;
    const stored *x, *residual;
    stored *y;
    int hw;
};

SN_INLINE void apply_plane(const enum sn_cact act, const bool gated,
                           const bool residual, const struct apply *a)
{
    for (int i = 0; i < a->hw; i++) {
        ptrdiff_t at = (ptrdiff_t)i * SN_B;
        vec v = act_of(act, fetch(a->x + at) * a->scale + a->shift);
        if (act == SN_CACT_HSIGMOID)
            v = keep(a->lanes, v);
        if (gated)
            v *= a->gate;
        if (residual)
            v += fetch(a->residual + at);
        put(a->y + at, v);
    }
}

SN_INLINE void apply_act(const enum sn_cact act, bool gated,
                         const struct apply *a)
{
    if (gated && a->residual)
        apply_plane(act, true, true, a);
    else if (gated)
        apply_plane(act, true, false, a);
    else if (a->residual)
        apply_plane(act, false, true, a);
    else
        apply_plane(act, false, false, a);
}

static void bn_apply(const struct sn_plane *s, const void *x,
                     const struct sn_affine *in, const float *gate,
                     const void *residual, void *y)
{
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < cb; c++) {
            ptrdiff_t image = (ptrdiff_t)n * cb + c;
            struct apply a = {
                .scale = load(in->scale + c * SN_B),
                .shift = load(in->shift + c * SN_B),
                .gate = load_or_zero(gate, image * SN_B),
                .lanes = lanes_of(s->c, c),
                .x = (const stored *)x + image * plane,
                .residual =
                    residual ? (const stored *)residual + image * plane : NULL,
                .y = (stored *)y + image * plane,
                .hw = s->hw,
            };
            switch (in->act) {
            case SN_CACT_RELU:
                apply_act(SN_CACT_RELU, gate, &a);
                break;
            case SN_CACT_RELU6:
                apply_act(SN_CACT_RELU6, gate, &a);
                break;
            case SN_CACT_HSWISH:
                apply_act(SN_CACT_HSWISH, gate, &a);
                break;
            case SN_CACT_HSIGMOID:
                apply_act(SN_CACT_HSIGMOID, gate, &a);
                break;
            default:
                apply_act(SN_CACT_NONE, gate, &a);
                break;
            }
        }
}

/* One channel block's backward. */
struct back {
    int n, hw;
    ptrdiff_t stride, vector_stride;
    vec mean, rstd;
    vec scale, shift; /* gamma * rstd; beta - mean * scale */
    const stored *x, *dy;
    const float *gate, *dpool; /* NULL, or of image 0 */
    stored *dx;
};

/* The gradient at the BN's output, before its activation, of one pixel. */
SN_INLINE vec inner_gradient(const enum sn_cact act, const bool gated,
                             const struct back *b, vec x, vec dy, vec gate,
                             vec spread)
{
    if (gated)
        dy = dy * gate + spread;
    return dy * slope_of(act, x * b->scale + b->shift);
}

SN_INLINE void back_block(const enum sn_cact act, const bool gated,
                          const struct back *b, float *dgamma, float *dbeta)
{
    const float inverse = 1.0f / b->hw;
    dvec sum = {0}, product = {0};
    for (int n = 0; n < b->n; n++) {
        const stored *x = b->x + n * b->stride, *dy = b->dy + n * b->stride;
        vec gate = {0}, spread = {0};
        if (gated) {
            gate = load(b->gate + n * b->vector_stride);
            spread = load(b->dpool + n * b->vector_stride) * inverse;
        }
        vec s[2] = {{0}}, q[2] = {{0}};
        int i = 0;
        for (; i + 2 <= b->hw; i += 2) {
#pragma GCC unroll 2
            for (int j = 0; j < 2; j++) {
                vec v = fetch(x + (i + j) * SN_B);
                vec g = inner_gradient(
                    act, gated, b, v, fetch(dy + (i + j) * SN_B), gate, spread);
                s[j] += g;
                q[j] += g * (v - b->mean);
            }
        }
        if (i < b->hw) {
            vec v = fetch(x + i * SN_B);
            vec g = inner_gradient(act, gated, b, v, fetch(dy + i * SN_B), gate,
                                   spread);
            s[0] += g;
            q[0] += g * (v - b->mean);
        }
        sum += widen(s[0] + s[1]);
        product += widen(q[0] + q[1]);
    }
    const double count = (double)b->n * b->hw;
    product *= widen(b->rstd);
    store(dbeta, narrow(sum));
    store(dgamma, narrow(product));

    const vec c1 = narrow(sum / count);
    const vec c2 = narrow(product / count) * b->rstd;
    for (int n = 0; n < b->n; n++) {
        const stored *x = b->x + n * b->stride, *dy = b->dy + n * b->stride;
        stored *dx = b->dx + n * b->stride;
        vec gate = {0}, spread = {0};
        if (gated) {
            gate = load(b->gate + n * b->vector_stride);
            spread = load(b->dpool + n * b->vector_stride) * inverse;
        }
        for (int i = 0; i < b->hw; i++) {
            vec v = fetch(x + i * SN_B);
            vec g = inner_gradient(act, gated, b, v, fetch(dy + i * SN_B), gate,
                                   spread);
            put(dx + i * SN_B, b->scale * (g - c1 - (v - b->mean) * c2));
        }
    }
}

SN_INLINE void back_act(const enum sn_cact act, const struct back *b,
                        float *dgamma, float *dbeta)
{
    if (b->gate)
        back_block(act, true, b, dgamma, dbeta);
    else
        back_block(act, false, b, dgamma, dbeta);
}

static void bn_backward(const struct sn_plane *s, const void *x,
                        const float *mean, const float *rstd,
                        const float *gamma, const float *beta, enum sn_cact act,
                        const float *gate, const float *dpool, const void *dy,
                        void *dx, float *dgamma, float *dbeta)
{
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    const bool gated = gate && dpool;
    for (int c = 0; c < cb; c++) {
        const int at = c * SN_B;
        vec m = load(mean + at), r = load(rstd + at), g = load(gamma + at);
        struct back b = {
            .n = s->n,
            .hw = s->hw,
            .stride = cb * plane,
            .vector_stride = cb * SN_B,
            .mean = m,
            .rstd = r,
            .scale = g * r,
            .shift = load(beta + at) - m * g * r,
            .x = (const stored *)x + c * plane,
            .dy = (const stored *)dy + c * plane,
            .gate = gated ? gate + at : NULL,
            .dpool = gated ? dpool + at : NULL,
            .dx = (stored *)dx + c * plane,
        };
        switch (act) {
        case SN_CACT_RELU:
            back_act(SN_CACT_RELU, &b, dgamma + at, dbeta + at);
            break;
        case SN_CACT_RELU6:
            back_act(SN_CACT_RELU6, &b, dgamma + at, dbeta + at);
            break;
        case SN_CACT_HSWISH:
            back_act(SN_CACT_HSWISH, &b, dgamma + at, dbeta + at);
            break;
        case SN_CACT_HSIGMOID:
            back_act(SN_CACT_HSIGMOID, &b, dgamma + at, dbeta + at);
            break;
        default:
            back_act(SN_CACT_NONE, &b, dgamma + at, dbeta + at);
            break;
        }
    }
}

/* One channel block of bn_backward_sums. */
SN_INLINE void sums_block(const enum sn_cact act, const bool gated,
                          const struct back *b, vec *ret_g, vec *ret_product)
{
    const float inverse = 1.0f / b->hw;
    dvec sum = {0}, product = {0};
    for (int n = 0; n < b->n; n++) {
        const stored *x = b->x + n * b->stride, *dy = b->dy + n * b->stride;
        stored *to = b->dx ? b->dx + n * b->stride : NULL;
        vec gate = {0}, spread = {0}, s = {0}, q = {0};
        if (gated) {
            gate = load(b->gate + n * b->vector_stride);
            spread = load(b->dpool + n * b->vector_stride) * inverse;
        }
        for (int i = 0; i < b->hw * SN_B; i += SN_B) {
            vec v = fetch(x + i);
            vec g =
                inner_gradient(act, gated, b, v, fetch(dy + i), gate, spread);
            if (to)
                g = put(to + i, g);
            s += g;
            q += g * (v - b->mean);
        }
        sum += widen(s);
        product += widen(q);
    }
    *ret_g = narrow(sum);
    *ret_product = narrow(product);
}

SN_INLINE void sums_act(const enum sn_cact act, const struct back *b,
                        vec *ret_g, vec *ret_product)
{
    if (b->gate)
        sums_block(act, true, b, ret_g, ret_product);
    else
        sums_block(act, false, b, ret_g, ret_product);
}

static void bn_backward_sums(const struct sn_plane *s, const void *x,
                             const float *mean, const struct sn_affine *in,
                             const float *gate, const float *dpool,
                             const void *dy, void *ret_g, float *sums)
{
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    const bool gated = gate && dpool;
    for (int c = 0; c < cb; c++) {
        const int at = c * SN_B;
        vec g, product;
        struct back b = {
            .n = s->n,
            .hw = s->hw,
            .stride = cb * plane,
            .vector_stride = cb * SN_B,
            .mean = load(mean + at),
            .scale = load(in->scale + at),
            .shift = load(in->shift + at),
            .x = (const stored *)x + c * plane,
            .dy = (const stored *)dy + c * plane,
            .gate = gated ? gate + at : NULL,
            .dpool = gated ? dpool + at : NULL,
            .dx = ret_g ? (stored *)ret_g + c * plane : NULL,
        };
        switch (in->act) {
        case SN_CACT_RELU:
            sums_act(SN_CACT_RELU, &b, &g, &product);
            break;
        case SN_CACT_RELU6:
            sums_act(SN_CACT_RELU6, &b, &g, &product);
            break;
        case SN_CACT_HSWISH:
            sums_act(SN_CACT_HSWISH, &b, &g, &product);
            break;
        case SN_CACT_HSIGMOID:
            sums_act(SN_CACT_HSIGMOID, &b, &g, &product);
            break;
        default:
            sums_act(SN_CACT_NONE, &b, &g, &product);
            break;
        }
        store(sums + at, g);
        store(sums + cb * SN_B + at, product);
    }
}

static void gradient_apply(const struct sn_plane *s,
                           const struct sn_gradient *d, void *dx)
{
    const int cb = blocks_of(s->c);
    for (int i = 0; i < s->n * cb; i++) {
        const struct run run = {.at = (ptrdiff_t)i * s->hw * SN_B,
                                .channel = i % cb * SN_B,
                                .pixels = s->hw};
        gradient_make(d, &run, (stored *)dx + run.at);
    }
}

static void bn_gradient(const struct sn_plane *s, const float *sums,
                        const float *mean, const float *rstd,
                        const float *gamma, float *dgamma, float *dbeta,
                        float *pqr)
{
    const int cp = blocks_of(s->c) * SN_B;
    const double count = (double)s->n * s->hw;
    for (int c = 0; c < cp; c++) {
        const double scale = (double)gamma[c] * rstd[c];
        const double product = (double)sums[cp + c] * rstd[c];
        const double slope = product / count * rstd[c];
        dbeta[c] = sums[c];
        dgamma[c] = (float)product;
        pqr[c] = (float)scale;
        pqr[cp + c] = (float)(-scale * slope);
        pqr[2 * cp + c] = (float)(scale * (slope * mean[c] - sums[c] / count));
    }
}

void SN_KERNEL(sn_kernels_norm)(struct sn_kernels *k)
{
    k->bn_backward_sums = bn_backward_sums;
    k->bn_gradient = bn_gradient;
    k->gradient_apply = gradient_apply;
    k->bn_sums = bn_sums;
    k->bn_finish = bn_finish;
    k->bn_apply = bn_apply;
    k->bn_backward = bn_backward;
}
