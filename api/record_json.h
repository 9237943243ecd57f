/* sn_record_json - stored evaluations as the API shows them.
 *
 * Pure; any thread. Owned references.
 */
#ifndef SN_RECORD_JSON_H
#define SN_RECORD_JSON_H

#include <jansson.h>

#include "storage/storage.h"

/* {"predicted", "measured", "ci", "runtime", "device"}, or null when neither is
 * known. */
json_t *sn_record_latency(const struct sn_arch_latency *latency);

/* An item: seq, arch, stage, split, step, images,
 * accuracy, ci (null when the accuracy is one that the architecture was
 * selected by: it would be biased), predicted, selected, macs, params,
 * peak_memory, latency_ms, time, links. */
json_t *sn_record_evaluation(const struct sn_evaluation_record *row);

/* Measured latency where there is one, else predicted, else NAN. */
double sn_record_latency_ms(const struct sn_evaluation_record *row);

#endif
