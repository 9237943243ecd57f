/* Matrix products on the blocked layout: 1x1 convolutions and linear layers.
 *
 * Forward (and the data gradient, which is a forward with the transposed
 * weights) keeps a tile of up to SN_TILE rows times two blocks of outputs in
 * registers and walks the inputs:
 *
 *              outputs  [ B ][ B ]
 *     row 0   x[0][i] * [w_i ][w_i ]     one broadcast and two FMAs
 *     row 1   x[1][i] *    "     "       a row and an input
 *
 * The weight gradient keeps inputs times blocks of outputs in registers and
 * walks the rows:
 *
 *                 dy [ B ][ B ][ B ]
 *     x[row][i]   *  dw[i]           one broadcast and an FMA a block
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* Rows that a linear layer's tile holds: their addresses need registers. */
#define SN_TILE_LINEAR (SN_TILE < 4 ? SN_TILE : 4)

/* Rows before a partial sum of the weight gradient is put aside: keeps the
 * rounding small and what is walked again and again in the cache. */
#define SN_ROWS_A_CHUNK 256

/* The weight gradient's tile: input lanes times output blocks, and lanes where
 * there is one block only. */
#if defined(__AVX512F__)
#define SN_OUTER 8
#define SN_OUTPUTS 3
#define SN_OUTER_ALONE 16
#else
#define SN_OUTER 4
#define SN_OUTPUTS 2
#define SN_OUTER_ALONE 8
#endif
#define SN_MOST_OUTER (SN_OUTER * SN_OUTPUTS)

struct tile {
    const float *x; /* first row, first input */
    const float *w; /* first output block */
    const float *bias, *residual;
    float *y;
};

SN_INLINE void finish(const struct sn_gemm *g, const struct tile *t, vec v,
                      int block, int first_block, ptrdiff_t at)
{
    int cb = first_block + block;
    if (g->act == SN_CACT_RELU)
        v = act_of(SN_CACT_RELU, v);
    else if (g->act == SN_CACT_RELU6)
        v = act_of(SN_CACT_RELU6, v);
    else if (g->act == SN_CACT_HSWISH)
        v = act_of(SN_CACT_HSWISH, v);
    else if (g->act == SN_CACT_HSIGMOID)
        v = keep(lanes_of(g->o, cb), act_of(SN_CACT_HSIGMOID, v));
    at += block * g->y_block;
    if (t->residual)
        v += load(t->residual + at);
    store(t->y + at, v);
}

/* n rows times one or two output blocks; x_row is a constant for planes, so
 * that rows need no address of their own. */
SN_INLINE void tile_rows(const int n, const int blocks, const ptrdiff_t x_row,
                         const struct sn_gemm *g, const struct tile *t,
                         int first_block)
{
    const int ib = blocks_of(g->i);
    const float *w0 = t->w, *w1 = t->w + (ptrdiff_t)ib * SN_B * SN_B;
    vec a[SN_TILE], b[SN_TILE];
    vec bias0 = load_or_zero(t->bias, 0);
    vec bias1 = blocks == 2 ? load_or_zero(t->bias, SN_B) : (vec){0};
#pragma GCC unroll 16
    for (int r = 0; r < n; r++) {
        a[r] = bias0;
        b[r] = bias1;
    }
    for (int c = 0; c < ib; c++) {
        const float *x = t->x + c * g->x_block;
        int lanes = g->i - c * SN_B < SN_B ? g->i - c * SN_B : SN_B;
        for (int l = 0; l < lanes; l++, x++) {
            vec u = load(w0 + l * SN_B);
            vec v = blocks == 2 ? load(w1 + l * SN_B) : (vec){0};
#pragma GCC unroll 16
            for (int r = 0; r < n; r++) {
                float s = x[r * x_row];
                a[r] += s * u;
                if (blocks == 2)
                    b[r] += s * v;
            }
        }
        w0 += SN_B * SN_B;
        w1 += SN_B * SN_B;
    }
#pragma GCC unroll 16
    for (int r = 0; r < n; r++) {
        finish(g, t, a[r], 0, first_block, r * g->y_row);
        if (blocks == 2)
            finish(g, t, b[r], 1, first_block, r * g->y_row);
    }
}

#define SN_CASE(n, blocks)                                 \
    case n:                                                \
        if (n <= SN_TILE)                                  \
            tile_rows(n, blocks, SN_B, g, t, first_block); \
        break

SN_INLINE void plane_tile(const int blocks, int n, const struct sn_gemm *g,
                          const struct tile *t, int first_block)
{
    switch (n) {
        SN_CASE(1, blocks);
        SN_CASE(2, blocks);
        SN_CASE(3, blocks);
        SN_CASE(4, blocks);
        SN_CASE(5, blocks);
        SN_CASE(6, blocks);
        SN_CASE(7, blocks);
        SN_CASE(8, blocks);
        SN_CASE(9, blocks);
        SN_CASE(10, blocks);
        SN_CASE(11, blocks);
        SN_CASE(12, blocks);
    }
}

static void tile_plane1(int n, const struct sn_gemm *g, const struct tile *t,
                        int first_block)
{
    plane_tile(1, n, g, t, first_block);
}

