/* What a job has reported: curves, evaluations, predictors, sub-spaces, log. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/curve.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/record_json.h"

static const double huge = 9007199254740991.0;
static const char *const stage_names[] = {"early", "final", "verify", NULL};
static const char *const split_names[] = {"train", "holdout", "test", NULL};
static const char *const eval_sorts[] = {"seq", "accuracy", "macs", "latency",
                                         NULL};

/* A read about the job of the path; NULL after a reply. */
static void *read_of_job(struct sn_request *rq, size_t size,
                         void (*build)(struct sn_read *read,
                                       struct sn_reader *reader))
{
    const struct sn_job_view *job = sn_request_job(rq);
    if (job == NULL)
        return NULL;
    struct sn_read *read = calloc(1, size);
    if (read == NULL) {
        sn_reply(rq, 503, NULL);
        return NULL;
    }
    read->build = build;
    read->body = json_object();
    snprintf(read->job, sizeof read->job, "%s", job->id);
    return read;
}

static void put_page_as(json_t *body, const char *name, json_t *items,
                        size_t limit, json_int_t last)
{
    char cursor[32];
    bool full = json_array_size(items) == limit && limit > 0;
    snprintf(cursor, sizeof cursor, "%lld", (long long)last);
    sn_json_put(body, name, items);
    sn_json_put(body, "next_cursor", sn_json_string(full ? cursor : NULL));
}

static void put_page(json_t *body, json_t *items, size_t limit, json_int_t last)
{
    put_page_as(body, "items", items, limit, last);
}

/* ---- series ---- */

const struct sn_parameter sn_series_parameters[] = {
    {"name", SN_PARAMETER_TEXT, 0, 64, NULL},
    {"after", SN_PARAMETER_INT, -1, huge, NULL},
    {"points", SN_PARAMETER_INT, 2, 5000, NULL},
    {NULL}};

struct series_read {
    struct sn_read read;
    char name[72]; /* "" = the names of all */
    int64_t after;
    size_t points;
    struct sn_curve curve;
};

static bool add_name(void *arg, const char *name, int64_t count)
{
    json_t *o = json_object();
    sn_json_put(o, "name", sn_json_string(name));
    sn_json_put(o, "points", json_integer(count));
    json_array_append_new(arg, o);
    return true;
}

static bool add_point(void *arg, const struct sn_point *row)
{
    struct series_read *r = arg;
    return sn_curve_add(&r->curve, row->step, row->epoch, row->value);
}

static void drop_series(struct sn_read *read)
{
    sn_curve_close(&((struct series_read *)read)->curve);
}

static void build_series(struct sn_read *read, struct sn_reader *reader)
{
    struct series_read *r = (struct series_read *)read;
    struct sn_error err = {0};
    json_t *items = json_array();
    enum sn_err rc;
    if (r->name[0] == '\0')
        rc = sn_reader_series_names(reader, read->job, add_name, items, &err);
    else
        rc = sn_reader_series(reader, read->job, r->name, r->after, 0,
                              add_point, r, &err);
    if (rc != SN_OK)
        sn_read_failed(read, &err);
    if (r->name[0] != '\0') {
        sn_json_put(read->body, "name", sn_json_string(r->name));
        sn_json_put(read->body, "total", json_integer((json_int_t)r->curve.n));
        sn_curve_thin(&r->curve, r->points);
    }
    for (size_t i = 0; i < r->curve.n; i++) {
        const struct sn_curve_point *p = &r->curve.point[i];
        json_t *o = json_object();
        sn_json_put(o, "step", json_integer(p->step));
        sn_json_put(o, "epoch", sn_json_number(p->epoch));
        sn_json_put(o, "value", sn_json_number(p->value));
        json_array_append_new(items, o);
    }
    put_page(read->body, items, 0, 0);
}

void sn_get_series(struct sn_request *rq)
{
    struct series_read *r = read_of_job(rq, sizeof *r, build_series);
    if (r == NULL)
        return;
    r->read.drop = drop_series;
    snprintf(r->name, sizeof r->name, "%s",
             sn_query_text(&rq->query, "name", ""));
    r->after = sn_query_int(&rq->query, "after", -1);
    r->points = (size_t)sn_query_int(&rq->query, "points", 500);
    sn_request_read(rq, &r->read);
}

/* ---- evaluations ---- */

const struct sn_parameter sn_evaluations_parameters[] = {
    {"stage", SN_PARAMETER_CHOICE, 0, 0, stage_names},
    {"split", SN_PARAMETER_CHOICE, 0, 0, split_names},
    {"arch", SN_PARAMETER_TEXT, 0, SN_ARCH_ID_MAX - 1, NULL},
    {"sort", SN_PARAMETER_CHOICE, 0, 0, eval_sorts},
    {"after_seq", SN_PARAMETER_INT, 0, huge, NULL},
    {"cursor", SN_PARAMETER_INT, 0, huge, NULL},
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {NULL}};

struct evaluations_read {
    struct sn_read read;
    struct sn_eval_query query;
    char split[16], arch[SN_ARCH_ID_MAX];
    json_t *items;
    int64_t last;
};

