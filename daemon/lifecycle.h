/* sn_lifecycle - what happens to jobs: submitted, started, paused, resumed,
 * cancelled, ended, deleted; and what a full disk does to them.
 *
 *   submit -> storage -> table -> scheduler -> runner -> on_finished -> table
 *                                     ^ a slot is free
 *
 * A change of state is made in the table at once and then written; requests
 * are answered after the commit. When the disk has no room the changes wait,
 * in order, and are written when there is room again. Loop thread only.
 */
#ifndef SN_DAEMON_LIFECYCLE_H
#define SN_DAEMON_LIFECYCLE_H

#include "daemon/datasets.h"
#include "daemon/spaces.h"
#include "daemon/jobs.h"
#include "daemon/mailbox.h"
#include "daemon/runner.h"

struct sn_lifecycle;

struct sn_lifecycle_config {
    struct sn_storage *storage; /* all borrowed */
    struct sn_datasets *datasets;
    struct sn_spaces *spaces;
    struct sn_supernets *supernets;
    struct sn_mailbox *box;
    int running_jobs, max_queued_jobs, nice;
    double job_memory; /* bytes: a job that will need more is not submitted by
                          the daemon itself */
    /* A committed event (or, with seq 0, one that is not stored). */
    void (*publish)(void *arg, const struct sn_event *event);
    void *arg;
};

/* Loads all jobs; those that an end of the daemon interrupted are put in front
 * of the queue. Nothing starts before sn_lifecycle_schedule. Blocks. */
enum sn_err sn_lifecycle_new(const struct sn_lifecycle_config *config,
                             struct sn_lifecycle **ret, struct sn_error *err);
/* No runner may be left. NULL is fine. */
void sn_lifecycle_free(struct sn_lifecycle *life);

struct sn_jobs *sn_lifecycle_jobs(struct sn_lifecycle *life);

/* For sn_host. */
void sn_lifecycle_submit(struct sn_lifecycle *life,
                         const struct sn_submission *submission,
                         sn_job_done done, void *arg);
void sn_lifecycle_control(struct sn_lifecycle *life, const char *id,
                          enum sn_job_action action, sn_job_done done,
                          void *arg);

/* Submits what comes after jobs that have succeeded and waits for it, see
 * daemon/follow.h: at the start, and called every second or so. */
void sn_lifecycle_follow(struct sn_lifecycle *life);

/* Starts what may start. */
void sn_lifecycle_schedule(struct sn_lifecycle *life);

/* Room on the disk, as last seen: false pauses running jobs, true lets them go
 * on and writes what waits. */
void sn_lifecycle_set_room(struct sn_lifecycle *life, bool room);
bool sn_lifecycle_has_room(const struct sn_lifecycle *life);

/* Nothing starts any more; running jobs are asked to stop (`now`: without a
 * checkpoint). How many are still running: */
void sn_lifecycle_stop(struct sn_lifecycle *life, bool now);
size_t sn_lifecycle_running(const struct sn_lifecycle *life);

#endif
