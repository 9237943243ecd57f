/* The training step: loss falls with every way of teaching; weights are bitwise
 * the same with one worker and with two, in bf16 too; weights, momentum and the
 * step's number are all that a replay needs; a long batch in waves is one step;
 * the gradient is clipped by its norm and by value; after the first steps
 * nothing allocates; training that diverges says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/trainer.h"
#include "tests/engine/train/fixture.h"

enum { TRAIN = 160, BATCH = 32, SHARD = 16, SUBNETS = 4 };

static struct sn_small_set set;

/* A trainer and all that it borrows. */
struct bench {
    struct sn_compute *compute;
    struct sn_pool *pool;
    struct sn_view *view;
    struct sn_supernet *net;
    struct sn_trainer *trainer;
    struct sn_sampler sampler;
    enum sn_trainer_teach teach;
    double rate;
};

static void ok(enum sn_err rc, const struct sn_error *err)
{
    if (rc != SN_OK)
        fail_msg("%s", err->message);
}

static const struct sn_trainer_settings usual = {.batch_size = BATCH,
                                                 .shard_size = SHARD,
                                                 .max_subnets = SUBNETS,
                                                 .label_smoothing = 0.1f,
                                                 .momentum = 0.9f,
                                                 .weight_decay = 3e-5f,
                                                 .augment = {.pad = 1},
                                                 .seed = 7};

static void bench_make(struct bench *b, int workers, enum sn_sampler_kind kind,
                       enum sn_trainer_teach teach,
                       const struct sn_trainer_settings *settings)
{
    struct sn_error e = {0};
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_limits all;
    memset(b, 0, sizeof *b);
    b->teach = teach;
    b->rate = 0.05;
    sn_limits_all(space, &all);
    sn_sampler_init(&b->sampler, space, kind,
                    kind == SN_SAMPLE_SANDWICH ? SUBNETS : 1, &all);
    ok(sn_compute_new(NULL, &b->compute, &e), &e);
    ok(sn_pool_new(b->compute, workers, &b->pool, &e), &e);
    ok(sn_view_new(set.data, 7, 20, 0, &b->view, &e), &e);
    ok(sn_supernet_new(b->compute, space, 1, SN_SMALL_CLASSES, 7, &b->net, &e),
       &e);
    ok(sn_trainer_new(b->pool, b->net, b->view, settings, &b->trainer, &e), &e);
    if (teach == SN_TRAINER_TEACH_FIXED)
        ok(sn_trainer_keep_teacher(b->trainer, NULL, &e), &e);
}

static void bench_init_stored(struct bench *b, int workers,
                              enum sn_sampler_kind kind,
                              enum sn_trainer_teach teach, enum sn_store store)
{
    struct sn_trainer_settings settings = usual;
    settings.store = store;
    bench_make(b, workers, kind, teach, &settings);
}

static void bench_init(struct bench *b, int workers, enum sn_sampler_kind kind,
                       enum sn_trainer_teach teach)
{
    bench_make(b, workers, kind, teach, &usual);
}

static void bench_close(struct bench *b)
{
    sn_trainer_free(b->trainer);
    sn_supernet_free(b->net);
    sn_view_free(b->view);
    sn_pool_free(b->pool);
    sn_compute_free(b->compute);
}

static enum sn_err one_step(struct bench *b, uint64_t step,
                            struct sn_trainer_result *ret, struct sn_error *err)
{
    struct sn_trainer_step s = {.sampler = &b->sampler,
                                .teach = b->teach,
                                .kd_ratio = 1,
                                .rate = b->rate,
                                .step = step};
    return sn_trainer_step(b->trainer, &s, ret, err);
}

/* Mean loss of steps first .. first + n - 1. */
static double train(struct bench *b, uint64_t first, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = first; i < first + n; i++) {
        struct sn_trainer_result r;
        struct sn_error err = {0};
        ok(one_step(b, i, &r, &err), &err);
        assert_true(r.macs > 0 && r.accuracy >= 0 && r.accuracy <= 1);
        sum += r.loss;
    }
    return sum / (double)n;
}

