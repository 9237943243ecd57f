/* The workers: threads that take tasks from a counter.
 *
 *   caller              workers
 *   run: publish, wake  -> take task 0, 1, ... until none is left
 *   wait                <- the last one out wakes the caller
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/compute/context.h"

#define NICE 5
/* Looks at the generation before a worker goes to sleep: some tens of
 * microseconds, the gap between two runs of a training step. */
#define SPINS 2000

struct worker {
    struct sn_pool *pool;
    int index;
    pthread_t thread;
    struct sn_cx *cx; /* made and freed by its thread */
    struct sn_error error;
};

struct sn_pool {
    struct sn_compute *compute; /* borrowed */
    int n_workers, n_started;
    struct worker *worker;

    pthread_mutex_t lock;
    pthread_cond_t work, done;
    atomic_uint generation; /* changed under the lock */
    bool stop;
    int ready, busy; /* workers that have started; that are in this run */

    sn_task_fn fn;
    void *arg;
    uint32_t n_tasks;
    atomic_uint_fast64_t next;
};

static void pin(int index, int n_workers)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 ||
        n_workers > CPU_COUNT(&allowed))
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || index-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
        return;
    }
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Waits for a generation after `seen`; false: stop. */
static bool wait_for_work(struct sn_pool *pool, unsigned *seen)
{
    for (int i = 0; i < SPINS && atomic_load(&pool->generation) == *seen; i++)
        relax();
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->generation) == *seen && !pool->stop)
        pthread_cond_wait(&pool->work, &pool->lock);
    *seen = atomic_load(&pool->generation);
    bool go = !pool->stop;
    pthread_mutex_unlock(&pool->lock);
    return go;
}

static void take_tasks(struct worker *w)
{
    struct sn_pool *pool = w->pool;
    for (;;) {
        uint64_t task = atomic_fetch_add(&pool->next, 1);
        if (task >= pool->n_tasks)
            break;
        pool->fn(pool->arg, (uint32_t)task, w->index, w->cx);
    }
    sn_cx_take_error(w->cx, &w->error);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct sn_pool *pool = w->pool;
    pin(w->index, pool->n_workers);
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    w->error.code = SN_OK;
    enum sn_err rc = sn_cx_new(pool->compute, &w->cx, &w->error);

    pthread_mutex_lock(&pool->lock);
    pool->ready++;
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
    if (rc != SN_OK)
        return NULL;

    unsigned seen = 0;
    while (wait_for_work(pool, &seen)) {
        take_tasks(w);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
    sn_cx_free(w->cx);
    return NULL;
}

static enum sn_err start_workers(struct sn_pool *pool, struct sn_error *err)
{
    for (int i = 0; i < pool->n_workers; i++) {
        struct worker *w = &pool->worker[i];
        w->pool = pool;
        w->index = i;
        int failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (failed)
            return sn_error_errno(err, failed, "starting worker %d", i);
        pool->n_started++;
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->ready < pool->n_started)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++)
        if (pool->worker[i].error.code != SN_OK) {
            if (err)
                *err = pool->worker[i].error;
            return pool->worker[i].error.code;
        }
    return SN_OK;
}

enum sn_err sn_pool_new(struct sn_compute *compute, int n_workers,
                        struct sn_pool **ret, struct sn_error *err)
{
    if (n_workers < 1 || n_workers > 1024)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%d workers: 1 to 1024 are possible", n_workers);
    struct sn_pool *pool = calloc(1, sizeof(*pool));
    struct worker *worker = calloc((size_t)n_workers, sizeof(*worker));
    if (!pool || !worker) {
        free(worker);
        free(pool);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for workers");
    }
    pool->compute = compute;
    pool->n_workers = n_workers;
    pool->worker = worker;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    enum sn_err rc = start_workers(pool, err);
    if (rc != SN_OK) {
        sn_pool_free(pool);
        return rc;
    }
    *ret = pool;
    return SN_OK;
}

void sn_pool_free(struct sn_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    free(pool->worker);
    free(pool);
}

int sn_pool_workers(const struct sn_pool *pool)
{
    return pool->n_workers;
}

enum sn_err sn_pool_run(struct sn_pool *pool, uint32_t n_tasks, sn_task_fn fn,
                        void *arg, struct sn_error *err)
{
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->n_tasks = n_tasks;
    atomic_store(&pool->next, 0);
    pool->busy = pool->n_workers;
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->work);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);

    enum sn_err rc = SN_OK;
    for (int i = 0; i < pool->n_workers; i++) {
        struct sn_error *e = &pool->worker[i].error;
        if (e->code != SN_OK && rc == SN_OK) {
            rc = e->code;
            if (err)
                *err = *e;
        }
        e->code = SN_OK;
    }
    return rc;
}
