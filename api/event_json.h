/* sn_event_json - the engine's reports as JSON text: payloads of events and
 * the JSON that goes into storage beside them.
 *
 * Pure functions for any thread (the conductor's). Each returns owned text
 * (free()), NULL only when out of memory. Numbers that are not known (NAN)
 * become null. The event types that go with them are named here; "stored" says
 * whether the daemon appends them to the log (then they have an id and are
 * replayed) or only publishes them.
 *
 *   type        payload                                stored
 *   job         sn_json_job_state                      yes
 *   phase       sn_json_phase                          yes
 *   progress    sn_json_progress                       no
 *   series      sn_json_series                         no (rows are)
 *   evaluation  sn_json_evaluation                     yes
 *   predictor   sn_json_predictor                      yes
 *   subspace    sn_json_subspace                       yes
 *   front       sn_json_front                          yes
 *   answer      sn_json_answer                         yes (GET /jobs/{id}
 *                                                      reads them back)
 *   checkpoint  sn_json_checkpoint                     yes
 *   log         sn_json_log                            yes (GET .../log
 *                                                      reads them back)
 */
#ifndef SN_EVENT_JSON_H
#define SN_EVENT_JSON_H

#include "api/host.h"
#include "engine/engine.h"

/* {"state", "reason", "paused_by"} of a job. */
char *sn_json_job_state(enum sn_job_state state, const char *reason,
                        const char *paused_by);
/* {"kind", "name", "index", "of"}; also sn_job_snapshot.phase */
char *sn_json_phase(const struct sn_phase_report *phase);
/* {"fraction", "phase_fraction", "eta_s", "images_per_s", "epoch", "step",
 *  "phase": {...}}; also sn_job_snapshot.progress */
char *sn_json_progress(const struct sn_progress *progress);
/* {"warmup": {"wall_s", "cpu_s", "images", "macs"}, ..., "total": {...}};
 * phases that cost nothing are left out; sn_job_snapshot.cost */
char *sn_json_cost(const struct sn_phase_cost cost[SN_PHASE_KINDS]);
/* {"name", "step", "epoch", "value"} */
char *sn_json_series(const char *name, uint64_t step, double epoch,
                     double value);
/* {"arch", "stage", "split", "step", "images", "accuracy", "predicted",
 *  "ci": [lo, hi]|null, "selected", "macs", "params", "peak_memory",
 * "latency_ms": {...}|null} */
char *sn_json_evaluation(const struct sn_evaluation *evaluation);
/* Without its points (they are sn_storage_put_predictor's scores); also
 * sn_predictor.quality. */
char *sn_json_predictor(const struct sn_predictor_report *report);
/* Without its members (sn_storage_put_subspace's); also sn_subspace.rule. */
char *sn_json_outcome(const struct sn_outcome_report *report);
char *sn_json_subspace(const struct sn_subspace_report *report);
/* {"cost", "device", "as_of_step", "items": [evaluations]} */
char *sn_json_front(const struct sn_front_report *front);
/* The items alone, a JSON list: sn_front.items of storage. */
char *sn_json_front_items(const struct sn_front_report *front);
/* {"index", "of", "cost": "latency_ms"|"macs", that cost's name: the bound,
 *  "found", "best": {...}, "test_accuracy": {"value", "ci"}|null} */
char *sn_json_answer(uint32_t i, uint32_t of, const struct sn_answer *answer);
/* {"step", "phase", "xxh3", "bytes"} */
char *sn_json_checkpoint(uint64_t step, const char *phase, const char *xxh3,
                         uint64_t bytes);
/* {"level": "info", "text"} */
char *sn_json_log(enum sn_log_level level, const char *text);

/* The other way, for a daemon that starts again: progress with its phase, and
 * cost, as they were stored. Unknown members are ignored, missing ones are
 * NAN or 0. SN_ERR_CORRUPT when it is no JSON object. */
enum sn_err sn_json_read_progress(const char *progress, const char *cost,
                                  struct sn_progress *ret,
                                  struct sn_error *err);

#endif
