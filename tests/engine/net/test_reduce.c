/* Proves that reduction is the plain sum over sub-networks and shards, and that
 * everything a step computes is bitwise the same with one worker and with two,
 * and in whatever order pairs and parts are computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tests/engine/net/fixture.h"

enum { SHARD = 4, SHARDS = 3, SUBS = 3, PAIRS = SUBS * SHARDS };

/* A step's pairs, run over a pool in the order of `order`. */
struct step {
    struct sn_fixture f;
    struct sn_subnet *sub[SUBS];
    struct sn_workspace *ws[2];
    struct sn_arena arena;
    float *gradient[PAIRS], *logits[PAIRS], *dlogits[PAIRS];
    float *master;
    uint32_t order[PAIRS], part_order[64];
};

static void step_init(struct step *s)
{
    struct sn_error err;
    memset(s, 0, sizeof(*s));
    sn_fixture_init(&s->f, "mbv3-tiny", 1, 10, SHARD * SHARDS, 1);
    sn_fixture_stir(&s->f, 2);
    for (int i = 0; i < SUBS; i++) {
        struct sn_arch arch;
        sn_fixture_sample(&s->f, (uint64_t)i, &arch);
        assert_int_equal(sn_subnet_new(s->f.net, &s->sub[i], &err), SN_OK);
        sn_subnet_bind(s->sub[i], NULL, &arch);
    }
    for (int w = 0; w < 2; w++) {
        assert_int_equal(
            sn_workspace_new(s->f.net, SHARD, 0, SN_STORE_F32, &s->ws[w], &err),
            SN_OK);
    }
    size_t gradient = sn_net_gradient_floats(s->f.net);
    size_t logits = SHARD * s->f.stride;
    size_t all =
        PAIRS * (sn_arena_round(gradient) + 2 * sn_arena_round(logits));
    assert_int_equal(
        sn_arena_init(&s->arena,
                      sizeof(float) * (all + sn_arena_round(s->f.size)), &err),
        SN_OK);
    for (uint32_t p = 0; p < PAIRS; p++) {
        s->gradient[p] = sn_arena_floats(&s->arena, gradient);
        s->logits[p] = sn_arena_floats(&s->arena, logits);
        s->dlogits[p] = sn_arena_floats(&s->arena, logits);
        s->order[p] = p;
    }
    s->master = sn_arena_floats(&s->arena, s->f.size);
    assert_true(sn_net_parts(s->f.net) <= 64);
    for (uint32_t p = 0; p < 64; p++) {
        s->part_order[p] = p;
    }
}

static void step_close(struct step *s)
{
    sn_arena_close(&s->arena);
    for (int w = 0; w < 2; w++) {
        sn_workspace_free(s->ws[w]);
    }
    for (int i = 0; i < SUBS; i++) {
        sn_subnet_free(s->sub[i]);
    }
    sn_fixture_close(&s->f);
}

static void pair_task(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct step *s = arg;
    uint32_t p = s->order[task], shard = p % SHARDS;
    const float *images = s->f.images + shard * SHARD * s->f.image_floats;
    struct sn_loss loss = {SHARD, 10, 0.1f, 1.0f, 0.0f, 1.0f / SHARD};
    double total;
    uint32_t correct;
    /* What another pair left behind must not matter. */
    memset(s->gradient[p], 0x7f,
           sizeof(float) * sn_net_gradient_floats(s->f.net));
    sn_subnet_forward_train(s->sub[p / SHARDS], cx, s->ws[worker], images,
                            SHARD, s->logits[p]);
    sn_loss_softmax(cx, &loss, s->logits[p], s->f.labels + shard * SHARD, NULL,
                    s->dlogits[p], &total, &correct);
    sn_subnet_backward(s->sub[p / SHARDS], cx, s->ws[worker], images, SHARD,
                       s->dlogits[p], s->gradient[p]);
}

static void reduce_task(void *arg, uint32_t task, int worker, struct sn_cx *cx)
{
    struct step *s = arg;
    sn_net_reduce(s->f.net, s->sub, SUBS, s->gradient, SHARDS,
                  (int)s->part_order[task], false, s->master);
}

static void run(struct step *s, struct sn_pool *pool)
{
    struct sn_error err;
    assert_int_equal(sn_pool_run(pool, PAIRS, pair_task, s, &err), SN_OK);
    assert_int_equal(sn_pool_run(pool, (uint32_t)sn_net_parts(s->f.net),
                                 reduce_task, s, &err),
                     SN_OK);
}

static void test_repeatable(void **state)
{
    struct step s;
    struct sn_error err;
    step_init(&s);
    float *first = calloc(s.f.size, sizeof(float));
    for (int round = 0; round < 4; round++) {
        struct sn_pool *pool;
        struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, (uint64_t)round);
        assert_int_equal(
            sn_pool_new(s.f.compute, round == 0 ? 1 : 2, &pool, &err), SN_OK);
        run(&s, pool);
        sn_pool_free(pool);
        if (round == 0) {
            memcpy(first, s.master, s.f.size * sizeof(float));
        }
        assert_memory_equal(first, s.master, s.f.size * sizeof(float));
        memset(s.master, 0x7f, s.f.size * sizeof(float));
        sn_rng_shuffle(&rng, s.order, PAIRS);
        sn_rng_shuffle(&rng, s.part_order, (uint32_t)sn_net_parts(s.f.net));
    }
    free(first);
    step_close(&s);
}

/* Each pair reduced alone, added up in double. */
static void test_sum(void **state)
{
    struct step s;
    struct sn_error err;
    struct sn_pool *pool;
    step_init(&s);
    assert_int_equal(sn_pool_new(s.f.compute, 1, &pool, &err), SN_OK);
    assert_int_equal(sn_pool_run(pool, PAIRS, pair_task, &s, &err), SN_OK);
    double *sum = calloc(s.f.size, sizeof(double));
    for (int p = 0; p < PAIRS; p++) {
        for (int part = 0; part < sn_net_parts(s.f.net); part++) {
            sn_net_reduce(s.f.net, &s.sub[p / SHARDS], 1, &s.gradient[p], 1,
                          part, false, s.master);
        }
        for (size_t i = 0; i < s.f.size; i++) {
            sum[i] += (double)s.master[i];
        }
    }
    run(&s, pool);
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < s.f.size; i++) {
        double d = (double)s.master[i] - sum[i];
        difference += d * d;
        norm += sum[i] * sum[i];
    }
    assert_true(norm > 0.0);
    assert_true(sqrt(difference / norm) < 1e-6);
    free(sum);
    sn_pool_free(pool);
    step_close(&s);
}

static void test_parts_tile(void **state)
{
    struct sn_fixture f;
    const struct sn_tensor *t;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, 1, 1);
    size_t next = 0, first, count;
    for (int part = 0; part < sn_net_parts(f.net); part++) {
        sn_net_part_tensors(f.net, part, &first, &count);
        assert_int_equal(first, next);
        assert_true(count > 0);
        next = first + count;
    }
    assert_int_equal(next, sn_supernet_tensors(f.net, &t));
    sn_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_tile),
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
