#include "storage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/files.h"

static enum sn_err busy(int fd, struct sn_error *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0)
        return sn_error_set(
            err, SN_ERR_BUSY,
            "another sparsenasd (pid %ld) uses this state folder", pid);
    return sn_error_set(err, SN_ERR_BUSY,
                        "another sparsenasd uses this state folder");
}

enum sn_err sn_lock_take(const char *dir, int *ret_fd, struct sn_error *err)
{
    char path[SN_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sn_error_errno(err, errno, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum sn_err code = errno == EWOULDBLOCK
                               ? busy(fd, err)
                               : sn_error_errno(err, errno, "locking %s", path);
        close(fd);
        return code;
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        enum sn_err code = sn_error_errno(err, errno, "writing %s", path);
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return SN_OK;
}

void sn_lock_release(int fd)
{
    if (fd >= 0)
        close(fd);
}
