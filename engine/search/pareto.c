#include "engine/search/pareto.h"

#include <math.h>
#include <stdlib.h>

bool sn_point_dominates(struct sn_point a, struct sn_point b)
{
    return a.accuracy >= b.accuracy && a.cost <= b.cost &&
           (a.accuracy > b.accuracy || a.cost < b.cost);
}

struct entry {
    struct sn_point point;
    uint32_t index;
};

/* By rising cost, then falling accuracy, then index. */
static int by_cost(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->point.cost != b->point.cost)
        return a->point.cost < b->point.cost ? -1 : 1;
    if (a->point.accuracy != b->point.accuracy)
        return a->point.accuracy > b->point.accuracy ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

enum sn_err sn_pareto_front(const struct sn_point *point, uint32_t n,
                            uint32_t *ret_index, uint32_t *ret_n,
                            struct sn_error *err)
{
    struct entry *entry = malloc(((size_t)n + 1) * sizeof *entry);
    if (entry == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u points", n);
    uint32_t finite = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (isfinite(point[i].accuracy) && isfinite(point[i].cost))
            entry[finite++] = (struct entry){point[i], i};
    qsort(entry, finite, sizeof *entry, by_cost);
    double best = -INFINITY;
    for (uint32_t i = 0; i < finite; i++) {
        if (entry[i].point.accuracy <= best)
            continue;
        best = entry[i].point.accuracy;
        ret_index[kept++] = entry[i].index;
    }
    free(entry);
    *ret_n = kept;
    return SN_OK;
}

enum sn_err sn_pareto_hypervolume(const struct sn_point *point, uint32_t n,
                                  struct sn_point reference, double *ret,
                                  struct sn_error *err)
{
    uint32_t *index = malloc(((size_t)n + 1) * sizeof *index), kept;
    if (index == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u points", n);
    enum sn_err rc = sn_pareto_front(point, n, index, &kept, err);
    if (rc == SN_OK) {
        /* a strip for each point that tops the ones before it */
        double area = 0, height = reference.accuracy;
        for (uint32_t i = 0; i < kept; i++) {
            struct sn_point p = point[index[i]];
            if (p.cost >= reference.cost || p.accuracy <= height)
                continue;
            area += (p.accuracy - height) * (reference.cost - p.cost);
            height = p.accuracy;
        }
        *ret = area;
    }
    free(index);
    return rc;
}
