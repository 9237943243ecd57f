/* The event log: what the SSE stream is made of. */
#include "storage/internal.h"

#include <string.h>

enum sn_err sn_events_append(struct sn_db *db, struct sn_item *item)
{
    struct sn_written *result = &item->result;
    for (size_t i = 0; i < item->n_events; i++) {
        const struct sn_event *e = &item->events[i];
        struct sn_query q = sn_query_start(db, SN_SQL_EVENT_APPEND);
        sn_bind_text(&q, e->job);
        sn_bind_text(&q, e->type);
        sn_bind_text(&q, e->payload);
        sn_bind_int(&q, sn_time_or_now(e->time_ms));
        enum sn_err code = sn_query_run(&q, &result->error);
        if (code != SN_OK)
            return code;
        result->last_event = sqlite3_last_insert_rowid(db->handle);
        if (i == 0)
            result->first_event = result->last_event;
    }
    return SN_OK;
}

enum sn_err sn_storage_append_events(struct sn_storage *st,
                                     const struct sn_write *w,
                                     struct sn_error *err)
{
    return sn_writer_submit(st, sn_item_new(0, w), err);
}

enum sn_err sn_storage_flush(struct sn_storage *st, const struct sn_write *w,
                             struct sn_error *err)
{
    return sn_writer_submit(st, sn_item_new(0, w), err);
}

static enum sn_err apply_trim(struct sn_db *db, struct sn_item *item)
{
    struct sn_query q = sn_query_start(db, SN_SQL_EVENT_TRIM);
    sn_bind_int(&q, *(int64_t *)item->body);
    return sn_query_run(&q, &item->result.error);
}

enum sn_err sn_storage_trim_events(struct sn_storage *st, int64_t up_to_seq,
                                   const struct sn_write *w,
                                   struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof up_to_seq, w);
    if (item != NULL) {
        item->apply = apply_trim;
        *(int64_t *)item->body = up_to_seq;
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err apply_probe(struct sn_db *db, struct sn_item *item)
{
    struct sn_query q = sn_query_start(db, SN_SQL_META_SET);
    sn_bind_text(&q, "probe");
    sn_bind_int(&q, sn_now_ms());
    return sn_query_run(&q, &item->result.error);
}

enum sn_err sn_storage_probe(struct sn_storage *st, const struct sn_write *w,
                             struct sn_error *err)
{
    struct sn_item *item = sn_item_new(0, w);
    if (item != NULL)
        item->apply = apply_probe;
    return sn_writer_submit(st, item, err);
}

static bool is_wanted(const struct sn_event_query *q, const char *type)
{
    for (size_t i = 0; i < q->n_types; i++)
        if (strcmp(q->types[i], type) == 0)
            return true;
    return q->n_types == 0;
}

enum sn_err sn_reader_events(struct sn_reader *r,
                             const struct sn_event_query *q, sn_event_row_fn fn,
                             void *arg, struct sn_error *err)
{
    struct sn_query s = sn_query_start(
        &r->db, q->job != NULL ? SN_SQL_EVENTS_OF_JOB : SN_SQL_EVENTS);
    sn_bind_int(&s, q->after_seq);
    if (q->job != NULL)
        sn_bind_text(&s, q->job);
    int64_t n = 0;
    while ((q->limit <= 0 || n < q->limit) && sn_query_row(&s)) {
        struct sn_event row;
        row.seq = sn_column_int(&s);
        row.job = sn_column_text(&s);
        row.type = sn_column_text(&s);
        row.payload = sn_column_text(&s);
        row.time_ms = sn_column_int(&s);
        if (!is_wanted(q, row.type))
            continue;
        n++;
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&s, err);
}

static enum sn_err one_number(struct sn_reader *r, enum sn_sql sql,
                              int64_t *ret, struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, sql);
    *ret = sn_query_row(&q) ? sn_column_int(&q) : 0;
    return sn_query_end(&q, err);
}

enum sn_err sn_reader_event_bounds(struct sn_reader *r, int64_t *ret_newest,
                                   int64_t *ret_oldest, struct sn_error *err)
{
    int64_t newest = 0, oldest = 0;
    enum sn_err code = one_number(r, SN_SQL_EVENT_NEWEST, &newest, err);
    if (code == SN_OK)
        code = one_number(r, SN_SQL_EVENT_OLDEST, &oldest, err);
    if (code != SN_OK)
        return code;
    *ret_newest = newest;
    *ret_oldest = oldest;
    return SN_OK;
}
