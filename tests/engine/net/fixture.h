/* sn_fixture - what the tests of engine/net share: a supernet with weights that
 * nothing hides behind (scales, shifts, biases and transforms away from their
 * start), images, labels, buffers. Everything by formula. Fails the test on any
 * error. Include after cmocka.h.
 */
#ifndef SN_NET_FIXTURE_H
#define SN_NET_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "engine/net/net.h"
#include "engine/rng.h"

struct sn_fixture {
    struct sn_compute *compute;
    struct sn_cx *cx;
    const struct sn_space *space;
    struct sn_supernet *net;
    struct sn_subnet *sub;
    struct sn_workspace *ws;
    int n, classes;
    size_t stride, image_floats, size;
    struct sn_arena arena;
    float *images;  /* [n][c][r][r] */
    float *logits;  /* [n][stride] */
    float *teacher; /* the same: somebody else's logits */
    float *dlogits;
    float *gradient; /* packed */
    float *master;   /* flat */
    int32_t *labels;
    double *images64, *weights64; /* copies of images and weights */
};

void sn_fixture_init(struct sn_fixture *f, const char *space, int in_channels,
                     int classes, int n, uint64_t seed);
/* Of a space that outlives it. */
void sn_fixture_init_space(struct sn_fixture *f, const struct sn_space *space,
                           int in_channels, int classes, int n, uint64_t seed);
void sn_fixture_close(struct sn_fixture *f);
/* Images, labels and the teacher's logits anew. */
void sn_fixture_draw(struct sn_fixture *f, uint64_t seed);
/* Moves every scale, shift, bias and transform off its starting value. */
void sn_fixture_stir(struct sn_fixture *f, uint64_t seed);
/* weights64 from the supernet's weights. */
void sn_fixture_copy_weights(struct sn_fixture *f);
void sn_fixture_sample(const struct sn_fixture *f, uint64_t i,
                       struct sn_arch *ret);
/* Forward, loss and backward of the bound sub-network into f->gradient, then
 * reduced alone into f->master; loss summed over images. */
double sn_fixture_step(struct sn_fixture *f, const struct sn_loss *loss);

#endif
