/* A real server for tests: the API on a libuv loop of its own thread, on a free
 * loopback port, over a real storage in a temporary folder, with a small host
 * in place of the daemon; and a raw client.
 */
#ifndef SN_TEST_API_HARNESS_H
#define SN_TEST_API_HARNESS_H

#include <semaphore.h>
#include <stdatomic.h>

#include <uv.h>

#include "api/api.h"

enum { HARNESS_JOBS = 5 };

struct harness {
    char dir[64];
    struct sn_storage *storage;
    struct sn_host host;
    struct sn_api *api;
    unsigned port;
    uv_loop_t loop;
    uv_async_t call;
    pthread_t thread;
    pthread_mutex_t calling; /* one call at a time */
    sem_t answered;
    sem_t closed;
    void (*fn)(struct harness *h, void *arg);
    void *arg;
    atomic_bool stop;

    struct sn_job_view job[HARNESS_JOBS];
    struct sn_spec spec[HARNESS_JOBS];
    char *submitted; /* the spec of the last submission, as resolved */
    const struct sn_job_view *list[HARNESS_JOBS];
    size_t n_jobs;
    struct sn_dataset_view data;
    struct sn_space_view space[16];
    struct sn_space user_space;
    char *user_json; /* of the user's space, NULL: there is none */
    bool not_ready;
    char last_key[64]; /* of the last submission */
    unsigned submissions;
    sn_path_done export_done; /* the export that waits */
    void *export_arg;
    const char *export_path; /* answered at once when set */
    struct sn_supernet_view supernet;
    char imported[160], exported[160]; /* the last order, in words */
    long imported_bytes;
};

/* config: listen_fd, address, port and version are filled in. */
void harness_open(struct harness *h, struct sn_api_config *config);
/* Runs fn on the loop's thread and waits for it. */
void harness_call(struct harness *h, void (*fn)(struct harness *h, void *arg),
                  void *arg);
/* Closes the API and waits until it is. */
void harness_close_api(struct harness *h);
void harness_close(struct harness *h);

/* Stores an event and publishes it after its commit, as the daemon does. */
void harness_event(struct harness *h, const char *job, const char *type,
                   const char *payload);
/* Waits until all that was stored so far is published. */
void harness_settle(struct harness *h);

/* ---- the client ---- */

struct reply {
    int status;
    char head[4096];
    char *body;
    size_t size;
};
int client_connect(const struct harness *h);
void client_send(int fd, const char *text);
/* Reads one reply (Content-Length, or until the end); false: the connection
 * ended before it. `no_body`: of a HEAD. */
bool client_read(int fd, bool no_body, struct reply *ret);
void reply_close(struct reply *r);
/* The value of a header, or NULL; valid until the next call. */
const char *reply_header(const struct reply *r, const char *name);
/* One request on a connection of its own; Host is added. `extra`: header lines
 * with their ends, or "". */
void request(const struct harness *h, const char *method, const char *target,
             const char *extra, const char *body, struct reply *ret);
/* Reads from a stream until `want` is in what was read since the call began,
 * into text; false at its end, or after some seconds. */
bool stream_until(int fd, const char *want, char *text, size_t room);

#endif
