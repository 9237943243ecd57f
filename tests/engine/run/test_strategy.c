/* Strategies as lists of phases: sparsenas with one round and with two, a retry
 * put behind a filter that cannot be trusted, Once-for-All's progressive
 * phases, and the other papers' tables; one architecture, measured before and
 * after; settings of a paper hold where the user gave none; spaces that a
 * strategy cannot train are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
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
    int trained, drawn;
    sn_strategy_most_subnets(&spec, &trained, &drawn);
    assert_int_equal(trained, 4);
    assert_int_equal(drawn, 4);
}

/* The teacher takes Once-for-All's share of the epochs, before all else. */
static void teacher_comes_first(void **state)
{
    struct sn_spec spec;
    struct sn_strategy_phases list;
    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    spec.sparsenas.trainer = spec.sparsenas.warmup_trainer = SN_TRAINER_TEACHER;
    sn_strategy_phases(&spec, &list);
    assert_int_equal(list.phase[1].draw, SN_DRAW_LARGEST);
    assert_true(list.phase[1].keep_teacher);
    assert_int_equal(list.phase[1].steps, 298); /* 1000 * 180 / 605 */
    assert_int_equal(list.phase[2].kind, SN_PHASE_WARMUP);
    assert_int_equal(list.phase[2].teach, SN_TEACH_FIXED);
    assert_int_equal(list.phase[6].teach, SN_TEACH_FIXED);
    assert_int_equal(all_steps(&list), 1000);
    assert_true(sn_strategy_insert_retry(&list, 5));
    assert_int_equal(all_steps(&list), 1000);
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

/* Each of the papers' tables: what its last phase draws, and how many. */
static void tables_of_the_papers(void **state)
{
    static const struct {
        enum sn_strategy strategy;
        int n_train, trained, drawn;
        enum sn_draw draw;
        enum sn_teach teach;
        enum sn_rate rate;
    } want[] = {
        {SN_STRATEGY_COMPOFA, 3, 4, 4, SN_DRAW_COUPLED, SN_TEACH_FIXED,
         SN_RATE_COSINE},
        {SN_STRATEGY_BIGNAS, 1, 4, 4, SN_DRAW_SANDWICH, SN_TEACH_LARGEST,
         SN_RATE_EXPONENTIAL},
        {SN_STRATEGY_ALPHANET, 1, 4, 4, SN_DRAW_SANDWICH,
         SN_TEACH_LARGEST_ALPHA, SN_RATE_COSINE},
        {SN_STRATEGY_ATTENTIVENAS, 1, 4, 8, SN_DRAW_ATTENTIVE, SN_TEACH_LARGEST,
         SN_RATE_COSINE},
        {SN_STRATEGY_SPOS, 1, 1, 1, SN_DRAW_PATHS, SN_TEACH_NONE,
         SN_RATE_LINEAR},
        {SN_STRATEGY_FAIRNAS, 1, 6, 6, SN_DRAW_FAIR, SN_TEACH_NONE,
         SN_RATE_COSINE},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct sn_spec spec;
        struct sn_strategy_phases list;
        int trained, drawn;
        make(want[i].strategy, 1, &spec);
        sn_strategy_phases(&spec, &list);
        sn_strategy_most_subnets(&spec, &trained, &drawn);
        const struct sn_strategy_phase *last = &list.phase[list.n - 3];
        assert_int_equal(list.n, want[i].n_train + 3);
        assert_int_equal(last->draw, want[i].draw);
        assert_int_equal(last->teach, want[i].teach);
        assert_int_equal(last->rate, want[i].rate);
        assert_int_equal(trained, want[i].trained);
        assert_int_equal(drawn, want[i].drawn);
        assert_int_equal(all_steps(&list), 1000);
    }
}

/* Its own architecture in every step, for all epochs; what has weights already
 * is measured before. */
static void one_architecture(void **state)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_EVALUATE, SN_PHASE_TRAIN, SN_PHASE_EVALUATE,
        SN_PHASE_SEARCH};
    struct sn_spec spec;
    struct sn_strategy_phases list;
    struct sn_arch smallest;
    int trained, drawn;

    make(SN_STRATEGY_FINETUNE, 1, &spec);
    snprintf(spec.supernet, sizeof spec.supernet, "net");
    sn_arch_smallest(sn_space_find(spec.space), &smallest);
    sn_arch_encode(sn_space_find(spec.space), &smallest, spec.architecture);
    sn_strategy_phases(&spec, &list);
    assert_kinds(&list, kinds, 5);
    assert_int_equal(list.phase[1].stage, SN_STAGE_EARLY);
    assert_int_equal(list.phase[3].stage, SN_STAGE_FINAL);
    const struct sn_strategy_phase *p = &list.phase[2];
    assert_int_equal(p->draw, SN_DRAW_FIXED);
    assert_int_equal(p->teach, SN_TEACH_NONE);
    assert_int_equal(p->rate, SN_RATE_COSINE);
    assert_true(sn_arch_equal(&p->fixed, &smallest));
    sn_strategy_most_subnets(&spec, &trained, &drawn);
    assert_int_equal(trained, 1);
    assert_int_equal(drawn, 1);
    assert_int_equal(all_steps(&list), 1000);

    spec.strategy = SN_STRATEGY_SCRATCH;
    spec.supernet[0] = '\0';
    sn_strategy_phases(&spec, &list);
    assert_int_equal(list.n, 4);
    assert_int_equal(list.phase[1].kind, SN_PHASE_TRAIN);
    assert_true(sn_arch_equal(&list.phase[1].fixed, &smallest));
    assert_int_equal(all_steps(&list), 1000);
}

