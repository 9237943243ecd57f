#include "api/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/server.h"

enum {
    BLOCK = 256 << 10, /* bytes of a write */
    MAX_WAITING = 4,   /* blocks of an upload before its reader must wait */
    PATH_ROOM = 4096
};
static const uint64_t keep_free = 64ull << 20; /* of the disk */

enum op_kind { OP_OPEN, OP_WRITE, OP_SYNC, OP_DROP };

/* What the thread is to do; it goes back to the loop when done. */
struct op {
    struct sn_post post; /* first */
    struct op *next;
    enum op_kind kind;
    struct sn_upload *upload;
    bool failed; /* then upload->failure is set for good */
    size_t n;
    char *bytes; /* of a write: room for BLOCK, after the op itself */
};

struct sn_upload {
    struct sn_uploads *all;
    struct sn_upload_calls calls; /* none after free */
    struct op open, sync, drop;
    bool keep; /* the file is another's: drop does not remove it */
    char path[PATH_ROOM];

    /* the loop's */
    struct op *block; /* being filled, or NULL */
    uint64_t size, limit;
    unsigned waiting; /* blocks on their way */
    bool stalled;
    struct sn_error error;

    /* the thread's */
    int fd;
    uint64_t expected;
    struct sn_error failure;
};

struct sn_uploads {
    struct sn_server *server;
    char dir[PATH_ROOM - 32];
    uint64_t number; /* of the next file */
    unsigned n_uploads, n_ops;
    bool stopped;

    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct op *first, **last;
    bool stopping;
};

/* ---- the thread ---- */

static enum sn_err check_room(const char *path, uint64_t n,
                              struct sn_error *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return sn_error_errno(err, errno, "looking at the disk");
    uint64_t room = (uint64_t)st.f_bavail * st.f_frsize;
    if (room < n + keep_free)
        return sn_error_set(err, SN_ERR_DISKFULL,
                            "no room on the disk: %llu bytes are free, and "
                            "%llu of them must stay so",
                            (unsigned long long)room,
                            (unsigned long long)keep_free);
    return SN_OK;
}

static void do_open(struct sn_upload *u)
{
    if (check_room(u->all->dir, u->expected, &u->failure) != SN_OK)
        return;
    u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->fd < 0)
        sn_error_errno(&u->failure, errno, "making a file for the upload");
}

static void do_write(struct sn_upload *u, const char *bytes, size_t n)
{
    if (check_room(u->all->dir, n, &u->failure) != SN_OK)
        return;
    while (n > 0) {
        ssize_t done = write(u->fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            sn_error_errno(&u->failure, errno, "writing the upload");
            return;
        }
        bytes += done;
        n -= (size_t)done;
    }
}

static void do_sync(struct sn_upload *u)
{
    if (fsync(u->fd) != 0)
        sn_error_errno(&u->failure, errno, "writing the upload");
}

static void do_drop(struct sn_upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    if (u->fd >= 0 && !u->keep)
        unlink(u->path);
    u->fd = -1;
}

static void do_op(struct op *op)
{
    struct sn_upload *u = op->upload;
    if (op->kind == OP_DROP)
        do_drop(u);
    else if (u->failure.code == SN_OK && op->kind == OP_OPEN)
        do_open(u);
    else if (u->failure.code == SN_OK && op->kind == OP_WRITE)
        do_write(u, op->bytes, op->n);
    else if (u->failure.code == SN_OK && op->kind == OP_SYNC)
        do_sync(u);
    op->failed = u->failure.code != SN_OK;
}

/* What an earlier run left: its clients have gone. */
static void sweep(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
}

static struct op *take(struct sn_uploads *all)
{
    pthread_mutex_lock(&all->lock);
    while (all->first == NULL && !all->stopping)
        pthread_cond_wait(&all->wake, &all->lock);
    struct op *op = all->first;
    if (op != NULL) {
        all->first = op->next;
        if (all->first == NULL)
            all->last = &all->first;
    }
    pthread_mutex_unlock(&all->lock);
    return op;
}

static void *run(void *arg)
{
    struct sn_uploads *all = arg;
    struct op *op;
    sweep(all->dir);
    while ((op = take(all)) != NULL) {
        do_op(op);
        sn_server_post(all->server, &op->post);
    }
    return NULL;
}

/* ---- the loop ---- */

static void upload_free(struct sn_upload *u)
{
    u->all->n_uploads--;
    free(u->block);
    free(u);
}

static void keep_failure(struct sn_upload *u, const struct sn_error *why)
{
    if (u->error.code == SN_OK)
        u->error = *why;
}

static void on_done(struct sn_post *post)
{
    struct op *op = (struct op *)(void *)post;
    struct sn_upload *u = op->upload;
    u->all->n_ops--;
    if (op->failed && op->kind != OP_DROP)
        keep_failure(u, &u->failure);
    switch (op->kind) {
    case OP_OPEN:
        break;
    case OP_WRITE:
        free(op);
        u->waiting--;
        if (u->stalled && u->waiting < MAX_WAITING) {
            u->stalled = false;
            if (u->calls.more != NULL)
                u->calls.more(u->calls.arg);
        }
        break;
    case OP_SYNC:
        if (u->calls.whole != NULL)
            u->calls.whole(u->calls.arg);
        break;
    case OP_DROP:
        upload_free(u);
        break;
    }
}

