/* The calls on a server with rows in its storage: submission and its refusals,
 * lists and cursors, ETags, control, front and best, the data behind charts,
 * models, spaces, data sets, health. */
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
#include <unistd.h>

#include <jansson.h>

#include "api/space_json.h"
#include "tests/api/harness.h"

#define ARCH "r28.k3-3-3-3-3.e2-2-2-2-2"

/* A call's status and parsed body; both are remembered for the checks. */
static struct reply last;

static json_t *call(struct harness *h, const char *method, const char *target,
                    const char *extra, const char *body, int status)
{
    reply_close(&last);
    request(h, method, target, extra, body, &last);
    if (last.status != status)
        fail_msg("%s %s: %d: %s", method, target, last.status, last.body);
    return json_loads(last.body, JSON_DECODE_ANY, NULL);
}

static json_t *get(struct harness *h, const char *target)
{
    json_t *body = call(h, "GET", target, "", "", 200);
    assert_non_null(body);
    return body;
}

static const char *text(const json_t *o, const char *name)
{
    const char *value = json_string_value(json_object_get(o, name));
    return value != NULL ? value : "";
}

static double number(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static json_t *item(const json_t *o, size_t i)
{
    return json_array_get(json_object_get(o, "items"), i);
}

static size_t count(const json_t *o)
{
    return json_array_size(json_object_get(o, "items"));
}

/* ---- rows ---- */

static void put_evaluation(struct harness *h, const char *arch,
                           enum sn_eval_stage stage, const char *split,
                           int64_t step, int correct, int64_t macs, double ms)
{
    struct sn_evaluation_record row = {.job = "ja",
                                       .space = "mbv3-tiny",
                                       .arch = arch,
                                       .stage = stage,
                                       .split = split,
                                       .step = step,
                                       .correct = correct,
                                       .images = 1000,
                                       .accuracy = correct / 1000.0,
                                       .predicted = NAN,
                                       .macs = macs,
                                       .params = macs / 10,
                                       .peak_memory = 1000,
                                       .latency = {.device = "host",
                                                   .runtime = "sparsenas",
                                                   .predicted_ms = ms,
                                                   .measured_ms = NAN,
                                                   .ci_low_ms = NAN,
                                                   .ci_high_ms = NAN},
                                       .selected = stage == SN_EVAL_FINAL};
    if (isnan(ms))
        row.latency = (struct sn_arch_latency){.device = ""};
    assert_int_equal(
        sn_storage_put_evaluations(h->storage, &row, 1, NULL, NULL), SN_OK);
}

static void put_rows(struct harness *h)
{
    put_evaluation(h, "a", SN_EVAL_EARLY, "holdout", 5, 990, 10, 0.01);
    put_evaluation(h, "a", SN_EVAL_FINAL, "holdout", 10, 700, 1000, 0.10);
    put_evaluation(h, "b", SN_EVAL_FINAL, "holdout", 10, 800, 2000, 0.20);
    put_evaluation(h, "c", SN_EVAL_FINAL, "holdout", 10, 790, 3000, 0.30);
    put_evaluation(h, "d", SN_EVAL_FINAL, "holdout", 10, 900, 4000, 0.40);
    put_evaluation(h, "d", SN_EVAL_VERIFY, "holdout", 10, 890, 4000, 0.40);
    put_evaluation(h, "e", SN_EVAL_FINAL, "holdout", 10, 950, 500, NAN);
    put_evaluation(h, "d", SN_EVAL_VERIFY, "test", 10, 880, 4000, 0.40);
    for (int64_t i = 0; i < 1000; i++) {
        struct sn_point p = {.job = "ja",
                             .name = "loss",
                             .step = i,
                             .value = 1.0 / (double)(i + 1),
                             .epoch = NAN};
        assert_int_equal(sn_storage_put_points(h->storage, &p, 1, NULL, NULL),
                         SN_OK);
    }
    struct sn_predictor predictor = {.job = "ja",
                                     .kind = "ridge",
                                     .tau = 0.5,
                                     .quality = "{\"n\":2,\"verdict\":\"v\"}"};
    struct sn_score scores[2] = {{"a", 0.1, 0.2, 5}, {"b", 0.3, 0.4, NAN}};
    assert_int_equal(
        sn_storage_put_predictor(h->storage, &predictor, scores, 2, NULL, NULL),
        SN_OK);
    struct sn_outcome outcome = {.job = "ja",
                                 .body = "{\"n\":24,\"kept\":null}"};
    assert_int_equal(sn_storage_put_outcome(h->storage, &outcome, NULL, NULL),
                     SN_OK);
    struct sn_subspace subspace = {
        .job = "ja", .n_scored = 9, .rule = "{\"density\":0.5,\"bands\":[1]}"};
    struct sn_member members[3] = {
        {0, "a", 1, 1, 0}, {1, "b", 2, 2, 0}, {2, "c", 3, NAN, 1}};
    assert_int_equal(
        sn_storage_put_subspace(h->storage, &subspace, members, 3, NULL, NULL),
        SN_OK);
    struct sn_front front = {.job = "ja",
                             .cost = "latency_ms",
                             .device = "host",
                             .as_of_step = 10,
                             .items = "[]"};
    assert_int_equal(sn_storage_put_front(h->storage, &front, NULL, NULL),
                     SN_OK);
    harness_event(h, "ja", "log", "{\"level\":\"info\",\"text\":\"one\"}");
    harness_event(h, "ja", "answer", "{\"index\":1,\"arch\":\"old\"}");
    harness_event(h, "ja", "answer", "{\"index\":1,\"arch\":\"new\"}");
    harness_event(h, "ja", "answer", "{\"index\":12,\"arch\":\"macs\"}");
    harness_event(h, "ja", "log", "{\"level\":\"info\",\"text\":\"two\"}");
    harness_settle(h);
}

static int setup(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.token = NULL};
    harness_open(&h, &config);
    put_rows(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    reply_close(&last);
    harness_close(*state);
    return 0;
}

/* ---- jobs ---- */

static void test_submit(void **state)
{
    struct harness *h = *state;
    json_t *o = call(h, "POST", "/api/v1/jobs", "Idempotency-Key: k1\r\n",
                     "{\"dataset\":\"small\",\"epochs\":2}", 201);
    assert_string_equal(reply_header(&last, "Location"), "/api/v1/jobs/ja");
    assert_null(reply_header(&last, "Idempotent-Replayed"));
    assert_string_equal(text(o, "id"), "ja");
    json_decref(o);
    json_decref(call(h, "POST", "/api/v1/jobs", "Idempotency-Key: k1\r\n",
                     "{\"dataset\":\"small\",\"epochs\":2}", 201));
    assert_string_equal(reply_header(&last, "Idempotent-Replayed"), "true");
    assert_int_equal(h->submissions, 1);

    o = call(h, "POST", "/api/v1/jobs?dry_run=true", "",
             "{\"dataset\":\"small\",\"labels\":{\"a\":\"b\"}}", 200);
    const json_t *spec = json_object_get(o, "spec");
    assert_true(number(json_object_get(spec, "sparsenas"), "subspace_size") >
                1);
    assert_string_equal(text(json_object_get(spec, "labels"), "a"), "b");
    assert_true(number(json_object_get(o, "forecast"), "macs") > 0);
    assert_int_equal(h->submissions, 1);
    json_decref(o);
}

static void test_submit_refusals(void **state)
{
    static const struct {
        const char *body, *pointer;
    } bad[] = {
        {"{\"dataset\":\"none\"}", "/dataset"},
        {"{\"dataset\":\"small\",\"space\":\"none\"}", "/space"},
        {"{\"dataset\":\"small\",\"epochs\":2,\"sparsenas\":{\"warmup_epochs\":"
         "3}}",
         "/sparsenas/warmup_epochs"},
        {"{\"dataset\":\"small\",\"space\":\"mbv3-cifar\"}", "/space"},
        {"{\"dataset\":\"small\",\"x\":1,\"epochs\":\"y\"}", "/x"},
        {"", ""},
        {"nonsense", ""},
    };
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *o = call(h, "POST", "/api/v1/jobs", "", bad[i].body, 400);
        const json_t *first = json_array_get(json_object_get(o, "errors"), 0);
        assert_string_equal(text(first, "pointer"), bad[i].pointer);
        json_decref(o);
    }
    json_t *large = call(h, "POST", "/api/v1/jobs?dry_run=true", "",
                         "{\"dataset\":\"small\",\"train\":{\"batch_size\":"
                         "4800,\"shard_size\":960,\"precision\":\"f32\"}}",
                         422);
    assert_string_equal(
        text(json_array_get(json_object_get(large, "errors"), 0), "pointer"),
        "/train/shard_size");
    json_decref(large);
    json_decref(call(h, "POST", "/api/v1/jobs", "Idempotency-Key: a b\r\n",
                     "{\"dataset\":\"small\"}", 400));
    h->not_ready = true;
    json_t *o =
        call(h, "POST", "/api/v1/jobs", "", "{\"dataset\":\"small\"}", 503);
    assert_non_null(strstr(text(o, "detail"), "disk is full"));
    json_decref(o);
    json_decref(call(h, "GET", "/readyz", "", "", 503));
    h->not_ready = false;
    json_decref(call(h, "GET", "/api/v1/readyz", "", "", 200));
}

