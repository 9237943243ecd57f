/* sn_budget - what a job will spend: steps, MACs, memory and disk by phase,
 * from its spec alone.
 *
 * One table for the forecast, the default numbers of probes and evaluations,
 * the progress bar and the ETA, so that they agree. Pure; thread-safe.
 */
#ifndef SN_BUDGET_H
#define SN_BUDGET_H

#include "engine/engine.h"

/* Under this many updates nothing is learned that a probe could see. */
enum { SN_MIN_WARMUP_STEPS = 200 };
/* Architectures that are scored before the best are kept. */
enum { SN_FILTER_DRAWS = 100000 };
/* Candidates that the search verifies for each target. */
enum { SN_VERIFIED_A_TARGET = 4 };
/* What "auto" asks for. */
enum { SN_AUTO_LATENCIES = 3, SN_AUTO_MACS = 5 };
/* How many targets the search has, of all costs. */
int sn_budget_targets(const struct sn_spec *spec);

struct sn_budget {
    uint64_t steps_per_epoch; /* whole batches; the rest of an epoch is left */
    uint64_t teacher_steps, warmup_steps;
    uint64_t total_steps; /* includes these two */
};

/* The spec's image counts must have been resolved. */
void sn_budget_make(const struct sn_spec *spec, struct sn_budget *ret);

/* Mean forward MACs of a random architecture, of the largest and the smallest
 * (by a fixed sample of the space). */
struct sn_space_macs {
    double mean, largest, smallest;
};
void sn_budget_space_macs(const struct sn_space *space, int in_channels,
                          int classes, struct sn_space_macs *ret);
/* The same of what a job meets: all three are the architecture's where it
 * trains one. */
void sn_budget_job_macs(const struct sn_spec *spec,
                        const struct sn_space *space, int in_channels,
                        int classes, struct sn_space_macs *ret);

/* Forecast MACs by phase. */
void sn_budget_phase_macs(const struct sn_spec *spec,
                          const struct sn_space_macs *macs,
                          double ret[SN_PHASE_KINDS]);

/* Fills spec->sparsenas.probes and spec->search.evaluations where they are 0:
 * as many as fit in 10% of the training MACs, within sensible bounds. */
void sn_budget_resolve_counts(struct sn_spec *spec,
                              const struct sn_space *space,
                              const struct sn_dataset_info *data);

/* How many are probed after so many filters that were not trusted: half as many
 * again each time, as far as they fit in the same 10% and the space has them.
 */
int32_t sn_budget_probes(const struct sn_spec *spec,
                         const struct sn_space *space,
                         const struct sn_dataset_info *data, uint32_t retries);

#endif
