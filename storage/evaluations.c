/* Measured architectures, their costs, and their latencies as a job knows
 * them. */
#include "storage/internal.h"

#include <string.h>

static const char *const stage_names[] = {
    [SN_EVAL_EARLY] = "early",
    [SN_EVAL_FINAL] = "final",
    [SN_EVAL_VERIFY] = "verify",
};
enum { N_STAGES = sizeof stage_names / sizeof stage_names[0] };

const char *sn_eval_stage_name(enum sn_eval_stage stage)
{
    return (unsigned)stage < N_STAGES ? stage_names[stage] : "unknown";
}

enum sn_err sn_eval_stage_parse(const char *name, enum sn_eval_stage *ret,
                                struct sn_error *err)
{
    for (unsigned i = 0; i < N_STAGES; i++) {
        if (strcmp(stage_names[i], name) == 0) {
            *ret = (enum sn_eval_stage)i;
            return SN_OK;
        }
    }
    return sn_error_set(err, SN_ERR_INVALID,
                        "there is no evaluation stage \"%.40s\"", name);
}

struct evaluations_body {
    struct sn_evaluation_record *rows;
    size_t n;
};

static enum sn_err put_arch(struct sn_db *db,
                            const struct sn_evaluation_record *row,
                            int64_t *ret_arch, struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_ARCH_PUT);
    sn_bind_text(&q, row->space);
    sn_bind_text(&q, row->arch);
    sn_bind_count(&q, row->macs);
    sn_bind_count(&q, row->params);
    sn_bind_count(&q, row->peak_memory);
    if (sn_query_row(&q))
        *ret_arch = sn_column_int(&q);
    return sn_query_end(&q, err);
}

static enum sn_err put_latency(struct sn_db *db, int64_t job, int64_t arch,
                               const struct sn_arch_latency *l,
                               struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_ARCH_LATENCY_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, arch);
    sn_bind_text(&q, l->device);
    sn_bind_text(&q, l->runtime);
    sn_bind_real(&q, l->predicted_ms);
    sn_bind_real(&q, l->measured_ms);
    sn_bind_real(&q, l->ci_low_ms);
    sn_bind_real(&q, l->ci_high_ms);
    return sn_query_run(&q, err);
}

static bool has_latency(const struct sn_evaluation_record *row)
{
    return row->latency.device != NULL && row->latency.device[0] != '\0';
}

static enum sn_err put_row(struct sn_db *db, int64_t job,
                           const struct sn_evaluation_record *row,
                           struct sn_error *err)
{
    int64_t arch = 0;
    enum sn_err code = put_arch(db, row, &arch, err);
    if (code != SN_OK)
        return code;
    struct sn_query q = sn_query_start(db, SN_SQL_EVALUATION_PUT);
    sn_bind_int(&q, job);
    sn_bind_int(&q, arch);
    sn_bind_int(&q, row->stage);
    sn_bind_text(&q, row->split);
    sn_bind_int(&q, row->step);
    sn_bind_int(&q, row->phase_index);
    sn_bind_int(&q, row->correct);
    sn_bind_int(&q, row->images);
    sn_bind_real(&q, row->accuracy >= 0
                         ? row->accuracy
                         : (double)row->correct / (double)row->images);
    sn_bind_real(&q, row->predicted);
    sn_bind_int(&q, row->selected);
    sn_bind_int(&q, sn_time_or_now(row->time_ms));
    code = sn_query_run(&q, err);
    if (code == SN_OK && has_latency(row))
        code = put_latency(db, job, arch, &row->latency, err);
    return code;
}

static enum sn_err apply_evaluations(struct sn_db *db, struct sn_item *item)
{
    const struct evaluations_body *body = item->body;
    struct sn_error *err = &item->result.error;
    int64_t job = 0;
    enum sn_err code = SN_OK;
    for (size_t i = 0; i < body->n && code == SN_OK; i++) {
        code = sn_job_seq(db, body->rows[i].job, &job, err);
        if (code == SN_OK)
            code = put_row(db, job, &body->rows[i], err);
    }
    return code;
}

static enum sn_err check_row(const struct sn_evaluation_record *row,
                             struct sn_error *err)
{
    if (row->job == NULL || row->space == NULL || row->arch == NULL ||
        row->split == NULL || (unsigned)row->stage >= N_STAGES)
        return sn_error_set(err, SN_ERR_INVALID,
                            "an evaluation needs a job, space, arch, stage "
                            "and split");
    bool given = row->accuracy >= 0 && row->accuracy <= 1;
    if (!given &&
        (row->images <= 0 || row->correct < 0 || row->correct > row->images))
        return sn_error_set(err, SN_ERR_INVALID,
                            "an evaluation needs an accuracy, or how many of "
                            "how many images are right");
    return SN_OK;
}

