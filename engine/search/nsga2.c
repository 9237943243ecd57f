#include "engine/search/nsga2.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/archset.h"
#include "engine/search/bands.h"
#include "engine/search/ranking.h"

/* Draws that may be thrown away for one new architecture. */
enum { MAX_REDRAWS = 16, MAX_POPULATION = 4096 };

struct individual {
    struct sn_ranked rank; /* first, for the sort */
    struct sn_arch arch;
};

struct evolution {
    const struct sn_nsga2_params *params;
    uint32_t size; /* of the population */
    uint32_t n;    /* individuals: parents, then children; at most 2 x size */
    struct individual *all;
    struct sn_ranked *ranked; /* room to sort in */
};

static enum sn_err check_params(const struct sn_nsga2_params *p,
                                struct sn_error *err)
{
    if (p->population < 4 || p->population > MAX_POPULATION)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a population of %u: not from 4 to %d",
                            p->population, MAX_POPULATION);
    if (!(p->mutation >= 0 && p->mutation <= 1))
        return sn_error_set(err, SN_ERR_RANGE,
                            "a mutation probability of %g: not from 0 to 1",
                            p->mutation);
    for (uint32_t i = 0; i < p->n_start; i++)
        if (sn_arch_check(p->space, &p->start[i], err) != SN_OK)
            return sn_error_wrap(err, "starting architecture %u", i);
    return SN_OK;
}

static enum sn_err add(struct evolution *e, struct sn_archset *seen,
                       const struct sn_arch *arch, bool *ret_added,
                       struct sn_error *err)
{
    *ret_added = sn_archset_add(seen, arch);
    if (!*ret_added)
        return SN_OK;
    struct individual *x = &e->all[e->n];
    struct sn_point *point = &x->rank.point;
    x->arch = *arch;
    e->params->evaluate(e->params->arg, arch, &point->accuracy, &point->cost);
    if (!isfinite(point->accuracy) || !isfinite(point->cost))
        return sn_error_set(err, SN_ERR_INTERNAL,
                            "an architecture's accuracy or cost is no number");
    e->n++;
    return SN_OK;
}

static void draw_fresh(const struct sn_nsga2_params *p, struct sn_rng *rng,
                       struct sn_arch *ret)
{
    if (p->within != NULL)
        sn_subspace_sample(p->within, rng, ret);
    else
        sn_arch_sample_tilted(p->space, rng, ret);
}

/* Adds fresh draws until there are `want`, or redraws run out. */
static enum sn_err fill_fresh(struct evolution *e, struct sn_archset *seen,
                              uint32_t want, struct sn_rng *rng,
                              struct sn_error *err)
{
    uint32_t tries = MAX_REDRAWS * want;
    while (e->n < want && tries-- > 0) {
        struct sn_arch arch;
        bool added;
        draw_fresh(e->params, rng, &arch);
        enum sn_err rc = add(e, seen, &arch, &added, err);
        if (rc != SN_OK)
            return rc;
    }
    return SN_OK;
}

static enum sn_err first_population(struct evolution *e, struct sn_error *err)
{
    const struct sn_nsga2_params *p = e->params;
    struct sn_archset *seen = NULL;
    struct sn_rng rng = sn_rng_make(p->seed, SN_STREAM_SEARCH, 0);
    enum sn_err rc = sn_archset_new(e->size, &seen, err);
    for (uint32_t i = 0; rc == SN_OK && i < p->n_start && e->n < e->size; i++) {
        bool added;
        if (p->within == NULL || sn_subspace_holds(p->within, &p->start[i]))
            rc = add(e, seen, &p->start[i], &added, err);
    }
    if (rc == SN_OK)
        rc = fill_fresh(e, seen, e->size, &rng, err);
    sn_archset_free(seen);
    return rc;
}

/* Binary tournament among the first n. */
static const struct individual *tournament(const struct evolution *e,
                                           uint32_t n, struct sn_rng *rng)
{
    const struct individual *a = &e->all[sn_rng_below(rng, n)];
    const struct individual *b = &e->all[sn_rng_below(rng, n)];
    return sn_ranked_better(&b->rank, &a->rank) ? b : a;
}

static enum sn_err breed(struct evolution *e, struct sn_archset *seen,
                         uint32_t parents, struct sn_rng *rng,
                         struct sn_error *err)
{
    const struct sn_nsga2_params *p = e->params;
    bool added = false;
    for (int tries = 0; tries < MAX_REDRAWS && !added; tries++) {
        struct sn_arch child;
        const struct individual *a = tournament(e, parents, rng);
        const struct individual *b = tournament(e, parents, rng);
        sn_arch_crossover(p->space, &a->arch, &b->arch, rng, &child);
        sn_arch_mutate(p->space, p->mutation, rng, &child);
        if (p->within != NULL && !sn_subspace_holds(p->within, &child))
            sn_subspace_nearest(p->within, &child, &child);
        enum sn_err rc = add(e, seen, &child, &added, err);
        if (rc != SN_OK)
            return rc;
    }
    return SN_OK;
}

