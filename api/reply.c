/* Replies of requests, and queries on reader threads that become replies. */
#include "api/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/json.h"

void sn_reply(struct sn_request *rq, unsigned status,
              struct MHD_Response *response)
{
    static const char failed[] = "{\"type\":\"about:blank\",\"status\":503}";
    if (rq->connection == NULL || rq->response != NULL) {
        if (response != NULL)
            MHD_destroy_response(response);
        return;
    }
    if (response == NULL) {
        status = 503;
        response = MHD_create_response_from_buffer(sizeof failed - 1,
                                                   (void *)(uintptr_t)failed,
                                                   MHD_RESPMEM_PERSISTENT);
        if (response == NULL)
            return;
    }
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    rq->response = response;
    rq->status = status;
    if (rq->suspended) {
        rq->suspended = false;
        MHD_resume_connection(rq->connection);
        sn_server_wake(rq->api->server);
    }
}

static struct MHD_Response *text_response(const char *type, char *text)
{
    if (text == NULL)
        return NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            "no-store");
    return response;
}

struct MHD_Response *sn_response_json(char *text)
{
    return text_response("application/json", text);
}

void sn_reply_text(struct sn_request *rq, unsigned status, const char *type,
                   char *text)
{
    sn_reply(rq, status, text_response(type, text));
}

void sn_reply_json(struct sn_request *rq, unsigned status, json_t *body)
{
    char *text = sn_json_dump(body);
    json_decref(body);
    sn_reply(rq, status, sn_response_json(text));
}

void sn_reply_empty(struct sn_request *rq, unsigned status)
{
    sn_reply(rq, status,
             MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

void sn_reply_problem(struct sn_request *rq, const struct sn_problem *problem)
{
    sn_reply(
        rq, problem->status,
        text_response("application/problem+json", sn_problem_print(problem)));
}

void sn_reply_error(struct sn_request *rq, const struct sn_error *err)
{
    struct sn_problem problem = {0};
    sn_problem_from_error(&problem, err);
    sn_reply_problem(rq, &problem);
}

void sn_reply_status(struct sn_request *rq, unsigned status, const char *fmt,
                     ...)
{
    struct sn_problem problem = {0};
    char detail[sizeof problem.detail];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    sn_problem_set(&problem, status, "%s", detail);
    sn_reply_problem(rq, &problem);
}

void sn_reply_file(struct sn_request *rq, const char *path, const char *name)
{
    struct stat st;
    char disposition[SN_ARCH_ID_MAX + 96];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        struct sn_error err = {0};
        sn_error_errno(&err, errno, "opening the file");
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
                 "attachment; filename=\"%.250s\"", name);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "application/octet-stream");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
                                disposition);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                "no-store");
    }
    sn_reply(rq, 200, response);
}

/* ---- reads ---- */

static void free_read(struct sn_read *read)
{
    if (read->drop != NULL)
        read->drop(read);
    json_decref(read->body);
    free(read->text);
    free(read);
}

/* Back on the loop. */
static void read_done(struct sn_post *post)
{
    struct sn_read *read = (struct sn_read *)post;
    struct sn_request *rq = read->rq;
    read->api->n_reads--; /* closing waits for reads */
    if (read->problem.status != 0) {
        sn_reply_problem(rq, &read->problem);
    } else {
        struct MHD_Response *response = sn_response_json(read->text);
        read->text = NULL;
        if (response != NULL && read->etag[0] != '\0')
            MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, read->etag);
        sn_reply(rq, 200, response);
    }
    sn_request_unref(rq);
    free_read(read);
}

/* On a reader thread. */
static void run_read(void *arg, struct sn_reader *reader)
{
    struct sn_read *read = arg;
    read->build(read, reader);
    if (read->problem.status == 0 && read->text == NULL)
        read->text = sn_json_dump(read->body);
    sn_server_post(read->server, &read->post);
}

void sn_request_read(struct sn_request *rq, struct sn_read *read)
{
    struct sn_error err = {0};
    if (read == NULL) {
        sn_reply_status(rq, 503, "out of memory");
        return;
    }
    read->rq = rq;
    read->api = rq->api;
    read->server = rq->api->server;
    read->post.run = read_done;
    sn_request_ref(rq);
    rq->api->n_reads++;
    if (sn_storage_read(rq->api->host->storage, run_read, read, &err) == SN_OK)
        return;
    rq->api->n_reads--;
    sn_reply_error(rq, &err);
    sn_request_unref(rq);
    free_read(read);
}

void sn_read_failed(struct sn_read *read, const struct sn_error *err)
{
    if (read->problem.status == 0)
        sn_problem_from_error(&read->problem, err);
}
