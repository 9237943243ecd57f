/* Dense 3x3 convolutions: oneDNN does them all; packing is ours.
 *
 *   plain [o][ld][3][3]
 *   fwd   [o/B][i/B][3][3][B i][B o]   forward, and the weight gradient
 *   bwd   [o/B][i/B][3][3][B o][B i]   data gradient
 */
#include <string.h>

#include "engine/compute/context.h"
#include "engine/compute/primitives.h"

enum { TAPS = 9 };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

size_t sn_conv3_packed_floats(const struct sn_compute *c, int i, int o)
{
    return (size_t)TAPS * (size_t)sn_compute_padded(c, i) *
           (size_t)sn_compute_padded(c, o);
}

/* One block of the packed weights; `row` floats from an output to the next.
 * to_i and to_o: what an input and an output are apart in a block. */
static void pack_block(int b, int inputs, int outputs, const float *w,
                       size_t row, int to_i, int to_o, float *ret)
{
    for (int o = 0; o < outputs; o++)
        for (int i = 0; i < inputs; i++)
            for (int t = 0; t < TAPS; t++)
                ret[t * b * b + i * to_i + o * to_o] =
                    w[(size_t)o * row + (size_t)(i * TAPS + t)];
}

void sn_conv3_pack(const struct sn_compute *c, int i, int o, const float *w,
                   int ld, float *ret_fwd, float *ret_bwd)
{
    const int b = c->kernels.block;
    const size_t row = (size_t)ld * TAPS, block = (size_t)(TAPS * b * b);
    const size_t bytes = sizeof(float) * sn_conv3_packed_floats(c, i, o);
    if (ret_fwd)
        memset(ret_fwd, 0, bytes);
    if (ret_bwd)
        memset(ret_bwd, 0, bytes);
    for (int at_o = 0; at_o < o; at_o += b)
        for (int at_i = 0; at_i < i; at_i += b) {
            const float *from = w + (size_t)at_o * row + (size_t)(at_i * TAPS);
            const int inputs = smaller(i - at_i, b);
            const int outputs = smaller(o - at_o, b);
            if (ret_fwd) {
                pack_block(b, inputs, outputs, from, row, b, 1, ret_fwd);
                ret_fwd += block;
            }
            if (ret_bwd) {
                pack_block(b, inputs, outputs, from, row, 1, b, ret_bwd);
                ret_bwd += block;
            }
        }
}

void sn_conv3_unpack_add(const struct sn_compute *c, int i, int o,
                         const float *packed, float *dw, int ld)
{
    const int b = c->kernels.block;
    const size_t row = (size_t)ld * TAPS, block = (size_t)(TAPS * b * b);
    for (int at_o = 0; at_o < o; at_o += b)
        for (int at_i = 0; at_i < i; at_i += b, packed += block) {
            float *to = dw + (size_t)at_o * row + (size_t)(at_i * TAPS);
            const int inputs = smaller(i - at_i, b);
            const int outputs = smaller(o - at_o, b);
            for (int y = 0; y < outputs; y++)
                for (int x = 0; x < inputs; x++)
                    for (int t = 0; t < TAPS; t++)
                        to[(size_t)y * row + (size_t)(x * TAPS + t)] +=
                            packed[(t * b + x) * b + y];
        }
}

void sn_conv3_forward(struct sn_cx *cx, const struct sn_conv3 *s,
                      const float *x, const float *packed_fwd, float *y)
{
    sn_primitives_forward3(cx, s, x, packed_fwd, y);
}

void sn_conv3_infer(struct sn_cx *cx, const struct sn_conv3 *s, const float *x,
                    const float *packed_fwd, const float *bias, bool relu,
                    float *y)
{
    sn_primitives_infer3(cx, s, x, packed_fwd, bias, relu, y);
}

void sn_conv3_backward_data(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *dy, const float *packed_bwd, float *dx)
{
    sn_primitives_data3(cx, s, dy, packed_bwd, dx);
}

void sn_conv3_backward_weights(struct sn_cx *cx, const struct sn_conv3 *s,
                               const float *x, const float *dy,
                               float *ret_packed_dw)
{
    sn_primitives_weights3(cx, s, x, dy, ret_packed_dw);
}
