/* Registering, uploading and deleting data sets: other threads look, the loop
 * lists, storage keeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/dataset_store.h"
#include "daemon/datasets_internal.h"
#include "daemon/folders.h"
#include "storage/files.h"

/* A client that has waited so long is told that it goes on without it. */
static const double patience_s = 10;

struct sn_registration {
    struct sn_datasets *d;
    struct sn_set *set;    /* stays until the registration has ended */
    char given[PATH_MAX];  /* the path asked for, "" of an upload */
    char upload[PATH_MAX]; /* the archive sent, "" of a path */
    char real[PATH_MAX];   /* the folder, once it is known */
    bool kept;             /* which is one of the store's, with the files */
    struct sn_found found;
    bool storing; /* the row is on its way */
    struct timespec begun;
    sn_host_done done; /* NULL: told, or nobody waits */
    void *arg;
};

/* No file of the set may be a link that leads out of its folder. */
static enum sn_err check_files(const char *name, const char *folder,
                               struct sn_error *err)
{
    const struct sn_dataset_format *format = NULL;
    enum sn_err rc = sn_dataset_format_find(name, &format, err);
    for (size_t i = 0; rc == SN_OK && format->files[i] != NULL; i++) {
        char path[PATH_MAX + 64], real[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, format->files[i]);
        if (realpath(path, real) == NULL)
            continue; /* what is missing is told by opening the set */
        if (!sn_folders_is_below(real, folder) || stat(real, &st) < 0 ||
            !S_ISREG(st.st_mode))
            rc = sn_error_at(err, SN_ERR_INVALID, "/path",
                             "%s is no plain file of that folder",
                             format->files[i]);
    }
    return rc;
}

/* ---- on a thread of d->looking ---- */

static struct sn_dataset_store_order order_of(const struct sn_registration *r)
{
    return (struct sn_dataset_store_order){
        .state_dir = r->d->state_dir,
        .name = r->set->name,
        .format = r->set->view.format,
        .options = &r->set->view.options,
        .total_bytes = r->d->upload_bytes,
        .stop = &r->set->watch.stop,
    };
}

static enum sn_err keep_archive(struct sn_registration *r, const char *archive,
                                struct sn_error *err)
{
    struct sn_dataset_store_order order = order_of(r);
    char folder[SN_DATASET_STORE_PATH];
    pthread_mutex_lock(&r->d->storing);
    enum sn_err rc = sn_dataset_store_add(&order, archive, folder, err);
    pthread_mutex_unlock(&r->d->storing);
    if (rc != SN_OK)
        return rc;
    memcpy(r->real, folder, sizeof folder);
    r->kept = true;
    return SN_OK;
}

static enum sn_err see_packed(void *arg, const char *name, int fd, bool packed,
                              struct sn_error *err)
{
    *(bool *)arg |= packed;
    return SN_OK;
}

/* Packed tars cannot be read where they lie: they are kept unpacked. */
static enum sn_err keep_packed(struct sn_registration *r, struct sn_error *err)
{
    struct sn_dataset_store_order order = order_of(r);
    char folder[SN_DATASET_STORE_PATH];
    bool packed = false;
    if (strcmp(order.format, "tar") != 0)
        return SN_OK;
    enum sn_err rc =
        sn_dataset_shards(r->real, order.options, see_packed, &packed, err);
    if (rc != SN_OK || !packed)
        return rc;
    pthread_mutex_lock(&r->d->storing);
    rc = sn_dataset_store_add_shards(&order, r->real, folder, err);
    pthread_mutex_unlock(&r->d->storing);
    if (rc != SN_OK)
        return rc;
    memcpy(r->real, folder, sizeof folder);
    r->kept = true;
    return SN_OK;
}

