/* The queries: every table comes back as it was written; filters, sorts, pages
 * and bounds; readers see what is committed while the writer works; deleting a
 * job takes all its rows. */
#include "tests/storage/help.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a query gave, as text: "a b c". */
struct seen {
    char text[512];
    int64_t number;
    enum sn_err code;
    const void *query;
};

static void add(struct seen *seen, const char *word)
{
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof seen->text - n, n == 0 ? "%s" : " %s",
             word);
}

static bool see_job(void *arg, const struct sn_job *row)
{
    add(arg, row->id);
    return true;
}

static bool see_evaluation(void *arg, const struct sn_evaluation_record *row)
{
    add(arg, row->arch);
    return true;
}

static bool see_event(void *arg, const struct sn_event *row)
{
    char word[32];
    snprintf(word, sizeof word, "%d%s", (int)row->seq, row->type);
    add(arg, word);
    return true;
}

static void run_jobs(void *arg, struct sn_reader *r)
{
    struct seen *seen = arg;
    seen->code = sn_reader_jobs(r, seen->query, see_job, seen, NULL);
}

static void run_evaluations(void *arg, struct sn_reader *r)
{
    struct seen *seen = arg;
    seen->code =
        sn_reader_evaluations(r, seen->query, see_evaluation, seen, NULL);
    if (seen->code == SN_OK)
        seen->code =
            sn_reader_evaluation_count(r, seen->query, &seen->number, NULL);
}

static void run_events(void *arg, struct sn_reader *r)
{
    struct seen *seen = arg;
    seen->code = sn_reader_events(r, seen->query, see_event, seen, NULL);
}

static void expect(struct sn_storage *st, sn_read_fn fn, const void *query,
                   const char *text)
{
    struct seen seen = {.query = query};
    assert_int_equal(sn_storage_read_wait(st, fn, &seen, NULL), SN_OK);
    assert_int_equal(seen.code, SN_OK);
    assert_string_equal(seen.text, text);
}

static void test_jobs(void **state)
{
    static const struct sn_job jobs[] = {
        {.id = "a", .name = "z", .priority = 1, .labels = "{\"team\":\"x\"}"},
        {.id = "b", .name = "y", .priority = 5, .labels = "{\"team\":\"y\"}"},
        {.id = "c", .name = "z", .priority = 5},
        {.id = "d", .name = "x", .priority = -2, .state = SN_JOB_PAUSED}};
    struct sn_storage *st = help_open(*state);
    for (int i = 0; i < 4; i++)
        sn_storage_insert_job(st, &jobs[i], NULL, NULL, NULL, NULL);
    help_flush(st);
    struct sn_job_query q = {0};
    expect(st, run_jobs, &q, "d c b a");
    q = (struct sn_job_query){.after_seq = 3, .limit = 1};
    expect(st, run_jobs, &q, "b");
    q = (struct sn_job_query){.sort = SN_JOB_SORT_OLDEST, .after_seq = 2};
    expect(st, run_jobs, &q, "c d");
    q = (struct sn_job_query){.sort = SN_JOB_SORT_PRIORITY};
    expect(st, run_jobs, &q, "b c a d");
    q.after_priority = 5;
    q.after_seq = 2;
    expect(st, run_jobs, &q, "c a d");
    q = (struct sn_job_query){.sort = SN_JOB_SORT_NAME};
    expect(st, run_jobs, &q, "d b a c");
    q.after_name = "z";
    q.after_seq = 1;
    expect(st, run_jobs, &q, "c");
    q = (struct sn_job_query){.states = 1u << SN_JOB_PAUSED};
    expect(st, run_jobs, &q, "d");
    q = (struct sn_job_query){.label_key = "team"};
    expect(st, run_jobs, &q, "b a");
    q.label_value = "x";
    expect(st, run_jobs, &q, "a");
    q = (struct sn_job_query){.name = "z"};
    expect(st, run_jobs, &q, "c a");
    sn_storage_close(st);
}

static bool check_life(void *arg, const struct sn_job *row)
{
    assert_int_equal(row->state, SN_JOB_STOPPING);
    assert_int_equal(row->stop_for, SN_JOB_PAUSED);
    assert_int_equal(row->attempts, 1);
    assert_int_equal(row->started_ms, 1000);
    assert_int_equal(row->ended_ms, 0);
    assert_string_equal(row->reason, "asked");
    assert_string_equal(row->progress, "{\"fraction\":0.5}");
    assert_string_equal(row->phase, "");
    assert_int_equal(row->supernet_step, 7);
    assert_true(row->revision > 1);
    assert_true(isnan(row->best_accuracy));
    *(bool *)arg = true;
    return true;
}

