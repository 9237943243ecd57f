/* The reader of "tar": JPEG and PNG files inside plain tars, read where they
 * are stored.
 *
 *   WebDataset   key.jpg, key.cls ...    a class is the number that .cls holds
 *   else         .../CLASS/name.jpg      a class is the folder that a file is
 * in
 *
 * A part "train", "test" or "val" of the path before the class says which split
 * a file is of; without, the tar does (shards.h), and without that test images
 * are taken by seed. Tars are walked by libarchive once, for the places of
 * their members; nothing is unpacked.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/format.h"
#include "engine/data/shards.h"

enum { BLOCK = 64 << 10, CLS_MAX = 16, NO_LABEL = -1 };

enum part { PART_OF_TAR, PART_TRAIN, PART_TEST };

struct walk {
    const struct sn_dataset_source *source;
    struct sn_dataset *data;
    struct archive *tar;
    const char *shard;                   /* its name, below the folder */
    uint32_t file;                       /* the same, in names */
    bool is_test;                        /* what the tar is of */
    bool has_cls, has_folders, has_test; /* seen anywhere */
    int highest;                         /* number of a .cls */

    /* WebDataset's key in hand: its files come one after the other */
    char key[PATH_MAX];
    struct sn_item item; /* length 0: no image yet */
    int label;           /* NO_LABEL: no .cls yet */
};

static enum sn_err walk_failed(struct walk *w, struct sn_error *err)
{
    const char *why = archive_error_string(w->tar);
    return sn_error_set(err, SN_ERR_CORRUPT,
                        "%s: cannot be read as a plain tar: %.120s", w->shard,
                        why != NULL ? why : "it is damaged");
}

/* ---- names ---- */

/* The length of a path without the ending of its last part, which begins at
 * that part's first dot, as WebDataset has it. */
static size_t key_length(const char *path)
{
    const char *last = strrchr(path, '/');
    last = last == NULL ? path : last + 1;
    return (size_t)(last - path) + strcspn(last, ".");
}

/* The folder that a file is in, as a class's name, and the split that folders
 * before it name; false when it is in none. */
static bool class_of(const char *path, char ret[NAME_MAX + 1],
                     enum part *ret_part)
{
    const char *end = strrchr(path, '/');
    bool found = false;
    *ret_part = PART_OF_TAR;
    for (const char *p = path; end != NULL && p < end;) {
        size_t n = strcspn(p, "/");
        bool last = p + n == end;
        if (!last && n == 5 && strncmp(p, "train", 5) == 0)
            *ret_part = PART_TRAIN;
        else if (!last && ((n == 4 && strncmp(p, "test", 4) == 0) ||
                           (n == 3 && strncmp(p, "val", 3) == 0)))
            *ret_part = PART_TEST;
        else if (last && n > 0 && n <= NAME_MAX && p[0] != '.') {
            memcpy(ret, p, n);
            ret[n] = '\0';
            found = true;
        }
        p += n + 1;
    }
    return found;
}

/* The number of a class, in the order in which they are first seen. */
static enum sn_err number_of(struct walk *w, const char *name, int32_t *ret,
                             struct sn_error *err)
{
    struct sn_names *classes = &w->data->classes;
    for (uint32_t i = classes->n; i-- > 0;)
        if (strcmp(classes->at[i], name) == 0) {
            *ret = (int32_t)i;
            return SN_OK;
        }
    if (classes->n == SN_MAX_CLASSES)
        return sn_error_set(err, SN_ERR_TOOLARGE, "has over %d classes",
                            SN_MAX_CLASSES);
    *ret = (int32_t)classes->n;
    return sn_names_add(classes, name, err);
}

/* ---- members ---- */

static enum sn_err add(struct walk *w, const struct sn_item *item, bool is_test,
                       struct sn_error *err)
{
    w->has_test |= is_test;
    return sn_items_add(
        is_test ? &w->data->items->test : &w->data->items->train, item, err);
}

