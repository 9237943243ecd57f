/* 1x1 convolutions whose operands are made as they are read (operand.h).
 *
 * A shard is walked in chunks of pixels, small enough that a chunk's operands
 * stay in the cache from the moment they are made until they were used:
 *
 *     forward:   source chunk -> gemm -> y chunk -> sums
 *     backward:  gradient chunk, source chunk -> gemm_weights -> dw
 *                gradient chunk -> gemm -> dx chunk -> slope, sums
 *
 * A product is made in floats, at once where it belongs if tensors hold floats,
 * else in scratch (product.h, made_at), and passed on from there.
 *
 * Chunks are whole images where planes are small, else rows of one image.
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/operand.h"
#include "engine/compute/product.h"
#include "engine/compute/sums.h"
#include "engine/compute/vec.h"

/* Floats of a chunk's wider operand (64 KiB), and the least of its pixels. */
#define SN_CHUNK_FLOATS 16384
#define SN_CHUNK_LEAST 32

struct chunk {
    int image, images, row, rows;
};

/* The size of a full chunk: images x rows. */
SN_INLINE struct chunk chunk_size(int hw, int cp)
{
    int pixels = SN_CHUNK_FLOATS / cp;
    if (pixels < SN_CHUNK_LEAST)
        pixels = SN_CHUNK_LEAST;
    if (pixels >= hw)
        return (struct chunk){.images = pixels / hw, .rows = hw};
    int pieces = (hw + pixels - 1) / pixels;
    return (struct chunk){.images = 1, .rows = (hw + pieces - 1) / pieces};
}

SN_INLINE struct chunk chunk_at(const struct chunk *size, int n, int hw,
                                int image, int row)
{
    return (struct chunk){
        .image = image,
        .images = image + size->images < n ? size->images : n - image,
        .row = row,
        .rows = row + size->rows < hw ? size->rows : hw - row,
    };
}

/* Where a chunk of an operand is, in floats from the operand's start, and the
 * strides of images and blocks (those of pixels are SN_B). */
struct place {
    ptrdiff_t at, image, block;
};

/* Inside a whole tensor of `blocks` channel blocks. */
SN_INLINE struct place in_tensor(const struct chunk *c, int blocks, int hw)
{
    const ptrdiff_t plane = (ptrdiff_t)hw * SN_B;
    return (struct place){c->image * blocks * plane + (ptrdiff_t)c->row * SN_B,
                          blocks * plane, plane};
}

/* Alone, in scratch. */
SN_INLINE struct place in_scratch(const struct chunk *c, int blocks)
{
    const ptrdiff_t run = (ptrdiff_t)c->rows * SN_B;
    return (struct place){0, blocks * run, run};
}

/* A chunk as it is read. */
struct operand {
    const stored *p;
    struct place at;
};

/* The run of image i and block b of a chunk. */
SN_INLINE struct run run_of(const struct chunk *c, int i, int b, int blocks,
                            int hw)
{
    const ptrdiff_t image = (ptrdiff_t)(c->image + i) * blocks + b;
    return (struct run){
        .at = (image * hw + c->row) * SN_B,
        .channel = b * SN_B,
        .gate = image * SN_B,
        .pixels = c->rows,
    };
}

/* The source's chunk: where it lies if it is plain, else made at `at` of `to`.
 */
static struct operand make_source(const struct sn_source *s,
                                  const struct chunk *c, int blocks, int hw,
                                  struct place at, stored *to)
{
    if (source_is_plain(s)) {
        at = in_tensor(c, blocks, hw);
        return (struct operand){(const stored *)s->u + at.at, at};
    }
    to += at.at;
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < blocks; b++) {
            struct run run = run_of(c, i, b, blocks, hw);
            source_make(s, &run, to + i * at.image + b * at.block);
        }
    return (struct operand){to, at};
}

static struct operand make_gradient(const struct sn_gradient *d,
                                    const struct chunk *c, int blocks, int hw,
                                    stored *to)
{
    struct place at = d->p ? in_scratch(c, blocks) : in_tensor(c, blocks, hw);
    if (!d->p)
        return (struct operand){(const stored *)d->g + at.at, at};
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < blocks; b++) {
            struct run run = run_of(c, i, b, blocks, hw);
            gradient_make(d, &run, to + i * at.image + b * at.block);
        }
    return (struct operand){to, at};
}

/* What a pass keeps in scratch: the statistics of every block, the weights as a
 * panel, a chunk of both operands, of their pairs, and of the result. */
struct scratch {
    void *statistics;
    stored *panel, *x, *d, *pairs;
    float *made;
    const stored *w; /* the panel */
};

/* Bump-allocation from `base`, by lines of 16 floats; base NULL counts. */
struct room {
    float *base;
    size_t floats;
};

static void *take(struct room *room, size_t bytes)
{
    float *at = room->base ? room->base + room->floats : NULL;
    room->floats += (bytes + 63) / 64 * 16;
    return at;
}

/* Lays scratch out and returns its floats. */
static size_t scratch_make(int n, int hw, int i, int o, float *base,
                           struct scratch *ret)
{
    const size_t align = _Alignof(struct sums);
    const size_t ip = (size_t)blocks_of(i) * SN_B,
                 op = (size_t)blocks_of(o) * SN_B, most = ip > op ? ip : op;
    const struct chunk size = chunk_size(hw, (int)most);
    const int images = size.images < n ? size.images : n;
    const size_t pixels = (size_t)images * (size_t)size.rows;
    struct room room = {base, 0};
    /* room to align them too */
    char *at = take(&room, (ip + op) / SN_B * sizeof(struct sums) + align);
    ret->statistics = at + (align - (uintptr_t)at % align) % align;
    ret->panel = take(&room, panel_elements(i, o) * sizeof(stored));
    ret->x = take(&room, pixels * ip * sizeof(stored));
    ret->d = take(&room, pixels * op * sizeof(stored));
    ret->pairs =
        take(&room, pairs_elements(images, size.rows, i, o) * sizeof(stored));
    ret->made = take(&room, SN_IN_PLACE ? 0 : pixels * most * sizeof(float));
    return room.floats;
}

