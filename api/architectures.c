/* One architecture of a job: its layers and costs, what was measured, the jobs
 * that trained it further, and its model files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/arch_json.h"
#include "api/child_json.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/record_json.h"

enum { MAX_CHILDREN = 100 };

struct arch_read {
    struct sn_read read;
    char arch[SN_ARCH_ID_MAX];
    json_t *children; /* owned until it is the body's */
};

static bool add_evaluation(void *arg, const struct sn_evaluation_record *row)
{
    json_array_append_new(arg, sn_record_evaluation(row));
    return true;
}

static void build_arch(struct sn_read *read, struct sn_reader *reader)
{
    struct arch_read *r = (struct arch_read *)read;
    struct sn_error err = {0};
    struct sn_eval_query query = {
        .job = read->job, .arch = r->arch, .limit = 1000};
    json_t *evaluations = json_array(), *child;
    size_t i;
    if (sn_reader_evaluations(reader, &query, add_evaluation, evaluations,
                              &err) != SN_OK)
        sn_read_failed(read, &err);
    sn_json_put(read->body, "evaluations", evaluations);
    json_array_foreach(r->children, i, child)
    {
        const char *job = json_string_value(json_object_get(child, "job"));
        const char *strategy =
            json_string_value(json_object_get(child, "strategy"));
        if (sn_child_put_results(child, reader, job, r->arch,
                                 strcmp(strategy, "finetune") == 0,
                                 &err) != SN_OK)
            sn_read_failed(read, &err);
    }
    sn_json_put(read->body, "children", r->children);
    r->children = NULL;
}

static void drop_arch(struct sn_read *read)
{
    json_decref(((struct arch_read *)read)->children);
}

/* The jobs that trained this architecture of the job, newest first. */
static json_t *children_of(const struct sn_host *host, const char *parent,
                           const char *arch)
{
    const struct sn_job_view *const *all = NULL;
    size_t n = host->job_list(host->self, &all);
    json_t *list = json_array();
    while (n-- > 0 && json_array_size(list) < MAX_CHILDREN) {
        const struct sn_spec *spec = all[n]->spec;
        if (strcmp(spec->parent, parent) != 0 ||
            strcmp(spec->architecture, arch) != 0)
            continue;
        json_t *o = json_object();
        bool inherits = spec->strategy == SN_STRATEGY_FINETUNE;
        sn_json_put(o, "job", sn_json_string(all[n]->id));
        sn_json_put(o, "strategy",
                    sn_json_string(inherits ? "finetune" : "scratch"));
        sn_json_put(o, "state",
                    sn_json_string(sn_job_state_name(all[n]->state)));
        sn_json_put(o, "epochs", sn_json_number(spec->epochs));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *links_of(const char *job, const char *arch)
{
    static const char *const kinds[][2] = {{"self", ""},
                                           {"onnx", "/model.onnx"},
                                           {"weights", "/weights.safetensors"}};
    json_t *links = json_object();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char url[384];
        snprintf(url, sizeof url, "/api/v1/jobs/%s/architectures/%s%s", job,
                 arch, kinds[i][1]);
        sn_json_put(links, kinds[i][0], sn_json_string(url));
    }
    return links;
}

void sn_get_job_arch(struct sn_request *rq)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *job = sn_request_job(rq);
    const struct sn_space *space;
    struct sn_spec spec;
    struct sn_arch arch;
    if (job == NULL ||
        !sn_request_arch(rq, job, sn_request_path(rq, 1), &spec, &space, &arch))
        return;
    const struct sn_dataset_view *data =
        host->dataset_get(host->self, spec.dataset);
    bool known = data != NULL && data->available;
    struct arch_read *r = calloc(1, sizeof *r);
    if (r == NULL) {
        sn_reply(rq, 503, NULL);
        return;
    }
    r->read.build = build_arch;
    r->read.drop = drop_arch;
    r->read.body =
        sn_arch_describe(space, &arch, known ? data->info.channels : 1,
                         known ? data->info.classes : 10);
    snprintf(r->read.job, sizeof r->read.job, "%s", job->id);
    sn_arch_encode(space, &arch, r->arch);
    sn_json_put(r->read.body, "links", links_of(job->id, r->arch));
    r->children = children_of(host, job->id, r->arch);
    sn_request_read(rq, &r->read);
}

/* ---- model files ---- */

const struct sn_parameter sn_job_onnx_parameters[] = {
    {"normalize", SN_PARAMETER_BOOL, 0, 0, NULL}, {NULL}};

static void reply_model(struct sn_request *rq, const char *path)
{
    const char *suffix = strrchr(rq->path, '.');
    char name[SN_ARCH_ID_MAX + 32];
    snprintf(name, sizeof name, "%s%s", sn_request_path(rq, 1),
             suffix != NULL ? suffix : "");
    sn_reply_file(rq, path, name);
}

static void exported(void *arg, const struct sn_error *err, const char *path)
{
    struct sn_request *rq = arg;
    if (err != NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else if (rq->connection != NULL)
        reply_model(rq, path);
    sn_request_unref(rq);
}

static void export_model(struct sn_request *rq, enum sn_export_format format)
{
    const struct sn_host *host = rq->api->host;
    const struct sn_job_view *job = sn_request_job(rq);
    const struct sn_space *space;
    struct sn_spec spec;
    struct sn_arch arch;
    if (job == NULL ||
        !sn_request_arch(rq, job, sn_request_path(rq, 1), &spec, &space, &arch))
        return;
    if (job->checkpoint_step == 0) {
        sn_reply_status(rq, 409,
                        "the job has no weights yet: its first checkpoint is "
                        "to come");
        return;
    }
    sn_request_ref(rq);
    bool plain = !sn_query_bool(&rq->query, "normalize", true);
    host->model_export(host->self, job->id, &arch, format, plain, exported, rq);
}

void sn_get_job_onnx(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_ONNX);
}

void sn_get_job_weights(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_SAFETENSORS);
}
