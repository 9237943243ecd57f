#include "daemon/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, MAX_PATH = 1024, MAX_DEPTH = 16 };
static const uint64_t small = 64ull << 20; /* no ratio counts below */

struct unpack {
    struct archive *archive;
    int folder;
    const struct sn_unpack_limits *limits;
    const atomic_bool *stop;
    uint64_t most, bytes; /* that may be, and that are unpacked */
    uint32_t entries;
    char *block;
};

static enum sn_err archive_failed(struct unpack *u, const char *name,
                                  struct sn_error *err)
{
    const char *why = archive_error_string(u->archive);
    if (archive_errno(u->archive) == ENOMEM)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to unpack");
    return sn_error_set(err, SN_ERR_INVALID,
                        "the archive cannot be unpacked: %.120s%s%.160s",
                        name != NULL ? name : "", name != NULL ? ": " : "",
                        why != NULL ? why : "it is damaged");
}

/* Opens the folder that `path` is in, making those that are missing; *ret_last
 * is the path's last part. -1 with errno. There are no links inside, as none
 * are made, and none are followed. */
static int open_parent(int folder, const char *path, const char **ret_last)
{
    int at = dup(folder);
    for (const char *end; at >= 0 && (end = strchr(path, '/')) != NULL;
         path = end + 1) {
        char part[NAME_MAX + 1];
        size_t n = (size_t)(end - path);
        if (n > NAME_MAX) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = '\0';
        int next = mkdirat(at, part, 0700) == 0 || errno == EEXIST
                       ? openat(at, part,
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                       : -1;
        int why = errno;
        close(at);
        errno = why;
        at = next;
    }
    *ret_last = path;
    return at;
}

/* The path in one form, without "./" and doubled or last slashes; false when
 * it leads anywhere else than down. */
static bool tidy(const char *path, char ret[MAX_PATH])
{
    size_t n = 0;
    int depth = 0;
    if (path[0] == '/' || path[0] == '\\')
        return false;
    while (*path != '\0') {
        size_t part = strcspn(path, "/");
        if (part == 2 && strncmp(path, "..", 2) == 0)
            return false;
        if (part > 0 && !(part == 1 && path[0] == '.')) {
            if (++depth > MAX_DEPTH || n + part + 2 > MAX_PATH)
                return false;
            if (n > 0)
                ret[n++] = '/';
            memcpy(ret + n, path, part);
            n += part;
        }
        path += part;
        path += *path == '/';
    }
    ret[n] = '\0';
    return true;
}

static enum sn_err check_amount(struct unpack *u, const char *name, uint64_t n,
                                struct sn_error *err)
{
    if (n <= u->most - u->bytes)
        return SN_OK;
    if (u->most < u->limits->bytes)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%.120s: unpacks to over %" PRIu64
                            " times the archive's size",
                            name, u->limits->ratio);
    return sn_error_set(err, SN_ERR_TOOLARGE,
                        "%.120s: makes it over %" PRIu64 " MiB, which is all "
                        "that uploaded data sets may still take",
                        name, u->limits->bytes >> 20);
}

static enum sn_err write_all(int fd, const char *bytes, size_t n,
                             const char *name, struct sn_error *err)
{
    while (n > 0) {
        ssize_t did = write(fd, bytes, n);
        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return sn_error_errno(err, errno, "%.120s: writing", name);
        bytes += did;
        n -= (size_t)did;
    }
    return SN_OK;
}

static enum sn_err copy(struct unpack *u, int fd, const char *name,
                        struct sn_error *err)
{
    for (;;) {
        la_ssize_t n = archive_read_data(u->archive, u->block, BLOCK);
        if (n == 0)
            return SN_OK;
        if (n < 0)
            return archive_failed(u, name, err);
        if (*u->stop)
            return sn_error_set(err, SN_ERR_STOPPED, "stopped");
        enum sn_err rc = check_amount(u, name, (uint64_t)n, err);
        if (rc == SN_OK)
            rc = write_all(fd, u->block, (size_t)n, name, err);
        if (rc != SN_OK)
            return rc;
        u->bytes += (uint64_t)n;
    }
}