static void copy_row(struct sn_item *item, struct sn_evaluation_record *row)
{
    row->job = sn_item_text(item, row->job);
    row->space = sn_item_text(item, row->space);
    row->arch = sn_item_text(item, row->arch);
    row->split = sn_item_text(item, row->split);
    row->latency.device = sn_item_text(item, row->latency.device);
    row->latency.runtime = sn_item_text(item, row->latency.runtime);
}

enum sn_err sn_storage_put_evaluations(struct sn_storage *st,
                                       const struct sn_evaluation_record *rows,
                                       size_t n, const struct sn_write *w,
                                       struct sn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        enum sn_err code = check_row(&rows[i], err);
        if (code != SN_OK)
            return code;
    }
    struct sn_item *item = sn_item_new(sizeof(struct evaluations_body), w);
    if (item != NULL) {
        struct evaluations_body *body = item->body;
        item->apply = apply_evaluations;
        body->rows = sn_item_copy(item, rows, n, sizeof *rows);
        body->n = body->rows != NULL ? n : 0;
        for (size_t i = 0; i < body->n; i++)
            copy_row(item, &body->rows[i]);
    }
    return sn_writer_submit(st, item, err);
}

/* ---- reading ---- */

static void bind_positive(struct sn_query *q, int64_t value)
{
    sn_bind_count(q, value > 0 ? value : -1);
}

static struct sn_query start_query(struct sn_reader *r, enum sn_sql sql,
                                   const struct sn_eval_query *q)
{
    struct sn_query s = sn_query_start(&r->db, sql);
    sn_bind_text(&s, q->job);
    sn_bind_text(&s, q->device != NULL ? q->device : "host");
    sn_bind_text(&s, q->runtime != NULL ? q->runtime : "sparsenas");
    sn_bind_int(&s, q->stages != 0 ? q->stages : (1u << N_STAGES) - 1);
    sn_bind_text_or_null(&s, q->split);
    sn_bind_text_or_null(&s, q->arch);
    sn_bind_int(&s, q->newest);
    if (q->max_latency_ms > 0)
        sn_bind_real(&s, q->max_latency_ms);
    else
        sn_bind_null(&s);
    bind_positive(&s, q->max_macs);
    bind_positive(&s, q->max_params);
    bind_positive(&s, q->max_peak_memory);
    sn_bind_int(&s, q->after_seq);
    return s;
}

static void read_row(struct sn_query *q, struct sn_evaluation_record *row)
{
    row->seq = sn_column_int(q);
    row->job = sn_column_text(q);
    row->space = sn_column_text(q);
    row->arch = sn_column_text(q);
    row->stage = (enum sn_eval_stage)sn_column_int(q);
    row->split = sn_column_text(q);
    row->step = sn_column_int(q);
    row->phase_index = sn_column_int(q);
    row->correct = sn_column_int(q);
    row->images = sn_column_int(q);
    row->accuracy = sn_column_real(q);
    row->predicted = sn_column_real(q);
    row->macs = sn_column_count(q);
    row->params = sn_column_count(q);
    row->peak_memory = sn_column_count(q);
    row->latency.device = sn_column_text(q);
    row->latency.runtime = sn_column_text(q);
    row->latency.predicted_ms = sn_column_real(q);
    row->latency.measured_ms = sn_column_real(q);
    row->latency.ci_low_ms = sn_column_real(q);
    row->latency.ci_high_ms = sn_column_real(q);
    row->selected = sn_column_int(q) != 0;
    row->time_ms = sn_column_int(q);
}

enum sn_err sn_reader_evaluations(struct sn_reader *r,
                                  const struct sn_eval_query *q,
                                  sn_evaluation_row_fn fn, void *arg,
                                  struct sn_error *err)
{
    struct sn_query s = start_query(r, SN_SQL_EVALUATIONS, q);
    sn_bind_int(&s, q->sort);
    sn_bind_int(&s, q->limit > 0 ? q->limit : -1);
    struct sn_evaluation_record row;
    while (sn_query_row(&s)) {
        read_row(&s, &row);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&s, err);
}

enum sn_err sn_reader_evaluation_count(struct sn_reader *r,
                                       const struct sn_eval_query *q,
                                       int64_t *ret, struct sn_error *err)
{
    int64_t count = 0;
    struct sn_query s = start_query(r, SN_SQL_EVALUATION_COUNT, q);
    if (sn_query_row(&s))
        count = sn_column_int(&s);
    enum sn_err code = sn_query_end(&s, err);
    if (code == SN_OK)
        *ret = count;
    return code;
}
