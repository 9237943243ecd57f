/* sn_frame - a channel block's plane copied into a border of zeros, so that
 * the depthwise loops need no edge cases.
 *
 *     0 0 0 0 0      x is activated on the way in; the border is zero after
 *     0 x x x 0      the activation, as the padding of the convolution is
 *     0 x x x 0
 *     0 0 0 0 0      (k = 3: a border of one)
 *
 * Private to the depthwise kernels. The caller's scratch holds one frame; the
 * border is cleared once a call and stays.
 */
#ifndef SN_FRAME_H
#define SN_FRAME_H

#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/operand.h"
#include "engine/compute/vec.h"

SN_INLINE int strided(int size, int stride)
{
    return (size + stride - 1) / stride;
}

SN_INLINE size_t frame_floats(int h, int w, int pad)
{
    return (size_t)(h + 2 * pad) * (w + 2 * pad) * SN_B;
}

SN_INLINE void frame_clear(float *frame, int h, int w, int pad)
{
    memset(frame, 0, sizeof(float) * frame_floats(h, w, pad));
}

/* Where pixel (row, 0) of the plane is in its frame. */
SN_INLINE float *frame_row(float *frame, int row, int w, int pad)
{
    return frame + ((ptrdiff_t)(row + pad) * (w + 2 * pad) + pad) * SN_B;
}

SN_INLINE void frame_copy_act(const enum sn_cact act, float *frame,
                              const stored *x, int h, int w, int pad, vec scale,
                              vec shift)
{
    for (int y = 0; y < h; y++, x += (ptrdiff_t)w * SN_B) {
        float *to = frame_row(frame, y, w, pad);
        for (int i = 0; i < w * SN_B; i += SN_B)
            store(to + i, act_of(act, fetch(x + i) * scale + shift));
    }
}

/* A gradient's plane (operand.h) into the frame's inside. */
SN_INLINE void frame_gradient(float *frame, const struct sn_gradient *from,
                              const struct run *run, int h, int w, int pad)
{
    const struct gradient d = gradient_run(from, run);
    for (int y = 0; y < h; y++) {
        float *to = frame_row(frame, y, w, pad);
        const ptrdiff_t row = (ptrdiff_t)y * w * SN_B;
        for (int i = 0; i < w * SN_B; i += SN_B)
            store(to + i, gradient_at(&d, row + i));
    }
}

/* One plane of block cb into the frame's inside, as act(x * scale + shift). */
SN_INLINE void frame_copy(float *frame, const stored *x, int h, int w, int pad,
                          const struct sn_affine *in, int cb)
{
    if (!in || !in->scale) {
        for (int y = 0; y < h; y++, x += (ptrdiff_t)w * SN_B) {
            float *to = frame_row(frame, y, w, pad);
            for (int i = 0; i < w * SN_B; i += SN_B)
                store(to + i, fetch(x + i));
        }
        return;
    }
    vec scale = load(in->scale + cb * SN_B);
    vec shift = load(in->shift + cb * SN_B);
    switch (in->act) {
    case SN_CACT_RELU:
        frame_copy_act(SN_CACT_RELU, frame, x, h, w, pad, scale, shift);
        break;
    case SN_CACT_RELU6:
        frame_copy_act(SN_CACT_RELU6, frame, x, h, w, pad, scale, shift);
        break;
    case SN_CACT_HSWISH:
        frame_copy_act(SN_CACT_HSWISH, frame, x, h, w, pad, scale, shift);
        break;
    case SN_CACT_HSIGMOID:
        frame_copy_act(SN_CACT_HSIGMOID, frame, x, h, w, pad, scale, shift);
        break;
    default:
        frame_copy_act(SN_CACT_NONE, frame, x, h, w, pad, scale, shift);
        break;
    }
}

#endif
