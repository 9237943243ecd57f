/* sn_kernels - the table of our own inner loops, one filling an ISA.
 *
 * Private to engine/compute. Every kernels_*.c is one readable source that is
 * compiled once an ISA (SN_ISA = avx512, avx2, portable ...; SN_B = 16 or 8
 * floats a block) and exports one function that fills its part of the table;
 * isa.c calls those of the ISA that the CPU has. avx512bf16 (SN_BF16) is one
 * more, of the kernels that training takes, with tensors in bfloat16. Kernels
 * work on the blocked layout of compute.h, allocate nothing, share nothing, and
 * do their floating-point work in an order that depends on the shapes alone.
 */
#ifndef SN_KERNELS_H
#define SN_KERNELS_H

#include <stddef.h>

#include "engine/compute/compute.h"

#ifdef SN_ISA
#define SN_PASTE_(a, b) a##_##b
#define SN_PASTE(a, b) SN_PASTE_(a, b)
/* name_avx512 and so on: the same source, one symbol an ISA. */
#define SN_KERNEL(name) SN_PASTE(name, SN_ISA)
#endif

/* y[row][o] = act(sum_i x[row][i] * w[i][o] + bias[o]) + residual[row][o], in
 * `groups` (images) of `rows` (pixels). Strides in floats; inside a channel
 * block lanes are next to each other. Weights [o/B][i/B][B i][B o]. */
struct sn_gemm {
    int groups, rows, i, o;
    ptrdiff_t x_group, x_block, y_group, y_block;
    ptrdiff_t x_row, y_row; /* B each for planes */
    const float *x, *w, *bias, *residual;
    float *y;
    enum sn_cact act;
};

/* dw [o/B][i/B][B i][B o] = sum over groups and rows of x * dy. */
struct sn_gemm_weights {
    int groups, rows, i, o;
    ptrdiff_t x_group, x_block, y_group, y_block;
    ptrdiff_t x_row, y_row;
    const float *x, *dy;
    float *dw;
    bool add; /* to what dw has */
};

/* A fused forward of a 1x1 convolution over a shard. */
struct sn_fused_forward {
    int n, hw, i, o;
    struct sn_source in;
    const float *w;
    void *ret_in, *y;
    float *sums;
};

struct sn_fused_backward {
    int n, hw, i, o;
    struct sn_source in;
    struct sn_gradient dy;
    const float *w; /* of the data gradient */
    struct sn_sink out;
    float *dw;
};

/* How a depthwise input is used: act(x * scale + shift), scale may be NULL. */
struct sn_affine {
    const float *scale, *shift;
    enum sn_cact act;
};

struct sn_kernels {
    int block; /* B */

    void (*gemm)(const struct sn_gemm *g);
    void (*gemm_weights)(const struct sn_gemm_weights *g);
    void (*conv1_pack)(int i, int o, const float *w, int ld, float *ret_fwd,
                       float *ret_bwd);
    void (*conv1_unpack_add)(int i, int o, const float *packed, float *dw,
                             int ld);

    /* `scratch` of stem_scratch / dw_scratch floats, 64-byte aligned. */
    size_t (*stem_scratch)(const struct sn_stem *s);
    void (*stem_pack)(const struct sn_stem *s, const float *w, float *ret);
    void (*stem_forward)(const struct sn_stem *s, const float *x,
                         const float *packed, const float *bias,
                         enum sn_cact act, float *scratch, void *y);
    void (*stem_weights)(const struct sn_stem *s, const float *x,
                         const void *dy, float *scratch, float *dw);

    size_t (*dw_scratch)(const struct sn_dw *s);
    void (*dw_pack)(int c, int k, const float *w, float *ret);
    void (*dw_unpack_add)(int c, int k, const float *packed, float *dw);
    /* sums may be NULL */
    void (*dw_forward)(const struct sn_dw *s, const void *x,
                       const struct sn_affine *in, const float *packed,
                       float *scratch, void *y, float *ret_sums);

