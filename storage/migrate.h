/* sn_migrate - brings a database to this program's schema. Internal.
 *
 * The files storage/migrations/NNNN-*.sql are compiled in, as the generated
 * storage/migrations_sql.c. Each runs in a transaction of its own that also
 * sets user_version to its number, so a database is always at a whole version.
 */
#ifndef SN_STORAGE_MIGRATE_H
#define SN_STORAGE_MIGRATE_H

#include "storage/db.h"

struct sn_migration {
    int number;
    const char *name;
    const char *const *lines; /* the SQL, line by line; NULL ends it */
};

/* In order from number 1; an entry without lines ends the table. */
extern const struct sn_migration sn_migrations[];

/* Looks without changing anything: SN_ERR_CORRUPT when it is no database,
 * SN_ERR_INVALID when it is another program's, SN_ERR_UNSUPPORTED when a newer
 * program made it. Gives its version, 0 for a new one. */
enum sn_err sn_migrate_check(struct sn_db *db, int64_t *ret_version,
                             struct sn_error *err);
/* Applies what is missing after `version`. */
enum sn_err sn_migrate_run(struct sn_db *db, int64_t version,
                           struct sn_error *err);

#endif
