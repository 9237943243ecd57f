/* sn_ranking - NSGA-II's order of a population: fronts by constrained
 * domination, and crowding inside a front.
 *
 * With two objectives the fronts come from one sort and a binary search a
 * point (Jensen, IEEE TEC 7(5), 2003), which gives what Deb's pairwise
 * comparisons give. An item within the bound dominates any that is not; of two
 * that are not, the one with the lower cost does.
 */
#ifndef SN_RANKING_H
#define SN_RANKING_H

#include "engine/search/pareto.h"

struct sn_ranked {
    struct sn_point point; /* finite */
    uint32_t front;        /* out: 0 is the best */
    double crowding;       /* out: larger is lonelier; INFINITY at the ends */
};

/* Fills front and crowding of n items. */
enum sn_err sn_ranking_sort(struct sn_ranked *item, uint32_t n, double max_cost,
                            struct sn_error *err);
/* NSGA-II's crowded comparison: a before b. */
bool sn_ranked_better(const struct sn_ranked *a, const struct sn_ranked *b);

#endif