static void order_of(struct harness *h, const char *query, const char *want)
{
    char target[128], got[64] = "", cursor[64] = "";
    do {
        snprintf(target, sizeof target, "/api/v1/jobs?limit=2%s%s%s", query,
                 cursor[0] != '\0' ? "&cursor=" : "", cursor);
        json_t *o = get(h, target);
        assert_true(count(o) <= 2);
        for (size_t i = 0; i < count(o); i++)
            strcat(got, text(item(o, i), "id") + 1);
        snprintf(cursor, sizeof cursor, "%s", text(o, "next_cursor"));
        json_decref(o);
    } while (cursor[0] != '\0');
    assert_string_equal(got, want);
}

static void test_list(void **state)
{
    order_of(*state, "", "edcba");
    order_of(*state, "&sort=oldest", "abcde");
    order_of(*state, "&sort=priority", "cabde");
    order_of(*state, "&state=queued", "edcb");
    order_of(*state, "&label=team", "b");
    order_of(*state, "&label=team%3Dvision", "b");
    order_of(*state, "&label=team%3Dother", "");
    json_decref(call(*state, "GET", "/api/v1/jobs?cursor=x", "", "", 400));
    json_decref(call(*state, "GET", "/api/v1/jobs?limit=0", "", "", 400));
}

