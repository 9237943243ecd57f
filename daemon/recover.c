#include "daemon/recover.h"

#include "api/event_json.h"
#include "api/spec_json.h"
#include "daemon/log.h"

static void note(void *arg, const char *sentence)
{
    sn_log(SN_LOG_WARN, "storage", sentence, NULL);
}

struct loading {
    struct sn_jobs *jobs;
    struct sn_spaces *spaces;
    struct sn_error error;
};

static bool on_row(void *arg, const struct sn_job *row)
{
    struct loading *loading = arg;
    struct sn_job_entry *entry;
    struct sn_error err;
    struct sn_spec spec;
    sn_spec_defaults(&spec);
    if (sn_spec_parse(row->spec_resolved, &spec, NULL, &err) != SN_OK ||
        sn_spaces_resolve(loading->spaces, &spec, &err) != SN_OK)
        sn_log(SN_LOG_ERROR, "jobs", "a stored spec cannot be read", "id",
               row->id, "problem", err.message, NULL);
    if (sn_jobs_add(loading->jobs, row, &spec, &entry, &loading->error) !=
        SN_OK)
        return false;
    bool started = row->progress != NULL && row->progress[0] == '{';
    if (started && sn_json_read_progress(row->progress, row->cost,
                                         &entry->view.progress, &err) != SN_OK)
        sn_log(SN_LOG_WARN, "jobs", "stored progress cannot be read", "id",
               row->id, "problem", err.message, NULL);
    return true;
}

static enum sn_err move(struct sn_changes *changes, struct sn_job_entry *entry,
                        enum sn_job_state to, enum sn_job_state stop_for,
                        enum sn_paused_by by, struct sn_error *err)
{
    struct sn_job_change change = {
        .id = entry->view.id, .to = to, .stop_for = stop_for, .paused_by = by};
    return sn_changes_apply(changes, entry, &change, NULL, NULL, err);
}

static enum sn_err settle(struct sn_changes *changes,
                          struct sn_job_entry *entry, struct sn_error *err)
{
    enum sn_err code = SN_OK;
    entry->follow_due = entry->view.state == SN_JOB_SUCCEEDED &&
                        entry->spec.finetune.epochs > 0;
    if (entry->view.state == SN_JOB_RUNNING)
        code = move(changes, entry, SN_JOB_STOPPING, SN_JOB_QUEUED,
                    SN_PAUSED_BY_NONE, err);
    if (code != SN_OK || entry->view.state != SN_JOB_STOPPING)
        return code;
    enum sn_job_state to = entry->stop_for;
    if (to != SN_JOB_PAUSED && to != SN_JOB_CANCELLED)
        to = SN_JOB_QUEUED;
    entry->front = to == SN_JOB_QUEUED;
    return move(changes, entry, to, to,
                to == SN_JOB_PAUSED ? SN_PAUSED_BY_USER : SN_PAUSED_BY_NONE,
                err);
}

enum sn_err sn_recover(struct sn_storage *storage, struct sn_jobs *jobs,
                       struct sn_spaces *spaces, struct sn_changes *changes,
                       struct sn_error *err)
{
    struct loading loading = {.jobs = jobs, .spaces = spaces};
    if (sn_storage_was_unclean(storage))
        sn_log(SN_LOG_WARN, "storage",
               "the last stop was not clean: looking through what is there",
               NULL);
    enum sn_err code = sn_storage_adopt(storage, note, NULL, err);
    if (code == SN_OK)
        code = sn_storage_load_jobs(storage, on_row, &loading, err);
    if (code == SN_OK && loading.error.code != SN_OK) {
        *err = loading.error;
        code = err->code;
    }
    struct sn_job_entry *const *list;
    size_t n = sn_jobs_list(jobs, &list);
    for (size_t i = 0; i < n && code == SN_OK; i++)
        code = settle(changes, list[i], err);
    return code;
}
