#include "daemon/changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/event_json.h"
#include "daemon/log.h"

struct item {
    struct item *next;
    struct sn_changes *owner;
    struct sn_job_change change; /* its texts are id and reason below */
    struct sn_event event;
    char id[SN_ID_MAX];
    char *reason, *payload;
    struct sn_error error;
    sn_job_done done;
    void *arg;
};

struct sn_changes {
    struct sn_storage *storage;
    struct sn_mailbox *box;
    void (*publish)(void *arg, const struct sn_event *event);
    void *arg;
    struct item *kept, **last;
};

struct sn_changes *
sn_changes_new(struct sn_storage *storage, struct sn_mailbox *box,
               void (*publish)(void *arg, const struct sn_event *event),
               void *arg)
{
    struct sn_changes *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    *c = (struct sn_changes){storage, box, publish, arg, NULL, NULL};
    c->last = &c->kept;
    return c;
}

static void item_free(struct item *item)
{
    if (item == NULL)
        return;
    free(item->reason);
    free(item->payload);
    free(item);
}

void sn_changes_free(struct sn_changes *c)
{
    if (c == NULL)
        return;
    while (c->kept != NULL) {
        struct item *next = c->kept->next;
        item_free(c->kept);
        c->kept = next;
    }
    free(c);
}

static void answer(struct item *item)
{
    if (item->done == NULL)
        return;
    item->done(item->arg, item->error.code == SN_OK ? NULL : &item->error,
               item->id, false);
    item->done = NULL;
}

static void keep(struct sn_changes *c, struct item *item)
{
    item->next = NULL;
    *c->last = item;
    c->last = &item->next;
}

/* Back on the loop. */
static void settle(void *arg)
{
    struct item *item = arg;
    struct sn_changes *c = item->owner;
    enum sn_err code = item->error.code;
    if (code == SN_OK) {
        c->publish(c->arg, &item->event);
    } else if (code != SN_ERR_STOPPED) {
        sn_log(SN_LOG_ERROR, "jobs", "a change of state was not written", "id",
               item->id, "state", sn_job_state_name(item->change.to), "problem",
               item->error.message, NULL);
    }
    answer(item);
    if (code == SN_ERR_DISKFULL || code == SN_ERR_BUSY)
        keep(c, item);
    else
        item_free(item);
}

static void on_written(void *arg, const struct sn_written *result)
{
    struct item *item = arg;
    item->error = result->error;
    item->event.seq = result->first_event;
    sn_mailbox_post(item->owner->box, settle, item);
}

static void submit(struct sn_changes *c, struct item *item)
{
    struct sn_write write = {
        .events = &item->event, .n_events = 1, .done = on_written, .arg = item};
    memset(&item->error, 0, sizeof item->error);
    if (sn_storage_change_job(c->storage, &item->change, &write,
                              &item->error) != SN_OK)
        settle(item);
}

static struct item *item_new(struct sn_changes *c,
                             const struct sn_job_change *change)
{
    struct timespec now;
    struct item *item = calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    item->owner = c;
    item->change = *change;
    snprintf(item->id, sizeof item->id, "%s", change->id);
    item->change.id = item->id;
    item->change.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (change->reason != NULL)
        item->reason = strdup(change->reason);
    item->change.reason = item->reason;
    const char *by = change->to == SN_JOB_PAUSED
                         ? sn_paused_by_name(change->paused_by)
                         : NULL;
    item->payload = sn_json_job_state(change->to, change->reason, by);
    item->event = (struct sn_event){.job = item->id,
                                    .type = "job",
                                    .payload = item->payload,
                                    .time_ms = item->change.time_ms};
    if (item->payload == NULL ||
        (change->reason != NULL && item->reason == NULL)) {
        item_free(item);
        return NULL;
    }
    return item;
}

static enum sn_err refuse(enum sn_job_state from, enum sn_job_state to,
                          struct sn_error *err)
{
    bool has_ended = from == SN_JOB_SUCCEEDED || from == SN_JOB_FAILED;
    return sn_error_set(err, SN_ERR_CONFLICT, "the job %s %s, it cannot be %s",
                        has_ended ? "has" : "is", sn_job_state_name(from),
                        to == SN_JOB_QUEUED ? "resumed"
                                            : sn_job_state_name(to));
}

enum sn_err sn_changes_apply(struct sn_changes *c, struct sn_job_entry *entry,
                             const struct sn_job_change *change,
                             sn_job_done done, void *arg, struct sn_error *err)
{
    struct sn_job_view *view = &entry->view;
    if (!sn_job_state_can(view->state, change->to))
        return refuse(view->state, change->to, err);
    struct item *item = item_new(c, change);
    if (item == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    item->done = done;
    item->arg = arg;
    sn_jobs_set_state(entry, change->to, change->paused_by, change->reason,
                      (double)item->change.time_ms * 1e-3);
    entry->stop_for = change->stop_for;
    sn_log(SN_LOG_INFO, "jobs", "job", "id", view->id, "state",
           sn_job_state_name(change->to), "reason", change->reason, NULL);
    if (c->kept == NULL) {
        submit(c, item);
        return SN_OK;
    }
    /* Those before it come first. */
    sn_error_set(&item->error, SN_ERR_DISKFULL, "no room on the disk");
    answer(item);
    keep(c, item);
    return SN_OK;
}

void sn_changes_flush(struct sn_changes *c)
{
    struct item *item = c->kept;
    c->kept = NULL;
    c->last = &c->kept;
    while (item != NULL) {
        struct item *next = item->next;
        submit(c, item);
        item = next;
    }
}
