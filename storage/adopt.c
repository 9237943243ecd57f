/* At start-up: which checkpoint files are whole. A row whose file is missing or
 * differs is dropped, so that a job resumes from one that is sound. */
#include "storage/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    char job[SN_ID_MAX];
    char file[256];
    char xxh3[SN_XXH3_HEX];
    int64_t bytes;
};

struct adoption {
    struct sn_storage *st;
    void (*note)(void *arg, const char *sentence);
    void *arg;
    struct entry *entries; /* every checkpoint row; later the sound ones */
    size_t n, room;
    char (*jobs)[SN_ID_MAX]; /* every job */
    size_t n_jobs, room_jobs;
    enum sn_err code;
    struct sn_error *err;
};

static void note(struct adoption *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct adoption *a, const char *fmt, ...)
{
    char sentence[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    if (a->note != NULL)
        a->note(a->arg, sentence);
}

/* Room for one more element of an array. */
static bool grow(void **array, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    size_t more = *room == 0 ? 64 : *room * 2;
    void *bigger = reallocarray(*array, more, size);
    if (bigger == NULL)
        return false;
    *array = bigger;
    *room = more;
    return true;
}

static bool add_job(void *arg, const struct sn_job *row)
{
    struct adoption *a = arg;
    void *array = a->jobs;
    bool ok = grow(&array, a->n_jobs, &a->room_jobs, sizeof *a->jobs);
    a->jobs = array;
    if (ok)
        snprintf(a->jobs[a->n_jobs++], SN_ID_MAX, "%s", row->id);
    else
        a->code = sn_error_set(a->err, SN_ERR_NOMEM, "out of memory");
    return ok;
}

static bool add_checkpoint(void *arg, const struct sn_checkpoint *row)
{
    struct adoption *a = arg;
    void *array = a->entries;
    bool ok = grow(&array, a->n, &a->room, sizeof *a->entries);
    a->entries = array;
    if (!ok) {
        a->code = sn_error_set(a->err, SN_ERR_NOMEM, "out of memory");
        return false;
    }
    struct entry *e = &a->entries[a->n++];
    snprintf(e->job, sizeof e->job, "%s", row->job);
    snprintf(e->file, sizeof e->file, "%s", row->file);
    snprintf(e->xxh3, sizeof e->xxh3, "%s", row->xxh3);
    e->bytes = row->bytes;
    return true;
}

static void load_rows(void *arg, struct sn_reader *reader)
{
    struct adoption *a = arg;
    struct sn_job_query all = {.sort = SN_JOB_SORT_OLDEST};
    enum sn_err code = sn_reader_jobs(reader, &all, add_job, a, a->err);
    if (code == SN_OK && a->code == SN_OK)
        code = sn_reader_checkpoints_all(reader, add_checkpoint, a, a->err);
    if (a->code == SN_OK)
        a->code = code;
}

/* Whether the file is what the row says; SN_OK also when it is not. */
static enum sn_err check_file(struct adoption *a, const struct entry *e,
                              bool *ret_sound, struct sn_error *err)
{
    char path[SN_PATH_MAX], aside[SN_PATH_MAX + 16], hex[SN_XXH3_HEX];
    int64_t bytes = 0;
    *ret_sound = false;
    enum sn_err code =
        sn_files_checkpoint_path(a->st->dir, e->job, e->file, path, err);
    if (code == SN_OK)
        code = sn_files_xxh3(path, hex, &bytes, err);
    if (code == SN_ERR_NOTFOUND) {
        note(a, "job %s: checkpoint %s is missing", e->job, e->file);
        return SN_OK;
    }
    if (code != SN_OK)
        return code;
    if (bytes == e->bytes && strcmp(hex, e->xxh3) == 0) {
        *ret_sound = true;
        return SN_OK;
    }
    note(a, "job %s: checkpoint %s is damaged and put aside", e->job, e->file);
    snprintf(aside, sizeof aside, "%s.damaged", path);
    if (rename(path, aside) != 0)
        return sn_error_errno(err, errno, "renaming %s", path);
    return SN_OK;
}

/* Keeps the sound entries at the front of the array, drops the other rows. */
static enum sn_err check_all(struct adoption *a, struct sn_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        struct entry e = a->entries[i];
        bool sound = false;
        enum sn_err code = check_file(a, &e, &sound, err);
        if (code == SN_OK && !sound) {
            sn_storage_wait_room(a->st);
            code = sn_checkpoint_drop(a->st, e.job, e.file, e.xxh3, NULL, err);
        }
        if (code != SN_OK)
            return code;
        if (sound)
            a->entries[kept++] = e;
    }
    a->n = kept;
    return SN_OK;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

static bool is_known(const struct adoption *a, const char *job,
                     const char *file)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->entries[i].job, job) == 0 &&
            strcmp(a->entries[i].file, file) == 0)
            return true;
    return ends_with(file, ".damaged");
}

