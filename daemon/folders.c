#include "daemon/folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sn_folders_is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 &&
           (path[n] == '/' || path[n] == '\0' || n == 1);
}

bool sn_folders_resolve(const char *allowed, const char *path,
                        char ret[PATH_MAX])
{
    char list[8192], folder[PATH_MAX], *rest = NULL;
    if (realpath(path, ret) == NULL)
        return false;
    snprintf(list, sizeof list, "%s", allowed);
    for (char *p = strtok_r(list, ":", &rest); p != NULL;
         p = strtok_r(NULL, ":", &rest))
        if (realpath(p, folder) != NULL && sn_folders_is_below(ret, folder))
            return true;
    return false;
}
