/* The first half of a static block, depth first: 1x1 and depthwise with their
 * folded biases and activations, for inference.
 *
 * The expanded tensor is never stored. A strip is what a channel block of one
 * image needs: its plane between zero columns, so that rows need no edge cases
 * (rows above and below the plane are left out by their number):
 *
 *     x [in] --1x1, bias, act--> strips --k x k, bias, act--> y [mid]
 *                     0 0 x x x x 0 0
 *                     0 0 x x x x 0 0      k = 5
 *
 * Two channel blocks go together, since they share the loads of x. In the
 * depthwise loop a row of inputs is loaded once and meets all taps of its row:
 *
 *     input j   -> outputs j - kx (stride 1), (j - kx) / 2 (stride 2)
 */
#include <string.h>

#include "engine/compute/kernels.h"
#include "engine/compute/vec.h"

/* Pixels that the 1x1 keeps in registers, and columns of the depthwise. */
#if defined(__AVX512F__)
#define SN_PIXELS 12
#define SN_COLUMNS 8
#elif defined(__AVX2__)
#define SN_PIXELS 6
#define SN_COLUMNS 4
#else
#define SN_PIXELS 3
#define SN_COLUMNS 2
#endif
#define SN_MOST_TAPS 49

/* acts on n vecs, the kind known outside of the loop */
SN_INLINE void act_row(const int n, enum sn_cact act, vec *v)
{
#define SN_ACT_ROW(kind)                                            \
    case kind:                                                      \
        _Pragma("GCC unroll 16") for (int i = 0; i < n; i++) v[i] = \
            act_of(kind, v[i]);                                     \
        break
    switch (act) {
        SN_ACT_ROW(SN_CACT_RELU);
        SN_ACT_ROW(SN_CACT_HSWISH);
    default:
        break;
    }
}

/* ---- the 1x1 ---- */

struct expand {
    int in;
    ptrdiff_t x_block, w_block; /* floats a channel block */
    enum sn_cact act;
    const float *x, *w, *bias; /* of the first pixel, the first output block */
    float *strip;              /* where that pixel goes */
    ptrdiff_t strip_block;
};

SN_INLINE void expand_pixels(const int n, const int blocks,
                             const struct expand *e)
{
    vec a[SN_PIXELS], b[SN_PIXELS];
    vec bias0 = load(e->bias);
    vec bias1 = blocks == 2 ? load(e->bias + SN_B) : (vec){0};
#pragma GCC unroll 16
    for (int r = 0; r < n; r++) {
        a[r] = bias0;
        b[r] = bias1;
    }
    const float *x = e->x, *w = e->w;
    for (int left = e->in; left > 0; left -= SN_B) {
        int lanes = left < SN_B ? left : SN_B;
        for (int l = 0; l < lanes; l++) {
            vec u = load(w + l * SN_B);
            vec v = blocks == 2 ? load(w + e->w_block + l * SN_B) : (vec){0};
#pragma GCC unroll 16
            for (int r = 0; r < n; r++) {
                float s = x[r * SN_B + l];
                a[r] += s * u;
                if (blocks == 2)
                    b[r] += s * v;
            }
        }
        x += e->x_block;
        w += SN_B * SN_B;
    }
    act_row(n, e->act, a);
    if (blocks == 2)
        act_row(n, e->act, b);
#pragma GCC unroll 16
    for (int r = 0; r < n; r++) {
        store(e->strip + r * SN_B, a[r]);
        if (blocks == 2)
            store(e->strip + e->strip_block + r * SN_B, b[r]);
    }
}

#define SN_CASE(n, blocks)               \
    case n:                              \
        if (n <= SN_PIXELS)              \
            expand_pixels(n, blocks, e); \
        break

SN_INLINE void expand_any(const int blocks, int n, const struct expand *e)
{
    switch (n) {
        SN_CASE(1, blocks);
        SN_CASE(2, blocks);
        SN_CASE(3, blocks);
        SN_CASE(4, blocks);
        SN_CASE(5, blocks);
        SN_CASE(6, blocks);
        SN_CASE(7, blocks);
        SN_CASE(8, blocks);
        SN_CASE(9, blocks);
        SN_CASE(10, blocks);
        SN_CASE(11, blocks);
        SN_CASE(12, blocks);
    }
}
#undef SN_CASE

