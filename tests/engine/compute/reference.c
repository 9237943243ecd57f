/* The formulas, as they are written in books. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/compute/reference.h"

static double *numbers(long count)
{
    double *p = calloc((size_t)(count > 0 ? count : 1), sizeof(*p));
    if (!p) {
        fprintf(stderr, "reference: out of memory\n");
        abort();
    }
    return p;
}

static double clamp6(double t)
{
    return t < 0 ? 0 : t > 6 ? 6 : t;
}

double sn_ref_act(enum sn_ref_act act, double t)
{
    switch (act) {
    case SN_REF_RELU:
        return t > 0 ? t : 0;
    case SN_REF_HSWISH:
        return t * clamp6(t + 3) / 6;
    case SN_REF_HSIGMOID:
        return clamp6(t + 3) / 6;
    case SN_REF_RELU6:
        return clamp6(t);
    default:
        return t;
    }
}

double sn_ref_act_slope(enum sn_ref_act act, double t)
{
    switch (act) {
    case SN_REF_RELU:
        return t > 0;
    case SN_REF_HSWISH:
        return t <= -3 ? 0 : t >= 3 ? 1 : (2 * t + 3) / 6;
    case SN_REF_HSIGMOID:
        return t > -3 && t < 3 ? 1.0 / 6 : 0;
    case SN_REF_RELU6:
        return t > 0 && t < 6;
    default:
        return 1;
    }
}

void sn_ref_conv1_forward(const struct sn_ref_conv1 *s, const double *x,
                          const double *w, double *y)
{
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->o; o++)
            for (int p = 0; p < s->hw; p++) {
                double sum = 0;
                for (int i = 0; i < s->i; i++)
                    sum += x[((long)n * s->i + i) * s->hw + p] *
                           w[(long)o * s->i + i];
                y[((long)n * s->o + o) * s->hw + p] = sum;
            }
}

void sn_ref_conv1_backward(const struct sn_ref_conv1 *s, const double *x,
                           const double *w, const double *dy, double *dx,
                           double *dw)
{
    if (dx)
        memset(dx, 0, sizeof(double) * s->n * s->i * s->hw);
    if (dw)
        memset(dw, 0, sizeof(double) * s->o * s->i);
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->o; o++)
            for (int i = 0; i < s->i; i++)
                for (int p = 0; p < s->hw; p++) {
                    double d = dy[((long)n * s->o + o) * s->hw + p];
                    long at = ((long)n * s->i + i) * s->hw + p;
                    if (dx)
                        dx[at] += d * w[(long)o * s->i + i];
                    if (dw)
                        dw[(long)o * s->i + i] += d * x[at];
                }
}

int sn_ref_out(int size, int stride)
{
    return (size + stride - 1) / stride;
}

/* Calls for every product of the convolution, at indices into x, w and y. */
struct product {
    long x, w, y;
};

typedef void (*product_fn)(void *arg, struct product p);

static void each_output(const struct sn_ref_conv *s, int n, int o, int i,
                        product_fn fn, void *arg)
{
    const int oh = sn_ref_out(s->h, s->stride);
    const int ow = sn_ref_out(s->w, s->stride);
    const int pad = s->k / 2;
    const long kernel = s->depthwise ? o * (long)s->k * s->k
                                     : ((long)o * s->i + i) * s->k * s->k;
    for (int t = 0; t < s->k * s->k; t++)
        for (int p = 0; p < oh * ow; p++) {
            int iy = p / ow * s->stride + t / s->k - pad;
            int ix = p % ow * s->stride + t % s->k - pad;
            if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w)
                continue;
            fn(arg, (struct product){
                        .x = (((long)n * s->i + i) * s->h + iy) * s->w + ix,
                        .w = kernel + t,
                        .y = ((long)n * s->o + o) * oh * ow + p,
                    });
        }
}

static void each_product(const struct sn_ref_conv *s, product_fn fn, void *arg)
{
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->o; o++)
            for (int i = 0; i < s->i; i++)
                if (!s->depthwise || i == o)
                    each_output(s, n, o, i, fn, arg);
}

struct conv {
    const double *x, *w, *dy;
    double *y, *dx, *dw;
};

static void forward_product(void *arg, struct product p)
{
    struct conv *c = arg;
    c->y[p.y] += c->x[p.x] * c->w[p.w];
}

static void backward_product(void *arg, struct product p)
{
    struct conv *c = arg;
    if (c->dx)
        c->dx[p.x] += c->dy[p.y] * c->w[p.w];
    if (c->dw)
        c->dw[p.w] += c->dy[p.y] * c->x[p.x];
}

