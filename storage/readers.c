/* Reader threads: each owns a read-only connection and lends it to one
 * function at a time, inside a read transaction. */
#include "storage/internal.h"

#include <stdlib.h>

static struct sn_read_task *take_task(struct sn_read_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->head == NULL && !p->closing)
        pthread_cond_wait(&p->work, &p->lock);
    struct sn_read_task *task = p->head;
    if (task != NULL) {
        p->head = task->next;
        if (p->head == NULL)
            p->tail = &p->head;
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return task;
}

struct reader_start {
    struct sn_read_pool *pool;
    struct sn_reader *reader;
};

static void *reader_main(void *arg)
{
    struct reader_start start = *(struct reader_start *)arg;
    free(arg);
    struct sn_db *db = &start.reader->db;
    struct sn_read_task *task;
    while ((task = take_task(start.pool)) != NULL) {
        /* should BEGIN fail, the queries fail too, and say why */
        sn_db_run(db, SN_SQL_BEGIN_READ, NULL);
        task->fn(task->arg, start.reader);
        if (sqlite3_get_autocommit(db->handle) == 0)
            sn_db_run(db, SN_SQL_COMMIT, NULL);
        free(task);
    }
    return NULL;
}

enum sn_err sn_readers_start(struct sn_storage *st, struct sn_error *err)
{
    struct sn_read_pool *p = &st->readers;
    p->tail = &p->head;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    for (int i = 0; i < SN_READER_THREADS; i++) {
        struct reader_start *start = malloc(sizeof *start);
        if (start == NULL)
            return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        *start = (struct reader_start){p, &p->reader[i]};
        int rc = pthread_create(&p->thread[i], NULL, reader_main, start);
        if (rc != 0) {
            free(start);
            return sn_error_errno(err, rc, "starting a reader thread");
        }
        p->n_started++;
    }
    return SN_OK;
}

void sn_readers_stop(struct sn_storage *st)
{
    struct sn_read_pool *p = &st->readers;
    if (p->n_started == 0)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->thread[i], NULL);
    p->n_started = 0;
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}

enum sn_err sn_storage_read(struct sn_storage *st, sn_read_fn fn, void *arg,
                            struct sn_error *err)
{
    struct sn_read_pool *p = &st->readers;
    struct sn_read_task *task = malloc(sizeof *task);
    if (task == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    *task = (struct sn_read_task){.fn = fn, .arg = arg};
    enum sn_err code = SN_OK;
    pthread_mutex_lock(&p->lock);
    if (p->closing)
        code = sn_error_set(err, SN_ERR_STOPPED, "storage is closing");
    else if (p->queued >= SN_READ_QUEUE_LIMIT)
        code = sn_error_set(err, SN_ERR_BUSY, "too many reads are waiting");
    if (code == SN_OK) {
        *p->tail = task;
        p->tail = &task->next;
        p->queued++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (code != SN_OK)
        free(task);
    return code;
}

struct waited_read {
    sn_read_fn fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
};

static void run_waited(void *arg, struct sn_reader *reader)
{
    struct waited_read *wait = arg;
    wait->fn(wait->arg, reader);
    pthread_mutex_lock(&wait->lock);
    wait->is_done = true;
    pthread_cond_signal(&wait->ended);
    pthread_mutex_unlock(&wait->lock);
}

enum sn_err sn_storage_read_wait(struct sn_storage *st, sn_read_fn fn,
                                 void *arg, struct sn_error *err)
{
    struct waited_read wait = {.fn = fn, .arg = arg};
    pthread_mutex_init(&wait.lock, NULL);
    pthread_cond_init(&wait.ended, NULL);
    enum sn_err code = sn_storage_read(st, run_waited, &wait, err);
    pthread_mutex_lock(&wait.lock);
    while (code == SN_OK && !wait.is_done)
        pthread_cond_wait(&wait.ended, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.ended);
    pthread_mutex_destroy(&wait.lock);
    return code;
}

struct job_load {
    sn_job_row_fn fn;
    void *arg;
    enum sn_err code;
    struct sn_error *err;
};

static void load_jobs(void *arg, struct sn_reader *reader)
{
    struct job_load *load = arg;
    struct sn_job_query query = {.sort = SN_JOB_SORT_OLDEST};
    load->code = sn_reader_jobs(reader, &query, load->fn, load->arg, load->err);
}

enum sn_err sn_storage_load_jobs(struct sn_storage *st, sn_job_row_fn fn,
                                 void *arg, struct sn_error *err)
{
    struct job_load load = {.fn = fn, .arg = arg, .err = err};
    enum sn_err code = sn_storage_read_wait(st, load_jobs, &load, err);
    return code != SN_OK ? code : load.code;
}
