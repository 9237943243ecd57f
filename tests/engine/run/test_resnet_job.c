/* A job on a space of the ResNet family goes through all its phases: it learns,
 * measures bottlenecks, filters, answers; stopped and resumed it ends bitwise
 * where the unbroken one does, with another number of workers. So does one on a
 * user's space of three resolutions, where activations are recomputed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/run/small_job.h"

static struct sn_small_set set;

/* On resnet-tiny, or on a user's space. */
static void job_init(struct sn_small_job *j, int workers,
                     const struct sn_space *made)
{
    struct sn_spec *s = &j->spec;
    memset(j, 0, sizeof *j);
    sn_small_job_spec(s, SN_STRATEGY_SPARSENAS, workers);
    snprintf(s->space, sizeof s->space, "%s",
             made != NULL ? made->name : "resnet-tiny");
    s->made_space = made;
    s->epochs = 4;
    s->sparsenas.subspace_size = 200;
    sn_small_job_begin(j, set.data);
}

static bool was_in(const struct sn_small_job *j, enum sn_phase_kind kind)
{
    for (int i = 0; i < j->visits; i++)
        if (j->visit[i] == kind)
            return true;
    return false;
}

static double best_of(const struct sn_small_job *j)
{
    double best = 0;
    for (int i = 0; i < j->n_final; i++)
        if (j->final[i].accuracy > best)
            best = j->final[i].accuracy;
    return best;
}

static void check_whole(const struct sn_small_job *j)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_true(was_in(j, kinds[i]));
    assert_true(j->n_early >= 12 && j->n_final >= 12 && j->n_found > 0);
    assert_true(best_of(j) >= 1.5 / SN_SMALL_CLASSES); /* no guessing */
    assert_true(sn_small_job_has_latency("stem3/") &&
                sn_small_job_has_latency("bottleneck/") &&
                sn_small_job_has_latency("pooled/") &&
                sn_small_job_has_latency("arch/r28.d"));
}

static void test_job(void **state)
{
    struct sn_small_job whole, broken;
    struct sn_error err = {0};
    job_init(&whole, 1, NULL);
    sn_small_job_run(&whole, false);
    check_whole(&whole);

    job_init(&broken, 2, NULL);
    broken.stop_at = SN_STOP_AT_STEP;
    broken.stop_n = 25;
    assert_int_equal(sn_small_job_attempt(&broken, false, &err),
                     SN_ERR_STOPPED);
    sn_small_job_run(&broken, true);
    sn_small_job_assert_same_end(&broken, &whole);
    sn_small_job_close(&whole);
    sn_small_job_close(&broken);
}

static void test_made_space(void **state)
{
    struct sn_space made = *sn_space_find("resnet-tiny");
    struct sn_small_job plain, again;
    struct sn_error err = {0};
    bool seen[29] = {false};
    snprintf(made.name, sizeof made.name, "made");
    made.n_stages = 2;
    made.n_resolutions = 3;
    memcpy(made.resolutions, (const uint16_t[]){20, 24, 28},
           3 * sizeof(uint16_t));
    if (sn_space_check(&made, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    job_init(&plain, 2, &made);
    sn_small_job_run(&plain, false);
    check_whole(&plain);
    for (int i = 0; i < plain.n_final; i++)
        seen[strtol(plain.final[i].arch + 1, NULL, 10)] = true;
    assert_true(seen[20] + seen[24] + seen[28] >= 2);

    job_init(&again, 2, &made);
    again.spec.train.recompute = true;
    sn_small_job_run(&again, false);
    sn_small_job_assert_same_end(&again, &plain);
    sn_small_job_close(&plain);
    sn_small_job_close(&again);
}

static int make_set(void **state)
{
    sn_small_set_init(&set, 400, 40);
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
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_made_space),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
