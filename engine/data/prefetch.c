#include "engine/data/prefetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NICE = 3, LEAST_SLOTS = 2, MOST_SLOTS = 4 };
/* Slots beyond the least ones stay within this. */
static const double slots_bytes = 256e6;

/* A step's batch on its way. */
struct slot {
    uint64_t step;
    bool open; /* for that step; else it waits to be opened for another */
    struct sn_augment augment;
    struct sn_batch batch;
    uint32_t *index;
    uint8_t *pixels;
    uint32_t next, done, busy; /* images given out, made, being made */
    struct sn_error error;     /* of the first image, by number, with one */
    uint32_t error_at;
};

struct worker {
    struct sn_prefetch *prefetch;
    pthread_t thread;
    struct sn_view_room *room;
};

struct sn_prefetch {
    const struct sn_view *view;
    struct sn_augment augment;
    struct sn_epochs epochs;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool stop, started;
    uint64_t first; /* the step that is taken, or asked for */
    int n_slots;
    struct slot slot[MOST_SLOTS];
    int n_threads;
    struct worker worker[SN_PREFETCH_MAX_THREADS];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double slot_bytes(const struct sn_prefetch_settings *s, int channels)
{
    double side = s->resolutions[s->n_resolutions - 1];
    return (double)s->batch_size * (channels * side * side + sizeof(uint32_t));
}

static int slots_of(const struct sn_prefetch_settings *s, int channels)
{
    double n = slots_bytes / slot_bytes(s, channels);
    return n < LEAST_SLOTS ? LEAST_SLOTS : n > MOST_SLOTS ? MOST_SLOTS : (int)n;
}

double sn_prefetch_bytes(const struct sn_prefetch_settings *s, int channels)
{
    return slots_of(s, channels) * slot_bytes(s, channels);
}

/* ---- slots; under the lock ---- */

static bool is_over(const struct slot *s)
{
    return s->open && s->busy == 0 &&
           (s->done == s->batch.n || s->error.code != SN_OK);
}

static void open_slot(struct sn_prefetch *p, struct slot *s, uint64_t step)
{
    s->augment = p->augment;
    sn_epochs_find(&p->epochs, step, &s->augment, &s->batch);
    memcpy(s->index, s->batch.index, s->batch.n * sizeof s->index[0]);
    s->batch.index = s->index;
    s->batch.augment = &s->augment;
    s->step = step;
    s->next = s->done = s->busy = 0;
    s->error.code = SN_OK;
    s->open = true;
}

/* The next image to make, of the earliest step that has any left. */
static struct slot *find_work(struct sn_prefetch *p, uint32_t *ret_i)
{
    for (int k = 0; p->started && k < p->n_slots; k++) {
        uint64_t step = p->first + (uint64_t)k;
        struct slot *s = &p->slot[step % (uint64_t)p->n_slots];
        if (!s->open || s->step != step)
            open_slot(p, s, step);
        if (s->next == s->batch.n || s->error.code != SN_OK)
            continue;
        *ret_i = s->next++;
        s->busy++;
        return s;
    }
    return NULL;
}

static void put_back(struct sn_prefetch *p, struct slot *s, uint32_t i,
                     const struct sn_error *error)
{
    s->busy--;
    s->done++;
    if (error->code != SN_OK && (s->error.code == SN_OK || i < s->error_at)) {
        s->error = *error;
        s->error_at = i;
    }
    if (s->busy == 0)
        pthread_cond_signal(&p->done);
}

/* ---- threads ---- */

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct sn_prefetch *p = w->prefetch;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);

    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        uint32_t i;
        struct slot *s = find_work(p, &i);
        if (s == NULL) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        struct sn_error error = {0};
        size_t size = sn_view_pixel_bytes(p->view, s->batch.resolution);
        (void)sn_view_make_pixels(p->view, &s->batch, i, w->room,
                                  s->pixels + i * size, &error);
        pthread_mutex_lock(&p->lock);
        put_back(p, s, i, &error);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static enum sn_err start(struct sn_prefetch *p, int threads,
                         struct sn_error *err)
{
    for (int i = 0; i < threads; i++) {
        struct worker *w = &p->worker[i];
        w->prefetch = p;
        enum sn_err rc = sn_view_room_new(&w->room, err);
        if (rc != SN_OK)
            return rc;
        int failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (failed) {
            sn_view_room_free(w->room);
            return sn_error_errno(err, failed, "starting decoder %d", i);
        }
        p->n_threads++;
    }
    return SN_OK;
}

