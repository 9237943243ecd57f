/* Data sets: folders of images that jobs name, registered or uploaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/dataset_json.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/spec_json.h"

/* ---- reading ---- */

const struct sn_parameter sn_list_datasets_parameters[] = {
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {"cursor", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int by_name(const void *a, const void *b)
{
    const struct sn_dataset_view *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* By name; a cursor is the last name of the page before. */
void sn_list_datasets(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *list = NULL;
    size_t n = host->dataset_list(host->self, &list), shown = 0;
    size_t limit = (size_t)sn_query_int(&rq->query, "limit", 100);
    const char *cursor = sn_query_text(&rq->query, "cursor", NULL);
    const struct sn_dataset_view **order = calloc(n + 1, sizeof *order);
    json_t *body = json_object(), *items = json_array();
    const char *last = NULL;
    bool more = false;
    for (size_t i = 0; order != NULL && i < n; i++)
        order[i] = &list[i];
    if (order != NULL && n > 1)
        qsort(order, n, sizeof *order, by_name);
    for (size_t i = 0; order != NULL && i < n && !more; i++) {
        if (cursor != NULL && strcmp(order[i]->name, cursor) <= 0)
            continue;
        more = shown == limit;
        if (more)
            continue;
        json_array_append_new(items, sn_dataset_object(order[i], false));
        last = order[i]->name;
        shown++;
    }
    sn_json_put(body, "items", items);
    sn_json_put(body, "next_cursor", sn_json_string(more ? last : NULL));
    free(order);
    sn_reply_json(rq, 200, body);
}

static const struct sn_dataset_view *find(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *d =
        host->dataset_get(host->self, sn_request_path(rq, 0));
    if (d == NULL)
        sn_reply_status(rq, 404, "there is no data set %.64s",
                        sn_request_path(rq, 0));
    return d;
}

void sn_get_dataset(struct sn_request *rq)
{
    const struct sn_dataset_view *d = find(rq);
    if (d != NULL)
        sn_reply_json(rq, 200, sn_dataset_object(d, true));
}

/* ---- registering ---- */

/* Names go into paths and ids: [A-Za-z0-9][A-Za-z0-9._-]*. */
static bool name_is_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return name[0] != '\0' && name[0] != '.' && name[0] != '-' &&
           name[0] != '_' && strspn(name, letters) == strlen(name);
}

static const char name_rule[] = "takes letters, digits, '.', '_' and '-', and "
                                "starts with a letter or digit";

struct registration {
    struct sn_request *rq; /* a reference */
    char name[SN_NAME_MAX];
    bool upload;
};

static void refuse(struct registration *r, const struct sn_error *err)
{
    struct sn_error mine = *err;
    /* Damaged or missing files in the user's folder are the user's. */
    if (!r->upload && mine.pointer[0] == '\0' &&
        (mine.code == SN_ERR_CORRUPT || mine.code == SN_ERR_NOTFOUND ||
         mine.code == SN_ERR_IO))
        snprintf(mine.pointer, sizeof mine.pointer, "/path");
    if (r->upload)
        mine.pointer[0] = '\0'; /* the fault is in the body */
    if (mine.code == SN_ERR_CORRUPT || mine.code == SN_ERR_IO ||
        (r->upload && mine.code == SN_ERR_NOTFOUND))
        mine.code = SN_ERR_INVALID;
    sn_reply_error(r->rq, &mine);
}

static void registered(void *arg, const struct sn_error *err)
{
    struct registration *r = arg;
    struct sn_request *rq = r->rq;
    char location[96];
    if (err != NULL && err->code != SN_OK) {
        refuse(r, err);
    } else if (rq->connection != NULL) {
        const struct sn_host *host = rq->api->host;
        const struct sn_dataset_view *d =
            host->dataset_get(host->self, r->name);
        sn_reply_json(rq,
                      d != NULL && d->state == SN_DATASET_READING ? 202 : 201,
                      d != NULL ? sn_dataset_object(d, true) : json_object());
        snprintf(location, sizeof location, "/api/v1/datasets/%s", r->name);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_LOCATION,
                                    location);
    }
    sn_request_unref(rq);
    free(r);
}

static void start(struct sn_request *rq, const struct sn_dataset_request *what,
                  struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    struct registration *r = calloc(1, sizeof *r);
    if (r == NULL) {
        sn_problem_set(problem, 503, "out of memory");
        return;
    }
    r->rq = rq;
    r->upload = what->upload != NULL;
    snprintf(r->name, sizeof r->name, "%s", what->name);
    sn_request_ref(rq);
    host->dataset_register(host->self, what, registered, r);
}

static void register_folder(struct sn_request *rq, json_t *body,
                            struct sn_problem *problem)
{
    static const char *const names[] = {
        "name",  "path",       "format",     "channels",
        "size",  "test_share", "split_seed", "corrupt_share",
        "train", "test",       NULL};
    struct sn_dataset_request what = {0};
    sn_json_check_members(body, "", names, problem);
    what.name =
        sn_json_get_string(body, "", "name", true, SN_NAME_MAX - 1, problem);
    what.path = sn_json_get_string(body, "", "path", true, 4000, problem);
    const char *format =
        sn_json_get_string(body, "", "format", false, 64, problem);
    const struct sn_dataset_format *found = sn_dataset_format_at(0);
    struct sn_error err;
    if (what.name != NULL && !name_is_good(what.name))
        sn_problem_at(problem, "/name", "%s", name_rule);
    if (what.path != NULL && what.path[0] != '/')
        sn_problem_at(problem, "/path", "must be an absolute path");
    if (format != NULL && sn_dataset_format_find(format, &found, &err) != SN_OK)
        sn_problem_at(problem, err.pointer, "%s", err.message);
    sn_dataset_options_from_json(body, found, &what.options, problem);
    what.format = found->name;
    if (problem->status == 0)
        start(rq, &what, problem);
}

/* The archive's types; its kind itself is told by its content. */
const char *const sn_dataset_file_types[] = {
    "application/x-tar", "application/gzip", "application/zip", NULL};

const struct sn_parameter sn_post_dataset_parameters[] = {
    {"name", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {"format", SN_PARAMETER_TEXT, 0, 63, NULL},
    {"channels", SN_PARAMETER_INT, 1, 3, NULL},
    {"size", SN_PARAMETER_INT, 0, 512, NULL},
    {"test_share", SN_PARAMETER_NUMBER, 0, 1, NULL},
    {"split_seed", SN_PARAMETER_INT, 0, 9007199254740992, NULL},
    {"corrupt_share", SN_PARAMETER_NUMBER, 0, 1, NULL},
    {"train", SN_PARAMETER_TEXT, 0, 255, NULL},
    {"test", SN_PARAMETER_TEXT, 0, 255, NULL},
    {NULL, 0, 0, 0, NULL},
};

static void register_upload(struct sn_request *rq, struct sn_problem *problem)
{
    const struct sn_dataset_format *found = NULL;
    struct sn_dataset_request what = {0};
    struct sn_error err;
    const char *format = sn_query_text(&rq->query, "format", "folder");
    what.name = sn_query_text(&rq->query, "name", NULL);
    if (what.name == NULL)
        sn_problem_at_parameter(problem, "name", "is missing");
    else if (!name_is_good(what.name))
        sn_problem_at_parameter(problem, "name", "%s", name_rule);
    if (sn_dataset_format_find(format, &found, &err) != SN_OK)
        sn_problem_at_parameter(problem, "format", "%s", err.message);
    else
        sn_dataset_options_from_query(&rq->query, found, &what.options,
                                      problem);
    if (problem->status != 0)
        return;
    what.format = found->name;
    what.upload = sn_upload_take(rq->upload);
    start(rq, &what, problem);
    if (problem->status != 0)
        remove(what.upload);
}

void sn_post_dataset(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    json_t *body = NULL;
    if (rq->upload != NULL)
        register_upload(rq, &problem);
    else if (rq->query.n > 0)
        sn_problem_at_parameter(&problem, rq->query.pair[0].name,
                                "goes with an archive as the body (content "
                                "type application/x-tar, application/gzip or "
                                "application/zip); a JSON body has all itself");
    else
        body = sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size,
                            &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    else if (body != NULL)
        register_folder(rq, body, &problem);
    if (problem.status != 0)
        sn_reply_problem(rq, &problem);
    json_decref(body);
}

/* ---- deleting ---- */

/* A job that still needs the data set, or NULL. */
static const char *user_of(struct sn_request *rq, const char *name)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *const *jobs = NULL;
    size_t n = host->job_list(host->self, &jobs);
    for (size_t i = 0; i < n; i++) {
        struct sn_spec spec;
        if (!sn_job_state_is_end(jobs[i]->state) &&
            sn_spec_parse(jobs[i]->spec_resolved_json, &spec, NULL, NULL) ==
                SN_OK &&
            strcmp(spec.dataset, name) == 0)
            return jobs[i]->id;
    }
    return NULL;
}

static void deleted(void *arg, const struct sn_error *err)
{
    struct sn_request *rq = arg;
    if (err != NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else
        sn_reply_empty(rq, 204);
    sn_request_unref(rq);
}

void sn_delete_dataset(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *d = find(rq);
    const char *job;
    if (d == NULL)
        return;
    if (d->builtin) {
        sn_reply_status(rq, 409, "%.64s is built in and cannot be deleted",
                        d->name);
    } else if (d->uploaded && (job = user_of(rq, d->name)) != NULL) {
        sn_reply_status(rq, 409,
                        "%.64s was uploaded, so deleting it removes its files, "
                        "and job %.64s needs them",
                        d->name, job);
    } else {
        sn_request_ref(rq);
        host->dataset_delete(host->self, sn_request_path(rq, 0), deleted, rq);
    }
}
