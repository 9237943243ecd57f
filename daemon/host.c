/* The table that the API calls, over the daemon's parts. */
#include <string.h>

#include "daemon/memory.h"
#include "daemon/state.h"

static const struct sn_job_view *job_get(void *self, const char *id)
{
    struct sn_daemon *d = self;
    const struct sn_job_entry *entry =
        sn_jobs_find(sn_lifecycle_jobs(d->life), id);
    return entry == NULL ? NULL : &entry->view;
}

static size_t job_list(void *self, const struct sn_job_view *const **ret)
{
    struct sn_daemon *d = self;
    return sn_jobs_views(sn_lifecycle_jobs(d->life), ret);
}

static void job_submit(void *self, const struct sn_submission *submission,
                       sn_job_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_lifecycle_submit(d->life, submission, done, arg);
}

static void job_control(void *self, const char *id, enum sn_job_action action,
                        sn_job_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_lifecycle_control(d->life, id, action, done, arg);
}

static size_t dataset_list(void *self, const struct sn_dataset_view **ret)
{
    struct sn_daemon *d = self;
    return sn_datasets_list(d->datasets, ret);
}

static const struct sn_dataset_view *dataset_get(void *self, const char *name)
{
    struct sn_daemon *d = self;
    return sn_datasets_get(d->datasets, name);
}

static void dataset_register(void *self, const struct sn_dataset_request *what,
                             sn_host_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_datasets_register(d->datasets, what, done, arg);
}

static void dataset_delete(void *self, const char *name, sn_host_done done,
                           void *arg)
{
    struct sn_daemon *d = self;
    sn_datasets_delete(d->datasets, name, done, arg);
}

static size_t space_list(void *self, const struct sn_space_view **ret)
{
    struct sn_daemon *d = self;
    return sn_spaces_list(d->spaces, ret);
}

static const struct sn_space_view *space_get(void *self, const char *name)
{
    struct sn_daemon *d = self;
    return sn_spaces_get(d->spaces, name);
}

static void space_add(void *self, const struct sn_space *space,
                      const char *json, sn_host_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_spaces_add(d->spaces, space, json, done, arg);
}

static void space_delete(void *self, const char *name, sn_host_done done,
                         void *arg)
{
    struct sn_daemon *d = self;
    sn_spaces_delete(d->spaces, name, done, arg);
}

static void model_export(void *self, const char *id, const struct sn_arch *arch,
                         enum sn_export_format format, bool plain_input,
                         sn_path_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_exports_make(&d->exports, sn_jobs_find(sn_lifecycle_jobs(d->life), id),
                    arch, format, plain_input, done, arg);
}

static size_t supernet_list(void *self, const struct sn_supernet_view **ret)
{
    struct sn_daemon *d = self;
    return sn_supernets_list(d->supernets, ret);
}

static const struct sn_supernet_view *supernet_get(void *self, const char *name)
{
    struct sn_daemon *d = self;
    return sn_supernets_get(d->supernets, name);
}

static void supernet_import(void *self, const struct sn_supernet_import *order,
                            sn_host_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_supernets_import(d->supernets, order, done, arg);
}

static void supernet_delete(void *self, const char *name, sn_host_done done,
                            void *arg)
{
    struct sn_daemon *d = self;
    struct sn_job_entry *const *jobs;
    struct sn_error err;
    size_t n = sn_jobs_list(sn_lifecycle_jobs(d->life), &jobs);
    for (size_t i = 0; i < n; i++) {
        const struct sn_job_entry *job = jobs[i];
        if (strcmp(job->spec.supernet, name) == 0 &&
            !sn_job_state_is_end(job->view.state)) {
            sn_error_set(&err, SN_ERR_CONFLICT,
                         "job %s, which is %s, needs this supernet",
                         job->view.id, sn_job_state_name(job->view.state));
            done(arg, &err);
            return;
        }
    }
    sn_supernets_delete(d->supernets, name, done, arg);
}

static void supernet_export(void *self, const struct sn_supernet_model *what,
                            sn_path_done done, void *arg)
{
    struct sn_daemon *d = self;
    sn_exports_supernet(&d->exports, what, done, arg);
}

static bool ready(void *self, const char **ret_problem)
{
    struct sn_daemon *d = self;
    const char *problem = NULL;
    if (sn_storage_failed(d->storage))
        problem = "the database cannot be written";
    else if (!sn_lifecycle_has_room(d->life))
        problem = "no room on the disk";
    else if (d->stopping)
        problem = "the daemon is stopping";
    if (problem != NULL)
        *ret_problem = problem;
    return problem == NULL;
}

void sn_daemon_fill_host(struct sn_daemon *d)
{
    d->host = (struct sn_host){
        .self = d,
        .storage = d->storage,
        .job_get = job_get,
        .job_list = job_list,
        .job_submit = job_submit,
        .job_control = job_control,
        .dataset_list = dataset_list,
        .dataset_get = dataset_get,
        .dataset_register = dataset_register,
        .dataset_delete = dataset_delete,
        .space_list = space_list,
        .space_get = space_get,
        .space_add = space_add,
        .space_delete = space_delete,
        .model_export = model_export,
        .supernet_list = supernet_list,
        .supernet_get = supernet_get,
        .supernet_import = supernet_import,
        .supernet_delete = supernet_delete,
        .supernet_export = supernet_export,
        .ready = ready,
        .job_memory = sn_memory_limit(d->config->memory_mib),
    };
}
