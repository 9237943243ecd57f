/* Supernets: weights that are there, imported or left by a job, and models of
 * any architecture out of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/arch_json.h"
#include "api/handlers.h"
#include "api/json.h"

const struct sn_parameter sn_post_supernet_parameters[] = {
    {"name", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {"space", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {NULL}};
const struct sn_parameter sn_supernet_onnx_parameters[] = {
    {"calibration", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL},
    {"normalize", SN_PARAMETER_BOOL, 0, 0, NULL},
    {NULL}};
const struct sn_parameter sn_supernet_weights_parameters[] = {
    {"calibration", SN_PARAMETER_TEXT, 0, SN_NAME_MAX - 1, NULL}, {NULL}};

/* ---- as JSON ---- */

/* A float's own digits, not those of the double nearest to it. */
static json_t *numbers(const float *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.7g", (double)values[i]);
        json_array_append_new(list, sn_json_number(strtod(text, NULL)));
    }
    return list;
}

static json_t *text_or_null(const char *text)
{
    return sn_json_string(text[0] != '\0' ? text : NULL);
}

static json_t *links_of(const struct sn_supernet_view *s)
{
    json_t *links = json_object();
    char url[160];
    snprintf(url, sizeof url, "/api/v1/supernets/%.63s", s->name);
    sn_json_put(links, "self", sn_json_string(url));
    strcat(url, "/weights.safetensors");
    sn_json_put(links, "weights", sn_json_string(url));
    if (s->job != NULL) {
        snprintf(url, sizeof url, "/api/v1/jobs/%.63s", s->job);
        sn_json_put(links, "job", sn_json_string(url));
    }
    return links;
}

static json_t *supernet_object(const struct sn_supernet_view *s)
{
    const struct sn_supernet_info *info = &s->info;
    json_t *o = json_object();
    sn_json_put(o, "name", sn_json_string(s->name));
    sn_json_put(o, "job", sn_json_string(s->job));
    sn_json_put(o, "available", json_boolean(s->available));
    sn_json_put(o, "problem", sn_json_string(s->problem));
    sn_json_put(o, "created", sn_json_number(s->created));
    if (s->available) {
        int n = info->in_channels;
        sn_json_put(o, "space", sn_json_string(s->space));
        sn_json_put(o, "classes", json_integer(info->classes));
        sn_json_put(o, "channels", json_integer(n));
        sn_json_put(o, "step", json_integer((json_int_t)info->step));
        sn_json_put(o, "statistics", json_boolean(info->has_statistics));
        sn_json_put(o, "mean",
                    info->normalises ? numbers(info->mean, n) : json_null());
        sn_json_put(o, "std",
                    info->normalises ? numbers(info->std, n) : json_null());
        sn_json_put(o, "dataset", text_or_null(info->dataset));
        sn_json_put(o, "dataset_checksum",
                    text_or_null(info->dataset_checksum));
        sn_json_put(o, "bytes", json_integer((json_int_t)s->bytes));
        sn_json_put(o, "xxh3", sn_json_string(s->xxh3));
    }
    sn_json_put(o, "links", links_of(s));
    return o;
}

void sn_list_supernets(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_supernet_view *list = NULL;
    size_t n = host->supernet_list(host->self, &list);
    json_t *body = json_object(), *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, supernet_object(&list[i]));
    sn_json_put(body, "items", items);
    sn_json_put(body, "next_cursor", json_null());
    sn_reply_json(rq, 200, body);
}

/* The supernet that the path names; NULL after a 404. */
static const struct sn_supernet_view *named(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_supernet_view *s =
        host->supernet_get(host->self, sn_request_path(rq, 0));
    if (s == NULL)
        sn_reply_status(rq, 404, "there is no supernet %.64s",
                        sn_request_path(rq, 0));
    return s;
}

/* The same, fit for use; NULL after a reply. */
static const struct sn_supernet_view *usable(struct sn_request *rq)
{
    const struct sn_supernet_view *s = named(rq);
    if (s == NULL || s->available)
        return s;
    sn_reply_status(rq, 409, "the supernet cannot be used: %s", s->problem);
    return NULL;
}

void sn_get_supernet(struct sn_request *rq)
{
    const struct sn_supernet_view *s = named(rq);
    if (s != NULL)
        sn_reply_json(rq, 200, supernet_object(s));
}

/* ---- importing ---- */

struct import {
    struct sn_request *rq; /* a reference */
    bool upload;
    char name[SN_NAME_MAX];
};

