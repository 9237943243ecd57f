/* sn_log - one structured line an occurrence: when, how bad, what part, what
 * happened, and details as key=value.
 *
 *   2026-01-31T09:15:02.118Z info jobs job started id=a1b2 name="my job"
 *
 * Under systemd, whose journal keeps time and level itself, a line starts with
 * the level as the journal reads it (`<6>`) instead. Lines go to standard
 * error, each by a single write, so that threads never mix them. Any thread.
 */
#ifndef SN_DAEMON_LOG_H
#define SN_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

/* Lines below `level` are dropped; `journal`: for systemd's journal. Call
 * before other threads start; without it: info, not for the journal. */
void sn_log_init(enum sn_log_level level, bool journal);

/* Whether standard error is connected to systemd's journal. */
bool sn_log_is_journal(void);

/* `group` is the part that speaks: "daemon", "jobs", "http", ... Details are
 * pairs of strings, ended by NULL; a NULL value reads "". */
void sn_log(enum sn_log_level level, const char *group, const char *message,
            ...) __attribute__((sentinel));

/* Numbers for details: writes to buf, returns it. */
enum { SN_LOG_NUMBER = 32 };
const char *sn_log_u64(char buf[SN_LOG_NUMBER], uint64_t value);

/* Formats one line with its newline; returns its length (cut to size - 1).
 * `prefix` is what stands before the group. For sn_log and tests. */
size_t sn_log_format(char *ret, size_t size, const char *prefix,
                     const char *group, const char *message,
                     const char *const *pairs, size_t n_pairs);

/* "debug", "info", "warn", "error", NULL. */
extern const char *const sn_log_level_names[];

#endif
