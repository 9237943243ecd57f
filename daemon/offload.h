/* sn_offload - threads for work that the loop must not wait for: files of data
 * sets, exports.
 *
 * Tasks are begun in the order of submission; one thread runs them one after
 * the other. The answer comes back through the mailbox. All functions are
 * called on the loop thread.
 */
#ifndef SN_DAEMON_OFFLOAD_H
#define SN_DAEMON_OFFLOAD_H

#include "daemon/mailbox.h"

struct sn_offload;

enum { SN_OFFLOAD_THREADS = 8 };

/* `name` is the threads' (at most 15 letters), of which there are 1 to
 * SN_OFFLOAD_THREADS; `box` is borrowed; `limit` is how many tasks may wait.
 * Returns owned. */
enum sn_err sn_offload_new(const char *name, struct sn_mailbox *box,
                           int threads, int limit, struct sn_offload **ret,
                           struct sn_error *err);

/* work(arg) on a thread, then done(arg) on the loop. SN_ERR_BUSY: too many
 * wait; SN_ERR_STOPPED: closing; neither is called then. */
enum sn_err sn_offload_submit(struct sn_offload *offload, sn_mail_fn work,
                              sn_mail_fn done, void *arg, struct sn_error *err);

/* Takes no more tasks; waits for those that it has. Their `done` is posted.
 * NULL is fine. */
void sn_offload_free(struct sn_offload *offload);

#endif