static void expand_one(int n, const struct expand *e)
{
    expand_any(1, n, e);
}

static void expand_two(int n, const struct expand *e)
{
    expand_any(2, n, e);
}

/* ---- the depthwise ---- */

struct depth {
    const float *strip; /* left zero column of row 0 */
    ptrdiff_t line;     /* floats a row of the strip */
    int rows;           /* of the strip */
    int k, out;         /* out x out outputs */
    const vec *w;       /* [k][k] */
    vec bias, sum;      /* sum: of all outputs */
    enum sn_cact act;
    float *y;
};

/* Adds input row `x` times the taps `w` to n outputs. */
SN_INLINE void meet(const int n, const int k, const int stride, const float *x,
                    const vec *w, vec *a)
{
    const int inputs = (n - 1) * stride + k;
#pragma GCC unroll 32
    for (int j = 0; j < inputs; j++) {
        vec v = load(x + j * SN_B);
#pragma GCC unroll 8
        for (int kx = 0; kx < k; kx++) {
            int at = j - kx;
            if (at >= 0 && at % stride == 0 && at / stride < n)
                a[at / stride] += v * w[kx];
        }
    }
}

/* `rows` rows of n outputs. */
SN_INLINE void depth_tile(const int rows, const int n, const int k,
                          const int stride, struct depth *d, int row,
                          int column)
{
    vec a[2][SN_COLUMNS];
#pragma GCC unroll 2
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int t = 0; t < n; t++)
            a[r][t] = d->bias;
    const int top = row * stride - k / 2;
    const float *x = d->strip + column * stride * SN_B;
    const int low = top < 0 ? -top : 0;
    const int past = d->rows - top < k + (rows - 1) * stride
                         ? d->rows - top
                         : k + (rows - 1) * stride;
    /* input rows in turn: each meets tap row ky of row 0, ky - stride of 1 */
    for (int ky = low; ky < past; ky++) {
        if (ky < k)
            meet(n, k, stride, x + (top + ky) * d->line, d->w + ky * k, a[0]);
        if (rows == 2 && ky >= stride)
            meet(n, k, stride, x + (top + ky) * d->line,
                 d->w + (ky - stride) * k, a[1]);
    }
    float *y = d->y + ((ptrdiff_t)row * d->out + column) * SN_B;
#pragma GCC unroll 2
    for (int r = 0; r < rows; r++) {
        act_row(n, d->act, a[r]);
#pragma GCC unroll 16
        for (int t = 0; t < n; t++) {
            store(y + ((ptrdiff_t)r * d->out + t) * SN_B, a[r][t]);
            d->sum += a[r][t];
        }
    }
}

#define SN_CASE(t)                                      \
    case t:                                             \
        if (t <= SN_COLUMNS)                            \
            depth_tile(rows, t, k, stride, d, row, at); \
        break

SN_INLINE void depth_rows(const int rows, const int k, const int stride,
                          struct depth *d, int row)
{
    const int tiles = (d->out + SN_COLUMNS - 1) / SN_COLUMNS;
    for (int i = 0, at = 0; i < tiles; i++) {
        int n = (d->out - at + tiles - i - 1) / (tiles - i);
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
        at += n;
    }
}

SN_INLINE void depth_plane(const int k, const int stride, struct depth *d)
{
    int row = 0;
    for (; row + 2 <= d->out; row += 2)
        depth_rows(2, k, stride, d, row);
    if (row < d->out)
        depth_rows(1, k, stride, d, row);
}

#define SN_DEPTH(k, stride)                           \
    static void depth_##k##_##stride(struct depth *d) \
    {                                                 \
        depth_plane(k, stride, d);                    \
    }
SN_DEPTH(3, 1)
SN_DEPTH(5, 1)
SN_DEPTH(7, 1)
SN_DEPTH(3, 2)
SN_DEPTH(5, 2)
SN_DEPTH(7, 2)

