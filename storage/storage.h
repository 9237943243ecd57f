/* sn_storage - what the daemon remembers: SQLite with one writer, and files.
 *
 *   any thread --submit--> [bounded queue] --> writer thread --> sparsenas.db
 *                                                |  one commit for all that
 *                done callbacks (writer thread) <-+  waits in the queue
 *   any thread --read----> [bounded queue] --> 2 reader threads (read-only)
 *
 * Submit functions copy their arguments and return at once. When they return
 * SN_OK, `done` (which may be NULL) is called exactly once, on the writer
 * thread, after the commit that holds the write, or after it has failed. They
 * fail, and do not call `done`, with SN_ERR_BUSY when the queue is full,
 * SN_ERR_INVALID for values that can never be stored, SN_ERR_NOMEM,
 * SN_ERR_STOPPED when storage is closing and SN_ERR_IO after a fatal error.
 * Writes happen in the order of submission; one that fails changes nothing
 * and hinders no other. Callbacks must be quick and must not wait for this
 * storage; they may submit.
 *
 * In the state folder: sparsenas.db (with -wal and -shm), lock, jobs/<id>/.
 */
#ifndef SN_STORAGE_H
#define SN_STORAGE_H

#include "engine/err.h"
#include "storage/reader.h"
#include "storage/records.h"

struct sn_storage;

struct sn_storage_config {
    const char *state_dir; /* made with mode 0700 when it is not there */
    size_t queue_limit;    /* writes that may wait; 0 = 8192 */
    /* The disk failed a write or an fsync, or the database is damaged: no
     * write is possible any more and nothing unacknowledged is safe. Called
     * once, on the writer thread; the process should end and start anew. */
    void (*on_fatal)(void *arg, const struct sn_error *error);
    void *arg;
};

/* Takes the folder's lock, opens and migrates the database, checks it after an
 * unclean stop, starts the threads. SN_ERR_BUSY: another process has the
 * folder; SN_ERR_UNSUPPORTED: a newer program made the database;
 * SN_ERR_CORRUPT: it is damaged (nothing is changed); SN_ERR_IO. */
enum sn_err sn_storage_open(const struct sn_storage_config *config,
                            struct sn_storage **ret, struct sn_error *err);

/* Writes all that is queued, runs the reads that are queued, marks the stop as
 * clean, joins the threads, frees. NULL is fine. */
void sn_storage_close(struct sn_storage *st);

/* Absolute path of the state folder; lives as long as `st`. */
const char *sn_storage_dir(const struct sn_storage *st);
/* Whether the last process that used the folder did not close it. */
bool sn_storage_was_unclean(const struct sn_storage *st);
/* Health, from any thread: the last write failed for want of room (a write
 * that succeeds clears it: try sn_storage_probe), or storage failed for good.
 */
bool sn_storage_disk_full(const struct sn_storage *st);
bool sn_storage_failed(const struct sn_storage *st);

/* ---- writing ---- */

struct sn_written {
    struct sn_error error; /* error.code is SN_OK when it is committed */
    int64_t seq;           /* of the job, or the front's version */
    int64_t first_event, last_event; /* numbers given to the events; 0: none */
    bool replayed;      /* the idempotency key is known: nothing was written */
    char id[SN_ID_MAX]; /* sn_storage_insert_job: the job, also if replayed */
};
typedef void (*sn_written_fn)(void *arg, const struct sn_written *result);

/* What goes with a write: events appended in the same transaction (their seq
 * is ignored), and who is told. NULL wherever it is taken = nothing. */
struct sn_write {
    const struct sn_event *events;
    size_t n_events;
    sn_written_fn done;
    void *arg;
};

/* A new job, whose state is queued (or paused). SN_ERR_CONFLICT when its id is
 * taken. `key` is an idempotency key or NULL; `request` tells requests with
 * the same key apart (a hash of the body): same key and request within 24
 * hours answer the first job (replayed), same key and another request
 * SN_ERR_CONFLICT. */
enum sn_err sn_storage_insert_job(struct sn_storage *st,
                                  const struct sn_job *job, const char *key,
                                  const char *request, const struct sn_write *w,
                                  struct sn_error *err);
enum sn_err sn_storage_change_job(struct sn_storage *st,
                                  const struct sn_job_change *change,
                                  const struct sn_write *w,
                                  struct sn_error *err);
enum sn_err sn_storage_snapshot_job(struct sn_storage *st,
                                    const struct sn_job_snapshot *snapshot,
                                    const struct sn_write *w,
                                    struct sn_error *err);
/* Deletes an ended job with all its rows and earlier events, and its folder;
 * SN_ERR_CONFLICT when it has not ended. */
