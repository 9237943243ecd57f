#include "engine/data/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum sn_err sn_file_open(const char *path, struct sn_file *ret,
                         struct sn_error *err)
{
    struct stat st;
    enum sn_err rc;
    /* not to hang on a pipe before its kind is known */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return sn_error_set(err, SN_ERR_NOTFOUND, "%s: no such file", path);
    if (fd < 0)
        return sn_error_errno(err, errno, "%s: opening", path);
    if (fstat(fd, &st) != 0)
        rc = sn_error_errno(err, errno, "%s: looking at it", path);
    else if (!S_ISREG(st.st_mode))
        rc = sn_error_set(err, SN_ERR_CORRUPT, "%s: not a regular file", path);
    else
        rc = SN_OK;
    if (rc != SN_OK) {
        close(fd);
        return rc;
    }
    *ret = (struct sn_file){path, fd, (uint64_t)st.st_size};
    return SN_OK;
}

void sn_file_close(struct sn_file *file)
{
    close(file->fd);
}

enum sn_err sn_file_read(struct sn_file *file, void *to, size_t want,
                         size_t *ret_got, struct sn_error *err)
{
    size_t got = 0;
    while (got < want) {
        ssize_t n = read(file->fd, (uint8_t *)to + got, want - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sn_error_errno(err, errno, "%s: reading", file->path);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *ret_got = got;
    return SN_OK;
}

enum sn_err sn_file_read_all(struct sn_file *file, void *to, size_t want,
                             struct sn_error *err)
{
    size_t got;
    enum sn_err rc = sn_file_read(file, to, want, &got, err);
    if (rc == SN_OK && got < want)
        return sn_error_set(err, SN_ERR_CORRUPT, "%s: ends too early",
                            file->path);
    return rc;
}
