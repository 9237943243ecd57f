/* The server itself: version, health, the machine, metrics. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/json.h"

static json_t *runtime_name(void)
{
    char name[SN_RUNTIME_MAX];
    sn_engine_runtime(name);
    return sn_json_string(name);
}

void sn_get_version(struct sn_request *rq)
{
    json_t *o = json_object();
    sn_json_put(o, "name", sn_json_string("sparsenas"));
    sn_json_put(o, "version", sn_json_string(rq->api->version));
    sn_json_put(o, "api", sn_json_string("v1"));
    sn_json_put(o, "runtime", runtime_name());
    sn_json_put(o, "http", sn_json_string(MHD_get_version()));
    sn_reply_json(rq, 200, o);
}

/* Alive: the loop turns. */
void sn_get_healthz(struct sn_request *rq)
{
    json_t *o = json_object();
    sn_json_put(o, "status", sn_json_string("ok"));
    sn_reply_json(rq, 200, o);
}

/* Ready: it can take and run jobs. */
void sn_get_readyz(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const char *why = NULL;
    if (host->ready(host->self, &why)) {
        json_t *o = json_object();
        sn_json_put(o, "status", sn_json_string("ready"));
        sn_reply_json(rq, 200, o);
    } else {
        sn_reply_status(rq, 503, "%s", why != NULL ? why : "not ready");
    }
}

/* ---- the machine ---- */

static int usable_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static double uptime(const struct sn_api *api)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
           (double)api->started_ms / 1000;
}

void sn_get_system(struct sn_request *rq)
{
    const struct sn_storage *storage = rq->api->host->storage;
    double load[3] = {NAN, NAN, NAN}, page = (double)sysconf(_SC_PAGESIZE);
    struct utsname os;
    struct statvfs fs;
    json_t *o = json_object(), *list = json_array(), *disk = json_object();
    if (getloadavg(load, 3) < 3)
        load[0] = load[1] = load[2] = NAN;
    for (int i = 0; i < 3; i++)
        json_array_append_new(list, sn_json_number(load[i]));
    sn_json_put(o, "runtime", runtime_name());
    sn_json_put(o, "cpus", json_integer(usable_cpus()));
    sn_json_put(o, "load", list);
    sn_json_put(o, "memory_bytes",
                sn_json_number((double)sysconf(_SC_PHYS_PAGES) * page));
    sn_json_put(o, "memory_available_bytes",
                sn_json_number((double)sysconf(_SC_AVPHYS_PAGES) * page));
    if (uname(&os) == 0) {
        sn_json_put(o, "os", sn_json_string(os.sysname));
        sn_json_put(o, "kernel", sn_json_string(os.release));
        sn_json_put(o, "machine", sn_json_string(os.machine));
    }
    sn_json_put(disk, "path", sn_json_string(sn_storage_dir(storage)));
    sn_json_put(disk, "full", json_boolean(sn_storage_disk_full(storage)));
    if (statvfs(sn_storage_dir(storage), &fs) == 0) {
        double unit = (double)fs.f_frsize;
        sn_json_put(disk, "bytes", sn_json_number((double)fs.f_blocks * unit));
        sn_json_put(disk, "available_bytes",
                    sn_json_number((double)fs.f_bavail * unit));
    }
    sn_json_put(o, "disk", disk);
    sn_json_put(o, "uptime_s", sn_json_number(floor(uptime(rq->api))));
    sn_json_put(o, "pid", json_integer(getpid()));
    sn_reply_json(rq, 200, o);
}

/* ---- metrics (Prometheus' text format) ---- */

static void write_metrics(FILE *out, const struct sn_request *rq)
{
    const struct sn_api *api = rq->api;
    const struct sn_host *host = api->host;
    const struct sn_job_view *const *jobs = NULL;
    size_t n = host->job_list(host->self, &jobs);
    size_t by_state[SN_JOB_STATE_COUNT] = {0};
    double images = 0;
    uint64_t evaluations = 0;
    const char *why = NULL;
    for (size_t i = 0; i < n; i++) {
        by_state[jobs[i]->state]++;
        evaluations += jobs[i]->evaluations;
        if (jobs[i]->state == SN_JOB_RUNNING &&
            isfinite(jobs[i]->progress.images_per_s))
            images += jobs[i]->progress.images_per_s;
    }
    fputs("# TYPE sparsenas_jobs gauge\n", out);
    for (int i = 0; i < SN_JOB_STATE_COUNT; i++)
        fprintf(out, "sparsenas_jobs{state=\"%s\"} %zu\n",
                sn_job_state_name((enum sn_job_state)i), by_state[i]);
    fprintf(out,
            "# TYPE sparsenas_images_per_second gauge\n"
            "sparsenas_images_per_second %.6g\n"
            "# TYPE sparsenas_evaluations gauge\n"
            "sparsenas_evaluations %llu\n"
            "# TYPE sparsenas_http_requests_total counter\n"
            "sparsenas_http_requests_total %llu\n"
            "# TYPE sparsenas_event_streams gauge\n"
            "sparsenas_event_streams %u\n"
            "# TYPE sparsenas_events_total counter\n"
            "sparsenas_events_total %lld\n"
            "# TYPE sparsenas_ready gauge\n"
            "sparsenas_ready %d\n"
            "# TYPE sparsenas_uptime_seconds gauge\n"
            "sparsenas_uptime_seconds %.0f\n",
            images, (unsigned long long)evaluations,
            (unsigned long long)api->n_requests, api->n_streams,
            (long long)api->newest_event, host->ready(host->self, &why),
            uptime(api));
}

void sn_get_metrics(struct sn_request *rq)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out != NULL) {
        write_metrics(out, rq);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    sn_reply_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}