static void submit(struct sn_upload *u, struct op *op, enum op_kind kind)
{
    struct sn_uploads *all = u->all;
    op->kind = kind;
    op->upload = u;
    op->next = NULL;
    op->post.run = on_done;
    all->n_ops++;
    pthread_mutex_lock(&all->lock);
    *all->last = op;
    all->last = &op->next;
    pthread_cond_signal(&all->wake);
    pthread_mutex_unlock(&all->lock);
}

static void send_block(struct sn_upload *u)
{
    struct op *block = u->block;
    u->block = NULL;
    if (block == NULL)
        return;
    u->waiting++;
    submit(u, block, OP_WRITE);
}

enum sn_err sn_upload_begin(struct sn_uploads *all, uint64_t limit,
                            uint64_t expected,
                            const struct sn_upload_calls *calls,
                            struct sn_upload **ret, struct sn_error *err)
{
    if (all->n_uploads >= SN_MAX_UPLOADS)
        return sn_error_set(err, SN_ERR_BUSY,
                            "%d uploads are under way already", SN_MAX_UPLOADS);
    struct sn_upload *u = calloc(1, sizeof *u);
    if (u == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    u->all = all;
    u->calls = *calls;
    u->limit = limit;
    u->expected = expected;
    u->fd = -1;
    snprintf(u->path, sizeof u->path, "%s/%llu", all->dir,
             (unsigned long long)all->number++);
    all->n_uploads++;
    submit(u, &u->open, OP_OPEN);
    *ret = u;
    return SN_OK;
}

static struct op *new_block(void)
{
    struct op *op = calloc(1, sizeof *op + BLOCK);
    if (op != NULL)
        op->bytes = (char *)(op + 1);
    return op;
}

bool sn_upload_add(struct sn_upload *u, const void *bytes, size_t n)
{
    struct sn_error why = {0};
    const char *from = bytes;
    u->size += n;
    if (u->size > u->limit)
        sn_error_set(&why, SN_ERR_TOOLARGE,
                     "the body is over the limit of %llu bytes",
                     (unsigned long long)u->limit);
    while (u->error.code == SN_OK && why.code == SN_OK && n > 0) {
        if (u->block == NULL && (u->block = new_block()) == NULL) {
            sn_error_set(&why, SN_ERR_NOMEM, "out of memory");
            break;
        }
        size_t room = BLOCK - u->block->n;
        size_t some = n < room ? n : room;
        memcpy(u->block->bytes + u->block->n, from, some);
        u->block->n += some;
        from += some;
        n -= some;
        if (u->block->n == BLOCK)
            send_block(u);
    }
    if (why.code != SN_OK)
        keep_failure(u, &why);
    u->stalled = u->error.code == SN_OK && u->waiting >= MAX_WAITING;
    return !u->stalled;
}

void sn_upload_end(struct sn_upload *u)
{
    if (u->error.code == SN_OK)
        send_block(u);
    submit(u, &u->sync, OP_SYNC);
}

const struct sn_error *sn_upload_error(const struct sn_upload *u)
{
    return &u->error;
}

uint64_t sn_upload_size(const struct sn_upload *u)
{
    return u->size;
}

const char *sn_upload_take(struct sn_upload *u)
{
    u->keep = true;
    return u->path;
}

void sn_upload_free(struct sn_upload *u)
{
    if (u == NULL)
        return;
    memset(&u->calls, 0, sizeof u->calls);
    if (!u->all->stopped) {
        submit(u, &u->drop, OP_DROP);
        return;
    }
    do_drop(u);
    upload_free(u);
}

/* ---- all of them ---- */

enum sn_err sn_uploads_new(struct sn_server *server, const char *state_dir,
                           struct sn_uploads **ret, struct sn_error *err)
{
    struct sn_uploads *all = calloc(1, sizeof *all);
    if (all == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    int n = snprintf(all->dir, sizeof all->dir, "%s/uploads", state_dir);
    if (n < 0 || (size_t)n >= sizeof all->dir) {
        free(all);
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: too long a path",
                            state_dir);
    }
    if (mkdir(all->dir, 0700) != 0 && errno != EEXIST) {
        int why = errno;
        free(all);
        return sn_error_errno(err, why, "making the folder of uploads");
    }
    all->server = server;
    all->last = &all->first;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->wake, NULL);
    int rc = pthread_create(&all->thread, NULL, run, all);
    if (rc != 0) {
        all->stopped = true;
        sn_uploads_free(all);
        return sn_error_errno(err, rc, "starting the thread of uploads");
    }
    pthread_setname_np(all->thread, "uploads");
    *ret = all;
    return SN_OK;
}

bool sn_uploads_busy(const struct sn_uploads *all)
{
    return all != NULL && all->n_ops > 0;
}

void sn_uploads_stop(struct sn_uploads *all)
{
    if (all == NULL || all->stopped)
        return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_signal(&all->wake);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->thread, NULL);
    all->stopped = true;
}

void sn_uploads_free(struct sn_uploads *all)
{
    if (all == NULL)
        return;
    pthread_cond_destroy(&all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all);
}
