/* sn_latency - how long a static network takes on this host: batch 1, one
 * thread, f32, with statistics that survive a shared machine.
 *
 * Networks of a list are measured in short rounds, one after the other in turn,
 * so that a disturbance falls on all of them alike. The answer is the median
 * over all runs, with a 95% interval from order statistics (no assumption on
 * the distribution) and the spread: the median absolute deviation.
 */
#ifndef SN_LATENCY_H
#define SN_LATENCY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/compute/compute.h"
#include "engine/err.h"
#include "engine/net/static.h"

struct sn_latency {
    double median_ns, low_ns, high_ns; /* median with its 95% interval */
    double spread_ns;                  /* median absolute deviation */
    double min_ns;
    uint32_t samples;
};

/* How long to measure. Zero fields take the defaults. */
struct sn_latency_budget {
    double warmup_ms;     /* a network, before the rounds (default 10) */
    double measure_ms;    /* a network, over all rounds (default 150) */
    uint32_t rounds;      /* default 5 */
    uint32_t min_samples; /* a network, even past measure_ms (default 15) */
    uint32_t max_samples; /* default 1000 */
};

/* Statistics of n >= 1 samples, which it sorts in place. */
void sn_latency_stats(double *ns, size_t n, struct sn_latency *ret);

/* Measures n networks, ret[i] for net[i]. Borrows all. `stop` (may be NULL) is
 * looked at between runs: SN_ERR_STOPPED. The calling thread does the work and
 * owns cx. Images are noise by formula. */
enum sn_err sn_latency_measure(struct sn_cx *cx,
                               const struct sn_static *const *net, size_t n,
                               const struct sn_latency_budget *budget,
                               const atomic_bool *stop, struct sn_latency *ret,
                               struct sn_error *err);

#endif