static void test_one(void **state)
{
    char etag[128];
    json_t *o = get(*state, "/api/v1/jobs/ja");
    snprintf(etag, sizeof etag, "If-None-Match: %s\r\n",
             reply_header(&last, "ETag"));
    const json_t *answers = json_object_get(o, "answers");
    assert_int_equal(json_array_size(answers), 13); /* of 8 + 5 targets */
    assert_true(json_is_null(json_array_get(answers, 0)));
    assert_string_equal(text(json_array_get(answers, 1), "arch"), "new");
    assert_string_equal(text(json_array_get(answers, 12), "arch"), "macs");
    assert_string_equal(text(json_object_get(o, "supernet"), "xxh3"),
                        "0123456789abcdef");
    assert_string_equal(text(json_object_get(o, "spec"), "space"), "mbv3-tiny");
    assert_true(json_is_null(json_object_get(o, "ended")));
    json_decref(o);
    json_decref(call(*state, "GET", "/api/v1/jobs/ja", etag, "", 304));
    json_decref(call(*state, "GET", "/api/v1/jobs/none", "", "", 404));
}

static void test_control(void **state)
{
    json_t *o = call(*state, "POST", "/api/v1/jobs/ja/pause", "", "", 202);
    assert_string_equal(text(o, "state"), "stopping");
    json_decref(o);
    json_decref(call(*state, "POST", "/api/v1/jobs/ja/resume", "", "{}", 409));
    json_decref(
        call(*state, "POST", "/api/v1/jobs/ja/cancel", "", "{\"x\":1}", 400));
    json_decref(call(*state, "POST", "/api/v1/jobs/no/cancel", "", "", 404));
    json_decref(call(*state, "DELETE", "/api/v1/jobs/ja", "", "", 409));
}

