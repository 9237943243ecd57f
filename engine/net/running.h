/* sn_running - the BN statistics that a supernet itself holds: running mean,
 * running variance and number of batches of every stored BN, as PyTorch's state
 * dict has them.
 *
 * Those of published weights, or of a trained supernet's largest network. An
 * architecture that takes them as they are uses each layer's first channels; it
 * is exact for the network that they were taken from alone. Plain data over a
 * supernet's layers, which it borrows.
 */
#ifndef SN_NET_RUNNING_H
#define SN_NET_RUNNING_H

#include "engine/net/net.h"

struct sn_running;

/* One BN. `name` is its state-dict prefix: "first_conv.bn". */
struct sn_running_bn {
    char name[96];
    size_t channels;
    float *mean, *var; /* var unbiased where it came from PyTorch */
    int64_t batches;
};

/* Mean 0, variance 1, no batches. ret owned by the caller. */
enum sn_err sn_running_new(const struct sn_supernet *net,
                           struct sn_running **ret, struct sn_error *err);
void sn_running_free(struct sn_running *running); /* NULL is fine */
/* All BNs in the order of the supernet's layers; writable, borrowed. */
size_t sn_running_bns(struct sn_running *running, struct sn_running_bn **ret);

/* The averages of a calibration become running statistics (1 batch). */
void sn_running_take(struct sn_running *running,
                     const struct sn_bn_stats *stats);
/* As if a calibration had found exactly these. */
void sn_running_give(const struct sn_running *running,
                     struct sn_bn_stats *ret_stats);

#endif
