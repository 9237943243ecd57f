#include "storage/migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"

/* "SNAS", set by the first migration */
static const int64_t application_id = 0x534e4153;

static int64_t newest(void)
{
    int64_t n = 0;
    while (sn_migrations[n].lines != NULL)
        n++;
    return n;
}

enum sn_err sn_migrate_check(struct sn_db *db, int64_t *ret_version,
                             struct sn_error *err)
{
    int64_t version = 0, id = 0, tables = 0;
    enum sn_err code = sn_db_number(db, "PRAGMA user_version", &version, err);
    if (code == SN_OK)
        code = sn_db_number(db, "PRAGMA application_id", &id, err);
    if (code == SN_OK)
        code = sn_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables,
                            err);
    if (code != SN_OK)
        return code;
    if (id != application_id && (id != 0 || version != 0 || tables != 0))
        return sn_error_set(err, SN_ERR_INVALID,
                            "it is a database of another program");
    if (version < 0 || version > newest())
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "its schema is version %" PRId64 ", this program "
                            "knows up to %" PRId64 ": a newer one made it",
                            version, newest());
    *ret_version = version;
    return SN_OK;
}

/* The SQL of a migration as one string, within a transaction. */
static char *script_of(const struct sn_migration *m)
{
    size_t size = 128;
    for (const char *const *line = m->lines; *line != NULL; line++)
        size += strlen(*line);
    char *sql = malloc(size);
    if (sql == NULL)
        return NULL;
    char *end = stpcpy(sql, "BEGIN IMMEDIATE;\n");
    for (const char *const *line = m->lines; *line != NULL; line++)
        end = stpcpy(end, *line);
    snprintf(end, size - (size_t)(end - sql),
             "PRAGMA user_version = %d;\nCOMMIT;\n", m->number);
    return sql;
}

enum sn_err sn_migrate_run(struct sn_db *db, int64_t version,
                           struct sn_error *err)
{
    for (const struct sn_migration *m = &sn_migrations[version];
         m->lines != NULL; m++) {
        char *sql = script_of(m);
        if (sql == NULL)
            return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        enum sn_err code = sn_db_exec(db, sql, err);
        free(sql);
        if (code != SN_OK) {
            sn_error_wrap(err, "migration %s", m->name);
            sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
            return code;
        }
    }
    return SN_OK;
}
