#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/notify.h"
#include "daemon/state.h"

enum {
    TICK_MS = 100,
    DISK_TICKS = 20,
    MAX_FILE_TASKS = 512,
    SET_THREADS = 3,
    MAX_MODEL_TASKS = 64
};

/* ---- stopping ---- */

static void on_api_closed(void *arg)
{
    struct sn_daemon *d = arg;
    d->closed = true;
    uv_stop(&d->loop);
}

static void clear_ready_file(struct sn_daemon *d)
{
    if (d->ready_written)
        unlink(d->config->ready_file);
    d->ready_written = false;
}

/* Everything that was committed is safe; what was not is replayed. */
static _Noreturn void end_now(struct sn_daemon *d, const char *why)
{
    sn_log(SN_LOG_WARN, "daemon", why, NULL);
    clear_ready_file(d);
    if (d->listener.unlink_path[0] != '\0')
        unlink(d->listener.unlink_path);
    _exit(1);
}

static void begin_stop(struct sn_daemon *d)
{
    char running[SN_LOG_NUMBER];
    sn_log(SN_LOG_INFO, "daemon", "stopping", "running_jobs",
           sn_log_u64(running, sn_lifecycle_running(d->life)), NULL);
    sn_notify("STOPPING=1\nSTATUS=jobs go to a checkpoint");
    d->stopping = true;
    d->stop_began = uv_now(&d->loop);
    clear_ready_file(d);
    sn_api_quiesce(d->api);
    sn_lifecycle_stop(d->life, false);
}

/* Each tick while stopping: how far it is, and whether time is up. */
static void go_on_stopping(struct sn_daemon *d)
{
    uint64_t spent = uv_now(&d->loop) - d->stop_began;
    uint64_t limit = (uint64_t)d->config->stop_seconds * 1000;
    if (sn_lifecycle_running(d->life) == 0) {
        if (!d->closing)
            sn_api_close(d->api, on_api_closed, d);
        d->closing = true;
    } else if (spent > limit * 8 / 10) {
        sn_lifecycle_stop(d->life, true);
    }
    if (spent > limit)
        end_now(d, "jobs did not stop in time: they go on from their last "
                   "checkpoint");
}

/* ---- the loop's callbacks ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct sn_daemon *d = handle->data;
    if (number == SIGHUP)
        return;
    if (d->stopping)
        end_now(d, "told twice to stop: ending at once");
    begin_stop(d);
}

static void on_tick(uv_timer_t *timer)
{
    struct sn_daemon *d = timer->data;
    sn_datasets_tick(d->datasets);
    static const uint64_t disk_ms = TICK_MS * DISK_TICKS;
    if (d->stopping) {
        go_on_stopping(d);
    } else if (uv_now(&d->loop) / TICK_MS % (disk_ms / TICK_MS) == 0) {
        sn_daemon_look_at_disk(d);
        sn_lifecycle_follow(d->life);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    sn_notify("WATCHDOG=1");
}

static void publish(void *arg, const struct sn_event *event)
{
    struct sn_daemon *d = arg;
    if (d->api != NULL && !d->closing)
        sn_api_publish(d->api, event);
}

static void on_fatal_loop(void *arg)
{
    end_now(arg, "storage failed: ending, to start anew from what is safe");
}

/* On the writer's thread. */
static void on_fatal(void *arg, const struct sn_error *error)
{
    struct sn_daemon *d = arg;
    sn_log(SN_LOG_ERROR, "storage", "the database cannot be written any more",
           "problem", error->message, NULL);
    sn_mailbox_post(&d->box, on_fatal_loop, d);
}

/* ---- starting ---- */

static enum sn_err read_token(struct sn_daemon *d, struct sn_error *err)
{
    const char *path = d->config->token_file;
    struct stat st;
    if (path[0] == '\0')
        return SN_OK;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sn_error_errno(err, errno, "token_file: opening %s", path);
    bool ok = fgets(d->token, sizeof d->token, file) != NULL;
    bool is_open = fstat(fileno(file), &st) < 0 || (st.st_mode & 07) != 0;
    fclose(file);
    d->token[strcspn(d->token, "\r\n")] = '\0';
    if (is_open)
        return sn_error_set(err, SN_ERR_INVALID,
                            "token_file: %s can be read by everyone; chmod "
                            "o-rwx it",
                            path);
    if (!ok || strlen(d->token) < 16)
        return sn_error_set(err, SN_ERR_INVALID,
                            "token_file: %s must hold a token of at least 16 "
                            "letters in its first line",
                            path);
    return SN_OK;
}

