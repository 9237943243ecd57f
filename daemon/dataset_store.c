#include "daemon/dataset_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/unpack.h"

enum { RATIO = 100, ENTRIES = 4000000, OPEN_FOLDERS = 32 };

static bool join(char ret[SN_DATASET_STORE_PATH], const char *a, const char *b)
{
    int n = snprintf(ret, SN_DATASET_STORE_PATH, "%s/%s", a, b);
    return n > 0 && n < SN_DATASET_STORE_PATH;
}

/* ---- all files of a tree ---- */

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *where)
{
    (void)remove(path); /* what stays is swept at the next start */
    return 0;
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}

/* Blocks on the disk, not bytes: many small files take more. */
static uint64_t size_of(int folder)
{
    uint64_t sum = 0;
    DIR *dir = fdopendir(folder);
    struct dirent *entry;
    if (dir == NULL) {
        close(folder);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        sum += (uint64_t)st.st_blocks * 512;
        if (!S_ISDIR(st.st_mode))
            continue;
        int inside = openat(dirfd(dir), name,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inside >= 0)
            sum += size_of(inside); /* unpacking bounds the depth */
    }
    closedir(dir);
    return sum;
}

/* ---- adding ---- */

static enum sn_err make_store(const char *state_dir,
                              char ret[SN_DATASET_STORE_PATH],
                              struct sn_error *err)
{
    if (!join(ret, state_dir, "datasets"))
        return sn_error_set(err, SN_ERR_TOOLARGE, "too long a path");
    if (mkdir(ret, 0700) != 0 && errno != EEXIST)
        return sn_error_errno(err, errno, "making the folder of data sets");
    return SN_OK;
}

