/* sn_depthwise - the inner loops that the depthwise kernels share, on planes
 * in frames (frame.h).
 *
 * Private to the kernels, compiled once an ISA.
 */
#ifndef SN_DEPTHWISE_H
#define SN_DEPTHWISE_H

#include "engine/compute/frame.h"
#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

#define SN_MOST_TAPS 49

/* Frames hold floats however tensors are stored, so that the loops over them
 * are compiled once. */
#ifdef SN_BF16
#define SN_FRAME_KERNEL(name) SN_PASTE(name, avx512)
#else
#define SN_FRAME_KERNEL(name) SN_KERNEL(name)
#endif

/* A plane's outputs: rows x columns, at y + row * y_line + column * y_step,
 * act(convolution + bias). */
struct plane {
    const float *in; /* frame at the first output's first tap */
    ptrdiff_t line;  /* frame: floats a row */
    int low, high;   /* rows of the frame, from `in` on, that are not border */
    const vec *w;    /* [kh][kw] */
    int kh, kw, rows, columns;
    vec bias;
    enum sn_cact act;
    float *y;
    ptrdiff_t y_line, y_step;
};

/* The forward of an h x w plane in a frame with a border of k / 2, all but its
 * y, bias and act. */
SN_INLINE struct plane plane_forward(const float *frame, int h, int w, int k,
                                     int stride, const vec *taps)
{
    const int out = strided(w, stride);
    return (struct plane){
        .in = frame,
        .line = (ptrdiff_t)(w + 2 * (k / 2)) * SN_B,
        .low = k / 2,
        .high = k / 2 + h,
        .w = taps,
        .kh = k,
        .kw = k,
        .rows = strided(h, stride),
        .columns = out,
        .y_line = (ptrdiff_t)out * SN_B,
        .y_step = SN_B,
    };
}

/* Convolves one plane; kw 1 to 5 or 7 at stride 1; 3, 5, 7 at stride 2. */
void SN_FRAME_KERNEL(sn_depthwise_plane)(int stride, const struct plane *p);

/* The planes of the data gradient of block c, all but their y: stride x stride
 * parities, row by row. Their taps go to w[SN_MOST_TAPS]. The frame holds dy in
 * a border of k / 2. */
void SN_FRAME_KERNEL(sn_depthwise_parities)(const struct sn_dw *s,
                                            const float *packed, int c,
                                            const float *frame, vec *w,
                                            struct plane ret[4]);

struct taps {
    const float *in; /* frame at the first tap */
    ptrdiff_t line;
    const float *dy;
    ptrdiff_t dy_line;
    int oh, ow;
    vec *sum; /* [k][k], added to */
};

void SN_FRAME_KERNEL(sn_depthwise_taps)(int k, int stride,
                                        const struct taps *t);

#endif
