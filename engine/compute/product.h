/* sn_product - the matrix products of a 1x1 convolution on operands that lie as
 * tensors do, with results in floats: for floats those of kernels_gemm.c, for
 * bfloat16 those of kernels_gemm_bf16.c.
 *
 * Private to the kernels. Rows of one channel block lie one after the other.
 */
#ifndef SN_PRODUCT_H
#define SN_PRODUCT_H

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* y[row][o] = sum over i of x[row][i] * w[i][o], in `groups` of `rows`; strides
 * in elements of x and in floats of y. */
struct product {
    int groups, rows, i, o;
    ptrdiff_t x_group, x_block, y_group, y_block;
    const stored *x;
    const stored *w; /* panel_make */
    float *y;
};

/* dw [o/B][i/B][B i][B o] = sum over groups and rows of x * dy. */
struct product_weights {
    int groups, rows, i, o;
    ptrdiff_t x_group, x_block, y_group, y_block;
    const stored *x, *dy;
    stored *pairs; /* scratch of pairs_elements */
    float *dw;
    bool add; /* to what dw has */
};

#ifdef SN_BF16
/* Elements of a panel, and of what a weight gradient needs. */
SN_INLINE size_t panel_elements(int i, int o)
{
    return (size_t)blocks_of(i) * (size_t)blocks_of(o) * SN_B * SN_B;
}

SN_INLINE size_t pairs_elements(int groups, int rows, int i, int o)
{
    return (size_t)groups * (size_t)(rows + rows % 2) *
           (size_t)(blocks_of(i) + blocks_of(o)) * SN_B;
}

/* Packed weights as the product takes them, in `scratch`. */
const stored *SN_KERNEL(sn_panel_make)(int i, int o, const float *w,
                                       stored *scratch);
void SN_KERNEL(sn_product)(const struct product *p);
void SN_KERNEL(sn_product_weights)(const struct product_weights *p);
#else
SN_INLINE size_t panel_elements(int i, int o)
{
    (void)i;
    (void)o;
    return 0;
}

SN_INLINE size_t pairs_elements(int groups, int rows, int i, int o)
{
    (void)groups;
    (void)rows;
    return panel_elements(i, o);
}

SN_INLINE const stored *SN_KERNEL(sn_panel_make)(int i, int o, const float *w,
                                                 stored *scratch)
{
    (void)i;
    (void)o;
    (void)scratch;
    return w;
}

SN_INLINE void SN_KERNEL(sn_product)(const struct product *p)
{
    const struct sn_gemm g = {
        .groups = p->groups,
        .rows = p->rows,
        .i = p->i,
        .o = p->o,
        .x_group = p->x_group,
        .x_block = p->x_block,
        .y_group = p->y_group,
        .y_block = p->y_block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = p->x,
        .w = p->w,
        .y = p->y,
        .act = SN_CACT_NONE,
    };
    SN_KERNEL(sn_gemm)(&g);
}

SN_INLINE void SN_KERNEL(sn_product_weights)(const struct product_weights *p)
{
    const struct sn_gemm_weights g = {
        .groups = p->groups,
        .rows = p->rows,
        .i = p->i,
        .o = p->o,
        .x_group = p->x_group,
        .x_block = p->x_block,
        .y_group = p->y_group,
        .y_block = p->y_block,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = p->x,
        .dy = p->dy,
        .dw = p->dw,
        .add = p->add,
    };
    SN_KERNEL(sn_gemm_weights)(&g);
}
#endif

#endif
