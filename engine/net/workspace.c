#include "engine/net/workspace.h"

#include <stdlib.h>

#include "engine/net/supernet.h"

/* Takes floats one after the other; base NULL counts. */
struct bump {
    const struct sn_compute *compute;
    int n;
    enum sn_store store;
    float *base;
    size_t used, peak;
};

static float *take(struct bump *mem, size_t floats)
{
    float *at = mem->base != NULL ? mem->base + mem->used : NULL;
    mem->used += sn_arena_round(floats);
    if (mem->used > mem->peak) {
        mem->peak = mem->used;
    }
    return at;
}

static size_t plane_floats(const struct bump *mem, int channels, int size)
{
    return (size_t)mem->n * (size_t)sn_compute_padded(mem->compute, channels) *
           (size_t)size * (size_t)size;
}

/* A vector an image. */
static float *take_vector(struct bump *mem, int channels)
{
    return take(mem, plane_floats(mem, channels, 1));
}

/* A tensor of as many elements, stored as it may be. */
static void *take_elements(struct bump *mem, size_t elements)
{
    return take(mem,
                mem->store == SN_STORE_BF16 ? (elements + 1) / 2 : elements);
}

static void *take_plane(struct bump *mem, int channels, int size)
{
    return take_elements(mem, plane_floats(mem, channels, size));
}

/* The largest of each kind of tensor in a plan, in elements. */
struct extents {
    size_t narrow, wide, out, stream, vector, channels;
};

static void raise_to(size_t *most, size_t floats)
{
    if (floats > *most) {
        *most = floats;
    }
}

static struct extents measure(const struct bump *mem,
                              const struct sn_plan *plan)
{
    struct extents e = {0};
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        raise_to(&e.narrow, plane_floats(mem, b->mid, b->out_size));
        raise_to(&e.wide, plane_floats(mem, b->mid, b->in_size));
        raise_to(&e.out, plane_floats(mem, b->out, b->out_size));
        raise_to(&e.stream, plane_floats(mem, b->in, b->in_size));
        raise_to(&e.stream, plane_floats(mem, b->out, b->out_size));
        raise_to(&e.vector, plane_floats(mem, b->mid, 1));
        raise_to(&e.vector, plane_floats(mem, b->out, 1));
    }
    raise_to(&e.wide, plane_floats(mem, plan->head_out, plan->head_size));
    raise_to(&e.wide, plane_floats(mem, plan->stem_out, plan->stem_size));
    raise_to(&e.vector, plane_floats(mem, plan->head_out, 1));
    raise_to(&e.vector, plane_floats(mem, plan->feature_out, 1));
    raise_to(&e.vector, plane_floats(mem, plan->classes, 1));
    e.channels = e.vector / (size_t)mem->n;
    return e;
}

static void take_statistics(struct bump *mem, const struct sn_plan *plan,
                            struct sn_tape *tape)
{
    struct sn_layer layer[SN_MAX_LAYERS];
    sn_layers_make(plan, layer);
    for (int j = 0; j < sn_layer_count(plan); j++) {
        struct sn_bn_tape *bn = &tape->bn[j];
        size_t padded = (size_t)sn_compute_padded(mem->compute, layer[j].o);
        *bn = (struct sn_bn_tape){0};
        if (layer[j].bn) {
            bn->sums = take(mem, 2 * padded);
            bn->mean = take(mem, padded);
            bn->rstd = take(mem, padded);
            bn->scale = take(mem, padded);
            bn->shift = take(mem, padded);
        }
    }
}

static void take_block(struct bump *mem, const struct sn_block_plan *b,
                       struct sn_block_tape *t)
{
    t->a = b->expands ? take_plane(mem, b->mid, b->in_size) : t->x;
    t->b = take_plane(mem, b->mid, b->out_size);
    if (b->se_mid > 0) {
        t->pooled = take_vector(mem, b->mid);
        t->reduce = take_vector(mem, b->se_mid);
        t->reduced = take_vector(mem, b->se_mid);
        t->expand = take_vector(mem, b->mid);
        t->gate = take_vector(mem, b->mid);
    } else {
        t->pooled = t->reduce = t->reduced = t->expand = t->gate = NULL;
    }
}

static void take_tail(struct bump *mem, const struct sn_plan *plan,
                      struct sn_tape *tape)
{
    tape->head = take_plane(mem, plan->head_out, plan->head_size);
    tape->pooled = take_vector(mem, plan->head_out);
    tape->feature = tape->mixed = tape->pooled;
    if (plan->feature_out > 0) {
        tape->feature = take_vector(mem, plan->feature_out);
        tape->mixed = take_vector(mem, plan->feature_out);
    }
    tape->logits = take_vector(mem, plan->classes);
}

