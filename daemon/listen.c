#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 128, FIRST_PASSED_FD = 3 };

static enum sn_err parse_unix(const char *path, struct sn_address *ret,
                              struct sn_error *err)
{
    struct sn_address out = {.is_unix = true, .is_private = true};
    struct sockaddr_un *un = (struct sockaddr_un *)&out.storage;
    if (path[0] != '/')
        return sn_error_set(err, SN_ERR_INVALID,
                            "listen: unix:%.100s: the path must be absolute",
                            path);
    if (strlen(path) >= sizeof un->sun_path)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "listen: a Unix socket's path has at most %zu "
                            "bytes",
                            sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    out.length = sizeof *un;
    *ret = out;
    return SN_OK;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* Whether an address is reached from this machine alone. */
static bool is_loopback(const struct sockaddr_storage *storage)
{
    if (storage->ss_family == AF_UNIX)
        return true;
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)storage;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

enum sn_err sn_address_parse(const char *text, struct sn_address *ret,
                             struct sn_error *err)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret, err);
    const char *colon = strrchr(text, ':');
    struct sn_address out = {0};
    char host[64];
    uint16_t port;
    if (colon == NULL || !parse_port(colon + 1, &port))
        return sn_error_set(err, SN_ERR_INVALID,
                            "listen: \"%.60s\" is not ADDRESS:PORT or "
                            "unix:PATH",
                            text);
    size_t n = (size_t)(colon - text);
    bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(brackets ? n - 2 : n),
             brackets ? text + 1 : text);
    struct sockaddr_in *in = (struct sockaddr_in *)&out.storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out.storage;
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (!brackets && inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        out.length = sizeof *in;
    } else if (brackets && inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        out.length = sizeof *in6;
    } else {
        return sn_error_set(err, SN_ERR_INVALID,
                            "listen: \"%.60s\" holds no numeric address "
                            "(127.0.0.1:8350, [::1]:8350)",
                            text);
    }
    out.is_private = is_loopback(&out.storage);
    *ret = out;
    return SN_OK;
}

/* Fills address and base URL from the socket itself. */
static enum sn_err describe(struct sn_listener *listener, struct sn_error *err)
{
    struct sn_address *a = &listener->address;
    char host[INET6_ADDRSTRLEN] = "";
    a->length = sizeof a->storage;
    if (getsockname(listener->fd, (struct sockaddr *)&a->storage, &a->length) <
        0)
        return sn_error_errno(err, errno, "reading the socket's address");
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->storage;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->storage;
    switch (a->storage.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(listener->base_url, sizeof listener->base_url, "http://%s:%u",
                 host, (unsigned)ntohs(in->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(listener->base_url, sizeof listener->base_url,
                 "http://[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
        break;
    case AF_UNIX:
        a->is_unix = true;
        snprintf(listener->base_url, sizeof listener->base_url, "unix:%s",
                 un->sun_path);
        break;
    default:
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "the socket is neither TCP nor Unix");
    }
    a->is_private = is_loopback(&a->storage);
    return SN_OK;
}

/* A path whose daemon is dead refuses connections: then it may go. */
static enum sn_err clear_stale(const struct sn_address *address,
                               struct sn_error *err)
{
    const struct sockaddr_un *un =
        (const struct sockaddr_un *)&address->storage;
    struct stat st;
    if (lstat(un->sun_path, &st) < 0)
        return errno == ENOENT
                   ? SN_OK
                   : sn_error_errno(err, errno, "listen: %s", un->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "listen: %s is there and is no socket",
                            un->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sn_error_errno(err, errno, "making a socket");
    int answer = connect(fd, (const struct sockaddr *)&address->storage,
                         address->length);
    int saved = errno;
    close(fd);
    if (answer == 0 || saved != ECONNREFUSED)
        return sn_error_set(err, SN_ERR_BUSY,
                            "listen: another process serves on unix:%s",
                            un->sun_path);
    if (unlink(un->sun_path) < 0)
        return sn_error_errno(err, errno, "listen: removing %s", un->sun_path);
    return SN_OK;
}

static void address_text(const struct sn_address *address, char ret[128])
{
    const struct sockaddr_in *in =
        (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *in6 =
        (const struct sockaddr_in6 *)&address->storage;
    const struct sockaddr_un *un =
        (const struct sockaddr_un *)&address->storage;
    char host[INET6_ADDRSTRLEN] = "";
    if (address->is_unix)
        snprintf(ret, 128, "unix:%s", un->sun_path);
    else if (address->storage.ss_family == AF_INET)
        snprintf(ret, 128, "%s:%u",
                 inet_ntop(AF_INET, &in->sin_addr, host, sizeof host),
                 (unsigned)ntohs(in->sin_port));
    else
        snprintf(ret, 128, "[%s]:%u",
                 inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host),
                 (unsigned)ntohs(in6->sin6_port));
}

static enum sn_err bind_error(const struct sn_address *address, int saved,
                              struct sn_error *err)
{
    char text[128];
    address_text(address, text);
    if (saved == EADDRINUSE)
        return sn_error_set(err, SN_ERR_BUSY,
                            "listen: %s is in use by another process", text);
    return sn_error_errno(err, saved, "listen: %s", text);
}

enum sn_err sn_listener_open(const struct sn_address *address,
                             struct sn_listener *ret, struct sn_error *err)
{
    struct sn_listener out = {.fd = -1};
    const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
    enum sn_err code = address->is_unix ? clear_stale(address, err) : SN_OK;
    if (code != SN_OK)
        return code;
    out.fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out.fd < 0)
        return sn_error_errno(err, errno, "making a socket");
    int on = 1;
    if (!address->is_unix)
        setsockopt(out.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Only the owner may connect to a Unix socket. */
    mode_t mask = umask(0177);
    int bound = bind(out.fd, sa, address->length);
    int saved = errno;
    umask(mask);
    if (bound < 0) {
        code = bind_error(address, saved, err);
        goto err_after_socket;
    }
    if (address->is_unix)
        strcpy(out.unlink_path, ((const struct sockaddr_un *)sa)->sun_path);
    if (listen(out.fd, BACKLOG) < 0) {
        code = bind_error(address, errno, err);
        goto err_after_socket;
    }
    code = describe(&out, err);
    if (code != SN_OK)
        goto err_after_socket;
    *ret = out;
    return SN_OK;

err_after_socket:
    sn_listener_close(&out);
    return code;
}

enum sn_err sn_listener_inherit(struct sn_listener *ret, struct sn_error *err)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid() ||
        strtol(fds, NULL, 10) < 1)
        return sn_error_set(err, SN_ERR_NOTFOUND, "no socket was passed");
    if (strtol(fds, NULL, 10) > 1)
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "systemd passed %.10s sockets; one is supported",
                            fds);
    struct sn_listener out = {.fd = FIRST_PASSED_FD};
    int listening = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(out.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ||
        !listening)
        return sn_error_set(err, SN_ERR_INVALID,
                            "the socket that systemd passed does not listen");
    fcntl(out.fd, F_SETFD, FD_CLOEXEC);
    enum sn_err code = describe(&out, err);
    if (code == SN_OK)
        *ret = out;
    return code;
}

void sn_listener_close(struct sn_listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    if (listener->unlink_path[0] != '\0')
        unlink(listener->unlink_path);
    listener->unlink_path[0] = '\0';
}
