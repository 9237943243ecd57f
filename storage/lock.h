/* sn_lock - one process a state folder: a locked file that holds its pid. */
#ifndef SN_STORAGE_LOCK_H
#define SN_STORAGE_LOCK_H

#include "engine/err.h"

/* Takes <dir>/lock and gives its descriptor, which holds the lock until it is
 * closed (a crash closes it too). SN_ERR_BUSY names the process that has it. */
enum sn_err sn_lock_take(const char *dir, int *ret_fd, struct sn_error *err);
void sn_lock_release(int fd); /* -1 is fine */

#endif
