/* The writer: many writes in few commits, each called back once and in order;
 * one that fails hinders no other; events count on over a reopen; what may be
 * written twice makes no second row. */
#include "tests/storage/help.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct order {
    int next, n_failed;
    int64_t last_event;
    bool is_ordered;
};

struct numbered {
    struct order *order;
    int number;
};

static void note_order(void *arg, const struct sn_written *result)
{
    struct numbered *item = arg;
    struct order *o = item->order;
    o->is_ordered = o->is_ordered && item->number == o->next;
    o->next++;
    if (result->error.code != SN_OK) {
        o->n_failed++;
        return;
    }
    o->is_ordered = o->is_ordered && result->first_event > o->last_event &&
                    result->last_event == result->first_event + 1;
    o->last_event = result->last_event;
}

static bool take_count(void *arg, const char *name, int64_t count)
{
    *(int64_t *)arg = count;
    return false; /* "loss" comes before "rate" */
}

static void read_names(void *arg, struct sn_reader *r)
{
    sn_reader_series_names(r, "job", take_count, arg, NULL);
}

static void test_groups(void **state)
{
    enum { N = 3000 };
    static struct numbered items[N];
    struct order order = {.is_ordered = true};
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    struct sn_event events[] = {{.job = "job", .type = "a", .payload = "{}"},
                                {.job = "job", .type = "b", .payload = "{}"}};
    for (int i = 0; i < N; i++) {
        items[i] = (struct numbered){&order, i};
        struct sn_write w = {.events = events,
                             .n_events = 2,
                             .done = note_order,
                             .arg = &items[i]};
        /* where the second point fails, the first must go too */
        struct sn_point points[] = {
            {.job = "job", .name = "loss", .step = i, .value = i},
            {.job = i % 10 == 3 ? "nobody" : "job", .name = "rate"}};
        assert_int_equal(sn_storage_put_points(st, points, 2, &w, NULL), SN_OK);
    }
    help_flush(st);
    assert_int_equal(order.next, N);
    assert_true(order.is_ordered);
    assert_int_equal(order.n_failed, N / 10);
    assert_int_equal(order.last_event, 2 * (N - N / 10));
    int64_t n_points = 0;
    sn_storage_read_wait(st, read_names, &n_points, NULL);
    assert_int_equal(n_points, N - N / 10);
    sn_storage_close(st);
}

static void block_writer(void *arg, const struct sn_written *result)
{
    pthread_mutex_t *gate = arg;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
}

static void test_queue_is_bounded(void **state)
{
    struct sn_storage_config config = {.state_dir = *state, .queue_limit = 8};
    struct sn_storage *st = NULL;
    assert_int_equal(sn_storage_open(&config, &st, NULL), SN_OK);
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    struct sn_write w = {.done = block_writer, .arg = &gate};
    assert_int_equal(sn_storage_probe(st, &w, NULL), SN_OK);
    enum sn_err code = SN_OK;
    int n = 0;
    while (code == SN_OK && n++ < 100)
        code = sn_storage_probe(st, NULL, NULL);
    assert_int_equal(code, SN_ERR_BUSY);
    assert_in_range(n, 8, 20);
    pthread_mutex_unlock(&gate);
    sn_storage_wait_room(st);
    assert_int_equal(sn_storage_probe(st, NULL, NULL), SN_OK);
    sn_storage_close(st);
}

static struct sn_written append(struct sn_storage *st, const char *job)
{
    struct sn_event event = {.job = job, .type = "t", .payload = "{}"};
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, &event, 1);
    assert_int_equal(sn_storage_append_events(st, &w, NULL), SN_OK);
    return help_wait_end(wait);
}

static void test_events_count_on(void **state)
{
    int64_t last = 0;
    for (int round = 0; round < 3; round++) {
        struct sn_storage *st = help_open(*state);
        for (int i = 0; i < 5; i++) {
            struct sn_written result = append(st, "");
            assert_true(result.first_event > last);
            last = result.last_event;
        }
        assert_int_equal(sn_storage_trim_events(st, last, NULL, NULL), SN_OK);
        sn_storage_close(st);
    }
    assert_int_equal(last, 15);
}

static struct sn_written insert_with_key(struct sn_storage *st, const char *id,
                                         const char *request)
{
    struct sn_event event = {.job = id, .type = "job", .payload = "{}"};
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, &event, 1);
    struct sn_job job = {.id = id};
    assert_int_equal(sn_storage_insert_job(st, &job, "key", request, &w, NULL),
                     SN_OK);
    return help_wait_end(wait);
}

