/* Server-sent events. */
#include "api/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/json.h"

enum { BATCH_ROWS = 512, BATCH_BYTES = 256 * 1024, TYPES_MAX = 16 };

static const char *const known_types[] = {
    "job",        "phase",    "progress", "series", "evaluation",
    "predictor",  "subspace", "outcome",  "front",  "answer",
    "checkpoint", "log",      "child",    NULL};

const struct sn_parameter sn_events_parameters[] = {
    {"job", SN_PARAMETER_TEXT, 0, SN_ID_MAX - 1, NULL},
    {"types", SN_PARAMETER_TEXT, 0, 0, NULL},
    {"last_event_id", SN_PARAMETER_INT, 0, 9007199254740991.0, NULL},
    {NULL}};

struct sn_stream {
    struct sn_stream *next, **link_at; /* in api->streams; NULL once gone */
    struct sn_api *api;
    struct MHD_Connection *connection;
    int fd;
    unsigned refs;
    char job[SN_ID_MAX]; /* "" = all */
    const char *types[TYPES_MAX];
    size_t n_types; /* 0 = all */
    int64_t sent;   /* number of the last event that went into the backlog */
    bool replaying, reading, missed, suspended, ended, dropped;
    uint64_t last_write;
    char *backlog; /* bytes [begin, end) are unsent */
    size_t begin, end, room;
};

static void stream_unref(struct sn_stream *s)
{
    if (--s->refs > 0)
        return;
    free(s->backlog);
    free(s);
}

static void wake(struct sn_stream *s)
{
    if (!s->suspended)
        return;
    s->suspended = false;
    MHD_resume_connection(s->connection);
    sn_server_wake(s->api->server);
}

/* Cuts the connection too: a client that does not read would let MHD wait for
 * room to write. */
static void drop(struct sn_stream *s)
{
    s->ended = s->dropped = true;
    shutdown(s->fd, SHUT_RDWR);
    wake(s);
}

static void append(struct sn_stream *s, const char *bytes, size_t n)
{
    if (s->ended || n == 0)
        return;
    size_t unsent = s->end - s->begin;
    if (unsent + n > s->api->limits.stream_backlog) {
        drop(s);
        return;
    }
    if (s->end + n > s->room && s->begin > 0) {
        memmove(s->backlog, s->backlog + s->begin, unsent);
        s->begin = 0;
        s->end = unsent;
    }
    if (s->end + n > s->room) {
        char *grown = realloc(s->backlog, 2 * (s->end + n));
        if (grown == NULL) {
            drop(s);
            return;
        }
        s->backlog = grown;
        s->room = 2 * (s->end + n);
    }
    memcpy(s->backlog + s->end, bytes, n);
    s->end += n;
    s->last_write = sn_server_now();
    wake(s);
}

/* ---- the text of an event ---- */

/* Payloads are JSON on one line; a stray line break would end the event. */
static char *event_text(const struct sn_event *e, size_t *ret_size)
{
    char *job = NULL, *text = NULL;
    char id[32] = "";
    json_t *name = e->job != NULL && e->job[0] != '\0' ? sn_json_string(e->job)
                                                       : json_null();
    job = sn_json_dump(name);
    json_decref(name);
    if (e->seq > 0)
        snprintf(id, sizeof id, "id: %lld\n", (long long)e->seq);
    int n =
        job == NULL
            ? -1
            : asprintf(&text,
                       "%sevent: %s\ndata: {\"job\":%s,\"time\":%.3f,"
                       "\"data\":%s}\n\n",
                       id, e->type, job, (double)e->time_ms / 1000,
                       e->payload != NULL && e->payload[0] != '\0' ? e->payload
                                                                   : "null");
    free(job);
    if (n < 0)
        return NULL;
    for (int i = 0; i < n - 2; i++) {
        bool field = strncmp(text + i + 1, "data: {\"job\"", 12) == 0 ||
                     strncmp(text + i + 1, "event: ", 7) == 0;
        if (text[i] == '\r' || (text[i] == '\n' && !field))
            text[i] = ' ';
    }
    *ret_size = (size_t)n;
    return text;
}

static bool wants(const struct sn_stream *s, const struct sn_event *e)
{
    if (s->job[0] != '\0' && (e->job == NULL || strcmp(s->job, e->job) != 0))
        return false;
    for (size_t i = 0; i < s->n_types; i++) {
        if (strcmp(s->types[i], e->type) == 0)
            return true;
    }
    return s->n_types == 0;
}

/* ---- replay ---- */