/* Removes what a crash left in a folder: temporary files, and in the
 * checkpoint folder files without a row. */
static enum sn_err sweep(struct adoption *a, const char *job, const char *path,
                         bool is_checkpoints, struct sn_error *err)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return errno == ENOENT ? SN_OK
                               : sn_error_errno(err, errno, "opening %s", path);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        bool left_over = ends_with(name, SN_TMP_SUFFIX);
        if (!left_over && is_checkpoints)
            left_over = !is_known(a, job, name);
        if (left_over && unlinkat(dirfd(dir), name, 0) == 0)
            note(a, "job %s: removed the left-over file %s", job, name);
    }
    closedir(dir);
    return SN_OK;
}

static enum sn_err sweep_all(struct adoption *a, struct sn_error *err)
{
    char path[SN_PATH_MAX];
    enum sn_err code = SN_OK;
    for (size_t i = 0; i < a->n_jobs && code == SN_OK; i++) {
        const char *job = a->jobs[i];
        code = sn_files_job_dir(a->st->dir, job, path, err);
        if (code == SN_OK)
            code = sweep(a, job, path, false, err);
        size_t n = strlen(path);
        if (code == SN_OK && n + sizeof "/checkpoints" < sizeof path) {
            strcpy(path + n, "/checkpoints");
            code = sweep(a, job, path, true, err);
        }
    }
    return code;
}

struct drop_wait {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
};

static void end_wait(void *arg, const struct sn_written *result)
{
    struct drop_wait *wait = arg;
    pthread_mutex_lock(&wait->lock);
    wait->is_done = true;
    pthread_cond_signal(&wait->ended);
    pthread_mutex_unlock(&wait->lock);
}

static enum sn_err wait_for_writes(struct sn_storage *st, struct sn_error *err)
{
    struct drop_wait wait = {.is_done = false};
    struct sn_write w = {.done = end_wait, .arg = &wait};
    pthread_mutex_init(&wait.lock, NULL);
    pthread_cond_init(&wait.ended, NULL);
    enum sn_err code = sn_storage_flush(st, &w, err);
    pthread_mutex_lock(&wait.lock);
    while (code == SN_OK && !wait.is_done)
        pthread_cond_wait(&wait.ended, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.ended);
    pthread_mutex_destroy(&wait.lock);
    return code;
}

enum sn_err sn_storage_adopt(struct sn_storage *st,
                             void (*note_fn)(void *arg, const char *sentence),
                             void *arg, struct sn_error *err)
{
    struct adoption a = {.st = st, .note = note_fn, .arg = arg, .err = err};
    enum sn_err code = sn_storage_read_wait(st, load_rows, &a, err);
    if (code == SN_OK)
        code = a.code;
    if (code == SN_OK)
        code = check_all(&a, err);
    if (code == SN_OK)
        code = wait_for_writes(st, err);
    if (code == SN_OK)
        code = sweep_all(&a, err);
    free(a.entries);
    free(a.jobs);
    return code;
}
