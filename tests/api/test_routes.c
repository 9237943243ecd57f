/* What a request line means: routes with 404, 405 and Allow, query strings,
 * who may ask, and problem bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "api/guard.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/router.h"

static void handle_a(struct sn_request *rq)
{
    (void)rq;
}
static void handle_b(struct sn_request *rq)
{
    (void)rq;
}
static void handle_file(struct sn_request *rq)
{
    (void)rq;
}

static const struct sn_route table[] = {
    {SN_GET, SN_PLACE_API, "/jobs", handle_a, NULL, 0, false},
    {SN_POST, SN_PLACE_API, "/jobs", handle_b, NULL, 10, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/architectures/{arch}", handle_a, NULL,
     0, false},
    {SN_DELETE, SN_PLACE_API, "/jobs/{job}", handle_b, NULL, 0, false},
    {SN_GET, SN_PLACE_BOTH, "/healthz", handle_b, NULL, 0, true},
    {SN_GET, SN_PLACE_FILES, "/", handle_file, NULL, 0, true},
};

static const struct {
    const char *method, *path;
    unsigned status;
    void (*handle)(struct sn_request *rq);
    const char *allow, *first, *second;
} cases[] = {
    {"GET", "/api/v1/jobs", 200, handle_a, "", "", ""},
    {"HEAD", "/api/v1/jobs", 200, handle_a, "", "", ""},
    {"POST", "/api/v1/jobs", 200, handle_b, "", "", ""},
    {"DELETE", "/api/v1/jobs", 405, NULL, "GET, HEAD, POST", "", ""},
    {"get", "/api/v1/jobs", 405, NULL, "GET, HEAD, POST", "", ""},
    {"GET", "/api/v1/jobs/a%2Fb", 405, NULL, "DELETE", "a/b", ""},
    {"DELETE", "/api/v1/jobs/x", 200, handle_b, "", "x", ""},
    {"DELETE", "/api/v1/jobs/%zz", 400, NULL, "", "", ""},
    {"DELETE", "/api/v1/jobs/%00", 400, NULL, "", "", ""},
    {"DELETE", "/api/v1/jobs/%2", 400, NULL, "", "", ""},
    {"GET", "/api/v1/jobs/", 404, NULL, "", "", ""},
    {"GET", "/api/v1/jobs/j/architectures/r28.k3", 200, handle_a, "", "j",
     "r28.k3"},
    {"GET", "/api/v1/jobs/j/architectures", 404, NULL, "", "", ""},
    {"GET", "/api/v1", 404, NULL, "", "", ""},
    {"GET", "/api/v1/nothing", 404, NULL, "", "", ""},
    {"GET", "/healthz", 200, handle_b, "", "", ""},
    {"GET", "/api/v1/healthz", 200, handle_b, "", "", ""},
    {"POST", "/healthz", 405, NULL, "GET, HEAD", "", ""},
    {"GET", "/", 200, handle_file, "", "", ""},
    {"GET", "/app.js", 200, handle_file, "", "", ""},
    {"GET", "/../../etc/passwd", 200, handle_file, "", "", ""},
    {"PUT", "/app.js", 405, NULL, "GET, HEAD", "", ""},
};

static void test_router(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sn_match m;
        unsigned status = sn_router_find(table, sizeof table / sizeof table[0],
                                         cases[i].method, cases[i].path, &m);
        if (status != cases[i].status ||
            (status == 405 && strcmp(m.allow, cases[i].allow) != 0) ||
            (status == 200 && m.route->handle != cases[i].handle) ||
            (status == 200 && strcmp(m.parameter[0], cases[i].first) != 0) ||
            (status == 200 && strcmp(m.parameter[1], cases[i].second) != 0))
            fail_msg("%s %s: %u, allow '%s', '%s', '%s'", cases[i].method,
                     cases[i].path, status, m.allow, m.parameter[0],
                     m.parameter[1]);
        assert_int_equal(m.head, strcmp(cases[i].method, "HEAD") == 0);
    }
}

static void test_long_segment(void **state)
{
    char path[SN_SEGMENT_MAX + 64] = "/api/v1/jobs/";
    struct sn_match m;
    memset(path + 13, 'a', SN_SEGMENT_MAX);
    assert_int_equal(sn_router_find(table, 6, "DELETE", path, &m), 400);
}

/* Every call that the API has can be reached, and names no more than fits. */
static void test_own_table(void **state)
{
    size_t n;
    const struct sn_route *routes = sn_routes(&n);
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    for (size_t i = 0; i < n; i++) {
        struct sn_match m;
        char path[256];
        if (routes[i].place == SN_PLACE_FILES)
            continue;
        snprintf(path, sizeof path, "/api/v1%s", routes[i].pattern);
        assert_int_equal(
            sn_router_find(routes, n, methods[routes[i].method], path, &m),
            200);
        assert_ptr_equal(m.route, &routes[i]);
    }
}

