#include "daemon/datasets.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "storage/files.h"

enum { MAX_SETS = 256, BODY_MAX = 64 };
static const char builtin_name[] = "fashion-mnist";

struct set {
    struct sn_dataset_view view; /* what the loop shows */
    char name[SN_NAME_MAX], path[PATH_MAX], problem[256];
    bool gone; /* deleted, still open */
    /* under the lock */
    struct sn_dataset *open;
    int refs;
};

struct sn_datasets {
    struct sn_storage *storage;
    struct sn_offload *files;
    struct sn_mailbox *box;
    char *allowed;
    pthread_mutex_t lock;    /* the list, open, refs */
    pthread_mutex_t opening; /* one set is opened at a time */
    struct set *sets[MAX_SETS];
    size_t n;
    struct sn_dataset_view shown[MAX_SETS];
};

/* ---- opened sets ---- */

static struct set *find(struct sn_datasets *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->sets[i]->gone && strcmp(d->sets[i]->name, name) == 0)
            return d->sets[i];
    return NULL;
}

/* Takes a reference when the set is open. */
static enum sn_err look(struct sn_datasets *d, const char *name,
                        char path[PATH_MAX], const char **ret_format,
                        const struct sn_dataset **ret, struct sn_error *err)
{
    enum sn_err code = SN_OK;
    pthread_mutex_lock(&d->lock);
    struct set *set = find(d, name);
    *ret = NULL;
    if (set == NULL) {
        code = sn_error_set(err, SN_ERR_NOTFOUND, "there is no data set \"%s\"",
                            name);
    } else {
        strcpy(path, set->path);
        *ret_format = set->view.format;
        set->refs += set->open != NULL;
        *ret = set->open;
    }
    pthread_mutex_unlock(&d->lock);
    return code;
}

/* Puts an opened set in its place; what nobody uses makes room for it. */
static enum sn_err keep(struct sn_datasets *d, const char *name,
                        struct sn_dataset *data, struct sn_error *err)
{
    struct sn_dataset *idle[MAX_SETS];
    size_t n_idle = 0;
    pthread_mutex_lock(&d->lock);
    struct set *set = find(d, name);
    for (size_t i = 0; i < d->n; i++)
        if (d->sets[i]->refs == 0 && d->sets[i]->open != NULL) {
            idle[n_idle++] = d->sets[i]->open;
            d->sets[i]->open = NULL;
        }
    if (set != NULL) {
        set->open = data;
        set->refs = 1;
    }
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < n_idle; i++)
        sn_dataset_free(idle[i]);
    if (set != NULL)
        return SN_OK;
    sn_dataset_free(data);
    return sn_error_set(err, SN_ERR_NOTFOUND, "data set \"%s\" was deleted",
                        name);
}

enum sn_err sn_datasets_acquire(struct sn_datasets *d, const char *name,
                                const struct sn_dataset **ret,
                                struct sn_error *err)
{
    char path[PATH_MAX];
    const char *format = NULL;
    const struct sn_dataset *data;
    struct sn_dataset *opened;
    pthread_mutex_lock(&d->opening);
    enum sn_err code = look(d, name, path, &format, &data, err);
    if (code == SN_OK && data == NULL) {
        code = sn_dataset_open(format, path, &opened, err);
        if (code == SN_OK)
            code = keep(d, name, opened, err);
        data = opened;
    }
    pthread_mutex_unlock(&d->opening);
    if (code == SN_OK)
        *ret = data;
    return code;
}

void sn_datasets_release(struct sn_datasets *d, const struct sn_dataset *data)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n; i++)
        if (d->sets[i]->open == data)
            d->sets[i]->refs--;
    pthread_mutex_unlock(&d->lock);
}

/* Frees deleted sets that nobody uses any more; only the loop takes sets out of
 * the list, so that it may read it without the lock. */
