#include "daemon/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 4096 };

/* The number in a file; INFINITY without one, as for "max". */
static double read_limit(const char *path)
{
    double limit = INFINITY;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return INFINITY;
    if (fscanf(file, "%lf", &limit) != 1 || !(limit > 0))
        limit = INFINITY;
    fclose(file);
    return limit;
}

/* Of a group and all above it: `dir` is cut short from its end up to `root`. */
static double lowest_above(char *dir, size_t root, const char *file)
{
    double lowest = INFINITY;
    for (;;) {
        char path[PATH + 32];
        snprintf(path, sizeof path, "%s/%s", dir, file);
        lowest = fmin(lowest, read_limit(path));
        char *slash = strrchr(dir + root, '/');
        if (slash == NULL)
            return lowest;
        *slash = '\0';
    }
}

/* A line is "number:controllers:/path"; version 2 has no controllers. */
static double of_line(char *line, const char *root)
{
    char dir[PATH];
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL)
        return INFINITY;
    *controllers++ = *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    bool second = controllers[0] == '\0';
    if (!second && strcmp(controllers, "memory") != 0)
        return INFINITY;
    size_t base = (size_t)snprintf(dir, sizeof dir, "%s%s", root,
                                   second ? "" : "/memory");
    if (base + strlen(group) >= sizeof dir)
        return INFINITY;
    strcpy(dir + base, group[1] != '\0' ? group : "");
    return lowest_above(dir, base,
                        second ? "memory.max" : "memory.limit_in_bytes");
}

double sn_memory_of_groups(const char *cgroup_file, const char *root)
{
    char line[PATH];
    double lowest = INFINITY;
    FILE *file = fopen(cgroup_file, "r");
    if (file == NULL)
        return INFINITY;
    while (fgets(line, sizeof line, file) != NULL)
        lowest = fmin(lowest, of_line(line, root));
    fclose(file);
    return lowest;
}

double sn_memory_limit(int32_t setting_mib)
{
    if (setting_mib > 0)
        return setting_mib * 1048576.0;
    double machine =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double groups = sn_memory_of_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    return 0.8 * fmin(machine, groups);
}
