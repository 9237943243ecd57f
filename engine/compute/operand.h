/* sn_operand - the operands of fused operators, made as they are read, and
 * their data gradient, passed on as it is written: compute.h's sn_source,
 * sn_gradient and sn_sink for a run of pixels of one channel block.
 *
 * Private to the kernels. A run's pixels lie one after the other.
 */
#ifndef SN_OPERAND_H
#define SN_OPERAND_H

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* ---- source ---- */

SN_INLINE bool source_is_plain(const struct sn_source *s)
{
    return !s->scale && !s->gate && !s->residual;
}

/* Where a run is: its first float in u, its block's first channel, its image's
 * first gate. */
struct run {
    ptrdiff_t at, channel, gate;
    int pixels;
};

SN_INLINE void source_run(const enum sn_cact act, const bool gated,
                          const bool residual, const struct sn_source *s,
                          const struct run *run, stored *to)
{
    const vec scale = load(s->scale + run->channel);
    const vec shift = load(s->shift + run->channel);
    const vec gate = gated ? load(s->gate + run->gate) : (vec){0};
    const stored *u = (const stored *)s->u + run->at;
    const stored *more =
        residual ? (const stored *)s->residual + run->at : NULL;
    for (int i = 0; i < run->pixels * SN_B; i += SN_B) {
        vec v = act_of(act, fetch(u + i) * scale + shift);
        if (gated)
            v *= gate;
        if (residual)
            v += fetch(more + i);
        put(to + i, v);
    }
}

SN_INLINE void source_act(const enum sn_cact act, const struct sn_source *s,
                          const struct run *run, stored *to)
{
    if (s->gate && s->residual)
        source_run(act, true, true, s, run, to);
    else if (s->gate)
        source_run(act, true, false, s, run, to);
    else if (s->residual)
        source_run(act, false, true, s, run, to);
    else
        source_run(act, false, false, s, run, to);
}

/* A source with a scale; padded channels become act(0). */
static inline void source_make(const struct sn_source *s, const struct run *run,
                               stored *to)
{
    switch (s->act) {
    case SN_CACT_RELU:
        source_act(SN_CACT_RELU, s, run, to);
        break;
    case SN_CACT_RELU6:
        source_act(SN_CACT_RELU6, s, run, to);
        break;
    case SN_CACT_HSWISH:
        source_act(SN_CACT_HSWISH, s, run, to);
        break;
    case SN_CACT_HSIGMOID:
        source_act(SN_CACT_HSIGMOID, s, run, to);
        break;
    default:
        source_act(SN_CACT_NONE, s, run, to);
        break;
    }
}

/* ---- gradient ---- */

/* Pixel i of a run's gradient. */
struct gradient {
    vec p, q, r;
    const stored *g, *x;
};

SN_INLINE struct gradient gradient_run(const struct sn_gradient *d,
                                       const struct run *run)
{
    return (struct gradient){
        .p = load(d->p + run->channel),
        .q = load(d->q + run->channel),
        .r = load(d->r + run->channel),
        .g = (const stored *)d->g + run->at,
        .x = (const stored *)d->x + run->at,
    };
}

SN_INLINE vec gradient_at(const struct gradient *d, ptrdiff_t at)
{
    return d->p * fetch(d->g + at) + (d->q * fetch(d->x + at) + d->r);
}

SN_INLINE void gradient_make(const struct sn_gradient *from,
                             const struct run *run, stored *to)
{
    const struct gradient d = gradient_run(from, run);
    for (int i = 0; i < run->pixels * SN_B; i += SN_B)
        put(to + i, gradient_at(&d, i));
}

/* ---- sink ---- */

/* Sums of one channel block over all runs. */
struct through {
    dvec g, product;
};

/* One pixel, made at d, to dx. */
SN_INLINE vec through_pixel(const enum sn_cact act, vec t, const float *d,
                            stored *dx)
{
    return put(dx, load(d) * slope_of(act, t));
}

SN_INLINE void through_run(const enum sn_cact act, const struct sn_source *s,
                           vec mean, const struct run *run, const float *d,
                           stored *dx, struct through *sums)
{
    const vec scale = load(s->scale + run->channel);
    const vec shift = load(s->shift + run->channel);
    const stored *u = (const stored *)s->u + run->at;
    vec a[2] = {{0}}, b[2] = {{0}};
    int i = 0;
    for (; i + 2 <= run->pixels; i += 2) {
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            const int at = (i + j) * SN_B;
            vec x = fetch(u + at);
            vec g = through_pixel(act, x * scale + shift, d + at, dx + at);
            a[j] += g;
            b[j] += g * (x - mean);
        }
    }
    if (i < run->pixels) {
        const int at = i * SN_B;
        vec x = fetch(u + at);
        vec g = through_pixel(act, x * scale + shift, d + at, dx + at);
        a[0] += g;
        b[0] += g * (x - mean);
    }
    sums->g += widen(a[0] + a[1]);
    sums->product += widen(b[0] + b[1]);
}

/* d * act'(u * scale + shift) over a run, into dx, and its sums. */
static inline void through_pass(const struct sn_source *s, const float *mean,
                                const struct run *run, const float *d,
                                stored *dx, struct through *sums)
{
    const vec m = load_or_zero(mean, run->channel);
    switch (s->act) {
    case SN_CACT_RELU:
        through_run(SN_CACT_RELU, s, m, run, d, dx, sums);
        break;
    case SN_CACT_RELU6:
        through_run(SN_CACT_RELU6, s, m, run, d, dx, sums);
        break;
    case SN_CACT_HSWISH:
        through_run(SN_CACT_HSWISH, s, m, run, d, dx, sums);
        break;
    case SN_CACT_HSIGMOID:
        through_run(SN_CACT_HSIGMOID, s, m, run, d, dx, sums);
        break;
    default:
        through_run(SN_CACT_NONE, s, m, run, d, dx, sums);
        break;
    }
}

/* A run of the data gradient, made at d, on into the sink. */
static inline void sink_run(const struct sn_source *in,
                            const struct sn_sink *out, const struct run *run,
                            const float *d, struct through *sums)
{
    stored *dx = (stored *)out->dx + run->at;
    const stored *add = out->add ? (const stored *)out->add + run->at : NULL;
    if (out->through) {
        through_pass(in, out->mean, run, d, dx, sums);
        return;
    }
    for (int i = 0; add && i < run->pixels * SN_B; i += SN_B)
        put(dx + i, load(d + i) + fetch(add + i));
    for (int i = 0; !add && !SN_IN_PLACE && i < run->pixels * SN_B; i += SN_B)
        put(dx + i, load(d + i));
}

/* Into block cb of sums[2][cp]. */
SN_INLINE void through_finish(const struct through *t, float *sums, int cb,
                              int cp)
{
    store(sums + cb * SN_B, narrow(t->g));
    store(sums + cp + cb * SN_B, narrow(t->product));
}

#endif
