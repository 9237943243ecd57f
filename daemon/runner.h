/* sn_runner - one running job: its conductor thread, inside sn_engine_run(),
 * and what becomes of the engine's reports.
 *
 *   conductor --report--> storage (row + event, one commit)
 *                           writer: done --mailbox--> loop: on_event
 *   conductor --progress--> latest only --mailbox--> loop: on_progress
 *   conductor --end, all its writes done--> mailbox --> loop: on_finished
 *
 * The loop starts, stops and frees runners; it never waits for one before
 * on_finished.
 */
#ifndef SN_DAEMON_RUNNER_H
#define SN_DAEMON_RUNNER_H

#include "daemon/datasets.h"
#include "daemon/mailbox.h"
#include "daemon/supernets.h"
#include "engine/engine.h"
#include "storage/storage.h"

struct sn_runner;

/* All on the loop thread; `id` and arguments are borrowed for the call. */
struct sn_runner_owner {
    void *arg;
    void (*on_event)(void *arg, const struct sn_event *event);
    void (*on_progress)(void *arg, const char *id,
                        const struct sn_progress *progress);
    void (*on_evaluated)(void *arg, const char *id);
    void (*on_checkpoint)(void *arg, const char *id, uint64_t step,
                          const char *xxh3);
    /* The thread has ended. error->code: SN_OK, SN_ERR_STOPPED,
     * SN_ERR_DISKFULL or what made the job fail. Then sn_runner_free. */
    void (*on_finished)(void *arg, const char *id,
                        const struct sn_error *error);
};

struct sn_runner_config {
    const char *id;             /* copied, as is the spec */
    const struct sn_spec *spec; /* resolved */
    struct sn_storage *storage; /* borrowed, as are the next four */
    struct sn_datasets *datasets;
    struct sn_supernets *supernets;
    struct sn_mailbox *box;
    const struct sn_runner_owner *owner;
    int nice;
};

/* Starts the thread; it resumes from the newest whole checkpoint. */
enum sn_err sn_runner_start(const struct sn_runner_config *config,
                            struct sn_runner **ret, struct sn_error *err);

/* Asks it to stop: at a checkpoint, or (`now`) at once. */
void sn_runner_stop(struct sn_runner *runner, bool now);

/* After on_finished. Joins the thread, which is at its end. NULL is fine. */
void sn_runner_free(struct sn_runner *runner);

#endif
