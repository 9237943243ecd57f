/* Workers run every task once, repeat bit by bit whatever their number, hand
 * back the first error; the arena hands out aligned, separate pieces; ISAs are
 * picked by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compute/compute.h"
#include "engine/rng.h"

static struct sn_compute *compute;

struct count {
    atomic_uint ran[1000];
    int workers;
    atomic_bool bad;
};

static void count_task(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct count *c = arg;
    if (task >= 1000 || worker < 0 || worker >= c->workers ||
        sn_cx_compute(cx) != compute)
        atomic_store(&c->bad, true);
    else
        atomic_fetch_add(&c->ran[task], 1);
}

static void test_every_task_runs_once(void **state)
{
    for (int workers = 1; workers <= 3; workers++) {
        struct sn_pool *pool = NULL;
        assert_int_equal(sn_pool_new(compute, workers, &pool, NULL), SN_OK);
        assert_int_equal(sn_pool_workers(pool), workers);
        for (uint32_t n = 0; n <= 1000; n = n * 3 + 1) {
            static struct count c;
            memset(&c, 0, sizeof(c));
            c.workers = workers;
            assert_int_equal(sn_pool_run(pool, n, count_task, &c, NULL), SN_OK);
            assert_false(atomic_load(&c.bad));
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(atomic_load(&c.ran[i]), i < n);
        }
        sn_pool_free(pool);
    }
}

#define TASKS 12
#define SIDE 14
#define CHANNELS 48
#define PLANE ((size_t)4 * CHANNELS * SIDE * SIDE)

struct work {
    const float *x, *w;
    float *y[TASKS], *z[TASKS], *sums[TASKS];
};

/* A 1x1, a depthwise and BN sums: one of each kind. */
static void work_task(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct work *w = arg;
    const struct sn_conv1 conv = {4, CHANNELS, CHANNELS, SIDE, SIDE};
    const struct sn_dw dw = {4, CHANNELS, SIDE, SIDE, 5, 1};
    const struct sn_plane plane = {4, CHANNELS, SIDE * SIDE};
    const float *x = w->x + task * 64;
    sn_conv1_forward(cx, &conv, x, w->w, w->y[task]);
    sn_dw_forward(cx, &dw, w->y[task], NULL, NULL, SN_CACT_NONE, w->w,
                  w->z[task], NULL);
    sn_bn_sums(cx, &plane, w->z[task], w->sums[task]);
}

static void run_work(struct sn_arena *arena, int workers, const float *x,
                     const float *w, struct work *ret)
{
    struct sn_pool *pool = NULL;
    assert_int_equal(sn_pool_new(compute, workers, &pool, NULL), SN_OK);
    *ret = (struct work){.x = x, .w = w};
    for (int i = 0; i < TASKS; i++) {
        ret->y[i] = sn_arena_floats(arena, PLANE);
        ret->z[i] = sn_arena_floats(arena, PLANE);
        ret->sums[i] = sn_arena_floats(arena, 2 * CHANNELS);
    }
    assert_int_equal(sn_pool_run(pool, TASKS, work_task, ret, NULL), SN_OK);
    sn_pool_free(pool);
}

static void test_results_do_not_depend_on_workers(void **state)
{
    struct sn_arena arena;
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    assert_int_equal(sn_arena_init(&arena, (size_t)64 << 20, NULL), SN_OK);
    float *x = sn_arena_floats(&arena, PLANE + TASKS * 64);
    float *w = sn_arena_floats(&arena, CHANNELS * CHANNELS);
    for (size_t i = 0; i < PLANE + TASKS * 64; i++)
        x[i] = (float)sn_rng_normal(&rng);
    for (size_t i = 0; i < CHANNELS * CHANNELS; i++)
        w[i] = (float)sn_rng_normal(&rng);
    struct work one, two;
    run_work(&arena, 1, x, w, &one);
    run_work(&arena, 2, x, w, &two);
    for (int i = 0; i < TASKS; i++) {
        assert_memory_equal(one.y[i], two.y[i], PLANE * sizeof(float));
        assert_memory_equal(one.z[i], two.z[i], PLANE * sizeof(float));
        assert_memory_equal(one.sums[i], two.sums[i],
                            2 * CHANNELS * sizeof(float));
    }
    sn_arena_close(&arena);
}

static void failing_task(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    const struct sn_dw s = {1, 1, 1, 1, 9, 1};
    float nothing[64] = {0};
    if (task == 3)
        sn_dw_forward(cx, &s, nothing, NULL, NULL, SN_CACT_NONE, nothing,
                      nothing, NULL);
}

static void test_errors_come_back_once(void **state)
{
    struct sn_pool *pool = NULL;
    struct sn_error error;
    assert_int_equal(sn_pool_new(compute, 2, &pool, NULL), SN_OK);
    assert_int_equal(sn_pool_run(pool, 8, failing_task, NULL, &error),
                     SN_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "size 9"));
    assert_int_equal(sn_pool_run(pool, 2, failing_task, NULL, &error), SN_OK);
    sn_pool_free(pool);
    assert_int_equal(sn_pool_new(compute, 0, &pool, &error), SN_ERR_RANGE);
}

static void test_arena(void **state)
{
    struct sn_arena arena;
    assert_int_equal(sn_arena_init(&arena, 1024, NULL), SN_OK);
    float *a = sn_arena_floats(&arena, 3), *b = sn_arena_floats(&arena, 17);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal((uintptr_t)b % 64, 0);
    assert_int_equal(b - a, sn_arena_round(3));
    assert_int_equal(arena.used, 64 + 128);
    size_t mark = arena.used;
    sn_arena_floats(&arena, 208);
    assert_int_equal(arena.used, 1024);
    arena.used = mark;
    assert_int_equal(arena.peak, 1024);
    sn_arena_close(&arena);
    sn_arena_close(&arena);
    sn_arena_close(NULL);
    assert_int_equal(sn_arena_init(&arena, SIZE_MAX - 3, NULL),
                     SN_ERR_TOOLARGE);
}

static void test_isa_by_name(void **state)
{
    struct sn_compute *c = NULL;
    struct sn_error error;
    assert_int_equal(sn_compute_new("sse9", &c, &error), SN_ERR_UNSUPPORTED);
    assert_null(c);
    assert_non_null(strstr(error.message, "sse9"));
    assert_int_equal(sn_compute_new("portable", &c, &error), SN_OK);
    assert_int_equal(sn_compute_padded(c, 9), 16);
    sn_compute_free(c);
    setenv("SPARSENAS_ISA", "portable", 1);
    assert_int_equal(sn_compute_new(NULL, &c, &error), SN_OK);
    assert_string_equal(sn_compute_isa(c), "portable");
    sn_compute_free(c);
    unsetenv("SPARSENAS_ISA");
    sn_compute_free(NULL);
    sn_cx_free(NULL);
    sn_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_results_do_not_depend_on_workers),
        cmocka_unit_test(test_errors_come_back_once),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_isa_by_name),
    };
    if (sn_compute_new(NULL, &compute, NULL) != SN_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sn_compute_free(compute);
    return failed;
}