struct replay {
    struct sn_post post;
    struct sn_stream *stream; /* for the loop alone */
    struct sn_server *server;
    struct sn_event_query query; /* its strings are the stream's, which the
                                    loop does not change */
    char *text;
    size_t size;
    int64_t last, newest, oldest;
    unsigned rows;
    bool full, failed;
};

static bool add_row(void *arg, const struct sn_event *row)
{
    struct replay *r = arg;
    size_t n = 0;
    char *text = event_text(row, &n);
    char *grown = text != NULL ? realloc(r->text, r->size + n) : NULL;
    if (grown == NULL) {
        free(text);
        r->failed = true;
        return false;
    }
    r->text = grown;
    memcpy(r->text + r->size, text, n);
    free(text);
    r->size += n;
    r->last = row->seq;
    r->rows++;
    r->full = r->rows == BATCH_ROWS || r->size >= BATCH_BYTES;
    return !r->full;
}

static void run_replay(void *arg, struct sn_reader *reader)
{
    struct replay *r = arg;
    if (sn_reader_event_bounds(reader, &r->newest, &r->oldest, NULL) != SN_OK ||
        sn_reader_events(reader, &r->query, add_row, r, NULL) != SN_OK)
        r->failed = true;
    sn_server_post(r->server, &r->post);
}

static void replay_done(struct sn_post *post);

/* The next batch, once the last one is on its way. */
static void start_replay(struct sn_stream *s)
{
    struct replay *r = calloc(1, sizeof *r);
    if (r == NULL) {
        drop(s);
        return;
    }
    *r = (struct replay){.post.run = replay_done,
                         .stream = s,
                         .server = s->api->server,
                         .query = {.job = s->job[0] != '\0' ? s->job : NULL,
                                   .types = s->types,
                                   .n_types = s->n_types,
                                   .after_seq = s->sent,
                                   .limit = BATCH_ROWS}};
    s->missed = false;
    s->reading = true;
    s->refs++;
    s->api->n_reads++;
    if (sn_storage_read(s->api->host->storage, run_replay, r, NULL) == SN_OK)
        return;
    s->api->n_reads--;
    s->reading = false;
    free(r);
    drop(s);
    stream_unref(s);
}

/* Events after the client's last one are gone, or its number is of another
 * database: it must load anew. */
static void tell_gap(struct sn_stream *s, const struct replay *r)
{
    char text[80];
    bool ahead = s->sent > r->newest;
    if (ahead || (s->sent > 0 && r->oldest > s->sent + 1)) {
        int n = snprintf(text, sizeof text,
                         "event: gap\ndata: {\"oldest\":%lld}\n\n",
                         (long long)r->oldest);
        append(s, text, (size_t)n);
    }
    if (ahead)
        s->sent = r->newest;
}

static void replay_done(struct sn_post *post)
{
    struct replay *r = (struct replay *)post;
    struct sn_stream *s = r->stream;
    s->api->n_reads--;
    s->reading = false;
    if (s->connection != NULL && !s->ended) {
        if (r->failed) {
            drop(s);
        } else {
            tell_gap(s, r);
            if (r->rows > 0)
                s->sent = r->last;
            s->replaying = r->full || s->missed;
            append(s, r->text, r->size);
            /* A full batch waits until it is sent: see read_stream. */
            if (s->replaying && !r->full)
                start_replay(s);
        }
    }
    free(r->text);
    free(r);
    stream_unref(s);
}

/* ---- MHD's side ---- */

static ssize_t read_stream(void *arg, uint64_t position, char *ret, size_t max)
{
    struct sn_stream *s = arg;
    size_t n = s->end - s->begin;
    if (s->dropped)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > max)
        n = max;
    if (n > 0) {
        memcpy(ret, s->backlog + s->begin, n);
        s->begin += n;
        if (s->begin == s->end)
            s->begin = s->end = 0;
        return (ssize_t)n;
    }
    if (s->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (s->replaying && !s->reading)
        start_replay(s);
    if (s->dropped)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    s->suspended = true;
    MHD_suspend_connection(s->connection);
    return 0;
}

static void stream_gone(void *arg)
{
    struct sn_stream *s = arg;
    *s->link_at = s->next;
    if (s->next != NULL)
        s->next->link_at = s->link_at;
    s->api->n_streams--;
    s->connection = NULL;
    s->suspended = false;
    s->ended = true;
    stream_unref(s);
}

/* ---- the handler ---- */

