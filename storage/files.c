#include "storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <dirent.h>
#include <unistd.h>

#include <xxhash.h>

bool sn_files_is_plain_name(const char *name)
{
    if (name == NULL || name[0] == '\0' || name[0] == '.' || strlen(name) > 200)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789-_.") == strlen(name);
}

static enum sn_err join(char ret[SN_PATH_MAX], struct sn_error *err,
                        const char *dir, const char *job, const char *rest,
                        const char *file)
{
    if (!sn_files_is_plain_name(job) || !sn_files_is_plain_name(file))
        return sn_error_set(err, SN_ERR_INVALID,
                            "a name is not fit for a file");
    char path[SN_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/jobs/%s%s%s", dir, job, rest,
                     rest[0] != '\0' ? file : "");
    if (n < 0 || n >= SN_PATH_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "a path is too long");
    memcpy(ret, path, (size_t)n + 1);
    return SN_OK;
}

enum sn_err sn_files_job_dir(const char *state_dir, const char *job,
                             char ret[SN_PATH_MAX], struct sn_error *err)
{
    return join(ret, err, state_dir, job, "", "none");
}

enum sn_err sn_files_checkpoint_path(const char *state_dir, const char *job,
                                     const char *file, char ret[SN_PATH_MAX],
                                     struct sn_error *err)
{
    return join(ret, err, state_dir, job, "/checkpoints/", file);
}

static enum sn_err sync_folder(const char *dir, struct sn_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sn_error_errno(err, errno, "opening %s", dir);
    enum sn_err code = SN_OK;
    if (fsync(fd) != 0)
        code = sn_error_errno(err, errno, "syncing %s", dir);
    close(fd);
    return code;
}

static enum sn_err sync_parent(const char *path, struct sn_error *err)
{
    char dir[SN_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return sync_folder(".", err);
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof dir)
        return sn_error_set(err, SN_ERR_TOOLARGE, "a path is too long");
    memcpy(dir, path, n);
    dir[n] = '\0';
    return sync_folder(dir, err);
}

/* A folder that is there, and whose entry in its parent is on the disk. */
static enum sn_err make_folder(const char *path, struct sn_error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, err);
    return errno == EEXIST ? SN_OK
                           : sn_error_errno(err, errno, "making %s", path);
}

enum sn_err sn_files_make_job_dir(const char *state_dir, const char *job,
                                  struct sn_error *err)
{
    char path[SN_PATH_MAX];
    enum sn_err code =
        sn_files_checkpoint_path(state_dir, job, "none", path, err);
    if (code != SN_OK)
        return code;
    /* <state>/jobs, then <id>, then checkpoints: cut the path at each */
    char *cut = path + strlen(state_dir) + 1;
    for (int level = 0; level < 3 && code == SN_OK; level++) {
        cut = strchr(cut, '/');
        *cut = '\0';
        code = make_folder(path, err);
        *cut++ = '/';
    }
    return code;
}

