/* Depthwise convolution: both gradients in one pass over the planes.
 *
 * Of every plane, input and output gradient are made once, in frames; the
 * weight gradient reads both, the data gradient the second, and its result is
 * still in the cache when it goes through the activation:
 *
 *     act(u)  -> [frame x] --+
 *                            +--> dw
 *     p g + q x + r -> [frame dy] --> dx --> dx * act', sums
 */
#include "engine/compute/depthwise.h"
#include "engine/compute/frame.h"
#include "engine/compute/operand.h"

/* What does not change from plane to plane. */
struct job {
    const struct sn_dw *s;
    const struct sn_source *in;
    const struct sn_gradient *dy;
    const struct sn_sink *out;
    int oh, ow, pad;
    float *x, *d; /* the frames */
    float *plane; /* of dx, where it is not made in place */
};

static size_t dw_backward_scratch(const struct sn_dw *s)
{
    const int pad = s->k / 2;
    const size_t plane = (size_t)s->h * (size_t)s->w * SN_B;
    return frame_floats(s->h, s->w, pad) +
           frame_floats(strided(s->h, s->stride), strided(s->w, s->stride),
                        pad) +
           (SN_IN_PLACE ? 0 : plane);
}

static void fill_frames(const struct job *j, ptrdiff_t image, int c)
{
    const struct sn_dw *s = j->s;
    const struct sn_affine in = {j->in->scale, j->in->shift, j->in->act};
    const struct run run = {.at = image * j->oh * j->ow * SN_B,
                            .channel = c * SN_B};
    const stored *u = j->in->u, *g = j->dy->g;
    frame_copy(j->x, u + image * s->h * s->w * SN_B, s->h, s->w, j->pad, &in,
               c);
    if (j->dy->p)
        frame_gradient(j->d, j->dy, &run, j->oh, j->ow, j->pad);
    else
        frame_copy(j->d, g + run.at, j->oh, j->ow, j->pad, NULL, c);
}

static void weights_plane(const struct job *j, vec *sum)
{
    const struct sn_dw *s = j->s;
    const struct taps t = {
        .in = j->x,
        .line = (ptrdiff_t)(s->w + 2 * j->pad) * SN_B,
        .dy = frame_row(j->d, 0, j->ow, j->pad),
        .dy_line = (ptrdiff_t)(j->ow + 2 * j->pad) * SN_B,
        .oh = j->oh,
        .ow = j->ow,
        .sum = sum,
    };
    SN_FRAME_KERNEL(sn_depthwise_taps)(s->k, s->stride, &t);
}

static void data_plane(const struct job *j, struct plane *parity,
                       ptrdiff_t image, int c, struct through *sums)
{
    const struct sn_dw *s = j->s;
    const int hw = s->h * s->w;
    const struct run run = {
        .at = image * hw * SN_B,
        .channel = c * SN_B,
        .pixels = hw,
    };
    float *dx = made_at((stored *)j->out->dx + run.at, j->plane);
    for (int i = 0; i < s->stride * s->stride; i++) {
        int ry = i / s->stride, rx = i % s->stride;
        parity[i].y = dx + ((ptrdiff_t)ry * s->w + rx) * SN_B;
        SN_FRAME_KERNEL(sn_depthwise_plane)(1, &parity[i]);
    }
    sink_run(j->in, j->out, &run, dx, sums);
}

static void dw_backward(const struct sn_dw *s, const struct sn_source *in,
                        const struct sn_gradient *dy, const float *packed,
                        const struct sn_sink *out, float *scratch,
                        float *ret_dw)
{
    const int cb = blocks_of(s->c), cp = cb * SN_B;
    struct job j = {
        .s = s,
        .in = in,
        .dy = dy,
        .out = out,
        .oh = strided(s->h, s->stride),
        .ow = strided(s->w, s->stride),
        .pad = s->k / 2,
        .x = scratch,
        .d = scratch + frame_floats(s->h, s->w, s->k / 2),
    };
    j.plane = j.d + frame_floats(j.oh, j.ow, j.pad);
    frame_clear(j.x, s->h, s->w, j.pad);
    frame_clear(j.d, j.oh, j.ow, j.pad);
    for (int c = 0; c < cb; c++) {
        struct plane parity[4];
        struct through sums = {{0}, {0}};
        vec w[SN_MOST_TAPS], sum[SN_MOST_TAPS] = {{0}};
        SN_FRAME_KERNEL(sn_depthwise_parities)(s, packed, c, j.d, w, parity);
        for (int n = 0; n < s->n; n++) {
            const ptrdiff_t image = (ptrdiff_t)n * cb + c;
            fill_frames(&j, image, c);
            weights_plane(&j, sum);
            data_plane(&j, parity, image, c, &sums);
        }
        for (int t = 0; t < s->k * s->k; t++)
            store(ret_dw + t * cp + c * SN_B, sum[t]);
        if (out->ret_sums)
            through_finish(&sums, out->ret_sums, c, cp);
    }
}

void SN_KERNEL(sn_kernels_depthwise_backward)(struct sn_kernels *k)
{
    k->dw_backward_scratch = dw_backward_scratch;
    k->dw_backward = dw_backward;
}
