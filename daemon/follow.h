/* sn_follow - after a search that asked for it (/finetune): jobs that train the
 * architectures which it found, each submitted exactly once, whatever ends the
 * daemon in between.
 *
 *   job succeeded, or the daemon starts
 *     --> reader: its answers, and which jobs have come of it already
 *     --> loop: a submission for each that is missing
 *
 * A child's id is a function of parent, architecture and strategy, so that a
 * second one is refused as a row that is there; and its parent's event, in the
 * same commit, says that there was one, also once the child is deleted. Loop
 * thread only.
 */
#ifndef SN_DAEMON_FOLLOW_H
#define SN_DAEMON_FOLLOW_H

#include "daemon/datasets.h"
#include "daemon/jobs.h"
#include "daemon/mailbox.h"
#include "daemon/spaces.h"

struct sn_follow_config { /* all borrowed, for as long as the mailbox is */
    struct sn_storage *storage;
    struct sn_datasets *datasets;
    struct sn_spaces *spaces;
    struct sn_mailbox *box;
    struct sn_jobs *jobs;
    double job_memory; /* bytes: a job that will need more is left out */
    void (*submit)(void *arg, const struct sn_submission *submission,
                   sn_job_done done, void *done_arg);
    void *arg;
};

/* Begins; the job has succeeded and wants it. Where it is not possible yet (its
 * data set is still being read, no room on the disk) entry->follow_due is set,
 * for another call. */
void sn_follow(const struct sn_follow_config *config,
               struct sn_job_entry *entry);

#endif
