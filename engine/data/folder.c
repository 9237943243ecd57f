/* The reader of "folder": JPEG and PNG files, a folder a class.
 *
 *   train/<class>/...  with  test/<class>/...  or  val/<class>/...
 *   <class>/...        the test images are a share of each class, by seed
 *
 * Classes are numbered in the order of their names' bytes. Names that begin
 * with a dot are passed over; a link anywhere is an error, as no file outside
 * of the folder may come in.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/data/format.h"

enum { MAX_DEPTH = 8 };

/* Where a walk is. path: of the folder that is being read, below the set's. */
struct walk {
    struct sn_items *items;
    struct sn_item_list *list;
    int32_t label;
    uint32_t *other;
    char path[PATH_MAX];
    size_t length; /* of path */
};

static enum sn_err push(struct walk *w, const char *name, struct sn_error *err)
{
    size_t n = strlen(name);
    if (w->length + 1 + n >= sizeof w->path)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: is too long a path",
                            name);
    if (w->length > 0)
        w->path[w->length++] = '/';
    memcpy(w->path + w->length, name, n + 1);
    w->length += n;
    return SN_OK;
}

static void pop(struct walk *w, size_t length)
{
    w->length = length;
    w->path[length] = '\0';
}

/* The folder at w->path, opened to be read. */
static enum sn_err open_folder(const struct walk *w, DIR **ret,
                               struct sn_error *err)
{
    const char *path = w->path;
    int fd = w->length == 0 ? openat(w->items->folder, ".",
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                            : sn_items_open_below(w->items->folder, path,
                                                  O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum sn_err rc = sn_error_errno(err, errno, "%s: opening", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *ret = dir;
    return SN_OK;
}

/* The next entry of a folder that is not hidden, with what it is; *ret is NULL
 * at the end. */
static enum sn_err next_entry(const struct walk *w, DIR *dir, const char **ret,
                              struct stat *ret_stat, struct sn_error *err)
{
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL && errno != 0)
            return sn_error_errno(err, errno, "%s: reading", w->path);
    } while (entry != NULL && entry->d_name[0] == '.');
    *ret = entry == NULL ? NULL : entry->d_name;
    if (entry == NULL)
        return SN_OK;
    const char *slash = w->length > 0 ? "/" : "";
    if (fstatat(dirfd(dir), entry->d_name, ret_stat, AT_SYMLINK_NOFOLLOW) != 0)
        return sn_error_errno(err, errno, "%s%s%s: looking at it", w->path,
                              slash, entry->d_name);
    if (S_ISLNK(ret_stat->st_mode))
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s%s%s: is a link, and links are not followed",
                            w->path, slash, entry->d_name);
    return SN_OK;
}

static enum sn_err take_file(struct walk *w, const struct stat *st,
                             struct sn_error *err)
{
    struct sn_item item = {.label = w->label};
    if (!S_ISREG(st->st_mode) || !sn_format_is_image_name(w->path)) {
        ++*w->other;
        return SN_OK;
    }
    if (st->st_size > SN_ITEM_MAX_BYTES)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: is over %d MiB", w->path,
                            SN_ITEM_MAX_BYTES >> 20);
    item.length = (uint32_t)st->st_size;
    enum sn_err rc =
        sn_items_keep(w->items, w->path, w->length, &item.name, err);
    item.file = item.name;
    return rc == SN_OK ? sn_items_add(w->list, &item, err) : rc;
}

/* Lists all images below w->path, in whatever order. */
static enum sn_err walk_images(struct walk *w, int depth, struct sn_error *err)
{
    DIR *dir = NULL;
    const char *name = NULL;
    struct stat st;
    size_t length = w->length;
    if (depth > MAX_DEPTH)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: is over %d folders deep",
                            w->path, MAX_DEPTH);
    enum sn_err rc = open_folder(w, &dir, err);
    if (rc != SN_OK)
        return rc;
    while (rc == SN_OK && (rc = next_entry(w, dir, &name, &st, err)) == SN_OK &&
           name != NULL) {
        rc = push(w, name, err);
        if (rc == SN_OK)
            rc = S_ISDIR(st.st_mode) ? walk_images(w, depth + 1, err)
                                     : take_file(w, &st, err);
        pop(w, length);
    }
    closedir(dir);
    return rc;
}

