/* One architecture of a job: its layers and costs, what was measured, and its
 * model files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/arch_json.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/record_json.h"

struct arch_read {
    struct sn_read read;
    char arch[SN_ARCH_ID_MAX];
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
    json_t *evaluations = json_array();
    if (sn_reader_evaluations(reader, &query, add_evaluation, evaluations,
                              &err) != SN_OK)
        sn_read_failed(read, &err);
    sn_json_put(read->body, "evaluations", evaluations);
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
    r->read.body =
        sn_arch_describe(space, &arch, known ? data->info.channels : 1,
                         known ? data->info.classes : 10);
    snprintf(r->read.job, sizeof r->read.job, "%s", job->id);
    sn_arch_encode(space, &arch, r->arch);
    sn_json_put(r->read.body, "links", links_of(job->id, r->arch));
    sn_request_read(rq, &r->read);
}

/* ---- model files ---- */

static void reply_file(struct sn_request *rq, const char *path)
{
    struct stat st;
    const char *suffix = strrchr(rq->path, '.');
    char disposition[SN_ARCH_ID_MAX + 64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        struct sn_error err = {0};
        sn_error_errno(&err, errno, "opening the model");
        if (fd >= 0)
            close(fd);
        sn_reply_error(rq, &err);
        return;
    }
    struct MHD_Response *response =
        MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
    if (response == NULL) {
        close(fd);
    } else {
        snprintf(disposition, sizeof disposition,
                 "attachment; filename=\"%s%s\"", sn_request_path(rq, 1),
                 suffix != NULL ? suffix : "");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "application/octet-stream");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
                                disposition);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                "no-store");
    }
    sn_reply(rq, 200, response);
}

static void exported(void *arg, const struct sn_error *err, const char *path)
{
    struct sn_request *rq = arg;
    if (err != NULL && err->code != SN_OK)
        sn_reply_error(rq, err);
    else if (rq->connection != NULL)
        reply_file(rq, path);
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
    host->model_export(host->self, job->id, &arch, format, exported, rq);
}

void sn_get_job_onnx(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_ONNX);
}

void sn_get_job_weights(struct sn_request *rq)
{
    export_model(rq, SN_EXPORT_SAFETENSORS);
}