    size_t (*fused_scratch)(int n, int hw, int i, int o);
    void (*fused_forward)(const struct sn_fused_forward *f, float *scratch);
    void (*fused_backward)(const struct sn_fused_backward *f, float *scratch);
    size_t (*dw_backward_scratch)(const struct sn_dw *s);
    void (*dw_backward)(const struct sn_dw *s, const struct sn_source *in,
                        const struct sn_gradient *dy, const float *packed,
                        const struct sn_sink *out, float *scratch,
                        float *ret_dw);
    void (*bn_backward_sums)(const struct sn_plane *s, const void *x,
                             const float *mean, const struct sn_affine *in,
                             const float *gate, const float *dpool,
                             const void *dy, void *ret_g, float *sums);
    /* p g + q x + r, as a tensor */
    void (*gradient_apply)(const struct sn_plane *s,
                           const struct sn_gradient *d, void *dx);
    void (*bn_gradient)(const struct sn_plane *s, const float *sums,
                        const float *mean, const float *rstd,
                        const float *gamma, float *dgamma, float *dbeta,
                        float *pqr);

    void (*bn_sums)(const struct sn_plane *s, const void *x, float *sums);
    void (*bn_finish)(const struct sn_plane *s, const float *sums,
                      const float *gamma, const float *beta, float eps,
                      float *mean, float *rstd, float *scale, float *shift);
    void (*bn_apply)(const struct sn_plane *s, const void *x,
                     const struct sn_affine *in, const float *gate,
                     const void *residual, void *y);
    void (*bn_backward)(const struct sn_plane *s, const void *x,
                        const float *mean, const float *rstd,
                        const float *gamma, const float *beta, enum sn_cact act,
                        const float *gate, const float *dpool, const void *dy,
                        void *dx, float *dgamma, float *dbeta);

    void (*pool_forward)(const struct sn_plane *s, const void *x,
                         const struct sn_affine *in, float *pooled);
    void (*pool_backward)(const struct sn_plane *s, const float *dpooled,
                          void *dx);
    void (*gate_backward)(const struct sn_plane *s, const void *x,
                          const struct sn_affine *in, const void *dy,
                          float *dgate);
    void (*bias_act)(int n, int c, const float *x, const float *bias,
                     enum sn_cact act, float *y);
    void (*bias_act_backward)(int n, int c, const float *x, const float *bias,
                              enum sn_cact act, const float *dy, float *dx,
                              float *dbias);
    void (*vec_add)(size_t count, const float *x, float *y);
    void (*add)(const struct sn_plane *s, const void *x, void *y);

    void (*max_window)(const struct sn_window *s, const float *x, float *y);
    void (*max_window_backward)(const struct sn_window *s, const float *x,
                                const float *dy, float *dx);
    void (*mean_window)(const struct sn_window *s, const float *x, float *y);
    void (*mean_window_backward)(const struct sn_window *s, const float *dy,
                                 float *dx);
    void (*sum_relu)(const struct sn_plane *s, const float *x,
                     const struct sn_affine *in, const float *other,
                     const struct sn_affine *other_in, float *y);
    void (*relu)(size_t count, float *y);
    void (*relu_backward)(size_t count, const float *y, const float *dy,
                          float *dx);

    size_t (*half_block_scratch)(const struct sn_half_block *s);
    void (*half_block)(const struct sn_half_block *s, float *scratch);
};

/* Each fills the whole table (kernels.c); avx512bf16, whose tensors are
 * bfloat16, the training passes' part of it. */
void sn_kernels_fill_avx512(struct sn_kernels *k);
void sn_kernels_fill_avx512bf16(struct sn_kernels *k);
void sn_kernels_fill_avx2(struct sn_kernels *k);
void sn_kernels_fill_portable(struct sn_kernels *k);

#ifdef SN_ISA
/* The matrix products, for the fused kernels of the same ISA. */
void SN_KERNEL(sn_gemm)(const struct sn_gemm *g);
void SN_KERNEL(sn_gemm_weights)(const struct sn_gemm_weights *g);

/* Each fills its file's part. */
void SN_KERNEL(sn_kernels_gemm)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_fused)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_depthwise_backward)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_stem)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_depthwise)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_norm)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_vector)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_block)(struct sn_kernels *k);
void SN_KERNEL(sn_kernels_residual)(struct sn_kernels *k);
#endif

#endif
