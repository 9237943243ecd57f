#include "daemon/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/event_json.h"
#include "daemon/changes.h"
#include "daemon/follow.h"
#include "daemon/log.h"
#include "daemon/recover.h"
#include "daemon/scheduler.h"
#include "daemon/submission.h"

struct sn_lifecycle {
    struct sn_lifecycle_config config;
    struct sn_jobs *jobs;
    struct sn_changes *changes;
    struct sn_runner_owner owner;
    struct sn_submission_config submissions;
    bool stopping, no_room;
    size_t running;
};

/* A change that cannot be refused: the table of states allows it here. */
static void change(struct sn_lifecycle *l, struct sn_job_entry *entry,
                   enum sn_job_state to, enum sn_job_state stop_for,
                   enum sn_paused_by by, const char *reason)
{
    struct sn_error err;
    struct sn_job_change row = {
        .id = entry->view.id,
        .to = to,
        .stop_for = stop_for,
        .paused_by = by,
        .reason = reason,
    };
    if (sn_changes_apply(l->changes, entry, &row, NULL, NULL, &err) != SN_OK)
        sn_log(SN_LOG_ERROR, "jobs", "a change of state is not possible", "id",
               entry->view.id, "problem", err.message, NULL);
}

/* ---- submission ---- */

static enum sn_err may_submit(const struct sn_lifecycle *l,
                              const struct sn_submission *submission,
                              struct sn_error *err)
{
    if (l->stopping)
        return sn_error_set(err, SN_ERR_STOPPED, "the daemon is stopping");
    if (l->no_room)
        return sn_error_set(err, SN_ERR_DISKFULL, "no room on the disk");
    if (submission->id == NULL && sn_jobs_count(l->jobs, SN_JOB_QUEUED) >=
                                      (size_t)l->config.max_queued_jobs)
        return sn_error_set(err, SN_ERR_BUSY, "%d jobs wait already",
                            l->config.max_queued_jobs);
    return SN_OK;
}

static void after_submission(void *arg)
{
    sn_lifecycle_schedule(arg);
}

void sn_lifecycle_submit(struct sn_lifecycle *l,
                         const struct sn_submission *submission,
                         sn_job_done done, void *arg)
{
    struct sn_error err = {0};
    if (may_submit(l, submission, &err) == SN_OK)
        sn_submission_start(&l->submissions, submission, done, arg);
    else
        done(arg, &err, NULL, false);
}

/* ---- control ---- */

static enum sn_err control(struct sn_lifecycle *l, struct sn_job_entry *entry,
                           enum sn_job_state target, sn_job_done done,
                           void *arg, struct sn_error *err)
{
    enum sn_job_state state = entry->view.state;
    bool user_pause = target == SN_JOB_PAUSED;
    struct sn_job_change row = {
        .id = entry->view.id,
        .to = state == SN_JOB_RUNNING ? SN_JOB_STOPPING : target,
        .stop_for = target,
        .paused_by = user_pause ? SN_PAUSED_BY_USER : SN_PAUSED_BY_NONE,
    };
    /* Only pausing and cancelling stop a job; resuming a running one does not.
     */
    if (state == SN_JOB_STOPPING ||
        (state == SN_JOB_RUNNING && target == SN_JOB_QUEUED))
        return sn_error_set(err, SN_ERR_CONFLICT, "the job is %s",
                            state == SN_JOB_RUNNING
                                ? "running"
                                : "stopping; try again in a moment");
    enum sn_err code =
        sn_changes_apply(l->changes, entry, &row, done, arg, err);
    if (code == SN_OK && row.to == SN_JOB_STOPPING && entry->runner != NULL)
        sn_runner_stop(entry->runner, target == SN_JOB_CANCELLED);
    return code;
}

struct deletion {
    struct sn_lifecycle *l;
    char id[SN_ID_MAX];
    struct sn_error error;
    sn_job_done done;
    void *arg;
};

static void on_deleted(void *arg)
{
    struct deletion *d = arg;
    struct sn_job_entry *entry = sn_jobs_find(d->l->jobs, d->id);
    if (entry != NULL) {
        entry->deleting = false;
        if (d->error.code == SN_OK)
            sn_jobs_remove(d->l->jobs, entry);
    }
    if (d->error.code == SN_OK)
        sn_log(SN_LOG_INFO, "jobs", "job deleted", "id", d->id, NULL);
    d->done(d->arg, d->error.code == SN_OK ? NULL : &d->error, d->id, false);
    free(d);
}

static void on_delete_written(void *arg, const struct sn_written *result)
{
    struct deletion *d = arg;
    d->error = result->error;
    sn_mailbox_post(d->l->config.box, on_deleted, d);
}

