/* sn_file - a regular file read from its beginning, never waiting on what only
 * looks like one.
 *
 * Thread-safe. The messages start with the path.
 */
#ifndef SN_DATA_FILE_H
#define SN_DATA_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_file {
    const char *path; /* borrowed */
    int fd;
    uint64_t size; /* when it was opened */
};

/* SN_ERR_NOTFOUND when there is no such file, SN_ERR_CORRUPT when it is not a
 * regular one. To be closed. */
enum sn_err sn_file_open(const char *path, struct sn_file *ret,
                         struct sn_error *err);
void sn_file_close(struct sn_file *file);

/* Reads up to `want` bytes; fewer only at the end of the file. */
enum sn_err sn_file_read(struct sn_file *file, void *to, size_t want,
                         size_t *ret_got, struct sn_error *err);

/* Reads all of `want` bytes: SN_ERR_CORRUPT where there are fewer. */
enum sn_err sn_file_read_all(struct sn_file *file, void *to, size_t want,
                             struct sn_error *err);

#endif
