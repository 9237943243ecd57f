/* The server and client of tests. */
#include "tests/api/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- the host ---- */

static const struct sn_job_view *job_get(void *self, const char *id)
{
    struct harness *h = self;
    for (size_t i = 0; i < h->n_jobs; i++) {
        if (strcmp(h->job[i].id, id) == 0)
            return &h->job[i];
    }
    return NULL;
}

static size_t job_list(void *self, const struct sn_job_view *const **ret)
{
    struct harness *h = self;
    *ret = h->list;
    return h->n_jobs;
}

static void job_submit(void *self, const struct sn_submission *submission,
                       sn_job_done done, void *arg)
{
    struct harness *h = self;
    const char *key = submission->idempotency_key;
    bool repeated = key != NULL && strcmp(key, h->last_key) == 0;
    snprintf(h->last_key, sizeof h->last_key, "%s", key != NULL ? key : "");
    h->submissions += !repeated;
    free(h->submitted);
    h->submitted = strdup(submission->spec_resolved_json);
    done(arg, NULL, h->job[0].id, repeated);
}

static void job_control(void *self, const char *id, enum sn_job_action action,
                        sn_job_done done, void *arg)
{
    struct harness *h = self;
    struct sn_error err = {0};
    if (action == SN_JOB_DELETE || action == SN_JOB_RESUME)
        sn_error_set(&err, SN_ERR_CONFLICT, "the job is running");
    else
        h->job[0].state = SN_JOB_STOPPING;
    done(arg, err.code != SN_OK ? &err : NULL, id, false);
}

/* The built-in ones, then one user's where there is one. */
static size_t space_list(void *self, const struct sn_space_view **ret)
{
    struct harness *h = self;
    size_t n = 0;
    for (; sn_space_builtin(n) != NULL; n++)
        h->space[n].space = sn_space_builtin(n);
    if (h->user_json != NULL)
        h->space[n++] = (struct sn_space_view){&h->user_space, h->user_json};
    *ret = h->space;
    return n;
}

static const struct sn_space_view *space_get(void *self, const char *name)
{
    const struct sn_space_view *list;
    size_t n = space_list(self, &list);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].space->name, name) == 0)
            return &list[i];
    return NULL;
}

static void space_add(void *self, const struct sn_space *space,
                      const char *json, sn_host_done done, void *arg)
{
    struct harness *h = self;
    struct sn_error err = {0};
    if (space_get(self, space->name) != NULL) {
        sn_error_at(&err, SN_ERR_CONFLICT, "/name", "there is one already");
    } else {
        h->user_space = *space;
        h->user_json = strdup(json);
    }
    done(arg, err.code != SN_OK ? &err : NULL);
}

static void space_delete(void *self, const char *name, sn_host_done done,
                         void *arg)
{
    struct harness *h = self;
    free(h->user_json);
    h->user_json = NULL;
    done(arg, NULL);
}

static size_t dataset_list(void *self, const struct sn_dataset_view **ret)
{
    *ret = &((struct harness *)self)->data;
    return 1;
}

static const struct sn_dataset_view *dataset_get(void *self, const char *name)
{
    struct harness *h = self;
    return strcmp(name, h->data.name) == 0 ? &h->data : NULL;
}

static void dataset_register(void *self, const struct sn_dataset_request *what,
                             sn_host_done done, void *arg)
{
    struct sn_error err = {0};
    if (what->upload != NULL)
        unlink(what->upload);
    sn_error_set(&err, SN_ERR_CORRUPT, "%s is cut short",
                 what->path != NULL ? what->path : "the archive");
    done(arg, &err);
}

static void dataset_delete(void *self, const char *name, sn_host_done done,
                           void *arg)
{
    done(arg, NULL);
}

static void model_export(void *self, const char *id, const struct sn_arch *arch,
                         enum sn_export_format format, bool plain_input,
                         sn_path_done done, void *arg)
{
    struct harness *h = self;
    if (h->export_path != NULL) {
        done(arg, NULL, h->export_path);
    } else {
        h->export_done = done;
        h->export_arg = arg;
    }
}

static size_t supernet_list(void *self, const struct sn_supernet_view **ret)
{
    *ret = &((struct harness *)self)->supernet;
    return 1;
}