static enum sn_err make_slots(struct sn_prefetch *p,
                              const struct sn_prefetch_settings *s,
                              struct sn_error *err)
{
    int side = s->resolutions[s->n_resolutions - 1];
    size_t bytes = s->batch_size * sn_view_pixel_bytes(p->view, side);
    p->n_slots = slots_of(s, sn_view_channels(p->view));
    for (int i = 0; i < p->n_slots; i++) {
        p->slot[i].index = calloc(s->batch_size, sizeof(uint32_t));
        p->slot[i].pixels = malloc(bytes);
        if (p->slot[i].index == NULL || p->slot[i].pixels == NULL)
            return sn_error_set(err, SN_ERR_NOMEM,
                                "no memory for batches ahead");
    }
    return sn_epochs_init(&p->epochs, p->view, s->seed, s->batch_size,
                          s->resolutions, s->n_resolutions, err);
}

enum sn_err sn_prefetch_new(const struct sn_view *view,
                            const struct sn_prefetch_settings *s,
                            struct sn_prefetch **ret, struct sn_error *err)
{
    if (s->threads < 1 || s->threads > SN_PREFETCH_MAX_THREADS)
        return sn_error_set(err, SN_ERR_RANGE,
                            "%d decoders: 1 to %d are possible", s->threads,
                            SN_PREFETCH_MAX_THREADS);
    struct sn_prefetch *p = calloc(1, sizeof *p);
    if (p == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for decoders");
    p->view = view;
    p->augment = s->augment;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    enum sn_err rc = make_slots(p, s, err);
    if (rc == SN_OK)
        rc = start(p, s->threads, err);
    if (rc != SN_OK) {
        sn_prefetch_free(p);
        return rc;
    }
    *ret = p;
    return SN_OK;
}

void sn_prefetch_free(struct sn_prefetch *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_threads; i++) {
        pthread_join(p->worker[i].thread, NULL);
        sn_view_room_free(p->worker[i].room);
    }
    for (int i = 0; i < MOST_SLOTS; i++) {
        free(p->slot[i].index);
        free(p->slot[i].pixels);
    }
    sn_epochs_close(&p->epochs);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- the training loop's side ---- */

/* Nobody may be at work on a slot that is given to another step. */
static void begin_anew(struct sn_prefetch *p)
{
    p->started = false;
    for (int i = 0; i < p->n_slots; i++) {
        while (p->slot[i].busy > 0)
            pthread_cond_wait(&p->done, &p->lock);
        p->slot[i].open = false;
    }
}

enum sn_err sn_prefetch_take(struct sn_prefetch *p, uint64_t step,
                             struct sn_ready *ret, struct sn_error *err)
{
    double began = now();
    enum sn_err rc = SN_OK;

    pthread_mutex_lock(&p->lock);
    if (step != p->first && step != p->first + 1)
        begin_anew(p);
    p->first = step;
    p->started = true;
    pthread_cond_broadcast(&p->work);
    struct slot *s = &p->slot[step % (uint64_t)p->n_slots];
    if (!s->open || s->step != step)
        open_slot(p, s, step);
    while (!is_over(s))
        pthread_cond_wait(&p->done, &p->lock);
    if (s->error.code != SN_OK) {
        rc = s->error.code;
        if (err != NULL)
            *err = s->error;
    } else {
        *ret = (struct sn_ready){s->batch, s->pixels, now() - began};
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}
