/* What the filter kept. */
#include "storage/internal.h"

struct subspace_body {
    struct sn_subspace s;
    struct sn_member *members;
    size_t n;
};

static enum sn_err put_subspace(struct sn_db *db, int64_t job,
                                const struct subspace_body *body,
                                struct sn_error *err)
{
    const struct sn_subspace *s = &body->s;
    struct sn_query q = sn_query_start(db, SN_SQL_SUBSPACE_DELETE);
    sn_bind_int(&q, job);
    sn_bind_int(&q, s->round);
    enum sn_err code = sn_query_run(&q, err);
    if (code != SN_OK)
        return code;
    q = sn_query_start(db, SN_SQL_SUBSPACE_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, s->round);
    sn_bind_int(&q, s->step);
    sn_bind_int(&q, s->n_scored);
    sn_bind_int(&q, (int64_t)body->n);
    sn_bind_text(&q, s->rule);
    sn_bind_int(&q, sn_time_or_now(s->time_ms));
    return sn_query_run(&q, err);
}

static enum sn_err apply_subspace(struct sn_db *db, struct sn_item *item)
{
    const struct subspace_body *body = item->body;
    struct sn_error *err = &item->result.error;
    int64_t job = 0;
    enum sn_err code = sn_job_seq(db, body->s.job, &job, err);
    if (code == SN_OK)
        code = put_subspace(db, job, body, err);
    int64_t id = sqlite3_last_insert_rowid(db->handle);
    for (size_t i = 0; i < body->n && code == SN_OK; i++) {
        const struct sn_member *m = &body->members[i];
        struct sn_query q = sn_query_start(db, SN_SQL_MEMBER_PUT);
        sn_bind_int(&q, id);
        sn_bind_int(&q, (int64_t)i);
        sn_bind_text(&q, m->arch);
        sn_bind_real(&q, m->score);
        sn_bind_real(&q, m->cost);
        sn_bind_int(&q, m->band);
        code = sn_query_run(&q, err);
    }
    item->result.seq = id;
    return code;
}

enum sn_err sn_storage_put_subspace(struct sn_storage *st,
                                    const struct sn_subspace *subspace,
                                    const struct sn_member *members, size_t n,
                                    const struct sn_write *w,
                                    struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof(struct subspace_body), w);
    if (item != NULL) {
        struct subspace_body *body = item->body;
        item->apply = apply_subspace;
        body->s = *subspace;
        body->s.job = sn_item_text(item, subspace->job);
        body->s.rule = sn_item_text(item, subspace->rule);
        body->members = sn_item_copy(item, members, n, sizeof *members);
        body->n = body->members != NULL ? n : 0;
        for (size_t i = 0; i < body->n; i++)
            body->members[i].arch = sn_item_text(item, members[i].arch);
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_subspaces(struct sn_reader *r, const char *job,
                                sn_subspace_row_fn fn, void *arg,
                                struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_SUBSPACES);
    sn_bind_text(&q, job);
    while (sn_query_row(&q)) {
        struct sn_subspace row;
        row.id = sn_column_int(&q);
        row.job = sn_column_text(&q);
        row.round = sn_column_int(&q);
        row.step = sn_column_int(&q);
        row.n_scored = sn_column_int(&q);
        row.n_members = sn_column_int(&q);
        row.rule = sn_column_text(&q);
        row.time_ms = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}

enum sn_err sn_reader_members(struct sn_reader *r, int64_t subspace,
                              int64_t after_position, int64_t limit,
                              sn_member_row_fn fn, void *arg,
                              struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_MEMBERS);
    sn_bind_int(&q, subspace);
    sn_bind_int(&q, after_position);
    sn_bind_int(&q, limit > 0 ? limit : -1);
    while (sn_query_row(&q)) {
        struct sn_member row;
        row.position = sn_column_int(&q);
        row.arch = sn_column_text(&q);
        row.score = sn_column_real(&q);
        row.cost = sn_column_real(&q);
        row.band = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}
