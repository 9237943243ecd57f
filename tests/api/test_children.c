/* What comes after a search: a call makes the spec that posting it would, with
 * the parent's data set, space, hold-out and settings of training; what cannot
 * be is refused with the status of its cause; a child shows what it counted
 * before and after, its parent lists it; ids that the daemon derives and events
 * that it reads back are those that were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "api/child_json.h"
#include "api/event_json.h"
#include "tests/api/harness.h"

#define ARCH "r28.k3-3-3-3-3.e2-2-2-2-2"
#define OTHER "r28.k5-3-3-3-3.e2-2-2-2-2"
#define AT(job) "/api/v1/jobs/" job "/architectures/" ARCH

static struct reply last;

static json_t *call(struct harness *h, const char *method, const char *target,
                    const char *body, int status)
{
    reply_close(&last);
    request(h, method, target, "", body, &last);
    if (last.status != status)
        fail_msg("%s %s: %d: %s", method, target, last.status, last.body);
    return json_loads(last.body, JSON_DECODE_ANY, NULL);
}

/* The member at a path like "after.holdout.value"; NULL if there is none. */
static json_t *at(json_t *o, const char *path)
{
    char name[64];
    for (size_t n; o != NULL && *path != '\0'; path += n + (path[n] == '.')) {
        n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        o = json_object_get(o, name);
    }
    return o;
}

static const char *text(json_t *o, const char *path)
{
    const char *value = json_string_value(at(o, path));
    return value != NULL ? value : "";
}

static double number(json_t *o, const char *path)
{
    return json_number_value(at(o, path));
}

/* ---- rows: jb has fine-tuned an architecture of ja, jc has trained it alone
 */

static void put(struct harness *h, const char *job, enum sn_eval_stage stage,
                const char *split, int64_t step, int correct)
{
    struct sn_evaluation_record row = {.job = job,
                                       .space = "mbv3-tiny",
                                       .arch = ARCH,
                                       .stage = stage,
                                       .split = split,
                                       .step = step,
                                       .correct = correct,
                                       .images = 1000,
                                       .accuracy = correct / 1000.0,
                                       .predicted = NAN,
                                       .latency = {.device = ""}};
    assert_int_equal(
        sn_storage_put_evaluations(h->storage, &row, 1, NULL, NULL), SN_OK);
}

static void make_child(struct harness *h, int i, enum sn_strategy strategy)
{
    h->spec[i].strategy = strategy;
    strcpy(h->spec[i].parent, "ja");
    strcpy(h->spec[i].architecture, ARCH);
    h->job[i].spec_resolved_json =
        strategy == SN_STRATEGY_FINETUNE
            ? "{\"dataset\":\"small\",\"space\":\"mbv3-tiny\","
              "\"strategy\":\"finetune\",\"architecture\":\"" ARCH "\"}"
            : "{\"dataset\":\"small\",\"space\":\"mbv3-tiny\","
              "\"strategy\":\"scratch\",\"architecture\":\"" ARCH "\"}";
}

static int setup(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.token = NULL};
    harness_open(&h, &config);
    h.job[0].state = SN_JOB_SUCCEEDED;
    h.job[0].spec_given_json =
        "{\"dataset\":\"small\",\"train\":{\"learning_rate\":0.2}}";
    h.job[0].spec_resolved_json =
        "{\"dataset\":\"small\",\"space\":\"mbv3-tiny\",\"seed\":5,"
        "\"priority\":2,\"labels\":{\"team\":\"vision\"},\"train\":{"
        "\"batch_size\":64,\"learning_rate\":0.2,\"weight_decay\":1e-5,"
        "\"holdout\":900,\"split_seed\":-1,\"flip\":false},"
        "\"sparsenas\":{\"probe_images\":400,\"probes\":77},"
        "\"search\":{\"calibration\":300,\"evaluations\":30}}";
    h.supernet.name = "job-ja";
    make_child(&h, 1, SN_STRATEGY_FINETUNE);
    make_child(&h, 2, SN_STRATEGY_SCRATCH);
    put(&h, "jb", SN_EVAL_EARLY, "holdout", 0, 700);
    put(&h, "jb", SN_EVAL_EARLY, "test", 0, 690);
    put(&h, "jb", SN_EVAL_FINAL, "holdout", 50, 800);
    put(&h, "jb", SN_EVAL_VERIFY, "holdout", 50, 800);
    put(&h, "jb", SN_EVAL_VERIFY, "test", 50, 790);
    put(&h, "jc", SN_EVAL_FINAL, "holdout", 50, 600);
    harness_settle(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    reply_close(&last);
    harness_close(*state);
    return 0;
}

/* ---- calls ---- */

