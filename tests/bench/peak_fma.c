/* Multiply-adds of floats, compiled once an instruction set: PEAK_FLOATS in a
 * register, PEAK_LOOP the function's name. */
#include "tests/bench/peak_loops.h"

typedef float vec __attribute__((vector_size(PEAK_FLOATS * sizeof(float))));

/* Twelve chains hide the latency of two units (4 or 5 cycles each), and fit
 * sixteen registers. The empty asm keeps the compiler from knowing the factors
 * and from dropping the sums. (An array of chains would end up in memory.) */
enum { CHAINS = 12 };

double PEAK_LOOP(long turns)
{
    vec f = {0.5f}, s = {1.0f};
    vec a = s, b = s, c = s, d = s, e = s, g = s;
    vec h = s, i = s, j = s, k = s, l = s, m = s;
    __asm__ volatile("" : "+x"(f), "+x"(s));
    for (long t = 0; t < turns; t++) {
        a = a * f + s;
        b = b * f + s;
        c = c * f + s;
        d = d * f + s;
        e = e * f + s;
        g = g * f + s;
        h = h * f + s;
        i = i * f + s;
        j = j * f + s;
        k = k * f + s;
        l = l * f + s;
        m = m * f + s;
        __asm__ volatile(""
                         : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(g),
                           "+x"(h), "+x"(i), "+x"(j), "+x"(k), "+x"(l),
                           "+x"(m));
    }
    return (double)turns * CHAINS * PEAK_FLOATS * 2;
}