void sn_ref_conv_forward(const struct sn_ref_conv *s, const double *x,
                         const double *w, double *y)
{
    struct conv c = {.x = x, .w = w, .y = y};
    memset(y, 0,
           sizeof(double) * s->n * s->o * sn_ref_out(s->h, s->stride) *
               sn_ref_out(s->w, s->stride));
    each_product(s, forward_product, &c);
}

void sn_ref_conv_backward(const struct sn_ref_conv *s, const double *x,
                          const double *w, const double *dy, double *dx,
                          double *dw)
{
    struct conv c = {.x = x, .w = w, .dy = dy, .dx = dx, .dw = dw};
    if (dx)
        memset(dx, 0, sizeof(double) * s->n * s->i * s->h * s->w);
    if (dw)
        memset(dw, 0,
               sizeof(double) * s->o * (s->depthwise ? 1 : s->i) * s->k * s->k);
    each_product(s, backward_product, &c);
}

void sn_ref_bn_statistics(const struct sn_ref_bn *s, const double *x,
                          double *mean, double *var)
{
    const double count = (double)s->n * s->hw;
    for (int c = 0; c < s->c; c++) {
        double sum = 0, square = 0;
        for (int n = 0; n < s->n; n++)
            for (int p = 0; p < s->hw; p++)
                sum += x[((long)n * s->c + c) * s->hw + p];
        mean[c] = sum / count;
        for (int n = 0; n < s->n; n++)
            for (int p = 0; p < s->hw; p++) {
                double d = x[((long)n * s->c + c) * s->hw + p] - mean[c];
                square += d * d;
            }
        var[c] = square / count;
    }
}

void sn_ref_bn_apply(const struct sn_ref_bn *s, const double *x,
                     const double *mean, const double *var, const double *gamma,
                     const double *beta, double *y)
{
    for (long at = 0; at < (long)s->n * s->c * s->hw; at++) {
        int c = (int)(at / s->hw % s->c);
        double hat = (x[at] - mean[c]) / sqrt(var[c] + s->eps);
        y[at] = sn_ref_act(s->act, hat * gamma[c] + beta[c]);
    }
}

void sn_ref_bn_backward(const struct sn_ref_bn *s, const double *x,
                        const double *gamma, const double *beta,
                        const double *dy, double *dx, double *dgamma,
                        double *dbeta)
{
    const long all = (long)s->n * s->c * s->hw;
    const double count = (double)s->n * s->hw;
    double *mean = numbers(s->c), *var = numbers(s->c);
    sn_ref_bn_statistics(s, x, mean, var);
    memset(dgamma, 0, sizeof(double) * s->c);
    memset(dbeta, 0, sizeof(double) * s->c);
    for (long at = 0; at < all; at++) {
        int c = (int)(at / s->hw % s->c);
        double hat = (x[at] - mean[c]) / sqrt(var[c] + s->eps);
        double g = dy[at] * sn_ref_act_slope(s->act, hat * gamma[c] + beta[c]);
        dx[at] = g;
        dgamma[c] += g * hat;
        dbeta[c] += g;
    }
    for (long at = 0; at < all; at++) {
        int c = (int)(at / s->hw % s->c);
        double rstd = 1 / sqrt(var[c] + s->eps);
        double hat = (x[at] - mean[c]) * rstd;
        dx[at] = gamma[c] * rstd *
                 (dx[at] - dbeta[c] / count - hat * dgamma[c] / count);
    }
    free(mean);
    free(var);
}

void sn_ref_pool_forward(int n, int c, int hw, const double *x, double *pooled)
{
    for (long v = 0; v < (long)n * c; v++) {
        pooled[v] = 0;
        for (int p = 0; p < hw; p++)
            pooled[v] += x[v * hw + p] / hw;
    }
}

void sn_ref_pool_backward(int n, int c, int hw, const double *dpooled,
                          double *dx)
{
    for (long at = 0; at < (long)n * c * hw; at++)
        dx[at] = dpooled[at / hw] / hw;
}

void sn_ref_gate_forward(int n, int c, int hw, const double *x,
                         const double *gate, double *y)
{
    for (long at = 0; at < (long)n * c * hw; at++)
        y[at] = x[at] * gate[at / hw];
}

void sn_ref_gate_backward(int n, int c, int hw, const double *x,
                          const double *gate, const double *dy, double *dx,
                          double *dgate)
{
    memset(dgate, 0, sizeof(double) * n * c);
    for (long at = 0; at < (long)n * c * hw; at++) {
        dx[at] = dy[at] * gate[at / hw];
        dgate[at / hw] += dy[at] * x[at];
    }
}

void sn_ref_bias_act_forward(int n, int c, const double *x, const double *bias,
                             enum sn_ref_act act, double *y)
{
    for (long at = 0; at < (long)n * c; at++)
        y[at] = sn_ref_act(act, x[at] + (bias ? bias[at % c] : 0));
}

