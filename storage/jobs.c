/* Jobs and the idempotency keys that led to them. */
#include "storage/internal.h"

#include <stdio.h>
#include <string.h>

const char *sn_paused_by_name(enum sn_paused_by by)
{
    static const char *const names[] = {"", "user", "disk"};
    return (unsigned)by < 3 ? names[by] : "";
}

enum sn_err sn_job_seq(struct sn_db *db, const char *id, int64_t *ret,
                       struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_JOB_SEQ);
    sn_bind_text(&q, id);
    bool found = sn_query_row(&q);
    if (found)
        *ret = sn_column_int(&q);
    enum sn_err code = sn_query_end(&q, err);
    if (code == SN_OK && !found)
        code = sn_error_set(err, SN_ERR_NOTFOUND, "there is no job %.63s",
                            id != NULL ? id : "");
    return code;
}

/* ---- inserting ---- */

struct insert_body {
    struct sn_job job;
    const char *key, *request;
};

enum sn_err sn_key_look_up(struct sn_db *db, const char *key,
                           const char *request, char ret_id[SN_ID_MAX],
                           bool *ret_known, struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_KEY_GET);
    sn_bind_text(&q, key);
    sn_bind_int(&q, sn_now_ms() - SN_KEY_LIFETIME_MS);
    bool same = false, known = sn_query_row(&q);
    if (known) {
        same = strcmp(sn_column_text(&q), request != NULL ? request : "") == 0;
        snprintf(ret_id, SN_ID_MAX, "%s", sn_column_text(&q));
    }
    enum sn_err code = sn_query_end(&q, err);
    if (code == SN_OK && known && !same)
        code = sn_error_set(err, SN_ERR_CONFLICT,
                            "the idempotency key was used with another "
                            "request");
    *ret_known = known;
    return code;
}

static enum sn_err put_key(struct sn_db *db, const struct insert_body *body,
                           struct sn_error *err)
{
    int64_t now = sn_now_ms();
    struct sn_query q = sn_query_start(db, SN_SQL_KEY_EXPIRE);
    sn_bind_int(&q, now - SN_KEY_LIFETIME_MS);
    enum sn_err code = sn_query_run(&q, err);
    if (code != SN_OK)
        return code;
    q = sn_query_start(db, SN_SQL_KEY_PUT);
    sn_bind_text(&q, body->key);
    sn_bind_text(&q, body->request);
    sn_bind_text(&q, body->job.id);
    sn_bind_int(&q, now);
    return sn_query_run(&q, err);
}

static enum sn_err insert_row(struct sn_db *db, const struct sn_job *job,
                              struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_JOB_INSERT);
    sn_bind_text(&q, job->id);
    sn_bind_text(&q, job->name);
    sn_bind_text(&q, job->spec_given);
    sn_bind_text(&q, job->spec_resolved);
    sn_bind_text(&q, job->labels != NULL ? job->labels : "{}");
    sn_bind_text(&q, sn_job_state_name(job->state));
    sn_bind_text(&q, sn_paused_by_name(job->paused_by));
    sn_bind_text(&q, job->reason);
    sn_bind_int(&q, job->priority);
    sn_bind_int(&q, sn_time_or_now(job->created_ms));
    sn_bind_text(&q, job->phase);
    sn_bind_text(&q, job->progress);
    sn_bind_text(&q, job->cost);
    sn_bind_int(&q, job->supernet_step);
    sn_bind_text(&q, job->supernet_xxh3);
    enum sn_err code = sn_query_run(&q, err);
    if (code == SN_ERR_CONFLICT)
        sn_error_set(err, code, "there is a job %s already", job->id);
    return code;
}

static enum sn_err apply_insert(struct sn_db *db, struct sn_item *item)
{
    const struct insert_body *body = item->body;
    struct sn_written *result = &item->result;
    struct sn_error *err = &result->error;
    enum sn_err code = SN_OK;
    if (body->key != NULL)
        code = sn_key_look_up(db, body->key, body->request, result->id,
                              &result->replayed, err);
    if (code == SN_OK && result->replayed)
        return sn_job_seq(db, result->id, &result->seq, err);
    if (code != SN_OK) {
        result->replayed = false;
        return code;
    }
    snprintf(result->id, sizeof result->id, "%s", body->job.id);
    code = insert_row(db, &body->job, err);
    if (code != SN_OK)
        return code;
    result->seq = sqlite3_last_insert_rowid(db->handle);
    return body->key != NULL ? put_key(db, body, err) : SN_OK;
}

