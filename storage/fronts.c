/* Pareto fronts, version by version. */
#include "storage/internal.h"

#include <string.h>

static struct sn_query start_front(struct sn_db *db, enum sn_sql sql,
                                   const char *job, const char *cost,
                                   const char *device)
{
    struct sn_query q = sn_query_start(db, sql);
    sn_bind_text(&q, job);
    sn_bind_text(&q, cost);
    sn_bind_text(&q, device);
    return q;
}

static void read_front(struct sn_query *q, struct sn_front *row)
{
    row->job = sn_column_text(q);
    row->cost = sn_column_text(q);
    row->device = sn_column_text(q);
    row->version = sn_column_int(q);
    row->as_of_step = sn_column_int(q);
    row->items = sn_column_text(q);
    row->time_ms = sn_column_int(q);
}

/* The version that a front gets, and whether it is there already. */
static enum sn_err next_version(struct sn_db *db, const struct sn_front *f,
                                int64_t *ret_version, bool *ret_same,
                                struct sn_error *err)
{
    const char *items = f->items != NULL ? f->items : "";
    struct sn_query q =
        start_front(db, SN_SQL_FRONT_GET, f->job, f->cost, f->device);
    struct sn_front newest = {0};
    bool same = false;
    if (sn_query_row(&q)) {
        read_front(&q, &newest);
        same = newest.as_of_step == f->as_of_step &&
               strcmp(newest.items, items) == 0;
    }
    *ret_same = same;
    *ret_version = newest.version + (same ? 0 : 1);
    return sn_query_end(&q, err);
}

static enum sn_err apply_front(struct sn_db *db, struct sn_item *item)
{
    const struct sn_front *f = item->body;
    struct sn_error *err = &item->result.error;
    int64_t job = 0, version = f->version;
    bool same = false;
    enum sn_err code = sn_job_seq(db, f->job, &job, err);
    if (code == SN_OK && version == 0)
        code = next_version(db, f, &version, &same, err);
    item->result.seq = version;
    if (code != SN_OK || same)
        return code;
    struct sn_query q = sn_query_start(db, SN_SQL_FRONT_PUT);
    sn_bind_int(&q, job);
    sn_bind_text(&q, f->cost);
    sn_bind_text(&q, f->device);
    sn_bind_int(&q, version);
    sn_bind_int(&q, f->as_of_step);
    sn_bind_text(&q, f->items);
    sn_bind_int(&q, sn_time_or_now(f->time_ms));
    return sn_query_run(&q, err);
}

enum sn_err sn_storage_put_front(struct sn_storage *st,
                                 const struct sn_front *front,
                                 const struct sn_write *w, struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof *front, w);
    if (item != NULL) {
        struct sn_front *body = item->body;
        item->apply = apply_front;
        *body = *front;
        body->job = sn_item_text(item, front->job);
        body->cost = sn_item_text(item, front->cost);
        body->device = sn_item_text(item, front->device);
        body->items = sn_item_text(item, front->items);
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_front_get(struct sn_reader *r, const char *job,
                                const char *cost, const char *device,
                                sn_front_row_fn fn, void *arg,
                                struct sn_error *err)
{
    struct sn_query q =
        start_front(&r->db, SN_SQL_FRONT_GET, job, cost, device);
    bool found = sn_query_row(&q);
    if (found) {
        struct sn_front row;
        read_front(&q, &row);
        fn(arg, &row);
    }
    enum sn_err code = sn_query_end(&q, err);
    if (code == SN_OK && !found)
        code = sn_error_set(err, SN_ERR_NOTFOUND, "there is no front yet");
    return code;
}

enum sn_err sn_reader_fronts(struct sn_reader *r, const char *job,
                             const char *cost, const char *device,
                             int64_t after_version, int64_t limit,
                             sn_front_row_fn fn, void *arg,
                             struct sn_error *err)
{
    struct sn_query q = start_front(&r->db, SN_SQL_FRONTS, job, cost, device);
    sn_bind_int(&q, after_version);
    sn_bind_int(&q, limit > 0 ? limit : -1);
    while (sn_query_row(&q)) {
        struct sn_front row;
        read_front(&q, &row);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}
