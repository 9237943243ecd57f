#include "daemon/offload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct task {
    struct task *next;
    sn_mail_fn work, done;
    void *arg;
};

struct sn_offload {
    struct sn_mailbox *box;
    pthread_t thread[SN_OFFLOAD_THREADS];
    int threads; /* that run */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct task *first, **last;
    int waiting, limit;
    bool closing;
};

static struct task *take(struct sn_offload *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->first == NULL && !o->closing)
        pthread_cond_wait(&o->wake, &o->lock);
    struct task *task = o->first;
    if (task != NULL) {
        o->first = task->next;
        if (o->first == NULL)
            o->last = &o->first;
        o->waiting--;
    }
    pthread_mutex_unlock(&o->lock);
    return task;
}

static void *run(void *arg)
{
    struct sn_offload *o = arg;
    struct task *task;
    while ((task = take(o)) != NULL) {
        task->work(task->arg);
        sn_mailbox_post(o->box, task->done, task->arg);
        free(task);
    }
    return NULL;
}

enum sn_err sn_offload_new(const char *name, struct sn_mailbox *box,
                           int threads, int limit, struct sn_offload **ret,
                           struct sn_error *err)
{
    assert(threads >= 1 && threads <= SN_OFFLOAD_THREADS);
    struct sn_offload *o = calloc(1, sizeof *o);
    if (o == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    o->box = box;
    o->limit = limit;
    o->last = &o->first;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->wake, NULL);
    for (; o->threads < threads; o->threads++) {
        pthread_t *thread = &o->thread[o->threads];
        int rc = pthread_create(thread, NULL, run, o);
        if (rc != 0) {
            sn_offload_free(o);
            return sn_error_errno(err, rc, "starting the thread %s", name);
        }
        pthread_setname_np(*thread, name);
    }
    *ret = o;
    return SN_OK;
}

enum sn_err sn_offload_submit(struct sn_offload *o, sn_mail_fn work,
                              sn_mail_fn done, void *arg, struct sn_error *err)
{
    enum sn_err code = SN_OK;
    struct task *task = malloc(sizeof *task);
    if (task == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    *task = (struct task){NULL, work, done, arg};
    pthread_mutex_lock(&o->lock);
    if (o->closing) {
        code = sn_error_set(err, SN_ERR_STOPPED, "the daemon is stopping");
    } else if (o->waiting >= o->limit) {
        code = sn_error_set(err, SN_ERR_BUSY,
                            "too many requests of this kind wait already");
    } else {
        *o->last = task;
        o->last = &task->next;
        o->waiting++;
        pthread_cond_signal(&o->wake);
    }
    pthread_mutex_unlock(&o->lock);
    if (code != SN_OK)
        free(task);
    return code;
}

void sn_offload_free(struct sn_offload *o)
{
    if (o == NULL)
        return;
    pthread_mutex_lock(&o->lock);
    o->closing = true;
    pthread_cond_broadcast(&o->wake);
    pthread_mutex_unlock(&o->lock);
    for (int i = 0; i < o->threads; i++)
        pthread_join(o->thread[i], NULL);
    pthread_cond_destroy(&o->wake);
    pthread_mutex_destroy(&o->lock);
    free(o);
}
