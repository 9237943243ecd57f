/* The one thread that writes. It takes all that waits (up to a limit) and puts
 * it into one transaction, an item in a savepoint of its own:
 *
 *   BEGIN  [SAVEPOINT a RELEASE]  [SAVEPOINT b ROLLBACK TO]  [..]  COMMIT
 *                                   b failed: a and the rest stay
 *
 * One commit is one fsync, so the more there is to write the less each costs.
 * When the group as a whole cannot be kept (a full disk, a failed commit), it
 * is rolled back and each item is tried alone, so that each gets an answer of
 * its own. A failing disk ends all writing: after a failed fsync nobody knows
 * what is on the disk, and only a new start, which reads the WAL, can tell.
 */
#include "storage/internal.h"

#include <stdlib.h>
#include <time.h>

enum {
    GROUP_MAX = 1000,        /* items of one transaction */
    CHECKPOINT_PAGES = 1000, /* of the WAL, then they go to the database */
    DEFAULT_LIMIT = 8192
};

int64_t sn_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sn_time_or_now(int64_t ms)
{
    return ms != 0 ? ms : sn_now_ms();
}

static bool is_fatal(enum sn_err code)
{
    return code == SN_ERR_IO || code == SN_ERR_CORRUPT;
}

/* Whether an error of one item means that the transaction cannot be trusted. */
static bool breaks_group(struct sn_db *db, enum sn_err code)
{
    return is_fatal(code) || code == SN_ERR_DISKFULL ||
           sqlite3_get_autocommit(db->handle) != 0;
}

/* One item inside the open transaction. Its own failure is in its result and
 * SN_OK; any other return means that the group is broken. */
static enum sn_err apply_item(struct sn_db *db, struct sn_item *item,
                              struct sn_error *err)
{
    struct sn_error *mine = &item->result.error;
    item->result = (struct sn_written){0};
    enum sn_err code = sn_db_run(db, SN_SQL_SAVEPOINT, err);
    if (code != SN_OK)
        return code;
    code = item->apply != NULL ? item->apply(db, item) : SN_OK;
    if (code == SN_OK && !item->result.replayed)
        code = sn_events_append(db, item);
    if (code == SN_OK)
        return sn_db_run(db, SN_SQL_RELEASE, err);
    item->result.seq = 0;
    item->result.first_event = item->result.last_event = 0;
    if (breaks_group(db, code)) {
        if (err != NULL)
            *err = *mine;
        return code;
    }
    code = sn_db_run(db, SN_SQL_ROLLBACK_TO, err);
    return code == SN_OK ? sn_db_run(db, SN_SQL_RELEASE, err) : code;
}

/* Items that write nothing (a flush) need no transaction. */
static bool writes(const struct sn_item *item)
{
    return item->apply != NULL || item->n_events > 0;
}

/* All items up to `end` in one transaction: SN_OK, or nothing of it happened
 * and the results mean nothing. */
static enum sn_err try_group(struct sn_storage *st, struct sn_item *first,
                             struct sn_item *end, struct sn_error *err)
{
    struct sn_db *db = &st->writer.db;
    bool open = false;
    enum sn_err code = SN_OK;
    int before = sqlite3_total_changes(db->handle);
    for (struct sn_item *i = first; i != end && code == SN_OK; i = i->next) {
        if (!writes(i))
            continue;
        if (!open)
            code = sn_db_run(db, SN_SQL_BEGIN_WRITE, err);
        open = open || code == SN_OK;
        if (code == SN_OK)
            code = apply_item(db, i, err);
    }
    if (open && code == SN_OK)
        code = sn_db_run(db, SN_SQL_COMMIT, err);
    if (code == SN_OK && sqlite3_total_changes(db->handle) != before)
        atomic_store(&st->disk_full, false);
    if (open && sqlite3_get_autocommit(db->handle) == 0)
        sn_db_run(db, SN_SQL_ROLLBACK, NULL);
    if (code == SN_ERR_DISKFULL)
        atomic_store(&st->disk_full, true);
    return code;
}

static void fail_items(struct sn_item *first, struct sn_item *end,
                       const struct sn_error *error)
{
    for (struct sn_item *i = first; i != end; i = i->next)
        i->result = (struct sn_written){.error = *error};
}

static void fail_for_good(struct sn_storage *st, const struct sn_error *error)
{
    if (atomic_exchange(&st->failed, true))
        return;
    if (st->on_fatal != NULL)
        st->on_fatal(st->arg, error);
}

