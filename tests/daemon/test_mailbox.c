/* Threads reach the loop: every message of every thread arrives once and in
 * its thread's order; work that is off-loaded runs in order, or at once on
 * several threads, is answered on the loop's thread, and is finished before
 * those end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "daemon/mailbox.h"
#include "daemon/offload.h"

enum { THREADS = 4, MESSAGES = 5000 };

static struct {
    uv_loop_t loop;
    struct sn_mailbox box;
    pthread_t loop_thread;
    int next[THREADS], arrived;
} t;

struct note {
    int thread, number;
};

static void on_note(void *arg)
{
    struct note *note = arg;
    assert_true(pthread_equal(pthread_self(), t.loop_thread));
    assert_int_equal(note->number, t.next[note->thread]++);
    free(note);
    if (++t.arrived == THREADS * MESSAGES)
        uv_stop(&t.loop);
}

static void *post_all(void *arg)
{
    for (int i = 0; i < MESSAGES; i++) {
        struct note *note = malloc(sizeof *note);
        *note = (struct note){(int)(intptr_t)arg, i};
        sn_mailbox_post(&t.box, on_note, note);
    }
    return NULL;
}

static int setup(void **state)
{
    uv_loop_init(&t.loop);
    t.loop_thread = pthread_self();
    return sn_mailbox_init(&t.box, &t.loop, NULL);
}

static int teardown(void **state)
{
    sn_mailbox_close(&t.box);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&t.loop);
}

static void test_every_message_in_order(void **state)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, post_all, (void *)i);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(t.arrived, THREADS * MESSAGES);
}

static struct {
    int worked, answered;
} task;

static void work(void *arg)
{
    assert_false(pthread_equal(pthread_self(), t.loop_thread));
    assert_int_equal((intptr_t)arg, task.worked++);
}

static void done(void *arg)
{
    assert_true(pthread_equal(pthread_self(), t.loop_thread));
    assert_int_equal((intptr_t)arg, task.answered++);
}

static void test_offload(void **state)
{
    struct sn_offload *offload;
    task.worked = task.answered = 0;
    assert_int_equal(sn_offload_new("test", &t.box, 1, 100, &offload, NULL),
                     SN_OK);
    for (intptr_t i = 0; i < 100; i++)
        assert_int_equal(
            sn_offload_submit(offload, work, done, (void *)i, NULL), SN_OK);
    sn_offload_free(offload);
    assert_int_equal(task.worked, 100);
    assert_int_equal(task.answered, 0);
    assert_true(sn_mailbox_drain(&t.box));
    assert_int_equal(task.answered, 100);
    assert_false(sn_mailbox_drain(&t.box));
    sn_offload_free(NULL);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void ignore(void *arg)
{
}

static void test_offload_is_bounded(void **state)
{
    struct sn_offload *offload;
    assert_int_equal(sn_offload_new("test", &t.box, 1, 2, &offload, NULL),
                     SN_OK);
    pthread_mutex_lock(&gate);
    int accepted = 0;
    while (accepted < 10 && sn_offload_submit(offload, wait_at_gate, ignore,
                                              NULL, NULL) == SN_OK)
        accepted++;
    pthread_mutex_unlock(&gate);
    /* two wait, and one may have been taken already */
    assert_in_range(accepted, 2, 3);
    sn_offload_free(offload);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int here;
} meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

/* Ends once as many are there as there are threads. */
static void meet(void *arg)
{
    pthread_mutex_lock(&meeting.lock);
    meeting.here++;
    pthread_cond_broadcast(&meeting.wake);
    while (meeting.here < (int)(intptr_t)arg)
        pthread_cond_wait(&meeting.wake, &meeting.lock);
    pthread_mutex_unlock(&meeting.lock);
}

static void test_threads_run_at_once(void **state)
{
    struct sn_offload *offload;
    assert_int_equal(sn_offload_new("test", &t.box, 3, 10, &offload, NULL),
                     SN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            sn_offload_submit(offload, meet, ignore, (void *)(intptr_t)3, NULL),
            SN_OK);
    sn_offload_free(offload);
    assert_int_equal(meeting.here, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_message_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_offload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offload_is_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_threads_run_at_once, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
