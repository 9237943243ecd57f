#include "daemon/runner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/reports.h"
#include "storage/files.h"

enum { MAX_CHECKPOINTS = 4 };

struct sn_runner {
    struct sn_runner_config config;
    char *id;
    struct sn_spec spec;
    atomic_int stop;
    pthread_t thread;
    struct sn_error error; /* the result */

    /* the conductor's */
    struct sn_reports *reports; /* freed with the runner: what they have sent
                                   may still be on its way to the loop */
    char dir[SN_PATH_MAX];
    char weights[SN_PATH_MAX]; /* of the spec's supernet, or "" */
    char keep[SN_PATH_MAX];    /* where it leaves its own, or "" */
    char checkpoint[MAX_CHECKPOINTS][SN_PATH_MAX];
    char xxh3[MAX_CHECKPOINTS][SN_XXH3_HEX]; /* of each file, as stored */
    int n_checkpoints;
    struct sn_latency_row *latency;
    uint32_t n_latency, latency_room;
    char fingerprint[256];
    int64_t newest_ms;
};

/* ---- what storage knows of earlier attempts ---- */

static bool on_checkpoint_row(void *arg, const struct sn_checkpoint *row)
{
    struct sn_runner *r = arg;
    if (sn_files_checkpoint_path(sn_storage_dir(r->config.storage), r->id,
                                 row->file, r->checkpoint[r->n_checkpoints],
                                 NULL) == SN_OK)
        snprintf(r->xxh3[r->n_checkpoints++], SN_XXH3_HEX, "%s", row->xxh3);
    return r->n_checkpoints < MAX_CHECKPOINTS;
}

/* The newest fingerprint's rows: an older one's belong to a machine that is no
 * more. */
static bool on_newest_latency(void *arg, const struct sn_latency_record *row)
{
    struct sn_runner *r = arg;
    if (row->time_ms >= r->newest_ms) {
        r->newest_ms = row->time_ms;
        snprintf(r->fingerprint, sizeof r->fingerprint, "%s", row->fingerprint);
    }
    return true;
}

static bool on_latency_row(void *arg, const struct sn_latency_record *row)
{
    struct sn_runner *r = arg;
    if (r->n_latency == r->latency_room) {
        uint32_t room = r->latency_room == 0 ? 256 : 2 * r->latency_room;
        void *rows = realloc(r->latency, room * sizeof *r->latency);
        if (rows == NULL)
            return false; /* what is missing is measured again */
        r->latency = rows;
        r->latency_room = room;
    }
    struct sn_latency_row *out = &r->latency[r->n_latency];
    if (strlen(row->key) >= sizeof out->key)
        return true;
    strcpy(out->key, row->key);
    out->median_ns = row->median_ns;
    out->spread_ns = row->spread_ns;
    out->samples = (uint32_t)row->samples;
    r->n_latency++;
    return true;
}

static void read_past(void *arg, struct sn_reader *reader)
{
    struct sn_runner *r = arg;
    const char *device = r->spec.search.device;
    struct sn_error *err = &r->error;
    if (sn_reader_checkpoints(reader, r->id, on_checkpoint_row, r, err) ||
        sn_reader_latencies(reader, device, "sparsenas", NULL,
                            on_newest_latency, r, err))
        return;
    if (r->fingerprint[0] != '\0')
        sn_reader_latencies(reader, device, "sparsenas", r->fingerprint,
                            on_latency_row, r, err);
}

/* ---- the conductor ---- */

static enum sn_err run_once(struct sn_runner *r, struct sn_reports *reports,
                            const struct sn_dataset *data, const char *resume)
{
    struct sn_dataset_info info;
    sn_dataset_info(data, &info);
    struct sn_run run = {
        .spec = &r->spec,
        .data = data,
        .dir = r->dir,
        .resume = resume,
        .stop = &r->stop,
        .callbacks = sn_reports_callbacks(reports, &info),
        .latency_rows = r->latency,
        .n_latency_rows = r->n_latency,
        .latency_fingerprint = r->fingerprint,
        .weights = r->weights[0] != '\0' ? r->weights : NULL,
        .keep = r->keep[0] != '\0' ? r->keep : NULL,
    };
    return sn_engine_run(&run, &r->error);
}

/* The engine checks a file's form; its content is known by its hash alone. */
static enum sn_err check_content(struct sn_runner *r, int i)
{
    char hex[SN_XXH3_HEX];
    int64_t bytes;
    enum sn_err code = sn_files_xxh3(r->checkpoint[i], hex, &bytes, &r->error);
    if (code == SN_ERR_NOTFOUND || (code == SN_OK && strcmp(hex, r->xxh3[i])))
        code = sn_error_set(&r->error, SN_ERR_CORRUPT,
                            "it is not what was written");
    return code;
}

