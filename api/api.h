/* sn_api - the HTTP side: libmicrohttpd on the caller's libuv loop, answering
 * from the host's tables and from storage's reader threads.
 *
 *   daemon --sn_host--> api           (api/host.h: what the API asks)
 *   daemon --sn_api_publish--> api    (a committed event, to the SSE streams)
 *
 * Life: new -> start -> (publish ...) -> quiesce -> close -> callback. All
 * functions are for the loop thread. Whoever includes this needs no header of
 * libuv's or libmicrohttpd's.
 */
#ifndef SN_API_H
#define SN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/host.h"
#include "engine/err.h"

struct sn_api;
struct uv_loop_s; /* libuv's uv_loop_t */

/* 0 takes the default that is named. */
struct sn_api_limits {
    unsigned connections;  /* 256 */
    unsigned streams;      /* 32 SSE streams at once, then 503 */
    size_t stream_backlog; /* 1 MiB unsent a stream; more drops the client */
    unsigned request_ms;   /* 30000: until a request has come whole, and how
                              long an idle connection is kept */
    unsigned work_ms;      /* 180000: until a handler has answered */
    unsigned heartbeat_ms; /* 15000 */
    size_t body;           /* 1 MiB: no call takes more in memory */
    uint64_t upload;       /* 4 GiB: nor in a file */
};

struct sn_api_config {
    int listen_fd;        /* bound and listening (taken by start; a Unix socket
                             is fine), or -1: bind address and port */
    const char *address;  /* "127.0.0.1", "::1", ...; NULL: 127.0.0.1 */
    uint16_t port;        /* 0: a free one */
    const char *web_root; /* the dashboard's folder, read once at start; it may
                             be missing: then a page says so */
    const char *token;    /* bearer token, or NULL: open. Not loopback and
                             without one: refused */
    const char *version;  /* of the program */
    struct sn_api_limits limits;
};

/* Copies the config; borrows loop and host, which outlive the api. Nothing is
 * opened yet. */
enum sn_err sn_api_new(struct uv_loop_s *loop, const struct sn_host *host,
                       const struct sn_api_config *config, struct sn_api **ret,
                       struct sn_error *err);
/* Listens and serves. SN_ERR_IO (port in use, ...), SN_ERR_UNSUPPORTED
 * (address beyond loopback without a token). After a failure, close it. */
enum sn_err sn_api_start(struct sn_api *api, struct sn_error *err);
/* The port that it listens on; 0 for a Unix socket or before start. */
unsigned sn_api_port(const struct sn_api *api);

/* Sends an event to the streams that want it. Call it after the commit, in the
 * order of seq; seq 0: it is not stored (progress), and only who listens now
 * gets it. event->payload is JSON (see api/event_json.h). A stream writes
 *
 *   id: <seq>            (only when seq > 0)
 *   event: <type>
 *   data: {"job": "<id>" | null, "time": <Unix seconds>, "data": <payload>}
 */
void sn_api_publish(struct sn_api *api, const struct sn_event *event);

/* Stops accepting connections; those that are there go on. */
void sn_api_quiesce(struct sn_api *api);

/* Ends the streams, lets running requests finish for at most a second or so,
 * stops, frees and then calls closed(arg) on the loop. Storage may be closed
 * only after that. NULL: calls back at once. */
typedef void (*sn_api_closed)(void *arg);
void sn_api_close(struct sn_api *api, sn_api_closed closed, void *arg);

#endif