/* ---- answers ---- */

static void test_best(void **state)
{
    json_t *o = get(*state, "/api/v1/jobs/ja/best?latency_ms=0.25&k=5");
    assert_int_equal(count(o), 2); /* e has no latency, early do not count */
    assert_string_equal(text(item(o, 0), "arch"), "b");
    assert_string_equal(text(item(o, 1), "arch"), "a");
    assert_int_equal(number(o, "as_of_step"), 10);
    assert_int_equal(number(o, "front_version"), 1);
    assert_true(json_is_null(json_object_get(o, "nearest")));
    assert_true(json_is_null(json_object_get(item(o, 0), "ci"))); /* selected */
    assert_true(json_is_null(json_object_get(item(o, 0), "test_accuracy")));
    json_decref(o);

    o = get(*state, "/api/v1/jobs/ja/best?latency_ms=1&k=1");
    assert_int_equal(count(o), 1);
    assert_string_equal(text(item(o, 0), "arch"), "d");
    assert_string_equal(text(item(o, 0), "stage"), "verify");
    assert_true(number(item(o, 0), "accuracy") == 0.89);
    assert_int_equal(json_array_size(json_object_get(item(o, 0), "ci")), 2);
    const json_t *test = json_object_get(item(o, 0), "test_accuracy");
    assert_true(number(test, "value") == 0.88);
    json_decref(o);

    o = get(*state, "/api/v1/jobs/ja/best");
    assert_string_equal(text(item(o, 0), "arch"), "e");
    assert_int_equal(count(o), 5);
    json_decref(o);

    o = get(*state, "/api/v1/jobs/ja/best?latency_ms=0.05&macs=5000");
    assert_int_equal(count(o), 0);
    assert_string_equal(text(json_object_get(o, "nearest"), "arch"), "a");
    json_decref(o);

    o = get(*state, "/api/v1/jobs/jb/best?latency_ms=0.05");
    assert_int_equal(count(o), 0);
    assert_true(json_is_null(json_object_get(o, "nearest")));
    assert_true(json_is_null(json_object_get(o, "as_of_step")));
    json_decref(o);
    json_decref(
        call(*state, "GET", "/api/v1/jobs/ja/best?latency_ms=x", "", "", 400));
}

static void test_front(void **state)
{
    json_t *o = get(*state, "/api/v1/jobs/ja/front?cost=latency_ms");
    assert_int_equal(count(o), 3); /* c is worse than b */
    assert_string_equal(text(item(o, 0), "arch"), "a");
    assert_string_equal(text(item(o, 1), "arch"), "b");
    assert_string_equal(text(item(o, 2), "arch"), "d");
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/front?cost=macs");
    assert_int_equal(count(o), 1); /* e beats all */
    json_decref(o);
    o = get(*state, "/api/v1/jobs/jb/front");
    assert_int_equal(count(o), 0);
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/front?device=phone");
    assert_int_equal(count(o), 0);
    json_decref(o);
    json_decref(
        call(*state, "GET", "/api/v1/jobs/ja/front?cost=money", "", "", 400));
}

/* ---- reports ---- */