/* From the newest checkpoint that is whole; failing all, from the start. */
static enum sn_err run_from_newest(struct sn_runner *r,
                                   struct sn_reports *reports,
                                   const struct sn_dataset *data)
{
    for (int i = 0; i < r->n_checkpoints; i++) {
        enum sn_err code = check_content(r, i);
        if (code == SN_OK)
            code = run_once(r, reports, data, r->checkpoint[i]);
        if (code != SN_ERR_CORRUPT)
            return code;
        sn_log(SN_LOG_WARN, "jobs",
               i + 1 < r->n_checkpoints
                   ? "a checkpoint is damaged: trying the one before"
                   : "a checkpoint is damaged: starting from the beginning",
               "id", r->id, "path", r->checkpoint[i], "problem",
               r->error.message, NULL);
    }
    return run_once(r, reports, data, NULL);
}

/* The weights that it starts from, or room for those that it leaves; a job of
 * one architecture leaves none. */
static enum sn_err find_weights(struct sn_runner *r)
{
    const struct sn_storage *storage = r->config.storage;
    if (r->config.supernets == NULL)
        return SN_OK;
    if (r->spec.supernet[0] == '\0' && sn_spec_is_single(&r->spec))
        return SN_OK;
    if (r->spec.supernet[0] == '\0')
        return sn_supernets_room(storage, r->id, r->keep, &r->error);
    enum sn_err code =
        sn_supernets_path(storage, r->spec.supernet, r->weights, &r->error);
    if (code == SN_OK && access(r->weights, R_OK) != 0)
        code = sn_error_at(&r->error, SN_ERR_NOTFOUND, "/supernet",
                           "the supernet %s is gone", r->spec.supernet);
    return code;
}

static enum sn_err conduct(struct sn_runner *r)
{
    const struct sn_dataset *data;
    struct sn_error late = {0};
    const char *state_dir = sn_storage_dir(r->config.storage);
    enum sn_err code = sn_files_make_job_dir(state_dir, r->id, &r->error);
    if (code == SN_OK)
        code = sn_storage_read_wait(r->config.storage, read_past, r, &r->error);
    if (code == SN_OK)
        code = r->error.code;
    if (code == SN_OK)
        code =
            sn_files_checkpoint_path(state_dir, r->id, "x", r->dir, &r->error);
    if (code != SN_OK)
        return code;
    *strrchr(r->dir, '/') = '\0';
    if ((code = find_weights(r)) != SN_OK)
        return code;
    code = sn_datasets_acquire(r->config.datasets, r->spec.dataset, &data,
                               &r->error);
    if (code != SN_OK)
        return code;
    code = sn_reports_new(&r->config, &r->reports, &r->error);
    if (code != SN_OK)
        goto out_data;
    code = run_from_newest(r, r->reports, data);
    if (sn_reports_finish(r->reports, &late) != SN_OK &&
        (code == SN_OK || code == SN_ERR_STOPPED)) {
        r->error = late;
        code = late.code;
    }
out_data:
    sn_datasets_release(r->config.datasets, data);
    return code;
}

static void deliver_end(void *arg)
{
    struct sn_runner *r = arg;
    const struct sn_runner_owner *owner = r->config.owner;
    owner->on_finished(owner->arg, r->id, &r->error);
}

static void on_adopted(void *arg, const struct sn_error *err)
{
    deliver_end(arg); /* what went wrong is logged; the job has not failed */
}

/* A job has succeeded once the weights that it leaves are listed: what comes
 * after it may name them, also when the daemon ends in between. */
static void end(struct sn_runner *r)
{
    const bool left = r->error.code == SN_OK;
    const bool waits =
        r->keep[0] != '\0' &&
        sn_supernets_adopt(r->config.supernets, r->id, left,
                           left ? on_adopted : NULL, left ? r : NULL) &&
        left;
    if (!waits)
        sn_mailbox_post(r->config.box, deliver_end, r);
}

static void *conductor(void *arg)
{
    struct sn_runner *r = arg;
    /* Linux: of this thread alone, and of the workers that it starts. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), r->config.nice);
    enum sn_err code = conduct(r);
    if (code == SN_OK)
        r->error = (struct sn_error){.code = SN_OK};
    r->error.code = code;
    end(r);
    return NULL;
}

/* ---- life ---- */

enum sn_err sn_runner_start(const struct sn_runner_config *config,
                            struct sn_runner **ret, struct sn_error *err)
{
    struct sn_runner *r = calloc(1, sizeof *r);
    char *id = strdup(config->id);
    if (r == NULL || id == NULL) {
        free(r);
        free(id);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a job");
    }
    r->config = *config;
    r->spec = *config->spec;
    r->id = id;
    r->config.id = id;
    r->config.spec = &r->spec;
    int rc = pthread_create(&r->thread, NULL, conductor, r);
    if (rc != 0) {
        free(id);
        free(r);
        return sn_error_errno(err, rc, "starting a job's thread");
    }
    pthread_setname_np(r->thread, "conductor");
    *ret = r;
    return SN_OK;
}

void sn_runner_stop(struct sn_runner *runner, bool now)
{
    if (now || atomic_load(&runner->stop) == 0)
        atomic_store(&runner->stop, now ? 2 : 1);
}

void sn_runner_free(struct sn_runner *runner)
{
    if (runner == NULL)
        return;
    pthread_join(runner->thread, NULL);
    sn_reports_free(runner->reports);
    free(runner->latency);
    free(runner->id);
    free(runner);
}