static void run_life(void *arg, struct sn_reader *r)
{
    assert_int_equal(sn_reader_job_get(r, "job", check_life, arg, NULL), SN_OK);
    assert_int_equal(sn_reader_job_get(r, "no", check_life, arg, NULL),
                     SN_ERR_NOTFOUND);
}

static void test_job_life(void **state)
{
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    struct sn_job_change run = {
        .id = "job", .to = SN_JOB_RUNNING, .time_ms = 1000};
    struct sn_job_change stop = {.id = "job",
                                 .to = SN_JOB_STOPPING,
                                 .stop_for = SN_JOB_PAUSED,
                                 .reason = "asked"};
    struct sn_job_snapshot snapshot = {
        .id = "job", .progress = "{\"fraction\":0.5}", .supernet_step = 7};
    sn_storage_change_job(st, &run, NULL, NULL);
    sn_storage_snapshot_job(st, &snapshot, NULL, NULL);
    sn_storage_change_job(st, &stop, NULL, NULL);
    help_flush(st);
    bool called = false;
    sn_storage_read_wait(st, run_life, &called, NULL);
    assert_true(called);
    sn_storage_close(st);
}

static void put(struct sn_storage *st, const char *arch,
                enum sn_eval_stage stage, int64_t step, double accuracy,
                int64_t macs, double latency)
{
    struct sn_evaluation_record row = {
        .job = "job",
        .space = "tiny",
        .arch = arch,
        .stage = stage,
        .split = "holdout",
        .step = step,
        .accuracy = accuracy,
        .predicted = NAN,
        .macs = macs,
        .params = macs / 10,
        .peak_memory = -1,
        .latency = {"host", "sparsenas", latency, NAN, NAN, NAN}};
    assert_int_equal(sn_storage_put_evaluations(st, &row, 1, NULL, NULL),
                     SN_OK);
}

static void test_best(void **state)
{
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    put(st, "old", SN_EVAL_FINAL, 10, 0.99, 100, 0.1);
    put(st, "big", SN_EVAL_FINAL, 20, 0.95, 400, 2.0);
    put(st, "mid", SN_EVAL_FINAL, 20, 0.90, 200, 1.0);
    put(st, "low", SN_EVAL_FINAL, 20, 0.80, 100, 0.5);
    put(st, "none", SN_EVAL_FINAL, 20, 0.85, 150, NAN);
    put(st, "early", SN_EVAL_EARLY, 30, 0.97, 100, 0.1);
    help_flush(st);
    struct sn_eval_query q = {.job = "job",
                              .stages = 1u << SN_EVAL_FINAL,
                              .split = "holdout",
                              .newest = true,
                              .sort = SN_EVAL_SORT_ACCURACY};
    expect(st, run_evaluations, &q, "big mid none low");
    q.limit = 2;
    expect(st, run_evaluations, &q, "big mid");
    q.limit = 0;
    q.max_latency_ms = 1.0;
    expect(st, run_evaluations, &q, "mid low");
    q.max_latency_ms = 0;
    q.max_macs = 150;
    expect(st, run_evaluations, &q, "none low");
    q.max_macs = 0;
    q.max_peak_memory = 1;
    expect(st, run_evaluations, &q, "");
    q.max_peak_memory = 0;
    q.sort = SN_EVAL_SORT_LATENCY;
    expect(st, run_evaluations, &q, "low mid big none");
    q.sort = SN_EVAL_SORT_MACS;
    expect(st, run_evaluations, &q, "low none mid big");
    q = (struct sn_eval_query){.job = "job", .after_seq = 4};
    expect(st, run_evaluations, &q, "none early");
    q = (struct sn_eval_query){.job = "job", .arch = "mid"};
    expect(st, run_evaluations, &q, "mid");
    sn_storage_close(st);
}

static void test_events(void **state)
{
    static const char *const types[] = {"x", "z"};
    struct sn_event events[] = {{.job = "a", .type = "x"},
                                {.job = "b", .type = "y"},
                                {.job = "a", .type = "z"},
                                {.job = "", .type = "x"},
                                {.job = "a", .type = "y"}};
    struct sn_write w = {.events = events, .n_events = 5};
    struct sn_storage *st = help_open(*state);
    sn_storage_append_events(st, &w, NULL);
    help_flush(st);
    struct sn_event_query q = {.after_seq = 1, .limit = 2};
    expect(st, run_events, &q, "2y 3z");
    q = (struct sn_event_query){.job = "a"};
    expect(st, run_events, &q, "1x 3z 5y");
    q = (struct sn_event_query){
        .types = types, .n_types = 2, .limit = 2, .after_seq = 1};
    expect(st, run_events, &q, "3z 4x");
    sn_storage_close(st);
}

/* ---- every other table, there and gone ---- */

