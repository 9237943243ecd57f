/* Depthwise convolution: the weight gradient.
 *
 * As many whole rows of taps as registers hold stay there while a plane's
 * outputs are walked, one load of dy and one FMA a tap each:
 *
 *     dw[ky][kx] = sum over (y, x) of dy[y][x] * in[y * s + ky][x * s + kx]
 *
 * A plane's sums are put aside before the next image, which keeps the rounding
 * small. Any k up to 7: 3 takes its three rows at once, 5 all five (AVX-512)
 * or two and three, 7 three and twice two.
 */
#include "engine/compute/depthwise.h"
#include "engine/compute/frame.h"
#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

SN_INLINE void tap_rows(const int rows, const int k, const int stride,
                        const struct taps *t)
{
    vec a[5 * 5 > 3 * 7 ? 5 * 5 : 3 * 7];
#pragma GCC unroll 32
    for (int i = 0; i < rows * k; i++)
        a[i] = (vec){0};
    for (int y = 0; y < t->oh; y++) {
        const float *in = t->in + y * stride * t->line;
        const float *dy = t->dy + y * t->dy_line;
        for (int x = 0; x < t->ow; x++, in += stride * SN_B, dy += SN_B) {
            vec d = load(dy);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
                for (int kx = 0; kx < k; kx++)
                    a[r * k + kx] += load(in + r * t->line + kx * SN_B) * d;
        }
    }
#pragma GCC unroll 32
    for (int i = 0; i < rows * k; i++)
        t->sum[i] += a[i];
}

SN_INLINE void next_rows(const int rows, const int k, const int stride,
                         struct taps *t)
{
    tap_rows(rows, k, stride, t);
    t->in += rows * t->line;
    t->sum += rows * k;
}

SN_INLINE void all_taps(const int k, const int stride, struct taps t)
{
    if (k == 3) {
        next_rows(3, k, stride, &t);
    } else if (k == 5) {
#if defined(__AVX512F__)
        next_rows(5, k, stride, &t);
#else
        next_rows(2, k, stride, &t);
        next_rows(2, k, stride, &t);
        next_rows(1, k, stride, &t);
#endif
    } else {
#if defined(__AVX512F__)
        next_rows(3, k, stride, &t);
        next_rows(2, k, stride, &t);
        next_rows(2, k, stride, &t);
#else
        next_rows(2, k, stride, &t);
        next_rows(2, k, stride, &t);
        next_rows(2, k, stride, &t);
        next_rows(1, k, stride, &t);
#endif
    }
}

#define SN_TAPS(k, stride)                         \
    static void taps_##k##_##stride(struct taps t) \
    {                                              \
        all_taps(k, stride, t);                    \
    }
SN_TAPS(3, 1)
SN_TAPS(5, 1)
SN_TAPS(7, 1)
SN_TAPS(3, 2)
SN_TAPS(5, 2)
SN_TAPS(7, 2)

void SN_FRAME_KERNEL(sn_depthwise_taps)(int k, int stride, const struct taps *t)
{
    static void (*const by_size[2][8])(struct taps) = {
        {[3] = taps_3_1, [5] = taps_5_1, [7] = taps_7_1},
        {[3] = taps_3_2, [5] = taps_5_2, [7] = taps_7_2}};
    by_size[stride - 1][k](*t);
}