static void tile_plane2(int n, const struct sn_gemm *g, const struct tile *t,
                        int first_block)
{
    plane_tile(2, n, g, t, first_block);
}

SN_INLINE void linear_tile(const int blocks, int n, const struct sn_gemm *g,
                           const struct tile *t, int first_block)
{
    switch (n) {
    case 1:
        tile_rows(1, blocks, g->x_row, g, t, first_block);
        break;
    case 2:
        tile_rows(2, blocks, g->x_row, g, t, first_block);
        break;
    case 3:
        tile_rows(3, blocks, g->x_row, g, t, first_block);
        break;
    default:
        tile_rows(SN_TILE_LINEAR, blocks, g->x_row, g, t, first_block);
        break;
    }
}

static void tile_linear1(int n, const struct sn_gemm *g, const struct tile *t,
                         int first_block)
{
    linear_tile(1, n, g, t, first_block);
}

static void tile_linear2(int n, const struct sn_gemm *g, const struct tile *t,
                         int first_block)
{
    linear_tile(2, n, g, t, first_block);
}

/* Rows are shared out evenly: 49 as 10 10 10 10 9, not as 12 12 12 12 1. */
void SN_KERNEL(sn_gemm)(const struct sn_gemm *g)
{
    const int ob = blocks_of(g->o);
    const ptrdiff_t w_block = (ptrdiff_t)blocks_of(g->i) * SN_B * SN_B;
    const bool plane = g->x_row == SN_B;
    const int most = plane ? SN_TILE : SN_TILE_LINEAR;
    const int tiles = (g->rows + most - 1) / most;
    for (int group = 0; group < g->groups; group++) {
        for (int o = 0; o < ob; o += 2) {
            int row = 0;
            for (int i = 0; i < tiles; i++) {
                int n = (g->rows - row + tiles - i - 1) / (tiles - i);
                ptrdiff_t at =
                    group * g->y_group + o * g->y_block + row * g->y_row;
                struct tile t = {
                    .x = g->x + group * g->x_group + row * g->x_row,
                    .w = g->w + o * w_block,
                    .bias = g->bias ? g->bias + o * SN_B : NULL,
                    .residual = g->residual ? g->residual + at : NULL,
                    .y = g->y + at,
                };
                if (o + 1 < ob)
                    (plane ? tile_plane2 : tile_linear2)(n, g, &t, o);
                else
                    (plane ? tile_plane1 : tile_linear1)(n, g, &t, o);
                row += n;
            }
        }
    }
}

/* One tile of the weight gradient: `inputs` lanes of one block of x times
 * `outputs` blocks of dy. */
struct outer {
    const float *x, *dy;
    float *dw;          /* of the first block of outputs */
    ptrdiff_t dw_block; /* to the next one's */
    bool add;
};

/* a[o][i] += x[row][i] * dy[row][o] over rows; x_row, y_row constant or not */
SN_INLINE void outer_rows(const int inputs, const int outputs,
                          const ptrdiff_t x_row, const ptrdiff_t y_row,
                          ptrdiff_t y_block, int rows, const float *x,
                          const float *dy, vec *a)
{
    for (int r = 0; r < rows; r++, x += x_row, dy += y_row) {
        vec d[SN_OUTPUTS];
#pragma GCC unroll 4
        for (int o = 0; o < outputs; o++)
            d[o] = load(dy + o * y_block);
#pragma GCC unroll 16
        for (int i = 0; i < inputs; i++) {
            /* a broadcast that is used once is part of its FMA */
            if (outputs == 1) {
                a[i] += x[i] * d[0];
                continue;
            }
            vec s = (vec){0} + x[i];
#pragma GCC unroll 4
            for (int o = 0; o < outputs; o++)
                a[o * inputs + i] += s * d[o];
        }
    }
}

/* One tile over groups [first, last). */
SN_INLINE void outer_tile(const int inputs, const int outputs,
                          const struct sn_gemm_weights *g, int first, int last,
                          const struct outer *t)
{
    vec a[SN_MOST_OUTER];
#pragma GCC unroll 32
    for (int i = 0; i < inputs * outputs; i++)
        a[i] = (vec){0};
    for (int group = first; group < last; group++) {
        const float *x = t->x + group * g->x_group;
        const float *dy = t->dy + group * g->y_group;
        if (g->x_row == SN_B && g->y_row == SN_B)
            outer_rows(inputs, outputs, SN_B, SN_B, g->y_block, g->rows, x, dy,
                       a);
        else
            outer_rows(inputs, outputs, g->x_row, g->y_row, g->y_block, g->rows,
                       x, dy, a);
    }
#pragma GCC unroll 4
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 16
        for (int i = 0; i < inputs; i++) {
            float *dw = t->dw + o * t->dw_block + i * SN_B;
            vec before = t->add ? load(dw) : (vec){0};
            store(dw, before + a[o * inputs + i]);
        }
}

static void outer1(const struct sn_gemm_weights *g, int first, int last,
                   const struct outer *t)
{
    outer_tile(SN_OUTER_ALONE, 1, g, first, last, t);
}

