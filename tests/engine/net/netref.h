/* sn_netref - a sub-network of the supernet in plain double precision, composed
 * of the operators in tests/engine/compute/reference.h: what the engine's
 * forward and backward are compared against.
 *
 * It finds its weights by their names and slices them itself, so it shares
 * nothing with engine/net but the table of tensors. All arrays that are "flat"
 * have the shape of the supernet's weights. Aborts when memory runs out.
 */
#ifndef SN_NETREF_H
#define SN_NETREF_H

#include "engine/net/net.h"
#include "tests/engine/compute/reference.h"

struct sn_netref {
    const struct sn_supernet *net;
    const struct sn_arch *arch;
    int n;
    const double *images;  /* [n][channels][r][r] */
    const double *weights; /* flat */
    /* BN statistics, flat: a BN's mean is where its scale is among the weights,
     * its biased variance where its shift is. */
    double *ret_statistics;   /* NULL, or filled from this batch */
    const double *statistics; /* NULL, or used instead of the batch's own */
};

/* logits [n][classes]. */
void sn_netref_forward(const struct sn_netref *r, double *ret_logits);
/* Forward, and backward of the loss summed over images, which it returns; its
 * gradient is added to `gradient` (flat), and what the sub-network reaches is
 * marked in `reached` (flat). */
double sn_netref_backward(const struct sn_netref *r,
                          const struct sn_ref_loss *loss, const int32_t *labels,
                          const double *teacher, double *ret_logits,
                          double *gradient, unsigned char *reached);

#endif
