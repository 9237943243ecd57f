/* sn_compute - the arithmetic of networks: oneDNN and our own kernels behind
 * one table of operators on blocked tensors.
 *
 * Layout: activations are [n][C/B][h][w][B] (oneDNN's nChw16c or nChw8c),
 * B = sn_compute_block(), from the ISA. C is rounded up to B; padded channels
 * hold zeros and stay zero. A vector per image is the same with h = w = 1, so
 * [n][Cp]. All pointers are 64-byte aligned.
 *
 * Storage: a shape says whether the tensors of an operator are floats or, for
 * training, bfloat16 (`store`; those are the pointers to void). Weights, their
 * gradients, statistics, vectors and everything accumulated are floats always;
 * a value is rounded to nearest even when it is stored, or becomes an operand
 * of a 1x1 product.
 *
 *   sn_compute  one a process or job: ISA, table of kernels, primitive cache
 *   sn_cx       one a thread: stream, scratch; never shared
 *   sn_pool     W worker threads, each with its own sn_cx
 *
 * Primitives are created when first needed and kept by shape; after the first
 * steps nothing here allocates.
 */
#ifndef SN_COMPUTE_H
#define SN_COMPUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_compute; /* opaque, thread-safe */
struct sn_cx;      /* opaque, one thread at a time */
struct sn_pool;    /* opaque */

/* isa: NULL or "auto" picks by cpuid (SPARSENAS_ISA overrides), else
 * "avx512", "avx2", "portable"; SN_ERR_UNSUPPORTED if the CPU lacks it. */
enum sn_err sn_compute_new(const char *isa, struct sn_compute **ret,
                           struct sn_error *err);
void sn_compute_free(struct sn_compute *compute);
const char *sn_compute_isa(const struct sn_compute *compute);
int sn_compute_block(const struct sn_compute *compute); /* B */
/* The library underneath and its version as linked: "oneDNN 2.6.3". */
const char *sn_compute_runtime(const struct sn_compute *compute);
/* Primitives made so far, by all threads. */
size_t sn_compute_primitives(const struct sn_compute *compute);

/* How tensors lie in memory. */
enum sn_store { SN_STORE_F32, SN_STORE_BF16 };
/* Whether there are kernels for it: bf16 takes a CPU with AVX512-BF16 and the
 * avx512 kernels. */
bool sn_compute_stores(const struct sn_compute *compute, enum sn_store store);
/* The same of the compute that sn_compute_new(NULL, ...) would give. */
bool sn_compute_cpu_stores(enum sn_store store);
/* c rounded up to B. */
int sn_compute_padded(const struct sn_compute *compute, int c);

/* Sets OpenMP to one thread for the calling thread. */
enum sn_err sn_cx_new(struct sn_compute *compute, struct sn_cx **ret,
                      struct sn_error *err);
void sn_cx_free(struct sn_cx *cx);
struct sn_compute *sn_cx_compute(const struct sn_cx *cx); /* borrowed */
/* The first failure of an operator on this cx since the last call (oneDNN out
 * of memory, an unknown shape); operators themselves return nothing. */
enum sn_err sn_cx_take_error(struct sn_cx *cx, struct sn_error *err);

/* ---- workers ---- */

/* One task of sn_pool_run: `task` from 0; `worker` says whose cx it is. */
typedef void (*sn_task_fn)(void *arg, uint32_t task, int worker,
                           struct sn_cx *cx);
/* n_workers threads, each pinned to a core where it can, niced. */
enum sn_err sn_pool_new(struct sn_compute *compute, int n_workers,
                        struct sn_pool **ret, struct sn_error *err);
void sn_pool_free(struct sn_pool *pool);
int sn_pool_workers(const struct sn_pool *pool);
/* Workers take tasks as they become free; returns when all are done, with the
 * first operator error. No allocation. One caller at a time. */
enum sn_err sn_pool_run(struct sn_pool *pool, uint32_t n_tasks, sn_task_fn fn,
                        void *arg, struct sn_error *err);