static void options_reach_the_phases(void **state)
{
    struct sn_spec spec;
    struct sn_strategy_phases list;
    make(SN_STRATEGY_COMPOFA, 1, &spec);
    sn_strategy_phases(&spec, &list);
    assert_false(list.phase[2].elastic_kernels);
    assert_int_equal(list.phase[2].sort_bands.n, 1);
    assert_int_equal(list.phase[3].sort_bands.n, 3);
    spec.compofa.kernels = SN_KERNELS_ELASTIC;
    sn_strategy_phases(&spec, &list);
    assert_true(list.phase[2].elastic_kernels);
    make(SN_STRATEGY_ATTENTIVENAS, 1, &spec);
    spec.attentivenas.sampling = SN_SAMPLING_WORST_UP;
    sn_strategy_phases(&spec, &list);
    assert_true(list.phase[1].worst);
    assert_int_equal(list.phase[1].candidates, 3);
    make(SN_STRATEGY_ALPHANET, 1, &spec);
    sn_strategy_phases(&spec, &list);
    assert_true(list.phase[1].alpha_clip == 5);
}

static size_t field(const char *pointer)
{
    size_t n, i = 0;
    const struct sn_field *fields = sn_spec_fields(&n);
    while (i < n && strcmp(fields[i].pointer, pointer) != 0)
        i++;
    assert_true(i < n);
    return i;
}

static void own_settings_yield_to_given_ones(void **state)
{
    struct sn_spec spec;
    make(SN_STRATEGY_ALPHANET, 1, &spec);
    spec.train.batch_size = 512;
    sn_strategy_defaults(&spec);
    assert_true(spec.train.learning_rate == 0.2);
    assert_true(spec.train.weight_decay == 1e-5);
    assert_true(spec.train.clip_value == 1);

    make(SN_STRATEGY_ALPHANET, 1, &spec);
    sn_spec_give(&spec, field("/train/learning_rate"));
    spec.train.weight_decay = 2e-5;
    sn_strategy_defaults(&spec);
    assert_true(spec.train.learning_rate == 0.1); /* our default, but given */
    assert_true(spec.train.weight_decay == 2e-5);

    make(SN_STRATEGY_SPARSENAS, 1, &spec);
    sn_strategy_defaults(&spec);
    assert_true(spec.train.learning_rate == 0.1);
}

static void odd_spaces_are_refused(void **state)
{
    struct sn_space space = *sn_space_find("mbv3-tiny");
    struct sn_spec spec;
    struct sn_error err = {0};
    make(SN_STRATEGY_FAIRNAS, 1, &spec);
    assert_int_equal(sn_strategy_check(&spec, &space, &err), SN_OK);
    space.stage[1].kernel.n = 1;
    assert_int_equal(sn_strategy_check(&spec, &space, &err), SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/strategy");
    spec.strategy = SN_STRATEGY_COMPOFA;
    assert_int_equal(sn_strategy_check(&spec, &space, &err), SN_OK);
    space.stage[1].coupled.expand[2] = 0;
    assert_int_equal(sn_strategy_check(&spec, &space, &err), SN_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparsenas_with_one_round),
        cmocka_unit_test(sparsenas_with_two_rounds),
        cmocka_unit_test(sandwich_trainer_has_its_own_teacher),
        cmocka_unit_test(teacher_comes_first),
        cmocka_unit_test(retry_is_put_behind_the_filter),
        cmocka_unit_test(retries_end_when_training_is_short),
        cmocka_unit_test(ofa_shares_sum_up),
        cmocka_unit_test(ofa_limits_widen),
        cmocka_unit_test(ofa_sorts_before_expand_phases),
        cmocka_unit_test(tables_of_the_papers),
        cmocka_unit_test(one_architecture),
        cmocka_unit_test(options_reach_the_phases),
        cmocka_unit_test(own_settings_yield_to_given_ones),
        cmocka_unit_test(odd_spaces_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
