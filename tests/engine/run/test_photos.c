/* Whole small jobs on photographs that are kept encoded, in spaces of several
 * resolutions: all phases run; evaluations are of the hold-out, and only
 * winners meet the test images; architectures of every resolution are met; a
 * job that is stopped and resumed with another number of workers and decoders
 * ends bitwise where the unbroken one does; a photograph that is gone ends the
 * job by its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/engine/data/photos.h"
#include "tests/engine/data/pictures.h"

enum { TRAIN = 170, TEST = 30 };

static struct sn_photos photos;

struct job {
    struct sn_space space;
    struct sn_spec spec;
    char dir[64], checkpoint[512], xxh3[32];
    uint64_t step, stop_step;
    atomic_int stop;
    unsigned phases; /* bits by kind */
    unsigned met[3]; /* evaluations by resolution */
    int n_answers, n_stalls;
    uint32_t final_correct;
};

static void on_phase(void *arg, const struct sn_phase_report *p)
{
    ((struct job *)arg)->phases |= 1u << p->kind;
}

static void on_series(void *arg, const char *name, uint64_t step, double epoch,
                      double value)
{
    struct job *j = arg;
    if (strcmp(name, "stall_ms") == 0) {
        assert_true(value >= 0);
        j->n_stalls++;
    }
    if (j->stop_step > 0 && step == j->stop_step)
        atomic_store(&j->stop, 1);
    (void)epoch;
}

static void on_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct job *j = arg;
    struct sn_arch arch;
    if (e->stage != SN_STAGE_VERIFY)
        assert_int_equal(e->split, SN_SPLIT_HOLDOUT);
    if (e->split == SN_SPLIT_TEST)
        assert_int_equal(e->images, TEST);
    assert_int_equal(sn_arch_decode(&j->space, e->arch, &arch, NULL), SN_OK);
    for (int i = 0; i < 3; i++)
        j->met[i] += arch.resolution == j->space.resolutions[i];
    if (e->stage == SN_STAGE_FINAL)
        j->final_correct += e->correct;
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *a)
{
    struct job *j = arg;
    assert_true(i < of);
    if (a->found)
        assert_int_equal(a->test_images, TEST);
    j->n_answers++;
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct job *j = arg;
    snprintf(j->checkpoint, sizeof j->checkpoint, "%s", path);
    snprintf(j->xxh3, sizeof j->xxh3, "%s", xxh3);
    j->step = step;
    (void)phase, (void)file_xxh3, (void)bytes, (void)err;
    return SN_OK;
}

/* `name` at other resolutions. */
static void job_init(struct job *j, const char *name,
                     const uint16_t resolutions[3], int workers)
{
    struct sn_dataset_info info;
    struct sn_error err = {0};
    struct sn_spec *s = &j->spec;
    memset(j, 0, sizeof *j);
    j->space = *sn_space_find(name);
    j->space.n_resolutions = 3;
    memcpy(j->space.resolutions, resolutions, 3 * sizeof resolutions[0]);
    j->space.resolution = resolutions[2];
    sn_spec_defaults(s);
    s->made_space = &j->space;
    s->epochs = 3;
    s->train.batch_size = 16;
    s->train.shard_size = 8;
    s->train.workers = workers;
    s->train.decoders = 1 + workers % 2;
    s->train.learning_rate = 0.02;
    s->train.holdout = 60;
    s->sparsenas.warmup_epochs = 1;
    s->sparsenas.probes = 14;
    s->sparsenas.probe_images = 30;
    s->sparsenas.probe_calibration = 32;
    s->sparsenas.min_tau = -1;
    s->search.evaluations = 12;
    s->search.calibration = 32;
    s->search.population = 8;
    s->search.generations = 2;
    sn_dataset_info(photos.data, &info);
    if (sn_spec_resolve(s, &info, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    assert_int_equal(s->train.crop, SN_CROP_RESIZED);
    assert_int_equal(s->train.color_jitter, SN_JITTER_ON);
    snprintf(j->dir, sizeof j->dir, "/tmp/snphotosXXXXXX");
    assert_non_null(mkdtemp(j->dir));
}

static enum sn_err attempt(struct job *j, bool resume, struct sn_error *err)
{
    char from[512];
    snprintf(from, sizeof from, "%s", j->checkpoint);
    struct sn_callbacks cb = {.arg = j,
                              .phase = on_phase,
                              .series = on_series,
                              .evaluation = on_evaluation,
                              .answer = on_answer,
                              .checkpoint = on_checkpoint};
    struct sn_run run = {.spec = &j->spec,
                         .data = photos.data,
                         .dir = j->dir,
                         .resume = resume ? from : NULL,
                         .stop = &j->stop,
                         .callbacks = &cb};
    return sn_engine_run(&run, err);
}

static void run_to_end(struct job *j, bool resume)
{
    struct sn_error err = {0};
    j->stop_step = 0;
    atomic_store(&j->stop, 0);
    if (attempt(j, resume, &err) != SN_OK)
        fail_msg("%s", err.message);
}

static void job_close(struct job *j)
{
    sn_picture_remove_tree(j->dir);
}

static const uint16_t tiny[3] = {24, 28, 40}, mobile[3] = {32, 48, 64};

static void all_phases_at_all_resolutions(void **state)
{
    static struct job whole, broken;
    struct sn_error err = {0};
    job_init(&whole, "mbv3-tiny", tiny, 2);
    run_to_end(&whole, false);
    assert_int_equal(whole.phases, (1u << SN_PHASE_KINDS) - 1);
    for (int i = 0; i < 3; i++)
        assert_true(whole.met[i] > 0);
    assert_true(whole.n_answers > 0 && whole.n_stalls > 0);

    job_init(&broken, "mbv3-tiny", tiny, 1);
    broken.stop_step = 4;
    assert_int_equal(attempt(&broken, false, &err), SN_ERR_STOPPED);
    assert_true(broken.step >= 4 && broken.step < whole.step);
    run_to_end(&broken, true);
    assert_int_equal(broken.step, whole.step);
    assert_string_equal(broken.xxh3, whole.xxh3);
    assert_int_equal(broken.final_correct, whole.final_correct);
    job_close(&whole);
    job_close(&broken);
    (void)state;
}

static void the_published_mobile_space(void **state)
{
    static struct job j;
    job_init(&j, "ofa-mbv3-w1.0", mobile, 2);
    j.spec.epochs = 1;
    j.spec.sparsenas.warmup_epochs = 0.5;
    run_to_end(&j, false);
    assert_int_equal(j.phases, (1u << SN_PHASE_KINDS) - 1);
    assert_true(j.n_answers > 0);
    job_close(&j);
    (void)state;
}

static void a_lost_photograph_ends_the_job(void **state)
{
    static struct job j;
    struct sn_error err = {0};
    char path[128];
    job_init(&j, "mbv3-tiny", tiny, 2);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "%s/train-%d.jpg", photos.dir, i);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(attempt(&j, false, &err), SN_ERR_NOTFOUND);
    assert_non_null(strstr(err.message, ".jpg: is no longer there"));
    job_close(&j);
    (void)state;
}

static int open_photos(void **state)
{
    sn_photos_init(&photos, TRAIN, TEST, 3);
    (void)state;
    return 0;
}

static int close_photos(void **state)
{
    sn_photos_close(&photos);
    (void)state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_phases_at_all_resolutions),
        cmocka_unit_test(the_published_mobile_space),
        cmocka_unit_test(a_lost_photograph_ends_the_job),
    };
    return cmocka_run_group_tests(tests, open_photos, close_photos);
}