/* ---- arena: one aligned block, bump-allocated, reset by mark ---- */
struct sn_arena {
    char *base;
    size_t size, used, peak;
};
enum sn_err sn_arena_init(struct sn_arena *arena, size_t bytes,
                          struct sn_error *err);
void sn_arena_close(struct sn_arena *arena);
/* n floats, 64-byte aligned, not zeroed. Running out is a programming error
 * (the arena is sized from the largest network): it aborts with a message. */
float *sn_arena_floats(struct sn_arena *arena, size_t n);
/* Floats that an allocation of n really takes (for sizing). */
size_t sn_arena_round(size_t n);

/* ---- 1x1 convolutions, and linear layers with h = w = 1 ----
 * Plain weights are row-major [o][ld] (ld >= i: a slice of a wider matrix). */
struct sn_conv1 {
    int n, i, o, h, w;   /* images, channels in and out (unpadded), plane */
    enum sn_store store; /* bf16: for the fused passes only */
};
size_t sn_conv1_packed_floats(const struct sn_compute *c, int i, int o);
/* Packs for forward and for data gradient (either may be NULL). */
void sn_conv1_pack(const struct sn_compute *c, int i, int o, const float *w,
                   int ld, float *ret_fwd, float *ret_bwd);
/* dw[o][ld] += packed gradient. */
void sn_conv1_unpack_add(const struct sn_compute *c, int i, int o,
                         const float *packed, float *dw, int ld);
/* x [n,i,h,w] -> y [n,o,h,w] */
void sn_conv1_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                      const float *x, const float *packed_fwd, float *y);
/* For inference: y = act(conv(x) + bias[op]) (+ residual, added after: only
 * with act none). bias padded to B; residual may be NULL. act: enum sn_cact. */
enum sn_cact {
    SN_CACT_NONE,
    SN_CACT_RELU,
    SN_CACT_HSWISH,
    SN_CACT_HSIGMOID,
    SN_CACT_RELU6 /* clamp(t, 0, 6) */
};
void sn_conv1_infer(struct sn_cx *cx, const struct sn_conv1 *s, const float *x,
                    const float *packed_fwd, const float *bias,
                    enum sn_cact act, const float *residual, float *y);
/* dy -> dx (overwrites). */
void sn_conv1_backward_data(struct sn_cx *cx, const struct sn_conv1 *s,
                            const float *dy, const float *packed_bwd,
                            float *dx);
/* packed dw (overwrites). */
void sn_conv1_backward_weights(struct sn_cx *cx, const struct sn_conv1 *s,
                               const float *x, const float *dy,
                               float *ret_packed_dw);

/* ---- the stem: 3x3, pad 1, from plain [n][i][h][w] images, i = 1 or 3 ---- */
struct sn_stem {
    int n, i, o, h, w, stride;
    enum sn_store store; /* of y and dy */
};
size_t sn_stem_packed_floats(const struct sn_compute *c,
                             const struct sn_stem *s);
void sn_stem_pack(const struct sn_compute *c, const struct sn_stem *s,
                  const float *w /* [o][i][3][3] */, float *ret_packed);
void sn_stem_forward(struct sn_cx *cx, const struct sn_stem *s, const float *x,
                     const float *packed, void *y);
void sn_stem_infer(struct sn_cx *cx, const struct sn_stem *s, const float *x,
                   const float *packed, const float *bias, enum sn_cact act,
                   float *y);
void sn_stem_backward_weights(struct sn_cx *cx, const struct sn_stem *s,
                              const float *x, const void *dy,
                              float *dw /* plain, += */);

/* ---- dense 3x3 convolutions, pad 1, stride 1 or 2, blocked in and out ----
 * Outputs are ceil(h / stride) x ceil(w / stride). Plain weights are
 * [o][ld][3][3], of which the first i <= ld inputs count. */
struct sn_conv3 {
    int n, i, o, h, w, stride; /* h, w: the input's */
};
size_t sn_conv3_packed_floats(const struct sn_compute *c, int i, int o);
/* Packs for forward and for data gradient (either may be NULL). */
void sn_conv3_pack(const struct sn_compute *c, int i, int o, const float *w,
                   int ld, float *ret_fwd, float *ret_bwd);
