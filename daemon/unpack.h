/* sn_unpack - takes a user's archive (tar, plain or packed by gzip, bzip2, xz
 * or zstd; zip) apart into a folder, trusting nothing in it.
 *
 * What is no plain file or folder, what would lie outside of the folder, what
 * comes twice, and what unpacks to more than it may is refused, and the message
 * names the entry. Owner, times and permissions are not taken over. Any thread
 * that may wait for the disk.
 */
#ifndef SN_DAEMON_UNPACK_H
#define SN_DAEMON_UNPACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_unpack_limits {
    uint64_t bytes; /* of all files together */
    uint64_t ratio; /* times the archive's own size, above 64 MiB */
    uint32_t entries;
};

/* Archives are open files, read from where they are, left open. */

/* Unpacks `archive` into the empty folder `dir`, and syncs it. On failure the
 * folder holds a part: the caller removes it. `stop` may be set by another
 * thread: SN_ERR_STOPPED. SN_ERR_INVALID: no archive, or an entry that is
 * refused; SN_ERR_TOOLARGE: over a limit. */
enum sn_err sn_unpack(int archive, const char *dir,
                      const struct sn_unpack_limits *limits,
                      const atomic_bool *stop, struct sn_error *err);

/* Unpacks a file that is packed as a whole (or not at all) to the new file
 * `name` below `dir`, which may name folders on the way: a tar stays a tar.
 * *ret_bytes is its size. Else as sn_unpack(). */
enum sn_err sn_unpack_stream(int packed, const char *name, const char *dir,
                             const struct sn_unpack_limits *limits,
                             const atomic_bool *stop, uint64_t *ret_bytes,
                             struct sn_error *err);

/* Whether an archive holds tars, as its first file's name says; goes back to
 * the file's begin. SN_ERR_INVALID: no archive. */
enum sn_err sn_unpack_holds_tars(int archive, bool *ret, struct sn_error *err);

#endif
