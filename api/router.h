/* sn_router - which handler a method and path mean: one table.
 *
 *   {GET, "/jobs/{job}/best", sn_get_best, parameters, 0}
 *
 * A pattern is matched segment by segment; {name} takes one segment, which is
 * percent-decoded (so an escaped slash stays within it). Patterns under
 * "/api/v1" are written without it. Pure lookup; any thread.
 */
#ifndef SN_ROUTER_H
#define SN_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "api/query.h"

struct sn_request;

enum { SN_PATH_PARAMETERS = 2, SN_SEGMENT_MAX = 256, SN_ALLOW_MAX = 64 };

enum sn_method { SN_GET, SN_POST, SN_DELETE, SN_METHODS };

enum sn_route_place {
    SN_PLACE_API,  /* under /api/v1 */
    SN_PLACE_BOTH, /* there and at the top */
    SN_PLACE_FILES /* at the top, any path that nothing else takes */
};

struct sn_route {
    enum sn_method method;
    enum sn_route_place place;
    const char *pattern;
    void (*handle)(struct sn_request *rq);
    const struct sn_parameter *parameters; /* of the query, or NULL: none */
    size_t body_limit;                     /* 0: takes no body */
    bool open;                             /* needs no token */
    /* Content types whose body goes to a file under limits.upload (see
     * api/upload.h), ended by NULL; the handler finds it in rq->upload. NULL:
     * none. */
    const char *const *file_types;
};

/* What the path gave. */
struct sn_match {
    const struct sn_route *route;
    bool head; /* asked by HEAD: as GET, without the body */
    char parameter[SN_PATH_PARAMETERS][SN_SEGMENT_MAX];
    char allow[SN_ALLOW_MAX]; /* with 405: methods that there are */
};

/* 200 and ret->route, 400 (a segment cannot be decoded), 404, or 405 with
 * ret->allow. `path` is as it came, before its '?'. */
unsigned sn_router_find(const struct sn_route *table, size_t n,
                        const char *method, const char *path,
                        struct sn_match *ret);

/* The table of this API. */
const struct sn_route *sn_routes(size_t *ret_n);

#endif
