/* sn_dataset_store - the folders of uploaded data sets in the state folder.
 *
 *   <state>/datasets/.new-XXXXXX/   being unpacked
 *   <state>/datasets/<name>-XXXXXX/ whole; a row of the database names it
 *
 * A folder gets its last name once it is whole and synced, and before its row
 * is written; folders without a row are removed at the next start. Any thread
 * that may wait for the disk; one at a time.
 */
#ifndef SN_DAEMON_DATASET_STORE_H
#define SN_DAEMON_DATASET_STORE_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/err.h"

enum { SN_DATASET_STORE_PATH = 4096 };

/* Unpacks `archive` to a new folder, with at most total_bytes in all folders
 * together. *ret: the folder of the set, which is the one inside when all lies
 * in one that is not called "train". */
enum sn_err sn_dataset_store_add(const char *state_dir, const char *name,
                                 const char *archive, uint64_t total_bytes,
                                 const atomic_bool *stop,
                                 char ret[SN_DATASET_STORE_PATH],
                                 struct sn_error *err);

/* Removes a folder that _add has made (the one inside is fine, too) with all in
 * it; what is not below the state folder's datasets/ is left alone. */
void sn_dataset_store_remove(const char *state_dir, const char *path);

/* Removes all folders but those that `keep` answers for. */
void sn_dataset_store_sweep(const char *state_dir,
                            int (*keep)(void *arg, const char *folder),
                            void *arg);

#endif
