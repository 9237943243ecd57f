/* sn_job_json - a job as the API shows it: as an item of a list and whole.
 *
 * Loop thread (views are the host's). Owned references.
 */
#ifndef SN_JOB_JSON_H
#define SN_JOB_JSON_H

#include <jansson.h>

#include "api/host.h"

json_t *sn_job_item(const struct sn_job_view *job);
/* An item with specs, cost by phase and supernet; without `answers`. */
json_t *sn_job_whole(const struct sn_job_view *job);

#endif
