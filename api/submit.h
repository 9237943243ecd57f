/* sn_submit - a spec, given as JSON, on its way to being a job. Loop thread. */
#ifndef SN_SUBMIT_H
#define SN_SUBMIT_H

#include "api/request.h"

/* Reads, resolves and weighs the spec and submits it under the request's
 * Idempotency-Key, or with `dry_run` says what it would take; replies, now or
 * after the commit. Borrows the body. `reword` (or NULL) may change a refusal,
 * which names fields of the spec. */
void sn_submit(struct sn_request *rq, json_t *body, bool dry_run,
               void (*reword)(struct sn_problem *problem));

#endif