static bool add_evaluation(void *arg, const struct sn_evaluation_record *row)
{
    struct evaluations_read *r = arg;
    json_array_append_new(r->items, sn_record_evaluation(row));
    r->last = row->seq;
    return true;
}

static void build_evaluations(struct sn_read *read, struct sn_reader *reader)
{
    struct evaluations_read *r = (struct evaluations_read *)read;
    struct sn_error err = {0};
    r->items = json_array();
    if (sn_reader_evaluations(reader, &r->query, add_evaluation, r, &err) !=
        SN_OK)
        sn_read_failed(read, &err);
    put_page(read->body, r->items,
             r->query.sort == SN_EVAL_SORT_SEQ ? (size_t)r->query.limit : 0,
             r->last);
}

void sn_get_evaluations(struct sn_request *rq)
{
    struct evaluations_read *r = read_of_job(rq, sizeof *r, build_evaluations);
    const char *sort = sn_query_text(&rq->query, "sort", "seq");
    const char *stage = sn_query_text(&rq->query, "stage", NULL);
    enum sn_eval_stage kind;
    if (r == NULL)
        return;
    snprintf(r->split, sizeof r->split, "%s",
             sn_query_text(&rq->query, "split", ""));
    snprintf(r->arch, sizeof r->arch, "%s",
             sn_query_text(&rq->query, "arch", ""));
    r->query.job = r->read.job;
    r->query.split = r->split[0] != '\0' ? r->split : NULL;
    r->query.arch = r->arch[0] != '\0' ? r->arch : NULL;
    if (stage != NULL && sn_eval_stage_parse(stage, &kind, NULL) == SN_OK)
        r->query.stages = 1u << kind;
    for (int i = 0; eval_sorts[i] != NULL; i++) {
        if (strcmp(sort, eval_sorts[i]) == 0)
            r->query.sort = (enum sn_eval_sort)i;
    }
    r->query.after_seq = sn_query_int(&rq->query, "cursor",
                                      sn_query_int(&rq->query, "after_seq", 0));
    r->query.limit = sn_query_int(&rq->query, "limit", 100);
    sn_request_read(rq, &r->read);
}

/* ---- predictors ---- */

const struct sn_parameter sn_predictors_parameters[] = {
    {"stage", SN_PARAMETER_CHOICE, 0, 0, stage_names},
    {"points", SN_PARAMETER_INT, 0, 100000, NULL},
    {NULL}};

struct predictors_read {
    struct sn_read read;
    struct sn_reader *reader;
    char stage[16];
    int64_t points;
    json_t *items, *scores;
};

static bool add_score(void *arg, const struct sn_score *row)
{
    json_t *o = json_object();
    sn_json_put(o, "arch", sn_json_string(row->arch));
    sn_json_put(o, "measured", sn_json_number(row->measured));
    sn_json_put(o, "predicted", sn_json_number(row->predicted));
    sn_json_put(o, "macs", sn_json_number(row->cost));
    json_array_append_new(arg, o);
    return true;
}

static bool add_predictor(void *arg, const struct sn_predictor *row)
{
    struct predictors_read *r = arg;
    struct sn_error err = {0};
    if (r->stage[0] != '\0' &&
        strcmp(r->stage, sn_eval_stage_name(row->stage)) != 0)
        return true;
    json_t *o = sn_json_stored(row->quality), *points = json_array();
    if (!json_is_object(o)) {
        json_decref(o);
        o = json_object();
    }
    sn_json_put(o, "kind", sn_json_string(row->kind));
    sn_json_put(o, "stage", sn_json_string(sn_eval_stage_name(row->stage)));
    sn_json_put(o, "round", json_integer(row->round));
    sn_json_put(o, "step", json_integer(row->step));
    sn_json_put(o, "used", json_boolean(row->used));
    sn_json_put(o, "tau", sn_json_number(row->tau));
    sn_json_put(o, "spearman", sn_json_number(row->spearman));
    sn_json_put(o, "mae", sn_json_number(row->mae));
    sn_json_put(o, "n_points", json_integer(row->n_scores));
    sn_json_put(o, "time", sn_json_number((double)row->time_ms / 1000));
    if (r->points > 0 && sn_reader_scores(r->reader, row->id, r->points,
                                          add_score, points, &err) != SN_OK)
        sn_read_failed(&r->read, &err);
    sn_json_put(o, "points", points);
    json_array_append_new(r->items, o);
    return true;
}

static bool put_outcome(void *arg, const struct sn_outcome *row)
{
    struct sn_read *read = arg;
    sn_json_put(read->body, "outcome", sn_json_stored(row->body));
    return true;
}

static void build_predictors(struct sn_read *read, struct sn_reader *reader)
{
    struct predictors_read *r = (struct predictors_read *)read;
    struct sn_error err = {0};
    r->reader = reader;
    r->items = json_array();
    sn_json_put(read->body, "outcome", json_null());
    if (sn_reader_predictors(reader, read->job, add_predictor, r, &err) !=
            SN_OK ||
        sn_reader_outcome(reader, read->job, put_outcome, read, &err) != SN_OK)
        sn_read_failed(read, &err);
    put_page(read->body, r->items, 0, 0);
}

