/* The insides of sn_storage, for the files of this folder alone. */
#ifndef SN_STORAGE_INTERNAL_H
#define SN_STORAGE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/db.h"
#include "storage/files.h"
#include "storage/item.h"
#include "storage/storage.h"

enum {
    SN_READER_THREADS = 2,
    SN_READ_QUEUE_LIMIT = 1024,
    SN_KEPT_CHECKPOINTS = 2,
    SN_KEY_LIFETIME_MS = 24 * 3600 * 1000
};

struct sn_reader {
    struct sn_db db;
};

/* A function that waits for a reader. */
struct sn_read_task {
    struct sn_read_task *next;
    sn_read_fn fn;
    void *arg;
};

struct sn_writer {
    struct sn_db db;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of what follows, up to `room` */
    struct sn_item *head, **tail;
    size_t queued, limit;
    bool closing;
    pthread_cond_t work; /* something queued, or closing */
    pthread_cond_t room; /* the queue went to half or below */
    int wal_pages;       /* writer thread only: pages in the WAL */
};

struct sn_read_pool {
    struct sn_reader reader[SN_READER_THREADS];
    pthread_t thread[SN_READER_THREADS];
    int n_started;
    pthread_mutex_t lock; /* of what follows, up to `work` */
    struct sn_read_task *head, **tail;
    size_t queued;
    bool closing;
    pthread_cond_t work;
};

struct sn_storage {
    char dir[SN_PATH_MAX];
    int lock_fd;
    bool was_unclean;
    bool marked_unclean; /* "clean" is 0 in the database because of us */
    void (*on_fatal)(void *arg, const struct sn_error *error);
    void *arg;
    atomic_bool disk_full, failed;
    struct sn_writer writer;
    struct sn_read_pool readers;
};

int64_t sn_now_ms(void);
/* 0 means now */
int64_t sn_time_or_now(int64_t ms);

/* writer.c. The connection is st->writer.db, already open. Submit takes the
 * item whatever it returns; an item whose copies failed is SN_ERR_NOMEM. */
enum sn_err sn_writer_start(struct sn_storage *st, size_t limit,
                            struct sn_error *err);
void sn_writer_stop(struct sn_storage *st); /* drains and joins */
enum sn_err sn_writer_submit(struct sn_storage *st, struct sn_item *item,
                             struct sn_error *err);

/* readers.c. The connections are open already. */
enum sn_err sn_readers_start(struct sn_storage *st, struct sn_error *err);
void sn_readers_stop(struct sn_storage *st);

/* jobs.c: the number of a job; SN_ERR_NOTFOUND. */
enum sn_err sn_job_seq(struct sn_db *db, const char *id, int64_t *ret,
                       struct sn_error *err);
/* jobs.c: looks an idempotency key up: SN_OK with *ret_known and, when it is,
 * the job's id; SN_ERR_CONFLICT when it was used with another request. */
enum sn_err sn_key_look_up(struct sn_db *db, const char *key,
                           const char *request, char ret_id[SN_ID_MAX],
                           bool *ret_known, struct sn_error *err);
/* events.c: appends an item's events, filling its result. */
enum sn_err sn_events_append(struct sn_db *db, struct sn_item *item);
/* checkpoints.c: every job's rows, and dropping one. */
enum sn_err sn_reader_checkpoints_all(struct sn_reader *r,
                                      sn_checkpoint_row_fn fn, void *arg,
                                      struct sn_error *err);
enum sn_err sn_checkpoint_drop(struct sn_storage *st, const char *job,
                               const char *file, const char *xxh3,
                               const struct sn_write *w, struct sn_error *err);

#endif