/* ---- queries ---- */

static const char *const colours[] = {"red", "green", NULL};
static const struct sn_parameter parameters[] = {
    {"limit", SN_PARAMETER_INT, 1, 1000, NULL},
    {"ms", SN_PARAMETER_NUMBER, 0, 10, NULL},
    {"dry", SN_PARAMETER_BOOL, 0, 0, NULL},
    {"colour", SN_PARAMETER_CHOICE, 0, 0, colours},
    {"text", SN_PARAMETER_TEXT, 0, 8, NULL},
    {NULL}};

static void test_query(void **state)
{
    struct sn_query q;
    struct sn_problem p = {0};
    assert_true(
        sn_query_parse("limit=7&ms=0.25&dry=true&&colour=red&text=a%2B+b",
                       parameters, &q, &p));
    assert_int_equal(sn_query_int(&q, "limit", 1), 7);
    assert_true(sn_query_number(&q, "ms", 1) == 0.25);
    assert_true(sn_query_bool(&q, "dry", false));
    assert_string_equal(sn_query_text(&q, "colour", ""), "red");
    assert_string_equal(sn_query_text(&q, "text", ""), "a+ b");
    assert_int_equal(sn_query_int(&q, "nothing", 42), 42);
    assert_true(sn_query_parse(NULL, NULL, &q, &p));
    assert_true(sn_query_parse("", NULL, &q, &p));
}

