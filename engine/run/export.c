/* Models of single architectures out of stored weights, without a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/model/onnx.h"
#include "engine/model/supernet_file.h"
#include "engine/model/weights.h"
#include "engine/run/images.h"
#include "engine/run/job.h"

#include "config.h"

/* What an export stands on, opened and closed together. */
struct desk {
    const struct sn_export *from;
    struct sn_compute *compute;
    struct sn_supernet_file *file; /* NULL: the weights are a checkpoint's */
    struct sn_supernet *net;
    struct sn_running *running; /* NULL: it is re-calibrated */
    struct sn_pool *pool;
    struct sn_view *view;
    struct sn_evaluator *evaluator;
    struct sn_static *model;
    /* normalisation that the model wants */
    bool normalises;
    float mean[SN_FILE_CHANNELS], std[SN_FILE_CHANNELS];
    char checksum[17]; /* of the images that it was calibrated on, or "" */
    char *labels;      /* of the data set, or NULL */
};

static void desk_close(struct desk *d)
{
    free(d->labels);
    sn_static_free(d->model);
    sn_evaluator_free(d->evaluator);
    sn_view_free(d->view);
    sn_pool_free(d->pool);
    sn_running_free(d->running);
    sn_supernet_free(d->net);
    sn_supernet_file_free(d->file);
    sn_compute_free(d->compute);
}

static enum sn_err open_net(struct desk *d, int channels, int classes,
                            struct sn_error *err)
{
    return sn_supernet_new(d->compute, d->from->space, channels, classes, 0,
                           &d->net, err);
}

/* ---- with a data set ---- */

static enum sn_err check_images(const struct sn_supernet_info *weights,
                                const struct sn_dataset_info *images,
                                struct sn_error *err)
{
    if (weights->classes != images->classes)
        return sn_error_set(err, SN_ERR_INVALID,
                            "the weights have %d classes, the data set has %d",
                            weights->classes, images->classes);
    if (weights->in_channels != images->channels)
        return sn_error_set(err, SN_ERR_INVALID,
                            "the weights take %d channels, the data set's "
                            "images have %d",
                            weights->in_channels, images->channels);
    return SN_OK;
}

static enum sn_err load_for(struct desk *d, const struct sn_dataset_info *info,
                            struct sn_error *err)
{
    enum sn_err rc = open_net(d, info->channels, info->classes, err);
    if (rc != SN_OK)
        return rc;
    if (sn_is_checkpoint(d->from->weights))
        return sn_checkpoint_weights(d->from->weights, d->net, err);
    rc = sn_supernet_file_open(d->from->weights, d->compute, d->from->space,
                               &d->file, err);
    if (rc == SN_OK)
        rc = check_images(sn_supernet_file_info(d->file), info, err);
    if (rc == SN_OK)
        rc = sn_supernet_file_load(d->file, d->net, NULL, err);
    return rc;
}

static enum sn_err extract_calibrated(struct desk *d,
                                      const struct sn_arch *arch,
                                      struct sn_error *err)
{
    const struct sn_export *from = d->from;
    struct sn_dataset_info info;
    enum sn_err rc;
    sn_dataset_info(from->data, &info);
    if ((rc = sn_space_check_images(from->space, info.channels, info.height,
                                    info.width, err)) ||
        (rc = load_for(d, &info, err)) ||
        (rc = sn_pool_new(d->compute, 1, &d->pool, err)) ||
        (rc = sn_images_view(from->spec, from->data, &d->view, err)) ||
        (rc = sn_evaluator_new(d->compute, d->pool, d->net, d->view,
                               (uint64_t)from->spec->seed, &d->evaluator, err)))
        return rc;
    uint32_t have = sn_view_count(d->view, SN_SPLIT_TRAIN);
    uint32_t wanted = (uint32_t)from->spec->search.calibration;
    d->normalises = true;
    memcpy(d->mean, info.mean, sizeof d->mean);
    memcpy(d->std, info.std, sizeof d->std);
    snprintf(d->checksum, sizeof d->checksum, "%s", info.checksum);
    d->labels = sn_class_labels(from->data);
    return sn_evaluator_extract(d->evaluator, arch,
                                wanted < have ? wanted : have, &d->model, err);
}