static void sweep(struct sn_datasets *d)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = d->n; i-- > 0;) {
        struct set *set = d->sets[i];
        if (!set->gone || set->refs > 0)
            continue;
        d->sets[i] = d->sets[--d->n];
        sn_dataset_free(set->open);
        free(set);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- the list ---- */

/* format: of the engine's table, or another text that stays. */
static struct set *set_new(const char *name, const char *path,
                           const char *format, bool builtin)
{
    struct set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    snprintf(set->name, sizeof set->name, "%s", name);
    snprintf(set->path, sizeof set->path, "%s", path);
    snprintf(set->problem, sizeof set->problem, "it is still being read");
    set->view = (struct sn_dataset_view){
        .name = set->name,
        .path = set->path,
        .format = format,
        .builtin = builtin,
        .problem = set->problem,
    };
    return set;
}

static enum sn_err append(struct sn_datasets *d, struct set *set,
                          struct sn_error *err)
{
    enum sn_err code = SN_OK;
    pthread_mutex_lock(&d->lock);
    if (set == NULL)
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    else if (d->n == MAX_SETS)
        code = sn_error_set(err, SN_ERR_TOOLARGE,
                            "there are %d data sets already", MAX_SETS);
    else
        d->sets[d->n++] = set;
    pthread_mutex_unlock(&d->lock);
    if (code != SN_OK)
        free(set);
    return code;
}

static void show(struct set *set, const struct sn_dataset_info *info,
                 const struct sn_error *error)
{
    bool ok = error->code == SN_OK;
    set->view.available = ok;
    set->view.problem = ok ? NULL : set->problem;
    if (ok)
        set->view.info = *info;
    else
        snprintf(set->problem, sizeof set->problem, "%.255s", error->message);
    sn_log(ok ? SN_LOG_INFO : SN_LOG_WARN, "datasets",
           ok ? "data set is there" : "data set cannot be used", "name",
           set->name, "path", set->path, "problem", ok ? NULL : set->problem,
           NULL);
}

static void inspect(struct sn_datasets *d, const char *name,
                    struct sn_dataset_info *ret, struct sn_error *ret_error)
{
    const struct sn_dataset *data;
    memset(ret_error, 0, sizeof *ret_error);
    if (sn_datasets_acquire(d, name, &data, ret_error) != SN_OK)
        return;
    sn_dataset_info(data, ret);
    sn_datasets_release(d, data);
}

size_t sn_datasets_list(struct sn_datasets *d,
                        const struct sn_dataset_view **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (!d->sets[i]->gone)
            d->shown[n++] = d->sets[i]->view;
    *ret = d->shown;
    return n;
}

const struct sn_dataset_view *sn_datasets_get(struct sn_datasets *d,
                                              const char *name)
{
    struct set *set = find(d, name);
    return set == NULL ? NULL : &set->view;
}

/* ---- registering: a file thread looks, the loop lists, storage keeps ---- */

struct registration {
    struct sn_datasets *d;
    char name[SN_NAME_MAX], path[PATH_MAX];
    char real[PATH_MAX];
    const struct sn_dataset_format *format;
    struct sn_dataset_info info;
    struct sn_error error;
    bool is_new;
    sn_host_done done;
    void *arg;
};

static void finish(struct registration *r)
{
    if (r->done != NULL)
        r->done(r->arg, r->error.code == SN_OK ? NULL : &r->error);
    free(r);
}

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 &&
           (path[n] == '/' || path[n] == '\0' || n == 1);
}

static bool is_allowed(const struct sn_datasets *d, const char *real)
{
    char list[8192], folder[PATH_MAX], *rest = NULL;
    snprintf(list, sizeof list, "%s", d->allowed);
    for (char *p = strtok_r(list, ":", &rest); p != NULL;
         p = strtok_r(NULL, ":", &rest))
        if (realpath(p, folder) != NULL && is_below(real, folder))
            return true;
    return false;
}

/* No file of the set may be a link that leads out of its folder. */
static enum sn_err check_files(const struct sn_dataset_format *format,
                               const char *folder, struct sn_error *err)
{
    for (const char *const *file = format->files; *file != NULL; file++) {
        char path[PATH_MAX + 64], real[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, *file);
        if (realpath(path, real) == NULL)
            continue; /* what is missing is told by opening the set */
        if (!is_below(real, folder) || stat(real, &st) < 0 ||
            !S_ISREG(st.st_mode))
            return sn_error_at(err, SN_ERR_INVALID, "/path",
                               "%s is no plain file of that folder", *file);
    }
    return SN_OK;
}

