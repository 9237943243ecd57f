/* The arena: one aligned block, handed out from the bottom up. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/compute/compute.h"

#define ALIGN 64

size_t sn_arena_round(size_t n)
{
    const size_t step = ALIGN / sizeof(float);
    return (n + step - 1) / step * step;
}

enum sn_err sn_arena_init(struct sn_arena *arena, size_t bytes,
                          struct sn_error *err)
{
    size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (size < bytes)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "an arena of %zu bytes is too large", bytes);
    char *base = aligned_alloc(ALIGN, size > 0 ? size : ALIGN);
    if (!base)
        return sn_error_set(err, SN_ERR_NOMEM,
                            "no memory for an arena of %zu bytes", bytes);
    *arena = (struct sn_arena){.base = base, .size = size};
    return SN_OK;
}

void sn_arena_close(struct sn_arena *arena)
{
    if (!arena)
        return;
    free(arena->base);
    *arena = (struct sn_arena){0};
}

float *sn_arena_floats(struct sn_arena *arena, size_t n)
{
    size_t bytes = sn_arena_round(n) * sizeof(float);
    if (bytes / sizeof(float) < n || bytes > arena->size - arena->used) {
        fprintf(stderr,
                "sn_arena: %zu floats wanted, %zu of %zu bytes in use: the "
                "arena was sized too small\n",
                n, arena->used, arena->size);
        abort();
    }
    float *p = (float *)(void *)(arena->base + arena->used);
    arena->used += bytes;
    if (arena->used > arena->peak)
        arena->peak = arena->used;
    return p;
}
