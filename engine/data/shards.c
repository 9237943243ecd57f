#include "engine/data/shards.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/items.h"

/* "a-{00..11}.tar" becomes its names; a text without a brace is one. */
static enum sn_err expand(const char *pattern, const char *pointer,
                          struct sn_names *ret, struct sn_error *err)
{
    char name[512];
    unsigned long first, last;
    const char *open = strchr(pattern, '{');
    if (open == NULL)
        return sn_names_add(ret, pattern, err);
    size_t width = strspn(open + 1, "0123456789");
    const char *dots = open + 1 + width;
    size_t end =
        strncmp(dots, "..", 2) == 0 ? strspn(dots + 2, "0123456789") : 0;
    if (width == 0 || end == 0 || width > 9 || end > 9 || dots[2 + end] != '}')
        return sn_error_at(err, SN_ERR_INVALID, pointer,
                           "may have one part like {000..123}");
    first = strtoul(open + 1, NULL, 10);
    last = strtoul(dots + 2, NULL, 10);
    if (last < first || last - first >= SN_MAX_SHARDS)
        return sn_error_at(err, SN_ERR_RANGE, pointer,
                           "names 1 to %d files, in rising order",
                           SN_MAX_SHARDS);
    for (unsigned long i = first; i <= last; i++) {
        snprintf(name, sizeof name, "%.*s%0*lu%s", (int)(open - pattern),
                 pattern, (int)width, i, dots + 3 + end);
        enum sn_err rc = sn_names_add(ret, name, err);
        if (rc != SN_OK)
            return rc;
    }
    return SN_OK;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), e = strlen(ending);
    return n > e && strcmp(name + n - e, ending) == 0;
}

bool sn_shards_is_packed(const char *name)
{
    static const char *const endings[] = {".tar.gz", ".tgz", ".tar.bz2",
                                          ".tar.xz", ".tar.zst"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(name, endings[i]))
            return true;
    return false;
}

/* The tars of a folder below ("" for itself), plain or packed ones; no such
 * folder is fine. */
static enum sn_err list_kind(int folder, const char *below, bool packed,
                             struct sn_names *ret, struct sn_error *err)
{
    struct dirent *entry;
    enum sn_err rc = SN_OK;
    int fd = below[0] == '\0'
                 ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                 : sn_items_open_below(folder, below, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT)
        return SN_OK;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        rc = sn_error_errno(err, errno, "%s: opening", below);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc == SN_OK && (entry = readdir(dir)) != NULL) {
        char name[512];
        if (entry->d_name[0] == '.' ||
            !(packed ? sn_shards_is_packed(entry->d_name)
                     : ends_with(entry->d_name, ".tar")))
            continue;
        snprintf(name, sizeof name, "%s%s%s", below, below[0] ? "/" : "",
                 entry->d_name);
        rc = ret->n < SN_MAX_SHARDS
                 ? sn_names_add(ret, name, err)
                 : sn_error_set(err, SN_ERR_TOOLARGE, "has over %d tars",
                                SN_MAX_SHARDS);
    }
    closedir(dir);
    sn_names_sort(ret);
    return rc;
}

static enum sn_err list(int folder, const char *below, struct sn_names *ret,
                        struct sn_error *err)
{
    enum sn_err rc = list_kind(folder, below, false, ret, err);
    return rc == SN_OK && ret->n == 0 ? list_kind(folder, below, true, ret, err)
                                      : rc;
}

static enum sn_err look_around(int folder, struct sn_names *ret_train,
                               struct sn_names *ret_test, struct sn_error *err)
{
    static const char *const parts[] = {"test", "val"};
    enum sn_err rc = list(folder, "train", ret_train, err);
    for (int i = 0; rc == SN_OK && ret_train->n > 0 && i < 2; i++)
        if (ret_test->n == 0)
            rc = list(folder, parts[i], ret_test, err);
    if (rc == SN_OK && ret_train->n == 0)
        rc = list(folder, "", ret_train, err);
    return rc;
}

enum sn_err sn_shards_find(int folder, const struct sn_dataset_options *options,
                           struct sn_names *ret_train,
                           struct sn_names *ret_test, struct sn_error *err)
{
    enum sn_err rc;
    if (options->train[0] == '\0' && options->test[0] != '\0')
        return sn_error_at(err, SN_ERR_INVALID, "/train",
                           "is needed beside /test");
    if (options->train[0] == '\0')
        return look_around(folder, ret_train, ret_test, err);
    rc = expand(options->train, "/train", ret_train, err);
    if (rc == SN_OK && options->test[0] != '\0')
        rc = expand(options->test, "/test", ret_test, err);
    return rc;
}

/* Every tar of both lists, opened; `each` closes none. */
static enum sn_err visit(int folder, const struct sn_names *names,
                         sn_dataset_shard each, void *arg, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    for (uint32_t i = 0; rc == SN_OK && i < names->n; i++) {
        const char *name = names->at[i];
        int fd = sn_items_open_below(folder, name, O_RDONLY);
        if (fd < 0)
            return sn_error_errno(err, errno, "%s: opening", name);
        rc = each(arg, name, fd, sn_shards_is_packed(name), err);
        close(fd);
    }
    return rc;
}

enum sn_err sn_dataset_shards(const char *dir,
                              const struct sn_dataset_options *options,
                              sn_dataset_shard each, void *arg,
                              struct sn_error *err)
{
    struct sn_names train = {0}, test = {0};
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return sn_error_errno(err, errno, "%s: opening", dir);
    enum sn_err rc = sn_shards_find(folder, options, &train, &test, err);
    if (rc == SN_OK)
        rc = visit(folder, &train, each, arg, err);
    if (rc == SN_OK)
        rc = visit(folder, &test, each, arg, err);
    sn_names_close(&train);
    sn_names_close(&test);
    close(folder);
    return rc;
}
