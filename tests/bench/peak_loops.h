/* bench_peak's loops, one an instruction set: each does `turns` turns of
 * multiply-adds that depend on nothing but themselves, and returns how many
 * floating-point operations that was. They may only be called where the CPU
 * has the instructions. */
#ifndef BENCH_PEAK_LOOPS_H
#define BENCH_PEAK_LOOPS_H

double bench_peak_loop_avx512(long turns);
double bench_peak_loop_avx2(long turns);
double bench_peak_loop_portable(long turns);
double bench_peak_loop_bf16(long turns);

#endif