static void copy_job(struct sn_item *item, struct sn_job *job,
                     const struct sn_job *from)
{
    *job = *from;
    job->id = sn_item_text(item, from->id);
    job->name = sn_item_text(item, from->name);
    job->spec_given = sn_item_text(item, from->spec_given);
    job->spec_resolved = sn_item_text(item, from->spec_resolved);
    job->labels = sn_item_text(item, from->labels);
    job->reason = sn_item_text(item, from->reason);
    job->phase = sn_item_text(item, from->phase);
    job->progress = sn_item_text(item, from->progress);
    job->cost = sn_item_text(item, from->cost);
    job->supernet_xxh3 = sn_item_text(item, from->supernet_xxh3);
}

enum sn_err sn_storage_insert_job(struct sn_storage *st,
                                  const struct sn_job *job, const char *key,
                                  const char *request, const struct sn_write *w,
                                  struct sn_error *err)
{
    if (!sn_files_is_plain_name(job->id) || strlen(job->id) >= SN_ID_MAX)
        return sn_error_set(err, SN_ERR_INVALID,
                            "a job id of 1-63 of "
                            "A-Z, a-z, 0-9, - and _ is needed");
    if (job->state != SN_JOB_QUEUED && job->state != SN_JOB_PAUSED)
        return sn_error_set(err, SN_ERR_INVALID,
                            "a new job is queued or paused");
    struct sn_item *item = sn_item_new(sizeof(struct insert_body), w);
    if (item != NULL) {
        struct insert_body *body = item->body;
        item->apply = apply_insert;
        copy_job(item, &body->job, job);
        body->key = sn_item_text(item, key);
        body->request = sn_item_text(item, request != NULL ? request : "");
    }
    return sn_writer_submit(st, item, err);
}

/* ---- changing ---- */

static enum sn_err stored_state(struct sn_db *db, const char *id,
                                enum sn_job_state *ret, struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_JOB_STATE);
    sn_bind_text(&q, id);
    bool found = sn_query_row(&q);
    enum sn_err code = SN_OK;
    if (found)
        code = sn_job_state_parse(sn_column_text(&q), ret, err);
    enum sn_err end = sn_query_end(&q, err);
    if (end != SN_OK)
        return end;
    if (!found)
        return sn_error_set(err, SN_ERR_NOTFOUND, "there is no job %.63s", id);
    return code;
}

static enum sn_err apply_change(struct sn_db *db, struct sn_item *item)
{
    const struct sn_job_change *change = item->body;
    struct sn_error *err = &item->result.error;
    enum sn_job_state from;
    enum sn_err code = stored_state(db, change->id, &from, err);
    if (code != SN_OK)
        return code;
    if (!sn_job_state_can(from, change->to))
        return sn_error_set(
            err, SN_ERR_CONFLICT, "job %.63s is %s and cannot become %s",
            change->id, sn_job_state_name(from), sn_job_state_name(change->to));
    bool stopping = change->to == SN_JOB_STOPPING;
    bool paused = change->to == SN_JOB_PAUSED;
    struct sn_query q = sn_query_start(db, SN_SQL_JOB_CHANGE);
    sn_bind_text(&q, change->id);
    sn_bind_text(&q, sn_job_state_name(from));
    sn_bind_text(&q, sn_job_state_name(change->to));
    sn_bind_text(&q, stopping ? sn_job_state_name(change->stop_for) : "");
    sn_bind_text(&q, paused ? sn_paused_by_name(change->paused_by) : "");
    sn_bind_text(&q, change->reason);
    sn_bind_int(&q, sn_time_or_now(change->time_ms));
    sn_bind_int(&q, sn_job_state_is_end(change->to));
    return sn_query_run(&q, err);
}

