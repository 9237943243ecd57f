#include "daemon/jobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct sn_jobs {
    /* Two arrays of the same jobs, since views are handed out as they are. */
    struct sn_job_entry **entries;
    const struct sn_job_view **views;
    size_t n, room;
    struct sn_job_entry *bucket[BUCKETS]; /* by id */
};

/* FNV-1a */
static unsigned bucket_of(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id != '\0'; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h % BUCKETS;
}

static void entry_free(struct sn_job_entry *entry)
{
    if (entry == NULL)
        return;
    const char *texts[] = {entry->view.id,
                           entry->view.name,
                           entry->view.reason,
                           entry->view.spec_given_json,
                           entry->view.spec_resolved_json,
                           entry->view.labels_json};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((void *)(uintptr_t)texts[i]); /* const to readers, ours to free */
    free(entry);
}

struct sn_jobs *sn_jobs_new(void)
{
    return calloc(1, sizeof(struct sn_jobs));
}

void sn_jobs_free(struct sn_jobs *jobs)
{
    if (jobs == NULL)
        return;
    for (size_t i = 0; i < jobs->n; i++)
        entry_free(jobs->entries[i]);
    free(jobs->entries);
    free(jobs->views);
    free(jobs);
}

static double seconds(int64_t ms)
{
    return ms == 0 ? NAN : (double)ms * 1e-3;
}

static const char *paused_by_text(enum sn_paused_by by)
{
    return by == SN_PAUSED_BY_NONE ? NULL : sn_paused_by_name(by);
}

static char *copy(const char *text, const char *otherwise)
{
    return strdup(text == NULL ? otherwise : text);
}

static struct sn_job_entry *entry_new(const struct sn_job *row,
                                      const struct sn_spec *spec)
{
    struct sn_job_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    struct sn_job_view *v = &entry->view;
    entry->spec = *spec;
    v->spec = &entry->spec;
    entry->stop_for = row->stop_for;
    entry->paused_by = row->paused_by;
    v->id = copy(row->id, "");
    v->name = copy(row->name, "");
    v->spec_given_json = copy(row->spec_given, "{}");
    v->spec_resolved_json = copy(row->spec_resolved, "{}");
    v->labels_json = copy(row->labels, "{}");
    bool has_reason = row->reason != NULL && row->reason[0] != '\0';
    v->reason = has_reason ? strdup(row->reason) : NULL;
    v->seq = (uint64_t)row->seq;
    v->state = row->state;
    v->paused_by = paused_by_text(row->paused_by);
    v->priority = (int)row->priority;
    v->created = seconds(row->created_ms);
    v->started = seconds(row->started_ms);
    v->ended = seconds(row->ended_ms);
    v->progress.eta_s = NAN;
    v->best_accuracy = row->best_accuracy;
    v->evaluations = row->n_evaluations > 0 ? (uint64_t)row->n_evaluations : 0;
    v->revision = row->revision > 0 ? (uint64_t)row->revision : 1;
    if (row->supernet_step > 0 && row->supernet_xxh3 != NULL) {
        v->checkpoint_step = (uint64_t)row->supernet_step;
        snprintf(v->xxh3, sizeof v->xxh3, "%s", row->supernet_xxh3);
    }
    if (v->id == NULL || v->name == NULL || v->spec_given_json == NULL ||
        v->spec_resolved_json == NULL || v->labels_json == NULL ||
        (has_reason && v->reason == NULL)) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

static bool make_room(struct sn_jobs *jobs)
{
    if (jobs->n < jobs->room)
        return true;
    size_t room = jobs->room == 0 ? 64 : 2 * jobs->room;
    void *entries = realloc(jobs->entries, room * sizeof *jobs->entries);
    if (entries == NULL)
        return false;
    jobs->entries = entries;
    void *views = realloc(jobs->views, room * sizeof *jobs->views);
    if (views == NULL)
        return false;
    jobs->views = views;
    jobs->room = room;
    return true;
}

enum sn_err sn_jobs_add(struct sn_jobs *jobs, const struct sn_job *row,
                        const struct sn_spec *spec, struct sn_job_entry **ret,
                        struct sn_error *err)
{
    if (sn_jobs_find(jobs, row->id) != NULL)
        return sn_error_set(err, SN_ERR_CONFLICT, "job %s is there already",
                            row->id);
    struct sn_job_entry *entry = make_room(jobs) ? entry_new(row, spec) : NULL;
    if (entry == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a job");
    unsigned b = bucket_of(row->id);
    entry->next_in_bucket = jobs->bucket[b];
    jobs->bucket[b] = entry;
    jobs->entries[jobs->n] = entry;
    jobs->views[jobs->n++] = &entry->view;
    *ret = entry;
    return SN_OK;
}

struct sn_job_entry *sn_jobs_find(const struct sn_jobs *jobs, const char *id)
{
    struct sn_job_entry *entry = jobs->bucket[bucket_of(id)];
    while (entry != NULL && strcmp(entry->view.id, id) != 0)
        entry = entry->next_in_bucket;
    return entry;
}

void sn_jobs_remove(struct sn_jobs *jobs, struct sn_job_entry *entry)
{
    struct sn_job_entry **link = &jobs->bucket[bucket_of(entry->view.id)];
    while (*link != entry)
        link = &(*link)->next_in_bucket;
    *link = entry->next_in_bucket;
    size_t i = 0;
    while (jobs->entries[i] != entry)
        i++;
    size_t after = jobs->n - i - 1;
    memmove(&jobs->entries[i], &jobs->entries[i + 1],
            after * sizeof *jobs->entries);
    memmove(&jobs->views[i], &jobs->views[i + 1], after * sizeof *jobs->views);
    jobs->n--;
    entry_free(entry);
}

size_t sn_jobs_list(const struct sn_jobs *jobs,
                    struct sn_job_entry *const **ret)
{
    *ret = jobs->entries;
    return jobs->n;
}

size_t sn_jobs_views(const struct sn_jobs *jobs,
                     const struct sn_job_view *const **ret)
{
    *ret = jobs->views;
    return jobs->n;
}

size_t sn_jobs_count(const struct sn_jobs *jobs, enum sn_job_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < jobs->n; i++)
        count += jobs->entries[i]->view.state == state;
    return count;
}

void sn_jobs_set_state(struct sn_job_entry *entry, enum sn_job_state state,
                       enum sn_paused_by by, const char *reason, double now)
{
    struct sn_job_view *v = &entry->view;
    char *text = reason != NULL && reason[0] != '\0' ? strdup(reason) : NULL;
    free((void *)(uintptr_t)v->reason);
    v->reason = text;
    v->state = state;
    entry->paused_by = by;
    v->paused_by = state == SN_JOB_PAUSED ? paused_by_text(by) : NULL;
    if (state == SN_JOB_RUNNING && isnan(v->started))
        v->started = now;
    if (sn_job_state_is_end(state))
        v->ended = now;
    sn_jobs_touch(entry);
}

void sn_jobs_touch(struct sn_job_entry *entry)
{
    entry->view.revision++;
}
