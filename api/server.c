/* The bridge between libmicrohttpd and libuv. */
#include "api/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

struct sn_server {
    uv_poll_t poll;
    uv_timer_t timer, ticker;
    uv_idle_t idle;
    uv_async_t async;
    uv_loop_t *loop;
    unsigned open_handles;
    bool has_poll, quiesced;
    struct MHD_Daemon *daemon;
    struct sn_server_calls calls;
    struct sockaddr_storage bound;
    int listen_fd;

    pthread_mutex_t lock; /* of the two below */
    struct sn_post *first, **last;

    void (*closed)(void *arg);
    void *closed_arg;
};

uint64_t sn_server_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the pump ---- */

static void on_timer(uv_timer_t *timer);
static void on_idle(uv_idle_t *idle);

static void pump(struct sn_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (s->daemon == NULL)
        return;
    MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &ms) != MHD_YES) {
        uv_timer_stop(&s->timer);
    } else if (ms == 0) {
        uv_timer_stop(&s->timer);
        uv_idle_start(&s->idle, on_idle);
    } else {
        uv_timer_start(&s->timer, on_timer, ms, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    pump(idle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    pump(poll->data);
}

static void on_tick(uv_timer_t *timer)
{
    struct sn_server *s = timer->data;
    s->calls.tick(s->calls.arg);
}

/* Sends coalesce, so it drains fully. */
static void on_async(uv_async_t *async)
{
    struct sn_server *s = async->data;
    pthread_mutex_lock(&s->lock);
    struct sn_post *post = s->first;
    s->first = NULL;
    s->last = &s->first;
    pthread_mutex_unlock(&s->lock);
    while (post != NULL) {
        struct sn_post *next = post->next; /* it may free itself */
        post->run(post);
        post = next;
    }
    pump(s);
}

void sn_server_post(struct sn_server *s, struct sn_post *post)
{
    post->next = NULL;
    pthread_mutex_lock(&s->lock);
    *s->last = post;
    s->last = &post->next;
    /* Under the lock: when the loop has seen the post, this is over. */
    uv_async_send(&s->async);
    pthread_mutex_unlock(&s->lock);
}

void sn_server_wake(struct sn_server *s)
{
    uv_idle_start(&s->idle, on_idle);
}

/* ---- starting ---- */

enum sn_err sn_server_new(struct uv_loop_s *loop, struct sn_server **ret,
                          struct sn_error *err)
{
    struct sn_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    int rc = uv_async_init(loop, &s->async, on_async);
    if (rc != 0) {
        free(s);
        return sn_error_set(err, SN_ERR_IO, "libuv: %s", uv_strerror(rc));
    }
    pthread_mutex_init(&s->lock, NULL);
    s->last = &s->first;
    s->loop = loop;
    s->listen_fd = -1;
    uv_timer_init(loop, &s->timer);
    uv_timer_init(loop, &s->ticker);
    uv_idle_init(loop, &s->idle);
    s->async.data = s->timer.data = s->ticker.data = s->idle.data = s;
    s->open_handles = 4;
    *ret = s;
    return SN_OK;
}

static enum sn_err bind_socket(const struct sn_server_config *config,
                               int *ret_fd, struct sn_error *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    const int on = 1;
    snprintf(port, sizeof port, "%u", config->port);
    if (getaddrinfo(config->address, port, &hints, &found) != 0)
        return sn_error_set(err, SN_ERR_INVALID,
                            "'%s' is no numeric address to listen on",
                            config->address);
    int fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum sn_err rc = SN_OK;
    if (fd < 0) {
        rc = sn_error_errno(err, errno, "making a socket");
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (found->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
            listen(fd, 128) != 0) {
            rc = sn_error_errno(err, errno, "listening on %s port %u",
                                config->address, config->port);
            close(fd);
        }
    }
    freeaddrinfo(found);
    if (rc == SN_OK)
        *ret_fd = fd;
    return rc;
}

static enum sn_err start_daemon(struct sn_server *s,
                                const struct sn_server_config *config,
                                struct sn_error *err)
{
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        s->calls.access, s->calls.arg, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)s->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        config->connections, MHD_OPTION_CONNECTION_TIMEOUT, config->idle_s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
        s->calls.begin, s->calls.arg, MHD_OPTION_NOTIFY_COMPLETED,
        s->calls.completed, s->calls.arg, MHD_OPTION_NOTIFY_CONNECTION,
        s->calls.link, s->calls.arg, MHD_OPTION_END);
    if (s->daemon == NULL)
        return sn_error_set(err, SN_ERR_IO,
                            "libmicrohttpd does not start on the socket");
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "libmicrohttpd has no epoll");
    int fd = info->epoll_fd;
    int rc = uv_poll_init(s->loop, &s->poll, fd);
    if (rc != 0)
        return sn_error_set(err, SN_ERR_IO, "watching connections: %s",
                            uv_strerror(rc));
    s->poll.data = s;
    s->has_poll = true;
    s->open_handles++;
    uv_poll_start(&s->poll, UV_READABLE, on_poll);
    uv_timer_start(&s->ticker, on_tick, SN_TICK_MS, SN_TICK_MS);
    sn_server_wake(s);
    return SN_OK;
}

