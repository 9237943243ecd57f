/* sn_dataset_store - the folders of the state folder that hold data sets: those
 * uploaded, and those of archives that a path named.
 *
 *   <state>/datasets/.new-XXXXXX/   being unpacked
 *   <state>/datasets/<name>-XXXXXX/ whole; a row of the database names it
 *
 * A folder gets its last name once it is whole and synced, and before its row
 * is written; folders without a row are removed at the next start. Any thread
 * that may wait for the disk; one at a time adds.
 */
#ifndef SN_DAEMON_DATASET_STORE_H
#define SN_DAEMON_DATASET_STORE_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/engine.h"

enum { SN_DATASET_STORE_PATH = 4096 };

/* A data set that gets a folder. Borrowed. */
struct sn_dataset_store_order {
    const char *state_dir, *name;
    const char *format;
    const struct sn_dataset_options *options;
    uint64_t total_bytes;    /* of all folders together, at most */
    const atomic_bool *stop; /* may be set by another thread */
};

/* Unpacks the file `archive` to a new folder. *ret: the folder of the set,
 * which is the one inside when all lies in one that is not called "train". Of
 * the format "tar" an archive that holds no tars is one itself. */
enum sn_err sn_dataset_store_add(const struct sn_dataset_store_order *order,
                                 const char *archive,
                                 char ret[SN_DATASET_STORE_PATH],
                                 struct sn_error *err);

/* The tars that a data set of the format "tar" has in the folder `dir`, as
 * plain ones under the names that they have there. */
enum sn_err
sn_dataset_store_add_shards(const struct sn_dataset_store_order *order,
                            const char *dir, char ret[SN_DATASET_STORE_PATH],
                            struct sn_error *err);

/* Removes a folder that _add has made (the one inside is fine, too) with all in
 * it; what is not below the state folder's datasets/ is left alone. */
void sn_dataset_store_remove(const char *state_dir, const char *path);

/* Removes all folders but those that `keep` answers for. */
void sn_dataset_store_sweep(const char *state_dir,
                            int (*keep)(void *arg, const char *folder),
                            void *arg);

#endif
