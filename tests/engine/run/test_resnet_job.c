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

#include "engine/engine.h"
#include "tests/engine/train/fixture.h"

enum { MAX_ROWS = 4096, MAX_FINAL = 32, CLASSES = SN_SMALL_CLASSES };

static struct sn_small_set set;
static struct {
    char fingerprint[256];
    struct sn_latency_row row[MAX_ROWS];
    uint32_t n;
} latencies; /* as the first run measured them */

struct job {
    struct sn_spec spec;
    char dir[64], checkpoint[512], xxh3[32];
    atomic_int stop;
    int stop_step; /* 0: never */
    bool seen[16]; /* by phase */
    int n_early, n_final, n_found;
    struct sn_evaluation final[MAX_FINAL];
    double best;
};

static void on_phase(void *arg, const struct sn_phase_report *p)
{
    ((struct job *)arg)->seen[p->kind] = true;
}

static void on_series(void *arg, const char *name, uint64_t step, double epoch,
                      double value)
{
    struct job *j = arg;
    if (strcmp(name, "loss") == 0 && step == (uint64_t)j->stop_step)
        atomic_store(&j->stop, 1);
}

static void on_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct job *j = arg;
    double accuracy = (double)e->correct / e->images;
    j->n_early += e->stage == SN_STAGE_EARLY;
    if (e->stage != SN_STAGE_FINAL)
        return;
    assert_true(j->n_final < MAX_FINAL);
    j->final[j->n_final++] = *e;
    j->best = accuracy > j->best ? accuracy : j->best;
}

static void on_latencies(void *arg, const char *device, const char *fingerprint,
                         const struct sn_latency_row *rows, uint32_t n)
{
    assert_true(n > 0 && n <= MAX_ROWS);
    snprintf(latencies.fingerprint, sizeof latencies.fingerprint, "%s",
             fingerprint);
    memcpy(latencies.row, rows, n * sizeof rows[0]);
    latencies.n = n;
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *a)
{
    ((struct job *)arg)->n_found += a->found;
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct job *j = arg;
    snprintf(j->checkpoint, sizeof j->checkpoint, "%s", path);
    snprintf(j->xxh3, sizeof j->xxh3, "%s", xxh3);
    return SN_OK;
}

static void job_init(struct job *j, int workers, const struct sn_space *made)
{
    struct sn_dataset_info info;
    struct sn_error err = {0};
    struct sn_spec *s = &j->spec;
    memset(j, 0, sizeof *j);
    sn_spec_defaults(s);
    snprintf(s->space, sizeof s->space, "%s",
             made != NULL ? made->name : "resnet-tiny");
    s->made_space = made;
    s->epochs = 4;
    s->train.batch_size = 32;
    s->train.shard_size = 16;
    s->train.workers = workers;
    s->train.learning_rate = 0.05;
    s->train.crop_padding = 0;
    s->train.flip = false;
    s->sparsenas.warmup_epochs = 1;
    s->sparsenas.probes = 12;
    s->sparsenas.probe_images = 30;
    s->sparsenas.probe_calibration = 64;
    s->sparsenas.min_tau = -1;
    s->sparsenas.subspace_size = 200;
    s->search.evaluations = 12;
    s->search.calibration = 64;
    s->search.population = 8;
    s->search.generations = 2;
    sn_dataset_info(set.data, &info);
    if (sn_spec_resolve(s, &info, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    snprintf(j->dir, sizeof j->dir, "/tmp/snrunXXXXXX");
    assert_non_null(mkdtemp(j->dir));
}

static void job_close(struct job *j)
{
    struct sn_small_set folder = {0};
    snprintf(folder.dir, sizeof folder.dir, "%s", j->dir);
    sn_small_set_close(&folder);
}

static enum sn_err attempt(struct job *j, bool resume, struct sn_error *err)
{
    char from[512];
    snprintf(from, sizeof from, "%s", j->checkpoint);
    struct sn_callbacks cb = {.arg = j,
                              .phase = on_phase,
                              .series = on_series,
                              .evaluation = on_evaluation,
                              .latencies = on_latencies,
                              .answer = on_answer,
                              .checkpoint = on_checkpoint};
    struct sn_run run = {.spec = &j->spec,
                         .data = set.data,
                         .dir = j->dir,
                         .resume = resume ? from : NULL,
                         .stop = &j->stop,
                         .callbacks = &cb,
                         .latency_rows = latencies.n ? latencies.row : NULL,
                         .n_latency_rows = latencies.n,
                         .latency_fingerprint =
                             latencies.n ? latencies.fingerprint : NULL};
    return sn_engine_run(&run, err);
}

static bool measured(const char *prefix)
{
    for (uint32_t i = 0; i < latencies.n; i++)
        if (strncmp(latencies.row[i].key, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static void check_whole(const struct job *j)
{
    static const enum sn_phase_kind kinds[] = {
        SN_PHASE_PREPARE, SN_PHASE_WARMUP, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_TRAIN,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_true(j->seen[kinds[i]]);
    assert_true(j->n_early >= 12 && j->n_final >= 12 && j->n_found > 0);
    assert_true(j->best >= 1.5 / CLASSES); /* guessing: 1 / CLASSES */
    assert_true(measured("stem3/") && measured("bottleneck/") &&
                measured("pooled/") && measured("arch/r28.d"));
}

static void same_end(const struct job *a, const struct job *b)
{
    assert_string_equal(a->xxh3, b->xxh3);
    assert_int_equal(a->n_final, b->n_final);
    for (int i = 0; i < a->n_final; i++) {
        assert_string_equal(a->final[i].arch, b->final[i].arch);
        assert_int_equal(a->final[i].correct, b->final[i].correct);
    }
}

static void test_job(void **state)
{
    struct job whole, broken;
    struct sn_error err = {0};
    job_init(&whole, 1, NULL);
    if (attempt(&whole, false, &err) != SN_OK)
        fail_msg("%s", err.message);
    check_whole(&whole);

    job_init(&broken, 2, NULL);
    broken.stop_step = 25;
    assert_int_equal(attempt(&broken, false, &err), SN_ERR_STOPPED);
    atomic_store(&broken.stop, 0);
    broken.stop_step = 0;
    if (attempt(&broken, true, &err) != SN_OK)
        fail_msg("%s", err.message);
    same_end(&broken, &whole);
    job_close(&whole);
    job_close(&broken);
}

static void test_made_space(void **state)
{
    struct sn_space made = *sn_space_find("resnet-tiny");
    struct job plain, again;
    struct sn_error err = {0};
    bool seen[29] = {false};
    snprintf(made.name, sizeof made.name, "made");
    made.n_stages = 2;
    made.n_resolutions = 3;
    memcpy(made.resolutions, (const uint16_t[]){20, 24, 28},
           3 * sizeof(uint16_t));
    if (sn_space_check(&made, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    latencies.n = 0; /* those were of another space */
    job_init(&plain, 2, &made);
    if (attempt(&plain, false, &err) != SN_OK)
        fail_msg("%s", err.message);
    check_whole(&plain);
    for (int i = 0; i < plain.n_final; i++)
        seen[strtol(plain.final[i].arch + 1, NULL, 10)] = true;
    assert_true(seen[20] + seen[24] + seen[28] >= 2);

    job_init(&again, 2, &made);
    again.spec.train.recompute = true;
    if (attempt(&again, false, &err) != SN_OK)
        fail_msg("%s", err.message);
    same_end(&again, &plain);
    job_close(&plain);
    job_close(&again);
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
