/* sn_sums - sum and sum of squared deviations of a channel block over many
 * planes, without losing the variance where the mean is large.
 *
 * Private to the kernels. Values are taken relative to a shift near the mean
 * (the first value seen; a struct of zeros has seen none), summed in single
 * precision inside a plane and in double across planes.
 */
#ifndef SN_SUMS_H
#define SN_SUMS_H

#include "engine/compute/vec.h"

struct sums {
    vec shift;
    dvec sum, square; /* of x - shift */
    double count;
};

/* Planes longer than this are summed piece by piece. */
#define SN_SUMS_PIECE 256

/* The next value: as it is once stored, if it was made only now. */
SN_INLINE vec sums_value(const float *made, stored *to, const stored *x,
                         ptrdiff_t at)
{
    return made ? put(to + at, load(made + at)) : fetch(x + at);
}

SN_INLINE void sums_run(struct sums *s, const float *made, stored *to,
                        const stored *x, int hw)
{
    if (s->count == 0)
        s->shift = made ? load(made) : fetch(x);
    for (int first = 0; first < hw; first += SN_SUMS_PIECE) {
        int last = first + SN_SUMS_PIECE < hw ? first + SN_SUMS_PIECE : hw;
        vec a[4] = {{0}}, b[4] = {{0}};
        int i = first;
        for (; i + 4 <= last; i += 4) {
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                vec d = sums_value(made, to, x, (ptrdiff_t)(i + j) * SN_B) -
                        s->shift;
                a[j] += d;
                b[j] += d * d;
            }
        }
        for (; i < last; i++) {
            vec d = sums_value(made, to, x, (ptrdiff_t)i * SN_B) - s->shift;
            a[0] += d;
            b[0] += d * d;
        }
        s->sum += widen((a[0] + a[1]) + (a[2] + a[3]));
        s->square += widen((b[0] + b[1]) + (b[2] + b[3]));
    }
    s->count += hw;
}

/* A plane of a tensor. */
SN_INLINE void sums_add(struct sums *s, const stored *x, int hw)
{
    sums_run(s, NULL, NULL, x, hw);
}

/* A plane made as floats, which is stored on the way (made_at). */
SN_INLINE void sums_put(struct sums *s, const float *made, stored *to, int hw)
{
    if (SN_IN_PLACE)
        sums_run(s, NULL, NULL, to, hw);
    else
        sums_run(s, made, to, NULL, hw);
}

/* ret: the sums of block cb of [2][cp]. */
SN_INLINE void sums_finish(const struct sums *s, float *ret, int cb, int cp)
{
    dvec deviations = s->square - s->sum * s->sum / s->count;
    store(ret + cb * SN_B, narrow(s->sum + widen(s->shift) * s->count));
    store(ret + cp + cb * SN_B, narrow(deviations));
}

#endif