/* Weights that do not fit are the user's, wherever the fault was found. */
static void reply_refusal(struct import *im, const struct sn_error *err)
{
    struct sn_error mine = *err;
    bool users = mine.code == SN_ERR_CORRUPT || mine.code == SN_ERR_NOTFOUND ||
                 mine.code == SN_ERR_INVALID ||
                 (mine.code == SN_ERR_IO && !im->upload);
    if (users)
        mine.code = SN_ERR_INVALID;
    if (users && mine.pointer[0] == '\0' && !im->upload)
        snprintf(mine.pointer, sizeof mine.pointer, "/path");
    sn_reply_error(im->rq, &mine);
}

static void imported(void *arg, const struct sn_error *err)
{
    struct import *im = arg;
    struct sn_request *rq = im->rq;
    char location[96];
    if (err != NULL && err->code != SN_OK) {
        reply_refusal(im, err);
    } else if (rq->connection != NULL) {
        const struct sn_host *host = rq->api->host;
        const struct sn_supernet_view *s =
            host->supernet_get(host->self, im->name);
        sn_reply_json(rq, 201, s != NULL ? supernet_object(s) : json_object());
        snprintf(location, sizeof location, "/api/v1/supernets/%s", im->name);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_LOCATION,
                                    location);
    }
    sn_request_unref(rq);
    free(im);
}

static void start_import(struct sn_request *rq,
                         const struct sn_supernet_import *order)
{
    const struct sn_host *host = rq->api->host;
    struct import *im = calloc(1, sizeof *im);
    if (im == NULL) {
        sn_reply_status(rq, 503, "out of memory");
        return;
    }
    im->rq = rq;
    im->upload = order->take;
    snprintf(im->name, sizeof im->name, "%s", order->name);
    sn_request_ref(rq);
    host->supernet_import(host->self, order, imported, im);
}

static void import_upload(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    struct sn_supernet_import order = {
        .name = sn_query_text(&rq->query, "name", NULL),
        .space = sn_query_text(&rq->query, "space", ""),
        .take = true,
    };
    if (order.name == NULL)
        sn_problem_at_parameter(&problem, "name", "is required");
    if (sn_upload_size(rq->upload) == 0)
        sn_problem_at(&problem, "", "the body must be a safetensors file");
    if (problem.status != 0) {
        sn_reply_problem(rq, &problem);
        return;
    }
    order.path = sn_upload_take(rq->upload);
    start_import(rq, &order);
}

static void import_path(struct sn_request *rq, json_t *body,
                        struct sn_problem *problem)
{
    static const char *const names[] = {"name", "space", "path", NULL};
    sn_json_check_members(body, "", names, problem);
    const char *space =
        sn_json_get_string(body, "", "space", false, SN_NAME_MAX - 1, problem);
    struct sn_supernet_import order = {
        .name = sn_json_get_string(body, "", "name", true, SN_NAME_MAX - 1,
                                   problem),
        .space = space != NULL ? space : "",
        .path = sn_json_get_string(body, "", "path", true, 4000, problem),
    };
    if (order.path != NULL && order.path[0] != '/')
        sn_problem_at(problem, "/path", "must be an absolute path");
    if (rq->query.n > 0)
        sn_problem_at_parameter(problem, rq->query.pair[0].name,
                                "belongs to an upload; in JSON it is a member");
    if (problem->status == 0)
        start_import(rq, &order);
}