static size_t weight_bytes(const struct bench *b)
{
    return sn_supernet_size(b->net) * sizeof(float);
}

static void assert_same_weights(struct bench *a, struct bench *b)
{
    assert_memory_equal(sn_supernet_weights(a->net),
                        sn_supernet_weights(b->net), weight_bytes(a));
    assert_memory_equal(sn_trainer_momentum(a->trainer),
                        sn_trainer_momentum(b->trainer), weight_bytes(a));
}

static const struct {
    enum sn_sampler_kind kind;
    enum sn_trainer_teach teach;
} ways[] = {
    {SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE},
    {SN_SAMPLE_SANDWICH, SN_TRAINER_TEACH_LARGEST},
    {SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static void loss_falls(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct bench b;
        bench_init(&b, 2, ways[w].kind, ways[w].teach);
        double before = train(&b, 0, 4);
        train(&b, 4, 52);
        double after = train(&b, 56, 4);
        if (!(after < 0.8 * before))
            fail_msg("way %d: loss %g, then %g", w, before, after);
        bench_close(&b);
    }
}

/* A teacher that knows the task, then new paths that learn from it. */
static void loss_falls_with_a_fixed_teacher(void **state)
{
    struct sn_error err = {0};
    struct bench b;
    bench_init(&b, 2, SN_SAMPLE_LARGEST, SN_TRAINER_TEACH_NONE);
    train(&b, 0, 30);
    ok(sn_trainer_keep_teacher(b.trainer, NULL, &err), &err);
    b.sampler.kind = SN_SAMPLE_PATHS;
    b.teach = SN_TRAINER_TEACH_FIXED;
    double before = train(&b, 30, 4);
    train(&b, 34, 40);
    double after = train(&b, 74, 4);
    if (!(after < 0.9 * before))
        fail_msg("loss %g, then %g", before, after);
    bench_close(&b);
}

/* It is the space's largest network also where a step draws from a sub-space,
 * whose largest may be smaller. */
static void teacher_is_the_largest_of_the_space(void **state)
{
    struct bench whole, narrow;
    bench_init(&whole, 1, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED);
    bench_init(&narrow, 1, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED);
    narrow.sampler.largest = narrow.sampler.smallest;
    train(&whole, 0, 2);
    train(&narrow, 0, 2);
    assert_same_weights(&whole, &narrow);
    bench_close(&whole);
    bench_close(&narrow);
}

static void workers_change_nothing(void **state)
{
    for (int w = 0; w < WAYS; w++) {
        struct bench one, two;
        bench_init(&one, 1, ways[w].kind, ways[w].teach);
        bench_init(&two, 2, ways[w].kind, ways[w].teach);
        double a = train(&one, 0, 6), b = train(&two, 0, 6);
        assert_memory_equal(&a, &b, sizeof a);
        assert_same_weights(&one, &two);
        bench_close(&one);
        bench_close(&two);
    }
}

/* In bf16 the loss falls too, and workers change nothing. */
static void bf16_trains(void **state)
{
    if (!sn_compute_cpu_stores(SN_STORE_BF16))
        skip();
    for (int w = 0; w < WAYS; w++) {
        struct bench one, two;
        bench_init_stored(&one, 1, ways[w].kind, ways[w].teach, SN_STORE_BF16);
        bench_init_stored(&two, 2, ways[w].kind, ways[w].teach, SN_STORE_BF16);
        double a = train(&one, 0, 4), b = train(&two, 0, 4);
        assert_memory_equal(&a, &b, sizeof a);
        assert_same_weights(&one, &two);
        train(&two, 4, 52);
        double after = train(&two, 56, 4);
        if (w < 2 && !(after < 0.8 * a))
            fail_msg("way %d: loss %g, then %g", w, a, after);
        bench_close(&one);
        bench_close(&two);
    }
}

/* An epoch has 4 steps: steps 5 .. 9 start within the second, so the order of
 * images must be found from the step, and end in the third. */
static void replay_is_the_unbroken_run(void **state)
{
    for (int w = 0; w < WAYS; w++) {
        struct sn_error err = {0};
        struct bench whole, later;
        bench_init(&whole, 2, ways[w].kind, ways[w].teach);
        bench_init(&later, 1, ways[w].kind, ways[w].teach);
        train(&whole, 0, 5);
        memcpy(sn_supernet_weights(later.net), sn_supernet_weights(whole.net),
               weight_bytes(&whole));
        memcpy(sn_trainer_momentum(later.trainer),
               sn_trainer_momentum(whole.trainer), weight_bytes(&whole));
        if (ways[w].teach == SN_TRAINER_TEACH_FIXED)
            ok(sn_trainer_keep_teacher(later.trainer,
                                       sn_trainer_teacher(whole.trainer), &err),
               &err);
        train(&whole, 5, 5);
        train(&later, 5, 5);
        assert_same_weights(&whole, &later);
        bench_close(&whole);
        bench_close(&later);
    }
}

/* 65 shards of two images: in waves of 16, and of 64 where the trainer is made
 * for a single sub-network. */
static void waves_of_a_long_batch_are_one_step(void **state)
{
    struct bench b[3];
    struct sn_trainer_settings many = usual;
    many.batch_size = 130;
    many.shard_size = 2;
    struct sn_trainer_settings few = many;
    few.max_subnets = 1;
    assert_int_equal(sn_trainer_wave(&many), 16);
    assert_int_equal(sn_trainer_wave(&few), 64);
    assert_int_equal(sn_trainer_wave(&usual), BATCH / SHARD);
    bench_make(&b[0], 1, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED, &many);
    bench_make(&b[1], 2, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED, &many);
    bench_make(&b[2], 2, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_FIXED, &few);
    for (int i = 0; i < 3; i++)
        train(&b[i], 0, 1);
    assert_same_weights(&b[0], &b[1]);
    const float *x = sn_trainer_momentum(b[0].trainer);
    const float *y = sn_trainer_momentum(b[2].trainer);
    for (size_t i = 0; i < sn_supernet_size(b[0].net); i++)
        assert_float_equal(x[i], y[i], 1e-5f + 1e-4f * fabsf(x[i]));
    for (int i = 0; i < 3; i++)
        bench_close(&b[i]);
}

static void gradients_are_clipped(void **state)
{
    struct bench free, by_norm, by_value;
    struct sn_trainer_settings s = usual;
    double norm = 0, clipped = 0, top = 0;
    s.weight_decay = 0;
    bench_make(&free, 2, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE, &s);
    s.clip_norm = 0.25f;
    bench_make(&by_norm, 2, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE, &s);
    s.clip_norm = 0;
    s.clip_value = 0.01f;
    bench_make(&by_value, 2, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE, &s);
    train(&free, 0, 1);
    train(&by_norm, 0, 1);
    train(&by_value, 0, 1);
    for (size_t i = 0; i < sn_supernet_size(free.net); i++) {
        double g = (double)sn_trainer_momentum(free.trainer)[i];
        double c = (double)sn_trainer_momentum(by_norm.trainer)[i];
        double v = (double)sn_trainer_momentum(by_value.trainer)[i];
        norm += g * g;
        clipped += c * c;
        top = fmax(top, fabs(g));
        double bound = (double)s.clip_value;
        assert_true(fabs(v - fmax(-bound, fmin(bound, g))) < 1e-9);
    }
    assert_true(sqrt(norm) > 0.5 && top > 0.02);
    assert_true(fabs(sqrt(clipped) - 0.25) < 1e-4);
    bench_close(&free);
    bench_close(&by_norm);
    bench_close(&by_value);
}

/* At rate 0 weights stay, so steps compare: of the same candidates the best has
 * the lower loss, and what the others cost is counted. */
static void best_and_worst_candidates(void **state)
{
    struct bench b;
    struct sn_trainer_settings s = usual;
    s.max_drawn = 2 + 2 * 3;
    bench_make(&b, 2, SN_SAMPLE_SANDWICH, SN_TRAINER_TEACH_NONE, &s);
    train(&b, 0, 8);
    for (uint64_t step = 8; step < 13; step++) {
        struct sn_trainer_result r[3];
        for (int i = 0; i < 3; i++) {
            struct sn_error err = {0};
            struct sn_trainer_step now = {
                .sampler = &b.sampler, .step = step, .worst = i == 1};
            b.sampler.candidates = i < 2 ? 3 : 1;
            b.sampler.bands = 4;
            ok(sn_trainer_step(b.trainer, &now, &r[i], &err), &err);
        }
        assert_true(r[0].loss < r[1].loss);
        assert_true(r[0].macs > 1.1 * r[2].macs);
    }
    bench_close(&b);
}

/* What the allocator has handed out, and primitives made, are the same after
 * ten more steps of the sandwich. */
static void a_step_allocates_nothing(void **state)
{
    struct bench b;
    bench_init(&b, 2, SN_SAMPLE_SANDWICH, SN_TRAINER_TEACH_LARGEST);
    train(&b, 0, 3);
    const struct mallinfo2 before = mallinfo2();
    const size_t primitives = sn_compute_primitives(b.compute);
    train(&b, 3, 10);
    const struct mallinfo2 after = mallinfo2();
    assert_int_equal(after.uordblks, before.uordblks);
    assert_int_equal(after.hblkhd, before.hblkhd);
    assert_int_equal(sn_compute_primitives(b.compute), primitives);
    bench_close(&b);
}

static void divergence_names_the_rate(void **state)
{
    struct bench b;
    struct sn_error err = {0};
    enum sn_err rc = SN_OK;
    bench_init(&b, 1, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE);
    b.rate = 1e20;
    for (uint64_t i = 0; i < 20 && rc == SN_OK; i++) {
        struct sn_trainer_result r;
        rc = one_step(&b, i, &r, &err);
    }
    assert_int_equal(rc, SN_ERR_INVALID);
    assert_non_null(strstr(err.message, "learning_rate"));
    bench_close(&b);
}

static void odd_batches_are_refused(void **state)
{
    const int sizes[][2] = {{30, 16}, {0, 16}, {160, 16}, {32, 0}};
    struct bench b;
    bench_init(&b, 1, SN_SAMPLE_PATHS, SN_TRAINER_TEACH_NONE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sn_trainer_settings s = {.batch_size = sizes[i][0],
                                        .shard_size = sizes[i][1],
                                        .max_subnets = 1};
        struct sn_trainer *t = NULL;
        struct sn_error err = {0};
        assert_int_equal(sn_trainer_new(b.pool, b.net, b.view, &s, &t, &err),
                         SN_ERR_INVALID);
        assert_null(t);
    }
    bench_close(&b);
}

static int make_set(void **state)
{
    sn_small_set_init(&set, TRAIN, 20);
    return 0;
}

static int remove_set(void **state)
{
    sn_small_set_close(&set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(loss_falls_with_a_fixed_teacher),
        cmocka_unit_test(teacher_is_the_largest_of_the_space),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(bf16_trains),
        cmocka_unit_test(replay_is_the_unbroken_run),
        cmocka_unit_test(waves_of_a_long_batch_are_one_step),
        cmocka_unit_test(gradients_are_clipped),
        cmocka_unit_test(best_and_worst_candidates),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(divergence_names_the_rate),
        cmocka_unit_test(odd_batches_are_refused),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
