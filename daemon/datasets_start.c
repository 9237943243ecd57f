/* The data sets that are there when the daemon starts: the built-in one, and
 * those of the rows, which are looked at again in the background.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/dataset_store.h"
#include "daemon/datasets_internal.h"
#include "daemon/folders.h"
#include "daemon/log.h"

static const char builtin_name[] = "fashion-mnist";

struct look {
    struct sn_datasets *d;
    char name[SN_NAME_MAX];
    struct sn_found found;
};

static void inspect(struct look *l)
{
    const struct sn_dataset *data = NULL;
    if (sn_datasets_acquire(l->d, l->name, &data, &l->found.error) != SN_OK)
        return;
    sn_found_take(&l->found, data);
    sn_datasets_release(l->d, data);
}

static void look_again(void *arg)
{
    inspect(arg);
}

static void on_looked_again(void *arg)
{
    struct look *l = arg;
    struct sn_set *set = sn_datasets_find(l->d, l->name);
    if (set != NULL)
        sn_set_show(set, &l->found);
    sn_found_close(&l->found);
    sn_datasets_sweep(l->d);
    free(l);
}

/* The set of a row; NULL when it does not fit or there is no memory. */
static struct sn_set *set_of(struct sn_datasets *d,
                             const struct sn_resource *row)
{
    struct sn_dataset_row body;
    struct sn_texts corrupt;
    char path[PATH_MAX];
    struct sn_set *set = NULL;
    sn_dataset_row_parse(row->body, &body, &corrupt);
    int n = body.uploaded ? snprintf(path, sizeof path, "%s/datasets/%s",
                                     d->state_dir, row->path)
                          : snprintf(path, sizeof path, "%s", row->path);
    if (n > 0 && (size_t)n < sizeof path && strlen(row->name) < SN_NAME_MAX)
        set = sn_set_new(row->name, path, body.format);
    if (set == NULL) {
        free(corrupt.at);
        return NULL;
    }
    set->view.uploaded = body.uploaded;
    set->view.options = body.options;
    set->known_info = body.info;
    set->known = body.has_info;
    set->stored = true;
    set->corrupt = corrupt;
    return set;
}

static bool on_row(void *arg, const struct sn_resource *row)
{
    struct sn_datasets *d = arg;
    struct sn_error err = {0};
    struct look *l = calloc(1, sizeof *l);
    if (l == NULL || sn_datasets_append(d, set_of(d, row), &err) != SN_OK) {
        free(l);
        return true;
    }
    l->d = d;
    snprintf(l->name, sizeof l->name, "%s", row->name);
    if (sn_offload_submit(d->files, look_again, on_looked_again, l, &err) !=
        SN_OK)
        free(l);
    return true;
}

struct rows {
    struct sn_datasets *d;
    bool all; /* were read */
};

static void read_rows(void *arg, struct sn_reader *reader)
{
    struct rows *rows = arg;
    struct sn_error err;
    rows->all = sn_reader_resources(reader, SN_RESOURCE_DATASET, NULL, 0,
                                    on_row, rows->d, &err) == SN_OK;
    if (!rows->all)
        sn_log(SN_LOG_WARN, "datasets", "registered data sets are not listed",
               "problem", err.message, NULL);
}

static void add_builtin(struct sn_datasets *d, const char *path)
{
    struct look l = {.d = d};
    struct sn_error err;
    struct stat st;
    if (path[0] == '\0')
        return;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        sn_log(SN_LOG_INFO, "datasets", "the built-in data set is not here",
               "name", builtin_name, "path", path, NULL);
        return;
    }
    struct sn_set *set =
        sn_set_new(builtin_name, path, sn_dataset_format_at(0)->name);
    if (sn_datasets_append(d, set, &err) != SN_OK)
        return;
    set->view.builtin = true;
    snprintf(l.name, sizeof l.name, "%s", builtin_name);
    inspect(&l);
    sn_set_show(set, &l.found);
}

/* Whether a folder of the store is one that a row names. */
static int is_named(void *arg, const char *folder)
{
    struct sn_datasets *d = arg;
    for (size_t i = 0; i < d->n; i++)
        if (d->sets[i]->view.uploaded &&
            sn_folders_is_below(d->sets[i]->path, folder))
            return 1;
    return 0;
}

enum sn_err sn_datasets_start(struct sn_datasets *d, const char *fashion_mnist,
                              struct sn_error *err)
{
    struct rows rows = {.d = d};
    if (realpath(sn_storage_dir(d->storage), d->state_dir) == NULL)
        return sn_error_errno(err, errno, "looking at the state folder");
    add_builtin(d, fashion_mnist);
    enum sn_err rc = sn_storage_read_wait(d->storage, read_rows, &rows, err);
    if (rc == SN_OK && rows.all && d->n < SN_MAX_SETS)
        sn_dataset_store_sweep(d->state_dir, is_named, d);
    return rc;
}
