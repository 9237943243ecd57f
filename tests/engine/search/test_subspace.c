/* Probes are distinct and cover the cost bands; the filter keeps exactly as
 * many as asked, the best of each band, and always the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search/archset.h"
#include "engine/search/coupled.h"
#include "engine/search/subspace.h"

enum { BANDS = 5, SIZE = 1701, DRAWS = 20000 };

static struct sn_target tiny(void)
{
    return (struct sn_target){sn_space_find("mbv3-tiny"), 1, 10};
}

/* 2 stages of one block or two: 42 x 42 = 1,764 architectures. */
static struct sn_space small_space(void)
{
    struct sn_space space = *sn_space_find("mbv3-tiny");
    space.n_stages = 2;
    space.stage[0].depth = space.stage[1].depth =
        (struct sn_choices){2, {1, 2}};
    return space;
}

/* A predictor with random weights. Owned by the caller. */
static struct sn_predictor *any_predictor(const struct sn_space *space)
{
    double w[2 + 512];
    size_t n = sn_predictor_numbers(space, SN_PREDICTOR_RIDGE);
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_predictor *p = NULL;
    assert_in_range(n, 1, 514);
    for (size_t i = 0; i < n; i++)
        w[i] = 0.01 * sn_rng_normal(&rng);
    assert_int_equal(
        sn_predictor_from(space, SN_PREDICTOR_RIDGE, w, n, &p, NULL), SN_OK);
    return p;
}

static void test_a_set_of_architectures(void **state)
{
    struct sn_archset *set = NULL;
    struct sn_space space = small_space();
    struct sn_arch arch;
    assert_int_equal(sn_archset_new(1000, &set, NULL), SN_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        sn_arch_at(&space, i, &arch);
        assert_false(sn_archset_holds(set, &arch));
        assert_true(sn_archset_add(set, &arch));
        assert_false(sn_archset_add(set, &arch));
    }
    for (uint32_t i = 0; i < 1764; i++) {
        sn_arch_at(&space, i, &arch);
        assert_int_equal(sn_archset_holds(set, &arch), i < 1000);
    }
    assert_false(sn_archset_add(set, &arch)); /* full */
    sn_archset_free(set);
    sn_archset_free(NULL);
}

static void test_bands(void **state)
{
    struct sn_target target = tiny();
    struct sn_bands bands;
    struct sn_arch arch;
    sn_bands_init(&bands, &target, BANDS);
    sn_arch_smallest(target.space, &arch);
    assert_int_equal(sn_bands_index(&bands, sn_target_macs(&target, &arch)), 0);
    assert_true(sn_bands_edge(&bands, 0) == sn_target_macs(&target, &arch));
    sn_arch_largest(target.space, &arch);
    assert_int_equal(sn_bands_index(&bands, sn_target_macs(&target, &arch)), 4);
    assert_true(sn_bands_edge(&bands, 5) == sn_target_macs(&target, &arch));
    assert_int_equal(sn_bands_index(&bands, 0), 0);
    assert_int_equal(sn_bands_index(&bands, 1e12), 4);
    double middle = sqrt(bands.lo * bands.hi);
    assert_int_equal(sn_bands_index(&bands, middle), 2);
}

static void test_probes(void **state)
{
    for (size_t s = 0; sn_space_builtin(s) != NULL; s++) {
        const struct sn_space *space = sn_space_builtin(s);
        struct sn_probe_params p = {
            .target = {space, 3, 10}, .n = 150, .bands = BANDS, .seed = 4};
        static struct sn_arch probe[150], again[150], end;
        struct sn_bands bands;
        unsigned of_band[BANDS] = {0};
        assert_int_equal(sn_probes_draw(&p, probe, NULL), SN_OK);
        sn_arch_largest(space, &end);
        assert_true(sn_arch_equal(&probe[0], &end));
        sn_arch_smallest(space, &end);
        assert_true(sn_arch_equal(&probe[1], &end));
        sn_bands_init(&bands, &p.target, BANDS);
        for (int i = 0; i < 150; i++) {
            assert_int_equal(sn_arch_check(space, &probe[i], NULL), SN_OK);
            for (int j = 0; j < i; j++)
                assert_false(sn_arch_equal(&probe[i], &probe[j]));
            double macs = sn_target_macs(&p.target, &probe[i]);
            of_band[sn_bands_index(&bands, macs)]++;
        }
        for (int b = 0; b < BANDS; b++)
            assert_in_range(of_band[b], 29, 32);
        assert_int_equal(sn_probes_draw(&p, again, NULL), SN_OK);
        assert_memory_equal(probe, again, sizeof probe);
        p.round = 1;
        assert_int_equal(sn_probes_draw(&p, again, NULL), SN_OK);
        assert_memory_not_equal(probe, again, sizeof probe);
    }
}

