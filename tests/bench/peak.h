/* bench_peak - what this machine can do at most: multiply-adds in registers and
 * copies of memory, by one thread or by several at once.
 *
 * Loops are compiled once an instruction set; the best that the CPU has is
 * run, whatever SPARSENAS_ISA says of the engine. Threads are pinned as the
 * engine's workers are, start together, and each is timed for itself, so that
 * a late start costs nothing. Called from one thread.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include <stddef.h>

enum bench_peak_kind {
    BENCH_PEAK_F32,  /* fused multiply-adds of floats */
    BENCH_PEAK_BF16, /* bf16 dot products, summed in f32 */
    BENCH_PEAK_KINDS
};

/* The instruction set of a kind's loop, NULL where the CPU has none. */
const char *bench_peak_isa(enum bench_peak_kind kind);
/* GFLOP/s (a multiply-add is two) of `threads` threads together, over about
 * `seconds`; 0 where the CPU has no such instructions. */
double bench_peak_gflops(enum bench_peak_kind kind, int threads,
                         double seconds);
/* GB/s read plus GB/s written, of a copy of `bytes` that the threads share
 * out; the best pass over about `seconds`. 0: no memory. */
double bench_peak_copy_gbs(size_t bytes, int threads, double seconds);

#endif
