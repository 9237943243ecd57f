/* Models out of a checkpoint, without a run. */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/model/onnx.h"
#include "engine/model/weights.h"
#include "engine/run/images.h"
#include "engine/run/job.h"

#include "config.h"

/* What an export stands on, opened and closed together. */
struct desk {
    struct sn_compute *compute;
    struct sn_pool *pool;
    struct sn_view *view;
    struct sn_supernet *net;
    struct sn_evaluator *evaluator;
};

static void desk_close(struct desk *d)
{
    sn_evaluator_free(d->evaluator);
    sn_supernet_free(d->net);
    sn_view_free(d->view);
    sn_pool_free(d->pool);
    sn_compute_free(d->compute);
}

static enum sn_err desk_open(struct desk *d, const struct sn_spec *spec,
                             const struct sn_dataset *data,
                             const struct sn_space *space,
                             const char *checkpoint, struct sn_error *err)
{
    struct sn_dataset_info info;
    enum sn_err rc;
    sn_dataset_info(data, &info);
    if ((rc = sn_compute_new(NULL, &d->compute, err)) ||
        (rc = sn_pool_new(d->compute, 1, &d->pool, err)) ||
        (rc = sn_images_view(spec, data, &d->view, err)) ||
        (rc = sn_supernet_new(d->compute, space, info.channels, info.classes,
                              (uint64_t)spec->seed, &d->net, err)) ||
        (rc = sn_checkpoint_weights(checkpoint, d->net, err)) ||
        (rc = sn_evaluator_new(d->compute, d->pool, d->net, d->view,
                               (uint64_t)spec->seed, &d->evaluator, err)))
        return rc;
    return SN_OK;
}

enum sn_err sn_engine_export(const struct sn_spec *spec,
                             const struct sn_dataset *data,
                             const char *checkpoint, const struct sn_arch *arch,
                             enum sn_export_format format, const char *path,
                             struct sn_error *err)
{
    const struct sn_space *space = sn_spec_space(spec);
    struct sn_dataset_info info;
    struct sn_static *net = NULL;
    struct desk desk = {0};
    char id[SN_ARCH_ID_MAX];
    enum sn_err rc;

    if (space == NULL)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/space",
                           "there is no space '%s'", spec->space);
    if ((rc = sn_arch_check(space, arch, err)) != SN_OK)
        return rc;
    sn_dataset_info(data, &info);
    sn_arch_encode(space, arch, id);
    struct sn_identity identity = {
        .arch = id,
        .space = space->name,
        .dataset_checksum = info.checksum,
        .version = PACKAGE_VERSION,
    };
    rc = desk_open(&desk, spec, data, space, checkpoint, err);
    if (rc == SN_OK)
        rc =
            sn_evaluator_extract(desk.evaluator, arch,
                                 (uint32_t)spec->search.calibration, &net, err);
    if (rc == SN_OK && format == SN_EXPORT_ONNX)
        rc = sn_onnx_write(path, sn_static_folded(net), &identity, info.mean,
                           info.std, err);
    else if (rc == SN_OK)
        rc = sn_weights_write(path, sn_static_folded(net), &identity, err);
    sn_static_free(net);
    desk_close(&desk);
    return rc;
}

void sn_engine_runtime(char ret[SN_RUNTIME_MAX])
{
    struct sn_compute *compute = NULL;
    if (sn_compute_new(NULL, &compute, NULL) != SN_OK) {
        snprintf(ret, SN_RUNTIME_MAX, "none");
        return;
    }
    snprintf(ret, SN_RUNTIME_MAX, "%s, %s", sn_compute_runtime(compute),
             sn_compute_isa(compute));
    sn_compute_free(compute);
}