enum sn_err sn_server_start(struct sn_server *s,
                            const struct sn_server_config *config,
                            const struct sn_server_calls *calls,
                            struct sn_error *err)
{
    socklen_t size = sizeof s->bound;
    enum sn_err rc;
    s->calls = *calls;
    s->listen_fd = config->listen_fd;
    if (s->listen_fd < 0 &&
        (rc = bind_socket(config, &s->listen_fd, err)) != SN_OK)
        return rc;
    if (getsockname(s->listen_fd, (struct sockaddr *)&s->bound, &size) != 0)
        rc = sn_error_errno(err, errno, "the listening socket");
    else
        rc = start_daemon(s, config, err);
    if (s->daemon == NULL) {
        close(s->listen_fd);
        s->listen_fd = -1;
    }
    return rc;
}

unsigned sn_server_port(const struct sn_server *s)
{
    const void *at = &s->bound;
    if (s->bound.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)at)->sin_port);
    if (s->bound.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)at)->sin6_port);
    return 0;
}

bool sn_server_is_unix(const struct sn_server *s)
{
    return s->bound.ss_family == AF_UNIX;
}

bool sn_server_is_loopback(const struct sn_server *s)
{
    const void *at = &s->bound;
    if (s->bound.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 ==
               127;
    if (s->bound.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)at)->sin6_addr);
    return sn_server_is_unix(s);
}

/* ---- stopping ---- */

unsigned sn_server_connections(struct sn_server *s)
{
    const union MHD_DaemonInfo *info =
        s->daemon == NULL ? NULL
                          : MHD_get_daemon_info(
                                s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info == NULL ? 0 : info->num_connections;
}

void sn_server_quiesce(struct sn_server *s)
{
    if (s->daemon == NULL || s->quiesced)
        return;
    s->quiesced = true;
    MHD_socket fd = MHD_quiesce_daemon(s->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct sn_server *s = handle->data;
    if (--s->open_handles > 0)
        return;
    void (*closed)(void *arg) = s->closed;
    void *arg = s->closed_arg;
    pthread_mutex_destroy(&s->lock);
    free(s);
    closed(arg);
}

void sn_server_close(struct sn_server *s, void (*closed)(void *arg), void *arg)
{
    s->closed = closed;
    s->closed_arg = arg;
    sn_server_quiesce(s);
    /* Stopping closes the epoll fd, so libuv lets go of it first. */
    if (s->has_poll)
        uv_poll_stop(&s->poll);
    uv_timer_stop(&s->timer);
    uv_timer_stop(&s->ticker);
    uv_idle_stop(&s->idle);
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (s->has_poll)
        uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->ticker, on_handle_closed);
    uv_close((uv_handle_t *)&s->idle, on_handle_closed);
    uv_close((uv_handle_t *)&s->async, on_handle_closed);
}
