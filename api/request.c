/* Requests: checks, bodies, deadlines. Replies are in reply.c. */
#include "api/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "api/guard.h"
#include "api/spec_json.h"

/* A connection: cut when `deadline` (0: none) passes. */
struct sn_link {
    struct sn_link *next, **link_at;
    int fd;
    uint64_t deadline;
    bool busy; /* a request is under way */
};

static struct sn_link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void sn_request_link(void *arg, struct MHD_Connection *connection,
                     void **context, enum MHD_ConnectionNotificationCode what)
{
    struct sn_api *api = arg;
    struct sn_link *link = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (link != NULL) {
            *link->link_at = link->next;
            if (link->next != NULL)
                link->next->link_at = link->link_at;
        }
        free(link);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    link = calloc(1, sizeof *link);
    if (link == NULL || info == NULL) {
        free(link);
        return;
    }
    link->fd = info->connect_fd;
    link->deadline = sn_server_now() + api->limits.request_ms;
    link->next = api->links;
    link->link_at = &api->links;
    if (link->next != NULL)
        link->next->link_at = &link->next;
    api->links = link;
    *context = link;
}

static void set_deadline(struct sn_request *rq, uint64_t ms)
{
    struct sn_link *link = link_of(rq->connection);
    if (link != NULL)
        link->deadline = ms == 0 ? 0 : sn_server_now() + ms;
}

/* ---- begin and end ---- */

void *sn_request_begin(void *arg, const char *target,
                       struct MHD_Connection *connection)
{
    struct sn_api *api = arg;
    struct sn_request *rq = calloc(1, sizeof *rq);
    struct sn_link *link = link_of(connection);
    if (rq == NULL || (rq->path = strdup(target)) == NULL) {
        free(rq);
        return NULL;
    }
    rq->query_text = strchr(rq->path, '?');
    if (rq->query_text != NULL)
        *rq->query_text++ = '\0';
    rq->api = api;
    rq->connection = connection;
    rq->begun = sn_server_now();
    rq->refs = 1;
    rq->next = api->requests;
    rq->link_at = &api->requests;
    if (rq->next != NULL)
        rq->next->link_at = &rq->next;
    api->requests = rq;
    if (link != NULL)
        link->busy = true;
    set_deadline(rq, api->limits.request_ms);
    return rq;
}

void sn_request_ref(struct sn_request *rq)
{
    rq->refs++;
}

void sn_request_unref(struct sn_request *rq)
{
    if (--rq->refs > 0)
        return;
    if (rq->response != NULL)
        MHD_destroy_response(rq->response);
    free(rq->body);
    free(rq->path);
    free(rq);
}

void sn_request_completed(void *arg, struct MHD_Connection *connection,
                          void **request, enum MHD_RequestTerminationCode why)
{
    struct sn_request *rq = *request;
    struct sn_link *link = link_of(connection);
    *request = NULL;
    if (link != NULL)
        link->busy = false;
    if (rq == NULL)
        return;
    rq->api->n_requests++;
    set_deadline(rq, rq->api->limits.request_ms);
    *rq->link_at = rq->next;
    if (rq->next != NULL)
        rq->next->link_at = rq->link_at;
    sn_upload_free(rq->upload);
    rq->upload = NULL;
    rq->connection = NULL;
    rq->api = NULL; /* it may outlive the server */
    sn_request_unref(rq);
}

/* ---- the checks before the body ---- */