static void run_depth(int stride, struct depth *d)
{
    static void (*const table[2][8])(struct depth *) = {
        {[3] = depth_3_1, [5] = depth_5_1, [7] = depth_7_1},
        {[3] = depth_3_2, [5] = depth_5_2, [7] = depth_7_2},
    };
    table[stride - 1][d->k](d);
}

/* ---- both ---- */

static ptrdiff_t line_of(const struct sn_half_block *s)
{
    return (ptrdiff_t)(s->size + 2 * (s->k / 2)) * SN_B;
}

static size_t half_block_scratch(const struct sn_half_block *s)
{
    return 2 * (size_t)s->size * (size_t)line_of(s);
}

/* Channel blocks [c, c + blocks) of image n into the strips. */
static void fill_strips(const struct sn_half_block *s, int n, int c, int blocks,
                        float *strip)
{
    const ptrdiff_t plane = (ptrdiff_t)s->size * s->size * SN_B;
    const ptrdiff_t line = line_of(s), block = s->size * line;
    const int ib = blocks_of(s->in);
    const int tiles = (s->size + SN_PIXELS - 1) / SN_PIXELS;
    struct expand e = {
        .in = s->in,
        .x_block = plane,
        .w_block = (ptrdiff_t)ib * SN_B * SN_B,
        .act = s->act,
        .strip_block = block,
    };
    strip += s->k / 2 * SN_B;
    if (!s->expand_w) {
        for (int b = 0; b < blocks; b++)
            for (int row = 0; row < s->size; row++)
                memcpy(strip + b * block + row * line,
                       s->x + ((ptrdiff_t)n * ib + c + b) * plane +
                           (ptrdiff_t)row * s->size * SN_B,
                       sizeof(float) * s->size * SN_B);
        return;
    }
    e.w = s->expand_w + c * e.w_block;
    e.bias = s->expand_bias + c * SN_B;
    for (int row = 0; row < s->size; row++)
        for (int i = 0, at = 0; i < tiles; i++) {
            int pixels = (s->size - at + tiles - i - 1) / (tiles - i);
            e.x =
                s->x + n * ib * plane + ((ptrdiff_t)row * s->size + at) * SN_B;
            e.strip = strip + row * line + at * SN_B;
            (blocks == 2 ? expand_two : expand_one)(pixels, &e);
            at += pixels;
        }
}

static void half_block(const struct sn_half_block *s, float *scratch)
{
    const int cb = blocks_of(s->mid), cp = cb * SN_B;
    const int out = (s->size + s->stride - 1) / s->stride;
    const ptrdiff_t y_plane = (ptrdiff_t)out * out * SN_B;
    const ptrdiff_t block = s->size * line_of(s);
    memset(scratch, 0, sizeof(float) * half_block_scratch(s));
    for (int c = 0; c < cb; c += 2) {
        const int blocks = c + 1 < cb ? 2 : 1;
        vec w[2][SN_MOST_TAPS];
        for (int b = 0; b < blocks; b++)
            for (int t = 0; t < s->k * s->k; t++)
                w[b][t] = load(s->depth_w + t * cp + (c + b) * SN_B);
        for (int n = 0; n < s->n; n++) {
            fill_strips(s, n, c, blocks, scratch);
            for (int b = 0; b < blocks; b++) {
                struct depth d = {
                    .strip = scratch + b * block,
                    .line = line_of(s),
                    .rows = s->size,
                    .k = s->k,
                    .out = out,
                    .w = w[b],
                    .bias = load(s->depth_bias + (c + b) * SN_B),
                    .act = s->act,
                    .y = s->y + ((ptrdiff_t)n * cb + c + b) * y_plane,
                };
                run_depth(s->stride, &d);
                if (s->pooled)
                    store(s->pooled + ((ptrdiff_t)n * cb + c + b) * SN_B,
                          d.sum * (1.0f / (out * out)));
            }
        }
    }
}

void SN_KERNEL(sn_kernels_block)(struct sn_kernels *k)
{
    k->half_block_scratch = half_block_scratch;
    k->half_block = half_block;
}
