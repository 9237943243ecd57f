/* Data sets: folders of images that jobs name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/json.h"

static json_t *numbers(const float *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        /* A float's own digits, not those of the double nearest to it. */
        char text[32];
        snprintf(text, sizeof text, "%.7g", (double)values[i]);
        json_array_append_new(list, sn_json_number(strtod(text, NULL)));
    }
    return list;
}

static json_t *dataset_object(const struct sn_dataset_view *d)
{
    json_t *o = json_object();
    char url[96];
    sn_json_put(o, "name", sn_json_string(d->name));
    sn_json_put(o, "path", sn_json_string(d->path));
    sn_json_put(o, "format", sn_json_string(d->format));
    sn_json_put(o, "builtin", json_boolean(d->builtin));
    sn_json_put(o, "available", json_boolean(d->available));
    sn_json_put(o, "problem", sn_json_string(d->problem));
    if (d->available) {
        const struct sn_dataset_info *info = &d->info;
        sn_json_put(o, "channels", json_integer(info->channels));
        sn_json_put(o, "height", json_integer(info->height));
        sn_json_put(o, "width", json_integer(info->width));
        sn_json_put(o, "classes", json_integer(info->classes));
        sn_json_put(o, "train", json_integer(info->train));
        sn_json_put(o, "test", json_integer(info->test));
        sn_json_put(o, "checksum", sn_json_string(info->checksum));
        sn_json_put(o, "mean", numbers(info->mean, info->channels));
        sn_json_put(o, "std", numbers(info->std, info->channels));
    }
    json_t *links = json_object();
    snprintf(url, sizeof url, "/api/v1/datasets/%.63s", d->name);
    sn_json_put(links, "self", sn_json_string(url));
    sn_json_put(o, "links", links);
    return o;
}

void sn_list_datasets(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *list = NULL;
    size_t n = host->dataset_list(host->self, &list);
    json_t *body = json_object(), *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, dataset_object(&list[i]));
    sn_json_put(body, "items", items);
    sn_json_put(body, "next_cursor", json_null());
    sn_reply_json(rq, 200, body);
}

void sn_get_dataset(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *d =
        host->dataset_get(host->self, sn_request_path(rq, 0));
    if (d == NULL)
        sn_reply_status(rq, 404, "there is no data set %.64s",
                        sn_request_path(rq, 0));
    else
        sn_reply_json(rq, 200, dataset_object(d));
}

/* ---- registering ---- */

/* Names go into paths and ids: [A-Za-z0-9][A-Za-z0-9._-]*. */
static bool name_is_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return name[0] != '.' && name[0] != '-' && name[0] != '_' &&
           strspn(name, letters) == strlen(name);
}

struct registration {
    struct sn_request *rq; /* a reference */
    char name[SN_NAME_MAX];
};

static void registered(void *arg, const struct sn_error *err)
{
    struct registration *r = arg;
    struct sn_request *rq = r->rq;
    char location[96];
    if (err != NULL && err->code != SN_OK) {
        struct sn_error mine = *err;
        /* Damaged or missing files in the user's folder are the user's. */
        if (mine.pointer[0] == '\0' &&
            (mine.code == SN_ERR_CORRUPT || mine.code == SN_ERR_NOTFOUND ||
             mine.code == SN_ERR_IO))
            snprintf(mine.pointer, sizeof mine.pointer, "/path");
        if (mine.code == SN_ERR_CORRUPT || mine.code == SN_ERR_IO)
            mine.code = SN_ERR_INVALID;
        sn_reply_error(rq, &mine);
    } else if (rq->connection != NULL) {
        const struct sn_host *host = rq->api->host;
        const struct sn_dataset_view *d =
            host->dataset_get(host->self, r->name);
        sn_reply_json(rq, 201, d != NULL ? dataset_object(d) : json_object());
        snprintf(location, sizeof location, "/api/v1/datasets/%s", r->name);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_LOCATION,
                                    location);
    }
    sn_request_unref(rq);
    free(r);
}

static void register_dataset(struct sn_request *rq, json_t *body,
                             struct sn_problem *problem)
{
    static const char *const names[] = {"name", "path", "format", NULL};
    const struct sn_host *host = rq->api->host;
    sn_json_check_members(body, "", names, problem);
    const char *name =
        sn_json_get_string(body, "", "name", true, SN_NAME_MAX - 1, problem);
    const char *path =
        sn_json_get_string(body, "", "path", true, 4000, problem);
    const char *format =
        sn_json_get_string(body, "", "format", false, 64, problem);
    const struct sn_dataset_format *found = sn_dataset_format_at(0);
    struct sn_error err;
    if (name != NULL && !name_is_good(name))
        sn_problem_at(problem, "/name",
                      "takes letters, digits, '.', '_' and '-', and starts "
                      "with a letter or digit");
    if (path != NULL && path[0] != '/')
        sn_problem_at(problem, "/path", "must be an absolute path");
    if (format != NULL && sn_dataset_format_find(format, &found, &err) != SN_OK)
        sn_problem_at(problem, err.pointer, "%s", err.message);
    if (problem->status != 0)
        return;
    struct registration *r = calloc(1, sizeof *r);
    if (r == NULL) {
        sn_problem_set(problem, 503, "out of memory");
        return;
    }
    r->rq = rq;
    snprintf(r->name, sizeof r->name, "%s", name);
    sn_request_ref(rq);
    host->dataset_register(host->self, name, path, found->name, registered, r);
}

void sn_post_dataset(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    else if (body != NULL)
        register_dataset(rq, body, &problem);
    if (problem.status != 0)
        sn_reply_problem(rq, &problem);
    json_decref(body);
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
    const struct sn_dataset_view *d =
        host->dataset_get(host->self, sn_request_path(rq, 0));
    if (d == NULL) {
        sn_reply_status(rq, 404, "there is no data set %.64s",
                        sn_request_path(rq, 0));
    } else if (d->builtin) {
        sn_reply_status(rq, 409, "%.64s is built in and cannot be deleted",
                        d->name);
    } else {
        sn_request_ref(rq);
        host->dataset_delete(host->self, sn_request_path(rq, 0), deleted, rq);
    }
}