static const struct sn_supernet_view *supernet_get(void *self, const char *name)
{
    struct harness *h = self;
    return strcmp(name, h->supernet.name) == 0 ? &h->supernet : NULL;
}

/* Keeps what came; the size of an upload tells that it is whole. */
static void supernet_import(void *self, const struct sn_supernet_import *order,
                            sn_host_done done, void *arg)
{
    struct harness *h = self;
    struct sn_error err = {0};
    struct stat st = {0};
    snprintf(h->imported, sizeof h->imported, "%s %s %d", order->name,
             order->space, order->take);
    if (stat(order->path, &st) == 0)
        h->imported_bytes = (long)st.st_size;
    if (order->take)
        unlink(order->path);
    sn_error_set(&err, SN_ERR_CORRUPT, "it is cut short");
    done(arg, &err);
}

static void supernet_delete(void *self, const char *name, sn_host_done done,
                            void *arg)
{
    struct sn_error err = {0};
    sn_error_set(&err, SN_ERR_CONFLICT, "job jb, which is queued, searches it");
    done(arg, &err);
}

static void supernet_export(void *self, const struct sn_supernet_model *what,
                            sn_path_done done, void *arg)
{
    struct harness *h = self;
    snprintf(h->exported, sizeof h->exported, "%s %s %d %d",
             what->supernet->name,
             what->calibration != NULL ? what->calibration->name : "none",
             what->format, what->plain_input);
    done(arg, NULL, h->supernet.path);
}

static bool ready(void *self, const char **ret_problem)
{
    *ret_problem = "the disk is full";
    return !((struct harness *)self)->not_ready;
}

static void fill_host(struct harness *h)
{
    static const char *const ids[HARNESS_JOBS] = {"ja", "jb", "jc", "jd", "je"};
    h->n_jobs = HARNESS_JOBS;
    for (size_t i = 0; i < HARNESS_JOBS; i++) {
        struct sn_job_view *job = &h->job[i];
        job->id = job->name = ids[i];
        job->seq = i + 1;
        job->state = i == 0 ? SN_JOB_RUNNING : SN_JOB_QUEUED;
        job->priority = i == 2 ? 5 : 0;
        job->spec_given_json = "{\"dataset\":\"small\"}";
        job->spec_resolved_json =
            "{\"dataset\":\"small\",\"space\":\"mbv3-tiny\"}";
        sn_spec_defaults(&h->spec[i]);
        job->spec = &h->spec[i];
        job->labels_json = i == 1 ? "{\"team\":\"vision\"}" : "{}";
        job->created = 1e9;
        job->started = job->ended = job->best_accuracy = NAN;
        job->progress.eta_s = NAN;
        job->checkpoint_step = i == 0 ? 10 : 0;
        snprintf(job->xxh3, sizeof job->xxh3, "0123456789abcdef");
        job->revision = 7;
        h->list[i] = job;
    }
    h->data = (struct sn_dataset_view){.name = "small",
                                       .path = "/none",
                                       .format = "idx",
                                       .available = true,
                                       .info = {.channels = 1,
                                                .height = 28,
                                                .width = 28,
                                                .classes = 10,
                                                .train = 6000,
                                                .test = 1000,
                                                .mean = {0.5f},
                                                .std = {0.25f}}};
    h->supernet = (struct sn_supernet_view){.name = "net",
                                            .space = "mbv3-tiny",
                                            .path = "/proc/self/cmdline",
                                            .xxh3 = "0123456789abcdef",
                                            .available = true,
                                            .info = {.in_channels = 1,
                                                     .classes = 10,
                                                     .step = 77,
                                                     .has_statistics = true,
                                                     .normalises = true,
                                                     .mean = {0.5f},
                                                     .std = {0.25f},
                                                     .dataset = "small"}};
    h->host = (struct sn_host){.self = h,
                               .space_list = space_list,
                               .space_get = space_get,
                               .space_add = space_add,
                               .space_delete = space_delete,
                               .storage = h->storage,
                               .job_get = job_get,
                               .job_list = job_list,
                               .job_submit = job_submit,
                               .job_control = job_control,
                               .dataset_list = dataset_list,
                               .dataset_get = dataset_get,
                               .dataset_register = dataset_register,
                               .dataset_delete = dataset_delete,
                               .model_export = model_export,
                               .supernet_list = supernet_list,
                               .supernet_get = supernet_get,
                               .supernet_import = supernet_import,
                               .supernet_delete = supernet_delete,
                               .supernet_export = supernet_export,
                               .ready = ready,
                               .job_memory = 1e9};
}

