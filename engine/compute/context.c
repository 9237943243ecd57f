/* sn_compute and sn_cx: made, freed, asked. */
#include <omp.h>
#include <stdlib.h>

#include "engine/compute/context.h"
#include "engine/compute/isa.h"
#include "engine/compute/primitives.h"

enum sn_err sn_compute_new(const char *isa, struct sn_compute **ret,
                           struct sn_error *err)
{
    enum sn_err rc;
    struct sn_compute *c = calloc(1, sizeof(*c));
    if (!c)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the operators");
    rc = sn_isa_pick(isa, &c->isa, &c->kernels, &c->bf16, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    rc = sn_primitives_new(c->kernels.block, c->isa, &c->primitives, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    sn_primitives_runtime(c->runtime);
    *ret = c;
    return SN_OK;

err_after_alloc:
    free(c);
    return rc;
}

void sn_compute_free(struct sn_compute *compute)
{
    if (!compute)
        return;
    sn_primitives_free(compute->primitives);
    free(compute);
}

const char *sn_compute_isa(const struct sn_compute *compute)
{
    return compute->isa;
}

const char *sn_compute_runtime(const struct sn_compute *compute)
{
    return compute->runtime;
}

size_t sn_compute_primitives(const struct sn_compute *compute)
{
    return sn_primitives_count(compute->primitives);
}

bool sn_compute_stores(const struct sn_compute *compute, enum sn_store store)
{
    return store == SN_STORE_F32 || compute->bf16.block > 0;
}

bool sn_compute_cpu_stores(enum sn_store store)
{
    struct sn_compute c = {0};
    struct sn_error ignored;
    return sn_isa_pick(NULL, &c.isa, &c.kernels, &c.bf16, &ignored) == SN_OK &&
           sn_compute_stores(&c, store);
}

int sn_compute_block(const struct sn_compute *compute)
{
    return compute->kernels.block;
}

int sn_compute_padded(const struct sn_compute *compute, int c)
{
    const int b = compute->kernels.block;
    return (c + b - 1) / b * b;
}

enum sn_err sn_cx_new(struct sn_compute *compute, struct sn_cx **ret,
                      struct sn_error *err)
{
    struct sn_cx *cx = calloc(1, sizeof(*cx));
    if (!cx)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a context");
    omp_set_num_threads(1);
    cx->compute = compute;
    cx->k = &compute->kernels;
    enum sn_err rc =
        sn_primitives_cx_new(compute->primitives, &cx->primitives, err);
    if (rc != SN_OK) {
        free(cx);
        return rc;
    }
    *ret = cx;
    return SN_OK;
}

void sn_cx_free(struct sn_cx *cx)
{
    if (!cx)
        return;
    sn_primitives_cx_free(cx->primitives);
    free(cx->scratch.p);
    free(cx->operands.p);
    free(cx);
}

struct sn_compute *sn_cx_compute(const struct sn_cx *cx)
{
    return cx->compute;
}

void sn_cx_fail(struct sn_cx *cx, const struct sn_error *error)
{
    if (cx->error.code == SN_OK)
        cx->error = *error;
}

enum sn_err sn_cx_take_error(struct sn_cx *cx, struct sn_error *err)
{
    enum sn_err code = cx->error.code;
    if (code != SN_OK && err)
        *err = cx->error;
    cx->error.code = SN_OK;
    return code;
}

static float *grow(struct sn_cx *cx, struct sn_scratch *s, size_t floats)
{
    if (floats <= s->floats)
        return s->p;
    floats = sn_arena_round(floats);
    float *grown = aligned_alloc(64, floats * sizeof(float));
    if (!grown) {
        struct sn_error error;
        sn_error_set(&error, SN_ERR_NOMEM, "no memory for %zu MiB of scratch",
                     floats * sizeof(float) >> 20);
        sn_cx_fail(cx, &error);
        return NULL;
    }
    free(s->p);
    s->p = grown;
    s->floats = floats;
    return grown;
}

float *sn_cx_scratch(struct sn_cx *cx, size_t floats)
{
    return grow(cx, &cx->scratch, floats);
}

float *sn_cx_operands(struct sn_cx *cx, size_t floats)
{
    return grow(cx, &cx->operands, floats);
}
