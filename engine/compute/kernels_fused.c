/* 1x1 convolutions whose operands are made as they are read (operand.h).
 *
 * A shard is walked in chunks of pixels, small enough that a chunk's operands
 * stay in the cache from the moment they are made until they were used:
 *
 *     forward:   source chunk -> gemm -> y chunk -> sums
 *     backward:  gradient chunk, source chunk -> gemm_weights -> dw
 *                gradient chunk -> gemm -> dx chunk -> slope, sums
 *
 * Chunks are whole images where planes are small, else rows of one image.
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/operand.h"
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
    const float *p;
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
                                  struct place at, float *to)
{
    if (source_is_plain(s)) {
        at = in_tensor(c, blocks, hw);
        return (struct operand){s->u + at.at, at};
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
                                    float *to)
{
    struct place at = d->p ? in_scratch(c, blocks) : in_tensor(c, blocks, hw);
    if (!d->p)
        return (struct operand){d->g + at.at, at};
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < blocks; b++) {
            struct run run = run_of(c, i, b, blocks, hw);
            gradient_make(d, &run, to + i * at.image + b * at.block);
        }
    return (struct operand){to, at};
}

/* A chunk of y [blocks of o] = x [i] * w, plus `add`, which lies as y does. */
static void product(const struct chunk *c, int hw, int i, int o,
                    const struct operand *x, const float *w, const float *add,
                    float *y)
{
    const struct place at = in_tensor(c, blocks_of(o), hw);
    const struct sn_gemm g = {
        .groups = c->images,
        .rows = c->rows,
        .i = i,
        .o = o,
        .x_group = x->at.image,
        .x_block = x->at.block,
        .y_group = at.image,
        .y_block = at.block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = x->p,
        .w = w,
        .residual = add ? add + at.at : NULL,
        .y = y + at.at,
        .act = SN_CACT_NONE,
    };
    SN_KERNEL(sn_gemm)(&g);
}

/* Scratch: the statistics of every block, then the two operands' chunks. */
#define SN_STATISTIC_FLOATS (sizeof(struct sums) / sizeof(float))

static size_t fused_scratch(int n, int hw, int i, int o)
{
    const int ip = blocks_of(i) * SN_B, op = blocks_of(o) * SN_B;
    const struct chunk size = chunk_size(hw, ip > op ? ip : op);
    const int images = size.images < n ? size.images : n;
    /* room to align the statistics too */
    return (size_t)(ip + op) / SN_B * SN_STATISTIC_FLOATS + 64 +
           (size_t)(ip + op) * images * size.rows;
}

/* The first float at or after p that is aligned for a dvec. */
SN_INLINE float *aligned(float *p)
{
    const uintptr_t to = _Alignof(struct sums);
    return (float *)(((uintptr_t)p + to - 1) / to * to);
}

static void add_sums(const struct sn_fused_forward *f, const struct chunk *c,
                     struct sums *sums)
{
    const int ob = blocks_of(f->o);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < ob; b++) {
            const float *y = f->y + run_of(c, i, b, ob, f->hw).at;
            sums_add(&sums[b], y, c->rows);
        }
}

static void forward_chunk(const struct sn_fused_forward *f,
                          const struct chunk *c, float *scratch)
{
    const int ib = blocks_of(f->i);
    const struct operand x =
        f->ret_in
            ? make_source(&f->in, c, ib, f->hw, in_tensor(c, ib, f->hw),
                          f->ret_in)
            : make_source(&f->in, c, ib, f->hw, in_scratch(c, ib), scratch);
    product(c, f->hw, f->i, f->o, &x, f->w, NULL, f->y);
}

static void fused_forward(const struct sn_fused_forward *f, float *scratch)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    const struct chunk size = chunk_size(f->hw, (ib > ob ? ib : ob) * SN_B);
    struct sums *sums = (struct sums *)aligned(scratch);
    scratch = (float *)(sums + ib + ob);
    memset(sums, 0, sizeof(struct sums) * (size_t)ob);
    for (int image = 0; image < f->n; image += size.images)
        for (int row = 0; row < f->hw; row += size.rows) {
            struct chunk c = chunk_at(&size, f->n, f->hw, image, row);
            forward_chunk(f, &c, scratch);
            add_sums(f, &c, sums);
        }
    for (int b = 0; b < ob; b++)
        sums_finish(&sums[b], f->sums, b, ob * SN_B);
}

static void through_chunk(const struct sn_fused_backward *f,
                          const struct chunk *c, struct through *sums)
{
    const int ib = blocks_of(f->i);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < ib; b++) {
            struct run run = run_of(c, i, b, ib, f->hw);
            through_pass(&f->in, f->out.mean, &run, f->out.dx + run.at,
                         &sums[b]);
        }
}

static void backward_chunk(const struct sn_fused_backward *f,
                           const struct chunk *c, float *scratch)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    const struct operand d = make_gradient(&f->dy, c, ob, f->hw, scratch);
    scratch += (ptrdiff_t)c->images * c->rows * ob * SN_B;
    const struct operand x =
        make_source(&f->in, c, ib, f->hw, in_scratch(c, ib), scratch);
    const struct sn_gemm_weights g = {
        .groups = c->images,
        .rows = c->rows,
        .i = f->i,
        .o = f->o,
        .x_group = x.at.image,
        .x_block = x.at.block,
        .y_group = d.at.image,
        .y_block = d.at.block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = x.p,
        .dy = d.p,
        .dw = f->dw,
        .add = c->image > 0 || c->row > 0,
    };
    SN_KERNEL(sn_gemm_weights)(&g);
    product(c, f->hw, f->o, f->i, &d, f->w, f->out.add, f->out.dx);
}

static void fused_backward(const struct sn_fused_backward *f, float *scratch)
{
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    const struct chunk size = chunk_size(f->hw, (ib > ob ? ib : ob) * SN_B);
    struct through *sums = (struct through *)aligned(scratch);
    scratch = aligned((float *)(sums + ib));
    for (int b = 0; b < ib; b++)
        sums[b] = (struct through){{0}, {0}};
    for (int image = 0; image < f->n; image += size.images)
        for (int row = 0; row < f->hw; row += size.rows) {
            struct chunk c = chunk_at(&size, f->n, f->hw, image, row);
            backward_chunk(f, &c, scratch);
            if (f->out.through)
                through_chunk(f, &c, sums);
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
