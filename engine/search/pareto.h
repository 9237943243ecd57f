/* sn_pareto - fronts of accuracy (more is better) against a cost (less is
 * better), and their hypervolume.
 *
 * A point dominates another when it is no worse in both and better in one.
 * Pure functions; thread-safe. Points with a value that is not finite are
 * left out.
 */
#ifndef SN_PARETO_H
#define SN_PARETO_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_point {
    double accuracy, cost;
};

bool sn_point_dominates(struct sn_point a, struct sn_point b);

/* Indices of the points that no other dominates, by rising cost (and so by
 * rising accuracy); of equal points the first. ret_index has room for n. */
enum sn_err sn_pareto_front(const struct sn_point *point, uint32_t n,
                            uint32_t *ret_index, uint32_t *ret_n,
                            struct sn_error *err);

/* The area that the points dominate, up to a reference of low accuracy and
 * high cost; points beyond the reference add nothing.
 *
 *   accuracy ^        o----|
 *            |   o####|####|
 *            | o#|####|####|
 *            +-+-----------* reference
 */
enum sn_err sn_pareto_hypervolume(const struct sn_point *point, uint32_t n,
                                  struct sn_point reference, double *ret,
                                  struct sn_error *err);

#endif
