/* sn_outfile - a file that appears whole or not at all: written under a
 * temporary name in its own folder, synced, renamed into place, and the folder
 * synced.
 *
 * One thread at a time. After begin, exactly one of commit and abort ends it;
 * both free it. A failed commit removes the temporary file. Every failure of
 * the disk is reported (SN_ERR_IO, SN_ERR_DISKFULL), naming the file.
 */
#ifndef SN_OUTFILE_H
#define SN_OUTFILE_H

#include <stddef.h>

#include "engine/err.h"

struct sn_outfile;

enum sn_err sn_outfile_begin(const char *path, struct sn_outfile **ret,
                             struct sn_error *err);
enum sn_err sn_outfile_write(struct sn_outfile *file, const void *bytes,
                             size_t n, struct sn_error *err);
/* Makes what was written durable under the temporary name, for who wants to
 * read it back from there before it is committed. */
enum sn_err sn_outfile_sync(struct sn_outfile *file, struct sn_error *err);
const char *sn_outfile_temp(const struct sn_outfile *file); /* borrowed */
enum sn_err sn_outfile_commit(struct sn_outfile *file, struct sn_error *err);
void sn_outfile_abort(struct sn_outfile *file); /* NULL is fine */

#endif