void sn_post_supernet(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    if (rq->upload != NULL) {
        import_upload(rq);
        return;
    }
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    else if (body != NULL)
        import_path(rq, body, &problem);
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

void sn_delete_supernet(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    if (named(rq) == NULL)
        return;
    sn_request_ref(rq);
    host->supernet_delete(host->self, sn_request_path(rq, 0), deleted, rq);
}

/* ---- the weights, and models ---- */

void sn_get_supernet_weights(struct sn_request *rq)
{
    const struct sn_supernet_view *s = usable(rq);
    char name[SN_NAME_MAX + 16];
    if (s == NULL)
        return;
    snprintf(name, sizeof name, "%s.safetensors", s->name);
    sn_reply_file(rq, s->path, name);
}

static bool find_arch(struct sn_request *rq, const struct sn_supernet_view *s,
                      const struct sn_space **ret_space,
                      struct sn_arch *ret_arch)
{
    struct sn_error err = {0};
    const struct sn_host *host = rq->api->host;
    const struct sn_space_view *view = host->space_get(host->self, s->space);
    *ret_space = view != NULL ? view->space : NULL;
    if (*ret_space == NULL) {
        sn_reply_status(rq, 404, "there is no space %s", s->space);
        return false;
    }
    if (sn_arch_decode(*ret_space, sn_request_path(rq, 1), ret_arch, &err) !=
        SN_OK) {
        sn_reply_status(rq, 404, "no architecture of space %s: %s", s->space,
                        err.message);
        return false;
    }
    return true;
}

void sn_get_supernet_arch(struct sn_request *rq)
{
    static const char *const kinds[][2] = {{"self", ""},
                                           {"onnx", "/model.onnx"},
                                           {"weights", "/weights.safetensors"}};
    const struct sn_supernet_view *s = usable(rq);
    const struct sn_space *space;
    struct sn_arch arch;
    char id[SN_ARCH_ID_MAX];
    if (s == NULL || !find_arch(rq, s, &space, &arch))
        return;
    json_t *body =
        sn_arch_describe(space, &arch, s->info.in_channels, s->info.classes);
    json_t *links = json_object();
    sn_arch_encode(space, &arch, id);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char url[384];
        snprintf(url, sizeof url, "/api/v1/supernets/%s/architectures/%s%s",
                 s->name, id, kinds[i][1]);
        sn_json_put(links, kinds[i][0], sn_json_string(url));
    }
    sn_json_put(body, "links", links);
    sn_reply_json(rq, 200, body);
}

static const struct sn_dataset_view *
calibration_set(struct sn_request *rq, const struct sn_supernet_view *s,
                const char *name, struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_dataset_view *data = host->dataset_get(host->self, name);
    if (data == NULL || !data->available)
        sn_problem_at_parameter(problem, "calibration",
                                "%.64s is no data set that can be used; none: "
                                "the statistics that the supernet holds",
                                name);
    else if (data->info.classes != s->info.classes ||
             data->info.channels != s->info.in_channels)
        sn_problem_at_parameter(
            problem, "calibration",
            "%.64s has %d classes and %d channels, the supernet has %d and %d",
            name, data->info.classes, data->info.channels, s->info.classes,
            s->info.in_channels);
    return problem->status == 0 ? data : NULL;
}

/* What `calibration` asks for: a data set, or NULL for the statistics that are
 * held. Without it the data set that the supernet was trained on where it is
 * still the same, else what is held. */
static const struct sn_dataset_view *
choose_calibration(struct sn_request *rq, const struct sn_supernet_view *s,
                   struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    const char *asked = sn_query_text(&rq->query, "calibration", NULL);
    const struct sn_dataset_view *own =
        asked == NULL && s->info.dataset[0] != '\0'
            ? host->dataset_get(host->self, s->info.dataset)
            : NULL;
    if (own != NULL && own->available &&
        strcmp(own->info.checksum, s->info.dataset_checksum) == 0)
        return own;
    if (asked != NULL && strcmp(asked, "none") != 0)
        return calibration_set(rq, s, asked, problem);
    if (!s->info.has_statistics) {
        sn_problem_set(problem, 422,
                       "the supernet holds no BN statistics: pass "
                       "calibration=<a data set with %d classes>",
                       s->info.classes);
        sn_problem_at_parameter(problem, "calibration", "names a data set");
    }
    return NULL;
}

static void exported(void *arg, const struct sn_error *err, const char *path)
{
    struct sn_request *rq = arg;
    const char *suffix = strrchr(rq->path, '.');
    char name[SN_ARCH_ID_MAX + 32];
    snprintf(name, sizeof name, "%s%s", sn_request_path(rq, 1),
             suffix != NULL ? suffix : "");
    if (err != NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else if (rq->connection != NULL)
        sn_reply_file(rq, path, name);
    sn_request_unref(rq);
}

static void export_model(struct sn_request *rq, enum sn_export_format format)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_supernet_view *s = usable(rq);
    const struct sn_space *space;
    struct sn_problem problem = {0};
    struct sn_supernet_model what = {
        .format = format,
        .plain_input = !sn_query_bool(&rq->query, "normalize", true),
    };
    if (s == NULL || !find_arch(rq, s, &space, &what.arch))
        return;
    const struct sn_dataset_view *data = choose_calibration(rq, s, &problem);
    if (problem.status != 0) {
        sn_reply_problem(rq, &problem);
        return;
    }
    what.supernet = s;
    what.calibration = data;
    sn_request_ref(rq);
    host->supernet_export(host->self, &what, exported, rq);
}

void sn_get_supernet_onnx(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_ONNX);
}

void sn_get_supernet_arch_weights(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_SAFETENSORS);
}
