/* sn_jobs - the table of all jobs, as the loop knows them.
 *
 * The loop's truth about jobs: what storage holds is written after it, in the
 * same order. Entries own their texts; a view's pointers stay valid until the
 * text is set anew or the entry is removed. Loop thread only.
 */
#ifndef SN_DAEMON_JOBS_H
#define SN_DAEMON_JOBS_H

#include "api/host.h"

struct sn_runner;

struct sn_job_entry {
    struct sn_job_view view;
    struct sn_spec spec;
    /* While stopping: where it goes from there, and who paused it. */
    enum sn_job_state stop_for;
    enum sn_paused_by paused_by;
    bool front;                       /* was running when the daemon ended */
    bool deleting;                    /* the row is about to go */
    struct sn_runner *runner;         /* while running or stopping */
    bool stats_wanted, stats_reading; /* counts are read again from storage */
    bool follow_due; /* what comes after it is to be submitted, see follow.h */
    struct sn_job_entry *next_in_bucket;
};

struct sn_jobs;

/* Returns owned; NULL when out of memory. */
struct sn_jobs *sn_jobs_new(void);
void sn_jobs_free(struct sn_jobs *jobs); /* NULL is fine */

/* Adds a job from its row (texts are copied) with its spec; `seq` must be over
 * all that are there. The entry is the table's. */
enum sn_err sn_jobs_add(struct sn_jobs *jobs, const struct sn_job *row,
                        const struct sn_spec *spec, struct sn_job_entry **ret,
                        struct sn_error *err);
struct sn_job_entry *sn_jobs_find(const struct sn_jobs *jobs, const char *id);
void sn_jobs_remove(struct sn_jobs *jobs, struct sn_job_entry *entry);

/* By seq. The arrays are the table's, valid until it changes. */
size_t sn_jobs_list(const struct sn_jobs *jobs,
                    struct sn_job_entry *const **ret);
size_t sn_jobs_views(const struct sn_jobs *jobs,
                     const struct sn_job_view *const **ret);
size_t sn_jobs_count(const struct sn_jobs *jobs, enum sn_job_state state);

/* Sets state, reason (NULL: none) and who paused it; stamps start and end
 * times; the revision grows. The transition must be allowed. */
void sn_jobs_set_state(struct sn_job_entry *entry, enum sn_job_state state,
                       enum sn_paused_by by, const char *reason, double now);
/* Anything else of the view has changed. */
void sn_jobs_touch(struct sn_job_entry *entry);

#endif
