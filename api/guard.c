/* Host, Origin, token. */
#include "api/guard.h"

#include <string.h>
#include <strings.h>

/* "name", "name:80", "[::1]:80": whether the name is this machine's. */
static bool is_this_machine(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) != 0)
            continue;
        if (host[n] == '\0')
            return true;
        if (host[n] == ':' && host[n + 1] != '\0' &&
            strspn(host + n + 1, "0123456789") == strlen(host + n + 1))
            return true;
    }
    return false;
}

const char *sn_guard_origin(const char *host, const char *origin,
                            bool loopback_only)
{
    if (loopback_only && (host == NULL || !is_this_machine(host)))
        return "the Host of the request is not this machine (localhost, "
               "127.0.0.1 or [::1])";
    if (origin == NULL)
        return NULL;
    const char *site = NULL;
    if (strncmp(origin, "http://", 7) == 0)
        site = origin + 7;
    else if (strncmp(origin, "https://", 8) == 0)
        site = origin + 8;
    if (site == NULL || host == NULL || strcasecmp(site, host) != 0)
        return "the request comes from a page of another site";
    return NULL;
}

bool sn_guard_token(const char *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (token == NULL)
        return true;
    if (authorization == NULL ||
        strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    size_t want = strlen(token), have = strlen(given);
    volatile unsigned char differs = want != have;
    for (size_t i = 0; i < have; i++)
        differs |= (unsigned char)(given[i] ^ token[i % (want + 1)]);
    return differs == 0;
}
