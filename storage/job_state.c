#include "storage/job_state.h"

#include <string.h>

#define BIT(state) (1u << (state))

/* For each state its name and the set of states that may follow. */
static const struct {
    const char *name;
    unsigned next;
} states[SN_JOB_STATE_COUNT] = {
    [SN_JOB_QUEUED] = {"queued", BIT(SN_JOB_RUNNING) | BIT(SN_JOB_PAUSED) |
                                     BIT(SN_JOB_CANCELLED)},
    [SN_JOB_RUNNING] = {"running", BIT(SN_JOB_STOPPING) |
                                       BIT(SN_JOB_SUCCEEDED) |
                                       BIT(SN_JOB_FAILED)},
    [SN_JOB_STOPPING] = {"stopping", BIT(SN_JOB_QUEUED) | BIT(SN_JOB_PAUSED) |
                                         BIT(SN_JOB_CANCELLED) |
                                         BIT(SN_JOB_FAILED)},
    [SN_JOB_PAUSED] = {"paused", BIT(SN_JOB_QUEUED) | BIT(SN_JOB_CANCELLED) |
                                     BIT(SN_JOB_FAILED)},
    [SN_JOB_SUCCEEDED] = {"succeeded", 0},
    [SN_JOB_FAILED] = {"failed", 0},
    [SN_JOB_CANCELLED] = {"cancelled", 0},
};

bool sn_job_state_can(enum sn_job_state from, enum sn_job_state to)
{
    if ((unsigned)from >= SN_JOB_STATE_COUNT ||
        (unsigned)to >= SN_JOB_STATE_COUNT)
        return false;
    return (states[from].next & BIT(to)) != 0;
}

bool sn_job_state_is_end(enum sn_job_state state)
{
    return (unsigned)state < SN_JOB_STATE_COUNT && states[state].next == 0;
}

const char *sn_job_state_name(enum sn_job_state state)
{
    return (unsigned)state < SN_JOB_STATE_COUNT ? states[state].name
                                                : "unknown";
}

enum sn_err sn_job_state_parse(const char *name, enum sn_job_state *ret,
                               struct sn_error *err)
{
    for (unsigned i = 0; i < SN_JOB_STATE_COUNT; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *ret = (enum sn_job_state)i;
            return SN_OK;
        }
    }
    return sn_error_set(err, SN_ERR_INVALID, "there is no job state \"%.40s\"",
                        name);
}
