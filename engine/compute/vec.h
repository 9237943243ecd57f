/* sn_vec - a block of B floats as one vector, in GCC's vector extensions.
 *
 * Tensors are read by fetch and written by put, whatever their elements: this
 * is where bfloat16 storage is. SN_BF16 makes the kernels of that storage out
 * of the same sources.
 *
 * Private to the kernels (needs SN_B). The compiler makes of `vec` what its
 * flags allow, one AVX-512 register, one AVX one, or two of SSE; intrinsics
 * stand for the three operations below alone that the extensions lack. Loops
 * over small constant counts carry `#pragma GCC unroll` so that arrays of vec
 * live in registers.
 */
#ifndef SN_VEC_H
#define SN_VEC_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

/* ---- an element of a tensor ---- */

#ifdef SN_BF16
typedef uint16_t stored;

SN_INLINE vec widened(__m256i bits)
{
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
}

SN_INLINE vec fetch(const stored *p)
{
    return widened(_mm256_load_si256((const __m256i *)p));
}

/* Returns what fetch will give back. To nearest even; NaN stays NaN. */
SN_INLINE vec put(stored *p, vec v)
{
    const __m256i bits = (__m256i)_mm512_cvtneps_pbh((__m512)v);
    _mm256_store_si256((__m256i *)p, bits);
    return widened(bits);
}

/* Where floats are made that then go to `to`, by put: in scratch, or at once in
 * the tensor where it holds floats. */
#define SN_IN_PLACE false
SN_INLINE float *made_at(stored *to, float *scratch)
{
    (void)to;
    return scratch;
}
#else
typedef float stored;

SN_INLINE vec fetch(const stored *p)
{
    return load(p);
}

SN_INLINE vec put(stored *p, vec v)
{
    store(p, v);
    return v;
}

#define SN_IN_PLACE true
SN_INLINE float *made_at(stored *to, float *scratch)
{
    (void)scratch;
    return to;
}
#endif

SN_INLINE vec load_or_zero(const float *p, ptrdiff_t offset)
{
    return p ? load(p + offset) : (vec){0};
}

/* Lane by lane: max(a, b), min(a, b), and a < b ? yes : no. The vector
 * extensions have masks for these, and what the compiler makes of masks costs
 * as much as a convolution with a small kernel: hence the instructions. */
#if defined(__AVX512F__)
SN_INLINE vec max_of(vec a, vec b)
{
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}
SN_INLINE vec min_of(vec a, vec b)
{
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
}
SN_INLINE vec if_less(vec a, vec b, vec yes, vec no)
{
    const __mmask16 less = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
    return (vec)_mm512_mask_blend_ps(less, (__m512)no, (__m512)yes);
}
#elif defined(__AVX2__)
SN_INLINE vec max_of(vec a, vec b)
{
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}
SN_INLINE vec min_of(vec a, vec b)
{
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
}
SN_INLINE vec if_less(vec a, vec b, vec yes, vec no)
{
    const __m256 less = _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ);
    return (vec)_mm256_blendv_ps((__m256)no, (__m256)yes, less);
}
#else
SN_INLINE vec if_less(vec a, vec b, vec yes, vec no)
{
    const ivec less = a < b;
    return (vec)((less & (ivec)yes) | (~less & (ivec)no));
}
SN_INLINE vec max_of(vec a, vec b)
{
    return if_less(b, a, a, b);
}
SN_INLINE vec min_of(vec a, vec b)
{
    return if_less(a, b, a, b);
}
#endif

/* v where the mask is set, else zero */
SN_INLINE vec keep(ivec mask, vec v)
{
    return (vec)(mask & (ivec)v);
}

/* clamp(t, 0, 6) */
SN_INLINE vec clamp6(vec t)
{
    const vec zero = {0}, six = zero + 6.0f;
    return min_of(max_of(t, zero), six);
}

/* t + 3 first: near -3 that is exact, where t / 6 + 1 / 2 would cancel. */
SN_INLINE vec act_of(const enum sn_cact act, vec t)
{
    switch (act) {
    case SN_CACT_RELU:
        return max_of(t, (vec){0});
    case SN_CACT_RELU6:
        return clamp6(t);
    case SN_CACT_HSWISH:
        return t * clamp6(t + 3.0f) * (1.0f / 6);
    case SN_CACT_HSIGMOID:
        return clamp6(t + 3.0f) * (1.0f / 6);
    default:
        return t;
    }
}

/* n of them, in registers: the kind is told apart once. */
SN_INLINE void act_all(const int n, enum sn_cact act, vec *v)
{
    if (act == SN_CACT_RELU) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++)
            v[i] = act_of(SN_CACT_RELU, v[i]);
    } else if (act == SN_CACT_RELU6) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++)
            v[i] = act_of(SN_CACT_RELU6, v[i]);
    } else if (act == SN_CACT_HSWISH) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++)
            v[i] = act_of(SN_CACT_HSWISH, v[i]);
    } else if (act == SN_CACT_HSIGMOID) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++)
            v[i] = act_of(SN_CACT_HSIGMOID, v[i]);
    }
}

/* act'(t) */
SN_INLINE vec slope_of(const enum sn_cact act, vec t)
{
    const vec zero = {0}, one = zero + 1.0f, three = zero + 3.0f;
    switch (act) {
    case SN_CACT_RELU:
        return if_less(zero, t, one, zero);
    case SN_CACT_RELU6:
        return if_less(zero, t, if_less(t, zero + 6.0f, one, zero), zero);
    case SN_CACT_HSWISH: {
        vec middle = if_less(t, three, t * (1.0f / 3) + 0.5f, one);
        return if_less(-three, t, middle, zero);
    }
    case SN_CACT_HSIGMOID:
        return if_less(-three, t, if_less(t, three, one * (1.0f / 6), zero),
                       zero);
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
