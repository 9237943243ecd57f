/* sn_recover - the start of the daemon: jobs from storage, and what an end of
 * the daemon left in the middle of things.
 *
 *   running, stopping for queued -> queued, in front: it resumes from its last
 *                                   whole checkpoint
 *   stopping for paused, cancelled -> there
 */
#ifndef SN_DAEMON_RECOVER_H
#define SN_DAEMON_RECOVER_H

#include "daemon/changes.h"
#include "daemon/spaces.h"

/* Blocks. Files that no row knows, and rows whose file is damaged, are cleared
 * away first. A job whose stored spec cannot be read any more, or whose space
 * is gone, fails, or stays as it is when it has ended. */
enum sn_err sn_recover(struct sn_storage *storage, struct sn_jobs *jobs,
                       struct sn_spaces *spaces, struct sn_changes *changes,
                       struct sn_error *err);

#endif
