/* Elastic resolution: each step trains all of its sub-networks, the teacher
 * too, at one resolution of the space's list, drawn by the step; weights are
 * bitwise the same with one worker and with two; an architecture is calibrated
 * and evaluated at its own resolution, whatever was evaluated before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/train/evaluate.h"
#include "engine/train/trainer.h"
#include "tests/engine/train/fixture.h"

enum { TRAIN = 100, TEST = 8, HOLDOUT = 20, BATCH = 16, STEPS = 9 };

static struct sn_small_set set;
static struct sn_space space;
static struct sn_limits all;

struct bench {
    struct sn_compute *compute;
    struct sn_pool *pool;
    struct sn_view *view;
    struct sn_supernet *net;
    struct sn_trainer *trainer;
};

static void ok(enum sn_err rc, const struct sn_error *err)
{
    if (rc != SN_OK)
        fail_msg("%s", err->message);
}

static void bench_init_at(struct bench *b, int workers, uint16_t resolution)
{
    struct sn_error e = {0};
    struct sn_trainer_settings settings = {.batch_size = BATCH,
                                           .shard_size = 8,
                                           .max_subnets = 3,
                                           .momentum = 0.9f,
                                           .augment = {.pad = 1, .flip = true},
                                           .resolution = resolution,
                                           .seed = 7};
    memset(b, 0, sizeof *b);
    ok(sn_compute_new(NULL, &b->compute, &e), &e);
    ok(sn_pool_new(b->compute, workers, &b->pool, &e), &e);
    ok(sn_view_new(set.data, 7, HOLDOUT, 0, &b->view, &e), &e);
    ok(sn_supernet_new(b->compute, &space, 1, SN_SMALL_CLASSES, 7, &b->net, &e),
       &e);
    ok(sn_trainer_new(b->pool, b->net, b->view, &settings, &b->trainer, &e),
       &e);
}

static void bench_init(struct bench *b, int workers)
{
    bench_init_at(b, workers, 0);
}

static void bench_close(struct bench *b)
{
    sn_trainer_free(b->trainer);
    sn_supernet_free(b->net);
    sn_view_free(b->view);
    sn_pool_free(b->pool);
    sn_compute_free(b->compute);
}

static void train(struct bench *b, enum sn_sampler_kind kind,
                  enum sn_trainer_teach teach, double macs[STEPS])
{
    struct sn_error e = {0};
    struct sn_sampler sampler;
    sn_sampler_init(&sampler, &space, kind, 3, &all);
    sn_arch_smallest(&space, &sampler.fixed);
    if (teach == SN_TRAINER_TEACH_FIXED)
        ok(sn_trainer_keep_teacher(b->trainer, NULL, &e), &e);
    for (uint64_t step = 0; step < STEPS; step++) {
        struct sn_trainer_step s = {.sampler = &sampler,
                                    .teach = teach,
                                    .kd_ratio = 1,
                                    .rate = 0.05,
                                    .step = step};
        struct sn_trainer_result r;
        ok(sn_trainer_step(b->trainer, &s, &r, &e), &e);
        macs[step] = r.macs;
    }
}

static double macs_of(const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(&space, arch, 1, SN_SMALL_CLASSES, &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

/* A step of the largest costs what it costs at one of the three. */
static void steps_draw_a_resolution(void **state)
{
    struct bench b;
    double macs[STEPS];
    unsigned met[3] = {0};
    bench_init(&b, 2);
    train(&b, SN_SAMPLE_LARGEST, SN_TRAINER_TEACH_NONE, macs);
    for (int i = 0; i < STEPS; i++) {
        unsigned before = met[0] + met[1] + met[2];
        for (int r = 0; r < 3; r++) {
            struct sn_arch largest;
            sn_arch_largest(&space, &largest);
            largest.resolution = space.resolutions[r];
            met[r] += macs[i] == 3 * macs_of(&largest) * BATCH;
        }
        assert_int_equal(met[0] + met[1] + met[2], before + 1);
    }
    assert_true(met[0] > 0 && met[1] > 0 && met[2] > 0);
    bench_close(&b);
    (void)state;
}

/* Unless every step is asked to be at one. */
static void steps_keep_a_resolution(void **state)
{
    struct bench b;
    struct sn_arch smallest;
    double macs[STEPS];
    bench_init_at(&b, 2, space.resolutions[1]);
    train(&b, SN_SAMPLE_FIXED, SN_TRAINER_TEACH_NONE, macs);
    sn_arch_smallest(&space, &smallest);
    smallest.resolution = space.resolutions[1];
    for (int i = 0; i < STEPS; i++)
        assert_true(macs[i] == 3 * macs_of(&smallest) * BATCH);
    bench_close(&b);
    (void)state;
}

static void workers_change_nothing(void **state)
{
    static const struct {
        enum sn_sampler_kind kind;
        enum sn_trainer_teach teach;
    } ways[] = {
        {SN_SAMPLE_SANDWICH, SN_TRAINER_TEACH_LARGEST},
        {SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED},
    };
    for (int w = 0; w < 2; w++) {
        struct bench one, two;
        double a[STEPS], b[STEPS];
        bench_init(&one, 1);
        bench_init(&two, 2);
        train(&one, ways[w].kind, ways[w].teach, a);
        train(&two, ways[w].kind, ways[w].teach, b);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(sn_supernet_weights(one.net),
                            sn_supernet_weights(two.net),
                            sn_supernet_size(one.net) * sizeof(float));
        bench_close(&one);
        bench_close(&two);
    }
    (void)state;
}

static void evaluations_are_at_their_own(void **state)
{
    const struct sn_evaluate_settings how = {40, SN_SPLIT_HOLDOUT, 0, HOLDOUT};
    struct sn_error e = {0};
    struct sn_evaluator *evaluator;
    struct sn_evaluate_result first[3], again[3];
    struct sn_arch arch[3];
    struct bench b;
    bench_init(&b, 2);
    for (int r = 0; r < 3; r++) {
        sn_arch_smallest(&space, &arch[r]);
        arch[r].resolution = space.resolutions[r];
    }
    ok(sn_evaluator_new(b.compute, b.pool, b.net, b.view, 7, &evaluator, &e),
       &e);
    ok(sn_evaluate(evaluator, &how, arch, 3, first, &e), &e);
    for (int r = 2; r >= 0; r--) {
        struct sn_static *net;
        ok(sn_evaluate(evaluator, &how, &arch[r], 1, &again[r], &e), &e);
        assert_int_equal(again[r].correct, first[r].correct);
        assert_true(first[r].macs == macs_of(&arch[r]) * (40 + HOLDOUT));
        ok(sn_evaluator_extract(evaluator, &arch[r], 40, &net, &e), &e);
        assert_int_equal(sn_static_folded(net)->plan.resolution,
                         space.resolutions[r]);
        sn_static_free(net);
    }
    sn_evaluator_free(evaluator);
    bench_close(&b);
    (void)state;
}

static int open_all(void **state)
{
    static const uint16_t list[3] = {16, 20, 28};
    sn_small_set_init(&set, TRAIN, TEST);
    space = *sn_space_find("mbv3-tiny");
    space.n_resolutions = 3;
    memcpy(space.resolutions, list, sizeof list);
    sn_limits_all(&space, &all);
    (void)state;
    return 0;
}

static int close_all(void **state)
{
    sn_small_set_close(&set);
    (void)state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_draw_a_resolution),
        cmocka_unit_test(steps_keep_a_resolution),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(evaluations_are_at_their_own),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
