#include "engine/search/ranking.h"

#include <math.h>
#include <stdlib.h>

static int by_point(const void *x, const void *y)
{
    const struct sn_ranked *const *a = x, *const *b = y;
    struct sn_point p = (*a)->point, q = (*b)->point;
    if (p.cost != q.cost)
        return p.cost < q.cost ? -1 : 1;
    if (p.accuracy != q.accuracy)
        return p.accuracy > q.accuracy ? -1 : 1;
    return (*a > *b) - (*a < *b); /* pointers into one array: by index */
}

static int by_front_and_cost(const void *x, const void *y)
{
    const struct sn_ranked *const *a = x, *const *b = y;
    if ((*a)->front != (*b)->front)
        return (*a)->front < (*b)->front ? -1 : 1;
    return by_point(x, y);
}

/* Items in order of cost: each goes to the first front whose last member does
 * not dominate it (that one is the front's most accurate). last: room for as
 * many fronts as items. Returns how many fronts there are. */
static uint32_t fronts_of_feasible(struct sn_ranked **item, uint32_t n,
                                   struct sn_point *last)
{
    uint32_t fronts = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t lo = 0, hi = fronts;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (sn_point_dominates(last[mid], item[i]->point))
                lo = mid + 1;
            else
                hi = mid;
        }
        item[i]->front = lo;
        last[lo] = item[i]->point;
        if (lo == fronts)
            fronts++;
    }
    return fronts;
}

/* Distance to the neighbours in each objective, as a share of the front's
 * extent; item [n] is one front in order of cost. */
static void crowd(struct sn_ranked **item, uint32_t n)
{
    struct sn_point first = item[0]->point, last = item[n - 1]->point;
    double cost = last.cost - first.cost;
    double accuracy = fabs(last.accuracy - first.accuracy);
    item[0]->crowding = item[n - 1]->crowding = INFINITY;
    for (uint32_t i = 1; i + 1 < n; i++) {
        struct sn_point a = item[i - 1]->point, b = item[i + 1]->point;
        item[i]->crowding = 0;
        if (cost > 0)
            item[i]->crowding += (b.cost - a.cost) / cost;
        if (accuracy > 0)
            item[i]->crowding += fabs(b.accuracy - a.accuracy) / accuracy;
    }
}

enum sn_err sn_ranking_sort(struct sn_ranked *item, uint32_t n, double max_cost,
                            struct sn_error *err)
{
    struct sn_ranked **order = malloc(((size_t)n + 1) * sizeof(*order));
    struct sn_point *last = malloc(((size_t)n + 1) * sizeof *last);
    if (order == NULL || last == NULL) {
        free(order);
        free(last);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u items", n);
    }
    for (uint32_t i = 0; i < n; i++)
        order[i] = &item[i];
    qsort(order, n, sizeof(*order), by_point);
    uint32_t feasible = 0;
    while (feasible < n && order[feasible]->point.cost <= max_cost)
        feasible++;
    uint32_t front = fronts_of_feasible(order, feasible, last);
    for (uint32_t i = feasible; i < n; i++) { /* a front for every cost */
        order[i]->front = front;
        if (i + 1 < n && order[i + 1]->point.cost > order[i]->point.cost)
            front++;
    }
    qsort(order, n, sizeof(*order), by_front_and_cost);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && order[j]->front == order[i]->front;)
            j++;
        crowd(order + i, j - i);
    }
    free(last);
    free(order);
    return SN_OK;
}

bool sn_ranked_better(const struct sn_ranked *a, const struct sn_ranked *b)
{
    if (a->front != b->front)
        return a->front < b->front;
    return a->crowding > b->crowding;
}
