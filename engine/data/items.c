#include "engine/data/items.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum sn_err sn_items_new(const char *dir, struct sn_items **ret,
                         struct sn_error *err)
{
    struct sn_items *items = calloc(1, sizeof *items);
    if (items == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a data set");
    items->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (items->folder < 0) {
        int why = errno;
        free(items);
        if (why == ENOENT || why == ENOTDIR)
            return sn_error_set(err, SN_ERR_NOTFOUND, "%s: no such folder",
                                dir);
        return sn_error_errno(err, why, "%s: opening", dir);
    }
    *ret = items;
    return SN_OK;
}

void sn_items_free(struct sn_items *items)
{
    if (items == NULL)
        return;
    close(items->folder);
    free(items->names);
    free(items->train.at);
    free(items->test.at);
    free(items);
}

enum sn_err sn_items_keep(struct sn_items *items, const char *text, size_t n,
                          uint32_t *ret, struct sn_error *err)
{
    size_t at = items->names_size;
    if (n >= UINT32_MAX - at)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "the names of its files are too long");
    if (at + n + 1 > items->names_room) {
        size_t room = 2 * (at + n + 1) + 4096;
        char *names = realloc(items->names, room);
        if (names == NULL)
            return sn_error_set(err, SN_ERR_NOMEM,
                                "no memory for names of files");
        items->names = names;
        items->names_room = room;
    }
    memcpy(items->names + at, text, n);
    items->names[at + n] = '\0';
    items->names_size = at + n + 1;
    *ret = (uint32_t)at;
    return SN_OK;
}

enum sn_err sn_items_add(struct sn_item_list *list, const struct sn_item *item,
                         struct sn_error *err)
{
    if (list->n == SN_ITEMS_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "has over %d images",
                            SN_ITEMS_MAX);
    if (list->n == list->room) {
        uint32_t room = list->room == 0 ? 256 : 2 * list->room;
        struct sn_item *at = realloc(list->at, room * sizeof *at);
        if (at == NULL)
            return sn_error_set(err, SN_ERR_NOMEM,
                                "no memory for a list of images");
        list->at = at;
        list->room = room;
    }
    list->at[list->n++] = *item;
    return SN_OK;
}

int sn_items_open_below(int folder, const char *path, int flags)
{
    int at = folder;
    for (;;) {
        char part[NAME_MAX + 1];
        size_t n = strcspn(path, "/");
        bool last = path[n] == '\0';
        int next = -1, why = ENAMETOOLONG;
        if (n <= NAME_MAX) {
            memcpy(part, path, n);
            part[n] = '\0';
            why = EINVAL; /* nothing leads up or to where we are */
            if (n > 0 && strcmp(part, ".") != 0 && strcmp(part, "..") != 0) {
                next = openat(at, part,
                              O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
                                  (last ? flags : O_RDONLY | O_DIRECTORY));
                why = errno;
            }
        }
        if (at != folder)
            close(at);
        if (next < 0) {
            errno = why;
            return -1;
        }
        if (last)
            return next;
        at = next;
        path += n + 1;
    }
}

static enum sn_err make_room(struct sn_item_bytes *bytes, size_t n,
                             const char *name, struct sn_error *err)
{
    if (n <= bytes->room)
        return SN_OK;
    uint8_t *grown = realloc(bytes->bytes, n);
    if (grown == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory to read it",
                            name);
    bytes->bytes = grown;
    bytes->room = n;
    return SN_OK;
}

static enum sn_err read_part(int fd, const struct sn_item *item,
                             const char *name, uint8_t *to,
                             struct sn_error *err)
{
    size_t got = 0;
    while (got < item->length) {
        ssize_t n = pread(fd, to + got, item->length - got,
                          (off_t)(item->offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sn_error_errno(err, errno, "%s: reading", name);
        if (n == 0)
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "%s: is shorter than when it was listed", name);
        got += (size_t)n;
    }
    return SN_OK;
}

enum sn_err sn_items_read(const struct sn_items *items,
                          const struct sn_item *item,
                          struct sn_item_bytes *bytes, struct sn_error *err)
{
    const char *name = sn_items_name(items, item);
    struct stat st;
    enum sn_err rc = make_room(bytes, item->length, name, err);
    if (rc != SN_OK)
        return rc;
    int fd =
        sn_items_open_below(items->folder, items->names + item->file, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return sn_error_set(err, SN_ERR_NOTFOUND, "%s: is no longer there",
                            name);
    if (fd < 0)
        return sn_error_errno(err, errno, "%s: opening", name);
    if (fstat(fd, &st) != 0)
        rc = sn_error_errno(err, errno, "%s: looking at it", name);
    else if (!S_ISREG(st.st_mode))
        rc = sn_error_set(err, SN_ERR_CORRUPT, "%s: is no longer a file", name);
    else if (item->file == item->name && (uint64_t)st.st_size != item->length)
        rc = sn_error_set(err, SN_ERR_CORRUPT,
                          "%s: has %" PRIu64 " bytes, %" PRIu32
                          " when it was listed",
                          name, (uint64_t)st.st_size, item->length);
    else
        rc = read_part(fd, item, name, bytes->bytes, err);
    close(fd);
    if (rc == SN_OK)
        bytes->n = item->length;
    return rc;
}
