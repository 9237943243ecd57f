/* sn_daemon - the process: parts in their order of start, the loop, signals,
 * and the stop.
 *
 *   start   storage (lock) - socket - threads - data sets - jobs - HTTP - ready
 *   stop    no new connections - jobs reach a checkpoint - streams end -
 * threads
 *           - storage
 *
 * SIGTERM and SIGINT stop in that order within [daemon] stop_seconds; a second
 * one ends the process at once, which storage survives. SIGHUP does nothing:
 * log lines go to standard error, and there is nothing to open again.
 */
#ifndef SN_DAEMON_DAEMON_H
#define SN_DAEMON_DAEMON_H

#include "daemon/config.h"

/* Serves until it is told to stop. Returns the exit status: 0, or 1 after an
 * error, which has been logged. */
int sn_daemon_run(const struct sn_config *config);

#endif
