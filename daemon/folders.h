/* sn_folders - whether a path given by a user lies below a folder that the
 * settings allow. Touches the disk; any thread that may wait for it.
 */
#ifndef SN_DAEMON_FOLDERS_H
#define SN_DAEMON_FOLDERS_H

#include <limits.h>
#include <stdbool.h>

/* Resolves `path` (links and all) into `ret`; false when it is not there, or
 * not below one of `allowed` (folders separated by ':'). */
bool sn_folders_resolve(const char *allowed, const char *path,
                        char ret[PATH_MAX]);

/* Whether a resolved path is a folder or lies below it. */
bool sn_folders_is_below(const char *path, const char *folder);

#endif
