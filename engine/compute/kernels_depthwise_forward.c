/* Depthwise convolution: forward, plane by plane, and how its weights are
 * packed. */
#include "engine/compute/depthwise.h"
#include "engine/compute/frame.h"
#include "engine/compute/kernels.h"
#include "engine/compute/sums.h"
#include "engine/compute/vec.h"

/* A frame, and a plane of outputs where they are not made in place. */
static size_t dw_scratch(const struct sn_dw *s)
{
    const size_t plane = (size_t)s->h * (size_t)s->w * SN_B;
    return frame_floats(s->h, s->w, s->k / 2) + (SN_IN_PLACE ? 0 : plane);
}

static void dw_pack(int c, int k, const float *w, float *ret)
{
    const int cp = blocks_of(c) * SN_B;
    for (int t = 0; t < k * k; t++)
        for (int i = 0; i < cp; i++)
            *ret++ = i < c ? w[i * k * k + t] : 0;
}

static void dw_unpack_add(int c, int k, const float *packed, float *dw)
{
    const int cp = blocks_of(c) * SN_B;
    for (int i = 0; i < c; i++)
        for (int t = 0; t < k * k; t++)
            dw[i * k * k + t] += packed[t * cp + i];
}

static void dw_forward(const struct sn_dw *s, const void *x,
                       const struct sn_affine *in, const float *packed,
                       float *scratch, void *y, float *ret_sums)
{
    const int cb = blocks_of(s->c), cp = cb * SN_B, pad = s->k / 2;
    const int oh = strided(s->h, s->stride), ow = strided(s->w, s->stride);
    const ptrdiff_t x_plane = (ptrdiff_t)s->h * s->w * SN_B;
    const ptrdiff_t y_plane = (ptrdiff_t)oh * ow * SN_B;
    float *plane = scratch + frame_floats(s->h, s->w, pad);
    frame_clear(scratch, s->h, s->w, pad);
    for (int c = 0; c < cb; c++) {
        vec w[SN_MOST_TAPS];
        for (int t = 0; t < s->k * s->k; t++)
            w[t] = load(packed + t * cp + c * SN_B);
        struct plane p = plane_forward(scratch, s->h, s->w, s->k, s->stride, w);
        struct sums sums = {0};
        for (int n = 0; n < s->n; n++) {
            ptrdiff_t image = (ptrdiff_t)n * cb + c;
            const stored *from = (const stored *)x + image * x_plane;
            stored *to = (stored *)y + image * y_plane;
            p.y = made_at(to, plane);
            frame_copy(scratch, from, s->h, s->w, pad, in, c);
            SN_FRAME_KERNEL(sn_depthwise_plane)(s->stride, &p);
            if (ret_sums || !SN_IN_PLACE)
                sums_put(&sums, p.y, to, oh * ow);
        }
        if (ret_sums)
            sums_finish(&sums, ret_sums, c, cp);
    }
}

void SN_KERNEL(sn_kernels_depthwise)(struct sn_kernels *k)
{
    k->dw_scratch = dw_scratch;
    k->dw_pack = dw_pack;
    k->dw_unpack_add = dw_unpack_add;
    k->dw_forward = dw_forward;
}