static bool see_point(void *arg, const struct sn_point *row)
{
    char word[32];
    snprintf(word, sizeof word, "p%d=%g", (int)row->step, row->value);
    add(arg, word);
    return true;
}

static bool see_name(void *arg, const char *name, int64_t count)
{
    add(arg, name);
    return true;
}

static bool see_predictor(void *arg, const struct sn_predictor *row)
{
    struct seen *seen = arg;
    add(seen, row->kind);
    assert_int_equal(row->n_scores, 2);
    assert_true(row->tau == 0.6 && isnan(row->mae) && row->used);
    seen->number = row->id;
    return true;
}

static bool see_score(void *arg, const struct sn_score *row)
{
    add(arg, row->arch);
    return true;
}

static bool see_outcome(void *arg, const struct sn_outcome *row)
{
    assert_int_equal(row->step, 4);
    add(arg, row->body);
    return true;
}

static bool see_subspace(void *arg, const struct sn_subspace *row)
{
    struct seen *seen = arg;
    add(seen, row->rule);
    assert_int_equal(row->n_members, 2);
    seen->number = row->id;
    return true;
}

static bool see_member(void *arg, const struct sn_member *row)
{
    add(arg, row->arch);
    return true;
}

static bool see_front(void *arg, const struct sn_front *row)
{
    char word[32];
    snprintf(word, sizeof word, "v%d%s", (int)row->version, row->items);
    add(arg, word);
    return true;
}

static bool see_checkpoint(void *arg, const struct sn_checkpoint *row)
{
    add(arg, row->file);
    return true;
}

static void run_all(void *arg, struct sn_reader *r)
{
    struct seen *s = arg;
    sn_reader_series(r, "job", "loss", 0, 0, see_point, s, NULL);
    sn_reader_series_names(r, "job", see_name, s, NULL);
    sn_reader_predictors(r, "job", see_predictor, s, NULL);
    sn_reader_scores(r, s->number, 0, see_score, s, NULL);
    sn_reader_outcome(r, "job", see_outcome, s, NULL);
    sn_reader_subspaces(r, "job", see_subspace, s, NULL);
    sn_reader_members(r, s->number, 0, 5, see_member, s, NULL);
    sn_reader_fronts(r, "job", "macs", "", 0, 0, see_front, s, NULL);
    sn_reader_front_get(r, "job", "macs", "", see_front, s, NULL);
    sn_reader_checkpoints(r, "job", see_checkpoint, s, NULL);
}

static void put_front(struct sn_storage *st, int64_t step, const char *items)
{
    struct sn_front front = {
        .job = "job", .cost = "macs", .as_of_step = step, .items = items};
    sn_storage_put_front(st, &front, NULL, NULL);
}

static void put_all(struct sn_storage *st)
{
    struct sn_point points[] = {
        {.job = "job", .name = "loss", .step = 0, .value = 9},
        {.job = "job", .name = "loss", .step = 1, .value = 2},
        {.job = "job", .name = "acc", .step = 1, .value = NAN},
        {.job = "job", .name = "loss", .step = 1, .value = 3}};
    sn_storage_put_points(st, points, 4, NULL, NULL);
    struct sn_predictor predictor = {
        .job = "job", .kind = "ridge", .used = true, .tau = 0.6, .mae = NAN};
    struct sn_score scores[] = {{"s1", 0.1, 0.2, NAN}, {"s2", 0.3, 0.4, 1}};
    for (int twice = 0; twice < 2; twice++)
        sn_storage_put_predictor(st, &predictor, scores, 2, NULL, NULL);
    for (int twice = 0; twice < 2; twice++) {
        struct sn_outcome outcome = {
            .job = "job", .step = 3 + twice, .body = twice ? "held" : "fell"};
        sn_storage_put_outcome(st, &outcome, NULL, NULL);
    }
    struct sn_subspace subspace = {.job = "job", .rule = "rule"};
    struct sn_member members[] = {{.arch = "m1"}, {.arch = "m2"}};
    for (int twice = 0; twice < 2; twice++)
        sn_storage_put_subspace(st, &subspace, members, 2, NULL, NULL);
    put_front(st, 1, "[1]");
    put_front(st, 1, "[1]");
    put_front(st, 2, "[2]");
    struct sn_checkpoint checkpoint = {
        .job = "job", .file = "c1", .xxh3 = "0123456789abcdef"};
    sn_storage_put_checkpoint(st, &checkpoint, NULL, NULL);
}

