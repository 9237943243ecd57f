/* What the filter does to whole jobs: predicted, random and none differ in
 * nothing before it; a second round narrows the first one's sub-space; a
 * predictor that is not trusted is tried again, and then the job says that it
 * trains on unfiltered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/run/small_job.h"

static struct sn_small_set set;

/* A job whose early predictor can mostly be trusted: cost alone is signal
 * enough where there is one band. */
static void job_init_trusted(struct sn_small_job *j)
{
    sn_small_job_init(j, set.data, SN_STRATEGY_SPARSENAS, 1);
    struct sn_spec *s = &j->spec;
    s->sparsenas.bands = 1;
    s->sparsenas.probes = 60;
    s->sparsenas.probe_images = 56;
    s->search.images = 10;
    /* one target, fewer to verify */
    s->search.latency_ms = (struct sn_targets){.n = 1, .bound = {1}};
}

/* Jobs that differ in their filter alone do the same up to it, and then train
 * in a sub-space, in another, in the whole space. */
static void filters_are_controls(void **state)
{
    struct sn_small_job j[3];
    for (int k = 0; k < 3; k++) {
        job_init_trusted(&j[k]);
        struct sn_spec *s = &j[k].spec;
        s->sparsenas.predictor = SN_PREDICT_AUTO;
        s->sparsenas.filter = k;
        if (k != SN_KEEP_NONE) {
            s->sparsenas.subspace_size = 0;
            s->sparsenas.keep_fraction = 0.01;
        }
        sn_small_job_run(&j[k], false);
        bool trusted = strncmp(j[k].verdict, "trusted", 7) == 0;
        assert_string_equal(j[k].early.arch, j[0].early.arch);
        assert_int_equal(j[k].early.correct, j[0].early.correct);
        assert_int_equal(j[k].used, trusted && k == SN_KEEP_PREDICTED);
        assert_int_equal(j[k].n_subspace, trusted && k != SN_KEEP_NONE);
        for (int i = 0; i < k && trusted; i++)
            assert_string_not_equal(j[k].xxh3, j[i].xxh3);
        sn_small_job_close(&j[k]);
    }
    if (j[0].n_subspace == 0)
        return; /* rounding of another CPU left no signal */
    assert_int_equal(j[SN_KEEP_PREDICTED].subspace.size, 1000);
    assert_int_equal(j[SN_KEEP_RANDOM].subspace.size, 1000);
    assert_int_equal(j[SN_KEEP_RANDOM].subspace.filter, SN_KEEP_RANDOM);
    /* the predictor's own choices */
    double best[3] = {0};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < j[k].n_final; i++)
            best[k] = fmax(best[k], j[k].final[i].predicted);
    assert_true(best[SN_KEEP_NONE] >= best[SN_KEEP_PREDICTED]);
    assert_true(best[SN_KEEP_PREDICTED] > best[SN_KEEP_RANDOM]);
}

/* The second round probes, and keeps, inside the first one's sub-space. */
static void rounds_narrow_on(void **state)
{
    struct sn_small_job j;
    job_init_trusted(&j);
    j.spec.sparsenas.rounds = 2;
    j.spec.sparsenas.max_retries = 0;
    j.spec.sparsenas.subspace_size = 20000;
    sn_small_job_run(&j, false);
    assert_int_equal(j.visit[6], SN_PHASE_PROBE);
    assert_int_equal(j.n_early, 120);
    assert_true(j.n_subspace <= 2); /* each where the predictor is trusted */
    sn_small_job_close(&j);
}

/* No tau lies above 1: it warms up longer, probes more, and then says that it
 * trains on unfiltered. */
static void untrusted_is_tried_again(void **state)
{
    struct sn_small_job j;
    job_init_trusted(&j);
    j.spec.sparsenas.min_tau = 1;
    sn_small_job_run(&j, false);
    assert_true(j.unfiltered);
    assert_int_equal(j.n_subspace, 0);
    assert_false(j.outcome.filtered);
    if (strncmp(j.verdict, "not trusted", 11) == 0) {
        assert_int_equal(j.visit[5], SN_PHASE_WARMUP);
        assert_int_equal(j.visit[6], SN_PHASE_PROBE);
        assert_int_equal(j.visit[9], SN_PHASE_TRAIN);
        assert_true(j.n_early >= 120);
    }
    sn_small_job_close(&j);
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
        cmocka_unit_test(filters_are_controls),
        cmocka_unit_test(rounds_narrow_on),
        cmocka_unit_test(untrusted_is_tried_again),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
