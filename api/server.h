/* sn_server - libmicrohttpd driven by a libuv loop: the only place where the
 * two meet.
 *
 *   epoll fd of MHD --uv_poll--+
 *   MHD_get_timeout --uv_timer-+--> pump: MHD_run, then ask for the timeout
 *   wake --------one-shot idle-+    again and re-arm
 *   other threads --uv_async---> posted functions on the loop, then pump
 *
 * A timer of 0 ms that is re-armed in its own callback would freeze libuv
 * before 1.48, so "at once" is an idle handle that stops itself. All functions
 * are for the loop thread, but sn_server_post. Nothing here pumps inside a
 * callback of MHD's: wake only schedules.
 */
#ifndef SN_SERVER_H
#define SN_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "engine/err.h"

struct sn_server;
struct uv_loop_s;

struct sn_server_config {
    int listen_fd; /* taken; or -1 */
    const char *address;
    uint16_t port;
    unsigned connections;
    unsigned idle_s; /* without a byte in either direction */
};

/* What MHD calls, all with `arg`. */
struct sn_server_calls {
    void *arg;
    void *(*begin)(void *arg, const char *target, struct MHD_Connection *c);
    MHD_AccessHandlerCallback access;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback link;
    void (*tick)(void *arg); /* every SN_TICK_MS */
};

enum { SN_TICK_MS = 100 };

/* A function for the loop; lives in whatever it is about. */
struct sn_post {
    struct sn_post *next;
    void (*run)(struct sn_post *post);
};

enum sn_err sn_server_new(struct uv_loop_s *loop, struct sn_server **ret,
                          struct sn_error *err);
enum sn_err sn_server_start(struct sn_server *s,
                            const struct sn_server_config *config,
                            const struct sn_server_calls *calls,
                            struct sn_error *err);
unsigned sn_server_port(const struct sn_server *s); /* 0: Unix socket */
/* Whether a byte from beyond this machine can reach the listener. */
bool sn_server_is_loopback(const struct sn_server *s);
bool sn_server_is_unix(const struct sn_server *s);
/* Milliseconds of a clock that never jumps; any thread. */
uint64_t sn_server_now(void);

/* Any thread; in order; the post is borrowed until it runs. */
void sn_server_post(struct sn_server *s, struct sn_post *post);
/* Pump soon: after a resume, or when a stream has got something to send. */
void sn_server_wake(struct sn_server *s);

unsigned sn_server_connections(struct sn_server *s);
/* Closes the listener; connections go on. */
void sn_server_quiesce(struct sn_server *s);
/* No connection may be suspended and no post be under way. Frees `s`, then
 * calls back from the loop. */
void sn_server_close(struct sn_server *s, void (*closed)(void *arg), void *arg);

#endif