enum sn_err sn_storage_delete_job(struct sn_storage *st, const char *id,
                                  const struct sn_write *w,
                                  struct sn_error *err);

/* Appends w->events alone. */
enum sn_err sn_storage_append_events(struct sn_storage *st,
                                     const struct sn_write *w,
                                     struct sn_error *err);
/* Forgets events up to and with this one. */
enum sn_err sn_storage_trim_events(struct sn_storage *st, int64_t up_to_seq,
                                   const struct sn_write *w,
                                   struct sn_error *err);

/* Arrays: all or nothing. SN_ERR_NOTFOUND when a job does not exist. */
enum sn_err sn_storage_put_points(struct sn_storage *st,
                                  const struct sn_point *points, size_t n,
                                  const struct sn_write *w,
                                  struct sn_error *err);
enum sn_err sn_storage_put_evaluations(struct sn_storage *st,
                                       const struct sn_evaluation_record *rows,
                                       size_t n, const struct sn_write *w,
                                       struct sn_error *err);
enum sn_err sn_storage_put_predictor(struct sn_storage *st,
                                     const struct sn_predictor *predictor,
                                     const struct sn_score *scores, size_t n,
                                     const struct sn_write *w,
                                     struct sn_error *err);
enum sn_err sn_storage_put_outcome(struct sn_storage *st,
                                   const struct sn_outcome *outcome,
                                   const struct sn_write *w,
                                   struct sn_error *err);
enum sn_err sn_storage_put_subspace(struct sn_storage *st,
                                    const struct sn_subspace *subspace,
                                    const struct sn_member *members, size_t n,
                                    const struct sn_write *w,
                                    struct sn_error *err);
/* A front equal to the newest (same step and items) makes no new version. */
enum sn_err sn_storage_put_front(struct sn_storage *st,
                                 const struct sn_front *front,
                                 const struct sn_write *w,
                                 struct sn_error *err);
enum sn_err sn_storage_put_latencies(struct sn_storage *st,
                                     const struct sn_latency_record *rows,
                                     size_t n, const struct sn_write *w,
                                     struct sn_error *err);
/* To be called once the file is in place (storage/files.h). The two newest
 * rows stay; after the commit the files of older ones are removed. */
enum sn_err sn_storage_put_checkpoint(struct sn_storage *st,
                                      const struct sn_checkpoint *row,
                                      const struct sn_write *w,
                                      struct sn_error *err);
/* Adds or replaces a resource; deletes one (SN_ERR_NOTFOUND). */
enum sn_err sn_storage_put_resource(struct sn_storage *st,
                                    const struct sn_resource *resource,
                                    const struct sn_write *w,
                                    struct sn_error *err);
enum sn_err sn_storage_delete_resource(struct sn_storage *st,
                                       enum sn_resource_kind kind,
                                       const char *name,
                                       const struct sn_write *w,
                                       struct sn_error *err);

/* Writes a little, to see whether there is room again. */
enum sn_err sn_storage_probe(struct sn_storage *st, const struct sn_write *w,
                             struct sn_error *err);
/* Done when all that was submitted before it is committed or has failed. */
enum sn_err sn_storage_flush(struct sn_storage *st, const struct sn_write *w,
                             struct sn_error *err);
/* Blocks until the queue is at most half full. For threads that may wait (an
 * engine's), never for the loop. */
void sn_storage_wait_room(struct sn_storage *st);

/* ---- reading ---- */

/* Runs fn(arg, reader) on a reader thread; exactly once when SN_OK was
 * returned. SN_ERR_BUSY: too many reads wait; SN_ERR_STOPPED: closing. */
typedef void (*sn_read_fn)(void *arg, struct sn_reader *reader);
enum sn_err sn_storage_read(struct sn_storage *st, sn_read_fn fn, void *arg,
                            struct sn_error *err);
/* The same, and waits for it: for start-up and tests, never for the loop. */
enum sn_err sn_storage_read_wait(struct sn_storage *st, sn_read_fn fn,
                                 void *arg, struct sn_error *err);

/* At start-up: every job, oldest first, in the caller's thread's time. */
enum sn_err sn_storage_load_jobs(struct sn_storage *st, sn_job_row_fn fn,
                                 void *arg, struct sn_error *err);

/* At start-up, before jobs run: looks at every checkpoint row's file and drops
 * rows whose file is missing or differs (a differing file is renamed to
 * *.damaged), removes left-over temporary and unknown checkpoint files.
 * `note` (or NULL) is told each in a sentence. Blocks. */
enum sn_err sn_storage_adopt(struct sn_storage *st,
                             void (*note)(void *arg, const char *sentence),
                             void *arg, struct sn_error *err);

#endif
