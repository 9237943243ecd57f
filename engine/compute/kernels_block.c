/* The first half of a static block, depth first: 1x1 and depthwise with their
 * folded biases and activations, for inference.
 *
 * The expanded tensor is never stored: of one image, two channel blocks at a
 * time (they share the loads of x) go into frames (frame.h), and from there
 * through the depthwise into y:
 *
 *     x [in] --1x1, bias, act--> frames --k x k, bias, act--> y [mid]
 */
#include "engine/compute/depthwise.h"
#include "engine/compute/frame.h"
#include "engine/compute/kernels.h"

static size_t half_block_scratch(const struct sn_half_block *s)
{
    return 2 * frame_floats(s->size, s->size, s->k / 2);
}

/* Channel blocks [c, c + blocks) of image n into frames of `frame` floats. */
static void fill_frames(const struct sn_half_block *s, int n, int c, int blocks,
                        ptrdiff_t frame, float *frames)
{
    const int ib = blocks_of(s->in), pad = s->k / 2, left = s->mid - c * SN_B;
    const ptrdiff_t plane = (ptrdiff_t)s->size * s->size * SN_B;
    const float *x = s->x + n * ib * plane;
    if (!s->expand_w) {
        for (int b = 0; b < blocks; b++)
            frame_copy(frames + b * frame, x + (c + b) * plane, s->size,
                       s->size, pad, NULL, c + b);
        return;
    }
    const struct sn_gemm g = {
        .groups = s->size,
        .rows = s->size,
        .i = s->in,
        .o = left < blocks * SN_B ? left : blocks * SN_B,
        .x_group = (ptrdiff_t)s->size * SN_B,
        .x_block = plane,
        .y_group = (ptrdiff_t)(s->size + 2 * pad) * SN_B,
        .y_block = frame,
        .x_row = SN_B,
        .y_row = SN_B,
        .x = x,
        .w = s->expand_w + (ptrdiff_t)c * ib * SN_B * SN_B,
        .bias = s->expand_bias + c * SN_B,
        .y = frame_row(frames, 0, s->size, pad),
        .act = s->act,
    };
    SN_KERNEL(sn_gemm)(&g);
}

static void half_block(const struct sn_half_block *s, float *scratch)
{
    const int cb = blocks_of(s->mid), cp = cb * SN_B, pad = s->k / 2;
    const int out = strided(s->size, s->stride);
    const ptrdiff_t frame = (ptrdiff_t)frame_floats(s->size, s->size, pad);
    frame_clear(scratch, s->size, s->size, pad);
    frame_clear(scratch + frame, s->size, s->size, pad);
    for (int c = 0; c < cb; c += 2) {
        const int blocks = c + 1 < cb ? 2 : 1;
        struct plane p[2];
        vec w[2][SN_MOST_TAPS];
        for (int b = 0; b < blocks; b++) {
            for (int t = 0; t < s->k * s->k; t++)
                w[b][t] = load(s->depth_w + t * cp + (c + b) * SN_B);
            p[b] = plane_forward(scratch + b * frame, s->size, s->size, s->k,
                                 s->stride, w[b]);
            p[b].bias = load(s->depth_bias + (c + b) * SN_B);
            p[b].act = s->act;
        }
        for (int n = 0; n < s->n; n++) {
            fill_frames(s, n, c, blocks, frame, scratch);
            for (int b = 0; b < blocks; b++) {
                p[b].y = s->y + ((ptrdiff_t)n * cb + c + b) * out * out * SN_B;
                SN_FRAME_KERNEL(sn_depthwise_plane)(s->stride, &p[b]);
            }
        }
    }
}

void SN_KERNEL(sn_kernels_block)(struct sn_kernels *k)
{
    k->half_block_scratch = half_block_scratch;
    k->half_block = half_block;
}
