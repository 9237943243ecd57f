#include "daemon/exports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "storage/files.h"

enum { NICE = 5, TRIES = 3 };

static const char *const suffix[] = {
    [SN_EXPORT_ONNX] = "onnx",
    [SN_EXPORT_SAFETENSORS] = "safetensors",
};

struct order {
    struct sn_exports_config config;
    char job[SN_ID_MAX];       /* or a supernet's name */
    struct sn_spec spec;       /* of a job */
    char dataset[SN_NAME_MAX]; /* a supernet's, "": what it holds */
    const struct sn_space *space;
    struct sn_arch arch;
    enum sn_export_format format;
    bool plain_input;
    /* the weights: a job's newest checkpoint, or a supernet's file */
    char checkpoint[SN_PATH_MAX], path[SN_PATH_MAX];
    int64_t step;
    struct sn_error error;
    sn_path_done done;
    void *arg;
};

static bool on_newest(void *arg, const struct sn_checkpoint *row)
{
    struct order *o = arg;
    o->step = row->step;
    sn_files_checkpoint_path(sn_storage_dir(o->config.storage), o->job,
                             row->file, o->checkpoint, &o->error);
    return false;
}

static void read_newest(void *arg, struct sn_reader *reader)
{
    struct order *o = arg;
    sn_reader_checkpoints(reader, o->job, on_newest, o, &o->error);
}

/* Fills o->path; makes the folder. */
static enum sn_err name_file(struct order *o)
{
    char id[SN_ARCH_ID_MAX], dir[SN_PATH_MAX];
    enum sn_err code = sn_files_job_dir(sn_storage_dir(o->config.storage),
                                        o->job, dir, &o->error);
    if (code != SN_OK)
        return code;
    sn_arch_encode(o->space, &o->arch, id);
    int n = snprintf(o->path, sizeof o->path, "%.3000s/models", dir);
    if (mkdir(o->path, 0700) < 0 && errno != EEXIST)
        return sn_error_errno(&o->error, errno, "making %.200s", o->path);
    snprintf(o->path + n, sizeof o->path - (size_t)n, "/%s-%lld%s.%s", id,
             (long long)o->step, o->plain_input ? "-plain" : "",
             suffix[o->format]);
    return SN_OK;
}

static enum sn_err make(struct order *o)
{
    const struct sn_dataset *data;
    memset(&o->error, 0, sizeof o->error);
    o->checkpoint[0] = '\0';
    enum sn_err code =
        sn_storage_read_wait(o->config.storage, read_newest, o, &o->error);
    if (code == SN_OK)
        code = o->error.code;
    if (code == SN_OK && o->checkpoint[0] == '\0')
        code = sn_error_set(&o->error, SN_ERR_NOTFOUND,
                            "the job has no weights yet");
    if (code == SN_OK)
        code = name_file(o);
    if (code != SN_OK || access(o->path, R_OK) == 0)
        return code;
    code = sn_datasets_acquire(o->config.datasets, o->spec.dataset, &data,
                               &o->error);
    if (code != SN_OK)
        return code;
    struct sn_export from = {
        .space = o->space,
        .weights = o->checkpoint,
        .data = data,
        .spec = &o->spec,
        .format = o->format,
        .plain_input = o->plain_input,
    };
    code = sn_engine_export(&from, &o->arch, o->path, &o->error);
    sn_datasets_release(o->config.datasets, data);
    return code;
}

static void work(void *arg)
{
    struct order *o = arg;
    enum sn_err code = SN_OK;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    /* A newer checkpoint may take the place of the one just read of. */
    for (int i = 0; i < TRIES; i++) {
        code = make(o);
        if (code == SN_OK || access(o->checkpoint, R_OK) == 0)
            break;
    }
    o->error.code = code;
}

static void finish(void *arg)
{
    struct order *o = arg;
    bool ok = o->error.code == SN_OK;
    sn_log(ok ? SN_LOG_DEBUG : SN_LOG_WARN, "models",
           ok ? "model is there" : "model could not be made", "id", o->job,
           "path", o->path, "problem", ok ? NULL : o->error.message, NULL);
    o->done(o->arg, ok ? NULL : &o->error, ok ? o->path : NULL);
    free(o);
}