/* ---- the loop's thread ---- */

static void on_call(uv_async_t *async)
{
    struct harness *h = async->data;
    if (h->fn != NULL) {
        void (*fn)(struct harness * h, void *arg) = h->fn;
        h->fn = NULL;
        fn(h, h->arg);
    }
    if (h->stop)
        uv_close((uv_handle_t *)&h->call, NULL);
}

static void *run_loop(void *arg)
{
    uv_run(&((struct harness *)arg)->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void call_done(struct harness *h, void *arg)
{
    void **both = arg;
    void (*fn)(struct harness * h, void *arg);
    memcpy(&fn, both[0], sizeof fn);
    fn(h, both[1]);
    sem_post(&h->answered);
}

void harness_call(struct harness *h, void (*fn)(struct harness *h, void *arg),
                  void *arg)
{
    void *both[2] = {&fn, arg};
    pthread_mutex_lock(&h->calling);
    h->fn = call_done;
    h->arg = both;
    uv_async_send(&h->call);
    sem_wait(&h->answered);
    pthread_mutex_unlock(&h->calling);
}

static void store_jobs(struct harness *h)
{
    for (size_t i = 0; i < HARNESS_JOBS; i++) {
        struct sn_job job = {.id = h->job[i].id,
                             .name = h->job[i].name,
                             .spec_given = "{}",
                             .spec_resolved = "{}",
                             .state = SN_JOB_QUEUED};
        assert_int_equal(
            sn_storage_insert_job(h->storage, &job, NULL, NULL, NULL, NULL),
            SN_OK);
    }
}

void harness_open(struct harness *h, struct sn_api_config *config)
{
    struct sn_error err = {0};
    memset(h, 0, sizeof *h);
    snprintf(h->dir, sizeof h->dir, "/tmp/sn-api-test-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    struct sn_storage_config storage = {.state_dir = h->dir};
    if (sn_storage_open(&storage, &h->storage, &err) != SN_OK)
        fail_msg("%s", err.message);
    fill_host(h);
    store_jobs(h);
    sem_init(&h->answered, 0, 0);
    sem_init(&h->closed, 0, 0);
    pthread_mutex_init(&h->calling, NULL);
    uv_loop_init(&h->loop);
    uv_async_init(&h->loop, &h->call, on_call);
    h->call.data = h;
    config->listen_fd = -1;
    config->version = "1.2.3";
    if (sn_api_new(&h->loop, &h->host, config, &h->api, &err) != SN_OK ||
        sn_api_start(h->api, &err) != SN_OK)
        fail_msg("%s", err.message);
    h->port = sn_api_port(h->api);
    assert_true(h->port > 0);
    pthread_create(&h->thread, NULL, run_loop, h);
}

static void closed(void *arg)
{
    struct harness *h = arg;
    h->api = NULL;
    sem_post(&h->closed);
}

static void start_close(struct harness *h, void *arg)
{
    sn_api_close(h->api, closed, h);
}

void harness_close_api(struct harness *h)
{
    harness_call(h, start_close, NULL);
    sem_wait(&h->closed);
}

static int remove_entry(const char *path, const struct stat *st, int flag,
                        struct FTW *ftw)
{
    return remove(path);
}

void harness_close(struct harness *h)
{
    free(h->user_json);
    free(h->submitted);
    if (h->api != NULL)
        harness_close_api(h);
    h->stop = true;
    uv_async_send(&h->call);
    pthread_join(h->thread, NULL);
    assert_int_equal(uv_loop_close(&h->loop), 0);
    sn_storage_close(h->storage);
    sem_destroy(&h->answered);
    sem_destroy(&h->closed);
    pthread_mutex_destroy(&h->calling);
    nftw(h->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- events ---- */

struct stored {
    struct harness *h;
    char *job, *type, *payload;
};

static void publish(struct harness *h, void *arg)
{
    sn_api_publish(h->api, arg);
}

/* The writer's thread: in the order of commits. */
static void on_written(void *arg, const struct sn_written *result)
{
    struct stored *e = arg;
    struct sn_event event = {.seq = result->last_event,
                             .job = e->job,
                             .type = e->type,
                             .payload = e->payload,
                             .time_ms = 1500};
    assert_int_equal(result->error.code, SN_OK);
    harness_call(e->h, publish, &event);
    free(e->job);
    free(e->type);
    free(e->payload);
    free(e);
}

void harness_event(struct harness *h, const char *job, const char *type,
                   const char *payload)
{
    struct stored *e = calloc(1, sizeof *e);
    *e = (struct stored){h, strdup(job), strdup(type), strdup(payload)};
    struct sn_event event = {
        .job = job, .type = type, .payload = payload, .time_ms = 1500};
    struct sn_write w = {
        .events = &event, .n_events = 1, .done = on_written, .arg = e};
    while (sn_storage_append_events(h->storage, &w, NULL) != SN_OK)
        usleep(1000);
}

static void settled(void *arg, const struct sn_written *result)
{
    sem_post(arg);
}

void harness_settle(struct harness *h)
{
    sem_t sem;
    sem_init(&sem, 0, 0);
    struct sn_write w = {.done = settled, .arg = &sem};
    assert_int_equal(sn_storage_flush(h->storage, &w, NULL), SN_OK);
    sem_wait(&sem);
    sem_destroy(&sem);
}

/* ---- the client ---- */

int client_connect(const struct harness *h)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)h->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        n -= (size_t)sent;
    }
}

static bool read_head(int fd, struct reply *r)
{
    size_t n = 0;
    r->head[0] = '\0';
    while (strstr(r->head, "\r\n\r\n") == NULL) {
        if (n + 1 >= sizeof r->head || read(fd, r->head + n, 1) != 1)
            return false;
        r->head[++n] = '\0';
    }
    return sscanf(r->head, "HTTP/1.1 %d", &r->status) == 1;
}

bool client_read(int fd, bool no_body, struct reply *ret)
{
    size_t want = SIZE_MAX;
    *ret = (struct reply){0};
    if (!read_head(fd, ret))
        return false;
    if (ret->status == 100)
        return client_read(fd, no_body, ret);
    const char *length = reply_header(ret, "Content-Length");
    if (length != NULL)
        want = strtoull(length, NULL, 10);
    if (no_body || ret->status == 304 || ret->status == 204)
        want = 0;
    ret->body = calloc(1, 1);
    while (ret->size < want) {
        size_t step = want - ret->size < 65536 ? want - ret->size : 65536;
        ret->body = realloc(ret->body, ret->size + step + 1);
        ssize_t n = read(fd, ret->body + ret->size, step);
        if (n <= 0)
            break;
        ret->size += (size_t)n;
    }
    ret->body[ret->size] = '\0';
    return want == SIZE_MAX || ret->size == want;
}

void reply_close(struct reply *r)
{
    free(r->body);
    r->body = NULL;
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    for (const char *at = strstr(r->head, "\r\n"); at != NULL;
         at = strstr(at, "\r\n")) {
        at += 2;
        if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
            snprintf(value, sizeof value, "%.*s",
                     (int)strcspn(at + n + 2, "\r"), at + n + 2);
            return value;
        }
    }
    return NULL;
}

void request(const struct harness *h, const char *method, const char *target,
             const char *extra, const char *body, struct reply *ret)
{
    char head[2048];
    int fd = client_connect(h);
    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%sContent-Length: "
             "%zu\r\n\r\n",
             method, target, h->port, extra, strlen(body));
    client_send(fd, head);
    client_send(fd, body);
    if (!client_read(fd, strcmp(method, "HEAD") == 0, ret))
        fail_msg("no reply to %s %s", method, target);
    close(fd);
}

bool stream_until(int fd, const char *want, char *text, size_t room)
{
    size_t n = 0;
    text[0] = '\0';
    while (strstr(text, want) == NULL) {
        ssize_t got = n + 1 < room ? read(fd, text + n, 1) : -1;
        if (got <= 0)
            return false;
        text[++n] = '\0';
    }
    return true;
}