static void test_probes_of_a_small_space(void **state)
{
    struct sn_space space = small_space();
    struct sn_arch *probe = calloc(1765, sizeof *probe);
    struct sn_probe_params p = {
        .target = {&space, 1, 10}, .n = 1764, .bands = 7, .seed = 1};
    assert_int_equal(sn_probes_draw(&p, probe, NULL), SN_OK);
    struct sn_archset *set = NULL;
    assert_int_equal(sn_archset_new(1764, &set, NULL), SN_OK);
    for (int i = 0; i < 1764; i++)
        assert_true(sn_archset_add(set, &probe[i]));
    sn_archset_free(set);
    struct sn_error err;
    p.n = 1765;
    assert_int_equal(sn_probes_draw(&p, probe, &err), SN_ERR_RANGE);
    assert_non_null(strstr(err.message, "1764"));
    p.n = 1;
    assert_int_equal(sn_probes_draw(&p, probe, &err), SN_ERR_RANGE);
    free(probe);
}

static void assert_is_sorted_and_holds_ends(const struct sn_subspace *sub,
                                            const struct sn_space *space)
{
    struct sn_arch end;
    for (uint32_t i = 1; i < sub->n; i++)
        assert_true(sn_arch_compare(&sub->arch[i - 1], &sub->arch[i]) < 0);
    sn_arch_largest(space, &end);
    assert_true(sn_subspace_holds(sub, &end));
    sn_arch_smallest(space, &end);
    assert_true(sn_subspace_holds(sub, &end));
}

static void test_filter_of_a_large_space(void **state)
{
    struct sn_target target = tiny();
    struct sn_predictor *p = any_predictor(target.space);
    struct sn_filter_params f = {.target = target,
                                 .predictor = p,
                                 .size = SIZE,
                                 .draws = DRAWS,
                                 .bands = BANDS,
                                 .seed = 2};
    struct sn_subspace *sub = NULL;
    struct sn_bands bands;
    unsigned kept[BANDS] = {0}, scored = 0;
    assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
    assert_int_equal(sub->n, SIZE);
    assert_int_equal(sub->scored, DRAWS);
    assert_int_equal(sub->n_bands, BANDS);
    assert_is_sorted_and_holds_ends(sub, target.space);
    sn_bands_init(&bands, &target, BANDS);
    struct sn_arch largest, smallest;
    sn_arch_largest(target.space, &largest);
    sn_arch_smallest(target.space, &smallest);
    for (uint32_t i = 0; i < sub->n; i++) {
        const struct sn_arch *a = &sub->arch[i];
        uint32_t b = sn_bands_index(&bands, sn_target_macs(&target, a));
        kept[b]++;
        assert_true(sub->score[i] == sn_predictor_score(p, a));
        assert_true(sub->score[i] >= sub->band[b].threshold ||
                    sn_arch_equal(a, &largest) || sn_arch_equal(a, &smallest));
    }
    for (int b = 0; b < BANDS; b++) {
        assert_int_equal(kept[b], sub->band[b].kept);
        assert_in_range(kept[b], 340, 341);
        scored += sub->band[b].scored;
        assert_true(sub->band[b].macs_lo < sub->band[b].macs_hi);
    }
    assert_int_equal(scored, DRAWS);
    sn_subspace_free(sub);
    sn_predictor_free(p);
}