static void test_reports(void **state)
{
    json_t *o = get(*state, "/api/v1/jobs/ja/series");
    assert_string_equal(text(item(o, 0), "name"), "loss");
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/series?name=loss&points=10");
    assert_int_equal(count(o), 10);
    assert_int_equal(number(o, "total"), 1000);
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/series?name=loss&after=998");
    assert_int_equal(count(o), 1);
    json_decref(o);

    o = get(*state, "/api/v1/jobs/ja/evaluations?stage=final&limit=2");
    assert_int_equal(count(o), 2);
    char target[128];
    snprintf(target, sizeof target,
             "/api/v1/jobs/ja/evaluations?stage=final&limit=100&cursor=%s",
             text(o, "next_cursor"));
    json_decref(o);
    o = get(*state, target);
    assert_int_equal(count(o), 3);
    assert_true(json_is_null(json_object_get(o, "next_cursor")));
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/evaluations?sort=accuracy&limit=1");
    assert_string_equal(text(item(o, 0), "stage"), "early");
    json_decref(o);

    o = get(*state, "/api/v1/jobs/ja/predictors");
    assert_string_equal(text(item(o, 0), "verdict"), "v");
    assert_int_equal(number(json_object_get(o, "outcome"), "n"), 24);
    assert_int_equal(json_array_size(json_object_get(item(o, 0), "points")), 2);
    json_decref(o);
    o = get(*state, "/api/v1/jobs/jb/predictors");
    assert_true(json_is_null(json_object_get(o, "outcome")));
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/subspace?limit=2");
    assert_true(number(o, "density") == 0.5);
    assert_int_equal(json_array_size(json_object_get(o, "members")), 2);
    assert_string_equal(text(o, "next_cursor"), "1");
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/subspace?cursor=1");
    assert_int_equal(json_array_size(json_object_get(o, "members")), 1);
    json_decref(o);
    o = get(*state, "/api/v1/jobs/jb/subspace");
    assert_int_equal(number(o, "rounds"), 0);
    json_decref(o);
    o = get(*state, "/api/v1/jobs/ja/log?limit=1");
    assert_string_equal(text(item(o, 0), "text"), "one");
    snprintf(target, sizeof target, "/api/v1/jobs/ja/log?cursor=%s",
             text(o, "next_cursor"));
    json_decref(o);
    o = get(*state, target);
    assert_int_equal(count(o), 1);
    assert_string_equal(text(item(o, 0), "text"), "two");
    json_decref(o);
}

/* ---- architectures and models ---- */

static void test_architecture(void **state)
{
    struct harness *h = *state;
    char path[128], target[256];
    json_t *o = get(h, "/api/v1/jobs/ja/architectures/" ARCH);
    assert_string_equal(text(o, "arch"), ARCH);
    assert_true(number(o, "macs") > 1e5);
    assert_int_equal(json_array_size(json_object_get(o, "blocks")), 6);
    json_decref(o);
    json_decref(
        call(h, "GET", "/api/v1/jobs/ja/architectures/none", "", "", 404));
    json_decref(call(h, "GET",
                     "/api/v1/jobs/jb/architectures/" ARCH "/model.onnx", "",
                     "", 409)); /* no weights yet */

    snprintf(path, sizeof path, "%s/model", h->dir);
    FILE *out = fopen(path, "w");
    fputs("model bytes", out);
    fclose(out);
    h->export_path = path;
    snprintf(target, sizeof target, "/api/v1/jobs/ja/architectures/%s/%s", ARCH,
             "model.onnx");
    json_decref(call(h, "GET", target, "", "", 200));
    assert_string_equal(last.body, "model bytes");
    assert_string_equal(reply_header(&last, "Content-Disposition"),
                        "attachment; filename=\"" ARCH ".onnx\"");
    unlink(path);
    json_decref(call(h, "GET", target, "", "", 500));
    h->export_path = NULL;
}

