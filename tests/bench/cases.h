/* bench_cases - which operators on which shapes a network needs: the list that
 * bench_kernels goes through. Plain data, pure functions.
 */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include <stdbool.h>

#include "engine/space/plan.h"

enum bench_op {
    BENCH_STEM_FORWARD,
    BENCH_STEM_WEIGHTS,
    BENCH_CONV1_FORWARD,
    BENCH_CONV1_DATA,
    BENCH_CONV1_WEIGHTS,
    BENCH_DW_FORWARD,        /* the convolution alone */
    BENCH_DW_FORWARD_FUSED,  /* BN + act of its input, sums of its output */
    BENCH_DW_BACKWARD,       /* both gradients */
    BENCH_DW_BACKWARD_FUSED, /* BN + act of its input, BN of its gradient, and
                              * its input's act' with sums */
    BENCH_BN_FORWARD,        /* statistics, then BN + act */
    BENCH_BN_APPLY,          /* BN + act with known statistics */
    BENCH_BN_BACKWARD,
    BENCH_OPS
};

struct bench_case {
    enum bench_op op;
    int n, i, o, h, w; /* h, w: the input's; depthwise and BN: i == o */
    int k, stride;
    enum sn_act act; /* of the BN: the input's where it is fused */
    int times;       /* how often the network has it */
};

enum { BENCH_MAX_CASES = 1024 };

const char *bench_op_name(enum bench_op op);
/* Whether its work is counted in bytes moved rather than in operations. */
bool bench_op_moves(enum bench_op op);

/* Every operator on each distinct shape of the plan, at n images; returns how
 * many. kernels: depthwise sizes to try on each depthwise shape, besides the
 * plan's own; ended by 0; may be NULL. */
int bench_cases_make(const struct sn_plan *plan, int n, const int *kernels,
                     struct bench_case ret[BENCH_MAX_CASES]);

int bench_case_out(const struct bench_case *c, int size); /* pixels a side */
/* Floating-point operations of the unpadded shape (2 a multiply-add), or, of
 * operators that move, the bytes that one pass reads and writes at least. */
double bench_case_work(const struct bench_case *c);
/* "24>96 32x32" and the like. */
void bench_case_text(const struct bench_case *c, char ret[48]);

#endif
