/* Fronts, areas and NSGA-II's order are those of their definitions; the search
 * finds the front of a space that can be counted through, keeps to its bound,
 * and repeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "engine/search/nsga2.h"
#include "engine/search/pareto.h"
#include "engine/search/ranking.h"

static void test_a_front_by_hand(void **state)
{
    /* accuracy, cost */
    static const struct sn_point p[] = {
        {0.7, 2}, {0.9, 5}, {0.7, 3}, {0.5, 1},      {0.8, 5},
        {0.7, 2}, {0.4, 4}, {NAN, 0}, {2, INFINITY},
    };
    static const uint32_t wanted[] = {3, 0, 1};
    uint32_t index[9], n = 0;
    assert_int_equal(sn_pareto_front(p, 9, index, &n, NULL), SN_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(index, wanted, sizeof wanted);
    double area = -1;
    /* from (0.4, 6): 0.1 x 5 + 0.2 x 4 + 0.2 x 1 */
    struct sn_point reference = {0.4, 6};
    assert_int_equal(sn_pareto_hypervolume(p, 9, reference, &area, NULL),
                     SN_OK);
    assert_true(fabs(area - 1.5) < 1e-12);
    reference = (struct sn_point){0.6, 4}; /* cuts two of them off */
    assert_int_equal(sn_pareto_hypervolume(p, 9, reference, &area, NULL),
                     SN_OK);
    assert_true(fabs(area - 0.1 * 2) < 1e-12);
    assert_int_equal(sn_pareto_hypervolume(p, 0, reference, &area, NULL),
                     SN_OK);
    assert_true(area == 0);
}

/* Constrained domination as Deb defines it. */
static bool dominates(struct sn_point a, struct sn_point b, double max_cost)
{
    bool a_fits = a.cost <= max_cost, b_fits = b.cost <= max_cost;
    if (a_fits != b_fits)
        return a_fits;
    return a_fits ? sn_point_dominates(a, b) : a.cost < b.cost;
}

/* Fronts by peeling: 0 are those that nobody dominates, and so on. */
static void peel(const struct sn_ranked *item, uint32_t n, double max_cost,
                 uint32_t *ret_front)
{
    for (uint32_t i = 0; i < n; i++)
        ret_front[i] = UINT32_MAX;
    for (uint32_t front = 0, done = 0; done < n; front++) {
        bool now[64] = {false};
        for (uint32_t i = 0; i < n; i++) {
            now[i] = ret_front[i] == UINT32_MAX;
            for (uint32_t j = 0; j < n && now[i]; j++)
                now[i] = ret_front[j] != UINT32_MAX ||
                         !dominates(item[j].point, item[i].point, max_cost);
        }
        for (uint32_t i = 0; i < n; i++)
            if (now[i]) {
                ret_front[i] = front;
                done++;
            }
    }
}

/* Random points on a coarse grid, so that ties and doubles occur. */
static void test_ranking_is_the_definition(void **state)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    for (int t = 0; t < 300; t++) {
        struct sn_ranked item[64];
        uint32_t n = 1 + sn_rng_below(&rng, 64), front[64];
        double max_cost = t % 3 == 0 ? INFINITY : sn_rng_below(&rng, 14);
        for (uint32_t i = 0; i < n; i++)
            item[i].point = (struct sn_point){sn_rng_below(&rng, 12),
                                              sn_rng_below(&rng, 12)};
        assert_int_equal(sn_ranking_sort(item, n, max_cost, NULL), SN_OK);
        peel(item, n, max_cost, front);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(item[i].front, front[i]);
    }
}

static void test_crowding_by_hand(void **state)
{
    struct sn_ranked item[4] = {{.point = {1, 1}},
                                {.point = {3, 2}},
                                {.point = {5, 5}},
                                {.point = {2, 9}}};
    assert_int_equal(sn_ranking_sort(item, 4, INFINITY, NULL), SN_OK);
    assert_true(isinf(item[0].crowding) && isinf(item[2].crowding));
    assert_true(fabs(item[1].crowding - 2) < 1e-12); /* all of both extents */
    assert_int_equal(item[3].front, 1);
    assert_true(sn_ranked_better(&item[0], &item[1]));
    assert_true(sn_ranked_better(&item[1], &item[3]));
}

/* ---- the search ---- */

