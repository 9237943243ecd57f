/* sn_changes - state changes of jobs on their way to storage, in order, kept
 * while the disk has no room.
 *
 *   apply: table at once --> storage --commit--> publish the event, answer
 *                               | no room
 *                               v
 *                            kept, in order; flush writes them again
 *
 * Loop thread only.
 */
#ifndef SN_DAEMON_CHANGES_H
#define SN_DAEMON_CHANGES_H

#include "daemon/jobs.h"
#include "daemon/mailbox.h"

struct sn_changes;

/* Borrows its arguments. Returns owned; NULL when out of memory. */
struct sn_changes *
sn_changes_new(struct sn_storage *storage, struct sn_mailbox *box,
               void (*publish)(void *arg, const struct sn_event *event),
               void *arg);
void sn_changes_free(struct sn_changes *changes); /* NULL is fine */

/* Makes the change in the table and writes it. SN_ERR_CONFLICT: not allowed
 * from where the job is; nothing happened and `done` is not called. Else
 * `done` (or NULL) is called once: after the commit, or with the error for
 * which it is not written yet. */
enum sn_err sn_changes_apply(struct sn_changes *changes,
                             struct sn_job_entry *entry,
                             const struct sn_job_change *change,
                             sn_job_done done, void *arg, struct sn_error *err);

/* Writes what was kept. */
void sn_changes_flush(struct sn_changes *changes);

#endif