static size_t fused_scratch(int n, int hw, int i, int o)
{
    struct scratch s;
    return scratch_make(n, hw, i, o, NULL, &s);
}

/* A chunk of the product x [i] * w of `o` channels, as floats: in tensor y, or
 * in scratch. */
struct made {
    float *p;
    struct place at;
};

static struct made product(const struct chunk *c, int hw, int i, int o,
                           const struct operand *x, const stored *w,
                           stored *tensor, float *scratch)
{
    const int blocks = blocks_of(o);
    const struct place at =
        SN_IN_PLACE ? in_tensor(c, blocks, hw) : in_scratch(c, blocks);
    const struct made y = {made_at(tensor, scratch) + at.at, at};
    const struct product p = {
        .groups = c->images,
        .rows = c->rows,
        .i = i,
        .o = o,
        .x_group = x->at.image,
        .x_block = x->at.block,
        .y_group = at.image,
        .y_block = at.block,
        .x = x->p,
        .w = w,
        .y = y.p,
    };
    SN_KERNEL(sn_product)(&p);
    return y;
}

static void forward_chunk(const struct sn_fused_forward *f,
                          const struct chunk *c, const struct scratch *s)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    struct sums *sums = s->statistics;
    const struct operand x =
        f->ret_in ? make_source(&f->in, c, ib, f->hw, in_tensor(c, ib, f->hw),
                                f->ret_in)
                  : make_source(&f->in, c, ib, f->hw, in_scratch(c, ib), s->x);
    const struct made y =
        product(c, f->hw, f->i, f->o, &x, s->w, f->y, s->made);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < ob; b++)
            sums_put(&sums[b], y.p + i * y.at.image + b * y.at.block,
                     (stored *)f->y + run_of(c, i, b, ob, f->hw).at, c->rows);
}

static void fused_forward(const struct sn_fused_forward *f, float *scratch)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    const struct chunk size = chunk_size(f->hw, (ib > ob ? ib : ob) * SN_B);
    struct scratch s;
    scratch_make(f->n, f->hw, f->i, f->o, scratch, &s);
    struct sums *sums = s.statistics;
    memset(sums, 0, sizeof(struct sums) * (size_t)ob);
    s.w = SN_KERNEL(sn_panel_make)(f->i, f->o, f->w, s.panel);
    for (int image = 0; image < f->n; image += size.images)
        for (int row = 0; row < f->hw; row += size.rows) {
            struct chunk c = chunk_at(&size, f->n, f->hw, image, row);
            forward_chunk(f, &c, &s);
        }
    for (int b = 0; b < ob; b++)
        sums_finish(&sums[b], f->sums, b, ob * SN_B);
}

static void backward_chunk(const struct sn_fused_backward *f,
                           const struct chunk *c, const struct scratch *s)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    struct through *sums = s->statistics;
    const struct operand d = make_gradient(&f->dy, c, ob, f->hw, s->d);
    const struct operand x =
        make_source(&f->in, c, ib, f->hw, in_scratch(c, ib), s->x);
    const struct product_weights weights = {
        .groups = c->images,
        .rows = c->rows,
        .i = f->i,
        .o = f->o,
        .x_group = x.at.image,
        .x_block = x.at.block,
        .y_group = d.at.image,
        .y_block = d.at.block,
        .x = x.p,
        .dy = d.p,
        .pairs = s->pairs,
        .dw = f->dw,
        .add = c->image > 0 || c->row > 0,
    };
    SN_KERNEL(sn_product_weights)(&weights);
    const struct made dx =
        product(c, f->hw, f->o, f->i, &d, s->w, f->out.dx, s->made);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < ib; b++) {
            struct run run = run_of(c, i, b, ib, f->hw);
            sink_run(&f->in, &f->out, &run,
                     dx.p + i * dx.at.image + b * dx.at.block, &sums[b]);
        }
}

static void fused_backward(const struct sn_fused_backward *f, float *scratch)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    const struct chunk size = chunk_size(f->hw, (ib > ob ? ib : ob) * SN_B);
    struct scratch s;
    scratch_make(f->n, f->hw, f->i, f->o, scratch, &s);
    struct through *sums = s.statistics;
    for (int b = 0; b < ib; b++)
        sums[b] = (struct through){{0}, {0}};
    s.w = SN_KERNEL(sn_panel_make)(f->o, f->i, f->w, s.panel);
    for (int image = 0; image < f->n; image += size.images)
        for (int row = 0; row < f->hw; row += size.rows) {
            struct chunk c = chunk_at(&size, f->n, f->hw, image, row);
            backward_chunk(f, &c, &s);
        }
    for (int b = 0; f->out.ret_sums && b < ib; b++)
        through_finish(&sums[b], f->out.ret_sums, b, ib * SN_B);
}

void SN_KERNEL(sn_kernels_fused)(struct sn_kernels *k)
{
    k->fused_scratch = fused_scratch;
    k->fused_forward = fused_forward;
    k->fused_backward = fused_backward;
}