static bool parse_types(struct sn_stream *s, const char *text,
                        struct sn_problem *problem)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ","), i = 0;
        while (known_types[i] != NULL && (strlen(known_types[i]) != n ||
                                          memcmp(known_types[i], text, n) != 0))
            i++;
        if (known_types[i] == NULL || s->n_types == TYPES_MAX) {
            sn_problem_set(problem, 400, "the query is not acceptable");
            sn_problem_at_parameter(problem, "types",
                                    "there is no event type \"%.*s\"",
                                    (int)(n < 40 ? n : 40), text);
            return false;
        }
        s->types[s->n_types++] = known_types[i];
        text += n + (text[n] == ',');
    }
    return true;
}

/* Where the client wants to go on: its header, which EventSource sends by
 * itself, wins over the query; -1: from now. */
static bool last_event(struct sn_request *rq, int64_t *ret)
{
    const char *header = sn_request_header(rq, "Last-Event-ID");
    *ret = sn_query_int(&rq->query, "last_event_id", -1);
    if (header == NULL || header[0] == '\0')
        return true;
    if (strspn(header, "0123456789") != strlen(header) || strlen(header) > 18) {
        sn_reply_status(rq, 400, "Last-Event-ID must be a number");
        return false;
    }
    *ret = strtoll(header, NULL, 10);
    return true;
}

static void open_stream(struct sn_request *rq, struct sn_stream *s,
                        int64_t last)
{
    static const char hello[] = "retry: 2000\n: hello\n\n";
    struct sn_api *api = rq->api;
    s->api = api;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        rq->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    s->connection = rq->connection;
    s->fd = info != NULL ? info->connect_fd : -1;
    s->refs = 1;
    s->replaying = last >= 0;
    s->sent = last >= 0 ? last : api->newest_event;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 16384, read_stream, s, stream_gone);
    if (response == NULL) {
        free(s);
        sn_reply(rq, 503, NULL);
        return;
    }
    s->next = api->streams;
    s->link_at = &api->streams;
    if (s->next != NULL)
        s->next->link_at = &s->next;
    api->streams = s;
    api->n_streams++;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "text/event-stream");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            "no-store");
    /* The first read must give bytes, or not even the header is sent. */
    append(s, hello, sizeof hello - 1);
    sn_reply(rq, 200, response);
}

void sn_get_events(struct sn_request *rq)
{
    struct sn_api *api = rq->api;
    struct sn_problem problem = {0};
    const char *job = sn_query_text(&rq->query, "job", "");
    int64_t last;
    if (!last_event(rq, &last))
        return;
    if (job[0] != '\0' && api->host->job_get(api->host->self, job) == NULL) {
        sn_reply_status(rq, 404, "there is no job %.64s", job);
        return;
    }
    if (api->n_streams >= api->limits.streams) {
        sn_reply_status(rq, 503, "there are %u event streams already",
                        api->n_streams);
        return;
    }
    struct sn_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        sn_reply(rq, 503, NULL);
        return;
    }
    snprintf(s->job, sizeof s->job, "%s", job);
    if (!parse_types(s, sn_query_text(&rq->query, "types", ""), &problem)) {
        free(s);
        sn_reply_problem(rq, &problem);
        return;
    }
    open_stream(rq, s, last);
}

/* ---- live ---- */

void sn_api_publish(struct sn_api *api, const struct sn_event *event)
{
    size_t size = 0;
    char *text = NULL;
    if (event->seq > api->newest_event)
        api->newest_event = event->seq;
    for (struct sn_stream *s = api->streams; s != NULL; s = s->next) {
        if (s->ended || !wants(s, event))
            continue;
        if (s->replaying) {
            s->missed |= event->seq > 0;
            continue;
        }
        if (event->seq > 0 && event->seq <= s->sent)
            continue;
        if (text == NULL && (text = event_text(event, &size)) == NULL) {
            drop(s);
            continue;
        }
        append(s, text, size);
        if (event->seq > 0)
            s->sent = event->seq;
    }
    free(text);
}

/* MHD does not watch a suspended connection, so a client that has gone would
 * keep its place until two heartbeats have failed. */
static bool has_hung_up(const struct sn_stream *s)
{
    char byte;
    return s->suspended && recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void sn_sse_tick(struct sn_api *api)
{
    uint64_t now = sn_server_now();
    for (struct sn_stream *s = api->streams; s != NULL; s = s->next) {
        if (has_hung_up(s))
            drop(s);
        else if (now - s->last_write >= api->limits.heartbeat_ms)
            append(s, ": \n\n", 4);
    }
}

void sn_sse_end(struct sn_api *api)
{
    for (struct sn_stream *s = api->streams; s != NULL; s = s->next) {
        s->ended = true;
        wake(s);
    }
}
