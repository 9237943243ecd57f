/* sn_guard - who may ask: the Host and Origin of a request, and the bearer
 * token.
 *
 * A page of another site must not reach a server on loopback through a name
 * that it has bound to 127.0.0.1, so there the Host must be this machine's; and
 * an Origin, when one is sent, must be the server's own. Pure; any thread.
 */
#ifndef SN_GUARD_H
#define SN_GUARD_H

#include <stdbool.h>

/* NULL when fine, else a sentence that says why not. `host` and `origin` may
 * be NULL. */
const char *sn_guard_origin(const char *host, const char *origin,
                            bool loopback_only);

/* Whether `authorization` is "Bearer <token>", in time that does not depend on
 * how much of it is right; always, when token is NULL. */
bool sn_guard_token(const char *token, const char *authorization);

#endif