/* The names of the folders in w->path, sorted; files there are `other`. */
static enum sn_err list_folders(struct walk *w, struct sn_names *ret,
                                struct sn_error *err)
{
    DIR *dir = NULL;
    const char *name = NULL;
    struct stat st;
    enum sn_err rc = open_folder(w, &dir, err);
    if (rc != SN_OK)
        return rc;
    while (rc == SN_OK && (rc = next_entry(w, dir, &name, &st, err)) == SN_OK &&
           name != NULL) {
        if (!S_ISDIR(st.st_mode))
            ++*w->other;
        else if (ret->n > SN_MAX_CLASSES)
            rc = sn_error_set(err, SN_ERR_TOOLARGE,
                              "%s: has over %d folders, which would be classes",
                              w->path, SN_MAX_CLASSES);
        else
            rc = sn_names_add(ret, name, err);
    }
    closedir(dir);
    sn_names_sort(ret);
    return rc;
}

/* Lists the images of the class folders in `part` ("" for the set's own). */
static enum sn_err list_part(struct walk *w, const char *part,
                             const struct sn_names *classes,
                             struct sn_item_list *list, struct sn_error *err)
{
    struct sn_names folders = {0};
    enum sn_err rc = SN_OK;
    pop(w, 0);
    if (part[0] != '\0')
        rc = push(w, part, err);
    w->list = list;
    if (rc == SN_OK)
        rc = list_folders(w, &folders, err);
    for (uint32_t i = 0; rc == SN_OK && i < folders.n; i++) {
        size_t length = w->length;
        w->label = (int32_t)sn_names_find(classes, folders.at[i]);
        if (w->label < 0)
            rc = sn_error_set(err, SN_ERR_INVALID,
                              "%s/%s: there is no class of that name in train",
                              part, folders.at[i]);
        else if ((rc = push(w, folders.at[i], err)) == SN_OK)
            rc = walk_images(w, 1, err);
        pop(w, length);
    }
    sn_names_close(&folders);
    return rc;
}

/* Where the test images are: test/ if it has folders, else val/, else "". */
static enum sn_err find_test(struct walk *w, const struct sn_names *top,
                             const char **ret, struct sn_error *err)
{
    static const char *const parts[] = {"test", "val"};
    *ret = "";
    for (int i = 0; i < 2; i++) {
        struct sn_names folders = {0};
        uint32_t files = 0, *other = w->other;
        if (sn_names_find(top, parts[i]) < 0)
            continue;
        pop(w, 0);
        w->other = &files; /* they count when it is read */
        enum sn_err rc = push(w, parts[i], err);
        if (rc == SN_OK)
            rc = list_folders(w, &folders, err);
        w->other = other;
        bool found = folders.n > 0;
        sn_names_close(&folders);
        if (rc != SN_OK)
            return rc;
        if (found) {
            *ret = parts[i];
            return SN_OK;
        }
    }
    return SN_OK;
}

static enum sn_err list_all(struct walk *w, struct sn_names *top,
                            const struct sn_dataset_source *source,
                            struct sn_dataset *data, struct sn_error *err)
{
    const char *train = "", *test = "";
    enum sn_err rc = list_folders(w, top, err);
    if (rc == SN_OK && sn_names_find(top, "train") >= 0) {
        train = "train";
        rc = push(w, train, err);
        if (rc == SN_OK)
            rc = list_folders(w, &data->classes, err);
        if (rc == SN_OK)
            rc = find_test(w, top, &test, err);
    } else if (rc == SN_OK) {
        data->classes = *top;
        *top = (struct sn_names){0};
    }
    data->info.other = 0; /* those were of looking around */
    if (rc == SN_OK)
        rc = list_part(w, train, &data->classes, &data->items->train, err);
    if (rc == SN_OK && test[0] != '\0')
        return list_part(w, test, &data->classes, &data->items->test, err);
    return rc == SN_OK ? sn_format_split(&source->options, data, err) : rc;
}

static enum sn_err list(const struct sn_dataset_source *source,
                        struct sn_dataset *data, struct sn_error *err)
{
    struct sn_names top = {0};
    enum sn_err rc = sn_items_new(source->dir, &data->items, err);
    if (rc != SN_OK)
        return rc;
    struct walk *w = calloc(1, sizeof *w);
    if (w == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to list a folder");
    w->items = data->items;
    w->other = &data->info.other;
    rc = list_all(w, &top, source, data, err);
    sn_names_close(&top);
    free(w);
    return rc == SN_OK ? sn_format_finish_list(source->dir, data, err) : rc;
}

static const char *const files[] = {NULL};

const struct sn_format sn_format_folder = {
    .is = {.name = "folder", .files = files, .images = true},
    .list = list,
};