static enum sn_err delete_job(struct sn_lifecycle *l,
                              struct sn_job_entry *entry, sn_job_done done,
                              void *arg, struct sn_error *err)
{
    if (!sn_job_state_is_end(entry->view.state) || entry->runner != NULL)
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "the job is %s; only one that has ended can be "
                            "deleted",
                            sn_job_state_name(entry->view.state));
    if (entry->deleting)
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "the job is being deleted already");
    struct deletion *d = calloc(1, sizeof *d);
    if (d == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    *d = (struct deletion){.l = l, .done = done, .arg = arg};
    snprintf(d->id, sizeof d->id, "%s", entry->view.id);
    struct sn_write write = {.done = on_delete_written, .arg = d};
    enum sn_err code =
        sn_storage_delete_job(l->config.storage, d->id, &write, err);
    if (code != SN_OK)
        free(d);
    else
        entry->deleting = true;
    return code;
}

void sn_lifecycle_control(struct sn_lifecycle *l, const char *id,
                          enum sn_job_action action, sn_job_done done,
                          void *arg)
{
    static const enum sn_job_state targets[] = {
        [SN_JOB_PAUSE] = SN_JOB_PAUSED,
        [SN_JOB_RESUME] = SN_JOB_QUEUED,
        [SN_JOB_CANCEL] = SN_JOB_CANCELLED,
    };
    struct sn_error err;
    struct sn_job_entry *entry = sn_jobs_find(l->jobs, id);
    enum sn_err code;
    if (entry == NULL)
        code = sn_error_set(&err, SN_ERR_NOTFOUND, "there is no job %.60s", id);
    else if (l->stopping)
        code = sn_error_set(&err, SN_ERR_STOPPED, "the daemon is stopping");
    else if (action == SN_JOB_DELETE)
        code = delete_job(l, entry, done, arg, &err);
    else
        code = control(l, entry, targets[action], done, arg, &err);
    if (code != SN_OK)
        done(arg, &err, id, false);
    sn_lifecycle_schedule(l);
}

/* ---- running ---- */

static void on_event(void *arg, const struct sn_event *event)
{
    struct sn_lifecycle *l = arg;
    l->config.publish(l->config.arg, event);
}

static void on_progress(void *arg, const char *id,
                        const struct sn_progress *progress)
{
    struct sn_lifecycle *l = arg;
    struct sn_job_entry *entry = sn_jobs_find(l->jobs, id);
    if (entry == NULL)
        return;
    entry->view.progress = *progress;
    sn_jobs_touch(entry);
    char *payload = sn_json_progress(progress);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct sn_event event = {.job = id,
                             .type = "progress",
                             .payload = payload,
                             .time_ms = (int64_t)now.tv_sec * 1000 +
                                        now.tv_nsec / 1000000};
    if (payload != NULL)
        l->config.publish(l->config.arg, &event);
    free(payload);
}

static void on_checkpoint(void *arg, const char *id, uint64_t step,
                          const char *xxh3)
{
    struct sn_lifecycle *l = arg;
    struct sn_job_entry *entry = sn_jobs_find(l->jobs, id);
    if (entry == NULL)
        return;
    entry->view.checkpoint_step = step;
    snprintf(entry->view.xxh3, sizeof entry->view.xxh3, "%s", xxh3);
    sn_jobs_touch(entry);
}

/* Counts and the best accuracy come from storage, where replayed rows are
 * known as such; at most one reading a job at a time. */
struct stats {
    struct sn_lifecycle *l;
    char id[SN_ID_MAX];
    double best;
    int64_t n;
    bool found;
};

static void read_stats(struct sn_lifecycle *l, struct sn_job_entry *entry);

static void on_stats(void *arg)
{
    struct stats *stats = arg;
    struct sn_job_entry *entry = sn_jobs_find(stats->l->jobs, stats->id);
    if (entry != NULL) {
        entry->stats_reading = false;
        if (stats->found) {
            entry->view.best_accuracy = stats->best;
            entry->view.evaluations = (uint64_t)stats->n;
            sn_jobs_touch(entry);
        }
        if (entry->stats_wanted)
            read_stats(stats->l, entry);
    }
    free(stats);
}

static bool on_stats_row(void *arg, const struct sn_job *row)
{
    struct stats *stats = arg;
    stats->best = row->best_accuracy;
    stats->n = row->n_evaluations;
    stats->found = true;
    return true;
}

static void on_reader(void *arg, struct sn_reader *reader)
{
    struct stats *stats = arg;
    sn_reader_job_get(reader, stats->id, on_stats_row, stats, NULL);
    sn_mailbox_post(stats->l->config.box, on_stats, stats);
}