/* The only entry of a folder, when it is a folder itself. */
static bool only_folder(const char *dir, char ret[256])
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    struct stat st;
    int n = 0;
    if (d == NULL)
        return false;
    while ((entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.' && ++n == 1)
            snprintf(ret, 256, "%s", entry->d_name);
    bool found = n == 1 &&
                 fstatat(dirfd(d), ret, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISDIR(st.st_mode);
    closedir(d);
    return found;
}

/* Gives the folder its last name, durably. */
static enum sn_err settle(const char *store, const char *from, const char *to,
                          struct sn_error *err)
{
    int fd = -1;
    if (rename(from, to) != 0 ||
        (fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
        fsync(fd) != 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return sn_error_errno(err, why, "naming the folder of the data set");
    }
    close(fd);
    return SN_OK;
}

/* A folder that is being filled, and the name that it gets then. */
struct filling {
    char store[SN_DATASET_STORE_PATH], fresh[SN_DATASET_STORE_PATH];
    char whole[SN_DATASET_STORE_PATH];
    struct sn_unpack_limits limits;
};

static enum sn_err begin(const struct sn_dataset_store_order *order,
                         struct filling *f, struct sn_error *err)
{
    enum sn_err rc = make_store(order->state_dir, f->store, err);
    if (rc != SN_OK)
        return rc;
    int fd = open(f->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t used = fd >= 0 ? size_of(fd) : 0;
    f->limits = (struct sn_unpack_limits){
        .bytes = used < order->total_bytes ? order->total_bytes - used : 0,
        .ratio = RATIO,
        .entries = ENTRIES,
    };
    if (!join(f->fresh, f->store, ".new-XXXXXX"))
        return sn_error_set(err, SN_ERR_TOOLARGE, "too long a path");
    if (mkdtemp(f->fresh) == NULL)
        return sn_error_errno(err, errno, "making a folder for the data set");
    int n = snprintf(f->whole, sizeof f->whole, "%s/%s-%s", f->store,
                     order->name, f->fresh + strlen(f->fresh) - 6);
    if (n > 0 && (size_t)n < sizeof f->whole)
        return SN_OK;
    remove_tree(f->fresh);
    return sn_error_set(err, SN_ERR_TOOLARGE, "too long a path");
}

/* `so_far`: whether it was filled. Nothing stays where that or this fails. */
static enum sn_err end(const struct filling *f, enum sn_err so_far,
                       struct sn_error *err)
{
    enum sn_err rc = so_far;
    if (rc == SN_OK)
        rc = settle(f->store, f->fresh, f->whole, err);
    if (rc != SN_OK) {
        remove_tree(f->fresh);
        remove_tree(f->whole);
    }
    return rc;
}

static enum sn_err fill(const struct sn_dataset_store_order *order,
                        struct filling *f, int archive, struct sn_error *err)
{
    bool tree = true;
    uint64_t bytes;
    enum sn_err rc = SN_OK;
    if (strcmp(order->format, "tar") == 0)
        rc = sn_unpack_holds_tars(archive, &tree, err);
    if (rc != SN_OK)
        return rc;
    if (tree)
        return sn_unpack(archive, f->fresh, &f->limits, order->stop, err);
    return sn_unpack_stream(archive, "all.tar", f->fresh, &f->limits,
                            order->stop, &bytes, err);
}

enum sn_err sn_dataset_store_add(const struct sn_dataset_store_order *order,
                                 const char *archive,
                                 char ret[SN_DATASET_STORE_PATH],
                                 struct sn_error *err)
{
    struct filling f;
    char inside[256];
    int file = open(archive, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return sn_error_errno(err, errno, "opening the archive");
    enum sn_err rc = begin(order, &f, err);
    if (rc == SN_OK)
        rc = end(&f, fill(order, &f, file, err), err);
    close(file);
    if (rc == SN_OK &&
        (!only_folder(f.whole, inside) || strcmp(inside, "train") == 0 ||
         !join(ret, f.whole, inside)))
        memcpy(ret, f.whole, sizeof f.whole);
    return rc;
}

struct shards {
    const struct sn_dataset_store_order *order;
    struct filling *f;
};

static enum sn_err add_shard(void *arg, const char *name, int fd, bool packed,
                             struct sn_error *err)
{
    struct shards *s = arg;
    uint64_t bytes = 0;
    enum sn_err rc = sn_unpack_stream(fd, name, s->f->fresh, &s->f->limits,
                                      s->order->stop, &bytes, err);
    s->f->limits.bytes -= bytes;
    return rc;
}

enum sn_err
sn_dataset_store_add_shards(const struct sn_dataset_store_order *order,
                            const char *dir, char ret[SN_DATASET_STORE_PATH],
                            struct sn_error *err)
{
    struct filling f;
    struct shards s = {order, &f};
    enum sn_err rc = begin(order, &f, err);
    if (rc == SN_OK)
        rc = end(&f, sn_dataset_shards(dir, order->options, add_shard, &s, err),
                 err);
    if (rc == SN_OK)
        memcpy(ret, f.whole, sizeof f.whole);
    return rc;
}

/* ---- removing ---- */

void sn_dataset_store_remove(const char *state_dir, const char *path)
{
    char store[SN_DATASET_STORE_PATH], folder[SN_DATASET_STORE_PATH];
    if (!join(store, state_dir, "datasets/"))
        return;
    size_t n = strlen(store);
    if (strncmp(path, store, n) != 0 || path[n] == '\0' || path[n] == '.')
        return;
    snprintf(folder, sizeof folder, "%.*s", (int)(n + strcspn(path + n, "/")),
             path);
    remove_tree(folder);
}

void sn_dataset_store_sweep(const char *state_dir,
                            int (*keep)(void *arg, const char *folder),
                            void *arg)
{
    char store[SN_DATASET_STORE_PATH], path[SN_DATASET_STORE_PATH];
    if (!join(store, state_dir, "datasets"))
        return;
    DIR *dir = opendir(store);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            join(path, store, name) && !keep(arg, path))
            remove_tree(path);
    }
    if (dir != NULL)
        closedir(dir);
}
