#include "storage/db.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

enum { BUSY_TIMEOUT_MS = 10000 };

static enum sn_err code_of_constraint(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return SN_ERR_CONFLICT;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return SN_ERR_NOTFOUND;
    default:
        return SN_ERR_INVALID;
    }
}

static enum sn_err code_of(sqlite3 *handle, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return SN_OK;
    case SQLITE_NOMEM:
        return SN_ERR_NOMEM;
    case SQLITE_FULL:
        return SN_ERR_DISKFULL;
    case SQLITE_IOERR: {
        /* growing the -shm file reports a full disk as an I/O error */
        int saved = handle != NULL ? sqlite3_system_errno(handle) : 0;
        if (rc == SQLITE_IOERR_NOMEM)
            return SN_ERR_NOMEM;
        return saved == ENOSPC || saved == EDQUOT ? SN_ERR_DISKFULL : SN_ERR_IO;
    }
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return SN_ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SN_ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SN_ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return code_of_constraint(rc);
    case SQLITE_TOOBIG:
        return SN_ERR_TOOLARGE;
    default:
        return SN_ERR_INTERNAL;
    }
}

enum sn_err sn_db_error(struct sn_db *db, int rc, const char *doing,
                        struct sn_error *err)
{
    const char *words =
        db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    return sn_error_set(err, code_of(db->handle, rc), "%s: %s", doing, words);
}

enum sn_err sn_db_open(struct sn_db *db, const char *path, bool read_only,
                       struct sn_error *err)
{
    /* NOMUTEX: a connection is never used by two threads at a time */
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (read_only)
        flags |= SQLITE_OPEN_READONLY;
    else
        flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    if (rc != SQLITE_OK) {
        sn_db_error(db, rc, path, err);
        sn_error_wrap(err, "opening the database");
        enum sn_err code = code_of(db->handle, rc);
        sn_db_close(db);
        return code;
    }
    return SN_OK;
}

enum sn_err sn_db_prepare_all(struct sn_db *db, struct sn_error *err)
{
    for (int i = 0; i < SN_SQL_COUNT; i++) {
        int rc =
            sqlite3_prepare_v3(db->handle, sn_sql_text((enum sn_sql)i), -1,
                               SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL);
        if (rc != SQLITE_OK) {
            enum sn_err code =
                sn_db_error(db, rc, "the database does not fit", err);
            sn_error_wrap(err, "statement %d", i);
            return code;
        }
    }
    return SN_OK;
}

void sn_db_close(struct sn_db *db)
{
    for (int i = 0; i < SN_SQL_COUNT; i++) {
        sqlite3_finalize(db->stmt[i]);
        db->stmt[i] = NULL;
    }
    sqlite3_close(db->handle);
    db->handle = NULL;
}

enum sn_err sn_db_exec(struct sn_db *db, const char *sql, struct sn_error *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SN_OK : sn_db_error(db, rc, "database", err);
}

enum sn_err sn_db_number(struct sn_db *db, const char *sql, int64_t *ret,
                         struct sn_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    enum sn_err code = SN_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = sn_db_error(db, rc, "database", err);
    sqlite3_finalize(stmt);
    return code;
}

struct sn_query sn_query_start(struct sn_db *db, int sql_id)
{
    sqlite3_stmt *stmt = db->stmt[sql_id];
    return (struct sn_query){.db = db, .stmt = stmt, .rc = SQLITE_OK};
}

static void keep(struct sn_query *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void sn_bind_text(struct sn_query *q, const char *text)
{
    sn_bind_text_or_null(q, text != NULL ? text : "");
}

void sn_bind_text_or_null(struct sn_query *q, const char *text)
{
    keep(q,
         sqlite3_bind_text(q->stmt, ++q->next_param, text, -1, SQLITE_STATIC));
}

void sn_bind_int(struct sn_query *q, int64_t value)
{
    keep(q, sqlite3_bind_int64(q->stmt, ++q->next_param, value));
}

void sn_bind_real(struct sn_query *q, double value)
{
    if (isnan(value))
        sn_bind_null(q);
    else
        keep(q, sqlite3_bind_double(q->stmt, ++q->next_param, value));
}

void sn_bind_count(struct sn_query *q, int64_t value)
{
    if (value < 0)
        sn_bind_null(q);
    else
        sn_bind_int(q, value);
}

void sn_bind_null(struct sn_query *q)
{
    keep(q, sqlite3_bind_null(q->stmt, ++q->next_param));
}

bool sn_query_row(struct sn_query *q)
{
    if (q->rc != SQLITE_OK)
        return false;
    q->next_column = 0;
    int rc = sqlite3_step(q->stmt);
    if (rc == SQLITE_ROW)
        return true;
    q->rc = rc;
    return false;
}

const char *sn_column_text(struct sn_query *q)
{
    const unsigned char *text = sqlite3_column_text(q->stmt, q->next_column++);
    return text != NULL ? (const char *)text : "";
}

int64_t sn_column_int(struct sn_query *q)
{
    return sqlite3_column_int64(q->stmt, q->next_column++);
}

static bool is_null(struct sn_query *q)
{
    return sqlite3_column_type(q->stmt, q->next_column) == SQLITE_NULL;
}

double sn_column_real(struct sn_query *q)
{
    double value =
        is_null(q) ? NAN : sqlite3_column_double(q->stmt, q->next_column);
    q->next_column++;
    return value;
}

int64_t sn_column_count(struct sn_query *q)
{
    int64_t value =
        is_null(q) ? -1 : sqlite3_column_int64(q->stmt, q->next_column);
    q->next_column++;
    return value;
}

enum sn_err sn_query_end(struct sn_query *q, struct sn_error *err)
{
    enum sn_err code = SN_OK;
    if (q->rc != SQLITE_OK && q->rc != SQLITE_DONE)
        code = sn_db_error(q->db, q->rc, "database", err);
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
    return code;
}

enum sn_err sn_query_run(struct sn_query *q, struct sn_error *err)
{
    sn_query_row(q);
    return sn_query_end(q, err);
}

enum sn_err sn_db_run(struct sn_db *db, int sql_id, struct sn_error *err)
{
    struct sn_query q = sn_query_start(db, sql_id);
    return sn_query_run(&q, err);
}
