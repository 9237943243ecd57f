/* sn_job_state - the life of a job: its states and which may follow which.
 *
 *                 +--------------------------------------+
 *                 v                                      |
 *   (submit) -> queued ----> running ----> stopping -----+
 *                ^  |         |   |          |  |  |
 *         resume |  |         |   |          |  |  +------> cancelled
 *                |  |         |   |          |  +---------> failed
 *                |  v pause   |   |          v
 *               paused <------|---|------- (pause)
 *                | |          |   +-----------------------> failed
 *                | |          +---------------------------> succeeded
 *                | +--------------------------------------> cancelled, failed
 *   queued ------|----------------------------------------> cancelled
 *
 * Succeeded, failed and cancelled are ends: nothing follows. `stopping` means
 * that the engine was asked to stop and has not yet; where the job goes from
 * there is stored beside it (stop_for). Pure functions, any thread.
 */
#ifndef SN_JOB_STATE_H
#define SN_JOB_STATE_H

#include <stdbool.h>

#include "engine/err.h"

enum sn_job_state {
    SN_JOB_QUEUED,
    SN_JOB_RUNNING,
    SN_JOB_STOPPING,
    SN_JOB_PAUSED,
    SN_JOB_SUCCEEDED,
    SN_JOB_FAILED,
    SN_JOB_CANCELLED,
    SN_JOB_STATE_COUNT
};

/* Whether a job in `from` may become `to`. Staying is no transition. */
bool sn_job_state_can(enum sn_job_state from, enum sn_job_state to);

/* Whether nothing can follow (the job may be deleted). */
bool sn_job_state_is_end(enum sn_job_state state);

/* The lower-case word used in the database, the API and logs. */
const char *sn_job_state_name(enum sn_job_state state);

/* The state of a word; SN_ERR_INVALID when there is none. */
enum sn_err sn_job_state_parse(const char *name, enum sn_job_state *ret,
                               struct sn_error *err);

#endif
