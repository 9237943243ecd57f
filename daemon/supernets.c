#include "daemon/supernets.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/folders.h"
#include "daemon/log.h"

enum { MAX_SUPERNETS = 1024, BODY_MAX = 96 };
static const char weights_name[] = "weights.safetensors";

struct supernet {
    struct sn_supernet_view view;
    char name[SN_NAME_MAX], space[SN_NAME_MAX], path[SN_PATH_MAX];
    char xxh3[SN_XXH3_HEX], problem[384];
};

struct sn_supernets {
    struct sn_supernets_config config;
    char *allowed;
    bool closing;
    struct supernet *list[MAX_SUPERNETS];
    size_t n;
    struct sn_supernet_view shown[MAX_SUPERNETS];
};

enum task_kind { IMPORT, ADOPT, LOOK, REMOVE };

/* What is done for one supernet: on the file thread, then on the loop. */
struct task {
    struct sn_supernets *all;
    enum task_kind kind;
    char name[SN_NAME_MAX], space[SN_NAME_MAX];
    char from[PATH_MAX];    /* of an import */
    bool take;              /* it is removed */
    char path[SN_PATH_MAX]; /* of the weights */
    char xxh3[SN_XXH3_HEX]; /* as the row has it, then as found */
    int64_t bytes, time_ms;
    struct sn_supernet_info info;
    struct sn_error error;
    sn_host_done done;
    void *arg;
};

/* ---- paths ---- */

enum sn_err sn_supernets_path(const struct sn_storage *storage,
                              const char *name, char ret[SN_PATH_MAX],
                              struct sn_error *err)
{
    return sn_files_supernet_path(sn_storage_dir(storage), name, weights_name,
                                  ret, err);
}

enum sn_err sn_supernets_room(const struct sn_storage *storage, const char *job,
                              char ret[SN_PATH_MAX], struct sn_error *err)
{
    char name[SN_NAME_MAX];
    snprintf(name, sizeof name, SN_SUPERNET_OF_JOB "%.50s", job);
    enum sn_err code =
        sn_files_make_supernet_dir(sn_storage_dir(storage), name, err);
    return code == SN_OK ? sn_supernets_path(storage, name, ret, err) : code;
}

/* ---- the list ---- */

static struct supernet *find(struct sn_supernets *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i]->name, name) == 0)
            return all->list[i];
    return NULL;
}

static void forget(struct sn_supernets *all, struct supernet *net)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i] == net) {
            memmove(&all->list[i], &all->list[i + 1],
                    (all->n - i - 1) * sizeof all->list[0]);
            all->n--;
            free(net);
            return;
        }
}

static enum sn_err append(struct sn_supernets *all, const struct task *t,
                          struct sn_error *err)
{
    struct supernet *net;
    if (all->n == MAX_SUPERNETS)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "there are %d supernets already", MAX_SUPERNETS);
    if ((net = calloc(1, sizeof *net)) == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    size_t prefix = strlen(SN_SUPERNET_OF_JOB);
    snprintf(net->name, sizeof net->name, "%s", t->name);
    snprintf(net->path, sizeof net->path, "%s", t->path);
    snprintf(net->problem, sizeof net->problem, "it is still being read");
    net->view = (struct sn_supernet_view){
        .name = net->name,
        .space = net->space,
        .path = net->path,
        .xxh3 = net->xxh3,
        .problem = net->problem,
        .job = strncmp(net->name, SN_SUPERNET_OF_JOB, prefix) == 0
                   ? net->name + prefix
                   : NULL,
        .created = (double)t->time_ms / 1000,
    };
    all->list[all->n++] = net;
    return SN_OK;
}

static void show(struct supernet *net, const struct task *t)
{
    bool ok = t->error.code == SN_OK;
    net->view.available = ok;
    net->view.problem = ok ? NULL : net->problem;
    net->view.info = t->info;
    net->view.bytes = t->bytes;
    snprintf(net->space, sizeof net->space, "%s", t->space);
    snprintf(net->xxh3, sizeof net->xxh3, "%s", t->xxh3);
    if (!ok)
        snprintf(net->problem, sizeof net->problem, "%.383s", t->error.message);
    sn_log(ok ? SN_LOG_INFO : SN_LOG_WARN, "supernets",
           ok ? "supernet is there" : "supernet cannot be used", "name",
           net->name, "problem", ok ? NULL : net->problem, NULL);
}

