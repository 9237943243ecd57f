/* bench_rival - the same operator by oneDNN alone, in one of its layouts, as a
 * program would use it that has nothing but oneDNN: tensors, weights and
 * scratchpads as oneDNN asks for them, and one primitive after the other where
 * the engine has one fused loop (the rival of dw_forward_fused leaves out the
 * sums of the output). Runs in the calling thread; OpenMP's thread count is
 * the caller's to set.
 */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include "tests/bench/cases.h"

enum bench_layout {
    BENCH_LAYOUT_ANY,     /* what oneDNN picks for the shape */
    BENCH_LAYOUT_BLOCKED, /* nChw16c */
    BENCH_LAYOUT_NHWC,
    BENCH_LAYOUTS
};

struct bench_rival;

const char *bench_layout_name(enum bench_layout layout);
/* Owns all that it needs; NULL where oneDNN has none for the shape and layout
 * (or no memory). */
struct bench_rival *bench_rival_new(const struct bench_case *c,
                                    enum bench_layout layout);
void bench_rival_free(struct bench_rival *rival);
void bench_rival_run(struct bench_rival *rival);

#endif
