#include "daemon/submission.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "api/child_json.h"
#include "api/event_json.h"
#include "daemon/log.h"

struct submission {
    const struct sn_submission_config *config;
    struct sn_spec spec;
    char id[SN_ID_MAX];
    char *given, *resolved, *labels, *payload, *told;
    struct sn_event event[2]; /* its own, and its parent's */
    size_t n_events;
    struct sn_written written;
    int64_t time_ms;
    sn_job_done done;
    void *arg;
};

static void submission_free(struct submission *s)
{
    free(s->given);
    free(s->resolved);
    free(s->labels);
    free(s->payload);
    free(s->told);
    free(s);
}

static struct sn_job row_of(const struct submission *s)
{
    return (struct sn_job){
        .id = s->id,
        .name = s->spec.name,
        .spec_given = s->given,
        .spec_resolved = s->resolved,
        .labels = s->labels,
        .state = SN_JOB_QUEUED,
        .priority = s->spec.priority,
        .created_ms = s->time_ms,
        .best_accuracy = NAN,
    };
}

static enum sn_err add_to_table(struct submission *s, struct sn_error *err)
{
    struct sn_job_entry *entry;
    struct sn_job row = row_of(s);
    row.seq = s->written.seq;
    row.revision = 1;
    return sn_jobs_add(s->config->jobs, &row, &s->spec, &entry, err);
}

static void on_inserted(void *arg)
{
    struct submission *s = arg;
    const struct sn_submission_config *config = s->config;
    struct sn_error err = s->written.error;
    bool fresh = err.code == SN_OK && !s->written.replayed;
    if (fresh && add_to_table(s, &err) == SN_OK) {
        for (size_t i = 0; i < s->n_events; i++) {
            s->event[i].seq = s->written.first_event + (int64_t)i;
            config->publish(config->publish_arg, &s->event[i]);
        }
        sn_log(SN_LOG_INFO, "jobs", "job", "id", s->id, "state", "queued",
               "name", s->spec.name, NULL);
    }
    s->done(s->arg, err.code == SN_OK ? NULL : &err, s->written.id,
            s->written.replayed);
    submission_free(s);
    config->after(config->after_arg);
}

static void on_insert_written(void *arg, const struct sn_written *result)
{
    struct submission *s = arg;
    s->written = *result;
    sn_mailbox_post(s->config->box, on_inserted, s);
}

/* 16 letters and digits, without those that look alike: 80 random bits. */
static enum sn_err make_id(char ret[SN_ID_MAX], struct sn_error *err)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return sn_error_set(err, SN_ERR_INTERNAL, "no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        ret[i] = alphabet[bytes[i] % 32];
    ret[sizeof bytes] = '\0';
    return SN_OK;
}

static char *copy(const char *text)
{
    return strdup(text == NULL ? "{}" : text);
}

static enum sn_err submission_new(const struct sn_submission_config *config,
                                  const struct sn_submission *from,
                                  struct submission **ret, struct sn_error *err)
{
    struct timespec now;
    struct submission *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    clock_gettime(CLOCK_REALTIME, &now);
    s->config = config;
    s->spec = *from->spec;
    s->given = copy(from->spec_given_json);
    s->resolved = copy(from->spec_resolved_json);
    s->labels = copy(from->labels_json);
    s->payload = sn_json_job_state(SN_JOB_QUEUED, NULL, NULL);
    s->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    enum sn_err code = SN_OK;
    if (from->id != NULL)
        snprintf(s->id, sizeof s->id, "%s", from->id);
    else
        code = make_id(s->id, err);
    bool child = s->spec.parent[0] != '\0';
    if (child)
        s->told = sn_child_event(s->id, &s->spec);
    if (s->given == NULL || s->resolved == NULL || s->labels == NULL ||
        s->payload == NULL || (child && s->told == NULL))
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    s->event[0] = (struct sn_event){.job = s->id,
                                    .type = "job",
                                    .payload = s->payload,
                                    .time_ms = s->time_ms};
    s->event[1] = (struct sn_event){.job = s->spec.parent,
                                    .type = "child",
                                    .payload = s->told,
                                    .time_ms = s->time_ms};
    s->n_events = child ? 2 : 1;
    if (code != SN_OK) {
        submission_free(s);
        return code;
    }
    *ret = s;
    return SN_OK;
}

void sn_submission_start(const struct sn_submission_config *config,
                         const struct sn_submission *submission,
                         sn_job_done done, void *arg)
{
    struct sn_error err = {0};
    struct submission *s = NULL;
    if (submission_new(config, submission, &s, &err) != SN_OK) {
        done(arg, &err, NULL, false);
        return;
    }
    s->done = done;
    s->arg = arg;
    struct sn_job row = row_of(s);
    struct sn_write write = {.events = s->event,
                             .n_events = s->n_events,
                             .done = on_insert_written,
                             .arg = s};
    if (sn_storage_insert_job(config->storage, &row,
                              submission->idempotency_key,
                              submission->body_xxh3, &write, &err) != SN_OK) {
        submission_free(s);
        done(arg, &err, NULL, false);
    }
}
