/* 1x1 convolutions and linear layers: oneDNN or our own kernel, by shape. */
#include "engine/compute/context.h"
#include "engine/compute/primitives.h"

/* From this many channels on oneDNN, which blocks for the caches over both
 * sums, wins, also what it costs to make its operands whole (bench-kernels). */
#define WIDE_CHANNELS 640

bool sn_conv1_is_wide(const struct sn_conv1 *s)
{
    return s->store == SN_STORE_F32 && s->h * s->w > 1 &&
           (s->i >= WIDE_CHANNELS || s->o >= WIDE_CHANNELS);
}

size_t sn_conv1_packed_floats(const struct sn_compute *c, int i, int o)
{
    return (size_t)sn_compute_padded(c, i) * sn_compute_padded(c, o);
}

void sn_conv1_pack(const struct sn_compute *c, int i, int o, const float *w,
                   int ld, float *ret_fwd, float *ret_bwd)
{
    c->kernels.conv1_pack(i, o, w, ld, ret_fwd, ret_bwd);
}

void sn_conv1_unpack_add(const struct sn_compute *c, int i, int o,
                         const float *packed, float *dw, int ld)
{
    c->kernels.conv1_unpack_add(i, o, packed, dw, ld);
}

struct strides {
    int groups, rows;
    ptrdiff_t row_x, row_y, group_x, group_y, block;
};

/* A plane's pixels are rows and an image a group; with planes of one pixel
 * the images are the rows of one group. */
static struct strides strides_of(int b, const struct sn_conv1 *s)
{
    const int ip = (s->i + b - 1) / b * b, op = (s->o + b - 1) / b * b;
    const int hw = s->h * s->w;
    if (hw == 1)
        return (struct strides){
            .groups = 1, .rows = s->n, .row_x = ip, .row_y = op, .block = b};
    return (struct strides){.groups = s->n,
                            .rows = hw,
                            .row_x = b,
                            .row_y = b,
                            .group_x = (ptrdiff_t)ip * hw,
                            .group_y = (ptrdiff_t)op * hw,
                            .block = (ptrdiff_t)hw * b};
}

void sn_conv1_infer(struct sn_cx *cx, const struct sn_conv1 *s, const float *x,
                    const float *packed_fwd, const float *bias,
                    enum sn_cact act, const float *residual, float *y)
{
    const struct strides t = strides_of(cx->k->block, s);
    const struct sn_gemm g = {
        .groups = t.groups,
        .rows = t.rows,
        .i = s->i,
        .o = s->o,
        .x_group = t.group_x,
        .x_block = t.block,
        .y_group = t.group_y,
        .y_block = t.block,
        .x_row = t.row_x,
        .y_row = t.row_y,
        .x = x,
        .w = packed_fwd,
        .bias = bias,
        .residual = residual,
        .y = y,
        .act = act,
    };
    cx->k->gemm(&g);
}

void sn_conv1_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                      const float *x, const float *packed_fwd, float *y)
{
    if (sn_conv1_is_wide(s))
        sn_primitives_forward(cx, s, x, packed_fwd, y);
    else
        sn_conv1_infer(cx, s, x, packed_fwd, NULL, SN_CACT_NONE, NULL, y);
}

/* The data gradient is a forward with the transposed weights. */
void sn_conv1_backward_data(struct sn_cx *cx, const struct sn_conv1 *s,
                            const float *dy, const float *packed_bwd, float *dx)
{
    const struct sn_conv1 turned = {s->n, s->o, s->i, s->h, s->w};
    sn_conv1_forward(cx, &turned, dy, packed_bwd, dx);
}

void sn_conv1_backward_weights(struct sn_cx *cx, const struct sn_conv1 *s,
                               const float *x, const float *dy,
                               float *ret_packed_dw)
{
    if (sn_conv1_is_wide(s)) {
        sn_primitives_weights(cx, s, x, dy, ret_packed_dw);
        return;
    }
    const struct strides t = strides_of(cx->k->block, s);
    const struct sn_gemm_weights g = {
        .groups = t.groups,
        .rows = t.rows,
        .i = s->i,
        .o = s->o,
        .x_group = t.group_x,
        .x_block = t.block,
        .y_group = t.group_y,
        .y_block = t.block,
        .x_row = t.row_x,
        .y_row = t.row_y,
        .x = x,
        .dy = dy,
        .dw = ret_packed_dw,
    };
    cx->k->gemm_weights(&g);
}
