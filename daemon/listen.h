/* sn_listen - the listening socket: an address, a Unix path, or one that
 * systemd has opened for us.
 *
 * Start-up only, before the loop serves.
 */
#ifndef SN_DAEMON_LISTEN_H
#define SN_DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/err.h"

struct sn_address {
    struct sockaddr_storage storage;
    socklen_t length;
    bool is_unix;
    bool is_private; /* loopback or a Unix socket */
};

/* "127.0.0.1:8350", "[::1]:0", "localhost:80" or "unix:/path". Host names are
 * not looked up, but for "localhost". */
enum sn_err sn_address_parse(const char *text, struct sn_address *ret,
                             struct sn_error *err);

struct sn_listener {
    int fd;
    struct sn_address address; /* as bound: the port is known */
    char base_url[160];        /* "http://127.0.0.1:8350"; "unix:/path" */
    char unlink_path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* Binds and listens. A Unix socket left behind by a dead daemon is replaced,
 * one that answers is SN_ERR_BUSY, as is a port in use. */
enum sn_err sn_listener_open(const struct sn_address *address,
                             struct sn_listener *ret, struct sn_error *err);

/* Takes the socket that systemd passed (LISTEN_FDS); SN_ERR_NOTFOUND when it
 * passed none. */
enum sn_err sn_listener_inherit(struct sn_listener *ret, struct sn_error *err);

/* Removes the Unix socket's path; closes the fd unless it was given away by
 * setting fd to -1. NULL is fine. */
void sn_listener_close(struct sn_listener *listener);

#endif
