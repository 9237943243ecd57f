/* Depthwise convolution: the loops of forward and data gradient over a plane.
 *
 * Every plane is copied into a frame of zeros (frame.h). Then a tile of R rows
 * by T columns of outputs stays in registers while the taps are walked, a row
 * of taps at a time; an input is loaded once and meets every tap of the row:
 *
 *     tap row ky:   x0 x1 x2 x3 x4      T = 3, kw = 3
 *     output 0      w0 w1 w2
 *     output 1         w0 w1 w2
 *     output 2            w0 w1 w2
 *
 * The data gradient at stride 1 is the same with the taps turned round. At
 * stride 2 an input pixel meets only the taps of its own parity: four
 * convolutions of stride 1, one a parity, whose outputs interleave:
 *
 *     00 01 00 01     k = 3: 00 has 1x1 taps, 01 1x2, 10 2x1, 11 2x2
 *     10 11 10 11
 */
#include "engine/compute/depthwise.h"
#include "engine/compute/frame.h"
#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* Columns of a tile. */
#if defined(__AVX512F__)
#define SN_COLUMNS 8
#else
#define SN_COLUMNS 4
#endif

/* Adds one row of inputs, each loaded once, times a row of taps. */
SN_INLINE void meet(const int columns, const int kw, const int stride,
                    const float *x, const vec *w, vec *a)
{
#pragma GCC unroll 32
    for (int j = 0; j < (columns - 1) * stride + kw; j++) {
        const vec v = load(x + j * SN_B);
#pragma GCC unroll 8
        for (int kx = 0; kx < kw; kx++)
            if (j >= kx && (j - kx) % stride == 0 &&
                (j - kx) / stride < columns)
                a[(j - kx) / stride] += v * w[kx];
    }
}

SN_INLINE void tile(const int rows, const int columns, const int kw,
                    const int stride, const struct plane *p, int row,
                    int column)
{
    const float *in =
        p->in + row * stride * p->line + (ptrdiff_t)column * stride * SN_B;
    vec a[2][SN_COLUMNS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int t = 0; t < columns; t++)
            a[r][t] = p->bias;
    for (int ky = 0; ky < p->kh; ky++) {
        vec w[7];
#pragma GCC unroll 8
        for (int kx = 0; kx < kw; kx++)
            w[kx] = p->w[ky * kw + kx];
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++) {
            const int y = (row + r) * stride + ky;
            if (y >= p->low && y < p->high)
                meet(columns, kw, stride, in + (ky + r * stride) * p->line, w,
                     a[r]);
        }
    }
    float *y = p->y + row * p->y_line + column * p->y_step;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        act_all(columns, p->act, a[r]);
#pragma GCC unroll 16
        for (int t = 0; t < columns; t++)
            store(y + r * p->y_line + t * p->y_step, a[r][t]);
    }
}

#define SN_CASE(t)                                     \
    case t:                                            \
        if (t <= SN_COLUMNS)                           \
            tile(rows, t, kw, stride, p, row, column); \
        break

SN_INLINE void tile_row(const int rows, const int kw, const int stride,
                        const struct plane *p, int row)
{
    const int tiles = (p->columns + SN_COLUMNS - 1) / SN_COLUMNS;
    for (int i = 0, column = 0; i < tiles; i++) {
        int n = (p->columns - column + tiles - i - 1) / (tiles - i);
        switch (n) {
            SN_CASE(1);
            SN_CASE(2);
            SN_CASE(3);
            SN_CASE(4);
            SN_CASE(5);
            SN_CASE(6);
            SN_CASE(7);
            SN_CASE(8);
        }
        column += n;
    }
}

SN_INLINE void plane_of(const int kw, const int stride, const struct plane *p)
{
    int row = 0;
    for (; row + 2 <= p->rows; row += 2)
        tile_row(2, kw, stride, p, row);
    if (row < p->rows)
        tile_row(1, kw, stride, p, row);
}

#define SN_PLANE(kw, stride)                                 \
    static void plane_##kw##_##stride(const struct plane *p) \
    {                                                        \
        plane_of(kw, stride, p);                             \
    }
SN_PLANE(1, 1)
SN_PLANE(2, 1)
SN_PLANE(3, 1)
SN_PLANE(4, 1)
SN_PLANE(5, 1)
SN_PLANE(7, 1)
SN_PLANE(3, 2)
SN_PLANE(5, 2)
SN_PLANE(7, 2)

void SN_FRAME_KERNEL(sn_depthwise_plane)(int stride, const struct plane *p)
{
    static void (*const by_stride1[8])(const struct plane *) = {
        NULL,      plane_1_1, plane_2_1, plane_3_1,
        plane_4_1, plane_5_1, NULL,      plane_7_1};
    static void (*const by_stride2[8])(const struct plane *) = {
        [3] = plane_3_2, [5] = plane_5_2, [7] = plane_7_2};
    (stride == 1 ? by_stride1 : by_stride2)[p->kw](p);
}

/* One parity's convolution of the data gradient: which taps, from where. */
struct parity {
    int first, count; /* taps first, first + stride, ... in one dimension */
    int offset;       /* of the frame's first row (column) for output 0 */
    int outputs;
};

/* dz[stride * a + r] = sum over j of dy[a + top - j] * w[first + stride * j];
 * the frame has dy[0] at pad, and the taps are walked backwards. */
static struct parity parity_of(int k, int stride, int r, int size)
{
    const int pad = k / 2;
    struct parity p;
    p.first = (r + pad) % stride;
    p.count = (k - p.first + stride - 1) / stride;
    int top = (r + pad - p.first) / stride;
    p.offset = pad + top - (p.count - 1);
    p.outputs = (size - r + stride - 1) / stride;
    return p;
}

/* Prepares the plane of one parity for block c, all but its y; its taps go to
 * w. Returns how many taps. */
static int parity_plane(const struct sn_dw *s, const float *packed, int c,
                        int ry, int rx, const float *frame, vec *w,
                        struct plane *ret)
{
    const int cp = blocks_of(s->c) * SN_B;
    const struct parity v = parity_of(s->k, s->stride, ry, s->h);
    const struct parity h = parity_of(s->k, s->stride, rx, s->w);
    const ptrdiff_t line =
        (ptrdiff_t)(strided(s->w, s->stride) + 2 * (s->k / 2)) * SN_B;
    for (int i = 0; i < v.count; i++)
        for (int j = 0; j < h.count; j++) {
            int ky = v.first + s->stride * (v.count - 1 - i);
            int kx = h.first + s->stride * (h.count - 1 - j);
            w[i * h.count + j] =
                load(packed + (ky * s->k + kx) * cp + c * SN_B);
        }
    *ret = (struct plane){
        .in = frame + v.offset * line + (ptrdiff_t)h.offset * SN_B,
        .line = line,
        .low = s->k / 2 - v.offset,
        .high = s->k / 2 - v.offset + strided(s->h, s->stride),
        .w = w,
        .kh = v.count,
        .kw = h.count,
        .rows = v.outputs,
        .columns = h.outputs,
        .y_line = (ptrdiff_t)s->stride * s->w * SN_B,
        .y_step = (ptrdiff_t)s->stride * SN_B,
    };
    return v.count * h.count;
}

void SN_FRAME_KERNEL(sn_depthwise_parities)(const struct sn_dw *s,
                                            const float *packed, int c,
                                            const float *frame, vec *w,
                                            struct plane ret[4])
{
    for (int ry = 0; ry < s->stride; ry++)
        for (int rx = 0; rx < s->stride; rx++)
            w += parity_plane(s, packed, c, ry, rx, frame, w, ret++);
}