static void look_at_folder(void *arg)
{
    struct registration *r = arg;
    struct sn_dataset *data;
    if (realpath(r->path, r->real) == NULL || !is_allowed(r->d, r->real)) {
        /* One answer for both: what is outside is none of the user's business.
         */
        sn_error_at(&r->error, SN_ERR_INVALID, "/path",
                    r->d->allowed[0] == '\0'
                        ? "this daemon registers no folder: its setting "
                          "[datasets] allowed is empty"
                        : "not a folder below one of those that are listed in "
                          "the daemon's setting [datasets] allowed");
        return;
    }
    if (check_files(r->format, r->real, &r->error) != SN_OK)
        return;
    if (sn_dataset_open(r->format->name, r->real, &data, &r->error) != SN_OK) {
        snprintf(r->error.pointer, sizeof r->error.pointer, "/path");
        return;
    }
    sn_dataset_info(data, &r->info);
    sn_dataset_free(data);
}

static void on_stored(void *arg)
{
    struct registration *r = arg;
    struct set *set = find(r->d, r->name);
    if (set != NULL) {
        pthread_mutex_lock(&r->d->lock);
        set->gone = r->error.code != SN_OK;
        pthread_mutex_unlock(&r->d->lock);
        show(set, &r->info, &r->error);
    }
    sweep(r->d);
    finish(r);
}

static void on_written(void *arg, const struct sn_written *result)
{
    struct registration *r = arg;
    r->error = result->error;
    sn_mailbox_post(r->d->box, on_stored, r);
}

/* A row's body: {"format": "idx"}. */
static void print_body(const char *format, char ret[BODY_MAX])
{
    snprintf(ret, BODY_MAX, "{\"format\": \"%s\"}", format);
}

/* The format that a row's body names; one of a later version is unknown here,
 * which opening the set will say. */
static const char *format_of(const char *body)
{
    const struct sn_dataset_format *format;
    char text[BODY_MAX];
    for (size_t i = 0; (format = sn_dataset_format_at(i)) != NULL; i++) {
        print_body(format->name, text);
        if (body != NULL && strcmp(body, text) == 0)
            return format->name;
    }
    return "unknown";
}

static void on_looked(void *arg)
{
    struct registration *r = arg;
    char body[BODY_MAX];
    struct sn_datasets *d = r->d;
    if (r->error.code == SN_OK && find(d, r->name) != NULL)
        sn_error_at(&r->error, SN_ERR_CONFLICT, "/name",
                    "there is a data set \"%s\" already", r->name);
    if (r->error.code == SN_OK)
        append(d, set_new(r->name, r->real, r->format->name, false), &r->error);
    if (r->error.code != SN_OK) {
        finish(r);
        return;
    }
    print_body(r->format->name, body);
    struct sn_resource row = {
        .kind = SN_RESOURCE_DATASET,
        .name = r->name,
        .body = body,
        .path = r->real,
    };
    struct sn_write write = {.done = on_written, .arg = r};
    struct sn_error error;
    if (sn_storage_put_resource(d->storage, &row, &write, &error) != SN_OK) {
        r->error = error;
        on_stored(r);
    }
}

void sn_datasets_register(struct sn_datasets *d, const char *name,
                          const char *path, const char *format,
                          sn_host_done done, void *arg)
{
    struct registration *r = calloc(1, sizeof *r);
    const struct sn_dataset_format *found = NULL;
    struct sn_error err = {0};
    if (r == NULL)
        sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    else if (sn_dataset_format_find(format, &found, &err) != SN_OK)
        found = NULL; /* err says which there are */
    else if (strlen(name) >= SN_NAME_MAX || !sn_files_is_plain_name(name))
        sn_error_at(&err, SN_ERR_INVALID, "/name", "not a name");
    else if (strlen(path) >= PATH_MAX || path[0] != '/')
        sn_error_at(&err, SN_ERR_INVALID, "/path", "not an absolute path");
    else if (find(d, name) != NULL)
        sn_error_at(&err, SN_ERR_CONFLICT, "/name",
                    "there is a data set \"%s\" already", name);
    if (err.code == SN_OK) {
        *r = (struct registration){.d = d, .done = done, .arg = arg};
        r->format = found;
        strcpy(r->name, name);
        strcpy(r->path, path);
        sn_offload_submit(d->files, look_at_folder, on_looked, r, &err);
    }
    if (err.code != SN_OK) {
        free(r);
        done(arg, &err);
    }
}

static void on_deleted(void *arg)
{
    struct registration *r = arg;
    struct set *set = find(r->d, r->name);
    if (r->error.code == SN_OK && set != NULL) {
        pthread_mutex_lock(&r->d->lock);
        set->gone = true;
        pthread_mutex_unlock(&r->d->lock);
    }
    sweep(r->d);
    finish(r);
}

