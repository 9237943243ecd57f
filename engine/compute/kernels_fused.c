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

/* One operand's chunk: where it starts, and the strides of images and blocks
 * (those of pixels are SN_B). */
struct operand {
    const float *p;
    ptrdiff_t image, block;
};

/* The place of a chunk in a whole tensor of `blocks` channel blocks. */
SN_INLINE struct operand in_tensor(const float *tensor, const struct chunk *c,
                                   int blocks, int hw)
{
    const ptrdiff_t plane = (ptrdiff_t)hw * SN_B;
    return (struct operand){tensor + c->image * blocks * plane +
                                (ptrdiff_t)c->row * SN_B,
                            blocks * plane, plane};
}

SN_INLINE struct operand in_scratch(const float *scratch, const struct chunk *c,
                                    int blocks)
{
    const ptrdiff_t run = (ptrdiff_t)c->rows * SN_B;
    return (struct operand){scratch, blocks * run, run};
}

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

/* The source's chunk: where it lies if it is plain, else made at `at`. */
static struct operand make_source(const struct sn_source *s,
                                  const struct chunk *c, int blocks, int hw,
                                  struct operand at, float *to)
{
    if (source_is_plain(s))
        return in_tensor(s->u, c, blocks, hw);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < blocks; b++) {
            struct run run = run_of(c, i, b, blocks, hw);
            source_make(s, &run, to + i * at.image + b * at.block);
        }
    return at;
}

static struct operand make_gradient(const struct sn_gradient *d,
                                    const struct chunk *c, int blocks, int hw,
                                    float *scratch)
{
    if (!d->p)
        return in_tensor(d->g, c, blocks, hw);
    struct operand at = in_scratch(scratch, c, blocks);
    for (int i = 0; i < c->images; i++)
        for (int b = 0; b < blocks; b++) {
            struct run run = run_of(c, i, b, blocks, hw);
            gradient_make(d, &run, scratch + i * at.image + b * at.block);
        }
    return at;
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
    const int ib = blocks_of(f->i), ob = blocks_of(f->o);
    struct operand x, at;
    float *to = scratch;
    if (f->ret_in) {
        at = in_tensor(f->ret_in, c, ib, f->hw);
        to = f->ret_in + (at.p - f->ret_in);
    } else {
        at = in_scratch(scratch, c, ib);
    }
    x = make_source(&f->in, c, ib, f->hw, at, to);
    struct operand y = in_tensor(f->y, c, ob, f->hw);
    const struct sn_gemm g = {
        .groups = c->images,
        .rows = c->rows,
        .i = f->i,
        .o = f->o,
        .x_group = x.image,
        .x_block = x.block,
        .y_group = y.image,
        .y_block = y.block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = x.p,
        .w = f->w,
        .y = f->y + (y.p - f->y),
        .act = SN_CACT_NONE,
    };
    SN_KERNEL(sn_gemm)(&g);
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
    struct operand d = make_gradient(&f->dy, c, ob, f->hw, scratch);
    float *made = scratch + (ptrdiff_t)c->images * c->rows * ob * SN_B;
    struct operand x =
        make_source(&f->in, c, ib, f->hw, in_scratch(made, c, ib), made);
    const struct sn_gemm_weights gw = {
        .groups = c->images,
        .rows = c->rows,
        .i = f->i,
        .o = f->o,
        .x_group = x.image,
        .x_block = x.block,
        .y_group = d.image,
        .y_block = d.block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = x.p,
        .dy = d.p,
        .dw = f->dw,
        .add = c->image > 0 || c->row > 0,
    };
    SN_KERNEL(sn_gemm_weights)(&gw);

    struct operand y = in_tensor(f->out.dx, c, ib, f->hw);
    const ptrdiff_t at = y.p - f->out.dx;
    const struct sn_gemm g = {
        .groups = c->images,
        .rows = c->rows,
        .i = f->o,
        .o = f->i,
        .x_group = d.image,
        .x_block = d.block,
        .y_group = y.image,
        .y_block = y.block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = d.p,
        .w = f->w,
        .residual = f->out.add ? f->out.add + at : NULL,
        .y = f->out.dx + at,
        .act = SN_CACT_NONE,
    };
    SN_KERNEL(sn_gemm)(&g);
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
