/* The list of data sets, and opening them. */
#include "daemon/datasets_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

/* ---- opened sets ---- */

struct sn_set *sn_datasets_find(struct sn_datasets *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->sets[i]->gone && strcmp(d->sets[i]->name, name) == 0)
            return d->sets[i];
    return NULL;
}

/* Takes a reference. */
static enum sn_err pin(struct sn_datasets *d, const char *name,
                       struct sn_set **ret, struct sn_error *err)
{
    pthread_mutex_lock(&d->lock);
    struct sn_set *set = sn_datasets_find(d, name);
    if (set != NULL)
        set->refs++;
    pthread_mutex_unlock(&d->lock);
    if (set == NULL)
        return sn_error_set(err, SN_ERR_NOTFOUND, "there is no data set \"%s\"",
                            name);
    *ret = set;
    return SN_OK;
}

static void unpin(struct sn_datasets *d, struct sn_set *set)
{
    pthread_mutex_lock(&d->lock);
    set->refs--;
    pthread_mutex_unlock(&d->lock);
}

/* What nobody uses makes room for what is being opened. */
static void close_idle(struct sn_datasets *d)
{
    struct sn_dataset *idle[SN_MAX_SETS];
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n; i++)
        if (d->sets[i]->refs == 0 && d->sets[i]->open != NULL) {
            idle[n++] = d->sets[i]->open;
            d->sets[i]->open = NULL;
        }
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < n; i++)
        sn_dataset_free(idle[i]);
}

/* Opens a pinned set. */
static enum sn_err open_set(struct sn_datasets *d, struct sn_set *set,
                            struct sn_error *err)
{
    struct sn_dataset *opened = NULL;
    struct sn_dataset_known known;
    if (set->known)
        known = (struct sn_dataset_known){
            .info = set->known_info,
            .corrupt = (const char *const *)set->corrupt.at};
    struct sn_dataset_source source = {
        .format = set->view.format,
        .dir = set->path,
        .options = set->view.options,
        .known = set->known ? &known : NULL,
        .watch = &set->watch,
    };
    close_idle(d);
    set->watch.done = set->watch.all = 0;
    enum sn_err code = sn_dataset_open_source(&source, &opened, err);
    if (code != SN_OK)
        return code;
    pthread_mutex_lock(&d->lock);
    set->open = opened;
    pthread_mutex_unlock(&d->lock);
    return SN_OK;
}

