/* sn_memory_limit - how much memory one job may need.
 *
 * A setting, or 80% of what the process can have at most: the machine's memory,
 * or the lowest limit of the control groups that it is in (version 1 or 2),
 * where that is less. Read once at start; any thread.
 */
#ifndef SN_DAEMON_MEMORY_H
#define SN_DAEMON_MEMORY_H

#include <stdint.h>

/* setting_mib: 0 for the default. Bytes. */
double sn_memory_limit(int32_t setting_mib);

/* The lowest limit in bytes that the groups named in `cgroup_file` (of the form
 * of /proc/self/cgroup) have below `root` (/sys/fs/cgroup); INFINITY where
 * there is none. */
double sn_memory_of_groups(const char *cgroup_file, const char *root);

#endif
