/* The forecast of a job's memory is what the process really grows by, within
 * 15%, and names the field that drives it. The job runs in a process of its
 * own, since the most that a process has held never falls again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine.h"
#include "tests/engine/train/fixture.h"

static double peak_bytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return 1024.0 * (double)usage.ru_maxrss;
}

static void small_spec(struct sn_spec *s)
{
    sn_spec_defaults(s);
    s->epochs = 4;
    s->train.workers = 2;
    /* In bf16 a job as small as this is mostly what no forecast knows. */
    s->train.precision = SN_PRECISION_F32;
    s->train.batch_size = 64;
    s->train.holdout = 200;
    s->sparsenas.probes = 12;
    s->sparsenas.probe_images = 64;
    s->sparsenas.probe_calibration = 64;
    s->sparsenas.warmup_epochs = 2;
    s->search.evaluations = 12;
    s->search.images = 64;
    s->search.calibration = 64;
    s->search.generations = 3;
}

static enum sn_err take_checkpoint(void *arg, const char *path, uint64_t step,
                                   const char *phase, const char *xxh3,
                                   const char *file_xxh3, uint64_t bytes,
                                   struct sn_error *err)
{
    (void)arg, (void)step, (void)phase, (void)xxh3, (void)file_xxh3;
    (void)bytes, (void)err;
    return unlink(path) == 0 ? SN_OK : SN_ERR_IO;
}

/* The whole of it: the data set is a part of the forecast. */
static int run_small(const char *dir, double *ret_grown, double *ret_forecast)
{
    struct sn_spec spec;
    struct sn_dataset *data;
    struct sn_dataset_info info;
    struct sn_forecast forecast;
    struct sn_error err = {0};
    atomic_int stop = 0;
    const struct sn_callbacks callbacks = {.checkpoint = take_checkpoint};
    double before = peak_bytes();

    if (sn_dataset_open("idx", dir, &data, &err) != SN_OK)
        return 1;
    sn_dataset_info(data, &info);
    small_spec(&spec);
    struct sn_run run = {.spec = &spec,
                         .data = data,
                         .dir = dir,
                         .stop = &stop,
                         .callbacks = &callbacks};
    int rc = sn_spec_resolve(&spec, &info, &err) != SN_OK ||
             sn_spec_forecast(&spec, &info, &forecast, &err) != SN_OK ||
             sn_engine_run(&run, &err) != SN_OK;
    if (rc != 0)
        fprintf(stderr, "%s\n", err.message);
    *ret_grown = peak_bytes() - before;
    *ret_forecast = forecast.memory_bytes;
    sn_dataset_free(data);
    return rc;
}

static void forecast_is_met(void **state)
{
    struct sn_small_set set;
    double seen[2] = {0};
    int pipes[2], status = 1;
    sn_small_set_init(&set, 1200, 64);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int rc = run_small(set.dir, &seen[0], &seen[1]);
        if (write(pipes[1], seen, sizeof seen) != (ssize_t)sizeof seen)
            rc = 1;
        _exit(rc);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], seen, sizeof seen), sizeof seen);
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    sn_small_set_close(&set);
    assert_int_equal(status, 0);
    print_message("grew by %.1f MB, forecast %.1f MB\n", seen[0] / 1e6,
                  seen[1] / 1e6);
#ifndef __SANITIZE_ADDRESS__ /* which holds memory of its own */
    assert_true(seen[1] > 0.85 * seen[0] && seen[1] < 1.15 * seen[0]);
#endif
}

static const struct sn_dataset_info fashion = {.channels = 1,
                                               .height = 28,
                                               .width = 28,
                                               .classes = 10,
                                               .train = 60000,
                                               .test = 10000};
static const struct sn_dataset_info cifar = {.channels = 3,
                                             .height = 32,
                                             .width = 32,
                                             .classes = 10,
                                             .train = 50000,
                                             .test = 10000};

static double forecast_of(struct sn_spec *s, const struct sn_dataset_info *data,
                          const char *field)
{
    struct sn_forecast forecast;
    struct sn_error err = {0};
    if (sn_spec_resolve(s, data, &err) != SN_OK ||
        sn_spec_forecast(s, data, &forecast, &err) != SN_OK)
        fail_msg("%s", err.message);
    if (field != NULL)
        assert_string_equal(forecast.memory_field, field);
    return forecast.memory_bytes;
}

static void field_is_named(void **state)
{
    struct sn_dataset_info many = fashion;
    struct sn_spec s;
    sn_spec_defaults(&s);
    s.train.workers = 2;
    double small = forecast_of(&s, &fashion, NULL);

    snprintf(s.space, sizeof s.space, "mbv3-cifar");
    s.train.batch_size = 2048;
    s.train.shard_size = 8;
    double wave = forecast_of(&s, &cifar, "/train/batch_size");
    assert_true(wave > 2 * small);
    s.train.batch_size = 16384; /* in waves: it takes no more */
    assert_true(forecast_of(&s, &cifar, NULL) < 1.01 * wave);
    sn_spec_defaults(&s);
    s.train.workers = 2;
    s.train.batch_size = s.train.shard_size = 1024;
    assert_true(forecast_of(&s, &fashion, "/train/shard_size") > 2 * small);
    sn_spec_defaults(&s);
    s.train.workers = 64;
    s.train.shard_size = 2;
    assert_true(forecast_of(&s, &fashion, "/train/workers") > 2 * small);
    sn_spec_defaults(&s);
    many.train = 10000000;
    assert_true(forecast_of(&s, &many, "/dataset") > 7e9);
}

static void large_space_fits(void **state)
{
    struct sn_spec s;
    sn_spec_defaults(&s);
    snprintf(s.space, sizeof s.space, "mbv3-cifar");
    s.train.workers = 2;
    s.train.batch_size = 128;
    assert_true(forecast_of(&s, &cifar, NULL) < 1.5e9);
    s.sparsenas.trainer = s.sparsenas.warmup_trainer = SN_TRAINER_SANDWICH;
    assert_true(forecast_of(&s, &cifar, NULL) < 1.5e9);
    s.strategy = SN_STRATEGY_OFA;
    assert_true(forecast_of(&s, &cifar, NULL) < 1.5e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forecast_is_met),
        cmocka_unit_test(field_is_named),
        cmocka_unit_test(large_space_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
