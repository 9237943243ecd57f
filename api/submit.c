/* A spec is read, resolved, weighed and given to the host: POST /jobs, and what
 * makes a spec of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <xxhash.h>

#include "api/handlers.h"
#include "api/job_json.h"
#include "api/json.h"
#include "api/spec_json.h"
#include "api/submit.h"

enum { KEY_MAX = 128 };

const struct sn_parameter sn_post_job_parameters[] = {
    {"dry_run", SN_PARAMETER_BOOL, 0, 0, NULL}, {NULL}};

/* All texts are owned. */
struct draft {
    struct sn_spec spec;
    struct sn_forecast forecast;
    char *given, *resolved, *labels;
    char body_xxh3[17];
};

static void draft_close(struct draft *d)
{
    free(d->given);
    free(d->resolved);
    free(d->labels);
}

static double room_on_disk(const char *dir)
{
    struct statvfs st;
    return statvfs(dir, &st) == 0 ? (double)st.f_bavail * (double)st.f_frsize
                                  : 1e300;
}

/* What cannot fit on this machine is refused before it runs. */
static void check_fits(const struct sn_request *rq,
                       const struct sn_forecast *forecast,
                       struct sn_problem *problem)
{
    double memory = rq->api->host->job_memory;
    double disk = room_on_disk(sn_storage_dir(rq->api->host->storage));
    if (forecast->memory_bytes > memory) {
        sn_problem_set(problem, 422,
                       "the job would need about %.0f MB of memory, and jobs "
                       "may take %.0f here",
                       forecast->memory_bytes / 1e6, memory / 1e6);
        sn_problem_at(problem, forecast->memory_field,
                      "most of the memory depends on this");
    } else if (forecast->disk_bytes > disk) {
        sn_problem_set(problem, 507,
                       "the job needs about %.0f MB of disk, %.0f are free",
                       forecast->disk_bytes / 1e6, disk / 1e6);
    }
}

/* The weights that the job names: its space is theirs, and they must suit the
 * images. */
static void take_supernet(struct sn_request *rq, struct draft *d,
                          const json_t *body,
                          const struct sn_dataset_info *data,
                          struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    const json_t *epochs = json_object_get(body, "epochs");
    const struct sn_supernet_view *s =
        host->supernet_get(host->self, d->spec.supernet);
    if (s == NULL || !s->available) {
        sn_problem_at(problem, "/supernet", "%.64s: %.180s", d->spec.supernet,
                      s == NULL ? "there is no such supernet" : s->problem);
        return;
    }
    if (json_object_get(body, "space") != NULL &&
        strcmp(d->spec.space, s->space) != 0)
        sn_problem_at(problem, "/space", "supernet %s belongs to space %s",
                      s->name, s->space);
    if (!sn_spec_trains(&d->spec) && epochs != NULL &&
        json_number_value(epochs) != 0)
        sn_problem_at(problem, "/epochs",
                      "must be 0 or left out: with a supernet nothing is "
                      "trained");
    if (s->info.classes != data->classes)
        sn_problem_at(problem, "/supernet",
                      "%s has %d classes, data set %s has %d", s->name,
                      s->info.classes, d->spec.dataset, data->classes);
    if (s->info.in_channels != data->channels)
        sn_problem_at(problem, "/supernet",
                      "%s takes images of %d channels, those of data set %s "
                      "have %d",
                      s->name, s->info.in_channels, d->spec.dataset,
                      data->channels);
    snprintf(d->spec.space, sizeof d->spec.space, "%s", s->space);
}

static bool resolve(struct sn_request *rq, struct draft *d, const json_t *body,
                    struct sn_problem *problem)
{
    const struct sn_host *host = rq->api->host;
    struct sn_error err = {0};
    const struct sn_dataset_view *data =
        host->dataset_get(host->self, d->spec.dataset);
    if (data == NULL || !data->available) {
        const char *why = data == NULL            ? "there is no such data set"
                          : data->problem != NULL ? data->problem
                                                  : "it is not available";
        sn_problem_at(problem, "/dataset", "%.64s: %.180s", d->spec.dataset,
                      why);
        sn_problem_set(problem, 400, "the data set cannot be used");
        return false;
    }
    if (d->spec.supernet[0] != '\0')
        take_supernet(rq, d, body, &data->info, problem);
    if (d->spec.parent[0] != '\0' &&
        host->job_get(host->self, d->spec.parent) == NULL)
        sn_problem_at(problem, "/parent", "there is no job %.64s",
                      d->spec.parent);
    if (problem->status != 0)
        return false;
    const struct sn_space_view *space =
        host->space_get(host->self, d->spec.space);
    if (space != NULL && space->json != NULL)
        d->spec.made_space = space->space;
    if (sn_spec_resolve(&d->spec, &data->info, &err) != SN_OK ||
        sn_spec_forecast(&d->spec, &data->info, &d->forecast, &err) != SN_OK) {
        sn_problem_from_error(problem, &err);
        return false;
    }
    check_fits(rq, &d->forecast, problem);
    return problem->status == 0;
}