static enum sn_err put(struct unpack *u, const char *name, bool is_folder,
                       struct sn_error *err)
{
    const char *last = NULL;
    int fd = -1;
    int parent = open_parent(u->folder, name, &last);
    if (parent < 0)
        return sn_error_set(
            err,
            errno == ENOTDIR || errno == ELOOP ? SN_ERR_INVALID : SN_ERR_IO,
            "%.120s: its folder cannot be made: %s", name, strerror(errno));
    if (is_folder) {
        bool good = mkdirat(parent, last, 0700) == 0 || errno == EEXIST;
        int why = errno;
        close(parent);
        return good ? SN_OK
                    : sn_error_errno(err, why, "%.120s: making it", name);
    }
    fd = openat(parent, last,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int why = errno;
    close(parent);
    if (fd < 0 && why == EEXIST)
        return sn_error_set(err, SN_ERR_INVALID, "%.120s: comes twice", name);
    if (fd < 0)
        return sn_error_errno(err, why, "%.120s: making it", name);
    enum sn_err rc = copy(u, fd, name, err);
    close(fd);
    return rc;
}

static enum sn_err take_entry(struct unpack *u, struct archive_entry *entry,
                              struct sn_error *err)
{
    char name[MAX_PATH];
    const char *path = archive_entry_pathname(entry);
    if (path == NULL)
        return sn_error_set(err, SN_ERR_INVALID,
                            "entry %" PRIu32 " has no readable name",
                            u->entries);
    if (!tidy(path, name))
        return sn_error_set(err, SN_ERR_INVALID,
                            "%.160s: leads out of the folder, or is too long "
                            "or too deep a path",
                            path);
    /* A Mac's second file beside each one. */
    if (name[0] == '\0' || strncmp(name, "__MACOSX/", 9) == 0)
        return SN_OK;
    if (archive_entry_hardlink(entry) != NULL ||
        archive_entry_symlink(entry) != NULL)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%.160s: is a link, and links are not taken", name);
    mode_t kind = archive_entry_filetype(entry);
    if (kind != AE_IFREG && kind != AE_IFDIR)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%.160s: is neither a file nor a folder", name);
    if (kind == AE_IFREG && archive_entry_size_is_set(entry) &&
        archive_entry_size(entry) > 0) {
        enum sn_err rc =
            check_amount(u, name, (uint64_t)archive_entry_size(entry), err);
        if (rc != SN_OK)
            return rc;
    }
    return put(u, name, kind == AE_IFDIR, err);
}

static enum sn_err take_all(struct unpack *u, struct sn_error *err)
{
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(u->archive, &entry)) ==
               ARCHIVE_OK ||
           code == ARCHIVE_WARN) {
        if (*u->stop)
            return sn_error_set(err, SN_ERR_STOPPED, "stopped");
        if (++u->entries > u->limits->entries)
            return sn_error_set(err, SN_ERR_TOOLARGE,
                                "the archive has over %" PRIu32 " entries",
                                u->limits->entries);
        enum sn_err rc = take_entry(u, entry, err);
        if (rc != SN_OK)
            return rc;
    }
    if (code != ARCHIVE_EOF)
        return archive_failed(u, NULL, err);
    if (u->entries == 0)
        return sn_error_set(err, SN_ERR_INVALID, "the archive is empty");
    if (syncfs(u->folder) != 0)
        return sn_error_errno(err, errno, "syncing what was unpacked");
    return SN_OK;
}

enum content { A_TREE, ONE_STREAM };

/* As many bytes as limits.ratio allows for an archive of that size, and limits
 * at all. */
static enum sn_err open_archive(struct unpack *u, int file, enum content what,
                                struct sn_error *err)
{
    struct stat st;
    if (fstat(file, &st) != 0)
        return sn_error_errno(err, errno, "looking at the archive");
    if (!S_ISREG(st.st_mode))
        return sn_error_set(err, SN_ERR_INVALID, "the archive is no file");
    uint64_t size = (uint64_t)st.st_size;
    u->most = u->limits->bytes;
    if (size < u->most / u->limits->ratio &&
        small + size * u->limits->ratio < u->most)
        u->most = small + size * u->limits->ratio;
    if (what == ONE_STREAM) {
        archive_read_support_format_raw(u->archive);
    } else {
        archive_read_support_format_tar(u->archive);
        archive_read_support_format_zip(u->archive);
    }
    archive_read_support_filter_gzip(u->archive);
    archive_read_support_filter_bzip2(u->archive);
    archive_read_support_filter_xz(u->archive);
    archive_read_support_filter_zstd(u->archive);
    if (archive_read_open_fd(u->archive, file, BLOCK) != ARCHIVE_OK)
        return sn_error_set(err, SN_ERR_INVALID,
                            "no tar or zip archive: %.160s",
                            archive_error_string(u->archive));
    return SN_OK;
}

