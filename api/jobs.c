/* Jobs: list, one, control. Submission is in submit.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/child_json.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/json.h"

static const char *const state_names[] = {"queued",    "running",   "stopping",
                                          "paused",    "succeeded", "failed",
                                          "cancelled", NULL};
static const char *const sort_names[] = {"newest", "oldest", "priority", NULL};

const struct sn_parameter sn_list_jobs_parameters[] = {
    {"state", SN_PARAMETER_CHOICE, 0, 0, state_names},
    {"label", SN_PARAMETER_TEXT, 0, 0, NULL},
    {"parent", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {"sort", SN_PARAMETER_CHOICE, 0, 0, sort_names},
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {"cursor", SN_PARAMETER_TEXT, 0, 48, NULL},
    {NULL}};

/* ---- the list ---- */

/* The place of a job in an order: by rank, then by tie, both rising. A cursor
 * is the place of the last item that the client has: "rank_tie". */
struct place {
    long long rank, tie;
};

static struct place place_of(const struct sn_job_view *job, const char *sort)
{
    long long seq = (long long)job->seq;
    if (strcmp(sort, "oldest") == 0)
        return (struct place){0, seq};
    if (strcmp(sort, "priority") == 0)
        return (struct place){-job->priority, seq};
    return (struct place){0, -seq};
}

static int compare_places(struct place a, struct place b)
{
    if (a.rank != b.rank)
        return a.rank < b.rank ? -1 : 1;
    return a.tie < b.tie ? -1 : a.tie > b.tie;
}

struct ordered {
    struct place place;
    const struct sn_job_view *job;
};

static int compare_ordered(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    return compare_places(x->place, y->place);
}

/* "key" or "key=value". */
static bool has_label(const struct sn_job_view *job, const char *label)
{
    char key[SN_VALUE_MAX];
    size_t n = strcspn(label, "=");
    json_t *labels = sn_json_stored(job->labels_json);
    snprintf(key, sizeof key, "%.*s", (int)n, label);
    const char *value = json_string_value(json_object_get(labels, key));
    bool has = value != NULL &&
               (label[n] == '\0' || strcmp(value, label + n + 1) == 0);
    json_decref(labels);
    return has;
}

static bool selected(const struct sn_request *rq, const struct sn_job_view *job)
{
    const char *state = sn_query_text(&rq->query, "state", NULL);
    const char *label = sn_query_text(&rq->query, "label", NULL);
    const char *parent = sn_query_text(&rq->query, "parent", NULL);
    return (parent == NULL || strcmp(parent, job->spec->parent) == 0) &&
           (state == NULL ||
            strcmp(state, sn_job_state_name(job->state)) == 0) &&
           (label == NULL || has_label(job, label));
}

static json_t *page(const struct ordered *list, size_t n, size_t limit)
{
    json_t *body = json_object(), *items = json_array();
    char cursor[64];
    size_t shown = n < limit ? n : limit;
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(items, sn_job_item(list[i].job));
    sn_json_put(body, "items", items);
    if (shown < n)
        snprintf(cursor, sizeof cursor, "%lld_%lld", list[shown - 1].place.rank,
                 list[shown - 1].place.tie);
    sn_json_put(body, "next_cursor", sn_json_string(shown < n ? cursor : NULL));
    return body;
}

