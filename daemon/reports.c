/* The engine's callbacks of one run: progress, phases, checkpoints. */
#include "daemon/reports_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/event_json.h"
#include "daemon/log.h"

enum { SNAPSHOT_MS = 3000 };

/* ---- progress ---- */

static void snapshot(struct sn_reports *r, const struct sn_progress *p,
                     int64_t step, const char *xxh3)
{
    struct sn_error err;
    enum sn_err code;
    char *phase = sn_json_phase(&p->phase), *progress = sn_json_progress(p),
         *cost = sn_json_cost(p->cost);
    struct sn_job_snapshot row = {
        .id = r->config->id,
        .phase = phase,
        .progress = progress,
        .cost = cost,
        .supernet_step = step,
        .supernet_xxh3 = xxh3,
    };
    struct sn_write write = {.done = sn_post_row_written, .arg = r};
    do
        code = sn_storage_snapshot_job(r->config->storage, &row, &write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, NULL, code, &err);
    free(phase);
    free(progress);
    free(cost);
    r->snapshot_ms = sn_reports_now_ms();
}

static void deliver_progress(void *arg)
{
    struct sn_reports *r = arg;
    const struct sn_runner_owner *owner = r->config->owner;
    pthread_mutex_lock(&r->lock);
    struct sn_progress latest = r->latest;
    r->progress_posted = false;
    pthread_mutex_unlock(&r->lock);
    owner->on_progress(owner->arg, r->config->id, &latest);
}

static void on_progress(void *arg, const struct sn_progress *progress)
{
    struct sn_reports *r = arg;
    pthread_mutex_lock(&r->lock);
    bool post = !r->progress_posted;
    r->latest = *progress;
    r->progress_posted = true;
    pthread_mutex_unlock(&r->lock);
    if (post)
        sn_mailbox_post(r->config->box, deliver_progress, r);
    if (sn_reports_now_ms() - r->snapshot_ms >= SNAPSHOT_MS)
        snapshot(r, progress, -1, NULL);
}

static void on_phase(void *arg, const struct sn_phase_report *phase)
{
    struct sn_reports *r = arg;
    r->phase_index = phase->index;
    sn_post_event(r, "phase", sn_json_phase(phase));
    sn_log(SN_LOG_INFO, "jobs", "phase", "id", r->config->id, "name",
           phase->name, NULL);
}

static void on_log(void *arg, enum sn_log_level level, const char *text)
{
    struct sn_reports *r = arg;
    sn_post_event(r, "log", sn_json_log(level, text));
    sn_log(level, "engine", text, "id", r->config->id, NULL);
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *answer)
{
    sn_post_event(arg, "answer", sn_json_answer(i, of, answer));
}

/* ---- checkpoints ---- */

static enum sn_err failed_before(struct sn_reports *r, struct sn_error *err)
{
    pthread_mutex_lock(&r->lock);
    struct sn_error failure = r->failure;
    pthread_mutex_unlock(&r->lock);
    if (failure.code == SN_OK)
        return SN_OK;
    return sn_error_set(err, failure.code, "storing reports: %.300s",
                        failure.message);
}

/* Waits for *written, then says whether any write failed. */
static enum sn_err await(struct sn_reports *r, const bool *written,
                         struct sn_error *err)
{
    pthread_mutex_lock(&r->lock);
    while (!*written)
        pthread_cond_wait(&r->written, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return failed_before(r, err);
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct sn_reports *r = arg;
    struct sn_post post;
    bool written = false;
    const char *slash = strrchr(path, '/');
    enum sn_err code = failed_before(r, err);
    if (code != SN_OK)
        return code;
    struct sn_checkpoint row = {
        .job = r->config->id,
        .step = (int64_t)step,
        .phase = phase,
        .file = slash == NULL ? path : slash + 1,
        .xxh3 = file_xxh3,
        .bytes = (int64_t)bytes,
    };
    pthread_mutex_lock(&r->lock);
    struct sn_progress latest = r->latest;
    pthread_mutex_unlock(&r->lock);
    /* First the snapshot, so that what a resume starts from is on record. */
    snapshot(r, &latest, (int64_t)step, xxh3);
    if (!sn_post_init(&post, r, "checkpoint",
                      sn_json_checkpoint(step, phase, xxh3, bytes)))
        return failed_before(r, err);
    post.mail->wait = &written;
    post.mail->step = step;
    snprintf(post.mail->xxh3, sizeof post.mail->xxh3, "%s", xxh3);
    do
        code = sn_storage_put_checkpoint(r->config->storage, &row, &post.write,
                                         err);
    while (sn_post_again(r, code));
    if (code != SN_OK) {
        sn_mail_free(post.mail);
        return code;
    }
    return await(r, &written, err);
}

/* ---- life ---- */

enum sn_err sn_reports_new(const struct sn_runner_config *config,
                           struct sn_reports **ret, struct sn_error *err)
{
    struct sn_reports *r = calloc(1, sizeof *r);
    if (r == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a job");
    r->config = config;
    r->latest.eta_s = NAN;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->written, NULL);
    r->table = (struct sn_callbacks){
        .arg = r,
        .phase = on_phase,
        .progress = on_progress,
        .series = sn_rows_series,
        .evaluation = sn_rows_evaluation,
        .predictor = sn_rows_predictor,
        .subspace = sn_rows_subspace,
        .outcome = sn_rows_outcome,
        .front = sn_rows_front,
        .latencies = sn_rows_latencies,
        .answer = on_answer,
        .checkpoint = on_checkpoint,
        .log = on_log,
    };
    enum sn_err code =
        sn_storage_read_wait(config->storage, sn_rows_read_rounds, r, err);
    if (code != SN_OK) {
        sn_reports_free(r);
        return code;
    }
    *ret = r;
    return SN_OK;
}

const struct sn_callbacks *
sn_reports_callbacks(struct sn_reports *reports,
                     const struct sn_dataset_info *data)
{
    reports->data = *data;
    return &reports->table;
}

struct flush {
    struct sn_reports *r;
    bool done;
};

static void on_flushed(void *arg, const struct sn_written *result)
{
    struct flush *flush = arg;
    pthread_mutex_lock(&flush->r->lock);
    flush->done = true;
    pthread_cond_broadcast(&flush->r->written);
    pthread_mutex_unlock(&flush->r->lock);
}

enum sn_err sn_reports_finish(struct sn_reports *r, struct sn_error *err)
{
    struct flush flush = {.r = r};
    struct sn_write write = {.done = on_flushed, .arg = &flush};
    enum sn_err code;
    if (r->latest.phase.of > 0)
        snapshot(r, &r->latest, -1, NULL);
    do
        code = sn_storage_flush(r->config->storage, &write, err);
    while (sn_post_again(r, code));
    if (code != SN_OK)
        return code;
    return await(r, &flush.done, err);
}

void sn_reports_free(struct sn_reports *r)
{
    if (r == NULL)
        return;
    pthread_cond_destroy(&r->written);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
