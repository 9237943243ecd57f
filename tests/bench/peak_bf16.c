/* bf16 dot products: two products a lane, summed in f32. As peak_fma.c. */
#include <immintrin.h>

#include "tests/bench/peak_loops.h"

enum { CHAINS = 12, LANES = 16 };

static inline __m512 dot(__m512 sum, __m512i x)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)x);
}

double bench_peak_loop_bf16(long turns)
{
    __m512i x = _mm512_set1_epi16(0x3f80); /* ones */
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a, e = a, g = a;
    __m512 h = a, i = a, j = a, k = a, l = a, m = a;
    __asm__ volatile("" : "+v"(x));
    for (long t = 0; t < turns; t++) {
        a = dot(a, x);
        b = dot(b, x);
        c = dot(c, x);
        d = dot(d, x);
        e = dot(e, x);
        g = dot(g, x);
        h = dot(h, x);
        i = dot(i, x);
        j = dot(j, x);
        k = dot(k, x);
        l = dot(l, x);
        m = dot(m, x);
        __asm__ volatile(""
                         : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(g),
                           "+v"(h), "+v"(i), "+v"(j), "+v"(k), "+v"(l),
                           "+v"(m));
    }
    return (double)turns * CHAINS * LANES * 4;
}
