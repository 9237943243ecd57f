/* sn_files - durable files in the state folder, beside the database.
 *
 *   <state>/jobs/<id>/                a job's folder: models, reports, ...
 *   <state>/jobs/<id>/checkpoints/    checkpoint files, each with a row
 *   <state>/supernets/<name>/         weights with a row; models
 *
 * A file appears whole or not at all: it is written under a temporary name in
 * the same folder, fsynced, renamed, and the folder fsynced. Whoever writes the
 * bytes elsewhere (the engine writes its checkpoints) uses the two paths:
 * write <name>.tmp, then sn_files_commit. Stateless; any thread that may wait
 * for the disk.
 */
#ifndef SN_STORAGE_FILES_H
#define SN_STORAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "storage/records.h"

enum { SN_PATH_MAX = 4096 };
#define SN_TMP_SUFFIX ".tmp"

/* Whether a job id or file name is one plain path component. */
bool sn_files_is_plain_name(const char *name);

/* Paths, without touching the disk. SN_ERR_INVALID: an id or name that is no
 * plain path component; SN_ERR_TOOLARGE: the path is too long. */
enum sn_err sn_files_job_dir(const char *state_dir, const char *job,
                             char ret[SN_PATH_MAX], struct sn_error *err);
enum sn_err sn_files_checkpoint_path(const char *state_dir, const char *job,
                                     const char *file, char ret[SN_PATH_MAX],
                                     struct sn_error *err);

/* Makes the job's folder and its checkpoint folder (0700), durably. */
enum sn_err sn_files_make_job_dir(const char *state_dir, const char *job,
                                  struct sn_error *err);
/* Removes the job's folder with all in it; no folder is fine. Never follows a
 * symbolic link out. */
enum sn_err sn_files_remove_job_dir(const char *state_dir, const char *job,
                                    struct sn_error *err);

/* The same for supernets; `models` is a folder in theirs. */
enum sn_err sn_files_supernet_path(const char *state_dir, const char *name,
                                   const char *file, char ret[SN_PATH_MAX],
                                   struct sn_error *err);
enum sn_err sn_files_make_supernet_dir(const char *state_dir, const char *name,
                                       struct sn_error *err);
enum sn_err sn_files_remove_supernet_dir(const char *state_dir,
                                         const char *name,
                                         struct sn_error *err);

/* Makes the finished file `tmp` durable under the name `path` (both in one
 * folder). On failure `tmp` is removed, and `path` is as it was unless only
 * the folder's fsync failed. */
enum sn_err sn_files_commit(const char *tmp, const char *path,
                            struct sn_error *err);
/* Writes a whole file durably. */
enum sn_err sn_files_write(const char *path, const void *data, size_t size,
                           struct sn_error *err);
/* Reads a whole file of at most max bytes; returns owned memory with a NUL
 * after the end. SN_ERR_NOTFOUND, SN_ERR_TOOLARGE, SN_ERR_IO. */
enum sn_err sn_files_read(const char *path, size_t max, void **ret_data,
                          size_t *ret_size, struct sn_error *err);
/* XXH3-64 of a file's bytes as 16 hex digits, and its size. */
enum sn_err sn_files_xxh3(const char *path, char ret_hex[SN_XXH3_HEX],
                          int64_t *ret_bytes, struct sn_error *err);
/* Removes a file; one that is not there is fine. */
enum sn_err sn_files_remove(const char *path, struct sn_error *err);
/* Bytes that may still be written on the disk of a path. */
enum sn_err sn_files_room(const char *path, int64_t *ret_bytes,
                          struct sn_error *err);

#endif