/* Tells one request from another: by path and body. */
static void hash_request(const struct sn_request *rq, char ret[17])
{
    XXH64_hash_t path = XXH3_64bits(rq->path, strlen(rq->path));
    XXH64_hash_t all =
        XXH3_64bits_withSeed(rq->body, rq->body_size, (uint64_t)path);
    snprintf(ret, 17, "%016llx", (unsigned long long)all);
}

static bool make_draft(struct sn_request *rq, json_t *body, struct draft *d,
                       struct sn_problem *problem)
{
    if (!sn_spec_from_json(body, &d->spec, &d->labels, problem) ||
        !resolve(rq, d, body, problem))
        return false;
    d->given = sn_json_dump(body);
    d->resolved = sn_spec_print(&d->spec, d->labels);
    hash_request(rq, d->body_xxh3);
    if (d->given == NULL || d->resolved == NULL)
        sn_problem_set(problem, 503, "out of memory");
    return d->given != NULL && d->resolved != NULL;
}

static void reply_forecast(struct sn_request *rq, const struct draft *d)
{
    json_t *body = json_object(), *f = json_object(), *phases = json_object();
    sn_json_put(body, "spec", sn_json_stored(d->resolved));
    sn_json_put(f, "memory_bytes", sn_json_number(d->forecast.memory_bytes));
    sn_json_put(f, "disk_bytes", sn_json_number(d->forecast.disk_bytes));
    sn_json_put(f, "macs", sn_json_number(d->forecast.macs));
    sn_json_put(f, "images", sn_json_number(d->forecast.images));
    sn_json_put(f, "seconds", sn_json_number(d->forecast.seconds));
    for (int i = 0; i < SN_PHASE_KINDS; i++)
        sn_json_put(phases, sn_phase_names[i],
                    sn_json_number(d->forecast.phase_macs[i]));
    sn_json_put(f, "phase_macs", phases);
    sn_json_put(body, "forecast", f);
    sn_reply_json(rq, 200, body);
}

static void submitted(void *arg, const struct sn_error *err, const char *id,
                      bool repeated)
{
    struct sn_request *rq = arg;
    if (err != NULL && err->code != SN_OK) {
        sn_reply_error(rq, err);
    } else if (rq->connection != NULL) {
        const struct sn_host *host = rq->api->host;
        const struct sn_job_view *job = host->job_get(host->self, id);
        char location[128];
        json_t *body = json_object();
        if (job != NULL) {
            json_decref(body);
            body = sn_job_whole(job);
        } else {
            sn_json_put(body, "id", sn_json_string(id));
        }
        snprintf(location, sizeof location, "/api/v1/jobs/%.64s", id);
        sn_reply_json(rq, 201, body);
        if (rq->response != NULL)
            MHD_add_response_header(rq->response, MHD_HTTP_HEADER_LOCATION,
                                    location);
        if (rq->response != NULL && repeated)
            MHD_add_response_header(rq->response, "Idempotent-Replayed",
                                    "true");
    }
    sn_request_unref(rq);
}

/* NULL is fine; a key is 1 to KEY_MAX printable characters. */
static bool key_is_good(const char *key)
{
    size_t n = key != NULL ? strlen(key) : 1;
    for (size_t i = 0; key != NULL && i < n; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e)
            return false;
    }
    return n >= 1 && n <= KEY_MAX;
}

void sn_submit(struct sn_request *rq, json_t *body, bool dry_run,
               void (*reword)(struct sn_problem *problem))
{
    const struct sn_host *host = rq->api->host;
    const char *key = sn_request_header(rq, "Idempotency-Key");
    struct sn_problem problem = {0};
    struct draft d = {.given = NULL};
    const char *why = NULL;
    if (!key_is_good(key)) {
        sn_reply_status(rq, 400,
                        "Idempotency-Key must have 1 to %d printable "
                        "characters",
                        KEY_MAX);
    } else if (!make_draft(rq, body, &d, &problem)) {
        if (reword != NULL)
            reword(&problem);
        sn_reply_problem(rq, &problem);
    } else if (dry_run) {
        reply_forecast(rq, &d);
    } else if (!host->ready(host->self, &why)) {
        sn_reply_status(rq, 503, "no job can be taken now: %s",
                        why != NULL ? why : "the server is not ready");
    } else {
        struct sn_submission submission = {
            .spec = &d.spec,
            .spec_given_json = d.given,
            .spec_resolved_json = d.resolved,
            .labels_json = d.labels,
            .idempotency_key = key,
            .body_xxh3 = d.body_xxh3,
        };
        sn_request_ref(rq);
        host->job_submit(host->self, &submission, submitted, rq);
    }
    draft_close(&d);
}

void sn_post_job(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    if (body == NULL)
        sn_reply_problem(rq, &problem);
    else
        sn_submit(rq, body, sn_query_bool(&rq->query, "dry_run", false), NULL);
    json_decref(body);
}
