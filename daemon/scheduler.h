/* sn_scheduler - which waiting job runs next.
 *
 * First those that the daemon's end interrupted, then by priority, then by
 * age. Pure; loop thread.
 */
#ifndef SN_DAEMON_SCHEDULER_H
#define SN_DAEMON_SCHEDULER_H

#include "daemon/jobs.h"

/* NULL: none waits, or `slots` jobs hold one already (running or stopping). */
struct sn_job_entry *sn_scheduler_next(const struct sn_jobs *jobs, int slots);

#endif