static void test_finetune(void **state)
{
    struct harness *h = *state;
    json_decref(call(h, "POST", AT("ja") "/finetune", "{\"epochs\":2}", 201));
    assert_string_equal(reply_header(&last, "Location"), "/api/v1/jobs/ja");
    json_t *s = json_loads(h->submitted, 0, NULL);
    assert_string_equal(text(s, "strategy"), "finetune");
    assert_string_equal(text(s, "architecture"), ARCH);
    assert_string_equal(text(s, "supernet"), "job-ja");
    assert_string_equal(text(s, "parent"), "ja");
    assert_string_equal(text(s, "name"), "ja, fine-tuned");
    assert_string_equal(text(s, "labels.team"), "vision");
    assert_true(number(s, "epochs") == 2 && number(s, "priority") == 2);
    assert_true(number(s, "train.batch_size") == 64);
    assert_true(json_is_false(at(s, "train.flip")));
    /* given to the parent: three tenths; left alone: the child's own */
    assert_true(fabs(number(s, "train.learning_rate") - 0.06) < 1e-12);
    assert_true(number(s, "train.weight_decay") == 3e-5);
    /* the parent's hold-out, and the part of it that no choice was made by */
    assert_true(number(s, "seed") == 5 && number(s, "train.split_seed") == 5);
    assert_true(number(s, "train.holdout") == 900);
    assert_true(number(s, "sparsenas.probe_images") == 400);
    assert_true(number(s, "search.calibration") == 300);
    json_decref(s);

    json_decref(call(h, "POST", AT("ja") "/finetune",
                     "{\"epochs\":1,\"seed\":9,\"learning_rate\":0.003,"
                     "\"name\":\"mine\",\"priority\":7}",
                     201));
    s = json_loads(h->submitted, 0, NULL);
    assert_true(number(s, "seed") == 9 && number(s, "train.split_seed") == 5);
    assert_true(number(s, "train.learning_rate") == 0.003);
    assert_string_equal(text(s, "name"), "mine");
    assert_true(number(s, "priority") == 7);
    json_decref(s);
}

static void test_scratch(void **state)
{
    struct harness *h = *state;
    h->job[0].state = SN_JOB_RUNNING; /* it takes nothing of the parent's */
    json_decref(call(h, "POST", AT("ja") "/scratch", "{\"epochs\":2}", 201));
    h->job[0].state = SN_JOB_SUCCEEDED;
    json_t *s = json_loads(h->submitted, 0, NULL);
    assert_string_equal(text(s, "strategy"), "scratch");
    assert_string_equal(text(s, "supernet"), "");
    assert_true(number(s, "train.learning_rate") == 0.2);
    json_decref(s);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *target, *body;
        int status;
        const char *pointer;
    } bad[] = {
        {AT("ja") "/finetune", "{}", 400, "/epochs"},
        {AT("ja") "/finetune", "", 400, ""},
        {AT("ja") "/finetune", "[1]", 400, ""},
        {AT("ja") "/finetune", "{\"epochs\":\"2\"}", 400, "/epochs"},
        {AT("ja") "/finetune", "{\"epochs\":0}", 400, "/epochs"},
        {AT("ja") "/finetune", "{\"epochs\":1,\"dataset\":\"x\"}", 400,
         "/dataset"},
        {AT("ja") "/scratch", "{\"epochs\":1,\"learning_rate\":99}", 400,
         "/learning_rate"},
        {AT("none") "/finetune", "{\"epochs\":1}", 404, NULL},
        {"/api/v1/jobs/ja/architectures/r28/scratch", "{\"epochs\":1}", 404,
         NULL},
        {AT("jd") "/finetune", "{\"epochs\":1}", 409, NULL}, /* queued */
        {AT("jb") "/finetune", "{\"epochs\":1}", 409, NULL}, /* of one */
    };
    struct harness *h = *state;
    unsigned before = h->submissions;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *o = call(h, "POST", bad[i].target, bad[i].body, bad[i].status);
        if (bad[i].pointer != NULL)
            assert_string_equal(
                text(json_array_get(json_object_get(o, "errors"), 0),
                     "pointer"),
                bad[i].pointer);
        json_decref(o);
    }
    h->data.available = false; /* what the client did not say is no 400 */
    h->data.problem = "its files are gone";
    json_t *o = call(h, "POST", AT("ja") "/scratch", "{\"epochs\":1}", 409);
    assert_non_null(strstr(text(o, "detail"), "its files are gone"));
    json_decref(o);
    h->data.available = true;
    h->supernet.available = false;
    h->supernet.problem = "it is damaged";
    o = call(h, "POST", AT("ja") "/finetune", "{\"epochs\":1}", 409);
    assert_non_null(strstr(text(o, "detail"), "it is damaged"));
    json_decref(o);
    h->supernet.available = true;
    json_decref(call(h, "POST", "/api/v1/jobs",
                     "{\"dataset\":\"small\",\"strategy\":\"scratch\","
                     "\"architecture\":\"" ARCH "\",\"parent\":\"none\"}",
                     400));
    json_decref(call(h, "GET", AT("ja") "/finetune", "", 405));
    assert_int_equal(h->submissions, before);
}