size_t sn_supernets_list(struct sn_supernets *all,
                         const struct sn_supernet_view **ret)
{
    for (size_t i = 0; i < all->n; i++)
        all->shown[i] = all->list[i]->view;
    *ret = all->shown;
    return all->n;
}

const struct sn_supernet_view *sn_supernets_get(struct sn_supernets *all,
                                                const char *name)
{
    struct supernet *net = find(all, name);
    return net == NULL ? NULL : &net->view;
}

/* ---- on the file thread ---- */

/* The space of the file at t->from or t->path, which the user may have named
 * too. */
static const struct sn_space *space_of(struct task *t, const char *file)
{
    char named[SN_NAME_MAX] = "";
    if (sn_engine_supernet_space(file, named, &t->error) != SN_OK)
        return NULL;
    if (t->space[0] == '\0')
        snprintf(t->space, sizeof t->space, "%s", named);
    if (t->space[0] == '\0') {
        sn_error_at(&t->error, SN_ERR_INVALID, "/space",
                    "is required: the file does not name its space");
        return NULL;
    }
    const struct sn_space *space =
        sn_spaces_find(t->all->config.spaces, t->space);
    if (space == NULL)
        sn_error_at(&t->error, SN_ERR_INVALID, "/space",
                    "there is no space '%s'", t->space);
    return space;
}

static void find_content(struct task *t, const struct sn_space *space)
{
    char xxh3[SN_XXH3_HEX];
    int64_t bytes = 0;
    if (sn_files_xxh3(t->path, xxh3, &bytes, &t->error) != SN_OK)
        return;
    if (t->kind == LOOK && strcmp(xxh3, t->xxh3) != 0) {
        sn_error_set(&t->error, SN_ERR_CORRUPT,
                     "its file is not what was written");
        return;
    }
    strcpy(t->xxh3, xxh3);
    t->bytes = bytes;
    sn_engine_supernet_info(t->path, space, &t->info, &t->error);
}

static void import_file(struct task *t)
{
    const char *state_dir = sn_storage_dir(t->all->config.storage);
    char real[PATH_MAX];
    struct sn_supernet_info info;
    if (t->take) {
        snprintf(real, sizeof real, "%s", t->from);
    } else if (!sn_folders_resolve(t->all->allowed, t->from, real)) {
        /* One answer for both: what is outside is none of the user's business.
         */
        sn_error_at(&t->error, SN_ERR_INVALID, "/path",
                    t->all->allowed[0] == '\0'
                        ? "this daemon imports no file: its setting "
                          "[supernets] allowed is empty"
                        : "not a file below one of the folders that are "
                          "listed in the daemon's setting [supernets] allowed");
        return;
    }
    const struct sn_space *space = space_of(t, real);
    if (space == NULL ||
        sn_files_make_supernet_dir(state_dir, t->name, &t->error) != SN_OK)
        return;
    if (sn_engine_import(real, space, t->path, &info, &t->error) == SN_OK)
        find_content(t, space);
    if (t->error.code != SN_OK)
        sn_files_remove_supernet_dir(state_dir, t->name, NULL);
}

static void work(void *arg)
{
    struct task *t = arg;
    const struct sn_space *space;
    switch (t->kind) {
    case IMPORT:
        import_file(t);
        break;
    case ADOPT:
    case LOOK:
        space = space_of(t, t->path);
        if (space != NULL)
            find_content(t, space);
        break;
    case REMOVE:
        sn_files_remove_supernet_dir(sn_storage_dir(t->all->config.storage),
                                     t->name, &t->error);
        break;
    }
    if (t->take)
        unlink(t->from);
}

/* ---- back on the loop ---- */

static void finish(struct task *t)
{
    if (t->error.code != SN_OK && t->kind != IMPORT)
        sn_log(SN_LOG_WARN, "supernets", "supernet", "name", t->name, "problem",
               t->error.message, NULL);
    if (t->done != NULL)
        t->done(t->arg, t->error.code == SN_OK ? NULL : &t->error);
    free(t);
}

static void on_stored(void *arg)
{
    struct task *t = arg;
    struct supernet *net = find(t->all, t->name);
    if (net != NULL && t->error.code == SN_OK)
        show(net, t);
    else if (net != NULL)
        forget(t->all, net);
    finish(t);
}

static void on_written(void *arg, const struct sn_written *result)
{
    struct task *t = arg;
    t->error = result->error;
    sn_mailbox_post(t->all->config.box, on_stored, t);
}

