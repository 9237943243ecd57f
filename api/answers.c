/* The front of a job, and the best architectures within bounds: both from the
 * evaluations at the newest weights version that has any. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/json.h"
#include "api/record_json.h"
#include "api/stats.h"

static const char *const cost_choices[] = {"latency_ms", "macs", "params",
                                           "peak_memory", NULL};

const struct sn_parameter sn_front_parameters[] = {
    {"cost", SN_PARAMETER_CHOICE, 0, 0, cost_choices},
    {"device", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {NULL}};

const struct sn_parameter sn_best_parameters[] = {
    {"latency_ms", SN_PARAMETER_NUMBER, 0, 1e9, NULL},
    {"macs", SN_PARAMETER_NUMBER, 0, 1e18, NULL},
    {"params", SN_PARAMETER_NUMBER, 0, 1e18, NULL},
    {"peak_memory", SN_PARAMETER_NUMBER, 0, 1e18, NULL},
    {"device", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {"k", SN_PARAMETER_INT, 1, 1000, NULL},
    {NULL}};

struct candidate {
    char arch[SN_ARCH_ID_MAX];
    enum sn_eval_stage stage;
    double accuracy, cost[SN_COST_KINDS]; /* NAN: not known */
    json_t *item;                         /* owned */
};

struct answers_read {
    struct sn_read read;
    char device[SN_NAME_MAX];
    bool is_front;
    enum sn_cost_kind cost;      /* of a front */
    double bound[SN_COST_KINDS]; /* of best; NAN: none */
    size_t k;

    struct candidate *list;
    size_t n, room;
    int64_t step, version;
    bool failed;
};

/* ---- gathering ---- */

static double known(int64_t value)
{
    return value >= 0 ? (double)value : NAN;
}

static bool add_candidate(void *arg, const struct sn_evaluation_record *row)
{
    struct answers_read *r = arg;
    if (r->n == r->room) {
        size_t room = r->room == 0 ? 128 : 2 * r->room;
        struct candidate *grown = realloc(r->list, room * sizeof *grown);
        r->failed = grown == NULL;
        if (grown == NULL)
            return false;
        r->list = grown;
        r->room = room;
    }
    struct candidate *c = &r->list[r->n++];
    snprintf(c->arch, sizeof c->arch, "%s", row->arch);
    c->stage = row->stage;
    c->accuracy = row->accuracy;
    c->cost[SN_COST_LATENCY] = sn_record_latency_ms(row);
    c->cost[SN_COST_MACS] = known(row->macs);
    c->cost[SN_COST_PARAMS] = known(row->params);
    c->cost[SN_COST_PEAK_MEMORY] = known(row->peak_memory);
    c->item = sn_record_evaluation(row);
    sn_json_put(c->item, "test_accuracy", json_null());
    r->step = row->step;
    return true;
}

/* By architecture, the later stage first. */
static int by_arch(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = strcmp(x->arch, y->arch);
    return order != 0 ? order : (int)y->stage - (int)x->stage;
}

/* An architecture that was verified counts by that, not twice. */
static void keep_one_each(struct answers_read *r)
{
    size_t kept = 0;
    if (r->n > 0)
        qsort(r->list, r->n, sizeof *r->list, by_arch);
    for (size_t i = 0; i < r->n; i++) {
        if (kept > 0 && strcmp(r->list[kept - 1].arch, r->list[i].arch) == 0)
            json_decref(r->list[i].item);
        else
            r->list[kept++] = r->list[i];
    }
    r->n = kept;
}