/* dw[o][ld][3][3] += packed gradient. */
void sn_conv3_unpack_add(const struct sn_compute *c, int i, int o,
                         const float *packed, float *dw, int ld);
void sn_conv3_forward(struct sn_cx *cx, const struct sn_conv3 *s,
                      const float *x, const float *packed_fwd, float *y);
/* y = conv(x) + bias, then a ReLU where `relu`. bias padded to B. */
void sn_conv3_infer(struct sn_cx *cx, const struct sn_conv3 *s, const float *x,
                    const float *packed_fwd, const float *bias, bool relu,
                    float *y);
/* dy -> dx, x and dy -> packed dw (both overwrite). */
void sn_conv3_backward_data(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *dy, const float *packed_bwd,
                            float *dx);
void sn_conv3_backward_weights(struct sn_cx *cx, const struct sn_conv3 *s,
                               const float *x, const float *dy,
                               float *ret_packed_dw);

/* ---- windows of stride 2, on planes h x w -> ceil(h/2) x ceil(w/2) ----
 * The maximum of 3x3 with padding 1, and the mean of 2x2, both of what is
 * inside the plane. A maximum's gradient goes to the first of equals. */
struct sn_window {
    int n, c, h, w; /* the input's */
};
void sn_max_window_forward(struct sn_cx *cx, const struct sn_window *s,
                           const float *x, float *y);
void sn_max_window_backward(struct sn_cx *cx, const struct sn_window *s,
                            const float *x, const float *dy, float *dx);
void sn_mean_window_forward(struct sn_cx *cx, const struct sn_window *s,
                            const float *x, float *y);
void sn_mean_window_backward(struct sn_cx *cx, const struct sn_window *s,
                             const float *dy, float *dx);

/* ---- depthwise k x k, pad k/2, stride 1 or 2 (backward: fused passes) ----
 * The input is used as act(x * scale[c] + shift[c]) when scale is not NULL
 * (the BN before it, folded into the load); weights are tap-major packed
 * [k*k][Cp]. */
struct sn_dw {
    int n, c, h, w, k, stride; /* h, w: the input's */
    enum sn_store store;
};
void sn_dw_pack(const struct sn_compute *comp, int c, int k,
                const float *w /* [c][k*k] */, float *ret_packed);
void sn_dw_unpack_add(const struct sn_compute *comp, int c, int k,
                      const float *packed, float *dw /* [c][k*k] */);
/* ret_sums: NULL, or the same as sn_bn_sums of y. */
void sn_dw_forward(struct sn_cx *cx, const struct sn_dw *s, const void *x,
                   const float *scale, const float *shift, enum sn_cact in_act,
                   const float *packed, void *y, float *ret_sums);
/* ---- the first half of a block, for inference ----
 * y = act(depthwise(act(conv(x) + expand_bias)) + depth_bias), square planes;
 * the tensor between is never stored. expand_w NULL: the depthwise takes x
 * itself (in == mid). act: none, ReLU or h-swish (which keep zero padding). */
struct sn_half_block {
    int n, in, mid, size, k, stride; /* size: the input's */
    enum sn_cact act;
    const float *x; /* [n, in, size, size] */
    const float *expand_w, *expand_bias;
    const float *depth_w, *depth_bias;
    float *y; /* [n, mid, out, out] */
};
void sn_half_block_infer(struct sn_cx *cx, const struct sn_half_block *s);

/* ---- batch normalisation with activation, over a shard ----
 * A BN is its affine form y = act(x * scale + shift), scale = gamma * rstd,
 * shift = beta - mean * scale. */
struct sn_plane {
    int n, c, hw;
    enum sn_store store;
};
/* [2][Cp]: sum, and sum of squared deviations from the mean, over n and hw
 * (deviations, since the squares themselves lose the variance in single
 * precision where the mean is large; sn_bn_finish takes these). */
void sn_bn_sums(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                float *ret_sums);
/* From sums to mean, biased variance's rstd = 1/sqrt(var + eps), scale and
 * shift; all [Cp]; padded gamma must be 0. */
