#include "storage/storage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/internal.h"
#include "storage/lock.h"
#include "storage/migrate.h"

#define DATABASE "sparsenas.db"

static enum sn_err open_folder(struct sn_storage *st, const char *dir,
                               struct sn_error *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return sn_error_errno(err, errno, "making the state folder %s", dir);
    struct stat info;
    if (stat(dir, &info) != 0)
        return sn_error_errno(err, errno, "the state folder %s", dir);
    if (!S_ISDIR(info.st_mode))
        return sn_error_set(err, SN_ERR_IO,
                            "the state folder %s is not a folder", dir);
    char *full = realpath(dir, NULL);
    if (full == NULL)
        return sn_error_errno(err, errno, "the state folder %s", dir);
    /* room for the longest name below it */
    if (strlen(full) > SN_PATH_MAX - 512) {
        free(full);
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "the state folder's path is too long");
    }
    strcpy(st->dir, full);
    free(full);
    if (access(st->dir, W_OK | X_OK) != 0)
        return sn_error_errno(err, errno,
                              "the state folder %s cannot be "
                              "written",
                              st->dir);
    return sn_lock_take(st->dir, &st->lock_fd, err);
}

/* Whether every page of the database is sound; for after an unclean stop. */
static enum sn_err quick_check(struct sn_db *db, struct sn_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &stmt,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    enum sn_err code = SN_OK;
    if (rc != SQLITE_ROW) {
        code = sn_db_error(db, rc, "checking it", err);
    } else {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (text == NULL || strcmp(text, "ok") != 0)
            code = sn_error_set(err, SN_ERR_CORRUPT, "it is damaged: %.200s",
                                text != NULL ? text : "no answer");
        for (char *c = err != NULL ? err->message : NULL; c != NULL && *c; c++)
            if (*c == '\n')
                *c = ' ';
    }
    sqlite3_finalize(stmt);
    return code;
}

static enum sn_err set_pragmas(struct sn_db *db, struct sn_error *err)
{
    enum sn_err code = sn_db_exec(db,
                                  "PRAGMA journal_mode = WAL;"
                                  "PRAGMA synchronous = FULL;"
                                  "PRAGMA foreign_keys = ON;"
                                  "PRAGMA journal_size_limit = 67108864;"
                                  "PRAGMA wal_autocheckpoint = 0;",
                                  err);
    if (code != SN_OK)
        return code;
    /* a file system without shared memory quietly keeps the old mode */
    int64_t wal = 0;
    code = sn_db_number(
        db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal, err);
    if (code == SN_OK && wal == 0)
        code = sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "its file system cannot do write-ahead logging");
    return code;
}

/* Everything until the database is known to be good leaves it as it is. */
static enum sn_err check_database(struct sn_storage *st, int64_t *ret_version,
                                  struct sn_error *err)
{
    struct sn_db *db = &st->writer.db;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    enum sn_err code = sn_migrate_check(db, ret_version, err);
    int64_t clean = 1;
    if (code == SN_OK && *ret_version > 0)
        code = sn_db_number(db, "SELECT value FROM meta WHERE key = 'clean'",
                            &clean, err);
    st->was_unclean = clean == 0;
    if (code == SN_OK && st->was_unclean)
        code = quick_check(db, err);
    if (code == SN_OK)
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
                          NULL);
    return code;
}

static enum sn_err mark_clean(struct sn_db *db, bool clean,
                              struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, SN_SQL_META_SET);
    sn_bind_text(&q, "clean");
    sn_bind_int(&q, clean);
    return sn_query_run(&q, err);
}

static enum sn_err open_database(struct sn_storage *st, struct sn_error *err)
{
    char path[SN_PATH_MAX];
    snprintf(path, sizeof path, "%.*s/" DATABASE, SN_PATH_MAX - 32, st->dir);
    struct sn_db *db = &st->writer.db;
    int64_t version = 0;
    enum sn_err code = sn_db_open(db, path, false, err);
    if (code != SN_OK)
        return code;
    code = check_database(st, &version, err);
    if (code == SN_OK)
        code = set_pragmas(db, err);
    if (code == SN_OK)
        code = sn_migrate_run(db, version, err);
    if (code == SN_OK)
        code = sn_db_prepare_all(db, err);
    if (code == SN_OK)
        code = mark_clean(db, false, err);
    if (code != SN_OK) {
        sn_error_wrap(err, "the database %s", path);
        return code;
    }
    st->marked_unclean = true;
    for (int i = 0; i < SN_READER_THREADS && code == SN_OK; i++) {
        struct sn_db *reader = &st->readers.reader[i].db;
        code = sn_db_open(reader, path, true, err);
        if (code == SN_OK)
            code = sn_db_prepare_all(reader, err);
    }
    return code;
}

enum sn_err sn_storage_open(const struct sn_storage_config *config,
                            struct sn_storage **ret, struct sn_error *err)
{
    struct sn_storage *st = calloc(1, sizeof *st);
    if (st == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    st->lock_fd = -1;
    st->on_fatal = config->on_fatal;
    st->arg = config->arg;
    enum sn_err code = open_folder(st, config->state_dir, err);
    if (code == SN_OK)
        code = open_database(st, err);
    if (code == SN_OK)
        code = sn_writer_start(st, config->queue_limit, err);
    if (code == SN_OK)
        code = sn_readers_start(st, err);
    if (code != SN_OK) {
        sn_storage_close(st);
        return code;
    }
    *ret = st;
    return SN_OK;
}

void sn_storage_close(struct sn_storage *st)
{
    if (st == NULL)
        return;
    sn_writer_stop(st);
    sn_readers_stop(st);
    for (int i = 0; i < SN_READER_THREADS; i++)
        sn_db_close(&st->readers.reader[i].db);
    /* after a failure the next start must look before it trusts */
    if (st->marked_unclean && !atomic_load(&st->failed))
        mark_clean(&st->writer.db, true, NULL);
    sn_db_close(&st->writer.db);
    sn_lock_release(st->lock_fd);
    free(st);
}

const char *sn_storage_dir(const struct sn_storage *st)
{
    return st->dir;
}

bool sn_storage_was_unclean(const struct sn_storage *st)
{
    return st->was_unclean;
}

bool sn_storage_disk_full(const struct sn_storage *st)
{
    return atomic_load(&st->disk_full);
}

bool sn_storage_failed(const struct sn_storage *st)
{
    return atomic_load(&st->failed);
}
