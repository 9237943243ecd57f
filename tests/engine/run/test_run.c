/* Whole small jobs through the engine's door: phases in their order with all
 * that they report; a job that is stopped anywhere and resumed ends bitwise
 * where the unbroken one does, with any number of workers; damaged checkpoints
 * are refused; weights that a job leaves are searched by another without a
 * step of training, and models come out of them with and without a data set;
 * one architecture of them is trained further, or alone from none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/run/budget.h"
#include "tests/engine/run/small_job.h"

static struct sn_small_set set;
/* The unbroken jobs that others are compared with. */
static struct sn_small_job whole, whole_ofa;

static void sparsenas_reports_all(void **state)
{
    static const enum sn_phase_kind first[] = {SN_PHASE_PREPARE,
                                               SN_PHASE_WARMUP, SN_PHASE_PROBE,
                                               SN_PHASE_FIT, SN_PHASE_FILTER};
    const struct sn_small_job *j = &whole;
    for (int i = 0; i < 5; i++)
        assert_int_equal(j->visit[i], first[i]);
    assert_int_equal(j->visit[j->visits - 3], SN_PHASE_TRAIN);
    assert_int_equal(j->visit[j->visits - 2], SN_PHASE_EVALUATE);
    assert_int_equal(j->visit[j->visits - 1], SN_PHASE_SEARCH);
    assert_int_equal(j->step, 30);
    assert_true(j->n_early >= 12 && j->n_final >= 12);
    assert_true(j->n_predictor > 0 && j->n_front > 0 && j->n_series > 0 &&
                j->n_log > 0 && j->n_latencies > 0);
    assert_int_equal(j->n_checkpoint, j->visits - 1);
    assert_int_equal(j->n_answer, 3);
    assert_true(j->fraction > 0.999);
    assert_int_equal(j->n_outcome, 1);
    assert_int_equal(j->outcome.n, 10); /* of 12 probes, the ends aside */
    assert_int_equal(j->outcome.top, 2);
}

static const struct stop {
    enum sn_small_stop at;
    int n;
    enum sn_phase_kind phase;
} stops[] = {
    {SN_STOP_AT_STEP, 4, 0},
    {SN_STOP_AT_EARLY, 5, 0},
    {SN_STOP_AT_PHASE, 0, SN_PHASE_FILTER},
    {SN_STOP_AT_STEP, 21, 0},
    {SN_STOP_AT_FINAL, 17, 0}, /* of these 12, then of those again */
};

static void stop_and_resume(enum sn_strategy strategy, int workers,
                            const struct stop *s,
                            const struct sn_small_job *unbroken)
{
    struct sn_small_job j;
    struct sn_error err = {0};
    sn_small_job_init(&j, set.data, strategy, workers);
    j.stop_at = s->at;
    j.stop_n = s->n;
    j.stop_phase = s->phase;
    assert_int_equal(sn_small_job_attempt(&j, false, &err), SN_ERR_STOPPED);
    assert_true(j.n_checkpoint > 0);
    sn_small_job_run(&j, true);
    sn_small_job_assert_same_end(&j, unbroken);
    assert_string_equal(j.outcome.verdict, unbroken->outcome.verdict);
    sn_small_job_close(&j);
}

static void resumed_is_unbroken(void **state)
{
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        stop_and_resume(SN_STRATEGY_SPARSENAS, 1 + (int)i % 2, &stops[i],
                        &whole);
}

static void two_workers_are_one(void **state)
{
    struct sn_small_job j;
    sn_small_job_init(&j, set.data, SN_STRATEGY_SPARSENAS, 2);
    sn_small_job_run(&j, false);
    sn_small_job_assert_same_end(&j, &whole);
    sn_small_job_close(&j);
}

static void ofa_resumes_too(void **state)
{
    assert_int_equal(whole_ofa.step, 30);
    assert_true(whole_ofa.n_final >= 12);
    assert_int_equal(whole_ofa.n_early, 0);
    assert_int_equal(whole_ofa.n_answer, 3);
    const struct stop in_expand = {SN_STOP_AT_STEP, 26, 0};
    stop_and_resume(SN_STRATEGY_OFA, 2, &in_expand, &whole_ofa);
}

/* ---- damage ---- */

static size_t read_file(const char *path, uint8_t **ret)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    *ret = malloc(n);
    assert_non_null(*ret);
    assert_int_equal(fread(*ret, 1, n, f), n);
    fclose(f);
    return n;
}