/* Gives every item of the list its result. */
static void write_group(struct sn_storage *st, struct sn_item *list)
{
    struct sn_error error = {0};
    if (atomic_load(&st->failed)) {
        sn_error_set(&error, SN_ERR_IO, "storage has failed");
        fail_items(list, NULL, &error);
        return;
    }
    enum sn_err code = try_group(st, list, NULL, &error);
    if (code == SN_OK)
        return;
    struct sn_item *i = list;
    while (i != NULL && !is_fatal(code)) {
        code = try_group(st, i, i->next, &error);
        if (code != SN_OK)
            fail_items(i, i->next, &error);
        i = i->next;
    }
    if (is_fatal(code)) {
        fail_items(i, NULL, &error);
        fail_for_good(st, &error);
    }
}

/* Moves the WAL into the database when it has grown. SQLite would do so by
 * itself inside a commit, but would not tell of its errors. */
static void checkpoint_wal(struct sn_storage *st)
{
    struct sn_writer *w = &st->writer;
    if (w->wal_pages < CHECKPOINT_PAGES || atomic_load(&st->failed))
        return;
    struct sn_error error = {0};
    w->wal_pages = 0;
    int rc = sqlite3_wal_checkpoint_v2(w->db.handle, NULL,
                                       SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
        return;
    enum sn_err code =
        sn_db_error(&w->db, rc, "moving the log into the database", &error);
    if (code == SN_ERR_DISKFULL)
        atomic_store(&st->disk_full, true);
    else if (is_fatal(code))
        fail_for_good(st, &error);
}

static int note_wal_pages(void *arg, sqlite3 *handle, const char *name,
                          int pages)
{
    struct sn_writer *w = arg;
    w->wal_pages = pages;
    return SQLITE_OK;
}

/* Waits for work; NULL when closing and all is done. */
static struct sn_item *take_group(struct sn_writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->head == NULL && !w->closing)
        pthread_cond_wait(&w->work, &w->lock);
    struct sn_item *list = w->head, **end = &w->head;
    size_t n = 0;
    while (*end != NULL && n < GROUP_MAX) {
        end = &(*end)->next;
        n++;
    }
    w->head = *end;
    *end = NULL;
    if (w->head == NULL)
        w->tail = &w->head;
    w->queued -= n;
    if (w->queued <= w->limit / 2)
        pthread_cond_broadcast(&w->room);
    pthread_mutex_unlock(&w->lock);
    return n > 0 ? list : NULL;
}

static void *writer_main(void *arg)
{
    struct sn_storage *st = arg;
    struct sn_item *list;
    while ((list = take_group(&st->writer)) != NULL) {
        write_group(st, list);
        while (list != NULL) {
            struct sn_item *item = list;
            list = item->next;
            if (item->after != NULL && item->result.error.code == SN_OK)
                item->after(st, item);
            if (item->done != NULL)
                item->done(item->arg, &item->result);
            sn_item_free(item);
        }
        checkpoint_wal(st);
    }
    return NULL;
}

enum sn_err sn_writer_start(struct sn_storage *st, size_t limit,
                            struct sn_error *err)
{
    struct sn_writer *w = &st->writer;
    w->limit = limit != 0 ? limit : DEFAULT_LIMIT;
    w->tail = &w->head;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->room, NULL);
    sqlite3_wal_hook(w->db.handle, note_wal_pages, w);
    int rc = pthread_create(&w->thread, NULL, writer_main, st);
    if (rc != 0)
        return sn_error_errno(err, rc, "starting the writer thread");
    w->started = true;
    return SN_OK;
}

void sn_writer_stop(struct sn_storage *st)
{
    struct sn_writer *w = &st->writer;
    if (!w->started)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->work);
    pthread_cond_broadcast(&w->room);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->started = false;
    pthread_cond_destroy(&w->room);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
}

enum sn_err sn_writer_submit(struct sn_storage *st, struct sn_item *item,
                             struct sn_error *err)
{
    struct sn_writer *w = &st->writer;
    enum sn_err code = SN_OK;
    if (item == NULL || item->out_of_memory) {
        sn_item_free(item);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    item->next = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->closing)
        code = sn_error_set(err, SN_ERR_STOPPED, "storage is closing");
    else if (atomic_load(&st->failed))
        code = sn_error_set(err, SN_ERR_IO, "storage has failed");
    else if (w->queued >= w->limit)
        code = sn_error_set(err, SN_ERR_BUSY, "too many writes are waiting");
    if (code == SN_OK) {
        *w->tail = item;
        w->tail = &item->next;
        w->queued++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    if (code != SN_OK)
        sn_item_free(item);
    return code;
}

void sn_storage_wait_room(struct sn_storage *st)
{
    struct sn_writer *w = &st->writer;
    pthread_mutex_lock(&w->lock);
    while (w->queued > w->limit / 2 && !w->closing)
        pthread_cond_wait(&w->room, &w->lock);
    pthread_mutex_unlock(&w->lock);
}