static enum sn_err find_given(struct sn_registration *r, struct sn_error *err)
{
    struct sn_datasets *d = r->d;
    char real[PATH_MAX];
    struct stat st;
    if (!sn_folders_resolve(d->allowed, r->given, real)) {
        /* One answer for all: what is outside is none of the user's business.
         */
        return sn_error_at(
            err, SN_ERR_INVALID, "/path",
            d->allowed[0] == '\0'
                ? "this daemon registers no folder: its setting [datasets] "
                  "allowed is empty"
                : "not a folder or archive below one of those that are listed "
                  "in the daemon's setting [datasets] allowed");
    }
    if (stat(real, &st) == 0 && S_ISREG(st.st_mode))
        return keep_archive(r, real, err);
    memcpy(r->real, real, sizeof real);
    enum sn_err rc = check_files(r->set->view.format, real, err);
    return rc == SN_OK ? keep_packed(r, err) : rc;
}

static void look_at_folder(void *arg)
{
    struct sn_registration *r = arg;
    struct sn_error *err = &r->found.error;
    struct sn_dataset *data = NULL;
    bool upload = r->upload[0] != '\0';
    enum sn_err rc =
        upload ? keep_archive(r, r->upload, err) : find_given(r, err);
    if (upload)
        unlink(r->upload);
    if (rc == SN_OK) {
        struct sn_dataset_source source = {
            .format = r->set->view.format,
            .dir = r->real,
            .options = r->set->view.options,
            .watch = &r->set->watch,
        };
        rc = sn_dataset_open_source(&source, &data, err);
    }
    /* where the files have other names the format may not have been given */
    if (rc == SN_ERR_NOTFOUND)
        sn_error_wrap(err, "read as \"%s\" (\"format\" names another)",
                      r->set->view.format);
    if (rc != SN_OK && !upload && err->pointer[0] == '\0')
        snprintf(err->pointer, sizeof err->pointer, "/path");
    if (rc == SN_OK) {
        *err = (struct sn_error){0};
        sn_found_take(&r->found, data);
    }
    sn_dataset_free(data);
    if (err->code != SN_OK && r->kept)
        sn_dataset_store_remove(r->d->state_dir, r->real);
}

/* ---- on the loop ---- */

static void tell(struct sn_registration *r, const struct sn_error *err)
{
    sn_host_done done = r->done;
    r->done = NULL;
    if (done != NULL)
        done(r->arg, err);
}

/* A failure that nobody waits for any more stays in the list, to be seen. */
static void end(struct sn_registration *r)
{
    struct sn_datasets *d = r->d;
    struct sn_error error = r->found.error;
    bool ok = error.code == SN_OK;
    r->set->registration = NULL;
    pthread_mutex_lock(&d->lock);
    r->set->gone |= !ok && r->done != NULL;
    pthread_mutex_unlock(&d->lock);
    sn_set_show(r->set, &r->found);
    if (ok) { /* from now on it is held against what was found */
        r->set->known_info = r->set->view.info;
        r->set->known = r->set->stored = true;
    }
    tell(r, ok ? NULL : &error);
    free(r);
    sn_datasets_sweep(d);
}

static void remove_kept(void *arg)
{
    struct sn_registration *r = arg;
    sn_dataset_store_remove(r->d->state_dir, r->real);
}

static void on_removed(void *arg)
{
    end(arg);
}

/* Ends a registration that has failed after its files were taken. */
static void end_failed(struct sn_registration *r)
{
    if (!r->kept || r->d->stopped ||
        sn_offload_submit(r->d->files, remove_kept, on_removed, r, NULL) !=
            SN_OK)
        end(r); /* what stays is swept at the next start */
}

static void on_stored(void *arg)
{
    struct sn_registration *r = arg;
    if (r->found.error.code == SN_OK)
        end(r);
    else
        end_failed(r);
}

static void on_written(void *arg, const struct sn_written *result)
{
    struct sn_registration *r = arg;
    r->found.error = result->error;
    sn_mailbox_post(r->d->box, on_stored, r);
}

/* Where a set that is kept is, below <state>/datasets/, so that the state
 * folder can be moved. */
static const char *stored_path(const struct sn_registration *r)
{
    size_t n = strlen(r->d->state_dir) + strlen("/datasets/");
    return r->kept ? r->real + n : r->real;
}

