/* sn_supernet_file - a whole supernet as a safetensors file under the names of
 * Once-for-All's state dicts, in and out.
 *
 *   first_conv.conv.weight, blocks.1.conv.depth_conv.conv.7to5_matrix, ...
 *   first_conv.bn.running_mean, ...running_var, ...num_batches_tracked
 *
 * The running statistics are there for every BN or for none (the count of
 * batches may be missing). Published files use older names too
 * (mobile_inverted_conv for conv; bn, conv.weight and linear with or without
 * the doubled part): they are understood in reading, and written as the present
 * state dict has them. F32, F16 and BF16 are read, F32 is written.
 *
 * Every tensor of a file is used, or the file is refused with the numbers and
 * the first names of those that are missing, unexpected or of another shape.
 * Channels of the images and classes are what the shapes say. Metadata that is
 * written: format "sparsenas.supernet.1", space, classes, in_channels,
 * resolution, step, mean, std, dataset, dataset_checksum, labels (one a line),
 * weights_xxh3, producer, version.
 *
 * Names and renamings: ofa/imagenet_classification/elastic_nn/networks of
 * mit-han-lab/once-for-all. One thread at a time an object.
 */
#ifndef SN_SUPERNET_FILE_H
#define SN_SUPERNET_FILE_H

#include "engine/err.h"
#include "engine/model/supernet_info.h"
#include "engine/net/net.h"
#include "engine/net/running.h"

struct sn_supernet_file; /* opened: checked but for values */

/* The space that the file names itself, "" when it does not. */
enum sn_err sn_supernet_file_space(const char *path, char ret[SN_NAME_MAX],
                                   struct sn_error *err);
/* SN_ERR_INVALID when the tensors are not the space's (pointer "/space" when
 * the file names another one); SN_ERR_CORRUPT when it is no safetensors file.
 * Borrows compute and space. ret owned by the caller. */
enum sn_err sn_supernet_file_open(const char *path, struct sn_compute *compute,
                                  const struct sn_space *space,
                                  struct sn_supernet_file **ret,
                                  struct sn_error *err);
void sn_supernet_file_free(struct sn_supernet_file *file); /* NULL is fine */
const struct sn_supernet_info *
sn_supernet_file_info(const struct sn_supernet_file *file);
/* Class names, one a line, or NULL; borrowed. */
const char *sn_supernet_file_labels(const struct sn_supernet_file *file);

/* Copies the values into a supernet of the same space, channels and classes,
 * and into `running` (may be NULL; as it was when the file has none). A value
 * that is no finite number is SN_ERR_INVALID, naming its tensor. */
enum sn_err sn_supernet_file_load(const struct sn_supernet_file *file,
                                  struct sn_supernet *net,
                                  struct sn_running *running,
                                  struct sn_error *err);

/* Writes net and, when not NULL, running; info's channels, classes and
 * has_statistics are taken from these. labels may be NULL. Written whole or not
 * at all, read back and compared: one that differs is removed. */
enum sn_err sn_supernet_file_write(const char *path, struct sn_supernet *net,
                                   struct sn_running *running,
                                   const struct sn_supernet_info *info,
                                   const char *labels, const char *version,
                                   struct sn_error *err);

#endif
