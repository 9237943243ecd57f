/* Where everything of a ResNet's pass is (workspace.h).
 *
 *   training      every raw output, every block's input and output, the stem's
 *                 activated planes; the rest is made again when it is read
 *   recomputing   the inputs and outputs of blocks alone; the stem and all raw
 *                 outputs share memory, and backward makes each one's again
 *   forward only  blocks share their memory, x and y go to and fro; BNs are
 *                 applied in place
 */
#include "engine/net/workspace.h"

/* Takes floats one after the other; base NULL counts. */
struct bump {
    const struct sn_compute *compute;
    size_t n; /* images */
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
    return mem->n * (size_t)sn_compute_padded(mem->compute, channels) *
           (size_t)size * (size_t)size;
}

static float *take_plane(struct bump *mem, int channels, int size)
{
    return take(mem, plane_floats(mem, channels, size));
}

/* The largest of each kind of tensor, in floats. */
struct extents {
    size_t stream, narrow, wide, active, channels;
};

static void raise_to(size_t *most, size_t floats)
{
    if (floats > *most) {
        *most = floats;
    }
}

static struct extents measure(const struct bump *mem,
                              const struct sn_plan *plan,
                              const struct sn_layer *layer)
{
    size_t stem = plane_floats(mem, plan->stem_mid, plan->stem_size);
    struct extents e = {0};
    raise_to(&stem, plane_floats(mem, plan->stem_out, plan->stem_size));
    e.narrow = e.wide = e.active = stem;
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        raise_to(&e.stream, plane_floats(mem, b->in, b->in_size));
        raise_to(&e.stream, plane_floats(mem, b->out, b->out_size));
        raise_to(&e.narrow, plane_floats(mem, b->mid, b->out_size));
        raise_to(&e.narrow, plane_floats(mem, b->in, b->out_size));
        raise_to(&e.wide, plane_floats(mem, b->mid, b->in_size));
        raise_to(&e.wide, plane_floats(mem, b->in, b->in_size));
        raise_to(&e.active, plane_floats(mem, b->mid, b->in_size));
    }
    for (int j = 0; j < sn_layer_count(plan); j++) {
        raise_to(&e.channels,
                 (size_t)sn_compute_padded(mem->compute, layer[j].o));
        raise_to(&e.channels,
                 (size_t)sn_compute_padded(mem->compute, layer[j].i));
    }
    return e;
}

static void take_statistics(struct bump *mem, const struct sn_plan *plan,
                            const struct sn_layer *layer, struct sn_tape *tape)
{
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

static void take_stem(struct bump *mem, const struct sn_plan *plan,
                      const struct sn_layer *layer, bool train,
                      struct sn_tape *tape)
{
    struct sn_stem_tape *t = &tape->stems;
    for (int l = 0; l < SN_STEM_LAYERS; l++) {
        bool there = layer[l].kind != SN_LAYER_ABSENT;
        t->raw[l] = there ? take_plane(mem, layer[l].o, plan->stem_size) : NULL;
        t->out[l] = there && train
                        ? take_plane(mem, layer[l].o, plan->stem_size)
                        : t->raw[l];
    }
}

static void take_block(struct bump *mem, const struct sn_block_plan *b,
                       struct sn_block_tape *t)
{
    float *x = t->x, *y = t->y;
    *t = (struct sn_block_tape){.x = x, .y = y};
    t->a = take_plane(mem, b->mid, b->in_size);
    t->b = take_plane(mem, b->mid, b->out_size);
    t->d = take_plane(mem, b->out, b->out_size);
    if (b->downsamples) {
        t->mean = b->stride > 1 ? take_plane(mem, b->in, b->out_size) : t->x;
        t->shortcut = take_plane(mem, b->out, b->out_size);
    }
}

static void take_temporaries(struct bump *mem, const struct extents *e,
                             bool train, struct sn_tape *tape)
{
    tape->stream[0] = take(mem, e->stream);
    tape->stream[1] = take(mem, e->stream);
    tape->narrow = train ? take(mem, e->narrow) : NULL;
    tape->wide = train ? take(mem, e->wide) : NULL;
    tape->active = train ? take(mem, e->active) : NULL;
    tape->vector[0] = train ? take(mem, mem->n * e->channels) : NULL;
    tape->vector[1] = train ? take(mem, mem->n * e->channels) : NULL;
    tape->sums = train ? take(mem, 2 * e->channels) : NULL;
    tape->pqr = train ? take(mem, 3 * e->channels) : NULL;
}

size_t sn_resnet_tape_make(const struct sn_compute *compute,
                           const struct sn_plan *plan, int n, enum sn_keep keep,
                           float *base, struct sn_tape *ret)
{
    bool train = keep != SN_KEEP_NOTHING, all = keep == SN_KEEP_ALL;
    struct bump mem = {.compute = compute, .n = (size_t)n, .base = base};
    struct sn_layer layer[SN_MAX_LAYERS];
    sn_layers_make(plan, layer);
    struct extents e = measure(&mem, plan, layer);

    ret->n = n;
    ret->recomputes = keep == SN_KEEP_INPUTS;
    take_statistics(&mem, plan, layer, ret);
    take_temporaries(&mem, &e, train, ret);
    ret->pooled = take_plane(&mem, plan->head_out, 1);
    ret->logits = take_plane(&mem, plan->classes, 1);
    float *x = train ? take_plane(&mem, plan->stem_out, plan->pool_size)
                     : ret->stream[0];
    for (int i = 0; train && i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        ret->block[i].y = take_plane(&mem, b->out, b->out_size);
    }
    size_t mark = mem.used;
    take_stem(&mem, plan, layer, train, ret);
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        struct sn_block_tape *t = &ret->block[i];
        if (!all) {
            mem.used = mark;
        }
        t->x = x;
        if (!train) {
            t->y = ret->stream[(i + 1) % 2];
        }
        take_block(&mem, b, t);
        x = t->y;
    }
    return mem.peak;
}
