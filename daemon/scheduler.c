#include "daemon/scheduler.h"

static bool goes_before(const struct sn_job_entry *a,
                        const struct sn_job_entry *b)
{
    if (a->front != b->front)
        return a->front;
    if (a->view.priority != b->view.priority)
        return a->view.priority > b->view.priority;
    return a->view.seq < b->view.seq;
}

struct sn_job_entry *sn_scheduler_next(const struct sn_jobs *jobs, int slots)
{
    struct sn_job_entry *const *list, *best = NULL;
    size_t n = sn_jobs_list(jobs, &list);
    for (size_t i = 0; i < n; i++) {
        /* A paused or ended job may still have a thread that is winding up. */
        if (list[i]->runner != NULL && --slots <= 0)
            return NULL;
        if (list[i]->view.state == SN_JOB_QUEUED && list[i]->runner == NULL &&
            (best == NULL || goes_before(list[i], best)))
            best = list[i];
    }
    return best;
}
