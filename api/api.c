/* The API as a whole: made, started, ended. */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/context.h"
#include "api/request.h"
#include "api/sse.h"
#include "api/static.h"
#include "api/upload.h"
#include "storage/storage.h"

enum { CLOSE_SOFT_MS = 1000, CLOSE_HARD_MS = 2000 };

static void take_defaults(struct sn_api_limits *l)
{
    if (l->connections == 0)
        l->connections = 256;
    if (l->streams == 0)
        l->streams = 32;
    if (l->stream_backlog == 0)
        l->stream_backlog = 1 << 20;
    if (l->request_ms == 0)
        l->request_ms = 30000;
    if (l->work_ms == 0)
        l->work_ms = 180000;
    if (l->heartbeat_ms == 0)
        l->heartbeat_ms = 15000;
    if (l->body == 0)
        l->body = 1 << 20;
    if (l->upload == 0)
        l->upload = 4ull << 30;
}

static void api_free(struct sn_api *api)
{
    sn_files_free(api->files);
    sn_uploads_free(api->uploads);
    free(api->address);
    free(api->web_root);
    free(api->token);
    free(api->version);
    free(api);
}

/* A copy of text; NULL stays NULL. */
static char *copy(const char *text, bool *failed)
{
    char *made = text != NULL ? strdup(text) : NULL;
    *failed |= text != NULL && made == NULL;
    return made;
}

enum sn_err sn_api_new(struct uv_loop_s *loop, const struct sn_host *host,
                       const struct sn_api_config *config, struct sn_api **ret,
                       struct sn_error *err)
{
    bool failed = false;
    struct timespec now;
    struct sn_api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    clock_gettime(CLOCK_REALTIME, &now);
    api->started_ms =
        (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    api->host = host;
    api->limits = config->limits;
    take_defaults(&api->limits);
    api->listen_fd = config->listen_fd;
    api->port = config->port;
    api->address =
        copy(config->address != NULL ? config->address : "127.0.0.1", &failed);
    api->web_root = copy(config->web_root, &failed);
    api->token = copy(config->token, &failed);
    api->version =
        copy(config->version != NULL ? config->version : "", &failed);
    enum sn_err rc = failed ? sn_error_set(err, SN_ERR_NOMEM, "out of memory")
                            : sn_server_new(loop, &api->server, err);
    if (rc != SN_OK) {
        api_free(api);
        return rc;
    }
    *ret = api;
    return SN_OK;
}

/* ---- running ---- */

static void on_closed(void *arg)
{
    struct sn_api *api = arg;
    sn_api_closed closed = api->closed;
    void *closed_arg = api->closed_arg;
    api_free(api);
    if (closed != NULL)
        closed(closed_arg);
}

/* Nothing may be suspended, or on another thread, when MHD stops. */
static void close_step(struct sn_api *api)
{
    uint64_t now = sn_server_now();
    sn_sse_end(api);
    sn_request_end_idle(api);
    if (now >= api->close_soft)
        sn_request_refuse_waiting(api);
    if (api->n_reads > 0 || sn_uploads_busy(api->uploads) ||
        (sn_server_connections(api->server) > 0 && now < api->close_hard)) {
        sn_server_wake(api->server);
        return;
    }
    sn_uploads_stop(api->uploads);
    struct sn_server *server = api->server;
    api->server = NULL;
    sn_server_close(server, on_closed, api);
}

static void on_tick(void *arg)
{
    struct sn_api *api = arg;
    sn_request_tick(api);
    sn_sse_tick(api);
    if (api->closing)
        close_step(api);
}

enum sn_err sn_api_start(struct sn_api *api, struct sn_error *err)
{
    struct sn_server_config config = {
        .listen_fd = api->listen_fd,
        .address = api->address,
        .port = api->port,
        .connections = api->limits.connections,
        .idle_s = api->limits.request_ms / 1000 + 30,
    };
    struct sn_server_calls calls = {
        .arg = api,
        .begin = sn_request_begin,
        .access = sn_request_access,
        .completed = sn_request_completed,
        .link = sn_request_link,
        .tick = on_tick,
    };
    enum sn_err rc = sn_files_load(api->web_root, &api->files, err);
    if (rc != SN_OK ||
        (rc = sn_uploads_new(api->server, sn_storage_dir(api->host->storage),
                             &api->uploads, err)) != SN_OK ||
        (rc = sn_server_start(api->server, &config, &calls, err)) != SN_OK)
        return rc;
    api->started = true;
    bool loopback = sn_server_is_loopback(api->server);
    api->check_host = loopback && !sn_server_is_unix(api->server);
    if (!loopback && api->token == NULL)
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "an address beyond this machine needs a token "
                            "file");
    return SN_OK;
}

unsigned sn_api_port(const struct sn_api *api)
{
    return api->started ? sn_server_port(api->server) : 0;
}

void sn_api_quiesce(struct sn_api *api)
{
    sn_server_quiesce(api->server);
}

void sn_api_close(struct sn_api *api, sn_api_closed closed, void *arg)
{
    if (api == NULL) {
        if (closed != NULL)
            closed(arg);
        return;
    }
    api->closed = closed;
    api->closed_arg = arg;
    api->closing = true;
    api->close_soft = sn_server_now() + CLOSE_SOFT_MS;
    api->close_hard = sn_server_now() + CLOSE_HARD_MS;
    if (!api->started) {
        sn_uploads_stop(api->uploads);
        struct sn_server *server = api->server;
        api->server = NULL;
        sn_server_close(server, on_closed, api);
        return;
    }
    sn_server_quiesce(api->server);
    sn_sse_end(api);
    sn_request_end_idle(api);
    sn_server_wake(api->server); /* the rest in ticks */
}