void sn_exports_make(const struct sn_exports_config *config,
                     const struct sn_job_entry *entry,
                     const struct sn_arch *arch, enum sn_export_format format,
                     bool plain_input, sn_path_done done, void *arg)
{
    struct sn_error err = {0};
    struct order *o = NULL;
    const struct sn_space *space =
        entry != NULL ? sn_spec_space(&entry->spec) : NULL;
    if (entry == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no such job");
    else if (entry->view.checkpoint_step == 0)
        sn_error_set(&err, SN_ERR_NOTFOUND, "the job has no weights yet");
    else if (space == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no space \"%s\"",
                     entry->spec.space);
    else if ((o = calloc(1, sizeof *o)) == NULL)
        sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    if (o != NULL) {
        o->config = *config;
        snprintf(o->job, sizeof o->job, "%s", entry->view.id);
        o->spec = entry->spec;
        o->space = space;
        o->plain_input = plain_input;
        o->arch = *arch;
        o->format = format;
        o->done = done;
        o->arg = arg;
        sn_offload_submit(config->thread, work, finish, o, &err);
    }
    if (err.code != SN_OK) {
        free(o);
        done(arg, &err, NULL);
    }
}

/* ---- of a supernet ---- */

/* The images are seen as a job on these weights would see them by default. */
static enum sn_err as_a_job(struct order *o, const struct sn_dataset_info *info)
{
    sn_spec_defaults(&o->spec);
    snprintf(o->spec.dataset, sizeof o->spec.dataset, "%s", o->dataset);
    snprintf(o->spec.space, sizeof o->spec.space, "%s", o->space->name);
    snprintf(o->spec.supernet, sizeof o->spec.supernet, "%s", o->job);
    o->spec.made_space = o->space;
    return sn_spec_resolve(&o->spec, info, &o->error);
}

static enum sn_err make_of_supernet(struct order *o)
{
    const struct sn_dataset *data = NULL;
    struct sn_dataset_info info = {0};
    enum sn_err code = SN_OK;
    if (access(o->path, R_OK) == 0)
        return SN_OK;
    if (o->dataset[0] != '\0')
        code = sn_datasets_acquire(o->config.datasets, o->dataset, &data,
                                   &o->error);
    if (code != SN_OK)
        return code;
    if (data != NULL) {
        sn_dataset_info(data, &info);
        code = as_a_job(o, &info);
    }
    struct sn_export from = {
        .space = o->space,
        .weights = o->checkpoint,
        .data = data,
        .spec = &o->spec,
        .format = o->format,
        .plain_input = o->plain_input,
    };
    if (code == SN_OK)
        code = sn_engine_export(&from, &o->arch, o->path, &o->error);
    if (data != NULL)
        sn_datasets_release(o->config.datasets, data);
    return code;
}

static void work_of_supernet(void *arg)
{
    struct order *o = arg;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    o->error.code = make_of_supernet(o);
}

/* Fills what the order and its file are called. */
static enum sn_err name_of_supernet(struct order *o,
                                    const struct sn_supernet_model *what,
                                    struct sn_error *err)
{
    char id[SN_ARCH_ID_MAX], dir[SN_PATH_MAX];
    const struct sn_dataset_view *data = what->calibration;
    snprintf(o->job, sizeof o->job, "%s", what->supernet->name);
    snprintf(o->dataset, sizeof o->dataset, "%s",
             data != NULL ? data->name : "");
    snprintf(o->checkpoint, sizeof o->checkpoint, "%s", what->supernet->path);
    o->space = sn_spaces_find(o->config.spaces, what->supernet->space);
    if (o->space == NULL)
        return sn_error_set(err, SN_ERR_NOTFOUND, "there is no space \"%s\"",
                            what->supernet->space);
    sn_arch_encode(o->space, &what->arch, id);
    enum sn_err code = sn_files_supernet_path(sn_storage_dir(o->config.storage),
                                              o->job, "models", dir, err);
    if (code == SN_OK)
        snprintf(o->path, sizeof o->path, "%.3700s/%s-%s%s.%s", dir, id,
                 data != NULL ? data->info.checksum : "held",
                 what->plain_input ? "-plain" : "", suffix[what->format]);
    return code;
}

void sn_exports_supernet(const struct sn_exports_config *config,
                         const struct sn_supernet_model *what,
                         sn_path_done done, void *arg)
{
    struct sn_error err = {0};
    struct order *o = calloc(1, sizeof *o);
    if (o == NULL) {
        sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    } else {
        o->config = *config;
        o->arch = what->arch;
        o->format = what->format;
        o->plain_input = what->plain_input;
        o->done = done;
        o->arg = arg;
        if (name_of_supernet(o, what, &err) == SN_OK)
            sn_offload_submit(config->thread, work_of_supernet, finish, o,
                              &err);
    }
    if (err.code != SN_OK) {
        free(o);
        done(arg, &err, NULL);
    }
}