static void read_stats(struct sn_lifecycle *l, struct sn_job_entry *entry)
{
    struct stats *stats = calloc(1, sizeof *stats);
    entry->stats_wanted = true;
    if (stats == NULL)
        return;
    stats->l = l;
    snprintf(stats->id, sizeof stats->id, "%s", entry->view.id);
    if (sn_storage_read(l->config.storage, on_reader, stats, NULL) != SN_OK) {
        free(stats); /* tried again with the next evaluation */
        return;
    }
    entry->stats_wanted = false;
    entry->stats_reading = true;
}

static void on_evaluated(void *arg, const char *id)
{
    struct sn_lifecycle *l = arg;
    struct sn_job_entry *entry = sn_jobs_find(l->jobs, id);
    if (entry != NULL && entry->stats_reading)
        entry->stats_wanted = true;
    else if (entry != NULL)
        read_stats(l, entry);
}

static void pause_for_room(struct sn_lifecycle *l, struct sn_job_entry *entry)
{
    if (entry->view.state == SN_JOB_RUNNING)
        change(l, entry, SN_JOB_STOPPING, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
               NULL);
    change(l, entry, SN_JOB_PAUSED, SN_JOB_PAUSED, SN_PAUSED_BY_DISK,
           "no room on the disk");
    l->no_room = true;
}

/* It was asked to stop, and has. */
static void settle_stopped(struct sn_lifecycle *l, struct sn_job_entry *entry,
                           const struct sn_error *error)
{
    bool stopped = error->code == SN_OK || error->code == SN_ERR_STOPPED;
    enum sn_job_state to = entry->stop_for;
    enum sn_paused_by by = SN_PAUSED_BY_NONE;
    if (to == SN_JOB_CANCELLED) {
        change(l, entry, to, to, by, NULL);
    } else if (error->code == SN_ERR_DISKFULL) {
        pause_for_room(l, entry);
    } else if (!stopped) {
        change(l, entry, SN_JOB_FAILED, to, by, error->message);
    } else if (to == SN_JOB_PAUSED) {
        change(l, entry, to, to, SN_PAUSED_BY_USER, NULL);
    } else if (l->stopping) {
        /* Stays `stopping` for `queued`: the next start puts it in front. */
    } else if (l->no_room) {
        pause_for_room(l, entry);
    } else {
        change(l, entry, SN_JOB_QUEUED, to, by, NULL);
    }
}

static void settle_ended(struct sn_lifecycle *l, struct sn_job_entry *entry,
                         const struct sn_error *error)
{
    switch (error->code) {
    case SN_OK:
        change(l, entry, SN_JOB_SUCCEEDED, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
               NULL);
        entry->follow_due = entry->spec.finetune.epochs > 0;
        break;
    case SN_ERR_DISKFULL:
        pause_for_room(l, entry);
        break;
    default:
        change(l, entry, SN_JOB_FAILED, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
               error->message[0] != '\0' ? error->message
                                         : sn_err_text(error->code));
    }
}

static void on_finished(void *arg, const char *id, const struct sn_error *error)
{
    struct sn_lifecycle *l = arg;
    struct sn_job_entry *entry = sn_jobs_find(l->jobs, id);
    struct sn_runner *runner = entry->runner;
    if (error->code == SN_ERR_IO && sn_storage_failed(l->config.storage))
        sn_log(SN_LOG_ERROR, "jobs", "stopped by storage's failure", "id", id,
               NULL); /* the daemon ends and recovers; the job has not failed */
    else if (entry->view.state == SN_JOB_STOPPING)
        settle_stopped(l, entry, error);
    else
        settle_ended(l, entry, error);
    entry->runner = NULL;
    l->running--;
    sn_runner_free(runner);
    read_stats(l, entry);
    sn_lifecycle_follow(l);
    sn_lifecycle_schedule(l);
}

static void start(struct sn_lifecycle *l, struct sn_job_entry *entry)
{
    struct sn_error err;
    struct sn_runner_config config = {
        .id = entry->view.id,
        .spec = &entry->spec,
        .storage = l->config.storage,
        .datasets = l->config.datasets,
        .supernets = l->config.supernets,
        .box = l->config.box,
        .owner = &l->owner,
        .nice = l->config.nice,
    };
    entry->front = false;
    change(l, entry, SN_JOB_RUNNING, SN_JOB_QUEUED, SN_PAUSED_BY_NONE, NULL);
    if (sn_runner_start(&config, &entry->runner, &err) == SN_OK)
        l->running++;
    else
        change(l, entry, SN_JOB_FAILED, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
               err.message);
}

void sn_lifecycle_schedule(struct sn_lifecycle *l)
{
    struct sn_job_entry *next;
    while (!l->stopping && !l->no_room &&
           !sn_storage_failed(l->config.storage) &&
           (next = sn_scheduler_next(l->jobs, l->config.running_jobs)) != NULL)
        start(l, next);
}