/* Empties a folder by descriptor: links are removed, never followed. */
static int empty_folder(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return -1;
    }
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), name, 0) == 0 || errno == ENOENT)
            continue;
        int sub = openat(dirfd(dir), name,
                         O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        rc = sub < 0 || depth == 0 ? -1 : empty_folder(sub, depth - 1);
        if (sub >= 0 && depth == 0)
            close(sub);
        if (rc == 0)
            rc = unlinkat(dirfd(dir), name, AT_REMOVEDIR);
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

static enum sn_err remove_folder(const char *path, struct sn_error *err)
{
    enum { DEPTH = 16 };
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SN_OK
                               : sn_error_errno(err, errno, "opening %s", path);
    if (empty_folder(fd, DEPTH) != 0 || rmdir(path) != 0)
        return sn_error_errno(err, errno, "removing %s", path);
    return SN_OK;
}

enum sn_err sn_files_remove_job_dir(const char *state_dir, const char *job,
                                    struct sn_error *err)
{
    char path[SN_PATH_MAX];
    enum sn_err code = sn_files_job_dir(state_dir, job, path, err);
    return code == SN_OK ? remove_folder(path, err) : code;
}

/* ---- supernets ---- */

enum sn_err sn_files_supernet_path(const char *state_dir, const char *name,
                                   const char *file, char ret[SN_PATH_MAX],
                                   struct sn_error *err)
{
    char path[SN_PATH_MAX];
    if (!sn_files_is_plain_name(name) || !sn_files_is_plain_name(file))
        return sn_error_set(err, SN_ERR_INVALID,
                            "a name is not fit for a file");
    int n = snprintf(path, sizeof path, "%s/supernets/%s/%s", state_dir, name,
                     file);
    if (n < 0 || n >= SN_PATH_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "a path is too long");
    memcpy(ret, path, (size_t)n + 1);
    return SN_OK;
}

enum sn_err sn_files_make_supernet_dir(const char *state_dir, const char *name,
                                       struct sn_error *err)
{
    char path[SN_PATH_MAX];
    enum sn_err code =
        sn_files_supernet_path(state_dir, name, "models", path, err);
    if (code != SN_OK)
        return code;
    /* <state>/supernets, then <name>, then models */
    char *cut = path + strlen(state_dir) + 1;
    for (int level = 0; level < 2 && code == SN_OK; level++) {
        cut = strchr(cut, '/');
        *cut = '\0';
        code = make_folder(path, err);
        *cut++ = '/';
    }
    return code == SN_OK ? make_folder(path, err) : code;
}

enum sn_err sn_files_remove_supernet_dir(const char *state_dir,
                                         const char *name, struct sn_error *err)
{
    char path[SN_PATH_MAX];
    enum sn_err code =
        sn_files_supernet_path(state_dir, name, "models", path, err);
    if (code != SN_OK)
        return code;
    *strrchr(path, '/') = '\0';
    return remove_folder(path, err);
}

enum sn_err sn_files_commit(const char *tmp, const char *path,
                            struct sn_error *err)
{
    enum sn_err code = SN_OK;
    int fd = open(tmp, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sn_error_errno(err, errno, "opening %s", tmp);
    if (fsync(fd) != 0)
        code = sn_error_errno(err, errno, "syncing %s", tmp);
    close(fd);
    if (code == SN_OK && rename(tmp, path) != 0)
        code = sn_error_errno(err, errno, "renaming %s", tmp);
    if (code != SN_OK) {
        unlink(tmp);
        return code;
    }
    return sync_parent(path, err);
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

enum sn_err sn_files_write(const char *path, const void *data, size_t size,
                           struct sn_error *err)
{
    char tmp[SN_PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s" SN_TMP_SUFFIX, path);
    if (n < 0 || n >= SN_PATH_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "a path is too long");
    int fd =
        open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sn_error_errno(err, errno, "making %s", tmp);
    int failed = write_all(fd, data, size);
    int saved = errno;
    if (close(fd) != 0 && failed == 0) {
        failed = -1;
        saved = errno;
    }
    if (failed != 0) {
        unlink(tmp);
        return sn_error_errno(err, saved, "writing %s", tmp);
    }
    return sn_files_commit(tmp, path, err);
}

static enum sn_err open_to_read(const char *path, int *ret_fd,
                                int64_t *ret_size, struct sn_error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return sn_error_set(err, SN_ERR_NOTFOUND, "there is no file %.300s",
                            path);
    if (fd < 0 || fstat(fd, &info) != 0) {
        enum sn_err code = sn_error_errno(err, errno, "opening %s", path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return sn_error_set(err, SN_ERR_IO, "%.300s is not a file", path);
    }
    *ret_fd = fd;
    *ret_size = info.st_size;
    return SN_OK;
}

enum sn_err sn_files_read(const char *path, size_t max, void **ret_data,
                          size_t *ret_size, struct sn_error *err)
{
    int fd;
    int64_t size;
    enum sn_err code = open_to_read(path, &fd, &size, err);
    if (code != SN_OK)
        return code;
    char *data = NULL;
    size_t used = 0;
    if ((uint64_t)size > max)
        code = sn_error_set(err, SN_ERR_TOOLARGE,
                            "%.200s has %" PRId64 " bytes, %zu are the limit",
                            path, size, max);
    else if ((data = malloc((size_t)size + 1)) == NULL)
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    while (code == SN_OK && used < (size_t)size) {
        ssize_t n = read(fd, data + used, (size_t)size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = sn_error_errno(err, errno, "reading %s", path);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    if (code != SN_OK) {
        free(data);
        return code;
    }
    data[used] = '\0';
    *ret_data = data;
    *ret_size = used;
    return SN_OK;
}

enum sn_err sn_files_xxh3(const char *path, char ret_hex[SN_XXH3_HEX],
                          int64_t *ret_bytes, struct sn_error *err)
{
    enum { BLOCK = 1 << 18 };
    int fd = -1;
    int64_t bytes = 0;
    enum sn_err code = open_to_read(path, &fd, &bytes, err);
    if (code != SN_OK)
        return code;
    XXH3_state_t *hash = XXH3_createState();
    char *block = malloc(BLOCK);
    if (hash == NULL || block == NULL) {
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        goto done;
    }
    XXH3_64bits_reset(hash);
    bytes = 0;
    for (;;) {
        ssize_t n = read(fd, block, BLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = sn_error_errno(err, errno, "reading %s", path);
        if (n <= 0)
            break;
        XXH3_64bits_update(hash, block, (size_t)n);
        bytes += n;
    }
    if (code == SN_OK) {
        snprintf(ret_hex, SN_XXH3_HEX, "%016" PRIx64,
                 (uint64_t)XXH3_64bits_digest(hash));
        *ret_bytes = bytes;
    }
done:
    free(block);
    XXH3_freeState(hash);
    close(fd);
    return code;
}

enum sn_err sn_files_remove(const char *path, struct sn_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return SN_OK;
    return sn_error_errno(err, errno, "removing %s", path);
}

enum sn_err sn_files_room(const char *path, int64_t *ret_bytes,
                          struct sn_error *err)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return sn_error_errno(err, errno, "looking at the disk of %s", path);
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize;
    *ret_bytes = room > INT64_MAX ? INT64_MAX : (int64_t)room;
    return SN_OK;
}