/* The list is sorted by architecture here. */
static bool add_test(void *arg, const struct sn_evaluation_record *row)
{
    struct answers_read *r = arg;
    struct candidate key = {.stage = SN_EVAL_VERIFY};
    snprintf(key.arch, sizeof key.arch, "%s", row->arch);
    for (size_t low = 0, high = r->n; low < high && row->step == r->step;) {
        size_t middle = (low + high) / 2;
        int order = strcmp(key.arch, r->list[middle].arch);
        if (order == 0) {
            sn_json_put(r->list[middle].item, "test_accuracy",
                        sn_json_proportion(row->correct, row->images));
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return true;
}

static bool see_front(void *arg, const struct sn_front *row)
{
    ((struct answers_read *)arg)->version = row->version;
    return true;
}

static enum sn_err find_version(struct answers_read *r,
                                struct sn_reader *reader, struct sn_error *err)
{
    enum sn_err rc =
        sn_reader_front_get(reader, r->read.job, sn_cost_names[r->cost],
                            r->device, see_front, r, err);
    if (rc == SN_ERR_NOTFOUND)
        rc = sn_reader_front_get(reader, r->read.job, sn_cost_names[r->cost],
                                 "", see_front, r, err);
    return rc == SN_ERR_NOTFOUND ? SN_OK : rc;
}

static enum sn_err gather(struct answers_read *r, struct sn_reader *reader,
                          struct sn_error *err)
{
    const unsigned late = 1u << SN_EVAL_FINAL | 1u << SN_EVAL_VERIFY;
    struct sn_eval_query query = {.job = r->read.job,
                                  .stages = late,
                                  .split = "holdout",
                                  .newest = true,
                                  .device = r->device};
    enum sn_err rc =
        sn_reader_evaluations(reader, &query, add_candidate, r, err);
    if (rc == SN_OK && r->n == 0) {
        query.stages = 1u << SN_EVAL_EARLY;
        rc = sn_reader_evaluations(reader, &query, add_candidate, r, err);
    }
    keep_one_each(r);
    if (rc == SN_OK && r->n > 0) {
        query.stages = late;
        query.split = "test";
        rc = sn_reader_evaluations(reader, &query, add_test, r, err);
    }
    if (rc == SN_OK)
        rc = find_version(r, reader, err);
    if (rc == SN_OK && r->failed)
        rc = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    return rc;
}

/* ---- choosing ---- */

/* By cost, the more accurate first among equals; unknown costs last. */
static int by_cost(const void *a, const void *b, void *arg)
{
    const struct candidate *x = a, *y = b;
    enum sn_cost_kind kind = *(const enum sn_cost_kind *)arg;
    double left = isnan(x->cost[kind]) ? INFINITY : x->cost[kind];
    double right = isnan(y->cost[kind]) ? INFINITY : y->cost[kind];
    if (left != right)
        return left < right ? -1 : 1;
    if (x->accuracy != y->accuracy)
        return x->accuracy > y->accuracy ? -1 : 1;
    return strcmp(x->arch, y->arch);
}

static int by_accuracy(const void *a, const void *b, void *arg)
{
    const struct candidate *x = a, *y = b;
    if (x->accuracy != y->accuracy)
        return x->accuracy > y->accuracy ? -1 : 1;
    return by_cost(a, b, arg);
}

static json_t *non_dominated(struct answers_read *r)
{
    json_t *items = json_array();
    double best = -1;
    if (r->n > 0)
        qsort_r(r->list, r->n, sizeof *r->list, by_cost, &r->cost);
    for (size_t i = 0; i < r->n; i++) {
        const struct candidate *c = &r->list[i];
        if (isfinite(c->cost[r->cost]) && c->accuracy > best) {
            json_array_append(items, c->item);
            best = c->accuracy;
        }
    }
    return items;
}

/* How far over the bounds: 0 within, 1 at twice one; infinite when a bounded
 * cost is not known. */
static double excess(const struct answers_read *r, const struct candidate *c)
{
    double most = 0;
    for (int i = 0; i < SN_COST_KINDS; i++) {
        if (isnan(r->bound[i]))
            continue;
        if (isnan(c->cost[i]))
            return INFINITY;
        if (c->cost[i] > r->bound[i])
            most = fmax(most,
                        (c->cost[i] - r->bound[i]) / fmax(r->bound[i], 1e-12));
    }
    return most;
}

static void put_best(struct answers_read *r)
{
    json_t *items = json_array();
    const struct candidate *nearest = NULL;
    if (r->n > 0)
        qsort_r(r->list, r->n, sizeof *r->list, by_accuracy, &r->cost);
    for (size_t i = 0; i < r->n; i++) {
        const struct candidate *c = &r->list[i];
        double over = excess(r, c);
        if (over == 0 && json_array_size(items) < r->k)
            json_array_append(items, c->item);
        if (isfinite(over) && (nearest == NULL || over < excess(r, nearest)))
            nearest = c;
    }
    bool none = json_array_size(items) == 0;
    sn_json_put(r->read.body, "items", items);
    sn_json_put(r->read.body, "nearest",
                none && nearest != NULL ? json_incref(nearest->item)
                                        : json_null());
}

static void build_answers(struct sn_read *read, struct sn_reader *reader)
{
    struct answers_read *r = (struct answers_read *)read;
    struct sn_error err = {0};
    if (gather(r, reader, &err) != SN_OK) {
        sn_read_failed(read, &err);
        return;
    }
    if (r->is_front) {
        sn_json_put(read->body, "cost", sn_json_string(sn_cost_names[r->cost]));
        sn_json_put(read->body, "items", non_dominated(r));
    } else {
        put_best(r);
    }
    sn_json_put(read->body, "next_cursor", json_null());
    sn_json_put(read->body, "device", sn_json_string(r->device));
    sn_json_put(read->body, "evaluated", json_integer((json_int_t)r->n));
    sn_json_put(read->body, "front_version", json_integer(r->version));
    sn_json_put(read->body, "as_of_step",
                r->n > 0 ? json_integer(r->step) : json_null());
}

static void drop_answers(struct sn_read *read)
{
    struct answers_read *r = (struct answers_read *)read;
    for (size_t i = 0; i < r->n; i++)
        json_decref(r->list[i].item);
    free(r->list);
}

/* ---- the handlers ---- */

static struct answers_read *new_answers(struct sn_request *rq)
{
    const struct sn_job_view *job = sn_request_job(rq);
    if (job == NULL)
        return NULL;
    struct answers_read *r = calloc(1, sizeof *r);
    if (r == NULL) {
        sn_reply(rq, 503, NULL);
        return NULL;
    }
    r->read.build = build_answers;
    r->read.drop = drop_answers;
    r->read.body = json_object();
    snprintf(r->read.job, sizeof r->read.job, "%s", job->id);
    snprintf(r->device, sizeof r->device, "%s",
             sn_query_text(&rq->query, "device", "host"));
    return r;
}

void sn_get_front(struct sn_request *rq)
{
    struct answers_read *r = new_answers(rq);
    const char *cost = sn_query_text(&rq->query, "cost", "latency_ms");
    if (r == NULL)
        return;
    r->is_front = true;
    for (int i = 0; i < SN_COST_KINDS; i++) {
        if (strcmp(cost, sn_cost_names[i]) == 0)
            r->cost = (enum sn_cost_kind)i;
    }
    sn_request_read(rq, &r->read);
}

void sn_get_best(struct sn_request *rq)
{
    struct answers_read *r = new_answers(rq);
    if (r == NULL)
        return;
    r->cost = SN_COST_LATENCY;
    r->k = (size_t)sn_query_int(&rq->query, "k", 10);
    for (int i = 0; i < SN_COST_KINDS; i++)
        r->bound[i] = sn_query_number(&rq->query, sn_cost_names[i], NAN);
    sn_request_read(rq, &r->read);
}
