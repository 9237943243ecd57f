/* Strategies as lists of phases: sparsenas with one round and with two, a retry
 * put behind a filter that cannot be trusted, Once-for-All's progressive
 * phases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/run/strategy.h"

static void make(enum sn_strategy strategy, int rounds, struct sn_spec *ret)
{
    sn_spec_defaults(ret);
    ret->strategy = strategy;
    ret->epochs = 10;
    ret->train.train_limit = 12800;
    ret->train.batch_size = 128;
    ret->sparsenas.warmup_epochs = 2;
    ret->sparsenas.rounds = rounds;
}

static void assert_kinds(const struct sn_strategy_phases *list,
                         const enum sn_phase_kind *kinds, int n)
{
    assert_int_equal(list->n, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(list->phase[i].kind, kinds[i]);
}

static uint64_t all_steps(const struct sn_strategy_phases *list)
{
    uint64_t sum = 0;
    for (int i = 0; i < list->n; i++)
        sum += list->phase[i].steps;
    return sum;
}

static void sparsenas_with_one_round(void **state)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct sn_spec spec;
    struct sn_strategy_phases list;

    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    sn_strategy_phases(&spec, &list);
    assert_kinds(&list, kinds, 8);
    assert_int_equal(list.phase[1].steps, 200);
    assert_int_equal(list.phase[1].rate, SN_RATE_COOLED);
    assert_false(list.phase[1].in_subspace);
    assert_int_equal(list.phase[5].steps, 800);
    assert_int_equal(list.phase[5].rate, SN_RATE_COSINE);
    assert_true(list.phase[5].in_subspace);
}

static void sparsenas_with_two_rounds(void **state)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct sn_spec spec;
    struct sn_strategy_phases list;

    make(SN_STRATEGY_SPARSENAS, 2, &spec);
    sn_strategy_phases(&spec, &list);
    assert_kinds(&list, kinds, 12);
    assert_int_equal(list.phase[2].round, 0);
    assert_int_equal(list.phase[6].round, 1);
    /* a probe looks at weights that were cooled; only the end is a cosine */
    assert_int_equal(list.phase[5].rate, SN_RATE_COOLED);
    assert_int_equal(list.phase[9].rate, SN_RATE_COSINE);
    assert_int_equal(all_steps(&list), 1000);
}

static void sandwich_trainer_has_its_own_teacher(void **state)
{
    struct sn_spec spec;
    struct sn_strategy_phases list;
    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    spec.sparsenas.trainer = SN_TRAINER_SANDWICH;
    sn_strategy_phases(&spec, &list);
    assert_int_equal(list.phase[1].draw, SN_DRAW_PATHS);
    assert_int_equal(list.phase[5].draw, SN_DRAW_SANDWICH);
    assert_int_equal(list.phase[5].teach, SN_TEACH_LARGEST);
    assert_int_equal(sn_strategy_max_subnets(&spec), 4);
}

static void retry_is_put_behind_the_filter(void **state)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct sn_spec spec;
    struct sn_strategy_phases list;

    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    sn_strategy_phases(&spec, &list);
    assert_true(sn_strategy_insert_retry(&list, 4));
    assert_kinds(&list, kinds, 12);
    assert_int_equal(list.phase[5].steps, 100);
    assert_int_equal(list.phase[9].steps, 700);
    assert_int_equal(all_steps(&list), 1000);
}

static void retries_end_when_training_is_short(void **state)
{
    struct sn_spec spec;
    struct sn_strategy_phases list;
    int at = 4, retries = 0;

    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    sn_strategy_phases(&spec, &list);
    while (retries < 20 && sn_strategy_insert_retry(&list, at)) {
        at += 4;
        retries++;
    }
    assert_int_equal(retries, 7); /* 800 steps, 100 each, 100 stay */
    assert_int_equal(list.phase[at + 1].kind, SN_PHASE_TRAIN);
    assert_int_equal(list.phase[at + 1].steps, 100);
    assert_int_equal(all_steps(&list), 1000);
}

static void ofa_shares_sum_up(void **state)
{
    const double epochs[] = {0.5, 1, 3.3, 10, 605};
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
        struct sn_spec spec;
        struct sn_strategy_phases list;
        struct sn_budget b;
        make(SN_STRATEGY_OFA, 1, &spec);
        spec.epochs = epochs[i];
        sn_strategy_phases(&spec, &list);
        sn_budget_make(&spec, &b);
        assert_int_equal(all_steps(&list), b.total_steps);
    }
}

static void assert_wider(const struct sn_choices *a, const struct sn_choices *b)
{
    for (int i = 0; i < a->n; i++)
        assert_non_null(memchr(b->value, a->value[i], b->n));
}

static void ofa_limits_widen(void **state)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_spec spec;
    struct sn_strategy_phases list;
    struct sn_limits all;

    make(SN_STRATEGY_OFA, 1, &spec);
    sn_strategy_phases(&spec, &list);
    assert_int_equal(list.n, 9);
    assert_int_equal(list.phase[1].draw, SN_DRAW_LARGEST);
    assert_true(list.phase[1].keep_teacher);
    for (int i = 2; i <= 6; i++) {
        const struct sn_limits *a = &list.phase[i - 1].limits;
        const struct sn_limits *b = &list.phase[i].limits;
        assert_int_equal(list.phase[i].teach, SN_TEACH_FIXED);
        assert_false(list.phase[i].keep_teacher);
        for (int s = 0; s < space->n_stages; s++) {
            assert_wider(&a->kernel[s], &b->kernel[s]);
            assert_wider(&a->depth[s], &b->depth[s]);
            assert_wider(&a->expand[s], &b->expand[s]);
        }
        assert_memory_not_equal(a, b, sizeof *a);
    }
    sn_limits_all(space, &all);
    assert_memory_equal(&list.phase[6].limits, &all, sizeof all);
}

/* Channels are sorted on entering each phase that opens widths, within the
 * bands of widths trained until then. */
static void ofa_sorts_before_expand_phases(void **state)
{
    struct sn_spec spec;
    struct sn_strategy_phases list;
    make(SN_STRATEGY_OFA, 1, &spec);
    sn_strategy_phases(&spec, &list);
    for (int i = 0; i < list.n; i++) {
        const struct sn_strategy_phase *p = &list.phase[i];
        bool opens = strncmp(p->name, "elastic expand", 14) == 0;
        assert_int_equal(p->sort, opens);
        if (opens)
            assert_memory_equal(&p->sort_bands,
                                &list.phase[i - 1].limits.expand,
                                sizeof p->sort_bands);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparsenas_with_one_round),
        cmocka_unit_test(sparsenas_with_two_rounds),
        cmocka_unit_test(sandwich_trainer_has_its_own_teacher),
        cmocka_unit_test(retry_is_put_behind_the_filter),
        cmocka_unit_test(retries_end_when_training_is_short),
        cmocka_unit_test(ofa_shares_sum_up),
        cmocka_unit_test(ofa_limits_widen),
        cmocka_unit_test(ofa_sorts_before_expand_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
