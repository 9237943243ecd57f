/* sn_datasets - the data sets that jobs can name: the built-in one when its
 * files are here, and folders registered below the allowed ones.
 *
 * Opened sets are shared and counted; the one used last stays open until
 * another is opened. Loop thread, but for _acquire and _release, which may be
 * called on any thread that may wait for the disk.
 */
#ifndef SN_DAEMON_DATASETS_H
#define SN_DAEMON_DATASETS_H

#include "api/host.h"
#include "daemon/offload.h"

struct sn_datasets;

struct sn_datasets_config {
    const char *fashion_mnist; /* folder, "" for none */
    const char *allowed;       /* folders, separated by ':' */
    struct sn_storage *storage;
    struct sn_offload *files; /* borrowed: where what is known is looked at */
    struct sn_offload *sets;  /* borrowed: where new ones are, several at once,
                                 so that a small one waits for no large one */
    uint64_t upload_bytes;    /* all uploaded sets together may take */
};

/* Reads the built-in set (may take a second) and the registered ones' rows;
 * what is registered is looked at in the background. Returns owned. */
enum sn_err sn_datasets_new(const struct sn_datasets_config *config,
                            struct sn_mailbox *box, struct sn_datasets **ret,
                            struct sn_error *err);
/* No set may be in use. NULL is fine. */
void sn_datasets_free(struct sn_datasets *sets);

size_t sn_datasets_list(struct sn_datasets *sets,
                        const struct sn_dataset_view **ret);
const struct sn_dataset_view *sn_datasets_get(struct sn_datasets *sets,
                                              const char *name);

/* SN_ERR_INVALID: not below an allowed folder, leads out of it, or unknown
 * format; SN_ERR_CONFLICT: the name is taken; SN_ERR_CORRUPT: what is there
 * cannot be read. done on the loop thread; after ten seconds it is called with
 * the set still being read, and the set then tells how it ended. */
void sn_datasets_register(struct sn_datasets *sets,
                          const struct sn_dataset_request *what,
                          sn_host_done done, void *arg);
/* SN_ERR_CONFLICT for the built-in one and for an uploaded one that is open,
 * whose files go. Jobs that use a registered folder go on. */
void sn_datasets_delete(struct sn_datasets *sets, const char *name,
                        sn_host_done done, void *arg);
/* Called every second or so. */
void sn_datasets_tick(struct sn_datasets *sets);
/* Before these threads and storage are ended: what is read ends early, and
 * neither is used any more. */
void sn_datasets_stop(struct sn_datasets *sets);

/* An opened set until it is released; may take seconds. */
enum sn_err sn_datasets_acquire(struct sn_datasets *sets, const char *name,
                                const struct sn_dataset **ret,
                                struct sn_error *err);
void sn_datasets_release(struct sn_datasets *sets,
                         const struct sn_dataset *data);

#endif