/* Temporaries that all blocks and the tail take turns with. */
static void take_temporaries(struct bump *mem, const struct extents *e,
                             bool train, struct sn_tape *ret)
{
    ret->stream[0] = take_elements(mem, e->stream);
    ret->stream[1] = take_elements(mem, e->stream);
    ret->narrow = train ? take_elements(mem, e->narrow) : NULL;
    ret->wide = train ? take_elements(mem, e->wide) : NULL;
    ret->vector[0] = train ? take(mem, e->vector) : NULL;
    ret->vector[1] = train ? take(mem, e->vector) : NULL;
    ret->sums = train ? take(mem, 2 * e->channels) : NULL;
    ret->pqr = train ? take(mem, 3 * e->channels) : NULL;
}

size_t sn_tape_make(const struct sn_compute *compute,
                    const struct sn_plan *plan, int n, enum sn_keep keep,
                    enum sn_store store, float *base, struct sn_tape *ret)
{
    if (plan->family == SN_FAMILY_RESNET) {
        ret->store = SN_STORE_F32;
        return sn_resnet_tape_make(compute, plan, n, keep, base, ret);
    }
    struct bump mem = {
        .compute = compute, .n = n, .store = store, .base = base};
    struct extents e = measure(&mem, plan);
    bool train = keep != SN_KEEP_NOTHING, all = keep == SN_KEEP_ALL;

    ret->n = n;
    ret->store = store;
    ret->recomputes = keep == SN_KEEP_INPUTS;
    take_statistics(&mem, plan, ret);
    take_temporaries(&mem, &e, train, ret);
    void *raw[2];
    raw[0] = all ? NULL : take_elements(&mem, e.out);
    raw[1] = all ? NULL : take_elements(&mem, e.out);

    ret->stem = take_plane(&mem, plan->stem_out, plan->stem_size);
    void *x = ret->stream[0];
    size_t mark = mem.used;
    if (train) {
        x = take_plane(&mem, plan->stem_out, plan->stem_size);
    }
    for (int i = 0; keep == SN_KEEP_INPUTS && i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        ret->block[i].y = take_plane(&mem, b->out, b->out_size);
        mark = mem.used;
    }
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        struct sn_block_tape *t = &ret->block[i];
        if (!all) {
            mem.used = mark;
        }
        t->x = x;
        take_block(&mem, b, t);
        t->d = all ? take_plane(&mem, b->out, b->out_size) : raw[i % 2];
        if (all) {
            t->y = take_plane(&mem, b->out, b->out_size);
        } else if (!train) {
            t->y = ret->stream[(i + 1) % 2];
        }
        x = t->y;
    }
    if (!all) {
        mem.used = mark;
    }
    take_tail(&mem, plan, ret);
    return mem.peak;
}

static size_t workspace_floats(const struct sn_supernet *net, int n, bool train,
                               enum sn_store store)
{
    enum sn_keep keep = train ? sn_keep_of_training(net) : SN_KEEP_NOTHING;
    struct sn_tape tape;
    return n > 0 ? sn_tape_make(net->compute, &net->largest, n, keep, store,
                                NULL, &tape)
                 : 0;
}

size_t sn_workspace_bytes(const struct sn_supernet *net, int train_n,
                          int forward_n, enum sn_store store)
{
    return sizeof(float) *
           (sn_arena_round(workspace_floats(net, train_n, true, store)) +
            sn_arena_round(workspace_floats(net, forward_n, false, store)));
}

enum sn_err sn_workspace_new(const struct sn_supernet *net, int train_n,
                             int forward_n, enum sn_store store,
                             struct sn_workspace **ret, struct sn_error *err)
{
    if (!sn_compute_stores(net->compute, store)) {
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "this CPU, or its kernels (%s), have no bf16",
                            sn_compute_isa(net->compute));
    }
    if (store != SN_STORE_F32 && net->largest.family == SN_FAMILY_RESNET) {
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "residual networks train in f32 alone");
    }
    struct sn_workspace *ws = calloc(1, sizeof(*ws));
    if (ws == NULL) {
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a workspace");
    }
    ws->train_n = train_n;
    ws->forward_n = forward_n;
    ws->store = store;
    enum sn_err rc = sn_arena_init(
        &ws->memory, sn_workspace_bytes(net, train_n, forward_n, store), err);
    if (rc != SN_OK) {
        sn_workspace_free(ws);
        return rc;
    }
    ws->train = sn_arena_floats(&ws->memory,
                                workspace_floats(net, train_n, true, store));
    ws->forward = sn_arena_floats(
        &ws->memory, workspace_floats(net, forward_n, false, store));
    *ret = ws;
    return SN_OK;
}

void sn_workspace_free(struct sn_workspace *ws)
{
    if (ws == NULL) {
        return;
    }
    sn_arena_close(&ws->memory);
    free(ws);
}