void sn_ref_bias_act_backward(int n, int c, const double *x, const double *bias,
                              enum sn_ref_act act, const double *dy, double *dx,
                              double *dbias)
{
    if (dbias)
        memset(dbias, 0, sizeof(double) * c);
    for (long at = 0; at < (long)n * c; at++) {
        double t = x[at] + (bias ? bias[at % c] : 0);
        dx[at] = dy[at] * sn_ref_act_slope(act, t);
        if (dbias)
            dbias[at % c] += dx[at];
    }
}

static void log_softmax(const double *x, int classes, double *ret)
{
    double top = x[0], sum = 0;
    for (int i = 1; i < classes; i++)
        top = x[i] > top ? x[i] : top;
    for (int i = 0; i < classes; i++)
        sum += exp(x[i] - top);
    for (int i = 0; i < classes; i++)
        ret[i] = x[i] - top - log(sum);
}

/* The pixels of one window: how many, where, and the largest of them. */
struct seen {
    int count, largest;
    long at[9];
};

static struct seen see(const struct sn_ref_window *s, const double *x, long y)
{
    const int ow = sn_ref_out(s->w, 2), oh = sn_ref_out(s->h, 2);
    const int pad = s->side == 3;
    const int top = (int)(y / ow % oh) * 2 - pad,
              left = (int)(y % ow) * 2 - pad;
    struct seen seen = {0};
    for (int r = top; r < top + s->side; r++)
        for (int c = left; c < left + s->side; c++) {
            long at = (y / ow / oh * s->h + r) * s->w + c;
            if (r < 0 || r >= s->h || c < 0 || c >= s->w)
                continue;
            seen.at[seen.count] = at;
            if (x && x[at] > x[seen.at[seen.largest]])
                seen.largest = seen.count;
            seen.count++;
        }
    return seen;
}

static long windows(const struct sn_ref_window *s)
{
    return (long)s->n * s->c * sn_ref_out(s->h, 2) * sn_ref_out(s->w, 2);
}

void sn_ref_window_forward(const struct sn_ref_window *s, const double *x,
                           double *y)
{
    for (long i = 0; i < windows(s); i++) {
        struct seen seen = see(s, x, i);
        y[i] = s->side == 3 ? x[seen.at[seen.largest]] : 0;
        for (int p = 0; s->side == 2 && p < seen.count; p++)
            y[i] += x[seen.at[p]] / seen.count;
    }
}

void sn_ref_window_backward(const struct sn_ref_window *s, const double *x,
                            const double *dy, double *dx)
{
    memset(dx, 0, sizeof(double) * (size_t)(s->n * s->c * s->h * s->w));
    for (long i = 0; i < windows(s); i++) {
        struct seen seen = see(s, x, i);
        if (s->side == 3)
            dx[seen.at[seen.largest]] += dy[i];
        for (int p = 0; s->side == 2 && p < seen.count; p++)
            dx[seen.at[p]] += dy[i] / seen.count;
    }
}

void sn_ref_sum_relu_forward(long count, const double *a, const double *b,
                             double *y)
{
    for (long i = 0; i < count; i++)
        y[i] = a[i] + b[i] > 0 ? a[i] + b[i] : 0;
}

void sn_ref_sum_relu_backward(long count, const double *y, const double *dy,
                              double *g)
{
    for (long i = 0; i < count; i++)
        g[i] = y[i] > 0 ? dy[i] : 0;
}

double sn_ref_loss(const struct sn_ref_loss *s, const double *logits,
                   const int32_t *labels, const double *teacher,
                   double *dlogits)
{
    double *own = numbers(s->classes), *other = numbers(s->classes);
    double loss = 0;
    for (int n = 0; n < s->n; n++) {
        const long at = (long)n * s->classes;
        log_softmax(logits + at, s->classes, own);
        if (teacher)
            log_softmax(teacher + at, s->classes, other);
        for (int i = 0; i < s->classes; i++) {
            double smoothed = s->smoothing / s->classes +
                              (i == labels[n] ? 1 - s->smoothing : 0);
            double soft = teacher ? exp(other[i]) : 0;
            loss -= (s->label_weight * smoothed + s->kd_weight * soft) * own[i];
            if (dlogits)
                dlogits[at + i] =
                    s->label_weight * (exp(own[i]) - smoothed) +
                    (teacher ? s->kd_weight * (exp(own[i]) - soft) : 0);
        }
    }
    free(own);
    free(other);
    return loss;
}

double sn_ref_distance(const double *a, const double *b, long count)
{
    double off = 0, size = 0;
    for (long i = 0; i < count; i++) {
        off += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return size > 0 ? sqrt(off / size) : sqrt(off);
}
