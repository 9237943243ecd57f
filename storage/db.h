/* sn_db - one SQLite connection with its prepared statements. Internal.
 *
 * A statement is used through a struct sn_query on the stack: start it, bind
 * its parameters in order, then run it (no rows) or step through its rows,
 * reading the columns in order, and end it. Errors of binding are kept and
 * come out of run or end, so no call between needs a check. A connection
 * belongs to one thread at a time. Bound strings are borrowed until run/end.
 */
#ifndef SN_STORAGE_DB_H
#define SN_STORAGE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "engine/err.h"
#include "storage/sql.h"

struct sn_db {
    sqlite3 *handle;
    sqlite3_stmt *stmt[SN_SQL_COUNT];
};

struct sn_query {
    struct sn_db *db;
    sqlite3_stmt *stmt;
    int next_param, next_column;
    int rc; /* the first result that is neither SQLITE_OK nor SQLITE_ROW */
};

/* Opens without statements; close accepts a zeroed or half-open sn_db. */
enum sn_err sn_db_open(struct sn_db *db, const char *path, bool read_only,
                       struct sn_error *err);
enum sn_err sn_db_prepare_all(struct sn_db *db, struct sn_error *err);
void sn_db_close(struct sn_db *db);

/* The error of a result code: "doing: SQLite's words". */
enum sn_err sn_db_error(struct sn_db *db, int rc, const char *doing,
                        struct sn_error *err);
/* Runs SQL text without parameters (start-up only). */
enum sn_err sn_db_exec(struct sn_db *db, const char *sql, struct sn_error *err);
/* The first column of the first row of SQL text, as a number (start-up only);
 * no row: *ret is untouched. */
enum sn_err sn_db_number(struct sn_db *db, const char *sql, int64_t *ret,
                         struct sn_error *err);

struct sn_query sn_query_start(struct sn_db *db, int sql_id);
void sn_bind_text(struct sn_query *q, const char *text); /* NULL as "" */
void sn_bind_text_or_null(struct sn_query *q, const char *text);
void sn_bind_int(struct sn_query *q, int64_t value);
void sn_bind_real(struct sn_query *q, double value);   /* NAN as NULL */
void sn_bind_count(struct sn_query *q, int64_t value); /* < 0 as NULL */
void sn_bind_null(struct sn_query *q);

/* Steps to the next row; false at the end or on an error. */
bool sn_query_row(struct sn_query *q);
const char *sn_column_text(struct sn_query *q); /* never NULL */
int64_t sn_column_int(struct sn_query *q);
double sn_column_real(struct sn_query *q);   /* NULL as NAN */
int64_t sn_column_count(struct sn_query *q); /* NULL as -1 */

/* Resets the statement; SN_OK unless a bind or step failed. */
enum sn_err sn_query_end(struct sn_query *q, struct sn_error *err);
/* Steps once and ends; for statements whose rows nobody reads. */
enum sn_err sn_query_run(struct sn_query *q, struct sn_error *err);
/* sn_query_start and sn_query_run of a statement without parameters. */
enum sn_err sn_db_run(struct sn_db *db, int sql_id, struct sn_error *err);

#endif
