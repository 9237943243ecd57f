/* The dashboard's files. */
#include "api/static.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "api/request.h"

enum {
    FILES_MAX = 512,
    DEPTH_MAX = 6,
    PATH_BYTES = 512,
    TOTAL_MAX = 32 * 1024 * 1024
};

struct file {
    char *path; /* from the root, with a leading slash */
    char *bytes;
    size_t size;
    char etag[24];
};

struct sn_files {
    struct file file[FILES_MAX];
    size_t n, total;
};

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
    "data:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

static const char no_dashboard[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<title>sparsenas</title></head><body><h1>sparsenas</h1>"
    "<p>The server runs. The dashboard is not installed here: build it with "
    "node and npm (make does so when they are there) and start the server "
    "again.</p><p>The API is at <a href=\"/api/v1/jobs\">/api/v1/jobs</a>, its "
    "health at <a href=\"/readyz\">/readyz</a>.</p></body></html>\n";

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(dot, types[i].suffix) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* ---- reading them in ---- */

static enum sn_err add_file(struct sn_files *files, int fd, size_t size,
                            const char *path, struct sn_error *err)
{
    struct file *f = &files->file[files->n];
    size_t have = 0;
    if (files->n == FILES_MAX || files->total + size > TOTAL_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "the dashboard has more than %d files or %d bytes",
                            FILES_MAX, TOTAL_MAX);
    f->path = strdup(path);
    f->bytes = malloc(size + 1);
    if (f->path == NULL || f->bytes == NULL) {
        free(f->path);
        free(f->bytes);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    while (have < size) {
        ssize_t n = read(fd, f->bytes + have, size - have);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    f->size = have;
    snprintf(f->etag, sizeof f->etag, "\"%016llx\"",
             (unsigned long long)XXH3_64bits(f->bytes, have));
    files->n++;
    files->total += have;
    return SN_OK;
}

static enum sn_err load_folder(struct sn_files *files, int folder,
                               const char *path, int depth,
                               struct sn_error *err);

static enum sn_err load_entry(struct sn_files *files, int folder,
                              const char *path, const char *name, int depth,
                              struct sn_error *err)
{
    char below[PATH_BYTES];
    struct stat st;
    if (name[0] == '.' ||
        snprintf(below, sizeof below, "%s/%s", path, name) >= PATH_BYTES)
        return SN_OK;
    int fd =
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return SN_OK;
    enum sn_err rc = SN_OK;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        rc = add_file(files, fd, (size_t)st.st_size, below, err);
    else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
        return load_folder(files, fd, below, depth + 1, err);
    close(fd);
    return rc;
}

/* Takes the descriptor. */
static enum sn_err load_folder(struct sn_files *files, int folder,
                               const char *path, int depth,
                               struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    DIR *dir = fdopendir(folder);
    if (dir == NULL) {
        close(folder);
        return sn_error_errno(err, errno, "reading the dashboard's folder");
    }
    struct dirent *entry;
    while (rc == SN_OK && (entry = readdir(dir)) != NULL)
        rc = load_entry(files, dirfd(dir), path, entry->d_name, depth, err);
    closedir(dir);
    return rc;
}

static const struct file *find(const struct sn_files *files, const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    for (size_t i = 0; i < files->n; i++) {
        if (strcmp(files->file[i].path, path) == 0)
            return &files->file[i];
    }
    return NULL;
}

enum sn_err sn_files_load(const char *root, struct sn_files **ret,
                          struct sn_error *err)
{
    struct sn_files *files = calloc(1, sizeof *files);
    enum sn_err rc = SN_OK;
    if (files == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    int fd = root == NULL ? -1 : open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        rc = load_folder(files, fd, "", 0, err);
    if (rc != SN_OK)
        sn_files_free(files);
    else
        *ret = files;
    return rc;
}

void sn_files_free(struct sn_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->n; i++) {
        free(files->file[i].path);
        free(files->file[i].bytes);
    }
    free(files);
}

/* ---- serving them ---- */

static void reply_bytes(struct sn_request *rq, const char *bytes, size_t size,
                        const char *type, const char *etag)
{
    const char *known = sn_request_header(rq, MHD_HTTP_HEADER_IF_NONE_MATCH);
    bool same = known != NULL && etag != NULL && strcmp(known, etag) == 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        same ? 0 : size, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                "no-cache");
        MHD_add_response_header(response, "Content-Security-Policy", policy);
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(response, "X-Frame-Options", "DENY");
        if (etag != NULL)
            MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    }
    sn_reply(rq, same ? 304 : 200, response);
}

void sn_get_file(struct sn_request *rq)
{
    const struct file *f = find(rq->api->files, rq->path);
    if (f != NULL)
        reply_bytes(rq, f->bytes, f->size, type_of(f->path), f->etag);
    else if (strcmp(rq->path, "/") == 0 || strcmp(rq->path, "/index.html") == 0)
        reply_bytes(rq, no_dashboard, sizeof no_dashboard - 1,
                    "text/html; charset=utf-8", NULL);
    else
        sn_reply_status(rq, 404,
                        "there is nothing at %.200s; the API is at /api/v1",
                        rq->path);
}
