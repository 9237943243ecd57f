/* sn_ref - the arithmetic of networks in plain double precision: what every
 * operator of engine/compute, and whole networks, are compared against.
 *
 * Written to be read, not to be fast: tensors are plain row-major [n][c][h][w]
 * doubles, weights as the formulas have them, outputs overwritten, nothing in
 * place. Pure functions, thread-safe; they allocate nothing that the caller
 * sees and abort when memory runs out (test code). The backward functions are
 * themselves checked by finite differences in test_reference.c.
 */
#ifndef SN_REFERENCE_H
#define SN_REFERENCE_H

#include <stdint.h>

enum sn_ref_act {
    SN_REF_NONE,
    SN_REF_RELU,
    SN_REF_HSWISH,   /* t * clamp(t + 3, 0, 6) / 6 */
    SN_REF_HSIGMOID, /* clamp(t + 3, 0, 6) / 6 */
    SN_REF_RELU6,    /* clamp(t, 0, 6) */
};
double sn_ref_act(enum sn_ref_act act, double t);
double sn_ref_act_slope(enum sn_ref_act act, double t);

/* ---- 1x1 convolution (a linear layer with hw = 1): w [o][i] ---- */
struct sn_ref_conv1 {
    int n, i, o, hw;
};
void sn_ref_conv1_forward(const struct sn_ref_conv1 *s, const double *x,
                          const double *w, double *y);
/* dx and dw may be NULL. */
void sn_ref_conv1_backward(const struct sn_ref_conv1 *s, const double *x,
                           const double *w, const double *dy, double *dx,
                           double *dw);

/* ---- k x k convolution, pad k/2 ----
 * Depthwise: i == o == groups, w [c][k][k]. Dense: groups == 1,
 * w [o][i][k][k]. Output planes are ceil(h / stride) x ceil(w / stride). */
struct sn_ref_conv {
    int n, i, o, h, w, k, stride;
    int depthwise; /* 0 or 1 */
};
int sn_ref_out(int size, int stride);
void sn_ref_conv_forward(const struct sn_ref_conv *s, const double *x,
                         const double *w, double *y);
/* dx and dw may be NULL. */
void sn_ref_conv_backward(const struct sn_ref_conv *s, const double *x,
                          const double *w, const double *dy, double *dx,
                          double *dw);

/* ---- batch normalisation over n and hw with activation after ---- */
struct sn_ref_bn {
    int n, c, hw;
    double eps;
    enum sn_ref_act act;
};
/* Batch statistics: mean [c] and biased variance [c]. */
void sn_ref_bn_statistics(const struct sn_ref_bn *s, const double *x,
                          double *mean, double *var);
/* y = act((x - mean) / sqrt(var + eps) * gamma + beta), any mean and var. */
void sn_ref_bn_apply(const struct sn_ref_bn *s, const double *x,
                     const double *mean, const double *var, const double *gamma,
                     const double *beta, double *y);
/* Through activation and batch statistics of x. */
void sn_ref_bn_backward(const struct sn_ref_bn *s, const double *x,
                        const double *gamma, const double *beta,
                        const double *dy, double *dx, double *dgamma,
                        double *dbeta);

/* ---- squeeze-and-excitation, pooling, vectors ---- */
/* pooled [n][c]: mean over the plane. */
void sn_ref_pool_forward(int n, int c, int hw, const double *x, double *pooled);
void sn_ref_pool_backward(int n, int c, int hw, const double *dpooled,
                          double *dx);
/* y = x * gate[n][c] */
void sn_ref_gate_forward(int n, int c, int hw, const double *x,
                         const double *gate, double *y);
void sn_ref_gate_backward(int n, int c, int hw, const double *x,
                          const double *gate, const double *dy, double *dx,
                          double *dgate);
/* [n][c]: y = act(x + bias); bias may be NULL. */
void sn_ref_bias_act_forward(int n, int c, const double *x, const double *bias,
                             enum sn_ref_act act, double *y);
/* dbias may be NULL. */
void sn_ref_bias_act_backward(int n, int c, const double *x, const double *bias,
                              enum sn_ref_act act, const double *dy, double *dx,
                              double *dbias);

/* ---- windows of stride 2 on [n][c][h][w], and the ReLU after a sum ----
 * side 3: the maximum with padding 1, its gradient to the first of equals;
 * side 2: the mean of what is inside the plane. */
struct sn_ref_window {
    int n, c, h, w, side;
};
void sn_ref_window_forward(const struct sn_ref_window *s, const double *x,
                           double *y);
void sn_ref_window_backward(const struct sn_ref_window *s, const double *x,
                            const double *dy, double *dx);
/* y = relu(a + b); g is the gradient of a and of b. */
void sn_ref_sum_relu_forward(long count, const double *a, const double *b,
                             double *y);
void sn_ref_sum_relu_backward(long count, const double *y, const double *dy,
                              double *g);

/* ---- loss ----
 * Sum over images of label_weight * CE(smoothed labels, softmax(logits)) +
 * kd_weight * CE(softmax(teacher), softmax(logits)); logits [n][classes].
 * Smoothed: 1 - smoothing + smoothing / classes for the label, smoothing /
 * classes for the others. teacher may be NULL when kd_weight is 0; dlogits
 * (of the sum) may be NULL. */
struct sn_ref_loss {
    int n, classes;
    double smoothing, label_weight, kd_weight;
};
double sn_ref_loss(const struct sn_ref_loss *s, const double *logits,
                   const int32_t *labels, const double *teacher,
                   double *dlogits);

/* |a - b| / |b| in L2 norm over count numbers; |a| when b is all zero. */
double sn_ref_distance(const double *a, const double *b, long count);

#endif