/* Against the whole space, sorted by hand: in each band exactly the best. */
static void test_filter_of_a_whole_space(void **state)
{
    struct sn_space space = small_space();
    struct sn_predictor *p = any_predictor(&space);
    struct sn_filter_params f = {.target = {&space, 1, 10},
                                 .predictor = p,
                                 .size = 300,
                                 .draws = DRAWS,
                                 .bands = 4,
                                 .seed = 2};
    struct sn_subspace *sub = NULL;
    struct sn_bands bands;
    assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
    assert_int_equal(sub->n, 300);
    assert_int_equal(sub->scored, 1764);
    assert_is_sorted_and_holds_ends(sub, &space);
    sn_bands_init(&bands, &f.target, 4);
    struct sn_arch arch, largest, smallest;
    sn_arch_largest(&space, &largest);
    sn_arch_smallest(&space, &smallest);
    unsigned members = 0;
    for (uint32_t i = 0; i < 1764; i++) {
        sn_arch_at(&space, i, &arch);
        uint32_t b = sn_bands_index(&bands, sn_target_macs(&f.target, &arch));
        double score = sn_predictor_score(p, &arch);
        bool held = sn_subspace_holds(sub, &arch);
        members += held;
        if (sn_arch_equal(&arch, &largest) || sn_arch_equal(&arch, &smallest))
            continue;
        if (score > sub->band[b].threshold)
            assert_true(held);
        if (score < sub->band[b].threshold)
            assert_false(held);
    }
    assert_int_equal(members, 300);
    sn_subspace_free(sub);
    sn_predictor_free(p);
}

static void test_sizes_are_exact(void **state)
{
    static const uint32_t sizes[] = {2, 3, 5, 883, 1500, 1763, 1764};
    struct sn_space space = small_space();
    struct sn_predictor *p = any_predictor(&space);
    struct sn_filter_params f = {
        .target = {&space, 1, 10}, .predictor = p, .draws = DRAWS, .bands = 9};
    struct sn_error err;
    struct sn_subspace *sub = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        f.size = sizes[i];
        assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
        assert_int_equal(sub->n, sizes[i]);
        assert_is_sorted_and_holds_ends(sub, &space);
        sn_subspace_free(sub);
        sub = NULL;
    }
    f.size = 1765;
    assert_int_equal(sn_subspace_filter(&f, &sub, &err), SN_ERR_RANGE);
    f.size = 1;
    assert_int_equal(sn_subspace_filter(&f, &sub, &err), SN_ERR_RANGE);
    f.size = 10;
    f.bands = SN_MAX_BANDS + 1;
    assert_int_equal(sn_subspace_filter(&f, &sub, &err), SN_ERR_RANGE);
    f.bands = 1;
    f.draws = 9;
    assert_int_equal(sn_subspace_filter(&f, &sub, &err), SN_ERR_RANGE);
    assert_null(sub);
    sn_predictor_free(p);
}

/* By a share: of each band that share to the nearest, one at least. */
static void test_fractions(void **state)
{
    struct sn_space space = small_space();
    struct sn_predictor *p = any_predictor(&space);
    struct sn_filter_params f = {
        .target = {&space, 1, 10}, .predictor = p, .draws = DRAWS, .bands = 6};
    static const double fractions[] = {0.0001, 0.1, 0.33, 1};
    struct sn_error err;
    struct sn_subspace *sub = NULL;
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        f.fraction = fractions[i];
        uint32_t sum = 0;
        assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
        for (uint32_t b = 0; b < sub->n_bands; b++) {
            double want = fmax(1, round(fractions[i] * sub->band[b].scored));
            assert_true(sub->band[b].scored > 0);
            assert_true(sub->band[b].kept == want);
            sum += sub->band[b].kept;
        }
        assert_int_equal(sub->n, sum);
        assert_is_sorted_and_holds_ends(sub, &space);
        sn_subspace_free(sub);
        sub = NULL;
    }
    f.fraction = 1.1;
    assert_int_equal(sn_subspace_filter(&f, &sub, &err), SN_ERR_RANGE);
    sn_predictor_free(p);
}

static double mean_score(const struct sn_subspace *sub)
{
    double sum = 0;
    for (uint32_t i = 0; i < sub->n; i++)
        sum += sub->score[i];
    return sum / sub->n;
}

/* A random filter has the bands of the one by score, but not its members, and
 * scores like the whole pool's. */