static void test_all_tables(void **state)
{
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    put_all(st);
    put(st, "arch", SN_EVAL_FINAL, 1, 0.5, 1, 1);
    help_flush(st);
    expect(st, run_all, NULL,
           "p1=3 acc loss ridge s1 s2 held rule m2 v1[1] v2[2] v2[2] c1");
    struct sn_job_change change = {.id = "job", .to = SN_JOB_CANCELLED};
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, NULL, 0);
    assert_int_equal(sn_storage_delete_job(st, "job", &w, NULL), SN_OK);
    assert_int_equal(help_wait_end(wait).error.code, SN_ERR_CONFLICT);
    struct sn_event gone = {.job = "job", .type = "deleted"};
    struct sn_write with = {.events = &gone, .n_events = 1};
    sn_storage_change_job(st, &change, &with, NULL);
    sn_storage_delete_job(st, "job", &with, NULL);
    help_flush(st);
    expect(st, run_all, NULL, "");
    struct sn_eval_query none = {.job = "job"};
    expect(st, run_evaluations, &none, "");
    struct sn_event_query events = {0};
    expect(st, run_events, &events, "2deleted");
    sn_storage_close(st);
}

static bool see_latency(void *arg, const struct sn_latency_record *row)
{
    char word[32];
    snprintf(word, sizeof word, "%s=%g", row->key, row->median_ns);
    add(arg, word);
    return true;
}

static bool see_resource(void *arg, const struct sn_resource *row)
{
    add(arg, row->name);
    return true;
}

static void run_shared(void *arg, struct sn_reader *r)
{
    sn_reader_latencies(r, "host", "own", "new", see_latency, arg, NULL);
    sn_reader_resources(r, SN_RESOURCE_DATASET, "a", 0, see_resource, arg,
                        NULL);
    assert_int_equal(sn_reader_resource_get(r, SN_RESOURCE_DEVICE, "b",
                                            see_resource, arg, NULL),
                     SN_ERR_NOTFOUND);
}

static void test_shared_tables(void **state)
{
    struct sn_storage *st = help_open(*state);
    struct sn_latency_record rows[] = {
        {"host", "own", "old", "k", 1, NAN, 5, 0},
        {"host", "own", "new", "k", 2, 1, 5, 0},
        {"host", "own", "new", "k", 3, 1, 5, 0}};
    sn_storage_put_latencies(st, rows, 3, NULL, NULL);
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        struct sn_resource r = {.kind = SN_RESOURCE_DATASET, .name = names[i]};
        sn_storage_put_resource(st, &r, NULL, NULL);
    }
    sn_storage_delete_resource(st, SN_RESOURCE_DATASET, "c", NULL, NULL);
    help_flush(st);
    expect(st, run_shared, NULL, "k=3 b");
    sn_storage_close(st);
}

/* ---- readers beside the writer ---- */

static void read_newest(void *arg, struct sn_reader *r)
{
    int64_t oldest = 0;
    assert_int_equal(sn_reader_event_bounds(r, arg, &oldest, NULL), SN_OK);
}

struct around {
    struct sn_storage *st;
    int64_t before, written, after;
};

/* Between two queries the writer commits: the reader must not see it. */
static void read_around_a_write(void *arg, struct sn_reader *r)
{
    struct around *a = arg;
    struct sn_event event = {.type = "t"};
    struct help_wait *wait = help_wait_new();
    struct sn_write w = help_write(wait, &event, 1);
    read_newest(&a->before, r);
    if (sn_storage_append_events(a->st, &w, NULL) == SN_OK)
        a->written = help_wait_end(wait).last_event;
    read_newest(&a->after, r);
}

static void store_last(void *arg, const struct sn_written *result)
{
    atomic_store((_Atomic int64_t *)arg, result->last_event);
}

static void test_beside_the_writer(void **state)
{
    _Atomic int64_t committed = 0;
    struct sn_event event = {.type = "t"};
    struct sn_write w = {
        .events = &event, .n_events = 1, .done = store_last, .arg = &committed};
    struct sn_storage *st = help_open(*state);
    int64_t before = 0;
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 5; k++)
            assert_int_equal(sn_storage_append_events(st, &w, NULL), SN_OK);
        int64_t acknowledged = atomic_load(&committed), seen = 0;
        sn_storage_read_wait(st, read_newest, &seen, NULL);
        assert_true(seen >= acknowledged && seen >= before);
        before = seen;
    }
    struct around around = {.st = st};
    sn_storage_read_wait(st, read_around_a_write, &around, NULL);
    assert_true(around.written > around.before);
    assert_int_equal(around.after, around.before);
    sn_storage_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jobs, help_setup, help_teardown),
        cmocka_unit_test_setup_teardown(test_job_life, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_best, help_setup, help_teardown),
        cmocka_unit_test_setup_teardown(test_events, help_setup, help_teardown),
        cmocka_unit_test_setup_teardown(test_all_tables, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_shared_tables, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_beside_the_writer, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