enum sn_err sn_datasets_acquire(struct sn_datasets *d, const char *name,
                                const struct sn_dataset **ret,
                                struct sn_error *err)
{
    struct sn_set *set = NULL;
    pthread_mutex_lock(&d->opening); /* `open` is set under it alone */
    enum sn_err code = pin(d, name, &set, err);
    if (code == SN_OK && set->open == NULL) {
        code = open_set(d, set, err);
        if (code != SN_OK)
            unpin(d, set);
    }
    if (code == SN_OK)
        *ret = set->open;
    pthread_mutex_unlock(&d->opening);
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

/* Only the loop takes sets out of the list, so that it may read it without the
 * lock. */
void sn_datasets_sweep(struct sn_datasets *d)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = d->n; i-- > 0;) {
        struct sn_set *set = d->sets[i];
        if (!set->gone || set->refs > 0 || set->registration != NULL)
            continue;
        d->sets[i] = d->sets[--d->n];
        sn_set_free(set);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- the list ---- */

struct sn_set *sn_set_new(const char *name, const char *path,
                          const char *format)
{
    const struct sn_dataset_format *found = NULL;
    struct sn_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    snprintf(set->name, sizeof set->name, "%s", name);
    snprintf(set->path, sizeof set->path, "%s", path);
    snprintf(set->problem, sizeof set->problem, "it is still being read");
    set->view = (struct sn_dataset_view){
        .name = set->name,
        .path = set->path,
        .format = format,
        .state = SN_DATASET_READING,
        .problem = set->problem,
    };
    if (sn_dataset_format_find(format, &found, NULL) == SN_OK)
        set->view.images = found->images;
    set->view.options = sn_dataset_options_default(set->view.images);
    return set;
}

void sn_set_free(struct sn_set *set)
{
    if (set == NULL)
        return;
    sn_dataset_free(set->open);
    free(set->classes.at);
    free(set->corrupt.at);
    free(set);
}

enum sn_err sn_datasets_append(struct sn_datasets *d, struct sn_set *set,
                               struct sn_error *err)
{
    enum sn_err code = SN_OK;
    pthread_mutex_lock(&d->lock);
    if (set == NULL)
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    else if (d->n == SN_MAX_SETS)
        code = sn_error_set(err, SN_ERR_TOOLARGE,
                            "there are %d data sets already", SN_MAX_SETS);
    else
        d->sets[d->n++] = set;
    pthread_mutex_unlock(&d->lock);
    if (code != SN_OK)
        sn_set_free(set);
    return code;
}

static const char *class_of(const void *data, uint32_t i)
{
    return sn_dataset_class_name(data, (int)i);
}

static const char *corrupt_of(const void *data, uint32_t i)
{
    return sn_dataset_corrupt_name(data, i);
}

void sn_found_take(struct sn_found *found, const struct sn_dataset *data)
{
    struct sn_dataset_info info;
    sn_dataset_info(data, &info);
    found->info = info;
    if (sn_dataset_class_name(data, 0) != NULL &&
        sn_texts_copy(class_of, data, (uint32_t)info.classes, &found->classes,
                      &found->error) != SN_OK)
        return;
    sn_texts_copy(corrupt_of, data, info.corrupt, &found->corrupt,
                  &found->error);
}

void sn_found_close(struct sn_found *found)
{
    free(found->classes.at);
    free(found->corrupt.at);
    found->classes = found->corrupt = (struct sn_texts){NULL, 0};
}

static void swap(struct sn_texts *a, struct sn_texts *b)
{
    struct sn_texts t = *a;
    *a = *b;
    *b = t;
}

void sn_set_show(struct sn_set *set, struct sn_found *found)
{
    const struct sn_error *error = &found->error;
    bool ok = error->code == SN_OK;
    set->view.available = ok;
    set->view.state = ok ? SN_DATASET_READY : SN_DATASET_FAILED;
    set->view.problem = ok ? NULL : set->problem;
    if (ok) {
        set->view.info = found->info;
        swap(&set->classes, &found->classes);
        if (!set->known) /* else whoever opens it may be reading them */
            swap(&set->corrupt, &found->corrupt);
        set->view.classes = (const char *const *)set->classes.at;
        set->view.corrupt = (const char *const *)set->corrupt.at;
    } else {
        snprintf(set->problem, sizeof set->problem, "%.255s", error->message);
    }
    sn_found_close(found);
    sn_log(ok ? SN_LOG_INFO : SN_LOG_WARN, "datasets",
           ok ? "data set is there" : "data set cannot be used", "name",
           set->name, "path", set->path, "problem", ok ? NULL : set->problem,
           NULL);
}

static const struct sn_dataset_view *look(struct sn_set *set)
{
    if (set->view.state == SN_DATASET_READING) {
        set->view.done = set->watch.done;
        set->view.all = set->watch.all;
    }
    return &set->view;
}

size_t sn_datasets_list(struct sn_datasets *d,
                        const struct sn_dataset_view **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (!d->sets[i]->gone)
            d->shown[n++] = *look(d->sets[i]);
    *ret = d->shown;
    return n;
}

const struct sn_dataset_view *sn_datasets_get(struct sn_datasets *d,
                                              const char *name)
{
    struct sn_set *set = sn_datasets_find(d, name);
    return set == NULL ? NULL : look(set);
}

/* ---- start and end ---- */

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
    d->looking = config->sets;
    d->box = box;
    d->allowed = allowed;
    d->upload_bytes = config->upload_bytes;
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->opening, NULL);
    pthread_mutex_init(&d->storing, NULL);
    enum sn_err code = sn_datasets_start(d, config->fashion_mnist, err);
    if (code != SN_OK) {
        sn_datasets_free(d);
        return code;
    }
    *ret = d;
    return SN_OK;
}

void sn_datasets_stop(struct sn_datasets *d)
{
    if (d != NULL)
        d->stopped = true;
    for (size_t i = 0; d != NULL && i < d->n; i++)
        d->sets[i]->watch.stop = true;
}

void sn_datasets_free(struct sn_datasets *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n; i++)
        sn_set_free(d->sets[i]);
    pthread_mutex_destroy(&d->storing);
    pthread_mutex_destroy(&d->opening);
    pthread_mutex_destroy(&d->lock);
    free(d->allowed);
    free(d);
}