static void test_random_filter(void **state)
{
    struct sn_target target = tiny();
    struct sn_predictor *p = any_predictor(target.space);
    struct sn_filter_params f = {.target = target,
                                 .predictor = p,
                                 .size = 400,
                                 .draws = 5000,
                                 .bands = BANDS,
                                 .seed = 2};
    struct sn_subspace *best, *any, *other, *all;
    assert_int_equal(sn_subspace_filter(&f, &best, NULL), SN_OK);
    f.random = true;
    assert_int_equal(sn_subspace_filter(&f, &any, NULL), SN_OK);
    f.seed = 3;
    assert_int_equal(sn_subspace_filter(&f, &other, NULL), SN_OK);
    f.random = false;
    f.size = 5000;
    assert_int_equal(sn_subspace_filter(&f, &all, NULL), SN_OK);
    assert_int_equal(any->n, 400);
    assert_is_sorted_and_holds_ends(any, target.space);
    for (int b = 0; b < BANDS; b++)
        assert_int_equal(any->band[b].kept, best->band[b].kept);
    unsigned both = 0, shared = 0;
    for (uint32_t i = 0; i < any->n; i++) {
        both += sn_subspace_holds(best, &any->arch[i]);
        shared += sn_subspace_holds(other, &any->arch[i]);
        assert_true(any->score[i] == sn_predictor_score(p, &any->arch[i]));
    }
    assert_true(both < 100 && shared < 100); /* of 400, 8% by chance */
    double gain = mean_score(best) - mean_score(all);
    assert_true(fabs(mean_score(any) - mean_score(all)) < 0.2 * gain);
    sn_subspace_free(best);
    sn_subspace_free(any);
    sn_subspace_free(other);
    sn_subspace_free(all);
    sn_predictor_free(p);
}

/* The best of all, vetoed, is neither probed nor kept; the rest moves up. */
static void test_veto(void **state)
{
    struct sn_space space = small_space();
    struct sn_predictor *p = any_predictor(&space);
    struct sn_filter_params f = {.target = {&space, 1, 10},
                                 .predictor = p,
                                 .size = 300,
                                 .draws = DRAWS,
                                 .bands = 4};
    struct sn_subspace *sub;
    struct sn_arch veto[2], *probe = calloc(1762, sizeof *probe);
    assert_non_null(probe);
    assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
    veto[0] = sub->arch[5];
    veto[1] = sub->arch[200];
    f.veto = (struct sn_veto){veto, 2};
    sn_subspace_free(sub);
    assert_int_equal(sn_subspace_filter(&f, &sub, NULL), SN_OK);
    assert_int_equal(sub->n, 300);
    assert_int_equal(sub->scored, 1762);
    for (int i = 0; i < 2; i++)
        assert_false(sn_subspace_holds(sub, &veto[i]));
    sn_subspace_free(sub);
    struct sn_probe_params q = {
        .target = f.target, .n = 1762, .bands = 4, .veto = f.veto};
    assert_int_equal(sn_probes_draw(&q, probe, NULL), SN_OK);
    for (int i = 0; i < 1762; i++)
        assert_false(sn_veto_holds(&f.veto, &probe[i]));
    free(probe);
    sn_predictor_free(p);
}

static bool same(const struct sn_subspace *a, const struct sn_subspace *b)
{
    return a->n == b->n &&
           memcmp(a->arch, b->arch, a->n * sizeof *a->arch) == 0 &&
           memcmp(a->score, b->score, a->n * sizeof *a->score) == 0;
}

static void test_deterministic_and_storable(void **state)
{
    struct sn_target target = tiny();
    struct sn_predictor *p = any_predictor(target.space);
    struct sn_filter_params f = {.target = target,
                                 .predictor = p,
                                 .size = 500,
                                 .draws = 5000,
                                 .bands = BANDS,
                                 .seed = 2};
    struct sn_subspace *a, *b, *c = NULL;
    assert_int_equal(sn_subspace_filter(&f, &a, NULL), SN_OK);
    assert_int_equal(sn_subspace_filter(&f, &b, NULL), SN_OK);
    assert_true(same(a, b));
    sn_subspace_free(b);
    f.seed = 3;
    assert_int_equal(sn_subspace_filter(&f, &b, NULL), SN_OK);
    assert_false(same(a, b));
    sn_subspace_free(b);

    assert_int_equal(sn_subspace_from(target.space, a->arch, a->score, a->n,
                                      a->scored, a->band, a->n_bands, &b, NULL),
                     SN_OK);
    assert_true(same(a, b));
    a->arch[7] = a->arch[8];
    assert_int_equal(sn_subspace_from(target.space, a->arch, a->score, a->n, 0,
                                      NULL, 0, &c, NULL),
                     SN_ERR_CORRUPT);
    a->arch[7].depth[0] = 9;
    assert_int_equal(sn_subspace_from(target.space, a->arch, a->score, a->n, 0,
                                      NULL, 0, &c, NULL),
                     SN_ERR_CORRUPT);
    assert_null(c);
    sn_subspace_free(a);
    sn_subspace_free(b);
    sn_subspace_free(NULL);
    sn_predictor_free(p);
}

