#include "tests/storage/help.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int help_setup(void **state)
{
    char template[] = "/tmp/sn-storage-XXXXXX";
    if (mkdtemp(template) == NULL)
        return -1;
    char *path = NULL;
    if (asprintf(&path, "%s/state", template) < 0)
        return -1;
    *state = path;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *where)
{
    return remove(path);
}

int help_teardown(void **state)
{
    char *path = *state;
    *strrchr(path, '/') = '\0';
    int rc = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
    return rc;
}

struct sn_storage *help_open(const char *dir)
{
    struct sn_storage_config config = {.state_dir = dir};
    struct sn_storage *st = NULL;
    struct sn_error err = {0};
    if (sn_storage_open(&config, &st, &err) != SN_OK)
        fail_msg("open: %s", err.message);
    return st;
}

struct help_wait {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int calls;
    struct sn_written result;
};

struct help_wait *help_wait_new(void)
{
    struct help_wait *wait = calloc(1, sizeof *wait);
    assert_non_null(wait);
    pthread_mutex_init(&wait->lock, NULL);
    pthread_cond_init(&wait->ended, NULL);
    return wait;
}

static void on_done(void *arg, const struct sn_written *result)
{
    struct help_wait *wait = arg;
    pthread_mutex_lock(&wait->lock);
    wait->calls++;
    wait->result = *result;
    pthread_cond_signal(&wait->ended);
    pthread_mutex_unlock(&wait->lock);
}

struct sn_write help_write(struct help_wait *wait,
                           const struct sn_event *events, size_t n)
{
    return (struct sn_write){
        .events = events, .n_events = n, .done = on_done, .arg = wait};
}

struct sn_written help_wait_end(struct help_wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    while (wait->calls == 0)
        pthread_cond_wait(&wait->ended, &wait->lock);
    struct sn_written result = wait->result;
    pthread_mutex_unlock(&wait->lock);
    pthread_cond_destroy(&wait->ended);
    pthread_mutex_destroy(&wait->lock);
    free(wait);
    return result;
}

enum sn_err help_insert(struct sn_storage *st, const char *id)
{
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, NULL, 0);
    struct sn_job job = {.id = id, .name = id};
    assert_int_equal(sn_storage_insert_job(st, &job, NULL, NULL, &w, NULL),
                     SN_OK);
    return help_wait_end(wait).error.code;
}

enum sn_err help_move(struct sn_storage *st, const char *id,
                      enum sn_job_state to)
{
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, NULL, 0);
    struct sn_job_change change = {
        .id = id, .to = to, .stop_for = SN_JOB_QUEUED};
    assert_int_equal(sn_storage_change_job(st, &change, &w, NULL), SN_OK);
    return help_wait_end(wait).error.code;
}

void help_flush(struct sn_storage *st)
{
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, NULL, 0);
    assert_int_equal(sn_storage_flush(st, &w, NULL), SN_OK);
    assert_int_equal(help_wait_end(wait).error.code, SN_OK);
}