/* ---- with the statistics that the weights hold ---- */

static enum sn_err bind_static(struct desk *d, const struct sn_arch *arch,
                               struct sn_error *err)
{
    struct sn_subnet *sub = NULL;
    struct sn_bn_stats *stats = NULL;
    enum sn_err rc;
    if ((rc = sn_subnet_new(d->net, &sub, err)) ||
        (rc = sn_bn_stats_new(d->net, &stats, err)))
        goto out;
    sn_subnet_bind(sub, NULL, arch);
    sn_running_give(d->running, stats);
    rc = sn_static_new(sub, stats, &d->model, err);
out:
    sn_bn_stats_free(stats);
    sn_subnet_free(sub);
    return rc;
}

static enum sn_err extract_held(struct desk *d, const struct sn_arch *arch,
                                struct sn_error *err)
{
    enum sn_err rc = sn_supernet_file_open(d->from->weights, d->compute,
                                           d->from->space, &d->file, err);
    if (rc != SN_OK)
        return rc;
    const struct sn_supernet_info *info = sn_supernet_file_info(d->file);
    if (!info->has_statistics)
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "the weights hold no BN statistics: name a data "
                            "set to calibrate on");
    d->normalises = info->normalises;
    memcpy(d->mean, info->mean, sizeof d->mean);
    memcpy(d->std, info->std, sizeof d->std);
    if ((rc = open_net(d, info->in_channels, info->classes, err)) ||
        (rc = sn_running_new(d->net, &d->running, err)) ||
        (rc = sn_supernet_file_load(d->file, d->net, d->running, err)))
        return rc;
    return bind_static(d, arch, err);
}

/* ---- writing ---- */

static void print_numbers(const float *value, int n, char ret[64])
{
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(ret + at, 64 - at, "%s%.9g", i ? "," : "",
                               (double)value[i]);
}

static enum sn_err write_model(const struct desk *d, const char *arch,
                               const char *path, struct sn_error *err)
{
    const struct sn_folded_net *net = sn_static_folded(d->model);
    int channels = net->plan.in_channels;
    bool inside = d->from->format == SN_EXPORT_ONNX && d->normalises &&
                  !d->from->plain_input;
    char mean[64] = "", std[64] = "";
    print_numbers(d->mean, channels, mean);
    print_numbers(d->std, channels, std);
    struct sn_note notes[4];
    size_t n = 0;
    notes[n++] = (struct sn_note){
        "input", inside          ? "pixels in 0..1"
                 : d->normalises ? "(pixels in 0..1 - mean) / std"
                                 : "as the weights were trained with"};
    if (d->normalises) {
        notes[n++] = (struct sn_note){"mean", mean};
        notes[n++] = (struct sn_note){"std", std};
    }
    const char *labels =
        d->file != NULL ? sn_supernet_file_labels(d->file) : NULL;
    if (labels == NULL)
        labels = d->labels;
    if (labels != NULL)
        notes[n++] = (struct sn_note){"labels", labels};
    struct sn_identity identity = {
        .arch = arch,
        .space = d->from->space->name,
        .dataset_checksum = d->checksum,
        .version = PACKAGE_VERSION,
        .notes = notes,
        .n_notes = n,
    };
    if (d->from->format == SN_EXPORT_SAFETENSORS)
        return sn_weights_write(path, net, &identity, err);
    return sn_onnx_write(path, net, &identity, inside ? d->mean : NULL,
                         inside ? d->std : NULL, err);
}

enum sn_err sn_engine_export(const struct sn_export *from,
                             const struct sn_arch *arch, const char *path,
                             struct sn_error *err)
{
    struct desk desk = {.from = from};
    char id[SN_ARCH_ID_MAX];
    enum sn_err rc = sn_arch_check(from->space, arch, err);
    if (rc != SN_OK)
        return rc;
    sn_arch_encode(from->space, arch, id);
    rc = sn_compute_new(NULL, &desk.compute, err);
    if (rc == SN_OK)
        rc = from->data != NULL ? extract_calibrated(&desk, arch, err)
                                : extract_held(&desk, arch, err);
    if (rc == SN_OK)
        rc = write_model(&desk, id, path, err);
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
