/* sn_sse - GET /events: server-sent events, replayed from storage and then
 * live, without loss or repetition.
 *
 *   connect --Last-Event-ID?--> REPLAY: batches from a reader thread, live
 *                                 events only noted as missed
 *                               -> nothing missed while the last batch was
 *                                 read -> LIVE: what is published goes into
 *                                 the stream's backlog
 *
 * Events are committed in the order of their numbers and published after, so
 * skipping numbers up to the last one sent is enough against repetition. A
 * client that lets its backlog grow over the limit is dropped; it comes back
 * with Last-Event-ID. Loop thread.
 */
#ifndef SN_SSE_H
#define SN_SSE_H

#include "api/request.h"

void sn_get_events(struct sn_request *rq);
extern const struct sn_parameter sn_events_parameters[];

/* Heartbeats. */
void sn_sse_tick(struct sn_api *api);
/* Ends all streams. */
void sn_sse_end(struct sn_api *api);

#endif