/* Its file is whole: a row, and the list. */
static void store(struct task *t)
{
    struct sn_supernets *all = t->all;
    struct sn_error error;
    char body[BODY_MAX];
    if (find(all, t->name) == NULL)
        append(all, t, &t->error);
    if (t->error.code != SN_OK) {
        finish(t);
        return;
    }
    snprintf(body, sizeof body, "{\"space\": \"%s\"}", t->space);
    struct sn_resource row = {
        .kind = SN_RESOURCE_SUPERNET,
        .name = t->name,
        .body = body,
        .path = t->path,
        .bytes = t->bytes,
        .xxh3 = t->xxh3,
        .time_ms = t->time_ms,
    };
    struct sn_write write = {.done = on_written, .arg = t};
    if (sn_storage_put_resource(all->config.storage, &row, &write, &error) !=
        SN_OK) {
        t->error = error;
        on_stored(t);
    }
}

static void on_worked(void *arg)
{
    struct task *t = arg;
    struct supernet *net = find(t->all, t->name);
    if (t->all->closing && t->error.code == SN_OK)
        sn_error_set(&t->error, SN_ERR_STOPPED, "the daemon is stopping");
    if (t->kind == LOOK && net != NULL)
        show(net, t);
    if (t->error.code == SN_OK && (t->kind == IMPORT || t->kind == ADOPT)) {
        store(t);
        return;
    }
    /* the name was kept for the import that failed */
    if (t->kind == IMPORT && net != NULL)
        forget(t->all, net);
    finish(t);
}

static struct task *task_new(struct sn_supernets *all, enum task_kind kind,
                             const char *name, struct sn_error *err)
{
    struct timespec now;
    struct task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    t->all = all;
    t->kind = kind;
    t->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    snprintf(t->name, sizeof t->name, "%s", name);
    if (sn_supernets_path(all->config.storage, name, t->path, err) == SN_OK)
        return t;
    free(t);
    return NULL;
}

static enum sn_err start(struct task *t, struct sn_error *err)
{
    enum sn_err code =
        sn_offload_submit(t->all->config.files, work, on_worked, t, err);
    if (code != SN_OK)
        free(t);
    return code;
}

/* ---- what is asked ---- */

static enum sn_err check_name(struct sn_supernets *all, const char *name,
                              struct sn_error *err)
{
    size_t prefix = strlen(SN_SUPERNET_OF_JOB);
    if (strlen(name) >= SN_NAME_MAX || !sn_files_is_plain_name(name))
        return sn_error_at(err, SN_ERR_INVALID, "/name",
                           "takes letters, digits, '.', '_' and '-', and does "
                           "not start with '.'");
    if (strncmp(name, SN_SUPERNET_OF_JOB, prefix) == 0)
        return sn_error_at(err, SN_ERR_INVALID, "/name",
                           "names that begin with " SN_SUPERNET_OF_JOB
                           " are those of weights that jobs leave");
    if (find(all, name) != NULL)
        return sn_error_at(err, SN_ERR_CONFLICT, "/name",
                           "there is a supernet \"%s\" already", name);
    return SN_OK;
}

void sn_supernets_import(struct sn_supernets *all,
                         const struct sn_supernet_import *order,
                         sn_host_done done, void *arg)
{
    struct sn_error err = {0};
    struct task *t = NULL;
    if (check_name(all, order->name, &err) == SN_OK)
        t = task_new(all, IMPORT, order->name, &err);
    if (t != NULL) {
        snprintf(t->space, sizeof t->space, "%s", order->space);
        snprintf(t->from, sizeof t->from, "%s", order->path);
        t->take = order->take;
        t->done = done;
        t->arg = arg;
        /* from now on the name is taken */
        if (append(all, t, &err) != SN_OK)
            free(t);
        else if (start(t, &err) != SN_OK)
            forget(all, find(all, order->name));
    }
    if (err.code != SN_OK) {
        if (order->take)
            unlink(order->path);
        done(arg, &err);
    }
}

static void on_delete_stored(void *arg)
{
    struct task *t = arg;
    struct supernet *net = find(t->all, t->name);
    struct sn_error err;
    if (t->error.code == SN_OK && net != NULL)
        forget(t->all, net);
    if (t->done != NULL)
        t->done(t->arg, t->error.code == SN_OK ? NULL : &t->error);
    t->done = NULL;
    if (t->error.code != SN_OK || t->all->closing)
        free(t);
    else
        start(t, &err); /* a folder that stays is removed at the next start */
}

