/* sn_nsga2 - evolutionary search for the front of accuracy against one cost.
 *
 * NSGA-II (Deb, Pratap, Agarwal, Meyarivan, IEEE TEC 6(2), 2002): non-dominated
 * sorting, crowding distance, binary tournaments, crossover and mutation of
 * architectures, a bound on the cost by constrained domination. Everything
 * random comes from (seed, generation): the same parameters give the same
 * front. Blocks for population x (generations + 1) calls of `evaluate`.
 */
#ifndef SN_NSGA2_H
#define SN_NSGA2_H

#include "engine/search/subspace.h"
#include "engine/space/space.h"

struct sn_nsga2_item {
    struct sn_arch arch;
    double accuracy, cost;
};

struct sn_nsga2_params {
    const struct sn_space *space; /* borrowed */
    /* NULL: the whole space. Otherwise children that fall outside are moved to
     * the nearest member (fewest choices that differ). Borrowed. */
    const struct sn_subspace *within;
    uint32_t population;  /* 4..4096; fewer when there are not so many */
    uint32_t generations; /* 0: the first population's front */
    double mutation;      /* probability a choice, see sn_arch_mutate */
    double max_cost;      /* INFINITY: no bound */
    uint64_t seed;
    const struct sn_arch *start; /* part of the first population, or NULL */
    uint32_t n_start;
    void *arg;
    /* Finite values; a pure function of `arch`. */
    void (*evaluate)(void *arg, const struct sn_arch *arch,
                     double *ret_accuracy, double *ret_cost);
    /* Asked every generation; true ends with SN_ERR_STOPPED. May be NULL. */
    bool (*stop)(void *arg);
};

/* The last population's front by rising cost, distinct points, all within
 * max_cost. When nothing found is within it: the one item that is nearest
 * (least cost), so look at ret[0].cost. *ret is owned by the caller (free). */
enum sn_err sn_nsga2_run(const struct sn_nsga2_params *params,
                         struct sn_nsga2_item **ret, uint32_t *ret_n,
                         struct sn_error *err);

#endif