/* ---- what begins and ends all of it ---- */

/* libarchive gives names in the thread's character set, which must be able to
 * hold all of them. */
struct charset {
    locale_t utf8, before;
};

static struct charset charset_enter(void)
{
    struct charset c = {.utf8 =
                            newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)};
    if (c.utf8 != (locale_t)0)
        c.before = uselocale(c.utf8);
    return c;
}

static void charset_leave(struct charset c)
{
    if (c.utf8 == (locale_t)0)
        return;
    uselocale(c.before);
    freelocale(c.utf8);
}

/* dir NULL: nothing will be written. */
static enum sn_err unpack_open(struct unpack *u, int file, const char *dir,
                               enum content what, struct sn_error *err)
{
    u->folder = -1;
    u->archive = archive_read_new();
    u->block = malloc(BLOCK);
    if (u->archive == NULL || u->block == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to unpack");
    if (dir != NULL)
        u->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir != NULL && u->folder < 0)
        return sn_error_errno(err, errno, "opening the folder of the data set");
    return open_archive(u, file, what, err);
}

static void unpack_close(struct unpack *u)
{
    if (u->archive != NULL)
        archive_read_free(u->archive);
    free(u->block);
    if (u->folder >= 0)
        close(u->folder);
}

enum sn_err sn_unpack(int archive, const char *dir,
                      const struct sn_unpack_limits *limits,
                      const atomic_bool *stop, struct sn_error *err)
{
    struct unpack u = {.limits = limits, .stop = stop};
    struct charset charset = charset_enter();
    enum sn_err rc = unpack_open(&u, archive, dir, A_TREE, err);
    if (rc == SN_OK)
        rc = take_all(&u, err);
    unpack_close(&u);
    charset_leave(charset);
    return rc;
}

/* libarchive names a stream "data": the caller does it better. */
static enum sn_err take_stream(struct unpack *u, const char *name,
                               struct sn_error *err)
{
    struct archive_entry *entry;
    char path[MAX_PATH];
    if (!tidy(name, path) || path[0] == '\0')
        return sn_error_set(err, SN_ERR_INVALID,
                            "%.160s: too long or too deep a path", name);
    if (archive_read_next_header(u->archive, &entry) != ARCHIVE_OK)
        return archive_failed(u, name, err);
    enum sn_err rc = put(u, path, false, err);
    if (rc == SN_OK && syncfs(u->folder) != 0)
        rc = sn_error_errno(err, errno, "syncing what was unpacked");
    return rc;
}

enum sn_err sn_unpack_stream(int packed, const char *name, const char *dir,
                             const struct sn_unpack_limits *limits,
                             const atomic_bool *stop, uint64_t *ret_bytes,
                             struct sn_error *err)
{
    struct unpack u = {.limits = limits, .stop = stop};
    enum sn_err rc = unpack_open(&u, packed, dir, ONE_STREAM, err);
    if (rc == SN_OK)
        rc = take_stream(&u, name, err);
    if (rc == SN_OK)
        *ret_bytes = u.bytes;
    unpack_close(&u);
    return rc;
}

static bool is_tar_name(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;
    return n > 4 && strcmp(name + n - 4, ".tar") == 0;
}

enum sn_err sn_unpack_holds_tars(int archive, bool *ret, struct sn_error *err)
{
    struct sn_unpack_limits none = {.ratio = 1};
    struct unpack u = {.limits = &none};
    struct charset charset = charset_enter();
    struct archive_entry *entry;
    bool found = false;
    enum sn_err rc = unpack_open(&u, archive, NULL, A_TREE, err);
    if (rc == SN_OK) {
        int code;
        while (!found && ((code = archive_read_next_header(
                               u.archive, &entry)) == ARCHIVE_OK ||
                          code == ARCHIVE_WARN))
            found = archive_entry_filetype(entry) == AE_IFREG;
        *ret = found && is_tar_name(archive_entry_pathname(entry));
    }
    unpack_close(&u);
    charset_leave(charset);
    if (lseek(archive, 0, SEEK_SET) != 0 && rc == SN_OK)
        rc = sn_error_errno(err, errno, "looking at the archive");
    return rc;
}
