/* What residual networks need beside convolutions: windows of stride 2 and the
 * ReLU after a sum. A block of channels of an image at a time:
 *
 *     3x3, stride 2, pad 1: output (y, x) sees rows 2 y - 1 .. 2 y + 1
 *     2x2, stride 2:        rows 2 y .. 2 y + 1; the last may be cut
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* A window's pixels inside the plane: rows [y0, y1), columns [x0, x1). */
struct extent {
    int y0, y1, x0, x1;
};

SN_INLINE int inside(int v, int most)
{
    return v < 0 ? 0 : v < most ? v : most;
}

SN_INLINE struct extent extent_of(const struct sn_window *s, int side, int pad,
                                  int y, int x)
{
    return (struct extent){
        inside(2 * y - pad, s->h), inside(2 * y - pad + side, s->h),
        inside(2 * x - pad, s->w), inside(2 * x - pad + side, s->w)};
}

/* One plane of a block; the loops over outputs are the same for all. */
#define SN_EACH_OUTPUT(s, y, x)                \
    for (int y = 0; y < ((s)->h + 1) / 2; y++) \
        for (int x = 0; x < ((s)->w + 1) / 2; x++)

static int planes_of(const struct sn_window *s)
{
    return s->n * blocks_of(s->c);
}

static void max_window(const struct sn_window *s, const float *x, float *y)
{
    const ptrdiff_t row = (ptrdiff_t)s->w * SN_B;
    for (int p = 0; p < planes_of(s); p++, x += s->h * row)
        SN_EACH_OUTPUT(s, oy, ox)
        {
            const struct extent e = extent_of(s, 3, 1, oy, ox);
            vec most = load(x + e.y0 * row + e.x0 * SN_B);
            for (int r = e.y0; r < e.y1; r++)
                for (int c = e.x0; c < e.x1; c++)
                    most = max_of(most, load(x + r * row + c * SN_B));
            store(y, most);
            y += SN_B;
        }
}

/* Adds one output's gradient to the first of the largest in its window. */
SN_INLINE void max_window_give(const struct extent *e, ptrdiff_t row,
                               const float *x, vec dy, float *dx)
{
    const ptrdiff_t first = e->y0 * row + e->x0 * SN_B;
    vec most = load(x + first);
    ivec at = {0};
    int pixel = 0;
    for (int r = e->y0; r < e->y1; r++)
        for (int c = e->x0; c < e->x1; c++, pixel++) {
            const vec v = load(x + r * row + c * SN_B);
            const ivec more = v > most;
            at = (more & ((ivec){0} + pixel)) | (~more & at);
            most = max_of(most, v);
        }
    pixel = 0;
    for (int r = e->y0; r < e->y1; r++)
        for (int c = e->x0; c < e->x1; c++, pixel++) {
            float *to = dx + r * row + c * SN_B;
            store(to, load(to) + keep(at == (ivec){0} + pixel, dy));
        }
}

static void max_window_backward(const struct sn_window *s, const float *x,
                                const float *dy, float *dx)
{
    const ptrdiff_t row = (ptrdiff_t)s->w * SN_B, plane = s->h * row;
    for (int p = 0; p < planes_of(s); p++, x += plane, dx += plane) {
        memset(dx, 0, sizeof(float) * (size_t)plane);
        SN_EACH_OUTPUT(s, oy, ox)
        {
            const struct extent e = extent_of(s, 3, 1, oy, ox);
            max_window_give(&e, row, x, load(dy), dx);
            dy += SN_B;
        }
    }
}

SN_INLINE float share(const struct extent *e)
{
    return 1.0f / (float)((e->y1 - e->y0) * (e->x1 - e->x0));
}

static void mean_window(const struct sn_window *s, const float *x, float *y)
{
    const ptrdiff_t row = (ptrdiff_t)s->w * SN_B;
    for (int p = 0; p < planes_of(s); p++, x += s->h * row)
        SN_EACH_OUTPUT(s, oy, ox)
        {
            const struct extent e = extent_of(s, 2, 0, oy, ox);
            vec sum = {0};
            for (int r = e.y0; r < e.y1; r++)
                for (int c = e.x0; c < e.x1; c++)
                    sum += load(x + r * row + c * SN_B);
            store(y, sum * share(&e));
            y += SN_B;
        }
}

/* Windows do not overlap: every pixel is written once. */
static void mean_window_backward(const struct sn_window *s, const float *dy,
                                 float *dx)
{
    const ptrdiff_t row = (ptrdiff_t)s->w * SN_B;
    for (int p = 0; p < planes_of(s); p++, dx += s->h * row)
        SN_EACH_OUTPUT(s, oy, ox)
        {
            const struct extent e = extent_of(s, 2, 0, oy, ox);
            const vec d = load(dy) * share(&e);
            for (int r = e.y0; r < e.y1; r++)
                for (int c = e.x0; c < e.x1; c++)
                    store(dx + r * row + c * SN_B, d);
            dy += SN_B;
        }
}

SN_INLINE void sum_relu_plane(const bool scaled, int hw, const float *x,
                              vec scale, vec shift, const float *other,
                              vec other_scale, vec other_shift, float *y)
{
    for (int i = 0; i < hw * SN_B; i += SN_B) {
        vec v = load(other + i);
        if (scaled)
            v = v * other_scale + other_shift;
        v += load(x + i) * scale + shift;
        store(y + i, max_of(v, (vec){0}));
    }
}

static void sum_relu(const struct sn_plane *s, const float *x,
                     const struct sn_affine *in, const float *other,
                     const struct sn_affine *other_in, float *y)
{
    const int cb = blocks_of(s->c);
    const ptrdiff_t plane = (ptrdiff_t)s->hw * SN_B;
    const vec none = {0};
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < cb; c++, x += plane, other += plane, y += plane) {
            const vec scale = load(in->scale + c * SN_B);
            const vec shift = load(in->shift + c * SN_B);
            if (other_in->scale)
                sum_relu_plane(true, s->hw, x, scale, shift, other,
                               load(other_in->scale + c * SN_B),
                               load(other_in->shift + c * SN_B), y);
            else
                sum_relu_plane(false, s->hw, x, scale, shift, other, none, none,
                               y);
        }
}

static void relu(size_t count, float *y)
{
    size_t i = 0;
    for (; i + SN_B <= count; i += SN_B)
        store(y + i, max_of(load(y + i), (vec){0}));
    for (; i < count; i++)
        y[i] = y[i] > 0 ? y[i] : 0;
}

static void relu_backward(size_t count, const float *y, const float *dy,
                          float *dx)
{
    size_t i = 0;
    for (; i + SN_B <= count; i += SN_B)
        store(dx + i, if_less((vec){0}, load(y + i), load(dy + i), (vec){0}));
    for (; i < count; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

void SN_KERNEL(sn_kernels_residual)(struct sn_kernels *k)
{
    k->max_window = max_window;
    k->max_window_backward = max_window_backward;
    k->mean_window = mean_window;
    k->mean_window_backward = mean_window_backward;
    k->sum_relu = sum_relu;
    k->relu = relu;
    k->relu_backward = relu_backward;
}
