/* bench_ours - an operator of the engine on a case's shape, ready to be run
 * again and again.
 */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include "engine/compute/compute.h"
#include "tests/bench/cases.h"

/* Who does a 1x1 convolution; the others have the engine's way alone. */
enum bench_way {
    BENCH_ENGINE,   /* whom the engine picks for the shape */
    BENCH_OWN,      /* the engine's own kernel */
    BENCH_PRIMITIVE /* oneDNN in the engine's layout */
};

struct bench_ours;

/* Owns its tensors, filled with noise; borrows cx. NULL: no memory. */
struct bench_ours *bench_ours_new(struct sn_cx *cx, const struct bench_case *c);
void bench_ours_free(struct bench_ours *ours);
/* Whether the operator can be done this way. */
bool bench_ours_has(const struct bench_ours *ours, enum bench_way way);
void bench_ours_run(struct bench_ours *ours, enum bench_way way);

#endif
