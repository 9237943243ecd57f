/* sn_supernets - weights that are there: imported ones, and those that jobs
 * left at their end as job-<id>.
 *
 *   <state>/supernets/<name>/weights.safetensors   with a row
 *   <state>/supernets/<name>/models/               made when asked for
 *
 *   import: file thread reads, checks, writes anew --> row --> listed --> done
 *   adopt:  a job's conductor has written the file --> row --> listed
 *
 * A folder without a row is what a crash left, and removed at start. Loop
 * thread, but for _adopt and _path.
 */
#ifndef SN_DAEMON_SUPERNETS_H
#define SN_DAEMON_SUPERNETS_H

#include "api/host.h"
#include "daemon/offload.h"
#include "daemon/spaces.h"
#include "storage/files.h"

struct sn_supernets;

struct sn_supernets_config {
    const char *allowed; /* folders to import from, separated by ':' */
    struct sn_storage *storage;
    struct sn_spaces *spaces; /* borrowed */
    struct sn_offload *files; /* borrowed: where files are read */
    struct sn_mailbox *box;
};

/* Reads the rows; what they name is looked at in the background. Returns
 * owned. */
enum sn_err sn_supernets_new(const struct sn_supernets_config *config,
                             struct sn_supernets **ret, struct sn_error *err);
/* From now on nothing new is begun: for the end, when the file thread and
 * storage go. NULL is fine. */
void sn_supernets_close(struct sn_supernets *all);
void sn_supernets_free(struct sn_supernets *all); /* NULL is fine */

size_t sn_supernets_list(struct sn_supernets *all,
                         const struct sn_supernet_view **ret);
const struct sn_supernet_view *sn_supernets_get(struct sn_supernets *all,
                                                const char *name);

/* SN_ERR_INVALID: not below an allowed folder, or not the weights of the space
 * (the message names the tensors); SN_ERR_CONFLICT: the name is taken. done on
 * the loop thread, after the commit. order->take: the file is removed in any
 * case. */
void sn_supernets_import(struct sn_supernets *all,
                         const struct sn_supernet_import *order,
                         sn_host_done done, void *arg);
/* The caller knows that no job needs it. */
void sn_supernets_delete(struct sn_supernets *all, const char *name,
                         sn_host_done done, void *arg);

/* Any thread. The file of the weights, whether or not it is there. */
enum sn_err sn_supernets_path(const struct sn_storage *storage,
                              const char *name, char ret[SN_PATH_MAX],
                              struct sn_error *err);
/* Any thread: makes the folder of the supernet that a job is going to leave,
 * and answers its file's path. */
enum sn_err sn_supernets_room(const struct sn_storage *storage, const char *job,
                              char ret[SN_PATH_MAX], struct sn_error *err);
/* Any thread: the job has left it there; it gets a row and is listed, and then
 * (or when that cannot be) `done`, if not NULL, is called on the loop thread.
 * Or it has not, and the room is given back. false: out of memory, and `done`
 * is not called. */
bool sn_supernets_adopt(struct sn_supernets *all, const char *job, bool left,
                        sn_host_done done, void *arg);

#endif
