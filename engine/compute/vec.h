/* sn_vec - a block of B floats as one vector, in GCC's vector extensions.
 *
 * Private to the kernels (needs SN_B). No intrinsics: the compiler makes of
 * `vec` what its flags allow, one AVX-512 register, one AVX one, or two of
 * SSE. Loops over small constant counts carry `#pragma GCC unroll` so that
 * arrays of vec live in registers.
 */
#ifndef SN_VEC_H
#define SN_VEC_H

#include <stddef.h>
#include <stdint.h>

#include "engine/compute/compute.h"

typedef float vec __attribute__((vector_size(4 * SN_B)));
typedef int32_t ivec __attribute__((vector_size(4 * SN_B)));
typedef double dvec __attribute__((vector_size(8 * SN_B)));

#define SN_INLINE static inline __attribute__((always_inline))

/* Output pixels (x two channel blocks) that a register tile holds. */
#if defined(__AVX512F__)
#define SN_TILE 12
#elif defined(__AVX2__)
#define SN_TILE 6
#else
#define SN_TILE 3
#endif

SN_INLINE int blocks_of(int c)
{
    return (c + SN_B - 1) / SN_B;
}

SN_INLINE vec load(const float *p)
{
    return *(const vec *)p;
}

SN_INLINE void store(float *p, vec v)
{
    *(vec *)p = v;
}

SN_INLINE vec load_or_zero(const float *p, ptrdiff_t offset)
{
    return p ? load(p + offset) : (vec){0};
}

/* mask ? a : b, lane by lane; masks are all ones or zero, as of (a > b). */
SN_INLINE vec choose(ivec mask, vec a, vec b)
{
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

/* v where the mask is set, else zero */
SN_INLINE vec keep(ivec mask, vec v)
{
    return (vec)(mask & (ivec)v);
}

/* clamp(t, 0, 6) */
SN_INLINE vec clamp6(vec t)
{
    const vec zero = {0}, six = zero + 6.0f;
    t = keep(t > zero, t);
    return choose(t < six, t, six);
}

SN_INLINE vec act_of(const enum sn_cact act, vec t)
{
    switch (act) {
    case SN_CACT_RELU:
        return keep(t > (vec){0}, t);
    case SN_CACT_HSWISH:
        return t * clamp6(t + 3.0f) * (1.0f / 6);
    case SN_CACT_HSIGMOID:
        return clamp6(t + 3.0f) * (1.0f / 6);
    default:
        return t;
    }
}

/* act'(t) */
SN_INLINE vec slope_of(const enum sn_cact act, vec t)
{
    const vec zero = {0}, one = zero + 1.0f;
    switch (act) {
    case SN_CACT_RELU:
        return keep(t > zero, one);
    case SN_CACT_HSWISH: {
        vec middle = choose(t < zero + 3.0f, t * (1.0f / 3) + 0.5f, one);
        return keep(t > zero - 3.0f, middle);
    }
    case SN_CACT_HSIGMOID:
        return keep((t > zero - 3.0f) & (t < zero + 3.0f), one * (1.0f / 6));
    default:
        return one;
    }
}

/* All ones in the lanes of block `cb` that hold one of `c` channels. */
SN_INLINE ivec lanes_of(int c, int cb)
{
    ivec lane;
    for (int l = 0; l < SN_B; l++)
        lane[l] = cb * SN_B + l;
    return lane < (ivec){0} + c;
}

/* A double for every lane, added to lane by lane from floats. */
SN_INLINE dvec widen(vec v)
{
    return __builtin_convertvector(v, dvec);
}

SN_INLINE vec narrow(dvec v)
{
    return __builtin_convertvector(v, vec);
}

#endif
