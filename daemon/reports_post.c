/* How a report gets into the database and then, numbered, to the loop. */
#include "daemon/reports_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"

int64_t sn_reports_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sn_mail_free(struct sn_mail *mail)
{
    free(mail->type);
    free(mail->payload);
    free(mail);
}

static void deliver(void *arg)
{
    struct sn_mail *mail = arg;
    const struct sn_runner_owner *owner = mail->r->config->owner;
    const char *id = mail->r->config->id;
    struct sn_event event = {
        .seq = mail->seq,
        .job = id,
        .type = mail->type,
        .payload = mail->payload,
        .time_ms = mail->time_ms,
    };
    owner->on_event(owner->arg, &event);
    if (mail->is_evaluation)
        owner->on_evaluated(owner->arg, id);
    if (mail->step > 0)
        owner->on_checkpoint(owner->arg, id, mail->step, mail->xxh3);
    sn_mail_free(mail);
}

void sn_post_failed(struct sn_reports *r, const struct sn_error *error)
{
    pthread_mutex_lock(&r->lock);
    bool first = r->failure.code == SN_OK;
    if (first)
        r->failure = *error;
    pthread_mutex_unlock(&r->lock);
    if (first)
        sn_log(SN_LOG_ERROR, "jobs", "a report could not be stored", "id",
               r->config->id, "problem", error->message, NULL);
}

/* On the writer's thread. */
static void on_written(void *arg, const struct sn_written *result)
{
    struct sn_mail *mail = arg;
    struct sn_reports *r = mail->r;
    if (result->error.code != SN_OK)
        sn_post_failed(r, &result->error);
    mail->seq = result->first_event;
    bool *wait = mail->wait;
    if (result->error.code == SN_OK)
        sn_mailbox_post(r->config->box, deliver, mail);
    else
        sn_mail_free(mail);
    if (wait == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    *wait = true;
    pthread_cond_broadcast(&r->written);
    pthread_mutex_unlock(&r->lock);
}

/* For writes without an event. */
void sn_post_row_written(void *arg, const struct sn_written *result)
{
    if (result->error.code != SN_OK)
        sn_post_failed(arg, &result->error);
}

bool sn_post_init(struct sn_post *post, struct sn_reports *r, const char *type,
                  char *payload)
{
    struct sn_mail *mail = calloc(1, sizeof *mail);
    char *copy = strdup(type);
    if (mail == NULL || copy == NULL || payload == NULL) {
        struct sn_error err;
        sn_error_set(&err, SN_ERR_NOMEM, "no memory for an event");
        sn_post_failed(r, &err);
        free(mail);
        free(copy);
        free(payload);
        return false;
    }
    *mail = (struct sn_mail){.r = r,
                             .type = copy,
                             .payload = payload,
                             .time_ms = sn_reports_now_ms()};
    post->mail = mail;
    post->event = (struct sn_event){.job = r->config->id,
                                    .type = copy,
                                    .payload = payload,
                                    .time_ms = mail->time_ms};
    post->write = (struct sn_write){
        .events = &post->event, .n_events = 1, .done = on_written, .arg = mail};
    return true;
}

/* After a submit: whether to try sn_post_again (the queue was full; it has
 * waited). */
bool sn_post_again(struct sn_reports *r, enum sn_err code)
{
    if (code == SN_ERR_BUSY)
        sn_storage_wait_room(r->config->storage);
    return code == SN_ERR_BUSY;
}

/* A submit that failed for good never calls `done`. */
void sn_post_settle(struct sn_reports *r, struct sn_post *post,
                    enum sn_err code, const struct sn_error *err)
{
    if (code == SN_OK)
        return;
    sn_post_failed(r, err);
    if (post != NULL)
        sn_mail_free(post->mail);
}

void sn_post_event(struct sn_reports *r, const char *type, char *payload)
{
    struct sn_post post;
    struct sn_error err;
    enum sn_err code;
    if (!sn_post_init(&post, r, type, payload))
        return;
    do
        code = sn_storage_append_events(r->config->storage, &post.write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, &post, code, &err);
}
