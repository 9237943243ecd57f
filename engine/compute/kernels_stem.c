/* The first convolution: 3x3, pad 1, from plain images to the blocked layout.
 *
 * An image is copied into a frame of zeros; then every output block keeps a
 * tile of a row's pixels in registers and walks the 9 * i taps, one broadcast
 * and one FMA each. Weights [o/B][i * 9][B].
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

static int out_size(int size, int stride)
{
    return (size + stride - 1) / stride;
}

static size_t stem_scratch(const struct sn_stem *s)
{
    return (size_t)s->i * (s->h + 2) * (s->w + 2);
}

static void stem_pack(const struct sn_stem *s, const float *w, float *ret)
{
    const int taps = 9 * s->i;
    for (int o0 = 0; o0 < s->o; o0 += SN_B)
        for (int t = 0; t < taps; t++)
            for (int o = o0; o < o0 + SN_B; o++)
                *ret++ = o < s->o ? w[(ptrdiff_t)o * taps + t] : 0;
}

/* Fills the frame's inside; its border must be zero. */
static void frame_image(const struct sn_stem *s, const float *x, float *frame)
{
    for (int c = 0; c < s->i; c++)
        for (int y = 0; y < s->h; y++) {
            memcpy(frame + ((ptrdiff_t)c * (s->h + 2) + y + 1) * (s->w + 2) + 1,
                   x, sizeof(float) * s->w);
            x += s->w;
        }
}

struct row {
    const float *in; /* frame at the tile's first tap */
    const float *w;
    vec bias;
    stored *y;
    enum sn_cact act;
    ivec lanes;
};

SN_INLINE void row_tile(const int n, const int stride, const struct sn_stem *s,
                        const struct row *r)
{
    const ptrdiff_t line = s->w + 2, plane = line * (s->h + 2);
    const float *w = r->w;
    vec a[SN_TILE];
#pragma GCC unroll 16
    for (int p = 0; p < n; p++)
        a[p] = r->bias;
    for (int c = 0; c < s->i; c++)
        for (int ky = 0; ky < 3; ky++) {
            const float *in = r->in + c * plane + ky * line;
#pragma GCC unroll 4
            for (int kx = 0; kx < 3; kx++) {
                vec u = load(w);
#pragma GCC unroll 16
                for (int p = 0; p < n; p++)
                    a[p] += in[p * stride + kx] * u;
                w += SN_B;
            }
        }
#pragma GCC unroll 16
    for (int p = 0; p < n; p++) {
        if (r->act == SN_CACT_RELU)
            a[p] = act_of(SN_CACT_RELU, a[p]);
        else if (r->act == SN_CACT_RELU6)
            a[p] = act_of(SN_CACT_RELU6, a[p]);
        else if (r->act == SN_CACT_HSWISH)
            a[p] = act_of(SN_CACT_HSWISH, a[p]);
        else if (r->act == SN_CACT_HSIGMOID)
            a[p] = keep(r->lanes, act_of(SN_CACT_HSIGMOID, a[p]));
        put(r->y + p * SN_B, a[p]);
    }
}

#define SN_CASE(n)                     \
    case n:                            \
        if (n <= SN_TILE)              \
            row_tile(n, stride, s, r); \
        break

SN_INLINE void any_tile(const int stride, int n, const struct sn_stem *s,
                        const struct row *r)
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

static void tile_stride1(int n, const struct sn_stem *s, const struct row *r)
{
    any_tile(1, n, s, r);
}

static void tile_stride2(int n, const struct sn_stem *s, const struct row *r)
{
    any_tile(2, n, s, r);
}

static void stem_forward(const struct sn_stem *s, const float *x,
                         const float *packed, const float *bias,
                         enum sn_cact act, float *scratch, void *ret_y)
{
    stored *y = ret_y;
    const int oh = out_size(s->h, s->stride), ow = out_size(s->w, s->stride);
    const int ob = blocks_of(s->o), tiles = (ow + SN_TILE - 1) / SN_TILE;
    memset(scratch, 0, sizeof(float) * stem_scratch(s));
    for (int n = 0; n < s->n; n++) {
        frame_image(s, x + (ptrdiff_t)n * s->i * s->h * s->w, scratch);
        for (int o = 0; o < ob; o++)
            for (int oy = 0; oy < oh; oy++)
                for (int i = 0, ox = 0; i < tiles; i++) {
                    int p = (ow - ox + tiles - i - 1) / (tiles - i);
                    struct row r = {
                        .in = scratch + oy * s->stride * (s->w + 2) +
                              ox * s->stride,
                        .w = packed + (ptrdiff_t)o * 9 * s->i * SN_B,
                        .bias = load_or_zero(bias, o * SN_B),
                        .y = y,
                        .act = act,
                        .lanes = lanes_of(s->o, o),
                    };
                    (s->stride == 1 ? tile_stride1 : tile_stride2)(p, s, &r);
                    y += p * SN_B;
                    ox += p;
                }
    }
}

/* The 9 taps of one input plane and one output block. */
SN_INLINE void taps_of(const int stride, const struct sn_stem *s,
                       const float *in, const stored *dy, vec *sum)
{
    const int oh = out_size(s->h, stride), ow = out_size(s->w, stride);
    const ptrdiff_t line = s->w + 2;
    vec a[9];
#pragma GCC unroll 16
    for (int t = 0; t < 9; t++)
        a[t] = (vec){0};
    for (int oy = 0; oy < oh; oy++)
        for (int ox = 0; ox < ow; ox++, dy += SN_B) {
            const float *p = in + oy * stride * line + ox * stride;
            vec d = fetch(dy);
#pragma GCC unroll 4
            for (int kx = 0; kx < 3; kx++) {
                a[kx] += p[kx] * d;
                a[3 + kx] += p[line + kx] * d;
                a[6 + kx] += p[2 * line + kx] * d;
            }
        }
#pragma GCC unroll 16
    for (int t = 0; t < 9; t++)
        sum[t] += a[t];
}

static void stem_weights(const struct sn_stem *s, const float *x,
                         const void *gradient, float *scratch, float *dw)
{
    const stored *dy = gradient;
    const int oh = out_size(s->h, s->stride), ow = out_size(s->w, s->stride);
    const int ob = blocks_of(s->o), taps = 9 * s->i;
    const ptrdiff_t plane = (ptrdiff_t)(s->h + 2) * (s->w + 2);
    memset(scratch, 0, sizeof(float) * stem_scratch(s));
    for (int n = 0; n < s->n; n++) {
        frame_image(s, x + (ptrdiff_t)n * s->i * s->h * s->w, scratch);
        for (int o = 0; o < ob; o++, dy += (ptrdiff_t)oh * ow * SN_B)
            for (int c = 0; c < s->i; c++) {
                vec sum[9] = {{0}};
                if (s->stride == 1)
                    taps_of(1, s, scratch + c * plane, dy, sum);
                else
                    taps_of(2, s, scratch + c * plane, dy, sum);
                for (int l = 0; l < SN_B && o * SN_B + l < s->o; l++)
                    for (int t = 0; t < 9; t++)
                        dw[(ptrdiff_t)(o * SN_B + l) * taps + c * 9 + t] +=
                            sum[t][l];
            }
    }
}

void SN_KERNEL(sn_kernels_stem)(struct sn_kernels *k)
{
    k->stem_scratch = stem_scratch;
    k->stem_pack = stem_pack;
    k->stem_forward = stem_forward;
    k->stem_weights = stem_weights;
}
