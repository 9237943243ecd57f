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
    struct sn_kernels bf16; /* block 0: has none */
    struct sn_primitives *primitives;
    char runtime[32]; /* SN_RUNTIME_TEXT */
};

/* Grows only; owned, 64-byte aligned. */
struct sn_scratch {
    float *p;
    size_t floats;
};

struct sn_cx {
    struct sn_compute *compute;          /* borrowed */
    const struct sn_kernels *k;          /* compute's */
    struct sn_primitives_cx *primitives; /* owned */
    struct sn_scratch scratch, operands;
    struct sn_error error; /* the first since it was taken; code SN_OK: none */
};

/* At least `floats` of scratch, valid until the next call; NULL, with the
 * error kept in cx, when memory runs out. Grows only. */
float *sn_cx_scratch(struct sn_cx *cx, size_t floats);
/* The same apart from it, for operands of an operator that needs scratch. */
float *sn_cx_operands(struct sn_cx *cx, size_t floats);
/* The kernels for tensors stored so, which there must be. */
static inline const struct sn_kernels *sn_cx_kernels(const struct sn_cx *cx,
                                                     enum sn_store store)
{
    return store == SN_STORE_BF16 ? &cx->compute->bf16 : cx->k;
}
/* Whether a 1x1 convolution is oneDNN's rather than our kernel's. */
bool sn_conv1_is_wide(const struct sn_conv1 *s);
/* Keeps the first error. */
void sn_cx_fail(struct sn_cx *cx, const struct sn_error *error);

#endif
