/* Fitted predictors, their out-of-fold pairs, and how they held. */
#include "storage/internal.h"

struct predictor_body {
    struct sn_predictor p;
    struct sn_score *scores;
    size_t n;
};

static enum sn_err put_predictor(struct sn_db *db, int64_t job,
                                 const struct sn_predictor *p,
                                 struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_PREDICTOR_DELETE);
    sn_bind_int(&q, job);
    sn_bind_int(&q, p->stage);
    sn_bind_int(&q, p->round);
    enum sn_err code = sn_query_run(&q, err);
    if (code != SN_OK)
        return code;
    q = sn_query_start(db, SN_SQL_PREDICTOR_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, p->stage);
    sn_bind_int(&q, p->round);
    sn_bind_int(&q, p->step);
    sn_bind_text(&q, p->kind);
    sn_bind_int(&q, p->used);
    sn_bind_real(&q, p->tau);
    sn_bind_real(&q, p->tau_low);
    sn_bind_real(&q, p->tau_high);
    sn_bind_real(&q, p->spearman);
    sn_bind_real(&q, p->mae);
    sn_bind_text(&q, p->quality);
    sn_bind_int(&q, sn_time_or_now(p->time_ms));
    return sn_query_run(&q, err);
}

static enum sn_err apply_predictor(struct sn_db *db, struct sn_item *item)
{
    const struct predictor_body *body = item->body;
    struct sn_error *err = &item->result.error;
    int64_t job = 0;
    enum sn_err code = sn_job_seq(db, body->p.job, &job, err);
    if (code == SN_OK)
        code = put_predictor(db, job, &body->p, err);
    int64_t id = sqlite3_last_insert_rowid(db->handle);
    for (size_t i = 0; i < body->n && code == SN_OK; i++) {
        const struct sn_score *s = &body->scores[i];
        struct sn_query q = sn_query_start(db, SN_SQL_SCORE_PUT);
        sn_bind_int(&q, id);
        sn_bind_int(&q, (int64_t)i);
        sn_bind_text(&q, s->arch);
        sn_bind_real(&q, s->predicted);
        sn_bind_real(&q, s->measured);
        sn_bind_real(&q, s->cost);
        code = sn_query_run(&q, err);
    }
    item->result.seq = id;
    return code;
}

enum sn_err sn_storage_put_predictor(struct sn_storage *st,
                                     const struct sn_predictor *predictor,
                                     const struct sn_score *scores, size_t n,
                                     const struct sn_write *w,
                                     struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof(struct predictor_body), w);
    if (item != NULL) {
        struct predictor_body *body = item->body;
        item->apply = apply_predictor;
        body->p = *predictor;
        body->p.job = sn_item_text(item, predictor->job);
        body->p.kind = sn_item_text(item, predictor->kind);
        body->p.quality = sn_item_text(item, predictor->quality);
        body->scores = sn_item_copy(item, scores, n, sizeof *scores);
        body->n = body->scores != NULL ? n : 0;
        for (size_t i = 0; i < body->n; i++)
            body->scores[i].arch = sn_item_text(item, scores[i].arch);
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_predictors(struct sn_reader *r, const char *job,
                                 sn_predictor_row_fn fn, void *arg,
                                 struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_PREDICTORS);
    sn_bind_text(&q, job);
    while (sn_query_row(&q)) {
        struct sn_predictor row;
        row.id = sn_column_int(&q);
        row.job = sn_column_text(&q);
        row.stage = (enum sn_eval_stage)sn_column_int(&q);
        row.round = sn_column_int(&q);
        row.step = sn_column_int(&q);
        row.kind = sn_column_text(&q);
        row.used = sn_column_int(&q) != 0;
        row.tau = sn_column_real(&q);
        row.tau_low = sn_column_real(&q);
        row.tau_high = sn_column_real(&q);
        row.spearman = sn_column_real(&q);
        row.mae = sn_column_real(&q);
        row.quality = sn_column_text(&q);
        row.n_scores = sn_column_int(&q);
        row.time_ms = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}

enum sn_err sn_reader_scores(struct sn_reader *r, int64_t predictor,
                             int64_t limit, sn_score_row_fn fn, void *arg,
                             struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_SCORES);
    sn_bind_int(&q, predictor);
    sn_bind_int(&q, limit > 0 ? limit : -1);
    while (sn_query_row(&q)) {
        struct sn_score row;
        row.arch = sn_column_text(&q);
        row.predicted = sn_column_real(&q);
        row.measured = sn_column_real(&q);
        row.cost = sn_column_real(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}

/* ---- how they held ---- */

static enum sn_err apply_outcome(struct sn_db *db, struct sn_item *item)
{
    const struct sn_outcome *o = item->body;
    struct sn_error *err = &item->result.error;
    int64_t job = 0;
    enum sn_err code = sn_job_seq(db, o->job, &job, err);
    if (code != SN_OK)
        return code;
    struct sn_query q = sn_query_start(db, SN_SQL_OUTCOME_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, o->step);
    sn_bind_text(&q, o->body);
    sn_bind_int(&q, sn_time_or_now(o->time_ms));
    return sn_query_run(&q, err);
}

enum sn_err sn_storage_put_outcome(struct sn_storage *st,
                                   const struct sn_outcome *outcome,
                                   const struct sn_write *w,
                                   struct sn_error *err)
{
    struct sn_item *item = sn_item_new(sizeof(struct sn_outcome), w);
    if (item != NULL) {
        struct sn_outcome *o = item->body;
        item->apply = apply_outcome;
        *o = *outcome;
        o->job = sn_item_text(item, outcome->job);
        o->body = sn_item_text(item, outcome->body);
    }
    return sn_writer_submit(st, item, err);
}

enum sn_err sn_reader_outcome(struct sn_reader *r, const char *job,
                              sn_outcome_row_fn fn, void *arg,
                              struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_OUTCOME);
    sn_bind_text(&q, job);
    while (sn_query_row(&q)) {
        struct sn_outcome row;
        row.job = sn_column_text(&q);
        row.step = sn_column_int(&q);
        row.body = sn_column_text(&q);
        row.time_ms = sn_column_int(&q);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}
