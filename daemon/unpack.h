/* sn_unpack - takes an uploaded archive (tar, plain or packed by gzip, bzip2,
 * xz or zstd; zip) apart into a folder, trusting nothing in it.
 *
 * What is no plain file or folder, what would lie outside of the folder, what
 * comes twice, and what unpacks to more than it may is refused, and the message
 * names the entry. Owner, times and permissions are not taken over. Any thread
 * that may wait for the disk.
 */
#ifndef SN_DAEMON_UNPACK_H
#define SN_DAEMON_UNPACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_unpack_limits {
    uint64_t bytes; /* of all files together */
    uint64_t ratio; /* times the archive's own size, above 64 MiB */
    uint32_t entries;
};

/* Unpacks the file `archive` into the empty folder `dir`, and syncs it. On
 * failure the folder holds a part: the caller removes it. `stop` may be set by
 * another thread: SN_ERR_STOPPED. SN_ERR_INVALID: no archive, or an entry that
 * is refused; SN_ERR_TOOLARGE: over a limit. */
enum sn_err sn_unpack(const char *archive, const char *dir,
                      const struct sn_unpack_limits *limits,
                      const atomic_bool *stop, struct sn_error *err);

#endif
