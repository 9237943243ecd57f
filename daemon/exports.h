/* sn_exports - models of a job's newest weights as files, made when asked for
 * and kept: <state>/jobs/<id>/models/<arch>-<step>.onnx; and those of
 * supernets: <state>/supernets/<name>/models/<arch>-<what it is calibrated
 * on>.onnx
 *
 * One thread makes them, one after the other. Loop thread.
 */
#ifndef SN_DAEMON_EXPORTS_H
#define SN_DAEMON_EXPORTS_H

#include "daemon/datasets.h"
#include "daemon/jobs.h"
#include "daemon/offload.h"
#include "daemon/spaces.h"

struct sn_exports_config {
    struct sn_storage *storage; /* all borrowed */
    struct sn_datasets *datasets;
    struct sn_offload *thread;
    struct sn_spaces *spaces;
};

/* SN_ERR_NOTFOUND before the job's first checkpoint. Otherwise `done` on the
 * loop thread, with a path that stays until the job is deleted. */
void sn_exports_make(const struct sn_exports_config *config,
                     const struct sn_job_entry *entry,
                     const struct sn_arch *arch, enum sn_export_format format,
                     bool plain_input, sn_path_done done, void *arg);
/* The same of a supernet's weights. */
void sn_exports_supernet(const struct sn_exports_config *config,
                         const struct sn_supernet_model *what,
                         sn_path_done done, void *arg);

#endif