static void test_query_refusals(void **state)
{
    static const struct {
        const char *query, *where;
    } bad[] = {{"x=1", "x"},
               {"limit=1&limit=2", "limit"},
               {"limit=0", "limit"},
               {"limit=1001", "limit"},
               {"limit=", "limit"},
               {"limit", "limit"},
               {"limit=1x", "limit"},
               {"limit=%201", "limit"},
               {"limit=99999999999999999999", "limit"},
               {"ms=nan", "ms"},
               {"ms=inf", "ms"},
               {"ms=0x1", "ms"},
               {"ms=1e400", "ms"},
               {"ms=-1", "ms"},
               {"dry=1", "dry"},
               {"colour=blue", "colour"},
               {"text=123456789", "text"},
               {"text=%", "text"},
               {"text=%4", "text"},
               {"text=%00", "text"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sn_query q;
        struct sn_problem p = {0};
        bool good = sn_query_parse(bad[i].query, parameters, &q, &p);
        if (good || p.status != 400 || p.n < 1 || !p.item[0].is_parameter ||
            strcmp(p.item[0].where, bad[i].where) != 0)
            fail_msg("%s: %s", bad[i].query, good ? "taken" : p.detail);
    }
}

static void test_query_is_bounded(void **state)
{
    char text[8192];
    struct sn_query q;
    struct sn_problem p = {0};
    memset(text, 'a', sizeof text);
    memcpy(text, "text=", 5);
    text[sizeof text - 1] = '\0';
    assert_false(sn_query_parse(text, parameters, &q, &p));
}

/* ---- who may ask ---- */

static void test_origin(void **state)
{
    assert_null(sn_guard_origin("127.0.0.1:80", NULL, true));
    assert_null(sn_guard_origin("LocalHost", NULL, true));
    assert_null(sn_guard_origin("[::1]:8080", "http://[::1]:8080", true));
    assert_non_null(sn_guard_origin("evil.example", NULL, true));
    assert_non_null(sn_guard_origin("localhost.evil.example", NULL, true));
    assert_non_null(sn_guard_origin("localhost:80.evil", NULL, true));
    assert_non_null(sn_guard_origin("127.0.0.1.evil", NULL, true));
    assert_non_null(sn_guard_origin(NULL, NULL, true));
    assert_null(sn_guard_origin(NULL, NULL, false));
    assert_null(sn_guard_origin("nas:80", NULL, false));
    assert_null(sn_guard_origin("nas:80", "http://nas:80", false));
    assert_non_null(sn_guard_origin("nas:80", "http://evil", false));
    assert_non_null(sn_guard_origin("localhost", "null", true));
    assert_non_null(sn_guard_origin("localhost:1", "http://localhost:2", true));
}

static void test_token(void **state)
{
    assert_true(sn_guard_token(NULL, NULL));
    assert_true(sn_guard_token("secret", "Bearer secret"));
    assert_true(sn_guard_token("secret", "bearer secret"));
    assert_false(sn_guard_token("secret", NULL));
    assert_false(sn_guard_token("secret", "Bearer "));
    assert_false(sn_guard_token("secret", "Bearer secre"));
    assert_false(sn_guard_token("secret", "Bearer secrets"));
    assert_false(sn_guard_token("secret", "Bearer Secret"));
    assert_false(sn_guard_token("secret", "Basic secret"));
    assert_false(sn_guard_token("secret", "secret"));
}

/* ---- problems ---- */

static void test_problem(void **state)
{
    struct sn_problem p = {0};
    sn_problem_at(&p, "/a", "is wrong");
    sn_problem_at_parameter(&p, "b", "is odd: \xff");
    char *text = sn_problem_print(&p);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "type")),
                        "about:blank");
    assert_string_equal(json_string_value(json_object_get(o, "title")),
                        "Bad Request");
    assert_int_equal(json_integer_value(json_object_get(o, "status")), 400);
    const json_t *errors = json_object_get(o, "errors");
    assert_int_equal(json_array_size(errors), 2);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(errors, 0), "pointer")),
                        "/a");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(errors, 1), "detail")),
        "is odd: ?");
    json_decref(o);
    free(text);
}

static void test_statuses(void **state)
{
    struct sn_error err = {0};
    struct sn_problem p = {0};
    sn_error_set(&err, SN_ERR_NOTFOUND, "no job");
    sn_problem_from_error(&p, &err);
    assert_int_equal(p.status, 404);
    assert_string_equal(p.code, "not_found");
    memset(&p, 0, sizeof p);
    sn_error_at(&err, SN_ERR_NOTFOUND, "/space", "no space");
    sn_problem_from_error(&p, &err);
    assert_int_equal(p.status, 400);
    assert_string_equal(p.item[0].where, "/space");
    assert_int_equal(sn_problem_status(SN_ERR_CONFLICT), 409);
    assert_int_equal(sn_problem_status(SN_ERR_TOOLARGE), 413);
    assert_int_equal(sn_problem_status(SN_ERR_DISKFULL), 507);
    assert_int_equal(sn_problem_status((enum sn_err)99), 500);
    for (int i = 1; i < SN_ERR_COUNT; i++)
        assert_true(sn_problem_status((enum sn_err)i) >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router),
        cmocka_unit_test(test_long_segment),
        cmocka_unit_test(test_own_table),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_refusals),
        cmocka_unit_test(test_query_is_bounded),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