/* What is in hand is whole: a pair, or an image in a class's folder. */
static enum sn_err flush(struct walk *w, struct sn_error *err)
{
    char class[NAME_MAX + 1];
    enum part part;
    enum sn_err rc = SN_OK;
    const char *name = sn_items_name(w->data->items, &w->item);
    if (w->item.length == 0)
        w->data->info.other += w->label != NO_LABEL; /* a .cls of nothing */
    else if (w->label != NO_LABEL) {
        w->item.label = w->label;
        rc = add(w, &w->item, w->is_test, err);
    } else if (!class_of(w->key, class, &part)) {
        rc = sn_error_set(err, SN_ERR_INVALID,
                          "%s: has neither a .cls beside it nor a folder that "
                          "would be its class",
                          name);
    } else {
        w->has_folders = true;
        rc = number_of(w, class, &w->item.label, err);
        if (rc == SN_OK)
            rc = add(w, &w->item,
                     part == PART_OF_TAR ? w->is_test : part == PART_TEST, err);
    }
    w->item.length = 0;
    w->label = NO_LABEL;
    return rc;
}

static enum sn_err take_label(struct walk *w, const char *path,
                              struct sn_error *err)
{
    char text[CLS_MAX + 1];
    la_ssize_t n = archive_read_data(w->tar, text, CLS_MAX);
    if (n < 0)
        return walk_failed(w, err);
    text[n] = '\0';
    char *end;
    errno = 0;
    long label = strtol(text, &end, 10);
    end += strspn(end, "\r\n ");
    if (end == text || *end != '\0' || errno != 0 || label < 0 ||
        label >= SN_MAX_CLASSES)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s/%s: is no class from 0 to %d", w->shard, path,
                            SN_MAX_CLASSES - 1);
    w->has_cls = true;
    w->label = (int)label;
    if (w->label > w->highest)
        w->highest = w->label;
    return SN_OK;
}

static enum sn_err take_image(struct walk *w, const char *path, int64_t size,
                              struct sn_error *err)
{
    char name[2 * PATH_MAX];
    if (size <= 0 || size > SN_ITEM_MAX_BYTES)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "%s/%s: has %" PRId64 " bytes, 1 to %d are read",
                            w->shard, path, size, SN_ITEM_MAX_BYTES);
    if (w->item.length > 0 && w->label != NO_LABEL)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s/%s: is the second image of its .cls", w->shard,
                            path);
    if (w->item.length > 0) { /* "cat/a.1.jpg", "cat/a.2.jpg": of a folder */
        enum sn_err rc = flush(w, err);
        if (rc != SN_OK)
            return rc;
    }
    int n = snprintf(name, sizeof name, "%s/%s", w->shard, path);
    w->item.file = w->file;
    w->item.length = (uint32_t)size;
    /* All headers are taken, so the next byte is the member's first. */
    w->item.offset = (uint64_t)archive_filter_bytes(w->tar, 0);
    return sn_items_keep(w->data->items, name, (size_t)n, &w->item.name, err);
}

static enum sn_err take_member(struct walk *w, struct archive_entry *entry,
                               struct sn_error *err)
{
    const char *path = archive_entry_pathname(entry);
    enum sn_err rc = SN_OK;
    if (path == NULL || strlen(path) >= PATH_MAX)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: has a member without a readable name",
                            w->shard);
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (archive_entry_hardlink(entry) != NULL ||
        archive_entry_symlink(entry) != NULL)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s/%s: is a link, and links are not followed",
                            w->shard, path);
    const char *last = strrchr(path, '/');
    last = last == NULL ? path : last + 1;
    if (archive_entry_filetype(entry) != AE_IFREG || last[0] == '.')
        return SN_OK;
    size_t n = key_length(path);
    if (strlen(w->key) != n || strncmp(w->key, path, n) != 0) {
        rc = flush(w, err);
        memcpy(w->key, path, n);
        w->key[n] = '\0';
    }
    if (rc != SN_OK)
        return rc;
    if (strcmp(path + n, ".cls") == 0)
        return take_label(w, path, err);
    if (sn_format_is_image_name(path) && archive_entry_sparse_count(entry) == 0)
        return take_image(w, path, archive_entry_size(entry), err);
    w->data->info.other++;
    return SN_OK;
}

/* ---- tars ---- */

static enum sn_err walk_open(struct walk *w, struct sn_error *err)
{
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(w->tar, &entry)) == ARCHIVE_OK ||
           code == ARCHIVE_WARN) {
        enum sn_err rc = take_member(w, entry, err);
        if (rc != SN_OK)
            return rc;
        if (w->source->watch != NULL && w->source->watch->stop)
            return sn_error_set(err, SN_ERR_STOPPED, "stopped");
    }
    if (code != ARCHIVE_EOF)
        return walk_failed(w, err);
    enum sn_err rc = flush(w, err);
    w->key[0] = '\0';
    return rc;
}

