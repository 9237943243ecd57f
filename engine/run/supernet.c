/* Supernets as files: taken by a job instead of training, or to train one
 * architecture further; left by one that has trained, imported, looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/json.h"
#include "engine/model/supernet_file.h"
#include "engine/run/job.h"

#include "config.h"

static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};

/* Appends a line: the name, or the number of a class whose name is no text. */
static void put_label(FILE *out, const char *name, int i)
{
    if (i > 0)
        fputc('\n', out);
    if (!sn_utf8_valid(name) || strchr(name, '\n') != NULL)
        fprintf(out, "%d", i);
    else
        fputs(name, out);
}

char *sn_class_labels(const struct sn_dataset *data)
{
    struct sn_dataset_info info;
    char *text = NULL;
    size_t size = 0;
    sn_dataset_info(data, &info);
    if (sn_dataset_class_name(data, 0) == NULL)
        return NULL;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; out != NULL && i < info.classes; i++)
        put_label(out, sn_dataset_class_name(data, i), i);
    if (out == NULL || fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- a job's ---- */

enum sn_err sn_job_take_weights(struct sn_job *job, struct sn_error *err)
{
    struct sn_supernet_file *file = NULL;
    enum sn_err rc = sn_supernet_file_open(job->run->weights, job->compute,
                                           job->space, &file, err);
    if (rc != SN_OK)
        return rc;
    const struct sn_supernet_info *info = sn_supernet_file_info(file);
    if (info->classes != job->info.classes ||
        info->in_channels != job->info.channels)
        rc = sn_error_at(err, SN_ERR_INVALID, "/supernet",
                         "weights for %d classes and %d channels do not suit "
                         "images of %d and %d",
                         info->classes, info->in_channels, job->info.classes,
                         job->info.channels);
    if (rc == SN_OK)
        rc = sn_supernet_file_load(file, job->net, NULL, err);
    /* The weights version; 0 is what has no weights yet, and where a job's own
     * training begins. */
    if (!sn_spec_trains(job->spec))
        job->state.step = info->step > 0 ? info->step : 1;
    sn_supernet_file_free(file);
    return rc;
}

enum sn_err sn_job_keep_weights(struct sn_job *job, struct sn_error *err)
{
    struct sn_running *running = NULL;
    struct sn_supernet_info info = {.step = job->state.step,
                                    .normalises = true};
    struct sn_arch largest;
    enum sn_err rc = sn_running_new(job->net, &running, err);
    if (rc != SN_OK)
        return rc;
    memcpy(info.mean, job->info.mean, sizeof info.mean);
    memcpy(info.std, job->info.std, sizeof info.std);
    snprintf(info.dataset, sizeof info.dataset, "%s", job->spec->dataset);
    snprintf(info.dataset_checksum, sizeof info.dataset_checksum, "%s",
             job->info.checksum);
    sn_arch_largest(job->space, &largest);
    rc = sn_evaluator_statistics(job->evaluator, &largest,
                                 (uint32_t)job->spec->search.calibration,
                                 running, err);
    char *labels = sn_class_labels(job->run->data);
    if (rc == SN_OK)
        rc = sn_supernet_file_write(job->run->keep, job->net, running, &info,
                                    labels, PACKAGE_VERSION, err);
    free(labels);
    sn_running_free(running);
    return rc;
}

/* ---- without a job ---- */

enum sn_err sn_engine_supernet_space(const char *path, char ret[SN_NAME_MAX],
                                     struct sn_error *err)
{
    return sn_supernet_file_space(path, ret, err);
}

enum sn_err sn_engine_supernet_info(const char *path,
                                    const struct sn_space *space,
                                    struct sn_supernet_info *ret,
                                    struct sn_error *err)
{
    struct sn_compute *compute = NULL;
    struct sn_supernet_file *file = NULL;
    enum sn_err rc = sn_compute_new(NULL, &compute, err);
    if (rc == SN_OK)
        rc = sn_supernet_file_open(path, compute, space, &file, err);
    if (rc == SN_OK)
        *ret = *sn_supernet_file_info(file);
    sn_supernet_file_free(file);
    sn_compute_free(compute);
    return rc;
}

static enum sn_err copy_file(const struct sn_supernet_file *file,
                             struct sn_compute *compute,
                             const struct sn_space *space, const char *path,
                             const struct sn_supernet_info *info,
                             struct sn_error *err)
{
    struct sn_supernet *net = NULL;
    struct sn_running *running = NULL;
    enum sn_err rc;
    if ((rc = sn_supernet_new(compute, space, info->in_channels, info->classes,
                              0, &net, err)) ||
        (rc = sn_running_new(net, &running, err)) ||
        (rc = sn_supernet_file_load(file, net, running, err)))
        goto out;
    rc = sn_supernet_file_write(
        path, net, info->has_statistics ? running : NULL, info,
        sn_supernet_file_labels(file), PACKAGE_VERSION, err);
out:
    sn_running_free(running);
    sn_supernet_free(net);
    return rc;
}

enum sn_err sn_engine_import(const char *from, const struct sn_space *space,
                             const char *path, struct sn_supernet_info *ret,
                             struct sn_error *err)
{
    struct sn_compute *compute = NULL;
    struct sn_supernet_file *file = NULL;
    struct sn_supernet_info info;
    enum sn_err rc = sn_compute_new(NULL, &compute, err);
    if (rc == SN_OK)
        rc = sn_supernet_file_open(from, compute, space, &file, err);
    if (rc == SN_OK) {
        info = *sn_supernet_file_info(file);
        if (!info.normalises && info.in_channels == 3) {
            info.normalises = true;
            memcpy(info.mean, imagenet_mean, sizeof info.mean);
            memcpy(info.std, imagenet_std, sizeof info.std);
        }
        rc = copy_file(file, compute, space, path, &info, err);
    }
    if (rc == SN_OK)
        *ret = info;
    sn_supernet_file_free(file);
    sn_compute_free(compute);
    return rc;
}