static enum sn_err open_listener(struct sn_daemon *d, struct sn_error *err)
{
    struct sn_address address;
    enum sn_err code = sn_listener_inherit(&d->listener, err);
    if (code == SN_OK && !d->listener.address.is_private && d->token[0] == '\0')
        return sn_error_set(err, SN_ERR_INVALID,
                            "the passed socket can be reached from other "
                            "machines, so [http] token_file must be set");
    if (code != SN_ERR_NOTFOUND)
        return code;
    code = sn_address_parse(d->config->listen, &address, err);
    return code == SN_OK ? sn_listener_open(&address, &d->listener, err) : code;
}

static enum sn_err open_parts(struct sn_daemon *d, struct sn_error *err)
{
    const struct sn_config *c = d->config;
    enum sn_err code;
    struct sn_storage_config storage = {
        .state_dir = c->state_dir, .on_fatal = on_fatal, .arg = d};
    if ((code = read_token(d, err)) ||
        (code = sn_storage_open(&storage, &d->storage, err)) ||
        (code = open_listener(d, err)) ||
        (code = sn_offload_new("files", &d->box, 1, MAX_FILE_TASKS, &d->files,
                               err)) ||
        (code = sn_offload_new("sets", &d->box, SET_THREADS, MAX_FILE_TASKS,
                               &d->sets, err)) ||
        (code = sn_offload_new("models", &d->box, 1, MAX_MODEL_TASKS,
                               &d->models, err)))
        return code;
    struct sn_datasets_config datasets = {
        .fashion_mnist = c->fashion_mnist,
        .allowed = c->datasets_allowed,
        .storage = d->storage,
        .files = d->files,
        .sets = d->sets,
        .upload_bytes = (uint64_t)c->datasets_total_mib << 20,
    };
    if ((code = sn_datasets_new(&datasets, &d->box, &d->datasets, err)) ||
        (code = sn_spaces_new(d->storage, &d->box, &d->spaces, err)))
        return code;
    struct sn_supernets_config supernets = {
        .allowed = c->supernets_allowed,
        .storage = d->storage,
        .spaces = d->spaces,
        .files = d->files,
        .box = &d->box,
    };
    code = sn_supernets_new(&supernets, &d->supernets, err);
    if (code != SN_OK)
        return code;
    d->exports = (struct sn_exports_config){d->storage, d->datasets, d->models,
                                            d->spaces};
    struct sn_lifecycle_config life = {
        .storage = d->storage,
        .datasets = d->datasets,
        .spaces = d->spaces,
        .supernets = d->supernets,
        .box = &d->box,
        .running_jobs = c->running_jobs,
        .max_queued_jobs = c->max_queued_jobs,
        .nice = c->nice,
        .job_memory = sn_memory_limit(c->memory_mib),
        .publish = publish,
        .arg = d,
    };
    return sn_lifecycle_new(&life, &d->life, err);
}

static enum sn_err open_api(struct sn_daemon *d, struct sn_error *err)
{
    const struct sn_config *c = d->config;
    struct sn_api_config config = {
        .listen_fd = d->listener.fd,
        .web_root = c->web_root,
        .token = d->token[0] == '\0' ? NULL : d->token,
        .version = SN_VERSION,
        .limits = {.connections = (unsigned)c->max_connections,
                   .streams = (unsigned)c->max_streams,
                   .request_ms = (unsigned)c->request_seconds * 1000,
                   .body = (size_t)c->max_body_kib * 1024,
                   .upload = (uint64_t)c->max_upload_mib << 20},
    };
    if (access(c->web_root, R_OK) < 0)
        sn_log(SN_LOG_WARN, "daemon", "the dashboard is not here", "web_root",
               c->web_root, NULL);
    sn_daemon_fill_host(d);
    enum sn_err code = sn_api_new(&d->loop, &d->host, &config, &d->api, err);
    if (code != SN_OK)
        return code;
    d->listener.fd = -1; /* start takes it */
    return sn_api_start(d->api, err);
}

