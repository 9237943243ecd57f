/* A loop that is slow to look into its mailbox still gets all that a job has
 * reported, in order and before the job's end, though the job's thread has been
 * over for long by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/runner.h"
#include "tests/engine/train/fixture.h"
#include "tests/storage/help.h"

static const char id[] = "a-job";

/* What the loop was told. */
struct told {
    int events, evaluations, progress, checkpoints, finished;
    int64_t seq;
    uint64_t step;
    struct sn_error error;
};

static void on_event(void *arg, const struct sn_event *event)
{
    struct told *told = arg;
    assert_string_equal(event->job, id);
    assert_int_equal(told->finished, 0);
    if (event->seq > 0) {
        assert_true(event->seq > told->seq);
        told->seq = event->seq;
    }
    told->events++;
}

static void on_progress(void *arg, const char *job,
                        const struct sn_progress *progress)
{
    struct told *told = arg;
    assert_string_equal(job, id);
    assert_true(progress->fraction > 0.999);
    told->progress++;
}

static void on_evaluated(void *arg, const char *job)
{
    assert_string_equal(job, id);
    ((struct told *)arg)->evaluations++;
}

static void on_checkpoint(void *arg, const char *job, uint64_t step,
                          const char *xxh3)
{
    struct told *told = arg;
    assert_string_equal(job, id);
    assert_int_equal(strlen(xxh3), 16);
    told->step = step;
    told->checkpoints++;
}

static void on_finished(void *arg, const char *job,
                        const struct sn_error *error)
{
    struct told *told = arg;
    assert_string_equal(job, id);
    told->error = *error;
    told->finished++;
}

static bool is_conductor(const char *task)
{
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool is = fgets(name, sizeof name, file) != NULL &&
              strcmp(name, "conductor\n") == 0;
    fclose(file);
    return is;
}

/* Until no thread is a job's: what it has to say is in the mailbox then. */
static void wait_for_its_end(void)
{
    for (bool running = true; running; usleep(10000)) {
        DIR *dir = opendir("/proc/self/task");
        struct dirent *entry;
        assert_non_null(dir);
        running = false;
        while ((entry = readdir(dir)) != NULL)
            running |= is_conductor(entry->d_name);
        closedir(dir);
    }
}

static void make_spec(struct sn_spec *s, const struct sn_dataset *data)
{
    struct sn_dataset_info info;
    struct sn_error err = {0};
    sn_dataset_info(data, &info);
    sn_spec_defaults(s);
    snprintf(s->dataset, sizeof s->dataset, "fashion-mnist");
    s->epochs = 2;
    s->train.batch_size = 32;
    s->train.workers = 1;
    s->sparsenas.warmup_epochs = 1;
    s->sparsenas.probes = 10;
    s->sparsenas.probe_images = 30;
    s->sparsenas.probe_calibration = 64;
    s->search.evaluations = 10;
    s->search.calibration = 64;
    s->search.population = 8;
    s->search.generations = 2;
    if (sn_spec_resolve(s, &info, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
}

/* Runs the job to its end, and only then looks into the mailbox. */
static void run_unheard(const struct sn_runner_config *config,
                        struct sn_runner **ret)
{
    struct sn_error err = {0};
    if (sn_runner_start(config, ret, &err) != SN_OK)
        fail_msg("%s", err.message);
    wait_for_its_end();
    sn_mailbox_drain(config->box);
}

static void test_a_slow_loop_misses_nothing(void **state)
{
    struct sn_small_set set;
    struct sn_mailbox box;
    struct sn_offload *files;
    struct sn_datasets *datasets;
    struct sn_runner *runner;
    struct told told = {0};
    struct sn_spec spec;
    uv_loop_t loop;

    sn_log_init(SN_LOG_ERROR, false);
    sn_small_set_init(&set, 400, 40);
    make_spec(&spec, set.data);
    uv_loop_init(&loop);
    assert_int_equal(sn_mailbox_init(&box, &loop, NULL), SN_OK);
    struct sn_storage *storage = help_open(*state);
    assert_int_equal(help_insert(storage, id), SN_OK);
    assert_int_equal(sn_offload_new("files", &box, 1, 8, &files, NULL), SN_OK);
    struct sn_datasets_config sets = {.fashion_mnist = set.dir,
                                      .allowed = "",
                                      .storage = storage,
                                      .files = files,
                                      .sets = files};
    assert_int_equal(sn_datasets_new(&sets, &box, &datasets, NULL), SN_OK);

    const struct sn_runner_owner owner = {.arg = &told,
                                          .on_event = on_event,
                                          .on_progress = on_progress,
                                          .on_evaluated = on_evaluated,
                                          .on_checkpoint = on_checkpoint,
                                          .on_finished = on_finished};
    const struct sn_runner_config config = {.id = id,
                                            .spec = &spec,
                                            .storage = storage,
                                            .datasets = datasets,
                                            .box = &box,
                                            .owner = &owner};
    run_unheard(&config, &runner);
    if (told.error.code != SN_OK)
        fail_msg("%s", told.error.message);
    assert_int_equal(told.finished, 1);
    assert_int_equal(told.progress, 1); /* the newest alone */
    assert_true(told.evaluations >= 20 && told.checkpoints >= 5);
    assert_true(told.events > told.evaluations + told.checkpoints);
    assert_true(told.step > 0);

    sn_runner_free(runner);
    sn_offload_free(files);
    sn_datasets_free(datasets);
    sn_storage_close(storage);
    sn_mailbox_close(&box);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    sn_small_set_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_slow_loop_misses_nothing,
                                        help_setup, help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