void sn_bn_finish(struct sn_cx *cx, const struct sn_plane *s, const float *sums,
                  const float *gamma, const float *beta, float eps,
                  float *ret_mean, float *ret_rstd, float *ret_scale,
                  float *ret_shift);
/* y = act(x * scale + shift) * gate[n][c] + residual; gate and residual may be
 * NULL; y may be x. */
void sn_bn_apply(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                 const float *scale, const float *shift, enum sn_cact act,
                 const float *gate, const void *residual, void *y);
/* y = relu(x * scale + shift + other): a bottleneck's end. other is taken as it
 * is, or as other * other_scale + other_shift where these are not NULL. */
void sn_sum_relu(struct sn_cx *cx, const struct sn_plane *s, const float *x,
                 const float *scale, const float *shift, const float *other,
                 const float *other_scale, const float *other_shift, float *y);
/* Over count floats: y = relu(y); dx = dy where y > 0, else 0 (may be dy). */
void sn_relu(struct sn_cx *cx, size_t count, float *y);
void sn_relu_backward(struct sn_cx *cx, size_t count, const float *y,
                      const float *dy, float *dx);
/* Gradient through act and BN. dy is the gradient after the activation; with
 * gate and dpool not NULL it is first replaced by dy * gate[n][c] +
 * dpool[n][c] / hw (the SE's backward, spread over the plane).
 * Writes dx (may be dy), and [Cp] dgamma, dbeta (overwritten). */
void sn_bn_backward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                    const float *mean, const float *rstd, const float *gamma,
                    const float *beta, enum sn_cact act, const float *gate,
                    const float *dpool, const void *dy, void *dx,
                    float *ret_dgamma, float *ret_dbeta);

/* ---- fused passes of a training step ----
 * Operators whose operands are made as they are read and whose results go on
 * while they are in the cache: an expanded tensor is stored raw once and never
 * activated in memory, and so is its gradient.
 *
 *   forward                              backward
 *   source -> conv1 -> raw, sums         raw gradient -> conv1 -> dw, dx
 *   raw -> BN, act -> dw -> raw, sums    raw gradient -> dw -> dw, dx * act'
 */

/* A tensor as an operator reads it: act(u * scale[c] + shift[c]) *
 * gate[n][c] + residual. scale (with shift), gate and residual may be NULL.
 * All borrowed. */
struct sn_source {
    const void *u;
    const float *scale, *shift;
    enum sn_cact act;
    const float *gate;
    const void *residual;
};
/* The gradient of a raw tensor x through its BN, as an operator reads it:
 * p[c] * g + q[c] * x + r[c], g being the gradient of the BN's output;
 * [3][Cp] p, q, r by sn_bn_gradient. p NULL: g itself. */
struct sn_gradient {
    const void *g, *x;
    const float *p, *q, *r;
};
/* y = conv(source), and its sums as of sn_bn_sums. ret_in: NULL, or where the
 * source itself is written. y may be none of the operands. */
void sn_conv1_forward_fused(struct sn_cx *cx, const struct sn_conv1 *s,
                            const struct sn_source *in, const float *packed_fwd,
                            void *ret_in, void *y, float *ret_sums);
/* What becomes of the data gradient d of a fused backward:
 *   dx = d + add                                       (add may be NULL)
 *   dx = d * act'(t), t = u * scale + shift of the source, if `through`; and
 *        sums[2][Cp]: of dx, and of dx * (u - mean)    (neither if NULL) */
struct sn_sink {
    void *dx;
    const void *add;
    bool through;
    const float *mean;
    float *ret_sums;
};
/* Weight gradient (packed, overwritten) and data gradient in one pass. With
 * `through` the source has no gate and no residual. */
void sn_conv1_backward_fused(struct sn_cx *cx, const struct sn_conv1 *s,
                             const struct sn_source *in,
                             const struct sn_gradient *dy,
                             const float *packed_bwd, const struct sn_sink *out,
                             float *ret_packed_dw);