/* 42 x 6 x 6 = 1,512 architectures, enough to hide a front in. */
static struct sn_space small_space(void)
{
    struct sn_space space = *sn_space_find("mbv3-tiny");
    space.n_stages = 3;
    space.stage[0].depth = (struct sn_choices){2, {1, 2}};
    space.stage[1].depth = space.stage[2].depth = (struct sn_choices){1, {1}};
    return space;
}

struct bench {
    struct sn_target target;
    struct sn_predictor *predictor;
    unsigned calls;
};

static void evaluate(void *arg, const struct sn_arch *arch,
                     double *ret_accuracy, double *ret_cost)
{
    struct bench *b = arg;
    b->calls++;
    *ret_accuracy = sn_predictor_score(b->predictor, arch);
    *ret_cost = sn_target_macs(&b->target, arch);
}

static struct bench make_bench(const struct sn_space *space)
{
    double w[2 + 512];
    size_t n = sn_predictor_numbers(space, SN_PREDICTOR_RIDGE);
    struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, 0);
    struct bench b = {.target = {space, 1, 10}};
    for (size_t i = 0; i < n; i++)
        w[i] = 0.01 * sn_rng_normal(&rng) + 0.01;
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n, &b.predictor, NULL),
        SN_OK);
    return b;
}

/* The true front of architectures 0..n-1. Both owned by the caller. */
static uint32_t true_front(struct bench *b, const struct sn_arch *arch,
                           uint32_t n, double max_cost,
                           struct sn_point **ret_point, uint32_t **ret_index)
{
    struct sn_point *point = malloc(n * sizeof *point);
    uint32_t *index = malloc(n * sizeof *index), front = 0;
    for (uint32_t i = 0; i < n; i++) {
        evaluate(b, &arch[i], &point[i].accuracy, &point[i].cost);
        if (point[i].cost > max_cost)
            point[i].cost = INFINITY;
    }
    assert_int_equal(sn_pareto_front(point, n, index, &front, NULL), SN_OK);
    *ret_point = point;
    *ret_index = index;
    return front;
}

static void assert_finds(struct sn_nsga2_params *params, struct bench *b,
                         const struct sn_arch *arch, uint32_t n)
{
    struct sn_point *point;
    uint32_t *index, found = 0;
    struct sn_nsga2_item *item = NULL;
    uint32_t front = true_front(b, arch, n, params->max_cost, &point, &index);
    assert_in_range(front, 5, params->population);
    params->arg = b;
    params->evaluate = evaluate;
    assert_int_equal(sn_nsga2_run(params, &item, &found, NULL), SN_OK);
    assert_int_equal(found, front);
    for (uint32_t i = 0; i < front; i++) {
        assert_true(item[i].accuracy == point[index[i]].accuracy);
        assert_true(item[i].cost == point[index[i]].cost);
        assert_true(item[i].cost <= params->max_cost);
        assert_int_equal(sn_arch_check(params->space, &item[i].arch, NULL),
                         SN_OK);
    }
    free(item);
    free(index);
    free(point);
}

static void test_finds_the_front(void **state)
{
    struct sn_space space = small_space();
    struct bench b = make_bench(&space);
    struct sn_arch *all = malloc(1512 * sizeof *all);
    assert_true(sn_space_count(&space, SN_COUPLING_NONE) == 1512);
    for (uint32_t i = 0; i < 1512; i++)
        sn_arch_at(&space, i, &all[i]);
    struct sn_nsga2_params p = {.space = &space,
                                .population = 100,
                                .generations = 60,
                                .mutation = 0.2,
                                .max_cost = INFINITY,
                                .seed = 1};
    assert_finds(&p, &b, all, 1512);
    struct sn_bands bands;
    sn_bands_init(&bands, &b.target, 4);
    p.max_cost = sn_bands_edge(&bands, 2);
    assert_finds(&p, &b, all, 1512);
    sn_predictor_free(b.predictor);
    free(all);
}

static void test_finds_the_front_of_a_subspace(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct bench b = make_bench(space);
    struct sn_filter_params f = {.target = b.target,
                                 .predictor = b.predictor,
                                 .size = 600,
                                 .draws = 4000,
                                 .bands = 5};
    struct sn_subspace *sub = NULL;
    assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
    struct sn_nsga2_params p = {.space = space,
                                .within = sub,
                                .population = 64,
                                .generations = 80,
                                .mutation = 0.2,
                                .max_cost = INFINITY,
                                .seed = 1};
    assert_finds(&p, &b, sub->arch, sub->n);
    sn_subspace_free(sub);
    sn_predictor_free(b.predictor);
}

