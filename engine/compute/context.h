/* sn_context - what sn_compute and sn_cx are made of.
 *
 * Private to engine/compute. A cx belongs to one thread; a compute is shared:
 * what it holds is fixed after it was made, but for the primitive cache, which
 * has its own lock.
 */
#ifndef SN_CONTEXT_H
#define SN_CONTEXT_H

#include "engine/compute/compute.h"
#include "engine/compute/kernels.h"

struct sn_primitives;    /* primitives.h */
struct sn_primitives_cx; /* primitives.h */

struct sn_compute {
    const char *isa;
    struct sn_kernels kernels;
    struct sn_primitives *primitives;
    char runtime[32]; /* SN_RUNTIME_TEXT */
};

struct sn_cx {
    struct sn_compute *compute;          /* borrowed */
    const struct sn_kernels *k;          /* compute's */
    struct sn_primitives_cx *primitives; /* owned */
    float *scratch;                      /* owned, 64-byte aligned */
    size_t scratch_floats;
    struct sn_error error; /* the first since it was taken; code SN_OK: none */
};

/* At least `floats` of scratch, valid until the next call; NULL, with the
 * error kept in cx, when memory runs out. Grows only. */
float *sn_cx_scratch(struct sn_cx *cx, size_t floats);
/* Keeps the first error. */
void sn_cx_fail(struct sn_cx *cx, const struct sn_error *error);

#endif