/* ---- what comes after ---- */

static void submit_child(void *arg, const struct sn_submission *submission,
                         sn_job_done done, void *done_arg)
{
    sn_lifecycle_submit(arg, submission, done, done_arg);
}

void sn_lifecycle_follow(struct sn_lifecycle *l)
{
    const struct sn_follow_config config = {
        .storage = l->config.storage,
        .datasets = l->config.datasets,
        .spaces = l->config.spaces,
        .box = l->config.box,
        .jobs = l->jobs,
        .job_memory = l->config.job_memory,
        .submit = submit_child,
        .arg = l,
    };
    struct sn_job_entry *const *list;
    size_t n = sn_jobs_list(l->jobs, &list);
    for (size_t i = 0; i < n && !l->stopping && !l->no_room; i++) {
        if (!list[i]->follow_due)
            continue;
        list[i]->follow_due = false; /* again, should it not be possible yet */
        sn_follow(&config, list[i]);
    }
}

/* ---- the disk ---- */

void sn_lifecycle_set_room(struct sn_lifecycle *l, bool room)
{
    struct sn_job_entry *const *list;
    size_t n = sn_jobs_list(l->jobs, &list);
    if (room && l->no_room)
        sn_log(SN_LOG_INFO, "jobs", "there is room on the disk again", NULL);
    if (!room && !l->no_room)
        sn_log(SN_LOG_WARN, "jobs", "no room on the disk: jobs pause", NULL);
    l->no_room = !room;
    if (room)
        sn_changes_flush(l->changes);
    for (size_t i = 0; i < n; i++) {
        struct sn_job_entry *entry = list[i];
        if (!room && entry->view.state == SN_JOB_RUNNING) {
            change(l, entry, SN_JOB_STOPPING, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
                   NULL);
            sn_runner_stop(entry->runner, false);
        }
        if (room && entry->view.state == SN_JOB_PAUSED &&
            entry->paused_by == SN_PAUSED_BY_DISK) {
            entry->front = true;
            change(l, entry, SN_JOB_QUEUED, SN_JOB_QUEUED, SN_PAUSED_BY_NONE,
                   NULL);
        }
    }
    sn_lifecycle_schedule(l);
}

bool sn_lifecycle_has_room(const struct sn_lifecycle *l)
{
    return !l->no_room;
}

/* ---- life ---- */

void sn_lifecycle_stop(struct sn_lifecycle *l, bool now)
{
    struct sn_job_entry *const *list;
    size_t n = sn_jobs_list(l->jobs, &list);
    l->stopping = true;
    for (size_t i = 0; i < n; i++) {
        if (list[i]->view.state == SN_JOB_RUNNING)
            change(l, list[i], SN_JOB_STOPPING, SN_JOB_QUEUED,
                   SN_PAUSED_BY_NONE, NULL);
        if (list[i]->runner != NULL)
            sn_runner_stop(list[i]->runner, now);
    }
}

size_t sn_lifecycle_running(const struct sn_lifecycle *l)
{
    return l->running;
}

struct sn_jobs *sn_lifecycle_jobs(struct sn_lifecycle *l)
{
    return l->jobs;
}

enum sn_err sn_lifecycle_new(const struct sn_lifecycle_config *config,
                             struct sn_lifecycle **ret, struct sn_error *err)
{
    struct sn_lifecycle *l = calloc(1, sizeof *l);
    if (l == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    l->config = *config;
    l->owner = (struct sn_runner_owner){
        .arg = l,
        .on_event = on_event,
        .on_progress = on_progress,
        .on_evaluated = on_evaluated,
        .on_checkpoint = on_checkpoint,
        .on_finished = on_finished,
    };
    l->jobs = sn_jobs_new();
    l->submissions = (struct sn_submission_config){
        .storage = config->storage,
        .box = config->box,
        .jobs = l->jobs,
        .publish = config->publish,
        .publish_arg = config->arg,
        .after = after_submission,
        .after_arg = l,
    };
    l->changes = sn_changes_new(config->storage, config->box, config->publish,
                                config->arg);
    enum sn_err code = l->jobs == NULL || l->changes == NULL
                           ? sn_error_set(err, SN_ERR_NOMEM, "out of memory")
                           : sn_recover(config->storage, l->jobs,
                                        config->spaces, l->changes, err);
    if (code != SN_OK) {
        sn_lifecycle_free(l);
        return code;
    }
    *ret = l;
    return SN_OK;
}

void sn_lifecycle_free(struct sn_lifecycle *l)
{
    if (l == NULL)
        return;
    sn_changes_free(l->changes);
    sn_jobs_free(l->jobs);
    free(l);
}