static void on_delete_written(void *arg, const struct sn_written *result)
{
    struct task *t = arg;
    t->error = result->error;
    sn_mailbox_post(t->all->config.box, on_delete_stored, t);
}

void sn_supernets_delete(struct sn_supernets *all, const char *name,
                         sn_host_done done, void *arg)
{
    struct supernet *net = find(all, name);
    struct sn_error err = {0};
    struct task *t = NULL;
    if (net == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no supernet \"%.60s\"",
                     name);
    else if (!net->view.available && net->xxh3[0] == '\0')
        sn_error_set(&err, SN_ERR_CONFLICT, "%s is still being read", name);
    else
        t = task_new(all, REMOVE, name, &err);
    if (t != NULL) {
        t->done = done;
        t->arg = arg;
        struct sn_write write = {.done = on_delete_written, .arg = t};
        if (sn_storage_delete_resource(all->config.storage,
                                       SN_RESOURCE_SUPERNET, name, &write,
                                       &err) != SN_OK)
            free(t);
    }
    if (err.code != SN_OK)
        done(arg, &err);
}

static void on_adopt(void *arg)
{
    struct task *t = arg;
    if (t->all->closing)
        sn_error_set(&t->error, SN_ERR_STOPPED, "the daemon is stopping");
    if (t->error.code != SN_OK ||
        sn_offload_submit(t->all->config.files, work, on_worked, t,
                          &t->error) != SN_OK)
        finish(t);
}

bool sn_supernets_adopt(struct sn_supernets *all, const char *job, bool left,
                        sn_host_done done, void *arg)
{
    char name[SN_NAME_MAX];
    snprintf(name, sizeof name, SN_SUPERNET_OF_JOB "%.50s", job);
    struct task *t = task_new(all, left ? ADOPT : REMOVE, name, NULL);
    if (t == NULL)
        return false;
    t->done = done;
    t->arg = arg;
    sn_mailbox_post(all->config.box, on_adopt, t);
    return true;
}

/* ---- start ---- */

static bool on_row(void *arg, const struct sn_resource *row)
{
    struct sn_supernets *all = arg;
    struct sn_error err = {0};
    struct task *t = task_new(all, LOOK, row->name, &err);
    if (t == NULL)
        return true;
    t->time_ms = row->time_ms;
    snprintf(t->xxh3, sizeof t->xxh3, "%s", row->xxh3);
    if (append(all, t, &err) != SN_OK)
        free(t);
    else
        start(t, &err);
    return true;
}

static void read_rows(void *arg, struct sn_reader *reader)
{
    struct sn_error err;
    if (sn_reader_resources(reader, SN_RESOURCE_SUPERNET, NULL, 0, on_row, arg,
                            &err) != SN_OK)
        sn_log(SN_LOG_WARN, "supernets", "supernets are not listed", "problem",
               err.message, NULL);
}

/* Folders that no row knows: an import or a job's end that a crash cut off. */
static void sweep(struct sn_supernets *all)
{
    char path[SN_PATH_MAX];
    const char *state_dir = sn_storage_dir(all->config.storage);
    snprintf(path, sizeof path, "%s/supernets", state_dir);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || find(all, entry->d_name) != NULL)
            continue;
        if (sn_files_remove_supernet_dir(state_dir, entry->d_name, NULL) ==
            SN_OK)
            sn_log(SN_LOG_INFO, "supernets", "removed what a crash left",
                   "name", entry->d_name, NULL);
    }
    if (dir != NULL)
        closedir(dir);
}

enum sn_err sn_supernets_new(const struct sn_supernets_config *config,
                             struct sn_supernets **ret, struct sn_error *err)
{
    struct sn_supernets *all = calloc(1, sizeof *all);
    if (all == NULL || (all->allowed = strdup(config->allowed)) == NULL) {
        free(all);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    all->config = *config;
    enum sn_err code =
        sn_storage_read_wait(config->storage, read_rows, all, err);
    if (code != SN_OK) {
        sn_supernets_free(all);
        return code;
    }
    sweep(all);
    *ret = all;
    return SN_OK;
}

void sn_supernets_close(struct sn_supernets *all)
{
    if (all != NULL)
        all->closing = true;
}

void sn_supernets_free(struct sn_supernets *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->n; i++)
        free(all->list[i]);
    free(all->allowed);
    free(all);
}