static enum sn_err rank_all(struct evolution *e, struct sn_error *err)
{
    for (uint32_t i = 0; i < e->n; i++)
        e->ranked[i] = e->all[i].rank;
    enum sn_err rc = sn_ranking_sort(e->ranked, e->n, e->params->max_cost, err);
    for (uint32_t i = 0; rc == SN_OK && i < e->n; i++)
        e->all[i].rank = e->ranked[i];
    return rc;
}

/* The better first; equals by architecture, since qsort is not stable. */
static int by_rank(const void *x, const void *y)
{
    const struct individual *a = x, *b = y;
    if (sn_ranked_better(&a->rank, &b->rank))
        return -1;
    if (sn_ranked_better(&b->rank, &a->rank))
        return 1;
    return sn_arch_compare(&a->arch, &b->arch);
}

static enum sn_err generation(struct evolution *e, uint32_t number,
                              struct sn_error *err)
{
    struct sn_archset *seen = NULL;
    struct sn_rng rng =
        sn_rng_make(e->params->seed, SN_STREAM_SEARCH, number + 1u);
    uint32_t parents = e->n;
    enum sn_err rc = sn_archset_new(2 * e->size, &seen, err);
    if (rc != SN_OK)
        return rc;
    for (uint32_t i = 0; i < parents; i++)
        sn_archset_add(seen, &e->all[i].arch);
    for (uint32_t i = 0; rc == SN_OK && i < e->size; i++)
        rc = breed(e, seen, parents, &rng, err);
    sn_archset_free(seen);
    if (rc == SN_OK)
        rc = rank_all(e, err);
    if (rc != SN_OK)
        return rc;
    qsort(e->all, e->n, sizeof *e->all, by_rank);
    if (e->n > e->size)
        e->n = e->size;
    return rank_all(e, err); /* crowding among those that are left */
}

/* The bounded front of the population, or the one item of least cost. */
static enum sn_err harvest(const struct evolution *e,
                           struct sn_nsga2_item **ret, uint32_t *ret_n,
                           struct sn_error *err)
{
    struct sn_point *point = malloc(e->n * sizeof *point);
    uint32_t *index = malloc(e->n * sizeof *index);
    struct sn_nsga2_item *item = malloc(e->n * sizeof *item);
    uint32_t n = 0, least = 0;
    enum sn_err rc = SN_OK;
    if (point == NULL || index == NULL || item == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a front");
        goto done;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        point[i] = e->all[i].rank.point;
        if (point[i].cost < e->all[least].rank.point.cost)
            least = i;
        if (point[i].cost > e->params->max_cost)
            point[i].cost = INFINITY; /* left out of the front */
    }
    rc = sn_pareto_front(point, e->n, index, &n, err);
    if (rc != SN_OK)
        goto done;
    if (n == 0)
        index[n++] = least;
    for (uint32_t i = 0; i < n; i++) {
        const struct individual *x = &e->all[index[i]];
        item[i] = (struct sn_nsga2_item){x->arch, x->rank.point.accuracy,
                                         x->rank.point.cost};
    }
    *ret = item;
    *ret_n = n;
    item = NULL;
done:
    free(item);
    free(index);
    free(point);
    return rc;
}

enum sn_err sn_nsga2_run(const struct sn_nsga2_params *params,
                         struct sn_nsga2_item **ret, uint32_t *ret_n,
                         struct sn_error *err)
{
    enum sn_err rc = check_params(params, err);
    if (rc != SN_OK)
        return rc;
    double there = params->within != NULL
                       ? params->within->n
                       : sn_space_count(params->space, SN_COUPLING_NONE);
    struct evolution e = {.params = params, .size = params->population};
    if (there < e.size)
        e.size = (uint32_t)there;
    e.all = malloc(2 * (size_t)e.size * sizeof *e.all);
    e.ranked = malloc(2 * (size_t)e.size * sizeof *e.ranked);
    if (e.all == NULL || e.ranked == NULL) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a population");
        goto done;
    }
    rc = first_population(&e, err);
    if (rc == SN_OK)
        rc = rank_all(&e, err);
    for (uint32_t g = 0; rc == SN_OK && g < params->generations; g++) {
        if (params->stop != NULL && params->stop(params->arg))
            rc = sn_error_set(err, SN_ERR_STOPPED, "the search was stopped");
        else
            rc = generation(&e, g, err);
    }
    if (rc == SN_OK)
        rc = harvest(&e, ret, ret_n, err);
done:
    free(e.ranked);
    free(e.all);
    return rc;
}
