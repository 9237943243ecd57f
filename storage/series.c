/* Curves of a job: one value a step. */
#include "storage/internal.h"

#include <string.h>

struct points_body {
    struct sn_point *points;
    size_t n;
};

static enum sn_err apply_points(struct sn_db *db, struct sn_item *item)
{
    const struct points_body *body = item->body;
    struct sn_error *err = &item->result.error;
    const char *known = NULL;
    int64_t job = 0;
    enum sn_err code = SN_OK;
    for (size_t i = 0; i < body->n && code == SN_OK; i++) {
        const struct sn_point *p = &body->points[i];
        if (known == NULL || strcmp(known, p->job) != 0)
            code = sn_job_seq(db, p->job, &job, err);
        known = p->job;
        if (code != SN_OK)
            return code;
        struct sn_query q = sn_query_start(db, SN_SQL_POINT_PUT);
        sn_bind_int(&q, job);
        sn_bind_text(&q, p->name);
        sn_bind_int(&q, p->step);
        sn_bind_real(&q, p->value);
        sn_bind_real(&q, p->epoch);
        sn_bind_int(&q, sn_time_or_now(p->time_ms));
        code = sn_query_run(&q, err);
    }
    return code;
}

enum sn_err sn_storage_put_points(struct sn_storage *st,
                                  const struct sn_point *points, size_t n,
                                  const struct sn_write *w,
                                  struct sn_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (points[i].job == NULL || points[i].name == NULL)
            return sn_error_set(err, SN_ERR_INVALID,
                                "a point needs a job and a name");
    struct sn_item *item = sn_item_new(sizeof(struct points_body), w);
    if (item != NULL) {
        struct points_body *body = item->body;
        item->apply = apply_points;
        body->points = sn_item_copy(item, points, n, sizeof *points);
        body->n = body->points != NULL ? n : 0;
        /* column by column: equal neighbours share one copy */
        for (size_t i = 0; i < body->n; i++)
            body->points[i].job = sn_item_text(item, points[i].job);
        for (size_t i = 0; i < body->n; i++)
            body->points[i].name = sn_item_text(item, points[i].name);
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_series(struct sn_reader *r, const char *job,
                             const char *name, int64_t after_step,
                             int64_t limit, sn_point_row_fn fn, void *arg,
                             struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_SERIES);
    sn_bind_text(&q, job);
    sn_bind_text(&q, name);
    sn_bind_int(&q, after_step);
    sn_bind_int(&q, limit > 0 ? limit : -1);
    while (sn_query_row(&q)) {
        struct sn_point row;
        row.job = sn_column_text(&q);
        row.name = sn_column_text(&q);
        row.step = sn_column_int(&q);
        row.value = sn_column_real(&q);
        row.epoch = sn_column_real(&q);
        row.time_ms = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}

enum sn_err sn_reader_series_names(struct sn_reader *r, const char *job,
                                   sn_name_row_fn fn, void *arg,
                                   struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_SERIES_NAMES);
    sn_bind_text(&q, job);
    while (sn_query_row(&q)) {
        const char *name = sn_column_text(&q);
        if (!fn(arg, name, sn_column_int(&q)))
            break;
    }
    return sn_query_end(&q, err);
}
