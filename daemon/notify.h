/* sn_notify - telling systemd how the daemon is: one datagram a message to the
 * socket named by $NOTIFY_SOCKET. Without that socket all of it does nothing.
 */
#ifndef SN_DAEMON_NOTIFY_H
#define SN_DAEMON_NOTIFY_H

#include <stdint.h>

/* Sends lines such as "READY=1\nSTATUS=serving"; never blocks. Returns whether
 * it was sent. */
int sn_notify(const char *state);

/* How often, in ms, WATCHDOG=1 is to be sent (half of what systemd allows); 0:
 * no watchdog. */
uint64_t sn_notify_watchdog_ms(void);

#endif