static enum sn_err walk_tar(struct walk *w, const char *shard, bool is_test,
                            struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    int fd = sn_items_open_below(w->data->items->folder, shard, O_RDONLY);
    if (fd < 0)
        return sn_error_errno(err, errno, "%s: opening", shard);
    w->shard = shard;
    w->is_test = is_test;
    w->tar = archive_read_new();
    if (w->tar == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to read a tar");
    if (rc == SN_OK)
        rc = sn_items_keep(w->data->items, shard, strlen(shard), &w->file, err);
    if (rc == SN_OK && (archive_read_support_format_tar(w->tar) != ARCHIVE_OK ||
                        archive_read_open_fd(w->tar, fd, BLOCK) != ARCHIVE_OK))
        rc = walk_failed(w, err);
    if (rc == SN_OK)
        rc = walk_open(w, err);
    if (w->tar != NULL)
        archive_read_free(w->tar);
    close(fd);
    return rc;
}

/* Numbers classes in the order of their names' bytes, as folders are. */
static enum sn_err sort_classes(struct sn_dataset *data, struct sn_error *err)
{
    struct sn_names sorted = {0};
    struct sn_item_list *lists[] = {&data->items->train, &data->items->test};
    int32_t place[SN_MAX_CLASSES];
    enum sn_err rc = SN_OK;
    for (uint32_t c = 0; rc == SN_OK && c < data->classes.n; c++)
        rc = sn_names_add(&sorted, data->classes.at[c], err);
    sn_names_sort(&sorted);
    for (uint32_t c = 0; rc == SN_OK && c < data->classes.n; c++)
        place[c] = (int32_t)sn_names_find(&sorted, data->classes.at[c]);
    for (int l = 0; rc == SN_OK && l < 2; l++)
        for (uint32_t i = 0; i < lists[l]->n; i++)
            lists[l]->at[i].label = place[lists[l]->at[i].label];
    sn_names_close(&data->classes);
    data->classes = sorted;
    return rc;
}

static enum sn_err name_classes(struct walk *w, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    if (w->has_cls && w->has_folders)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: some images have a .cls beside them and some "
                            "have not",
                            w->source->dir);
    if (!w->has_cls)
        return sort_classes(w->data, err);
    for (int c = 0; rc == SN_OK && c <= w->highest; c++) {
        char name[16];
        snprintf(name, sizeof name, "%d", c);
        rc = sn_names_add(&w->data->classes, name, err);
    }
    return rc;
}

static enum sn_err walk_all(struct walk *w, const struct sn_names *train,
                            const struct sn_names *test, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (uint32_t i = 0; rc == SN_OK && i < train->n; i++)
        rc = walk_tar(w, train->at[i], false, err);
    for (uint32_t i = 0; rc == SN_OK && i < test->n; i++)
        rc = walk_tar(w, test->at[i], true, err);
    if (rc == SN_OK && train->n == 0)
        rc = sn_error_set(err, SN_ERR_NOTFOUND, "%s: has no file NAME.tar",
                          w->source->dir);
    if (rc == SN_OK)
        rc = name_classes(w, err);
    if (rc == SN_OK && !w->has_test)
        rc = sn_format_split(&w->source->options, w->data, err);
    return rc;
}

static enum sn_err list_shards(const struct sn_dataset_source *source,
                               struct sn_dataset *data, struct sn_error *err)
{
    struct sn_names train = {0}, test = {0};
    enum sn_err rc = sn_items_new(source->dir, &data->items, err);
    if (rc != SN_OK)
        return rc;
    struct walk *w = calloc(1, sizeof *w);
    if (w == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory to list tars");
    *w = (struct walk){.source = source, .data = data, .label = NO_LABEL};
    rc = sn_shards_find(data->items->folder, &source->options, &train, &test,
                        err);
    if (rc == SN_OK)
        rc = walk_all(w, &train, &test, err);
    sn_names_close(&train);
    sn_names_close(&test);
    free(w);
    return rc == SN_OK ? sn_format_finish_list(source->dir, data, err) : rc;
}

/* libarchive gives names in the thread's character set, which must be able to
 * hold all of them. */
static enum sn_err list(const struct sn_dataset_source *source,
                        struct sn_dataset *data, struct sn_error *err)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    enum sn_err rc = list_shards(source, data, err);
    if (utf8 != (locale_t)0) {
        uselocale(before);
        freelocale(utf8);
    }
    return rc;
}

static const char *const files[] = {NULL};

const struct sn_format sn_format_tar = {
    .is = {.name = "tar", .files = files, .images = true},
    .list = list,
};