enum sn_err sn_storage_change_job(struct sn_storage *st,
                                  const struct sn_job_change *change,
                                  const struct sn_write *w,
                                  struct sn_error *err)
{
    if (change->id == NULL || (unsigned)change->to >= SN_JOB_STATE_COUNT ||
        (change->to == SN_JOB_STOPPING &&
         !sn_job_state_can(SN_JOB_STOPPING, change->stop_for)))
        return sn_error_set(err, SN_ERR_INVALID,
                            "not a change of a job's state");
    struct sn_item *item = sn_item_new(sizeof *change, w);
    if (item != NULL) {
        struct sn_job_change *body = item->body;
        item->apply = apply_change;
        *body = *change;
        body->id = sn_item_text(item, change->id);
        body->reason = sn_item_text(item, change->reason);
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err apply_snapshot(struct sn_db *db, struct sn_item *item)
{
    const struct sn_job_snapshot *s = item->body;
    struct sn_query q = sn_query_start(db, SN_SQL_JOB_SNAPSHOT);
    sn_bind_text(&q, s->id);
    sn_bind_text_or_null(&q, s->phase);
    sn_bind_text_or_null(&q, s->progress);
    sn_bind_text_or_null(&q, s->cost);
    sn_bind_count(&q, s->supernet_step);
    sn_bind_text_or_null(&q, s->supernet_xxh3);
    enum sn_err code = sn_query_run(&q, &item->result.error);
    if (code == SN_OK && sqlite3_changes(db->handle) == 0)
        code = sn_error_set(&item->result.error, SN_ERR_NOTFOUND,
                            "there is no job %.63s", s->id);
    return code;
}

enum sn_err sn_storage_snapshot_job(struct sn_storage *st,
                                    const struct sn_job_snapshot *snapshot,
                                    const struct sn_write *w,
                                    struct sn_error *err)
{
    if (snapshot->id == NULL)
        return sn_error_set(err, SN_ERR_INVALID, "a job id is needed");
    struct sn_item *item = sn_item_new(sizeof *snapshot, w);
    if (item != NULL) {
        struct sn_job_snapshot *body = item->body;
        item->apply = apply_snapshot;
        body->id = sn_item_text(item, snapshot->id);
        body->phase = sn_item_text(item, snapshot->phase);
        body->progress = sn_item_text(item, snapshot->progress);
        body->cost = sn_item_text(item, snapshot->cost);
        body->supernet_step = snapshot->supernet_step;
        body->supernet_xxh3 = sn_item_text(item, snapshot->supernet_xxh3);
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err apply_delete(struct sn_db *db, struct sn_item *item)
{
    static const enum sn_sql deletes[] = {
        SN_SQL_JOB_DELETE_EVENTS, SN_SQL_JOB_DELETE_KEYS, SN_SQL_JOB_DELETE};
    const char *id = *(const char **)item->body;
    struct sn_error *err = &item->result.error;
    enum sn_job_state state;
    enum sn_err code = stored_state(db, id, &state, err);
    if (code == SN_OK && !sn_job_state_is_end(state))
        code = sn_error_set(err, SN_ERR_CONFLICT,
                            "job %.63s is %s: it has not ended", id,
                            sn_job_state_name(state));
    for (size_t i = 0; i < 3 && code == SN_OK; i++) {
        struct sn_query q = sn_query_start(db, deletes[i]);
        sn_bind_text(&q, id);
        code = sn_query_run(&q, err);
    }
    return code;
}

/* Should this fail, the folder is left, which nothing points at any more. */
static void remove_folder(struct sn_storage *st, struct sn_item *item)
{
    sn_files_remove_job_dir(st->dir, *(const char **)item->body, NULL);
}

enum sn_err sn_storage_delete_job(struct sn_storage *st, const char *id,
                                  const struct sn_write *w,
                                  struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof id, w);
    if (item != NULL) {
        item->apply = apply_delete;
        item->after = remove_folder;
        *(const char **)item->body = sn_item_text(item, id != NULL ? id : "");
    }
    return sn_writer_submit(st, item, err);
}
