#include "daemon/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/child_json.h"
#include "api/spec_json.h"
#include "daemon/log.h"

enum { MAX_CHILDREN = 2 * SN_MAX_ANSWERS };

/* A job that has to be there. */
struct child {
    char id[SN_ID_MAX], arch[SN_ARCH_ID_MAX];
    enum sn_strategy strategy;
    bool there;
};

struct follow {
    struct sn_follow_config config;
    char parent[SN_ID_MAX];
    bool scratch;
    char winner[SN_MAX_ANSWERS][SN_ARCH_ID_MAX]; /* by target, "": none */
    struct child child[MAX_CHILDREN];
    size_t n;
    struct sn_error error;
};

/* ---- on a reader thread: what there is ---- */

/* After a resume an answer can come again: the last one of a target counts. */
static bool on_answer(void *arg, const struct sn_event *event)
{
    struct follow *f = arg;
    char arch[SN_ARCH_ID_MAX];
    uint32_t i;
    if (sn_child_read_answer(event->payload, &i, arch))
        strcpy(f->winner[i], arch);
    return true;
}

static bool on_child(void *arg, const struct sn_event *event)
{
    struct follow *f = arg;
    char id[SN_ID_MAX];
    if (!sn_child_read_event(event->payload, id))
        return true;
    for (size_t i = 0; i < f->n; i++)
        f->child[i].there |= strcmp(f->child[i].id, id) == 0;
    return true;
}

static void add_child(struct follow *f, const char *arch,
                      enum sn_strategy strategy)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->child[i].strategy == strategy &&
            strcmp(f->child[i].arch, arch) == 0)
            return;
    struct child *c = &f->child[f->n++];
    snprintf(c->arch, sizeof c->arch, "%s", arch);
    c->strategy = strategy;
    sn_child_id(f->parent, arch, strategy, c->id);
}

static void on_loop(void *arg);

static void look(void *arg, struct sn_reader *reader)
{
    static const char *const answers[] = {"answer"};
    static const char *const children[] = {"child"};
    struct follow *f = arg;
    struct sn_event_query query = {
        .job = f->parent, .types = answers, .n_types = 1};
    enum sn_err code =
        sn_reader_events(reader, &query, on_answer, f, &f->error);
    for (int t = 0; t < SN_MAX_ANSWERS && code == SN_OK; t++) {
        if (f->winner[t][0] == '\0')
            continue;
        add_child(f, f->winner[t], SN_STRATEGY_FINETUNE);
        if (f->scratch)
            add_child(f, f->winner[t], SN_STRATEGY_SCRATCH);
    }
    query.types = children;
    if (code == SN_OK)
        sn_reader_events(reader, &query, on_child, f, &f->error);
    sn_mailbox_post(f->config.box, on_loop, f);
}

/* ---- on the loop: what is missing ---- */

struct waiting {
    struct sn_jobs *jobs;
    char parent[SN_ID_MAX];
};

static void on_submitted(void *arg, const struct sn_error *err, const char *id,
                         bool repeated)
{
    struct waiting *w = arg;
    struct sn_job_entry *entry = sn_jobs_find(w->jobs, w->parent);
    /* a conflict: it is there */
    bool failed =
        err != NULL && err->code != SN_OK && err->code != SN_ERR_CONFLICT;
    if (failed && entry != NULL)
        entry->follow_due =
            err->code == SN_ERR_DISKFULL || err->code == SN_ERR_BUSY;
    if (failed)
        sn_log(SN_LOG_WARN, "jobs", "what comes after a job is not submitted",
               "id", w->parent, "problem", err->message, NULL);
    free(w);
}

/* A submission as if it had been posted. */
struct draft {
    struct sn_spec spec;
    char *given, *resolved, *labels;
};

static void draft_close(struct draft *d)
{
    free(d->given);
    free(d->resolved);
    free(d->labels);
}

static enum sn_err draft_make(struct draft *d, const struct follow *f,
                              const struct child *c,
                              const struct sn_job_entry *parent,
                              const struct sn_dataset_info *data,
                              struct sn_error *err)
{
    struct sn_forecast forecast;
    enum sn_err code;
    memset(d, 0, sizeof *d);
    d->given = sn_child_print(&parent->view, c->strategy, c->arch,
                              parent->spec.finetune.epochs);
    if (d->given == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    if ((code = sn_spec_parse(d->given, &d->spec, &d->labels, err)) ||
        (code = sn_spaces_resolve(f->config.spaces, &d->spec, err)) ||
        (code = sn_spec_resolve(&d->spec, data, err)) ||
        (code = sn_spec_forecast(&d->spec, data, &forecast, err)))
        return code;
    if (forecast.memory_bytes > f->config.job_memory)
        return sn_error_at(err, SN_ERR_UNSUPPORTED, forecast.memory_field,
                           "it would need about %.0f MB of memory",
                           forecast.memory_bytes / 1e6);
    d->resolved = sn_spec_print(&d->spec, d->labels);
    return d->resolved != NULL
               ? SN_OK
               : sn_error_set(err, SN_ERR_NOMEM, "out of memory");
}

static void submit(const struct follow *f, const struct child *c,
                   const struct sn_job_entry *parent,
                   const struct sn_dataset_info *data)
{
    struct draft d;
    struct sn_error err = {0};
    struct waiting *w = NULL;
    enum sn_err code = draft_make(&d, f, c, parent, data, &err);
    if (code == SN_OK && (w = calloc(1, sizeof *w)) == NULL)
        code = sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    if (code == SN_OK) {
        struct sn_submission submission = {
            .spec = &d.spec,
            .spec_given_json = d.given,
            .spec_resolved_json = d.resolved,
            .labels_json = d.labels,
            .id = c->id,
        };
        w->jobs = f->config.jobs;
        snprintf(w->parent, sizeof w->parent, "%s", f->parent);
        f->config.submit(f->config.arg, &submission, on_submitted, w);
    } else {
        sn_log(SN_LOG_WARN, "jobs", "what comes after a job cannot be made",
               "id", f->parent, "field", err.pointer, "problem", err.message,
               NULL);
    }
    draft_close(&d);
}

static void on_loop(void *arg)
{
    struct follow *f = arg;
    struct sn_job_entry *parent = sn_jobs_find(f->config.jobs, f->parent);
    if (parent == NULL || f->error.code != SN_OK) { /* it was deleted */
        free(f);
        return;
    }
    const struct sn_dataset_view *data =
        sn_datasets_get(f->config.datasets, parent->spec.dataset);
    bool usable = data != NULL && data->available;
    if (!usable && data != NULL && data->state == SN_DATASET_READING)
        parent->follow_due = true;
    else if (!usable)
        sn_log(SN_LOG_WARN, "jobs",
               "nothing comes after a job: its data set is not there", "id",
               f->parent, NULL);
    for (size_t i = 0; i < f->n && usable; i++)
        if (!f->child[i].there &&
            sn_jobs_find(f->config.jobs, f->child[i].id) == NULL)
            submit(f, &f->child[i], parent, &data->info);
    free(f);
}

void sn_follow(const struct sn_follow_config *config,
               struct sn_job_entry *entry)
{
    struct follow *f = calloc(1, sizeof *f);
    entry->follow_due = true; /* unless it can be begun */
    if (f == NULL)
        return;
    f->config = *config;
    f->scratch = entry->spec.finetune.scratch;
    snprintf(f->parent, sizeof f->parent, "%s", entry->view.id);
    if (sn_storage_read(config->storage, look, f, NULL) == SN_OK)
        entry->follow_due = false;
    else
        free(f);
}