static void test_spaces(void **state)
{
    char body[512];
    json_t *o = get(*state, "/api/v1/spaces");
    assert_true(count(o) >= 2);
    json_decref(o);
    o = get(*state, "/api/v1/spaces/mbv3-tiny");
    assert_int_equal(json_array_size(json_object_get(o, "stages")), 5);
    assert_true(number(json_object_get(o, "largest"), "macs") >
                number(json_object_get(o, "smallest"), "macs"));
    json_decref(o);
    json_decref(call(*state, "GET", "/api/v1/spaces/none", "", "", 404));

    o = call(*state, "POST", "/api/v1/spaces/mbv3-tiny/architectures", "",
             "{\"arch\":\"" ARCH "\"}", 200);
    char *ofa = json_dumps(json_object_get(o, "ofa"), 0);
    snprintf(body, sizeof body, "{\"ofa\":%s}", ofa);
    free(ofa);
    json_decref(o);
    o = call(*state, "POST", "/api/v1/spaces/mbv3-tiny/architectures", "", body,
             200);
    assert_string_equal(text(o, "arch"), ARCH);
    json_decref(o);
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"arch\":5}",
                                      "{\"arch\":\"x\"}",
                                      "{\"ofa\":{}}",
                                      "{\"arch\":\"x\",\"ofa\":{}}",
                                      "{\"arch\":\"" ARCH "\",\"classes\":0}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        json_decref(call(*state, "POST",
                         "/api/v1/spaces/mbv3-tiny/architectures", "", bad[i],
                         400));
}

#define SMALL                                                                  \
    "{\"name\":\"small\",\"resolutions\":[28],"                                \
    "\"stem\":{\"width\":8,\"stride\":2},\"first\":{\"width\":8,\"stride\":1}" \
    ","                                                                        \
    "\"stages\":[{\"width\":16,\"stride\":%s,\"depth\":[1,2],"                 \
    "\"kernel\":[3,%s],\"expand\":[2,4]}],\"head\":{\"width\":%s}}"

/* A user's space: made, asked for, used, and no longer there. */
static void test_users_spaces(void **state)
{
    char body[1024], location[64];
    struct reply r;
    snprintf(body, sizeof body, SMALL, "2", "5", "32");
    request(*state, "POST", "/api/v1/spaces", "", body, &r);
    assert_int_equal(r.status, 201);
    snprintf(location, sizeof location, "%s", reply_header(&r, "Location"));
    assert_string_equal(location, "/api/v1/spaces/small");
    reply_close(&r);
    json_t *given = json_loads(body, 0, NULL);
    json_t *o = get(*state, location);
    assert_true(json_equal(json_object_get(o, "definition"), given));
    assert_false(json_is_true(json_object_get(o, "builtin")));
    assert_true(number(o, "architectures") == 4 + 16);
    json_decref(given);
    json_decref(o);
    json_decref(call(*state, "POST", "/api/v1/spaces", "", body, 409));
    json_decref(call(*state, "POST", "/api/v1/spaces/small/architectures", "",
                     "{\"arch\":\"r28.k35.e24\"}", 200));
    o = call(*state, "POST", "/api/v1/jobs?dry_run=true", "",
             "{\"dataset\":\"small\",\"space\":\"small\"}", 400);
    assert_string_equal(
        text(json_array_get(json_object_get(o, "errors"), 0), "pointer"),
        "/sparsenas/probes"); /* it has but 20 architectures */
    json_decref(o);
    json_decref(call(*state, "DELETE", location, "", "", 204));
    json_decref(call(*state, "GET", location, "", "", 404));
    json_decref(
        call(*state, "DELETE", "/api/v1/spaces/mbv3-tiny", "", "", 409));
}

/* Every built-in space can be written, made again under another name, and is
 * the same then. */
static void test_definitions(void **state)
{
    const struct sn_space *space;
    for (size_t i = 0; (space = sn_space_builtin(i)) != NULL; i++) {
        struct sn_problem problem = {0};
        struct sn_space again;
        json_t *o = sn_space_to_json(space);
        assert_true(sn_space_from_json(o, &again, &problem));
        json_t *same = sn_space_to_json(&again);
        assert_true(json_equal(o, same));
        json_decref(same);
        json_decref(o);
    }
}