static void on_looked(void *arg)
{
    struct sn_registration *r = arg;
    if (r->found.error.code != SN_OK) {
        end(r);
        return;
    }
    if (r->set->gone || r->d->stopped) {
        sn_error_set(&r->found.error, SN_ERR_STOPPED, "%s while it was read",
                     r->set->gone ? "it was deleted" : "the daemon stopped");
        end_failed(r);
        return;
    }
    r->storing = true;
    r->set->view.uploaded = r->kept;
    snprintf(r->set->path, sizeof r->set->path, "%s", r->real);
    struct sn_dataset_row body = {
        .format = r->set->view.format,
        .uploaded = r->kept,
        .options = r->set->view.options,
        .has_info = true,
        .info = r->found.info,
        .corrupt = (const char *const *)r->found.corrupt.at,
    };
    char *text = sn_dataset_row_print(&body);
    struct sn_resource row = {
        .kind = SN_RESOURCE_DATASET,
        .name = r->set->name,
        .body = text,
        .path = stored_path(r),
    };
    struct sn_write write = {.done = on_written, .arg = r};
    struct sn_error error;
    if (text == NULL)
        sn_error_set(&error, SN_ERR_NOMEM, "out of memory");
    if (text == NULL ||
        sn_storage_put_resource(r->d->storage, &row, &write, &error) != SN_OK) {
        r->found.error = error;
        on_stored(r);
    }
    free(text);
}

static enum sn_err check(struct sn_datasets *d,
                         const struct sn_dataset_request *what,
                         struct sn_error *err)
{
    const struct sn_dataset_format *found = NULL;
    if (sn_dataset_format_find(what->format, &found, err) != SN_OK)
        return err->code; /* it says which there are */
    if (strlen(what->name) >= SN_NAME_MAX ||
        !sn_files_is_plain_name(what->name))
        return sn_error_at(err, SN_ERR_INVALID, "/name", "not a name");
    if (what->upload == NULL &&
        (strlen(what->path) >= PATH_MAX || what->path[0] != '/'))
        return sn_error_at(err, SN_ERR_INVALID, "/path",
                           "not an absolute path");
    if (sn_datasets_find(d, what->name) != NULL)
        return sn_error_at(err, SN_ERR_CONFLICT, "/name",
                           "there is a data set \"%s\" already", what->name);
    return SN_OK;
}

static enum sn_err begin(struct sn_datasets *d,
                         const struct sn_dataset_request *what,
                         struct sn_registration *r, struct sn_error *err)
{
    const struct sn_dataset_format *found = NULL;
    bool upload = what->upload != NULL;
    enum sn_err rc = sn_dataset_format_find(what->format, &found, err);
    if (rc != SN_OK)
        return rc;
    struct sn_set *set =
        sn_set_new(what->name, upload ? "" : what->path, found->name);
    rc = sn_datasets_append(d, set, err);
    if (rc != SN_OK)
        return rc;
    set->view.uploaded = upload;
    set->view.options = what->options;
    set->registration = r;
    r->d = d;
    r->set = set;
    snprintf(upload ? r->upload : r->given, PATH_MAX, "%s",
             upload ? what->upload : what->path);
    clock_gettime(CLOCK_MONOTONIC, &r->begun);
    rc = sn_offload_submit(d->looking, look_at_folder, on_looked, r, err);
    if (rc != SN_OK) {
        set->registration = NULL;
        pthread_mutex_lock(&d->lock);
        set->gone = true;
        pthread_mutex_unlock(&d->lock);
        sn_datasets_sweep(d);
    }
    return rc;
}

void sn_datasets_register(struct sn_datasets *d,
                          const struct sn_dataset_request *what,
                          sn_host_done done, void *arg)
{
    struct sn_registration *r = calloc(1, sizeof *r);
    struct sn_error err = {0};
    enum sn_err rc = check(d, what, &err);
    if (rc == SN_OK && r == NULL)
        rc = sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    if (rc == SN_OK) {
        r->done = done;
        r->arg = arg;
        rc = begin(d, what, r, &err);
    }
    if (rc == SN_OK)
        return;
    free(r);
    if (what->upload != NULL)
        unlink(what->upload);
    done(arg, &err);
}

