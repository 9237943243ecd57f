/* Block latencies of devices. */
#include "storage/internal.h"

struct latencies_body {
    struct sn_latency_record *rows;
    size_t n;
};

static enum sn_err apply_latencies(struct sn_db *db, struct sn_item *item)
{
    const struct latencies_body *body = item->body;
    enum sn_err code = SN_OK;
    for (size_t i = 0; i < body->n && code == SN_OK; i++) {
        const struct sn_latency_record *l = &body->rows[i];
        struct sn_query q = sn_query_start(db, SN_SQL_LATENCY_PUT);
        sn_bind_text(&q, l->device);
        sn_bind_text(&q, l->runtime);
        sn_bind_text(&q, l->fingerprint);
        sn_bind_text(&q, l->key);
        sn_bind_real(&q, l->median_ns);
        sn_bind_real(&q, l->spread_ns);
        sn_bind_int(&q, l->samples);
        sn_bind_int(&q, sn_time_or_now(l->time_ms));
        code = sn_query_run(&q, &item->result.error);
    }
    return code;
}

enum sn_err sn_storage_put_latencies(struct sn_storage *st,
                                     const struct sn_latency_record *rows,
                                     size_t n, const struct sn_write *w,
                                     struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof(struct latencies_body), w);
    if (item != NULL) {
        struct latencies_body *body = item->body;
        item->apply = apply_latencies;
        body->rows = sn_item_copy(item, rows, n, sizeof *rows);
        body->n = body->rows != NULL ? n : 0;
        for (size_t i = 0; i < body->n; i++) {
            struct sn_latency_record *row = &body->rows[i];
            row->device = sn_item_text(item, row->device);
            row->runtime = sn_item_text(item, row->runtime);
            row->fingerprint = sn_item_text(item, row->fingerprint);
            row->key = sn_item_text(item, row->key);
        }
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_latencies(struct sn_reader *r, const char *device,
                                const char *runtime, const char *fingerprint,
                                sn_latency_row_fn fn, void *arg,
                                struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_LATENCIES);
    sn_bind_text(&q, device);
    sn_bind_text(&q, runtime);
    sn_bind_text_or_null(&q, fingerprint);
    while (sn_query_row(&q)) {
        struct sn_latency_record row;
        row.device = sn_column_text(&q);
        row.runtime = sn_column_text(&q);
        row.fingerprint = sn_column_text(&q);
        row.key = sn_column_text(&q);
        row.median_ns = sn_column_real(&q);
        row.spread_ns = sn_column_real(&q);
        row.samples = sn_column_int(&q);
        row.time_ms = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}
