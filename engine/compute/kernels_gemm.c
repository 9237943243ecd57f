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
 * The weight gradient keeps B x B (inputs times outputs) in registers and
 * walks the rows.
 */
#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* Rows that a linear layer's tile holds: their addresses need registers. */
#define SN_TILE_LINEAR (SN_TILE < 4 ? SN_TILE : 4)

/* Rows before a partial sum of the weight gradient is put aside: keeps the
 * rounding small and what is walked again and again in the cache. */
#define SN_ROWS_A_CHUNK 256

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
static void gemm(const struct sn_gemm *g)
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

/* a[i][o] += x[row][i] * dy[row][o] over rows; x_row, y_row constant or not */
SN_INLINE void outer_rows(const ptrdiff_t x_row, const ptrdiff_t y_row,
                          int rows, const float *x, const float *dy, vec *a)
{
    for (int r = 0; r < rows; r++) {
        vec d = load(dy + r * y_row);
#pragma GCC unroll 16
        for (int l = 0; l < SN_B; l++)
            a[l] += x[r * x_row + l] * d;
    }
}

/* One pair of blocks over groups [first, last). */
static void outer(const struct sn_gemm_weights *g, int first, int last,
                  const float *x, const float *dy, float *dw, bool add)
{
    vec a[SN_B];
#pragma GCC unroll 16
    for (int l = 0; l < SN_B; l++)
        a[l] = (vec){0};
    for (int group = first; group < last; group++) {
        const float *xg = x + group * g->x_group;
        const float *yg = dy + group * g->y_group;
        if (g->x_row == SN_B && g->y_row == SN_B)
            outer_rows(SN_B, SN_B, g->rows, xg, yg, a);
        else
            outer_rows(g->x_row, g->y_row, g->rows, xg, yg, a);
    }
#pragma GCC unroll 16
    for (int l = 0; l < SN_B; l++) {
        vec before = add ? load(dw + l * SN_B) : (vec){0};
        store(dw + l * SN_B, before + a[l]);
    }
}

static void gemm_weights(const struct sn_gemm_weights *g)
{
    const int ib = blocks_of(g->i), ob = blocks_of(g->o);
    int step = SN_ROWS_A_CHUNK / g->rows;
    if (step < 1)
        step = 1;
    for (int first = 0; first < g->groups; first += step) {
        int last = first + step < g->groups ? first + step : g->groups;
        for (int o = 0; o < ob; o++)
            for (int i = 0; i < ib; i++)
                outer(g, first, last, g->x + i * g->x_block,
                      g->dy + o * g->y_block,
                      g->dw + ((ptrdiff_t)o * ib + i) * SN_B * SN_B, first > 0);
    }
}

/* [c/B][r/B][B r][B c] of the matrix whose (r, c) is m[r * rs + c * cs]. */
SN_INLINE void pack(int rows, int columns, const float *m, ptrdiff_t rs,
                    ptrdiff_t cs, float *ret)
{
    for (int c0 = 0; c0 < columns; c0 += SN_B)
        for (int r0 = 0; r0 < rows; r0 += SN_B)
            for (int r = r0; r < r0 + SN_B; r++)
                for (int c = c0; c < c0 + SN_B; c++)
                    *ret++ = r < rows && c < columns ? m[r * rs + c * cs] : 0;
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
        for (int i0 = 0; i0 < i; i0 += SN_B, packed += SN_B * SN_B)
            for (int b = 0; b < SN_B && o0 + b < o; b++)
                for (int a = 0; a < SN_B && i0 + a < i; a++)
                    dw[(ptrdiff_t)(o0 + b) * ld + i0 + a] +=
                        packed[a * SN_B + b];
}

void SN_KERNEL(sn_kernels_gemm)(struct sn_kernels *k)
{
    k->gemm = gemm;
    k->gemm_weights = gemm_weights;
    k->conv1_pack = conv1_pack;
    k->conv1_unpack_add = conv1_unpack_add;
}
