/* The queries on jobs and idempotency keys. */
#include "storage/internal.h"

#include <stdio.h>
#include <string.h>

static enum sn_paused_by paused_by_of(const char *name)
{
    if (strcmp(name, "user") == 0)
        return SN_PAUSED_BY_USER;
    return strcmp(name, "disk") == 0 ? SN_PAUSED_BY_DISK : SN_PAUSED_BY_NONE;
}

/* A state of the database: the CHECKs there admit no other word. */
static enum sn_job_state state_of(const char *name)
{
    enum sn_job_state state = SN_JOB_QUEUED;
    if (name[0] != '\0')
        sn_job_state_parse(name, &state, NULL);
    return state;
}

static void read_job(struct sn_query *q, struct sn_job *row)
{
    row->id = sn_column_text(q);
    row->seq = sn_column_int(q);
    row->revision = sn_column_int(q);
    row->name = sn_column_text(q);
    row->spec_given = sn_column_text(q);
    row->spec_resolved = sn_column_text(q);
    row->labels = sn_column_text(q);
    row->state = state_of(sn_column_text(q));
    row->stop_for = state_of(sn_column_text(q));
    row->paused_by = paused_by_of(sn_column_text(q));
    row->reason = sn_column_text(q);
    row->priority = sn_column_int(q);
    row->created_ms = sn_column_int(q);
    row->started_ms = sn_column_int(q);
    row->ended_ms = sn_column_int(q);
    row->attempts = sn_column_int(q);
    row->phase = sn_column_text(q);
    row->progress = sn_column_text(q);
    row->cost = sn_column_text(q);
    row->supernet_step = sn_column_int(q);
    row->supernet_xxh3 = sn_column_text(q);
    row->best_accuracy = sn_column_real(q);
    row->n_evaluations = sn_column_int(q);
}

/* ",queued,running," for a set of states; "" for all. */
static void name_states(unsigned states, char *ret, size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    for (unsigned i = 0; i < SN_JOB_STATE_COUNT; i++)
        if (states & (1u << i))
            n += (size_t)snprintf(ret + n, size - n, n == 0 ? ",%s," : "%s,",
                                  sn_job_state_name((enum sn_job_state)i));
}

enum sn_err sn_reader_jobs(struct sn_reader *r, const struct sn_job_query *q,
                           sn_job_row_fn fn, void *arg, struct sn_error *err)
{
    char states[128];
    name_states(q->states, states, sizeof states);
    struct sn_query s =
        sn_query_start(&r->db, SN_SQL_JOBS_NEWEST + (int)q->sort);
    sn_bind_text(&s, states);
    sn_bind_text_or_null(&s, q->name);
    sn_bind_text_or_null(&s, q->label_key);
    sn_bind_text_or_null(&s, q->label_value);
    sn_bind_int(&s, q->after_seq);
    if (q->sort == SN_JOB_SORT_PRIORITY)
        sn_bind_int(&s, q->after_priority);
    else
        sn_bind_text_or_null(&s, q->sort == SN_JOB_SORT_NAME ? q->after_name
                                                             : NULL);
    sn_bind_int(&s, q->limit > 0 ? q->limit : -1);
    struct sn_job row;
    while (sn_query_row(&s)) {
        read_job(&s, &row);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&s, err);
}

enum sn_err sn_reader_job_get(struct sn_reader *r, const char *id,
                              sn_job_row_fn fn, void *arg, struct sn_error *err)
{
    struct sn_query q = sn_query_start(&r->db, SN_SQL_JOB_GET);
    sn_bind_text(&q, id);
    bool found = sn_query_row(&q);
    if (found) {
        struct sn_job row;
        read_job(&q, &row);
        fn(arg, &row);
    }
    enum sn_err code = sn_query_end(&q, err);
    if (code == SN_OK && !found)
        code = sn_error_set(err, SN_ERR_NOTFOUND, "there is no job %.63s",
                            id != NULL ? id : "");
    return code;
}