static bool has_body(const struct sn_request *rq)
{
    const char *length = sn_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return sn_request_header(rq, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

static void check_route(struct sn_request *rq, const char *method)
{
    size_t n;
    const struct sn_route *routes = sn_routes(&n);
    unsigned status = sn_router_find(routes, n, method, rq->path, &rq->match);
    if (status == 405) {
        struct sn_problem problem = {0};
        sn_problem_set(&problem, 405, "%s is not possible here, only %s",
                       method, rq->match.allow);
        sn_reply_problem(rq, &problem);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_ALLOW,
                                    rq->match.allow);
    } else if (status == 400) {
        sn_reply_status(rq, 400, "the path cannot be decoded");
    } else if (status != 200) {
        sn_reply_status(rq, 404, "there is nothing at %.200s", rq->path);
    }
}

/* Whether the body goes to a file. */
static bool is_upload(const struct sn_request *rq)
{
    const char *type = sn_request_header(rq, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *const *list =
        rq->match.route != NULL ? rq->match.route->file_types : NULL;
    size_t n = type != NULL ? strcspn(type, "; \t") : 0;
    for (; type != NULL && list != NULL && *list != NULL; list++)
        if (strlen(*list) == n && strncasecmp(*list, type, n) == 0)
            return true;
    return false;
}

static uint64_t limit_of(const struct sn_request *rq)
{
    if (is_upload(rq))
        return rq->api->limits.upload;
    size_t limit = rq->match.route != NULL ? rq->match.route->body_limit : 0;
    return limit < rq->api->limits.body ? limit : rq->api->limits.body;
}

static void check_size(struct sn_request *rq)
{
    const char *length = sn_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t limit = limit_of(rq);
    if (limit == 0 && has_body(rq))
        sn_reply_status(rq, 400, "this call takes no body");
    else if (length != NULL && strtoull(length, NULL, 10) > limit && limit > 0)
        sn_reply_status(rq, 413, "the body is over the limit of %llu bytes",
                        (unsigned long long)limit);
}

static void check(struct sn_request *rq, const char *method)
{
    struct sn_problem problem = {0};
    const struct sn_api *api = rq->api;
    const char *why = sn_guard_origin(
        sn_request_header(rq, MHD_HTTP_HEADER_HOST),
        sn_request_header(rq, MHD_HTTP_HEADER_ORIGIN), api->check_host);
    if (why != NULL) {
        sn_reply_status(rq, 403, "%s", why);
        return;
    }
    check_route(rq, method);
    if (rq->response != NULL)
        return;
    if (!rq->match.route->open &&
        !sn_guard_token(api->token,
                        sn_request_header(rq, MHD_HTTP_HEADER_AUTHORIZATION))) {
        sn_reply_status(rq, 401,
                        "this needs the header Authorization: Bearer "
                        "with the token of this server");
        if (rq->response != NULL)
            MHD_add_response_header(rq->response,
                                    MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
        return;
    }
    if (rq->match.route->place != SN_PLACE_FILES &&
        !sn_query_parse(rq->query_text, rq->match.route->parameters, &rq->query,
                        &problem))
        sn_reply_problem(rq, &problem);
    else
        check_size(rq);
}

/* ---- the body, the handler, the reply ---- */

/* How much of a body that is refused is read and thrown away. A reply before
 * the end of the body closes the connection, and bytes that are then still on
 * their way make the kernel reset it: many clients would see the reset and
 * never the reply. */
static size_t discard_limit(const struct sn_request *rq)
{
    enum { UPLOAD = 16 << 20 };
    return is_upload(rq) ? UPLOAD : 4 * (size_t)limit_of(rq) + 65536;
}

/* Whether a refusal can wait for the body's end: not where the client asks
 * before it sends, nor where it says that it will send too much. */
static bool can_wait(const struct sn_request *rq)
{
    const char *length = sn_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return sn_request_header(rq, MHD_HTTP_HEADER_EXPECT) == NULL &&
           (length == NULL || strtoull(length, NULL, 10) <= discard_limit(rq));
}

/* Over the limit it keeps reading for a while, because MHD takes no reply
 * before the end; false gives up on the connection. */
static bool collect(struct sn_request *rq, const char *bytes, size_t n)
{
    uint64_t limit = limit_of(rq);
    if (rq->response != NULL || rq->over_limit || rq->body_size + n > limit) {
        rq->over_limit = true;
        rq->discarded += n;
        return rq->discarded <= discard_limit(rq);
    }
    if (rq->body_size + n + 1 > rq->body_room) {
        size_t room = 2 * (rq->body_size + n) + 1024;
        char *grown = realloc(rq->body, room);
        if (grown == NULL)
            return false;
        rq->body = grown;
        rq->body_room = room;
    }
    memcpy(rq->body + rq->body_size, bytes, n);
    rq->body_size += n;
    rq->body[rq->body_size] = '\0';
    return true;
}

/* ---- a body that goes to a file ---- */

/* A client that sends slower than this, after the time that every request has,
 * is cut. */
enum { UPLOAD_BYTES_A_MS = 64 };

static void extend_deadline(struct sn_request *rq)
{
    struct sn_link *link = link_of(rq->connection);
    if (link != NULL)
        link->deadline = rq->begun + rq->api->limits.request_ms +
                         sn_upload_size(rq->upload) / UPLOAD_BYTES_A_MS;
}

static void suspend(struct sn_request *rq)
{
    rq->suspended = true;
    rq->work_deadline = sn_server_now() + rq->api->limits.work_ms;
    MHD_suspend_connection(rq->connection);
}

static void on_upload_more(void *arg)
{
    struct sn_request *rq = arg;
    if (!rq->suspended)
        return;
    rq->begun += sn_server_now() + rq->api->limits.work_ms - rq->work_deadline;
    extend_deadline(rq);
    rq->suspended = false;
    MHD_resume_connection(rq->connection);
    sn_server_wake(rq->api->server);
}

static void on_upload_whole(void *arg)
{
    struct sn_request *rq = arg;
    const struct sn_error *err = sn_upload_error(rq->upload);
    if (rq->response == NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else if (rq->response == NULL)
        rq->match.route->handle(rq);
}

static void begin_upload(struct sn_request *rq)
{
    const char *length = sn_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct sn_upload_calls calls = {on_upload_more, on_upload_whole, rq};
    struct sn_error err = {0};
    if (sn_upload_begin(rq->api->uploads, limit_of(rq),
                        length != NULL ? strtoull(length, NULL, 10) : 0, &calls,
                        &rq->upload, &err) != SN_OK)
        sn_reply_error(rq, &err);
}

static bool collect_upload(struct sn_request *rq, const char *bytes, size_t n)
{
    if (rq->api->closing)
        return false;
    bool goes_on = sn_upload_add(rq->upload, bytes, n);
    extend_deadline(rq);
    if (rq->response != NULL || sn_upload_error(rq->upload)->code != SN_OK) {
        rq->discarded += n;
        return rq->discarded <= discard_limit(rq);
    }
    if (!goes_on && !rq->suspended) {
        set_deadline(rq, 0); /* it is not the client who is slow */
        suspend(rq);
    }
    return true;
}

static enum MHD_Result send_reply(struct sn_request *rq)
{
    enum MHD_Result rc =
        MHD_queue_response(rq->connection, rq->status, rq->response);
    MHD_destroy_response(rq->response);
    rq->response = NULL;
    return rc;
}

static void receive(struct sn_request *rq)
{
    rq->received = true;
    set_deadline(rq, 0);
    if (rq->response != NULL)
        return;
    if (rq->upload != NULL)
        sn_upload_end(rq->upload);
    else if (rq->over_limit)
        sn_reply_status(rq, 413, "the body is over the limit of %llu bytes",
                        (unsigned long long)limit_of(rq));
    else
        rq->match.route->handle(rq);
}

enum MHD_Result sn_request_access(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct sn_request *rq = *request;
    if (rq == NULL)
        return MHD_NO;
    if (!rq->started) {
        rq->started = true;
        check(rq, method);
        if (rq->response == NULL && is_upload(rq))
            begin_upload(rq);
        return rq->response != NULL && has_body(rq) && !can_wait(rq)
                   ? send_reply(rq)
                   : MHD_YES;
    }
    if (*upload_size > 0) {
        bool good = rq->upload != NULL
                        ? collect_upload(rq, upload, *upload_size)
                        : collect(rq, upload, *upload_size);
        *upload_size = 0;
        return good ? MHD_YES : MHD_NO;
    }
    if (!rq->received)
        receive(rq);
    if (rq->response == NULL && rq->api->closing)
        sn_reply_status(rq, 503, "the server is stopping");
    if (rq->response != NULL)
        return send_reply(rq);
    suspend(rq);
    return MHD_YES;
}

/* ---- time ---- */

void sn_request_tick(struct sn_api *api)
{
    uint64_t now = sn_server_now();
    for (struct sn_link *link = api->links; link != NULL; link = link->next) {
        if (link->deadline != 0 && now >= link->deadline) {
            link->deadline = 0;
            shutdown(link->fd, SHUT_RDWR);
        }
    }
    for (struct sn_request *rq = api->requests; rq != NULL; rq = rq->next) {
        if (rq->suspended && now >= rq->work_deadline)
            sn_reply_status(rq, 503, "this took too long; try again");
    }
}

void sn_request_refuse_waiting(struct sn_api *api)
{
    for (struct sn_request *rq = api->requests; rq != NULL; rq = rq->next) {
        if (rq->suspended)
            sn_reply_status(rq, 503, "the server is stopping");
    }
}

void sn_request_end_idle(struct sn_api *api)
{
    for (struct sn_link *link = api->links; link != NULL; link = link->next) {
        if (!link->busy)
            shutdown(link->fd, SHUT_RDWR);
    }
}

/* ---- what handlers ask ---- */

const char *sn_request_path(const struct sn_request *rq, unsigned i)
{
    return rq->match.parameter[i];
}

const char *sn_request_header(const struct sn_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const struct sn_job_view *sn_request_job(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *job =
        host->job_get(host->self, sn_request_path(rq, 0));
    if (job == NULL)
        sn_reply_status(rq, 404, "there is no job %.64s",
                        sn_request_path(rq, 0));
    return job;
}

bool sn_request_arch(struct sn_request *rq, const struct sn_job_view *job,
                     const char *id, struct sn_spec *ret_spec,
                     const struct sn_space **ret_space,
                     struct sn_arch *ret_arch)
{
    struct sn_error err = {0};
    if (sn_spec_parse(job->spec_resolved_json, ret_spec, NULL, &err) != SN_OK) {
        sn_reply_error(rq, &err);
        return false;
    }
    const struct sn_host *host = rq->api->host;
    const struct sn_space_view *view =
        host->space_get(host->self, ret_spec->space);
    if (view == NULL) {
        sn_reply_status(rq, 404, "there is no space %s", ret_spec->space);
        return false;
    }
    *ret_space = view->space;
    ret_spec->made_space = view->json != NULL ? view->space : NULL;
    if (id != NULL && sn_arch_decode(*ret_space, id, ret_arch, &err) != SN_OK) {
        sn_reply_status(rq, 404, "no architecture of space %s: %s",
                        ret_spec->space, err.message);
        return false;
    }
    if (id != NULL && sn_spec_is_single(ret_spec) &&
        strcmp(id, ret_spec->architecture) != 0) {
        sn_reply_status(rq, 404, "the job trains one architecture alone: %s",
                        ret_spec->architecture);
        return false;
    }
    return true;
}