void sn_get_predictors(struct sn_request *rq)
{
    struct predictors_read *r = read_of_job(rq, sizeof *r, build_predictors);
    if (r == NULL)
        return;
    snprintf(r->stage, sizeof r->stage, "%s",
             sn_query_text(&rq->query, "stage", ""));
    r->points = sn_query_int(&rq->query, "points", 1000);
    sn_request_read(rq, &r->read);
}

/* ---- the newest sub-space ---- */

const struct sn_parameter sn_subspace_parameters[] = {
    {"cursor", SN_PARAMETER_INT, 0, huge, NULL},
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {NULL}};

struct subspace_read {
    struct sn_read read;
    int64_t id, after, limit, last;
    json_t *items;
    unsigned rounds;
};

/* Each overwrites the one before: the last round stays. */
static bool see_subspace(void *arg, const struct sn_subspace *row)
{
    struct subspace_read *r = arg;
    json_t *body = r->read.body, *rule = sn_json_stored(row->rule);
    r->id = row->id;
    r->rounds++;
    json_object_clear(body);
    if (json_is_object(rule))
        json_object_update(body, rule);
    json_decref(rule);
    sn_json_put(body, "round", json_integer(row->round));
    sn_json_put(body, "step", json_integer(row->step));
    sn_json_put(body, "scored", json_integer(row->n_scored));
    sn_json_put(body, "size", json_integer(row->n_members));
    sn_json_put(body, "time", sn_json_number((double)row->time_ms / 1000));
    return true;
}

static bool add_member(void *arg, const struct sn_member *row)
{
    struct subspace_read *r = arg;
    json_t *o = json_object();
    sn_json_put(o, "arch", sn_json_string(row->arch));
    sn_json_put(o, "score", sn_json_number(row->score));
    sn_json_put(o, "macs", sn_json_number(row->cost));
    sn_json_put(o, "band", json_integer(row->band));
    json_array_append_new(r->items, o);
    r->last = row->position;
    return true;
}

static void build_subspace(struct sn_read *read, struct sn_reader *reader)
{
    struct subspace_read *r = (struct subspace_read *)read;
    struct sn_error err = {0};
    r->items = json_array();
    if (sn_reader_subspaces(reader, read->job, see_subspace, r, &err) !=
            SN_OK ||
        (r->rounds > 0 && sn_reader_members(reader, r->id, r->after, r->limit,
                                            add_member, r, &err) != SN_OK))
        sn_read_failed(read, &err);
    sn_json_put(read->body, "rounds", json_integer(r->rounds));
    put_page_as(read->body, "members", r->items, (size_t)r->limit, r->last);
}

void sn_get_subspace(struct sn_request *rq)
{
    struct subspace_read *r = read_of_job(rq, sizeof *r, build_subspace);
    if (r == NULL)
        return;
    r->after = sn_query_int(&rq->query, "cursor", -1);
    r->limit = sn_query_int(&rq->query, "limit", 100);
    sn_request_read(rq, &r->read);
}

/* ---- the log ---- */

const struct sn_parameter sn_log_parameters[] = {
    {"after_seq", SN_PARAMETER_INT, 0, huge, NULL},
    {"cursor", SN_PARAMETER_INT, 0, huge, NULL},
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {NULL}};

struct log_read {
    struct sn_read read;
    int64_t after, limit, last;
    json_t *items;
};

static bool add_line(void *arg, const struct sn_event *row)
{
    struct log_read *r = arg;
    json_t *o = sn_json_stored(row->payload);
    r->last = row->seq;
    if (!json_is_object(o)) {
        json_decref(o);
        o = json_object();
    }
    sn_json_put(o, "seq", json_integer(row->seq));
    sn_json_put(o, "time", sn_json_number((double)row->time_ms / 1000));
    json_array_append_new(r->items, o);
    return true;
}

static void build_log(struct sn_read *read, struct sn_reader *reader)
{
    static const char *const types[] = {"log"};
    struct log_read *r = (struct log_read *)read;
    struct sn_error err = {0};
    struct sn_event_query query = {.job = read->job,
                                   .types = types,
                                   .n_types = 1,
                                   .after_seq = r->after,
                                   .limit = r->limit};
    r->items = json_array();
    if (sn_reader_events(reader, &query, add_line, r, &err) != SN_OK)
        sn_read_failed(read, &err);
    put_page(read->body, r->items, (size_t)r->limit, r->last);
}

void sn_get_log(struct sn_request *rq)
{
    struct log_read *r = read_of_job(rq, sizeof *r, build_log);
    if (r == NULL)
        return;
    r->after = sn_query_int(&rq->query, "cursor",
                            sn_query_int(&rq->query, "after_seq", 0));
    r->limit = sn_query_int(&rq->query, "limit", 100);
    sn_request_read(rq, &r->read);
}
