/* sn_request - one HTTP request from its first line to its end: checks, body,
 * deadlines, the reply, and queries on storage's reader threads.
 *
 *   first line -> begin -> checks (host, route, token, query, size)
 *     -> body -> handler -+-> sn_reply_... ----------------------> sent
 *                         +-> nothing yet: the connection is suspended
 *                             ... sn_reply_... later: resumed ---> sent
 *
 * A handler either replies or arranges that someone does later; whoever will
 * reply later holds a reference (sn_request_ref) and gives it back after
 * replying. A request whose client or server has gone ignores replies. All on
 * the loop thread, except a read's `build`.
 */
#ifndef SN_REQUEST_H
#define SN_REQUEST_H

#include <jansson.h>
#include <microhttpd.h>

#include "api/context.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/router.h"
#include "api/upload.h"
#include "engine/engine.h"
#include "storage/storage.h"

struct sn_request {
    struct sn_request *next, **link_at; /* in api->requests */
    struct sn_api *api;
    struct MHD_Connection *connection; /* NULL once gone */
    unsigned refs;
    char *path, *query_text; /* the target, split at its '?'; query or NULL */
    struct sn_match match;
    struct sn_query query;
    char *body; /* with a NUL after body_size bytes */
    size_t body_size, body_room, discarded;
    struct sn_upload *upload; /* the body when it goes to a file; whole and
                                 without a failure when the handler sees it */
    bool started, received, suspended, over_limit;
    uint64_t begun;         /* later by what the disk kept it waiting */
    uint64_t work_deadline; /* while suspended */
    struct MHD_Response *response;
    unsigned status;
};

/* MHD's callbacks; arg is the api. */
void *sn_request_begin(void *arg, const char *target,
                       struct MHD_Connection *connection);
enum MHD_Result sn_request_access(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **request);
void sn_request_completed(void *arg, struct MHD_Connection *connection,
                          void **request, enum MHD_RequestTerminationCode why);
void sn_request_link(void *arg, struct MHD_Connection *connection,
                     void **context, enum MHD_ConnectionNotificationCode what);
/* Cuts connections whose request has not come whole in time, answers what
 * takes too long. */
void sn_request_tick(struct sn_api *api);
/* For closing: answers 503 to all that wait; ends idle connections. */
void sn_request_refuse_waiting(struct sn_api *api);
void sn_request_end_idle(struct sn_api *api);

void sn_request_ref(struct sn_request *rq);
void sn_request_unref(struct sn_request *rq);

/* The i-th {parameter} of the path. */
const char *sn_request_path(const struct sn_request *rq, unsigned i);
const char *sn_request_header(const struct sn_request *rq, const char *name);

/* ---- replies; the first one counts ---- */

/* Takes the response (NULL: out of memory, a 503). */
void sn_reply(struct sn_request *rq, unsigned status,
              struct MHD_Response *response);
/* Takes the text (malloc'ed; NULL: out of memory). */
void sn_reply_text(struct sn_request *rq, unsigned status, const char *type,
                   char *text);
/* Takes the reference. */
void sn_reply_json(struct sn_request *rq, unsigned status, json_t *body);
void sn_reply_empty(struct sn_request *rq, unsigned status);
void sn_reply_problem(struct sn_request *rq, const struct sn_problem *problem);
void sn_reply_error(struct sn_request *rq, const struct sn_error *err);
void sn_reply_status(struct sn_request *rq, unsigned status, const char *fmt,
                     ...) __attribute__((format(printf, 3, 4)));
/* A file to download; `name` is plain. */
void sn_reply_file(struct sn_request *rq, const char *path, const char *name);
/* A response of JSON text with the headers that all have, to add more. Takes
 * the text. NULL when out of memory. */
struct MHD_Response *sn_response_json(char *text);

/* ---- what several handlers need ---- */

/* The job that the path names; NULL after a 404. */
const struct sn_job_view *sn_request_job(struct sn_request *rq);
/* The space of a job and, with `id` not NULL, an architecture of it (of a job
 * that trains one the only one); false after a reply. */
bool sn_request_arch(struct sn_request *rq, const struct sn_job_view *job,
                     const char *id, struct sn_spec *ret_spec,
                     const struct sn_space **ret_space,
                     struct sn_arch *ret_arch);

/* A query of storage: `build` runs on a reader thread, where it may look at
 * nothing but the read itself, and sets text (owned JSON) or problem. Put it
 * first in a struct of the query's parameters, made by calloc. */
struct sn_reader;
struct sn_read {
    struct sn_post post;
    struct sn_request *rq; /* for the loop alone */
    struct sn_api *api;    /* the same */
    struct sn_server *server;
    void (*build)(struct sn_read *read, struct sn_reader *reader);
    void (*drop)(struct sn_read *read); /* frees what it holds, or NULL */
    char job[SN_ID_MAX];
    char etag[64]; /* sent when not empty */
    json_t *body;  /* taken, printed and sent when text is NULL */
    char *text;
    struct sn_problem problem;
};
/* Takes the read, which may be NULL (out of memory); replies in the end. */
void sn_request_read(struct sn_request *rq, struct sn_read *read);
/* For a query's error inside build. */
void sn_read_failed(struct sn_read *read, const struct sn_error *err);

#endif
