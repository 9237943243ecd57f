/* Rows of checkpoint files. A row is written after its file is in place, and a
 * file is removed after its row is gone: a row never points at nothing. */
#include "storage/internal.h"

#include <string.h>

struct checkpoint_body {
    struct sn_checkpoint row;
    const char **pruned; /* files whose rows this write deleted */
    size_t n_pruned, room;
};

/* Deletes all but the newest rows of a job; names go to the body. */
static enum sn_err prune(struct sn_db *db, struct sn_item *item, int64_t job)
{
    struct checkpoint_body *body = item->body;
    struct sn_query q = sn_query_start(db, SN_SQL_CHECKPOINT_PRUNE);
    sn_bind_int(&q, job);
    sn_bind_int(&q, SN_KEPT_CHECKPOINTS);
    body->n_pruned = 0;
    while (sn_query_row(&q)) {
        const char *file = sn_item_text(item, sn_column_text(&q));
        if (file != NULL && body->n_pruned < body->room)
            body->pruned[body->n_pruned++] = file;
    }
    return sn_query_end(&q, &item->result.error);
}

static enum sn_err apply_checkpoint(struct sn_db *db, struct sn_item *item)
{
    const struct checkpoint_body *body = item->body;
    const struct sn_checkpoint *c = &body->row;
    struct sn_error *err = &item->result.error;
    int64_t job = 0;
    enum sn_err code = sn_job_seq(db, c->job, &job, err);
    if (code != SN_OK)
        return code;
    struct sn_query q = sn_query_start(db, SN_SQL_CHECKPOINT_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, c->step);
    sn_bind_text(&q, c->phase);
    sn_bind_text(&q, c->file);
    sn_bind_text(&q, c->xxh3);
    sn_bind_int(&q, c->bytes);
    sn_bind_int(&q, sn_time_or_now(c->time_ms));
    code = sn_query_run(&q, err);
    return code == SN_OK ? prune(db, item, job) : code;
}

/* What cannot be removed now goes at the next start (sn_storage_adopt). */
static void remove_pruned(struct sn_storage *st, struct sn_item *item)
{
    const struct checkpoint_body *body = item->body;
    char path[SN_PATH_MAX];
    for (size_t i = 0; i < body->n_pruned; i++)
        if (sn_files_checkpoint_path(st->dir, body->row.job, body->pruned[i],
                                     path, NULL) == SN_OK)
            sn_files_remove(path, NULL);
}

enum sn_err sn_storage_put_checkpoint(struct sn_storage *st,
                                      const struct sn_checkpoint *row,
                                      const struct sn_write *w,
                                      struct sn_error *err)
{
    enum { PRUNED_ROOM = 16 }; /* one a write is the rule */
    if (!sn_files_is_plain_name(row->job) || !sn_files_is_plain_name(row->file))
        return sn_error_set(err, SN_ERR_INVALID,
                            "a checkpoint needs a job and a file's name");
    if (row->xxh3 == NULL || strlen(row->xxh3) != SN_XXH3_HEX - 1)
        return sn_error_set(err, SN_ERR_INVALID,
                            "a checkpoint needs its XXH3: 16 hex digits");
    struct sn_item *item = sn_item_new(sizeof(struct checkpoint_body), w);
    if (item != NULL) {
        struct checkpoint_body *body = item->body;
        item->apply = apply_checkpoint;
        item->after = remove_pruned;
        body->row = *row;
        body->row.job = sn_item_text(item, row->job);
        body->row.phase = sn_item_text(item, row->phase);
        body->row.file = sn_item_text(item, row->file);
        body->row.xxh3 = sn_item_text(item, row->xxh3);
        body->pruned = sn_item_alloc(item, PRUNED_ROOM, sizeof *body->pruned);
        body->room = PRUNED_ROOM;
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err apply_drop(struct sn_db *db, struct sn_item *item)
{
    const struct sn_checkpoint *c = item->body;
    struct sn_query q = sn_query_start(db, SN_SQL_CHECKPOINT_DROP);
    sn_bind_text(&q, c->job);
    sn_bind_text(&q, c->file);
    sn_bind_text(&q, c->xxh3);
    return sn_query_run(&q, &item->result.error);
}

enum sn_err sn_checkpoint_drop(struct sn_storage *st, const char *job,
                               const char *file, const char *xxh3,
                               const struct sn_write *w, struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof(struct sn_checkpoint), w);
    if (item != NULL) {
        struct sn_checkpoint *body = item->body;
        item->apply = apply_drop;
        body->job = sn_item_text(item, job);
        body->file = sn_item_text(item, file);
        body->xxh3 = sn_item_text(item, xxh3);
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err read_rows(struct sn_query *q, sn_checkpoint_row_fn fn,
                             void *arg, struct sn_error *err)
{
    while (sn_query_row(q)) {
        struct sn_checkpoint row;
        row.job = sn_column_text(q);
        row.step = sn_column_int(q);
        row.phase = sn_column_text(q);
        row.file = sn_column_text(q);
        row.xxh3 = sn_column_text(q);
        row.bytes = sn_column_int(q);
        row.time_ms = sn_column_int(q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(q, err);
}

enum sn_err sn_reader_checkpoints(struct sn_reader *r, const char *job,
                                  sn_checkpoint_row_fn fn, void *arg,
                                  struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_CHECKPOINTS);
    sn_bind_text(&q, job);
    return read_rows(&q, fn, arg, err);
}

enum sn_err sn_reader_checkpoints_all(struct sn_reader *r,
                                      sn_checkpoint_row_fn fn, void *arg,
                                      struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_CHECKPOINTS_ALL);
    return read_rows(&q, fn, arg, err);
}