static void test_impossible_spaces(void **state)
{
    static const struct {
        const char *stride, *kernel, *head, *pointer;
    } bad[] = {
        {"3", "5", "32", "/stages/0/stride"},
        {"2", "4", "32", "/stages/0/kernel/1"},
        {"2", "3", "32", "/stages/0/kernel/1"},
        {"2", "9", "32", "/stages/0/kernel/1"},
        {"2", "\"5\"", "32", "/stages/0/kernel/1"},
        {"2", "5", "0", "/head/width"},
        {"2", "5", "5000", "/head/width"},
        {"2", "5", "32,\"x\":1", "/head/x"},
        {"2", "5", "32,\"features\":-1", "/head/features"},
        {"2,\"coupling\":{\"expand\":[2]}", "5", "32",
         "/stages/0/coupling/expand"},
        {"2,\"coupling\":{\"expand\":[2,3]}", "5", "32",
         "/stages/0/coupling/expand/1"},
        {"2,\"activation\":\"tanh\"", "5", "32", "/stages/0/activation"},
    };
    char body[1024];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(body, sizeof body, SMALL, bad[i].stride, bad[i].kernel,
                 bad[i].head);
        json_t *o = call(*state, "POST", "/api/v1/spaces", "", body, 400);
        assert_string_equal(
            text(json_array_get(json_object_get(o, "errors"), 0), "pointer"),
            bad[i].pointer);
        json_decref(o);
    }
}

static void test_datasets(void **state)
{
    json_t *o = get(*state, "/api/v1/datasets");
    assert_string_equal(text(item(o, 0), "name"), "small");
    assert_true(number(item(o, 0), "train") == 6000);
    json_decref(o);
    json_decref(get(*state, "/api/v1/datasets/small"));
    json_decref(call(*state, "GET", "/api/v1/datasets/none", "", "", 404));
    json_decref(call(*state, "DELETE", "/api/v1/datasets/small", "", "", 204));
    o = call(*state, "POST", "/api/v1/datasets", "",
             "{\"name\":\"cut\",\"path\":\"/cut\"}", 400);
    assert_string_equal(
        text(json_array_get(json_object_get(o, "errors"), 0), "pointer"),
        "/path");
    json_decref(o);
    o = call(*state, "POST", "/api/v1/datasets", "",
             "{\"name\":\"../x\",\"path\":\"rel\",\"format\":\"png\",\"y\":1}",
             400);
    assert_int_equal(json_array_size(json_object_get(o, "errors")), 4);
    json_decref(o);
    o = call(*state, "POST", "/api/v1/datasets", "",
             "{\"name\":\"x\",\"path\":\"/x\",\"format\":\"png\"}", 400);
    json_t *error = json_array_get(json_object_get(o, "errors"), 0);
    assert_string_equal(text(error, "pointer"), "/format");
    assert_non_null(strstr(text(error, "detail"), "\"idx\", \"cifar10\""));
    json_decref(o);
}

static void test_meta(void **state)
{
    json_t *o = get(*state, "/api/v1/version");
    assert_string_equal(text(o, "version"), "1.2.3");
    json_decref(o);
    o = get(*state, "/api/v1/system");
    assert_true(number(o, "cpus") >= 1);
    assert_true(number(json_object_get(o, "disk"), "bytes") > 0);
    json_decref(o);
    json_decref(call(*state, "GET", "/metrics", "", "", 200));
    assert_non_null(strstr(last.body, "sparsenas_jobs{state=\"queued\"} 4\n"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit),
        cmocka_unit_test(test_submit_refusals),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_users_spaces),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_impossible_spaces),
        cmocka_unit_test(test_datasets),
        cmocka_unit_test(test_meta),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
