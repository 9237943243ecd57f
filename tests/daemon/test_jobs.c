/* The table of jobs and the scheduler: what is added is found until it is
 * removed, lists keep the order of submission, a change of state shows in the
 * view; interrupted jobs go first, then priority, then age, and no more run
 * than there are slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/jobs.h"
#include "daemon/scheduler.h"

static struct sn_job_entry *add(struct sn_jobs *jobs, const char *id, int seq,
                                int priority)
{
    struct sn_job_entry *entry;
    struct sn_spec spec = {.priority = priority};
    struct sn_job row = {
        .id = id,
        .seq = seq,
        .name = "n",
        .spec_given = "{}",
        .spec_resolved = "{}",
        .state = SN_JOB_QUEUED,
        .priority = priority,
        .created_ms = 1500,
        .best_accuracy = NAN,
    };
    assert_int_equal(sn_jobs_add(jobs, &row, &spec, &entry, NULL), SN_OK);
    return entry;
}

static void test_table(void **state)
{
    struct sn_jobs *jobs = sn_jobs_new();
    char id[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "job-%d", i);
        add(jobs, id, i + 1, 0);
    }
    struct sn_job_entry *same;
    struct sn_job row = {.id = "job-7", .seq = 9999, .state = SN_JOB_QUEUED};
    struct sn_spec spec = {0};
    assert_int_equal(sn_jobs_add(jobs, &row, &spec, &same, NULL),
                     SN_ERR_CONFLICT);
    for (int i = 0; i < 3000; i += 2) {
        snprintf(id, sizeof id, "job-%d", i);
        struct sn_job_entry *entry = sn_jobs_find(jobs, id);
        assert_string_equal(entry->view.id, id);
        sn_jobs_remove(jobs, entry);
        assert_null(sn_jobs_find(jobs, id));
    }
    const struct sn_job_view *const *views;
    assert_int_equal(sn_jobs_views(jobs, &views), 1500);
    for (int i = 0; i < 1500; i++)
        assert_int_equal(views[i]->seq, 2 * i + 2);
    assert_int_equal(sn_jobs_count(jobs, SN_JOB_QUEUED), 1500);
    sn_jobs_free(jobs);
    sn_jobs_free(NULL);
}

static void test_view(void **state)
{
    struct sn_jobs *jobs = sn_jobs_new();
    struct sn_job_entry *entry = add(jobs, "a", 1, 3);
    const struct sn_job_view *v = &entry->view;
    assert_true(v->created == 1.5 && isnan(v->started) && isnan(v->ended));
    assert_null(v->reason);
    assert_null(v->paused_by);
    uint64_t revision = v->revision;
    sn_jobs_set_state(entry, SN_JOB_RUNNING, SN_PAUSED_BY_NONE, NULL, 10);
    sn_jobs_set_state(entry, SN_JOB_STOPPING, SN_PAUSED_BY_NONE, NULL, 11);
    sn_jobs_set_state(entry, SN_JOB_PAUSED, SN_PAUSED_BY_DISK, "full", 12);
    assert_string_equal(v->paused_by, "disk");
    assert_string_equal(v->reason, "full");
    assert_true(v->started == 10 && isnan(v->ended));
    sn_jobs_set_state(entry, SN_JOB_QUEUED, SN_PAUSED_BY_NONE, NULL, 13);
    assert_null(v->paused_by);
    assert_null(v->reason);
    sn_jobs_set_state(entry, SN_JOB_RUNNING, SN_PAUSED_BY_NONE, NULL, 14);
    sn_jobs_set_state(entry, SN_JOB_FAILED, SN_PAUSED_BY_NONE, "why", 15);
    assert_true(v->started == 10 && v->ended == 15);
    assert_int_equal(v->revision, revision + 6);
    sn_jobs_free(jobs);
}

/* Takes the next, as if it ran to its end. */
static void take(struct sn_jobs *jobs, const char *expected)
{
    struct sn_job_entry *next = sn_scheduler_next(jobs, 1);
    if (expected == NULL) {
        assert_null(next);
        return;
    }
    assert_non_null(next);
    assert_string_equal(next->view.id, expected);
    sn_jobs_set_state(next, SN_JOB_SUCCEEDED, SN_PAUSED_BY_NONE, NULL, 1);
}

static void test_order(void **state)
{
    struct sn_jobs *jobs = sn_jobs_new();
    add(jobs, "old", 1, 0);
    add(jobs, "high-old", 2, 5);
    add(jobs, "interrupted", 3, -1)->front = true;
    add(jobs, "high", 4, 5);
    add(jobs, "low", 5, -5);
    struct sn_job_entry *paused = add(jobs, "paused", 6, 100);
    sn_jobs_set_state(paused, SN_JOB_PAUSED, SN_PAUSED_BY_USER, NULL, 1);
    take(jobs, "interrupted");
    take(jobs, "high-old");
    take(jobs, "high");
    take(jobs, "old");
    take(jobs, "low");
    take(jobs, NULL);
    sn_jobs_set_state(paused, SN_JOB_QUEUED, SN_PAUSED_BY_NONE, NULL, 1);
    take(jobs, "paused");
    sn_jobs_free(jobs);
}

static void test_slots(void **state)
{
    struct sn_jobs *jobs = sn_jobs_new();
    struct sn_job_entry *a = add(jobs, "a", 1, 0), *b = add(jobs, "b", 2, 0);
    struct sn_runner *thread = (struct sn_runner *)(uintptr_t)&jobs;
    add(jobs, "c", 3, 0);
    a->runner = thread; /* stopping jobs still hold their slot */
    sn_jobs_set_state(a, SN_JOB_RUNNING, SN_PAUSED_BY_NONE, NULL, 1);
    sn_jobs_set_state(a, SN_JOB_STOPPING, SN_PAUSED_BY_NONE, NULL, 1);
    assert_null(sn_scheduler_next(jobs, 1));
    assert_ptr_equal(sn_scheduler_next(jobs, 2), b);
    b->runner = thread;
    sn_jobs_set_state(b, SN_JOB_RUNNING, SN_PAUSED_BY_NONE, NULL, 1);
    assert_null(sn_scheduler_next(jobs, 2));
    a->runner = NULL;
    sn_jobs_set_state(a, SN_JOB_PAUSED, SN_PAUSED_BY_USER, NULL, 1);
    assert_string_equal(sn_scheduler_next(jobs, 2)->view.id, "c");
    sn_jobs_free(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