static void on_delete_written(void *arg, const struct sn_written *result)
{
    struct registration *r = arg;
    r->error = result->error;
    sn_mailbox_post(r->d->box, on_deleted, r);
}

void sn_datasets_delete(struct sn_datasets *d, const char *name,
                        sn_host_done done, void *arg)
{
    struct set *set = find(d, name);
    struct sn_error err = {0};
    struct registration *r = NULL;
    if (set == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no data set \"%.60s\"",
                     name);
    else if (set->view.builtin)
        sn_error_set(&err, SN_ERR_CONFLICT,
                     "%s is built in; the daemon's settings name its folder",
                     name);
    else if ((r = calloc(1, sizeof *r)) == NULL)
        sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    if (err.code == SN_OK) {
        *r = (struct registration){.d = d, .done = done, .arg = arg};
        strcpy(r->name, set->name);
        struct sn_write write = {.done = on_delete_written, .arg = r};
        sn_storage_delete_resource(d->storage, SN_RESOURCE_DATASET, r->name,
                                   &write, &err);
    }
    if (err.code != SN_OK) {
        free(r);
        done(arg, &err);
    }
}

/* ---- start ---- */

static void look_again(void *arg)
{
    struct registration *r = arg;
    inspect(r->d, r->name, &r->info, &r->error);
}

static void on_looked_again(void *arg)
{
    struct registration *r = arg;
    struct set *set = find(r->d, r->name);
    if (set != NULL)
        show(set, &r->info, &r->error);
    finish(r);
}

static bool on_row(void *arg, const struct sn_resource *row)
{
    struct sn_datasets *d = arg;
    struct sn_error err = {0};
    struct registration *r = calloc(1, sizeof *r);
    if (r == NULL || strlen(row->name) >= SN_NAME_MAX ||
        strlen(row->path) >= PATH_MAX ||
        append(d, set_new(row->name, row->path, format_of(row->body), false),
               &err) != SN_OK) {
        free(r);
        return true;
    }
    *r = (struct registration){.d = d};
    strcpy(r->name, row->name);
    if (sn_offload_submit(d->files, look_again, on_looked_again, r, &err) !=
        SN_OK)
        free(r);
    return true;
}

static void read_rows(void *arg, struct sn_reader *reader)
{
    struct sn_error err;
    if (sn_reader_resources(reader, SN_RESOURCE_DATASET, NULL, 0, on_row, arg,
                            &err) != SN_OK)
        sn_log(SN_LOG_WARN, "datasets", "registered data sets are not listed",
               "problem", err.message, NULL);
}

static void add_builtin(struct sn_datasets *d, const char *path)
{
    struct sn_dataset_info info;
    struct sn_error err;
    struct stat st;
    if (path[0] == '\0')
        return;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        sn_log(SN_LOG_INFO, "datasets", "the built-in data set is not here",
               "name", builtin_name, "path", path, NULL);
        return;
    }
    if (append(d,
               set_new(builtin_name, path, sn_dataset_format_at(0)->name, true),
               &err) != SN_OK)
        return;
    inspect(d, builtin_name, &info, &err);
    show(find(d, builtin_name), &info, &err);
}

enum sn_err sn_datasets_new(const struct sn_datasets_config *config,
                            struct sn_mailbox *box, struct sn_datasets **ret,
                            struct sn_error *err)
{
    struct sn_datasets *d = calloc(1, sizeof *d);
    char *allowed = strdup(config->allowed);
    if (d == NULL || allowed == NULL) {
        free(d);
        free(allowed);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    d->storage = config->storage;
    d->files = config->files;
    d->box = box;
    d->allowed = allowed;
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->opening, NULL);
    add_builtin(d, config->fashion_mnist);
    enum sn_err code = sn_storage_read_wait(d->storage, read_rows, d, err);
    if (code != SN_OK) {
        sn_datasets_free(d);
        return code;
    }
    *ret = d;
    return SN_OK;
}

void sn_datasets_free(struct sn_datasets *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n; i++) {
        sn_dataset_free(d->sets[i]->open);
        free(d->sets[i]);
    }
    pthread_mutex_destroy(&d->opening);
    pthread_mutex_destroy(&d->lock);
    free(d->allowed);
    free(d);
}
