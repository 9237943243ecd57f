#include "engine/model/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sn_outfile {
    int fd;
    char *path, *temp, *folder;
};

static void outfile_free(struct sn_outfile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file->temp);
    free(file->folder);
    free(file);
}

/* "a/b" -> "a", "b" -> ".", "/b" -> "/" */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* A name that nothing has: leftovers of a crash are stepped over. The mode is
 * left to the umask. */
static enum sn_err create_temp(struct sn_outfile *file, struct sn_error *err)
{
    for (int i = 0; i < 1000; i++) {
        free(file->temp);
        if (asprintf(&file->temp, "%s.%ld-%d.tmp", file->path, (long)getpid(),
                     i) < 0) {
            file->temp = NULL;
            return sn_error_set(err, SN_ERR_NOMEM, "%s: out of memory",
                                file->path);
        }
        file->fd =
            open(file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0)
            return SN_OK;
        if (errno != EEXIST)
            return sn_error_errno(err, errno, "creating %s", file->path);
    }
    return sn_error_set(err, SN_ERR_IO,
                        "creating %s: too many leftover .tmp files beside it",
                        file->path);
}

enum sn_err sn_outfile_begin(const char *path, struct sn_outfile **ret,
                             struct sn_error *err)
{
    struct sn_outfile *file = calloc(1, sizeof(*file));
    if (!file)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: out of memory", path);
    file->fd = -1;
    file->path = strdup(path);
    file->folder = folder_of(path);
    if (!file->path || !file->folder) {
        outfile_free(file);
        return sn_error_set(err, SN_ERR_NOMEM, "%s: out of memory", path);
    }
    enum sn_err code = create_temp(file, err);
    if (code != SN_OK) {
        outfile_free(file);
        return code;
    }
    *ret = file;
    return SN_OK;
}

enum sn_err sn_outfile_write(struct sn_outfile *file, const void *bytes,
                             size_t n, struct sn_error *err)
{
    const char *at = bytes;
    while (n > 0) {
        /* one call moves at most about 2 GiB */
        ssize_t done = write(file->fd, at, n < (1u << 30) ? n : (1u << 30));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return sn_error_errno(err, errno, "writing %s", file->path);
        at += done;
        n -= (size_t)done;
    }
    return SN_OK;
}

enum sn_err sn_outfile_sync(struct sn_outfile *file, struct sn_error *err)
{
    if (fsync(file->fd) < 0)
        return sn_error_errno(err, errno, "syncing %s", file->path);
    return SN_OK;
}

const char *sn_outfile_temp(const struct sn_outfile *file)
{
    return file->temp;
}

static enum sn_err sync_folder(const char *folder, struct sn_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sn_error_errno(err, errno, "opening %s", folder);
    enum sn_err code = SN_OK;
    if (fsync(fd) < 0)
        code = sn_error_errno(err, errno, "syncing %s", folder);
    close(fd);
    return code;
}

enum sn_err sn_outfile_commit(struct sn_outfile *file, struct sn_error *err)
{
    enum sn_err code = sn_outfile_sync(file, err);
    if (code != SN_OK) {
        sn_outfile_abort(file);
        return code;
    }
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) < 0 || rename(file->temp, file->path) < 0) {
        code = sn_error_errno(err, errno, "placing %s", file->path);
        sn_outfile_abort(file);
        return code;
    }
    code = sync_folder(file->folder, err);
    outfile_free(file);
    return code;
}

void sn_outfile_abort(struct sn_outfile *file)
{
    if (!file)
        return;
    unlink(file->temp);
    outfile_free(file);
}