/* The file appears with its content, or not at all. */
static enum sn_err write_ready_file(struct sn_daemon *d, struct sn_error *err)
{
    const char *path = d->config->ready_file;
    char tmp[SN_CONFIG_PATH + 8];
    if (path[0] == '\0')
        return SN_OK;
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *file = fopen(tmp, "we");
    if (file == NULL)
        return sn_error_errno(err, errno, "ready_file: %s", tmp);
    fprintf(file, "%s\n", d->listener.base_url);
    bool ok = fflush(file) == 0;
    ok = fclose(file) == 0 && ok;
    if (!ok || rename(tmp, path) < 0)
        return sn_error_errno(err, errno, "ready_file: %s", path);
    d->ready_written = true;
    return SN_OK;
}

static void watch(struct sn_daemon *d)
{
    static const int numbers[SN_N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < SN_N_SIGNALS; i++)
        uv_signal_start(&d->signals[i], on_signal, numbers[i]);
    uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    uint64_t ms = sn_notify_watchdog_ms();
    if (ms > 0)
        uv_timer_start(&d->watchdog, on_watchdog, ms, ms);
}

static enum sn_err open_loop(struct sn_daemon *d, struct sn_error *err)
{
    if (uv_loop_init(&d->loop) < 0)
        return sn_error_set(err, SN_ERR_INTERNAL, "no event loop");
    for (int i = 0; i < SN_N_SIGNALS; i++) {
        uv_signal_init(&d->loop, &d->signals[i]);
        d->signals[i].data = d;
    }
    uv_timer_init(&d->loop, &d->tick);
    uv_timer_init(&d->loop, &d->watchdog);
    d->tick.data = d->watchdog.data = d;
    return sn_mailbox_init(&d->box, &d->loop, err);
}

/* ---- ending ---- */

/* An api that has started closes by turns of the loop. */
static void close_api(struct sn_daemon *d)
{
    if (d->api == NULL || d->closed)
        return;
    d->closing = true;
    sn_api_close(d->api, on_api_closed, d);
    while (!d->closed)
        uv_run(&d->loop, UV_RUN_ONCE);
}

static void close_all(struct sn_daemon *d)
{
    close_api(d);
    d->api = NULL;
    sn_listener_close(&d->listener);
    sn_datasets_stop(d->datasets);
    sn_supernets_close(d->supernets);
    sn_offload_free(d->models);
    sn_offload_free(d->sets);
    sn_offload_free(d->files);
    /* Storage answers all that it has before it ends; then nobody posts any
     * more, and the last messages find everybody still there. */
    sn_storage_close(d->storage);
    sn_mailbox_close(&d->box);
    sn_lifecycle_free(d->life);
    sn_supernets_free(d->supernets);
    sn_datasets_free(d->datasets);
    sn_spaces_free(d->spaces);
    for (int i = 0; i < SN_N_SIGNALS; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->watchdog, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_loop_close(&d->loop);
    clear_ready_file(d);
}

static void serve(struct sn_daemon *d)
{
    char status[256], runtime[SN_RUNTIME_MAX];
    sn_engine_runtime(runtime);
    sn_log(SN_LOG_INFO, "daemon", "serving", "url", d->listener.base_url,
           "state_dir", sn_storage_dir(d->storage), "version", SN_VERSION,
           "runtime", runtime, NULL);
    snprintf(status, sizeof status, "READY=1\nSTATUS=serving on %s",
             d->listener.base_url);
    sn_notify(status);
    sn_lifecycle_schedule(d->life);
    while (!d->closed)
        uv_run(&d->loop, UV_RUN_DEFAULT);
    sn_log(SN_LOG_INFO, "daemon", "stopped", NULL);
}

int sn_daemon_run(const struct sn_config *config)
{
    struct sn_error err = {0};
    struct sn_daemon *d = calloc(1, sizeof *d);
    if (d == NULL)
        return 1;
    d->config = config;
    d->listener.fd = -1;
    sn_log_init((enum sn_log_level)config->log_level, sn_log_is_journal());
    signal(SIGPIPE, SIG_IGN);
    enum sn_err code = open_loop(d, &err);
    if (code == SN_OK)
        code = open_parts(d, &err);
    if (code == SN_OK)
        code = open_api(d, &err);
    if (code == SN_OK)
        code = write_ready_file(d, &err);
    if (code == SN_OK) {
        watch(d);
        serve(d);
    } else {
        sn_log(SN_LOG_ERROR, "daemon", "cannot start", "problem", err.message,
               NULL);
    }
    close_all(d);
    int status = code == SN_OK ? d->status : 1;
    free(d);
    return status;
}