static void outer2(const struct sn_gemm_weights *g, int first, int last,
                   const struct outer *t)
{
    outer_tile(SN_OUTER, 2, g, first, last, t);
}

#if SN_OUTPUTS == 3
static void outer3(const struct sn_gemm_weights *g, int first, int last,
                   const struct outer *t)
{
    outer_tile(SN_OUTER, 3, g, first, last, t);
}
#endif

/* All inputs times `outputs` blocks from block o on. Lanes that are no inputs
 * are computed as far as a tile has them, and else zero. */
static void outer_blocks(const struct sn_gemm_weights *g, int first, int last,
                         int o, int outputs)
{
    const int ib = blocks_of(g->i);
    const int step = outputs == 1 ? SN_OUTER_ALONE : SN_OUTER;
    struct outer t = {
        .dy = g->dy + o * g->y_block,
        .dw_block = (ptrdiff_t)ib * SN_B * SN_B,
        .add = g->add || first > 0,
    };
    float *dw = g->dw + o * t.dw_block;
    for (int i = 0; i < ib * SN_B; i += step) {
        t.x = g->x + i / SN_B * g->x_block + i % SN_B;
        t.dw = dw + (ptrdiff_t)i * SN_B;
        if (i >= g->i) {
            for (int k = 0; k < outputs; k++)
                memset(t.dw + k * t.dw_block, 0,
                       sizeof(float) * (size_t)step * SN_B);
            continue;
        }
#if SN_OUTPUTS == 3
        if (outputs == 3)
            outer3(g, first, last, &t);
        else
#endif
            if (outputs == 2)
            outer2(g, first, last, &t);
        else
            outer1(g, first, last, &t);
    }
}

/* How many blocks of outputs go together when `left` are left: none alone
 * where that can be helped. */
SN_INLINE int outputs_of(int left)
{
    if (left <= SN_OUTPUTS)
        return left;
    return left == SN_OUTPUTS + 1 ? 2 : SN_OUTPUTS;
}

void SN_KERNEL(sn_gemm_weights)(const struct sn_gemm_weights *g)
{
    const int ob = blocks_of(g->o);
    int step = SN_ROWS_A_CHUNK / g->rows;
    if (step < 1)
        step = 1;
    for (int first = 0; first < g->groups; first += step) {
        int last = first + step < g->groups ? first + step : g->groups;
        for (int o = 0, n; o < ob; o += n) {
            n = outputs_of(ob - o);
            outer_blocks(g, first, last, o, n);
        }
    }
}

/* [c/B][r/B][B r][B c] of the matrix whose (r, c) is m[r * rs + c * cs]. Whole
 * blocks, which are nearly all, know their size. */
SN_INLINE void pack(int rows, int columns, const float *m, const ptrdiff_t rs,
                    const ptrdiff_t cs, float *ret)
{
    for (int c0 = 0; c0 < columns; c0 += SN_B)
        for (int r0 = 0; r0 < rows; r0 += SN_B, ret += SN_B * SN_B) {
            const float *from = m + r0 * rs + c0 * cs;
            int nr = rows - r0, nc = columns - c0;
            if (nr >= SN_B && nc >= SN_B) {
                for (int r = 0; r < SN_B; r++)
                    for (int c = 0; c < SN_B; c++)
                        ret[r * SN_B + c] = from[r * rs + c * cs];
                continue;
            }
            for (int r = 0; r < SN_B; r++)
                for (int c = 0; c < SN_B; c++)
                    ret[r * SN_B + c] =
                        r < nr && c < nc ? from[r * rs + c * cs] : 0;
        }
}

static void conv1_pack(int i, int o, const float *w, int ld, float *ret_fwd,
                       float *ret_bwd)
{
    if (ret_fwd)
        pack(i, o, w, 1, ld, ret_fwd);
    if (ret_bwd)
        pack(o, i, w, ld, 1, ret_bwd);
}

static void conv1_unpack_add(int i, int o, const float *packed, float *dw,
                             int ld)
{
    for (int o0 = 0; o0 < o; o0 += SN_B)
        for (int i0 = 0; i0 < i; i0 += SN_B, packed += SN_B * SN_B) {
            float *to = dw + (ptrdiff_t)o0 * ld + i0;
            int no = o - o0, ni = i - i0;
            if (no >= SN_B && ni >= SN_B) {
                for (int b = 0; b < SN_B; b++)
                    for (int a = 0; a < SN_B; a++)
                        to[(ptrdiff_t)b * ld + a] += packed[a * SN_B + b];
                continue;
            }
            for (int b = 0; b < SN_B && b < no; b++)
                for (int a = 0; a < SN_B && a < ni; a++)
                    to[(ptrdiff_t)b * ld + a] += packed[a * SN_B + b];
        }
}

void SN_KERNEL(sn_kernels_gemm)(struct sn_kernels *k)
{
    k->gemm = SN_KERNEL(sn_gemm);
    k->gemm_weights = SN_KERNEL(sn_gemm_weights);
    k->conv1_pack = conv1_pack;
    k->conv1_unpack_add = conv1_unpack_add;
}
