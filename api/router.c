/* Matching of paths. */
#include "api/router.h"

#include <stdio.h>
#include <string.h>

static const char base[] = "/api/v1";
static const char *const method_names[SN_METHODS] = {"GET", "POST", "DELETE"};

/* 1: matches; 0: not; -1: a segment cannot be decoded. */
static int match(const char *pattern, const char *path,
                 char parameter[SN_PATH_PARAMETERS][SN_SEGMENT_MAX])
{
    unsigned n = 0;
    while (*pattern == '/' && *path == '/') {
        size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");
        if (pattern[0] == '{' && have > 0) {
            if (!sn_query_decode(path, have, false, parameter[n++],
                                 SN_SEGMENT_MAX))
                return -1;
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return 0;
        }
        pattern += want;
        path += have;
    }
    return *pattern == '\0' && *path == '\0';
}

static const char *below_base(const char *path)
{
    size_t n = sizeof base - 1;
    return strncmp(path, base, n) == 0 && (path[n] == '/' || path[n] == '\0')
               ? path + n
               : NULL;
}

static int match_route(const struct sn_route *r, const char *path,
                       struct sn_match *ret)
{
    const char *below = below_base(path);
    if (r->place == SN_PLACE_FILES)
        return below == NULL;
    if (below != NULL)
        return match(r->pattern, below, ret->parameter);
    return r->place == SN_PLACE_BOTH ? match(r->pattern, path, ret->parameter)
                                     : 0;
}

static void allow(struct sn_match *ret, enum sn_method method)
{
    size_t n = strlen(ret->allow);
    snprintf(ret->allow + n, sizeof ret->allow - n, "%s%s", n > 0 ? ", " : "",
             method == SN_GET ? "GET, HEAD" : method_names[method]);
}

unsigned sn_router_find(const struct sn_route *table, size_t n,
                        const char *method, const char *path,
                        struct sn_match *ret)
{
    bool broken = false;
    memset(ret, 0, sizeof *ret);
    ret->head = strcmp(method, "HEAD") == 0;
    if (ret->head)
        method = "GET";
    for (size_t i = 0; i < n; i++) {
        int found = match_route(&table[i], path, ret);
        broken |= found < 0;
        if (found <= 0)
            continue;
        /* Files take what nothing else does, whatever the method. */
        if (table[i].place == SN_PLACE_FILES && ret->allow[0] != '\0')
            break;
        if (strcmp(method, method_names[table[i].method]) == 0) {
            ret->route = &table[i];
            return 200;
        }
        allow(ret, table[i].method);
    }
    if (ret->allow[0] != '\0')
        return 405;
    return broken ? 400 : 404;
}
