/* sn_idx - reads one file of the IDX format (the MNIST family's), plain or
 * gzip, trusting nothing in it.
 *
 *   0 0 8 rank | dim[0] ... dim[rank-1], 32 bits, high byte first | bytes
 *
 * The sizes in the header are held against limits and against the file's size
 * before anything is allocated; data must end exactly where the header says.
 * Thread-safe.
 */
#ifndef SN_IDX_H
#define SN_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum { SN_IDX_MAX_RANK = 4 };

struct sn_idx {
    int rank;
    uint32_t dim[SN_IDX_MAX_RANK];
    size_t bytes;  /* product of dims */
    uint8_t *data; /* owned by who holds the struct: free() */
};

/* Reads `path`. SN_ERR_NOTFOUND when there is no such file, SN_ERR_CORRUPT
 * with the fault when it is no such IDX file, SN_ERR_TOOLARGE when it holds
 * over max_bytes. The messages start with the path. */
enum sn_err sn_idx_read(const char *path, uint64_t max_bytes,
                        struct sn_idx *ret, struct sn_error *err);

#endif