void sn_list_jobs(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *const *all = NULL;
    const char *sort = sn_query_text(&rq->query, "sort", "newest");
    const char *cursor = sn_query_text(&rq->query, "cursor", NULL);
    struct place after = {0};
    int end = 0;
    if (cursor != NULL &&
        (sscanf(cursor, "%lld_%lld%n", &after.rank, &after.tie, &end) != 2 ||
         cursor[end] != '\0')) {
        struct sn_problem problem = {0};
        sn_problem_at_parameter(&problem, "cursor", "is no cursor of ours");
        sn_reply_problem(rq, &problem);
        return;
    }
    size_t n = host->job_list(host->self, &all), kept = 0;
    struct ordered *list = calloc(n + 1, sizeof *list);
    if (list == NULL) {
        sn_reply(rq, 503, NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct place place = place_of(all[i], sort);
        if ((cursor == NULL || compare_places(place, after) > 0) &&
            selected(rq, all[i]))
            list[kept++] = (struct ordered){place, all[i]};
    }
    qsort(list, kept, sizeof *list, compare_ordered);
    sn_reply_json(
        rq, 200,
        page(list, kept, (size_t)sn_query_int(&rq->query, "limit", 100)));
    free(list);
}

/* ---- one ---- */

struct job_read {
    struct sn_read read;
    bool single, inherits; /* see sn_child_put_results */
    char arch[SN_ARCH_ID_MAX];
};

/* After a resume an answer can come again: the last one of an index counts. */
static bool add_answer(void *arg, const struct sn_event *row)
{
    json_t *answers = arg;
    json_t *answer = sn_json_stored(row->payload);
    json_int_t index = json_integer_value(json_object_get(answer, "index"));
    if (!json_is_object(answer) || index < 0 || index >= SN_MAX_ANSWERS) {
        json_decref(answer);
        return true;
    }
    while (json_array_size(answers) <= (size_t)index)
        json_array_append_new(answers, json_null());
    json_array_set_new(answers, (size_t)index, answer);
    return true;
}

static void build_job(struct sn_read *read, struct sn_reader *reader)
{
    static const char *const types[] = {"answer"};
    const struct job_read *r = (const struct job_read *)read;
    struct sn_error err = {0};
    struct sn_event_query query = {
        .job = read->job, .types = types, .n_types = 1};
    json_t *answers = json_array();
    if (sn_reader_events(reader, &query, add_answer, answers, &err) != SN_OK)
        sn_read_failed(read, &err);
    sn_json_put(read->body, "answers", answers);
    if (r->single && sn_child_put_results(read->body, reader, read->job,
                                          r->arch, r->inherits, &err) != SN_OK)
        sn_read_failed(read, &err);
}

void sn_get_job(struct sn_request *rq)
{
    char etag[64];
    const struct sn_job_view *job = sn_request_job(rq);
    if (job == NULL)
        return;
    snprintf(etag, sizeof etag, "\"%llx-%llu\"",
             (unsigned long long)rq->api->started_ms,
             (unsigned long long)job->revision);
    const char *known = sn_request_header(rq, MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (known != NULL && strcmp(known, etag) == 0) {
        struct MHD_Response *same =
            MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        if (same != NULL)
            MHD_add_response_header(same, MHD_HTTP_HEADER_ETAG, etag);
        sn_reply(rq, 304, same);
        return;
    }
    struct job_read *r = calloc(1, sizeof *r);
    if (r == NULL) {
        sn_reply(rq, 503, NULL);
        return;
    }
    r->read.build = build_job;
    r->read.body = sn_job_whole(job);
    snprintf(r->read.job, sizeof r->read.job, "%s", job->id);
    snprintf(r->read.etag, sizeof r->read.etag, "%s", etag);
    r->single = sn_spec_is_single(job->spec);
    r->inherits = job->spec->strategy == SN_STRATEGY_FINETUNE;
    snprintf(r->arch, sizeof r->arch, "%s", job->spec->architecture);
    sn_request_read(rq, &r->read);
}

/* ---- control ---- */

/* Answers with the job as it is now, under `status`. */
static void reply_job(struct sn_request *rq, const char *id, unsigned status)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *job = host->job_get(host->self, id);
    if (job != NULL)
        sn_reply_json(rq, status, sn_job_whole(job));
    else
        sn_reply_empty(rq, 204);
}

static void control_done(void *arg, const struct sn_error *err, const char *id,
                         bool repeated)
{
    struct sn_request *rq = arg;
    if (rq->connection != NULL) {
        if (err != NULL && err->code != SN_OK)
            sn_reply_error(rq, err);
        else
            reply_job(rq, sn_request_path(rq, 0), 202);
    }
    sn_request_unref(rq);
}

static void deleted(void *arg, const struct sn_error *err, const char *id,
                    bool repeated)
{
    struct sn_request *rq = arg;
    if (err != NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else
        sn_reply_empty(rq, 204);
    sn_request_unref(rq);
}

static void control(struct sn_request *rq, enum sn_job_action action)
{
    const struct sn_host *host = rq->api->host;
    if (rq->body_size > 0 && strspn(rq->body, " \t\r\n{}") != rq->body_size) {
        sn_reply_status(rq, 400, "this call takes an empty body");
        return;
    }
    if (sn_request_job(rq) == NULL)
        return;
    sn_request_ref(rq);
    host->job_control(host->self, sn_request_path(rq, 0), action,
                      action == SN_JOB_DELETE ? deleted : control_done, rq);
}

void sn_pause_job(struct sn_request *rq)
{
    control(rq, SN_JOB_PAUSE);
}

void sn_resume_job(struct sn_request *rq)
{
    control(rq, SN_JOB_RESUME);
}

void sn_cancel_job(struct sn_request *rq)
{
    control(rq, SN_JOB_CANCEL);
}

void sn_delete_job(struct sn_request *rq)
{
    control(rq, SN_JOB_DELETE);
}
