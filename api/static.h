/* sn_files - the dashboard's files, read into memory once at start, so that a
 * path can only ever mean one of them.
 *
 * Loop thread.
 */
#ifndef SN_STATIC_H
#define SN_STATIC_H

#include "engine/err.h"

struct sn_files;
struct sn_request;

/* Regular files below `root`, links not followed, at most a few folders deep
 * and a few megabytes. A root that is NULL, missing or without index.html gives
 * an empty set. */
enum sn_err sn_files_load(const char *root, struct sn_files **ret,
                          struct sn_error *err);
void sn_files_free(struct sn_files *files);

void sn_get_file(struct sn_request *rq);

#endif