static void test_idempotency(void **state)
{
    struct sn_storage *st = help_open(*state);
    struct sn_written first = insert_with_key(st, "one", "hash");
    assert_int_equal(first.error.code, SN_OK);
    assert_false(first.replayed);
    assert_int_equal(first.first_event, 1);
    struct sn_written again = insert_with_key(st, "two", "hash");
    assert_int_equal(again.error.code, SN_OK);
    assert_true(again.replayed);
    assert_string_equal(again.id, "one");
    assert_int_equal(again.seq, first.seq);
    assert_int_equal(again.first_event, 0);
    struct sn_written other = insert_with_key(st, "two", "other hash");
    assert_int_equal(other.error.code, SN_ERR_CONFLICT);
    assert_int_equal(append(st, "").first_event, 2);
    sn_storage_close(st);
}

static void test_bad_values(void **state)
{
    struct sn_storage *st = help_open(*state);
    struct sn_job job = {.id = "../up"};
    assert_int_equal(sn_storage_insert_job(st, &job, NULL, NULL, NULL, NULL),
                     SN_ERR_INVALID);
    job = (struct sn_job){.id = "ok", .labels = "{no json"};
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, NULL, 0);
    assert_int_equal(sn_storage_insert_job(st, &job, NULL, NULL, &w, NULL),
                     SN_OK);
    assert_int_equal(help_wait_end(wait).error.code, SN_ERR_INVALID);
    assert_int_equal(help_insert(st, "ok"), SN_OK);
    assert_int_equal(help_insert(st, "ok"), SN_ERR_CONFLICT);
    assert_int_equal(help_move(st, "nobody", SN_JOB_RUNNING), SN_ERR_NOTFOUND);
    struct sn_evaluation_record row = {.job = "ok",
                                       .space = "s",
                                       .arch = "a",
                                       .split = "holdout",
                                       .accuracy = NAN};
    assert_int_equal(sn_storage_put_evaluations(st, &row, 1, NULL, NULL),
                     SN_ERR_INVALID);
    assert_false(sn_storage_failed(st));
    sn_storage_close(st);
}

struct rows {
    int n;
    int64_t seq, correct;
    double latency;
};

static bool count_row(void *arg, const struct sn_evaluation_record *row)
{
    struct rows *rows = arg;
    rows->n++;
    rows->seq = row->seq;
    rows->correct = row->correct;
    rows->latency = row->latency.measured_ms;
    return true;
}

static void read_evaluations(void *arg, struct sn_reader *r)
{
    struct sn_eval_query q = {.job = "job"};
    assert_int_equal(sn_reader_evaluations(r, &q, count_row, arg, NULL), SN_OK);
}

static void put_one(struct sn_storage *st, int64_t step, int64_t correct,
                    double latency)
{
    struct sn_evaluation_record row = {
        .job = "job",
        .space = "tiny",
        .arch = "r28",
        .stage = SN_EVAL_EARLY,
        .split = "holdout",
        .step = step,
        .correct = correct,
        .images = 100,
        .accuracy = NAN,
        .predicted = NAN,
        .macs = 5,
        .params = -1,
        .peak_memory = -1,
        .latency = {"host", "sparsenas", NAN, latency, NAN, NAN}};
    assert_int_equal(sn_storage_put_evaluations(st, &row, 1, NULL, NULL),
                     SN_OK);
    help_flush(st);
}

static void test_replay_is_one_row(void **state)
{
    struct sn_storage *st = help_open(*state);
    struct rows first = {0}, again = {0}, later = {0};
    assert_int_equal(help_insert(st, "job"), SN_OK);
    put_one(st, 10, 50, 0.5);
    sn_storage_read_wait(st, read_evaluations, &first, NULL);
    put_one(st, 10, 60, NAN);
    sn_storage_read_wait(st, read_evaluations, &again, NULL);
    assert_int_equal(again.n, 1);
    assert_int_equal(again.seq, first.seq);
    assert_int_equal(again.correct, 60);
    assert_true(again.latency == 0.5);
    put_one(st, 20, 60, NAN);
    sn_storage_read_wait(st, read_evaluations, &later, NULL);
    assert_int_equal(later.n, 2);
    sn_storage_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_groups, help_setup, help_teardown),
        cmocka_unit_test_setup_teardown(test_queue_is_bounded, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_events_count_on, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_idempotency, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_bad_values, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_replay_is_one_row, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
