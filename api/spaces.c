/* Search spaces, and architectures of them without a job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/arch_json.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/space_json.h"

static const struct sn_space_view *space_of_path(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_space_view *view =
        host->space_get(host->self, sn_request_path(rq, 0));
    if (view == NULL)
        sn_reply_status(rq, 404, "there is no space %.64s",
                        sn_request_path(rq, 0));
    return view;
}

/* With its parts, and the JSON that it was made from, where `whole`. */
static json_t *space_object(const struct sn_space_view *view, bool whole)
{
    json_t *o = sn_space_describe(view->space, whole);
    sn_json_put(o, "builtin", json_boolean(view->json == NULL));
    if (whole && view->json != NULL)
        sn_json_put(o, "definition", sn_json_stored(view->json));
    else if (whole)
        sn_json_put(o, "definition", sn_space_to_json(view->space));
    return o;
}

void sn_list_spaces(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_space_view *list = NULL;
    size_t n = host->space_list(host->self, &list);
    json_t *body = json_object(), *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, space_object(&list[i], false));
    sn_json_put(body, "items", items);
    sn_json_put(body, "next_cursor", json_null());
    sn_reply_json(rq, 200, body);
}

void sn_get_space(struct sn_request *rq)
{
    const struct sn_space_view *view = space_of_path(rq);
    if (view != NULL)
        sn_reply_json(rq, 200, space_object(view, true));
}

/* ---- users' spaces ---- */

struct making {
    struct sn_request *rq; /* a reference */
    char name[SN_NAME_MAX];
};

static void made(void *arg, const struct sn_error *err)
{
    struct making *m = arg;
    struct sn_request *rq = m->rq;
    if (err != NULL && err->code != SN_OK) {
        sn_reply_error(rq, err);
    } else if (rq->connection != NULL) {
        const struct sn_host *host = rq->api->host;
        const struct sn_space_view *view = host->space_get(host->self, m->name);
        char location[96];
        sn_reply_json(rq, 201,
                      view != NULL ? space_object(view, true) : json_object());
        snprintf(location, sizeof location, "/api/v1/spaces/%s", m->name);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_LOCATION,
                                    location);
    }
    sn_request_unref(rq);
    free(m);
}

static void make(struct sn_request *rq, const struct sn_space *space,
                 json_t *body, struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    char *text = sn_json_dump(body);
    struct making *m = calloc(1, sizeof *m);
    if (m == NULL || text == NULL) {
        free(m);
        sn_problem_set(problem, 503, "out of memory");
    } else {
        m->rq = rq;
        snprintf(m->name, sizeof m->name, "%s", space->name);
        sn_request_ref(rq);
        host->space_add(host->self, space, text, made, m);
    }
    free(text);
}

void sn_post_space(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    struct sn_space space;
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    if (body != NULL && sn_space_from_json(body, &space, &problem))
        make(rq, &space, body, &problem);
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

/* A job of that space, ended or not: its architectures could not be read. */
static const struct sn_job_view *user_of(const struct sn_host *host,
                                         const char *space)
{
    const struct sn_job_view *const *jobs;
    size_t n = host->job_list(host->self, &jobs);
    for (size_t i = 0; i < n; i++) {
        json_t *spec = sn_json_stored(jobs[i]->spec_resolved_json);
        const char *name = json_string_value(json_object_get(spec, "space"));
        bool uses = name != NULL && strcmp(name, space) == 0;
        json_decref(spec);
        if (uses)
            return jobs[i];
    }
    return NULL;
}

/* A supernet of that space, or NULL. */
static const struct sn_supernet_view *weights_of(const struct sn_host *host,
                                                 const char *space)
{
    const struct sn_supernet_view *list;
    size_t n = host->supernet_list(host->self, &list);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].space, space) == 0)
            return &list[i];
    return NULL;
}

void sn_delete_space(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_space_view *view = space_of_path(rq);
    if (view == NULL)
        return;
    const struct sn_job_view *user = user_of(host, view->space->name);
    const struct sn_supernet_view *weights =
        weights_of(host, view->space->name);
    if (view->json == NULL) {
        sn_reply_status(rq, 409, "%.64s is built in and cannot be deleted",
                        view->space->name);
    } else if (user != NULL) {
        sn_reply_status(rq, 409, "job %.64s uses space %.64s: delete it first",
                        user->id, view->space->name);
    } else if (weights != NULL) {
        sn_reply_status(rq, 409,
                        "supernet %.64s is of space %.64s: delete it first",
                        weights->name, view->space->name);
    } else {
        sn_request_ref(rq);
        host->space_delete(host->self, view->space->name, deleted, rq);
    }
}

/* ---- architectures ---- */

/* {"arch": id} or {"ofa": {...}}; both forms come back, with the layers. */
static bool read_arch(const struct sn_space *space, json_t *body,
                      struct sn_arch *ret, struct sn_problem *problem)
{
    static const char *const names[] = {"arch", "ofa", "channels", "classes",
                                        NULL};
    static const char *const mobile[] = {"ks", "e", "d", "r", NULL};
    static const char *const resnet[] = {"d", "e", "w", "r", NULL};
    struct sn_error err = {0};
    json_t *ofa = json_object_get(body, "ofa");
    const char *id = NULL;
    sn_json_check_members(body, "", names, problem);
    if ((ofa != NULL) == (json_object_get(body, "arch") != NULL)) {
        sn_problem_at(problem, "", "give either \"arch\" or \"ofa\"");
        return false;
    }
    if (ofa != NULL) {
        if (!json_is_object(ofa)) {
            sn_problem_at(problem, "/ofa", "must be an object");
            return false;
        }
        sn_json_check_members(
            ofa, "/ofa", space->family == SN_FAMILY_MOBILE ? mobile : resnet,
            problem);
        return sn_arch_from_ofa(space, ofa, "/ofa", ret, problem) &&
               problem->n == 0;
    }
    id =
        sn_json_get_string(body, "", "arch", true, SN_ARCH_ID_MAX - 1, problem);
    if (id != NULL && sn_arch_decode(space, id, ret, &err) != SN_OK)
        sn_problem_at(problem, "/arch", "%.200s", err.message);
    return problem->n == 0;
}

static int read_small(const json_t *body, const char *name, int most,
                      int otherwise, struct sn_problem *problem)
{
    const json_t *value = json_object_get(body, name);
    json_int_t number = json_integer_value(value);
    if (value == NULL)
        return otherwise;
    if (!json_is_integer(value) || number < 1 || number > most) {
        char pointer[SN_POINTER_MAX];
        sn_json_pointer_join("", name, pointer);
        sn_problem_at(problem, pointer, "must be a whole number from 1 to %d",
                      most);
        return otherwise;
    }
    return (int)number;
}

void sn_post_space_arch(struct sn_request *rq)
{
    const struct sn_space_view *view = space_of_path(rq);
    struct sn_problem problem = {0};
    struct sn_arch arch;
    if (view == NULL)
        return;
    const struct sn_space *space = view->space;
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    int channels =
        read_small(body, "channels", SN_MAX_IMAGE_CHANNELS, 1, &problem);
    int classes = read_small(body, "classes", SN_MAX_CLASSES, 10, &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    if (problem.status == 0 && read_arch(space, body, &arch, &problem))
        sn_reply_json(rq, 200,
                      sn_arch_describe(space, &arch, channels, classes));
    else
        sn_reply_problem(rq, &problem);
    json_decref(body);
}
