/* Matrix products of bfloat16 operands with sums in floats (product.h).
 *
 * The instruction takes pairs: to every lane of a sum it adds a product of two
 * neighbours, a[2l] b[2l] + a[2l + 1] b[2l + 1]. So forward (and the data
 * gradient, a forward with the transposed weights) walks pairs of inputs, which
 * in x lie side by side, and in the panel of weights are laid so:
 *
 *     panel [o/B][i/B][B/2 pairs][B o][2 i]
 *
 *     row 0   x[0][i, i+1] * [ w ][ w ]     one broadcast of a pair and two
 *     row 1   x[1][i, i+1] *   "    "       products a row and a pair
 *
 * The weight gradient sums over rows: pairs are of rows, and both operands are
 * laid anew, [row/2][B][2], an odd last row beside zeros.
 */
#include <string.h>

#include "engine/compute/product.h"

/* Two elements, never looked into. */
typedef int32_t pair __attribute__((may_alias));
typedef stored many __attribute__((vector_size(4 * SN_B)));

SN_INLINE many load_pairs(const stored *p)
{
    return *(const many *)p;
}

SN_INLINE many broadcast(const stored *p)
{
    return (many)_mm512_set1_epi32(*(const pair *)p);
}

SN_INLINE vec plus_dot(vec sum, many a, many b)
{
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/* [2][B] to [B][2] */
SN_INLINE many interleaved(many rows)
{
    many order;
    for (int l = 0; l < SN_B; l++) {
        order[2 * l] = (stored)l;
        order[2 * l + 1] = (stored)(l + SN_B);
    }
    return (many)_mm512_permutexvar_epi16((__m512i)order, (__m512i)rows);
}

const stored *SN_KERNEL(sn_panel_make)(int i, int o, const float *w,
                                       stored *scratch)
{
    const size_t count = panel_elements(i, o);
    for (size_t at = 0; at < count; at += 2 * SN_B) {
        put(scratch + at, load(w + at));
        put(scratch + at + SN_B, load(w + at + SN_B));
        *(many *)(scratch + at) = interleaved(load_pairs(scratch + at));
    }
    return scratch;
}

/* ---- y = x w ---- */

/* Rows of a tile of one or two output blocks. */
#define SN_ROWS 12

SN_INLINE void tile_rows(const int n, const int blocks, const struct product *p,
                         const stored *x, const stored *w, float *y)
{
    const int ib = blocks_of(p->i);
    const stored *w1 = w + (ptrdiff_t)ib * SN_B * SN_B;
    vec a[SN_ROWS], b[SN_ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < n; r++)
        a[r] = b[r] = (vec){0};
    for (int c = 0; c < ib; c++, x += p->x_block) {
        const int left = p->i - c * SN_B, lanes = left < SN_B ? left : SN_B;
        for (int l = 0; l < lanes; l += 2, w += 2 * SN_B, w1 += 2 * SN_B) {
            const many u = load_pairs(w);
            const many v = blocks == 2 ? load_pairs(w1) : u;
#pragma GCC unroll 16
            for (int r = 0; r < n; r++) {
                const many s = broadcast(x + r * SN_B + l);
                a[r] = plus_dot(a[r], u, s);
                if (blocks == 2)
                    b[r] = plus_dot(b[r], v, s);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < n; r++) {
        store(y + r * SN_B, a[r]);
        if (blocks == 2)
            store(y + p->y_block + r * SN_B, b[r]);
    }
}

#define SN_CASE(n)                        \
    case n:                               \
        tile_rows(n, blocks, p, x, w, y); \
        break

SN_INLINE void any_tile(const int blocks, int n, const struct product *p,
                        const stored *x, const stored *w, float *y)
{
    switch (n) {
        SN_CASE(1);
        SN_CASE(2);
        SN_CASE(3);
        SN_CASE(4);
        SN_CASE(5);
        SN_CASE(6);
        SN_CASE(7);
        SN_CASE(8);
        SN_CASE(9);
        SN_CASE(10);
        SN_CASE(11);
        SN_CASE(12);
    }
}

static void tile1(int n, const struct product *p, const stored *x,
                  const stored *w, float *y)
{
    any_tile(1, n, p, x, w, y);
}

static void tile2(int n, const struct product *p, const stored *x,
                  const stored *w, float *y)
{
    any_tile(2, n, p, x, w, y);
}

/* Rows are shared out evenly, as those of kernels_gemm.c. */
void SN_KERNEL(sn_product)(const struct product *p)
{
    const int ob = blocks_of(p->o), tiles = (p->rows + SN_ROWS - 1) / SN_ROWS;
    const ptrdiff_t w_block = (ptrdiff_t)blocks_of(p->i) * SN_B * SN_B;
    for (int group = 0; group < p->groups; group++)
        for (int o = 0; o < ob; o += 2) {
            const stored *x = p->x + group * p->x_group;
            float *y = p->y + group * p->y_group + o * p->y_block;
            for (int i = 0, row = 0; i < tiles; i++) {
                int n = (p->rows - row + tiles - i - 1) / (tiles - i);
                (o + 1 < ob ? tile2 : tile1)(n, p, x, p->w + o * w_block, y);
                x += n * SN_B;
                y += n * SN_B;
                row += n;
            }
        }
}

/* ---- dw = x' dy ---- */

/* Rows, in pairs, before a partial sum is put aside (kernels_gemm.c). */
#define SN_PAIRS_A_CHUNK 256

/* The tile: input lanes times output blocks, and lanes beside one block. */
#define SN_OUTER 8
#define SN_OUTPUTS 3
#define SN_OUTER_ALONE 16
#define SN_MOST_OUTER (SN_OUTER * SN_OUTPUTS)

/* An operand as pairs of rows, all groups one after the other. */
struct paired {
    const stored *p;
    ptrdiff_t block; /* elements from a block to the next */
};

static struct paired pair_rows(int groups, int rows, int blocks,
                               const stored *x, ptrdiff_t group,
                               ptrdiff_t block, stored *to)
{
    const int even = rows - rows % 2;
    const ptrdiff_t pairs = (ptrdiff_t)(rows + 1) / 2;
    const struct paired ret = {to, groups * pairs * 2 * SN_B};
    for (int b = 0; b < blocks; b++)
        for (int g = 0; g < groups; g++, to += pairs * 2 * SN_B) {
            const stored *from = x + g * group + b * block;
            stored last[2 * SN_B] __attribute__((aligned(64))) = {0};
            for (int r = 0; r < even; r += 2) {
                many rows_of_two; /* a row is half a vector: not aligned */
                memcpy(&rows_of_two, from + r * SN_B, sizeof rows_of_two);
                *(many *)(to + r * SN_B) = interleaved(rows_of_two);
            }
            if (even == rows)
                continue;
            memcpy(last, from + even * SN_B, sizeof(stored) * SN_B);
            *(many *)(to + even * SN_B) = interleaved(load_pairs(last));
        }
    return ret;
}

/* `inputs` lanes of x times `outputs` blocks of dy over pairs of rows; dw_block
 * is from an output block of dw to the next. */
SN_INLINE void outer_tile(const int inputs, const int outputs, ptrdiff_t pairs,
                          const stored *x, const struct paired *dy,
                          ptrdiff_t dw_block, bool add, float *dw)
{
    const stored *d = dy->p;
    vec a[SN_MOST_OUTER];
#pragma GCC unroll 32
    for (int i = 0; i < inputs * outputs; i++)
        a[i] = (vec){0};
    for (ptrdiff_t r = 0; r < pairs; r++, x += 2 * SN_B, d += 2 * SN_B) {
        many y[SN_OUTPUTS];
#pragma GCC unroll 4
        for (int o = 0; o < outputs; o++)
            y[o] = load_pairs(d + o * dy->block);
#pragma GCC unroll 16
        for (int i = 0; i < inputs; i++) {
            const many s = broadcast(x + 2 * i);
#pragma GCC unroll 4
            for (int o = 0; o < outputs; o++)
                a[o * inputs + i] = plus_dot(a[o * inputs + i], y[o], s);
        }
    }
#pragma GCC unroll 4
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 16
        for (int i = 0; i < inputs; i++) {
            float *to = dw + o * dw_block + i * SN_B;
            vec before = add ? load(to) : (vec){0};
            store(to, before + a[o * inputs + i]);
        }
}

static void outer1(ptrdiff_t pairs, const stored *x, const struct paired *dy,
                   ptrdiff_t dw_block, bool add, float *dw)
{
    outer_tile(SN_OUTER_ALONE, 1, pairs, x, dy, dw_block, add, dw);
}

static void outer2(ptrdiff_t pairs, const stored *x, const struct paired *dy,
                   ptrdiff_t dw_block, bool add, float *dw)
{
    outer_tile(SN_OUTER, 2, pairs, x, dy, dw_block, add, dw);
}

static void outer3(ptrdiff_t pairs, const stored *x, const struct paired *dy,
                   ptrdiff_t dw_block, bool add, float *dw)
{
    outer_tile(SN_OUTER, 3, pairs, x, dy, dw_block, add, dw);
}

/* How many blocks of outputs go together when `left` are left: none alone
 * where that can be helped. */
SN_INLINE int outputs_of(int left)
{
    if (left <= SN_OUTPUTS)
        return left;
    return left == SN_OUTPUTS + 1 ? 2 : SN_OUTPUTS;
}

/* All inputs times `outputs` blocks over some pairs. Lanes that are no inputs
 * are zeros times whatever, and stay zero. */
static void outer_blocks(int ib, int outputs, ptrdiff_t pairs,
                         const struct paired *x, const struct paired *dy,
                         bool add, float *dw)
{
    static void (*const outer[])(ptrdiff_t, const stored *,
                                 const struct paired *, ptrdiff_t, bool,
                                 float *) = {NULL, outer1, outer2, outer3};
    const int step = outputs == 1 ? SN_OUTER_ALONE : SN_OUTER;
    for (int i = 0; i < ib * SN_B; i += step)
        outer[outputs](pairs, x->p + i / SN_B * x->block + 2 * (i % SN_B), dy,
                       (ptrdiff_t)ib * SN_B * SN_B, add,
                       dw + (ptrdiff_t)i * SN_B);
}

void SN_KERNEL(sn_product_weights)(const struct product_weights *p)
{
    const int ib = blocks_of(p->i), ob = blocks_of(p->o);
    const ptrdiff_t all = (ptrdiff_t)p->groups * ((p->rows + 1) / 2);
    struct paired x = pair_rows(p->groups, p->rows, ib, p->x, p->x_group,
                                p->x_block, p->pairs);
    struct paired dy = pair_rows(p->groups, p->rows, ob, p->dy, p->y_group,
                                 p->y_block, p->pairs + ib * x.block);
    const stored *d = dy.p;
    for (ptrdiff_t first = 0; first < all; first += SN_PAIRS_A_CHUNK) {
        const ptrdiff_t left = all - first;
        const ptrdiff_t n = left < SN_PAIRS_A_CHUNK ? left : SN_PAIRS_A_CHUNK;
        for (int o = 0, outputs; o < ob; o += outputs) {
            outputs = outputs_of(ob - o);
            dy.p = d + o * dy.block + first * 2 * SN_B;
            outer_blocks(ib, outputs, n, &x, &dy, p->add || first > 0,
                         p->dw + (ptrdiff_t)o * ib * SN_B * SN_B);
        }
        x.p += n * 2 * SN_B;
    }
}