/* A second round takes from the first; samples and neighbours are members. */
static void test_within_an_earlier_one(void **state)
{
    struct sn_target target = tiny();
    struct sn_predictor *p = any_predictor(target.space);
    struct sn_filter_params f = {.target = target,
                                 .predictor = p,
                                 .size = 400,
                                 .draws = 5000,
                                 .bands = BANDS};
    struct sn_subspace *a, *b;
    assert_int_equal(sn_subspace_filter(&f, &a, NULL), SN_OK);
    f.within = a;
    f.size = 100;
    assert_int_equal(sn_subspace_filter(&f, &b, NULL), SN_OK);
    assert_int_equal(b->n, 100);
    for (uint32_t i = 0; i < b->n; i++)
        assert_true(sn_subspace_holds(a, &b->arch[i]));
    sn_subspace_free(b);
    f.size = 0;
    f.fraction = 0.25; /* of each band of what was kept */
    assert_int_equal(sn_subspace_filter(&f, &b, NULL), SN_OK);
    assert_in_range(b->n, 98, 102);
    for (uint32_t i = 0; i < b->n; i++)
        assert_true(sn_subspace_holds(a, &b->arch[i]));
    struct sn_arch probe[50];
    struct sn_probe_params q = {
        .target = target, .n = 50, .bands = BANDS, .within = b};
    assert_int_equal(sn_probes_draw(&q, probe, NULL), SN_OK);
    for (int i = 0; i < 50; i++)
        assert_true(sn_subspace_holds(b, &probe[i]));

    struct sn_rng rng = sn_rng_make(5, SN_STREAM_TEST, 0);
    for (int i = 0; i < 200; i++) {
        struct sn_arch arch, near;
        sn_subspace_sample(b, &rng, &arch);
        assert_true(sn_subspace_holds(b, &arch));
        sn_subspace_nearest(b, &arch, &near);
        assert_true(sn_arch_equal(&arch, &near));
        sn_arch_mutate(target.space, 0.2, &rng, &arch);
        sn_subspace_nearest(b, &arch, &near);
        assert_true(sn_subspace_holds(b, &near));
    }
    sn_subspace_free(a);
    sn_subspace_free(b);
    sn_predictor_free(p);
}

static bool kernels_are_forced(const struct sn_space *space,
                               const struct sn_arch *arch)
{
    struct sn_arch coupled = *arch;
    sn_arch_couple(space, &coupled);
    return sn_arch_equal(&coupled, arch);
}

/* All of it where that is few; where it is many, distinct draws, whose depth
 * still forces their expand ratios. */
static void test_the_coupled_one(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_subspace *fixed = NULL, *elastic = NULL;
    assert_int_equal(sn_coupled_subspace(space, false, 4096, 1, &fixed, NULL),
                     SN_OK);
    assert_int_equal(fixed->n, 243);
    for (uint32_t i = 0; i < fixed->n; i++)
        assert_true(kernels_are_forced(space, &fixed->arch[i]));
    assert_int_equal(sn_coupled_subspace(space, true, 500, 1, &elastic, NULL),
                     SN_OK);
    assert_int_equal(elastic->n, 500);
    uint32_t forced = 0;
    for (uint32_t i = 0; i < elastic->n; i++) {
        struct sn_arch coupled = elastic->arch[i];
        sn_arch_couple(space, &coupled);
        assert_memory_equal(coupled.expand, elastic->arch[i].expand,
                            sizeof coupled.expand);
        forced += kernels_are_forced(space, &elastic->arch[i]);
    }
    assert_true(forced < 50);
    sn_subspace_free(fixed);
    sn_subspace_free(elastic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_of_architectures),
        cmocka_unit_test(test_bands),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_probes_of_a_small_space),
        cmocka_unit_test(test_filter_of_a_large_space),
        cmocka_unit_test(test_filter_of_a_whole_space),
        cmocka_unit_test(test_sizes_are_exact),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_random_filter),
        cmocka_unit_test(test_veto),
        cmocka_unit_test(test_deterministic_and_storable),
        cmocka_unit_test(test_within_an_earlier_one),
        cmocka_unit_test(test_the_coupled_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
