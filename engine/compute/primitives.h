/* sn_primitives - oneDNN behind a cache of our own, by shape.
 *
 * Private to engine/compute; the only file that includes dnnl.h is
 * primitives.c. Tensors and weights have exactly the layouts of compute.h and
 * kernels.h (nChw{B}c; weights [o/B][i/B][k k][B i][B o]), channels rounded up
 * to B. A primitive is created once for the process (shared, under a lock) and
 * each cx keeps its own memories for it, so that a step takes no lock and
 * allocates nothing. oneDNN runs in the calling thread alone.
 */
#ifndef SN_PRIMITIVES_H
#define SN_PRIMITIVES_H

#include "engine/compute/compute.h"

struct sn_primitives;
struct sn_primitives_cx;

enum sn_err sn_primitives_new(int block, const char *isa,
                              struct sn_primitives **ret, struct sn_error *err);
void sn_primitives_free(struct sn_primitives *p);
size_t sn_primitives_count(struct sn_primitives *p); /* made so far */

enum sn_err sn_primitives_cx_new(struct sn_primitives *p,
                                 struct sn_primitives_cx **ret,
                                 struct sn_error *err);
void sn_primitives_cx_free(struct sn_primitives_cx *c);

/* y = x * w, 1x1 over planes. */
void sn_primitives_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *w, float *y);
/* dw = x' * dy. */
void sn_primitives_weights(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *dy, float *dw);

/* Dense 3x3 convolutions; the weights of the data gradient have the outputs
 * before the inputs in a block: [o/B][i/B][9][B o][B i]. */
void sn_primitives_forward3(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *x, const float *w, float *y);
/* y = act(x * w + bias), with a ReLU or without. */
void sn_primitives_infer3(struct sn_cx *cx, const struct sn_conv3 *s,
                          const float *x, const float *w, const float *bias,
                          bool relu, float *y);
void sn_primitives_data3(struct sn_cx *cx, const struct sn_conv3 *s,
                         const float *dy, const float *w, float *dx);
void sn_primitives_weights3(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *x, const float *dy, float *dw);

/* The library's name and version as linked, e.g. "oneDNN 2.6.3". */
enum { SN_RUNTIME_TEXT = 32 };
void sn_primitives_runtime(char ret[SN_RUNTIME_TEXT]);

#endif