/* A bound that nothing meets: the nearest, which is the smallest. */
static void test_an_impossible_bound(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct bench b = make_bench(space);
    struct sn_arch smallest;
    sn_arch_smallest(space, &smallest);
    struct sn_nsga2_params p = {.space = space,
                                .population = 40,
                                .generations = 60,
                                .mutation = 0.2,
                                .max_cost = 1,
                                .seed = 1,
                                .arg = &b,
                                .evaluate = evaluate};
    struct sn_nsga2_item *item = NULL;
    uint32_t n = 0;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, NULL), SN_OK);
    assert_int_equal(n, 1);
    assert_true(item[0].cost > p.max_cost);
    assert_true(sn_arch_equal(&item[0].arch, &smallest));
    free(item);
    sn_predictor_free(b.predictor);
}

/* By field: the padding between them is anything. */
static bool same(const struct sn_nsga2_item *a, const struct sn_nsga2_item *b,
                 uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!sn_arch_equal(&a[i].arch, &b[i].arch) ||
            a[i].accuracy != b[i].accuracy || a[i].cost != b[i].cost)
            return false;
    return true;
}

static void test_repeats(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-cifar");
    struct bench b = make_bench(space);
    struct sn_nsga2_params p = {.space = space,
                                .population = 30,
                                .generations = 15,
                                .mutation = 0.1,
                                .max_cost = INFINITY,
                                .seed = 5,
                                .arg = &b,
                                .evaluate = evaluate};
    struct sn_nsga2_item *x = NULL, *y = NULL, *z = NULL;
    uint32_t nx, ny, nz;
    assert_int_equal(sn_nsga2_run(&p, &x, &nx, NULL), SN_OK);
    assert_in_range(b.calls, 30, 30 * 16);
    assert_int_equal(sn_nsga2_run(&p, &y, &ny, NULL), SN_OK);
    assert_int_equal(nx, ny);
    assert_true(same(x, y, nx));
    p.seed = 6;
    assert_int_equal(sn_nsga2_run(&p, &z, &nz, NULL), SN_OK);
    assert_true(nx != nz || !same(x, z, nx));
    free(x);
    free(y);
    free(z);
    sn_predictor_free(b.predictor);
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static void not_a_number(void *arg, const struct sn_arch *arch,
                         double *ret_accuracy, double *ret_cost)
{
    (void)arg;
    (void)arch;
    *ret_accuracy = NAN;
    *ret_cost = 1;
}

/* Starting points are kept; small spaces, stops and nonsense are handled. */
static void test_edges(void **state)
{
    struct sn_space space = small_space();
    space.n_stages = 1;
    space.stage[0].depth = (struct sn_choices){1, {1}}; /* 6 architectures */
    struct bench b = make_bench(&space);
    struct sn_arch start;
    sn_arch_largest(&space, &start);
    struct sn_nsga2_params p = {.space = &space,
                                .population = 50,
                                .generations = 5,
                                .mutation = 0.5,
                                .max_cost = INFINITY,
                                .start = &start,
                                .n_start = 1,
                                .arg = &b,
                                .evaluate = evaluate};
    struct sn_nsga2_item *item = NULL;
    uint32_t n = 0;
    struct sn_error err;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_OK);
    assert_in_range(n, 1, 6);
    free(item);
    item = NULL;
    p.stop = always;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_ERR_STOPPED);
    p.stop = NULL;
    p.evaluate = not_a_number;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_ERR_INTERNAL);
    p.evaluate = evaluate;
    start.depth[0] = 7;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_ERR_INVALID);
    p.n_start = 0;
    p.population = 3;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_ERR_RANGE);
    p.population = 10;
    p.mutation = 1.5;
    assert_int_equal(sn_nsga2_run(&p, &item, &n, &err), SN_ERR_RANGE);
    assert_null(item);
    sn_predictor_free(b.predictor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_front_by_hand),
        cmocka_unit_test(test_ranking_is_the_definition),
        cmocka_unit_test(test_crowding_by_hand),
        cmocka_unit_test(test_finds_the_front),
        cmocka_unit_test(test_finds_the_front_of_a_subspace),
        cmocka_unit_test(test_an_impossible_bound),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