static void refuse(struct sn_small_job *j, const uint8_t *bytes, size_t n)
{
    struct sn_error err = {0};
    FILE *f = fopen(j->checkpoint, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    enum sn_err rc = sn_small_job_attempt(j, true, &err);
    if (rc != SN_ERR_CORRUPT)
        fail_msg("%zu bytes: %s: %s", n, sn_err_name(rc), err.message);
}

/* What compofa did not train it does not answer; a bound in MACs is kept. */
static void coupled_job_answers(const struct sn_small_job *j)
{
    const struct sn_space *space = sn_spec_space(&j->spec);
    struct sn_arch arch, coupled;
    assert_int_equal(j->n_answer, 3 + SN_AUTO_MACS);
    assert_int_equal(j->n_final, 12);
    for (int i = 0; i < j->n_final; i++) {
        assert_int_equal(sn_arch_decode(space, j->final[i].arch, &arch, NULL),
                         SN_OK);
        coupled = arch;
        sn_arch_couple(space, &coupled);
        assert_true(sn_arch_equal(&coupled, &arch));
    }
}

/* Every other strategy, stopped and resumed on its way, with two workers, says
 * at its end what an unbroken job with one does. */
static void every_strategy_ends(void **state)
{
    for (int s = SN_STRATEGY_COMPOFA; s <= SN_STRATEGY_FAIRNAS; s++) {
        struct sn_small_job unbroken, broken;
        struct sn_error err = {0};
        sn_small_job_init(&unbroken, set.data, (enum sn_strategy)s, 1);
        sn_small_job_init(&broken, set.data, (enum sn_strategy)s, 2);
        unbroken.spec.epochs = broken.spec.epochs = 1;
        unbroken.spec.search.macs.automatic = s == SN_STRATEGY_COMPOFA;
        sn_small_job_run(&unbroken, false);
        broken.stop_at = SN_STOP_AT_STEP;
        broken.stop_n = 5;
        assert_int_equal(sn_small_job_attempt(&broken, false, &err),
                         SN_ERR_STOPPED);
        sn_small_job_run(&broken, true);
        assert_int_equal(unbroken.step, broken.step);
        assert_string_equal(unbroken.xxh3, broken.xxh3);
        assert_true(broken.n_answer > 0);
        if (s == SN_STRATEGY_COMPOFA)
            coupled_job_answers(&unbroken);
        sn_small_job_close(&unbroken);
        sn_small_job_close(&broken);
    }
}

static void damage_is_refused(void **state)
{
    struct sn_small_job j;
    struct sn_error err = {0};
    uint8_t *bytes = NULL;
    sn_small_job_init(&j, set.data, SN_STRATEGY_SPARSENAS, 1);
    j.stop_at = SN_STOP_AT_STEP;
    j.stop_n = 4;
    assert_int_equal(sn_small_job_attempt(&j, false, &err), SN_ERR_STOPPED);
    atomic_store(&j.stop, 1);
    size_t n = read_file(j.checkpoint, &bytes);
    /* the header; numbers are under the checksum that the caller was told */
    const size_t flips[] = {3, 8, 9, 20};
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        bytes[flips[i]] ^= 0x40;
        refuse(&j, bytes, n);
        bytes[flips[i]] ^= 0x40;
    }
    const size_t cuts[] = {0, 7, 100, n / 2, n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        refuse(&j, bytes, cuts[i]);
    free(bytes);
    sn_small_job_close(&j);
}

/* ---- weights that are there ---- */

static char kept[128]; /* what the unbroken job left */

static void supernet_is_searched(void **state)
{
    static const enum sn_phase_kind want[] = {
        SN_PHASE_PREPARE, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct sn_small_job one, two;
    struct sn_error err = {0};
    sn_small_job_init_for(&one, set.data, SN_STRATEGY_SPARSENAS, 1, "kept");
    one.weights = kept;
    sn_small_job_run(&one, false);
    assert_int_equal(one.visits, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(one.visit[i], want[i]);
    assert_int_equal(one.step, whole.step);
    assert_string_equal(one.xxh3, whole.xxh3); /* not a bit is trained */
    assert_int_equal(one.n_early, 12);
    assert_int_equal(one.n_final, 12);
    assert_int_equal(one.n_outcome, 0); /* early is final */
    assert_int_equal(one.n_answer, 3);
    assert_int_equal(one.n_series > 0, one.n_front > 0); /* hypervolume */
    assert_true(one.fraction > 0.999);

    static const struct stop at[] = {{SN_STOP_AT_EARLY, 5, 0},
                                     {SN_STOP_AT_FINAL, 6, 0}};
    for (int i = 0; i < 2; i++) {
        sn_small_job_init_for(&two, set.data, SN_STRATEGY_SPARSENAS, 2 - i,
                              "kept");
        two.weights = kept;
        two.stop_at = at[i].at;
        two.stop_n = at[i].n;
        assert_int_equal(sn_small_job_attempt(&two, false, &err),
                         SN_ERR_STOPPED);
        sn_small_job_run(&two, true);
        sn_small_job_assert_same_end(&two, &one);
        sn_small_job_close(&two);
    }
    sn_small_job_close(&one);
}

static void supernet_is_needed(void **state)
{
    struct sn_small_job j;
    struct sn_error err = {0};
    sn_small_job_init_for(&j, set.data, SN_STRATEGY_SPARSENAS, 1, "kept");
    assert_int_equal(sn_small_job_attempt(&j, false, &err), SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/supernet");
    j.weights = "/nowhere/at/all";
    assert_int_equal(sn_small_job_attempt(&j, false, &err), SN_ERR_NOTFOUND);
    sn_small_job_close(&j);
}

/* ---- one architecture of them ---- */

static void single_init(struct sn_small_job *j, enum sn_strategy strategy,
                        int workers, const char *arch)
{
    struct sn_spec *s = &j->spec;
    memset(j, 0, sizeof *j);
    sn_small_job_spec(s, strategy, workers);
    s->train.learning_rate = strategy == SN_STRATEGY_SCRATCH ? 0.05 : 0.005;
    snprintf(s->architecture, sizeof s->architecture, "%s", arch);
    if (strategy == SN_STRATEGY_FINETUNE) {
        snprintf(s->supernet, sizeof s->supernet, "kept");
        j->weights = kept;
    }
    sn_small_job_begin(j, set.data);
}

/* The small set's: half of its hold-out, and all of its test images. */
static void assert_measured(const struct sn_small_job *j,
                            enum sn_stage_kind stage, enum sn_split split,
                            uint64_t step)
{
    const struct sn_evaluation *e = &j->last[stage][split];
    assert_string_equal(e->arch, j->spec.architecture);
    assert_int_equal(e->step, step);
    assert_int_equal(e->images, split == SN_SPLIT_TEST
                                    ? 40
                                    : j->spec.sparsenas.probe_images);
    assert_false(e->selected);
}

static void architecture_is_fine_tuned(void **state)
{
    static const enum sn_phase_kind want[] = {
        SN_PHASE_PREPARE, SN_PHASE_EVALUATE, SN_PHASE_TRAIN, SN_PHASE_EVALUATE,
        SN_PHASE_SEARCH};
    struct sn_small_job one, two;
    struct sn_error err = {0};
    const char *arch = whole.final[0].arch;
    single_init(&one, SN_STRATEGY_FINETUNE, 1, arch);
    sn_small_job_run(&one, false);
    assert_int_equal(one.visits, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(one.visit[i], want[i]);
    assert_int_equal(one.step, 30); /* its own */
    assert_string_not_equal(one.xxh3, whole.xxh3);
    assert_int_equal(one.n_early, 2);
    assert_int_equal(one.n_final, 1);
    assert_int_equal(one.n_verify, 2);
    assert_int_equal(one.n_predictor, 0);
    assert_int_equal(one.n_subspace, 0);
    assert_true(one.n_front > 0 && one.fraction > 0.999);
    assert_int_equal(one.n_answer, 1);
    for (int split = SN_SPLIT_HOLDOUT; split <= SN_SPLIT_TEST; split++) {
        assert_measured(&one, SN_STAGE_EARLY, (enum sn_split)split, 0);
        assert_measured(&one, SN_STAGE_VERIFY, (enum sn_split)split, 30);
    }
    assert_true(one.last[SN_STAGE_VERIFY][SN_SPLIT_HOLDOUT].latency.measured >
                0);
    /* it inherits: before, it is no guess */
    assert_true(one.last[SN_STAGE_EARLY][SN_SPLIT_TEST].accuracy >
                1.5 / SN_SMALL_CLASSES);
    assert_true(one.last[SN_STAGE_VERIFY][SN_SPLIT_TEST].correct >=
                one.last[SN_STAGE_EARLY][SN_SPLIT_TEST].correct);

    static const struct stop at[] = {{SN_STOP_AT_EARLY, 1, 0},
                                     {SN_STOP_AT_STEP, 11, 0},
                                     {SN_STOP_AT_FINAL, 1, 0},
                                     {SN_STOP_AT_PHASE, 0, SN_PHASE_SEARCH}};
    for (int i = 0; i < 4; i++) {
        single_init(&two, SN_STRATEGY_FINETUNE, 2 - i % 2, arch);
        two.stop_at = at[i].at;
        two.stop_n = at[i].n;
        two.stop_phase = at[i].phase;
        assert_int_equal(sn_small_job_attempt(&two, false, &err),
                         SN_ERR_STOPPED);
        sn_small_job_run(&two, true);
        sn_small_job_assert_same_end(&two, &one);
        for (int split = SN_SPLIT_HOLDOUT; split <= SN_SPLIT_TEST; split++) {
            assert_int_equal(two.last[SN_STAGE_EARLY][split].correct,
                             one.last[SN_STAGE_EARLY][split].correct);
            assert_int_equal(two.last[SN_STAGE_VERIFY][split].correct,
                             one.last[SN_STAGE_VERIFY][split].correct);
        }
        sn_small_job_close(&two);
    }
    sn_small_job_close(&one);
}

static void architecture_is_trained_alone(void **state)
{
    static const enum sn_phase_kind want[] = {
        SN_PHASE_PREPARE, SN_PHASE_TRAIN, SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct sn_small_job one, two;
    struct sn_error err = {0};
    const char *arch = whole.final[0].arch;
    single_init(&one, SN_STRATEGY_SCRATCH, 1, arch);
    sn_small_job_run(&one, false);
    assert_int_equal(one.visits, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(one.visit[i], want[i]);
    assert_int_equal(one.step, 30);
    assert_int_equal(one.n_early, 0);
    assert_int_equal(one.n_answer, 1);
    assert_measured(&one, SN_STAGE_VERIFY, SN_SPLIT_TEST, 30);
    single_init(&two, SN_STRATEGY_SCRATCH, 2, arch);
    two.stop_at = SN_STOP_AT_STEP;
    two.stop_n = 17;
    assert_int_equal(sn_small_job_attempt(&two, false, &err), SN_ERR_STOPPED);
    sn_small_job_run(&two, true);
    sn_small_job_assert_same_end(&two, &one);
    sn_small_job_close(&two);
    sn_small_job_close(&one);
}

static enum sn_err export_to(const char *path, const struct sn_export *base,
                             const struct sn_dataset *data,
                             enum sn_export_format format, struct sn_error *err)
{
    struct sn_export from = *base;
    struct sn_arch arch;
    from.data = data;
    from.format = format;
    sn_arch_largest(from.space, &arch);
    return sn_engine_export(&from, &arch, path, err);
}

/* The statistics that were left are the largest's, re-calibrated: the model
 * made from them is the one made with the data set, but for the rounding of
 * statistics to f32. */
static void models_come_out(void **state)
{
    struct sn_export base = {.space = sn_space_find("mbv3-tiny"),
                             .weights = kept,
                             .spec = &whole.spec};
    struct sn_error err = {0};
    struct sn_supernet_info info;
    char path[160];
    snprintf(path, sizeof path, "%s/model", whole.dir);
    assert_int_equal(sn_engine_supernet_info(kept, base.space, &info, &err),
                     SN_OK);
    assert_true(info.has_statistics && info.normalises);
    assert_int_equal(info.step, whole.step);
    assert_int_equal(info.classes, SN_SMALL_CLASSES);
    for (int format = 0; format < 2; format++)
        for (int held = 0; held < 2; held++)
            if (export_to(path, &base, held ? NULL : set.data,
                          (enum sn_export_format)format, &err) != SN_OK)
                fail_msg("%s", err.message);
    base.weights = whole.checkpoint;
    assert_int_equal(export_to(path, &base, set.data, SN_EXPORT_ONNX, &err),
                     SN_OK);
    assert_int_equal(export_to(path, &base, NULL, SN_EXPORT_ONNX, &err),
                     SN_ERR_INVALID); /* no supernet's file */
    unlink(path);
}

static int make_set(void **state)
{
    sn_small_set_init(&set, 400, 40);
    sn_small_job_init(&whole, set.data, SN_STRATEGY_SPARSENAS, 1);
    snprintf(kept, sizeof kept, "%s/kept.safetensors", whole.dir);
    whole.keep = kept;
    sn_small_job_run(&whole, false);
    sn_small_job_init(&whole_ofa, set.data, SN_STRATEGY_OFA, 1);
    sn_small_job_run(&whole_ofa, false);
    return 0;
}

static int remove_set(void **state)
{
    sn_small_job_close(&whole);
    sn_small_job_close(&whole_ofa);
    sn_small_set_close(&set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparsenas_reports_all),
        cmocka_unit_test(resumed_is_unbroken),
        cmocka_unit_test(two_workers_are_one),
        cmocka_unit_test(ofa_resumes_too),
        cmocka_unit_test(every_strategy_ends),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(supernet_is_searched),
        cmocka_unit_test(supernet_is_needed),
        cmocka_unit_test(architecture_is_fine_tuned),
        cmocka_unit_test(architecture_is_trained_alone),
        cmocka_unit_test(models_come_out),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