void sn_datasets_tick(struct sn_datasets *d)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; i < d->n; i++) {
        struct sn_registration *r = d->sets[i]->registration;
        if (r != NULL && r->done != NULL &&
            (double)(now.tv_sec - r->begun.tv_sec) >= patience_s)
            tell(r, NULL);
    }
}

/* ---- deleting ---- */

struct removal {
    struct sn_datasets *d;
    char name[SN_NAME_MAX], path[PATH_MAX];
    bool uploaded;
    struct sn_error error;
    sn_host_done done;
    void *arg;
};

static void remove_files(void *arg)
{
    struct removal *r = arg;
    sn_dataset_store_remove(r->d->state_dir, r->path);
}

static void on_files_removed(void *arg)
{
    free(arg);
}

static void on_deleted(void *arg)
{
    struct removal *r = arg;
    struct sn_set *set = sn_datasets_find(r->d, r->name);
    if (r->error.code == SN_OK && set != NULL) {
        pthread_mutex_lock(&r->d->lock);
        set->gone = true;
        pthread_mutex_unlock(&r->d->lock);
    }
    sn_datasets_sweep(r->d);
    r->done(r->arg, r->error.code == SN_OK ? NULL : &r->error);
    /* The row is gone, so what is not removed now is swept at the next start.
     */
    if (r->error.code != SN_OK || !r->uploaded || r->d->stopped ||
        sn_offload_submit(r->d->files, remove_files, on_files_removed, r,
                          NULL) != SN_OK)
        on_files_removed(r);
}

static void on_delete_written(void *arg, const struct sn_written *result)
{
    struct removal *r = arg;
    r->error = result->error;
    sn_mailbox_post(r->d->box, on_deleted, r);
}

/* A set that has no row (yet): what reads it is told to stop. */
static void drop(struct sn_datasets *d, struct sn_set *set)
{
    set->watch.stop = true;
    pthread_mutex_lock(&d->lock);
    set->gone = true;
    pthread_mutex_unlock(&d->lock);
    sn_datasets_sweep(d);
}

static bool is_open(struct sn_datasets *d, const struct sn_set *set)
{
    pthread_mutex_lock(&d->lock);
    bool open = set->refs > 0;
    pthread_mutex_unlock(&d->lock);
    return open;
}

void sn_datasets_delete(struct sn_datasets *d, const char *name,
                        sn_host_done done, void *arg)
{
    struct sn_set *set = sn_datasets_find(d, name);
    struct sn_error err = {0};
    struct removal *r = NULL;
    if (set == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no data set \"%.60s\"",
                     name);
    else if (set->view.builtin)
        sn_error_set(&err, SN_ERR_CONFLICT,
                     "%s is built in; the daemon's settings name its folder",
                     name);
    else if (set->registration != NULL && set->registration->storing)
        sn_error_set(&err, SN_ERR_CONFLICT, "%s is just being stored", name);
    else if (set->stored && set->view.uploaded && is_open(d, set))
        sn_error_set(&err, SN_ERR_CONFLICT, "%s is in use", name);
    else if (!set->stored) {
        drop(d, set);
        done(arg, NULL);
        return;
    } else if ((r = calloc(1, sizeof *r)) == NULL)
        sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    if (err.code == SN_OK) {
        *r = (struct removal){.d = d, .done = done, .arg = arg};
        r->uploaded = set->view.uploaded;
        strcpy(r->name, set->name);
        strcpy(r->path, set->path);
        struct sn_write write = {.done = on_delete_written, .arg = r};
        sn_storage_delete_resource(d->storage, SN_RESOURCE_DATASET, r->name,
                                   &write, &err);
    }
    if (err.code != SN_OK) {
        free(r);
        done(arg, &err);
    }
}