/* The same of a depthwise convolution. */
void sn_dw_backward_fused(struct sn_cx *cx, const struct sn_dw *s,
                          const struct sn_source *in,
                          const struct sn_gradient *dy, const float *packed,
                          const struct sn_sink *out, float *ret_packed_dw);
/* The gradient of a BN's output before its activation, g = (dy * gate[n][c] +
 * dpool[n][c] / hw) * act'(x * scale + shift), gate and dpool both or neither,
 * into ret_g (NULL: only the sums; may be dy), and its sums[2][Cp]: of g, and
 * of g * (x - mean). */
void sn_bn_backward_sums(struct sn_cx *cx, const struct sn_plane *s,
                         const void *x, const float *mean, const float *scale,
                         const float *shift, enum sn_cact act,
                         const float *gate, const float *dpool, const void *dy,
                         void *ret_g, float *ret_sums);
/* From those sums: dgamma, dbeta [Cp], and [3][Cp] p, q, r of sn_gradient:
 * dx = gamma * rstd * (g - dbeta / N - xhat * dgamma / N) (Ioffe and Szegedy,
 * 2015), N = n * hw. */
void sn_bn_gradient(struct sn_cx *cx, const struct sn_plane *s,
                    const float *sums, const float *mean, const float *rstd,
                    const float *gamma, float *ret_dgamma, float *ret_dbeta,
                    float *ret_pqr);
/* The gradient as a tensor; dx may be g. */
void sn_gradient_apply(struct sn_cx *cx, const struct sn_plane *s,
                       const struct sn_gradient *d, void *dx);

/* ---- squeeze-and-excitation, pooling, vectors ---- */
/* pooled[n][Cp] = mean over hw of act(x * scale + shift); scale NULL: of x. */
void sn_pool_forward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                     const float *scale, const float *shift, enum sn_cact act,
                     float *ret_pooled);
/* dx[n][c][hw] = dpooled / hw (overwrites). */
void sn_pool_backward(struct sn_cx *cx, const struct sn_plane *s,
                      const float *dpooled, void *dx);
/* dgate[n][Cp] = sum over hw of dy * act(x * scale + shift). */
void sn_gate_backward(struct sn_cx *cx, const struct sn_plane *s, const void *x,
                      const float *scale, const float *shift, enum sn_cact act,
                      const void *dy, float *ret_dgate);
/* On [n][Cp] vectors: y = act(x + bias), bias NULL: none; y may be x. */
void sn_vec_bias_act(struct sn_cx *cx, int n, int c, const float *x,
                     const float *bias, enum sn_cact act, float *y);
/* dx = dy * act'(pre), pre = x + bias before the activation; dbias [Cp] is
 * overwritten when not NULL. dx may be dy. */
void sn_vec_bias_act_backward(struct sn_cx *cx, int n, int c, const float *x,
                              const float *bias, enum sn_cact act,
                              const float *dy, float *dx, float *ret_dbias);
/* y += x over count floats (tensors with their padding). */
void sn_vec_add(struct sn_cx *cx, size_t count, const float *x, float *y);
/* The same of whole tensors. */
void sn_add(struct sn_cx *cx, const struct sn_plane *s, const void *x, void *y);

/* ---- loss ----
 * logits [n][Cp], first `classes` used. Loss of an image:
 *   label_weight * CE(smoothed labels) + kd_weight * D(softmax(teacher)),
 * D being the cross-entropy, or where alpha_clip > 0 the larger, image by
 * image, of the alpha-divergences with alpha 1 and -1, importance weights
 * clipped (Wang et al., "AlphaNet", ICML 2021, section 4). dlogits (may be
 * NULL) = gradient of the sum over images times grad_scale; padded entries 0.
 * ret_loss: summed over images; ret_correct: argmax hits. */
struct sn_loss {
    int n, classes;
    float smoothing, label_weight, kd_weight, grad_scale;
    float alpha_clip; /* 0: cross-entropy */
};
void sn_loss_softmax(struct sn_cx *cx, const struct sn_loss *s,
                     const float *logits, const int32_t *labels,
                     const float *teacher_logits, float *dlogits,
                     double *ret_loss, uint32_t *ret_correct);

#endif
