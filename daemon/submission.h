/* sn_submission - a submitted job on its way: its row, its first event and, of
 * a child, its parent's, in one commit; then the table and the streams.
 *
 *   start --> storage --commit--> table, publish, done, after
 *
 * Loop thread only.
 */
#ifndef SN_DAEMON_SUBMISSION_H
#define SN_DAEMON_SUBMISSION_H

#include "daemon/jobs.h"
#include "daemon/mailbox.h"

struct sn_submission_config { /* all borrowed, as it is itself */
    struct sn_storage *storage;
    struct sn_mailbox *box;
    struct sn_jobs *jobs;
    void (*publish)(void *arg, const struct sn_event *event);
    void *publish_arg;
    void (*after)(void *arg); /* one has come, or not */
    void *after_arg;
};

/* done after the commit, or with what was wrong. */
void sn_submission_start(const struct sn_submission_config *config,
                         const struct sn_submission *submission,
                         sn_job_done done, void *arg);

#endif