/* ---- what is shown ---- */

static void test_results(void **state)
{
    json_t *o = call(*state, "GET", "/api/v1/jobs/jb", "", 200);
    assert_string_equal(text(o, "architecture"), ARCH);
    assert_string_equal(text(o, "parent"), "ja");
    assert_true(number(o, "before.holdout.value") == 0.7);
    assert_true(number(o, "before.test.value") == 0.69);
    assert_true(number(o, "after.holdout.value") == 0.8);
    assert_true(number(o, "after.test.value") == 0.79);
    assert_int_equal(json_array_size(at(o, "after.test.ci")), 2);
    json_decref(o);

    o = call(*state, "GET", "/api/v1/jobs/jc", "", 200);
    assert_null(at(o, "before"));
    assert_true(number(o, "after.holdout.value") == 0.6);
    assert_true(json_is_null(at(o, "after.test")));
    json_decref(o);

    o = call(*state, "GET", "/api/v1/jobs/ja", "", 200);
    assert_true(json_is_null(at(o, "parent")));
    assert_null(at(o, "after"));
    json_decref(o);
}

static void test_children_are_listed(void **state)
{
    json_t *o = call(*state, "GET", "/api/v1/jobs?parent=ja", "", 200);
    assert_int_equal(json_array_size(at(o, "items")), 2);
    json_decref(o);
    o = call(*state, "GET", "/api/v1/jobs?parent=jb", "", 200);
    assert_int_equal(json_array_size(at(o, "items")), 0);
    json_decref(o);

    o = call(*state, "GET", AT("ja"), "", 200);
    json_t *children = at(o, "children");
    assert_int_equal(json_array_size(children), 2);
    json_t *scratch = json_array_get(children, 0);
    json_t *tuned = json_array_get(children, 1);
    assert_string_equal(text(scratch, "job"), "jc");
    assert_string_equal(text(scratch, "strategy"), "scratch");
    assert_true(number(scratch, "after.holdout.value") == 0.6);
    assert_string_equal(text(tuned, "job"), "jb");
    assert_string_equal(text(tuned, "state"), "queued");
    assert_true(number(tuned, "before.test.value") == 0.69);
    json_decref(o);

    /* a job of one architecture has no others */
    json_decref(call(*state, "GET", AT("jb"), "", 200));
    json_decref(
        call(*state, "GET", "/api/v1/jobs/jb/architectures/" OTHER, "", 404));
}

/* ---- what the daemon makes by itself ---- */

static void test_ids_and_events(void **state)
{
    struct harness *h = *state;
    char a[SN_ID_MAX], b[SN_ID_MAX], arch[SN_ARCH_ID_MAX];
    uint32_t i = 9;
    sn_child_id("ja", ARCH, SN_STRATEGY_FINETUNE, a);
    sn_child_id("ja", ARCH, SN_STRATEGY_FINETUNE, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 16);
    sn_child_id("ja", ARCH, SN_STRATEGY_SCRATCH, b);
    assert_string_not_equal(a, b);
    sn_child_id("jb", ARCH, SN_STRATEGY_FINETUNE, b);
    assert_string_not_equal(a, b);

    char *event = sn_child_event(a, &h->spec[1]);
    assert_true(sn_child_read_event(event, b));
    assert_string_equal(a, b);
    assert_false(sn_child_read_event("{}", b));
    free(event);

    struct sn_answer answer = {.found = true, .test_accuracy = NAN};
    strcpy(answer.best.arch, ARCH);
    event = sn_json_answer(1, 3, &answer);
    assert_true(sn_child_read_answer(event, &i, arch));
    assert_int_equal(i, 1);
    assert_string_equal(arch, ARCH);
    free(event);
    answer.found = false; /* the nearest is no winner */
    event = sn_json_answer(2, 3, &answer);
    assert_true(sn_child_read_answer(event, &i, arch));
    assert_string_equal(arch, "");
    free(event);
    /* latencies and MACs together have more targets than either */
    event = sn_json_answer(SN_MAX_ANSWERS - 1, SN_MAX_ANSWERS, &answer);
    assert_true(sn_child_read_answer(event, &i, arch));
    assert_int_equal(i, SN_MAX_ANSWERS - 1);
    assert_false(sn_child_read_answer("{\"index\":16}", &i, arch));
    assert_false(sn_child_read_answer("x", &i, arch));
    free(event);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finetune),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_children_are_listed),
        cmocka_unit_test(test_ids_and_events),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
