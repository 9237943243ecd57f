/* sn_reports - what the engine reports, as rows and events in storage.
 *
 * Fills the engine's table of callbacks for one job. All is called on the
 * conductor's thread, which may wait when storage's queue is full; a
 * checkpoint waits for its commit. Once a write has failed, the next
 * checkpoint fails too: a checkpoint must not outlive what was reported
 * before it.
 */
#ifndef SN_DAEMON_REPORTS_H
#define SN_DAEMON_REPORTS_H

#include "daemon/mailbox.h"
#include "daemon/runner.h"

struct sn_reports;

/* Borrows all of config; reads from storage which rounds are written already.
 * Blocks. Returns owned. */
enum sn_err sn_reports_new(const struct sn_runner_config *config,
                           struct sn_reports **ret, struct sn_error *err);

/* The table for sn_engine_run; lives as long as `reports`. `data` tells what
 * the job's architectures cost. */
const struct sn_callbacks *
sn_reports_callbacks(struct sn_reports *reports,
                     const struct sn_dataset_info *data);

/* Stores the last progress; waits until all writes are done or have failed.
 * What they have sent to the loop may still be on its way, and refers to
 * `reports`: they are freed on the loop, after it. SN_ERR_DISKFULL and the
 * like: the first write that failed. */
enum sn_err sn_reports_finish(struct sn_reports *reports, struct sn_error *err);
void sn_reports_free(struct sn_reports *reports); /* NULL is fine */

#endif
