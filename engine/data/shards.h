/* sn_shards - which tar files of a folder hold a data set.
 *
 *   train, test given   "a-{000..011}.tar": a-000.tar to a-011.tar, all needed
 *   else                the .tar files of train/, with those of test/ or val/
 *   else                the .tar files of the folder, all for training
 *
 * Where a folder has no .tar files, packed ones (.tar.gz, ...) count instead.
 *
 * Names are relative to the folder. Thread-safe.
 */
#ifndef SN_SHARDS_H
#define SN_SHARDS_H

#include "engine/data/data.h"
#include "engine/data/names.h"

enum { SN_MAX_SHARDS = 100000 };

/* Both lists are filled in order; ret_test stays empty where there is none. The
 * caller closes them, on failure as well. */
enum sn_err sn_shards_find(int folder, const struct sn_dataset_options *options,
                           struct sn_names *ret_train,
                           struct sn_names *ret_test, struct sn_error *err);

/* Whether a name says that the tar is packed: .tar.gz, .tgz, ... */
bool sn_shards_is_packed(const char *name);

#endif
