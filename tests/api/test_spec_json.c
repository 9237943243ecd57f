/* Specs from and to JSON: all fields survive the way through text bit for bit,
 * and every kind of refusal names the place, all of them at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/problem.h"
#include "api/spec_json.h"

/* A value of a field that is not its default, within its range. */
static void change_field(const struct sn_field *f, struct sn_spec *spec)
{
    char *at = (char *)spec + f->offset;
    double middle = f->min + (f->max - f->min) / 3;
    switch (f->type) {
    case SN_FIELD_STRING:
        strcpy(at, "x\"\\/\n\xc3\xa9");
        break;
    case SN_FIELD_INT:
        *(int32_t *)(void *)at = (int32_t)middle + 1;
        break;
    case SN_FIELD_INT64:
        *(int64_t *)(void *)at = 9007199254740991;
        break;
    case SN_FIELD_DOUBLE:
        *(double *)(void *)at = middle;
        break;
    case SN_FIELD_BOOL:
        *(bool *)(void *)at = f->initial == 0;
        break;
    case SN_FIELD_ENUM:
        *(int32_t *)(void *)at = 1;
        break;
    case SN_FIELD_COSTS:
        *(int32_t *)(void *)at = 1 << SN_COST_PARAMS | 1 << SN_COST_PEAK_MEMORY;
        break;
    case SN_FIELD_TARGETS:
        *(struct sn_targets *)(void *)at =
            (struct sn_targets){.n = 3, .bound = {10, 100.0 / 3, 200}};
        break;
    case SN_FIELD_ARCHS:
        spec->sparsenas.veto.n = 2;
        strcpy(spec->sparsenas.veto.id[0], "r28.k3-3-3-3-3.e2-2-2-2-3");
        strcpy(spec->sparsenas.veto.id[1], "r28.k5-3-3-3-3.e2-2-2-2-3");
        break;
    }
}

static void test_round_trip(void **state)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    struct sn_spec spec, back;
    struct sn_error err = {0};
    char *labels = NULL;
    sn_spec_defaults(&spec);
    for (size_t i = 0; i < n; i++)
        change_field(&fields[i], &spec);
    char *text = sn_spec_print(&spec, "{\"team\":\"vision\"}");
    assert_non_null(text);
    memset(&back, 0x55, sizeof back);
    assert_int_equal(sn_spec_parse(text, &back, &labels, &err), SN_OK);
    assert_string_equal(labels, "{\"team\":\"vision\"}");
    for (size_t i = 0; i < n; i++) {
        const struct sn_field *f = &fields[i];
        const char *a = (const char *)&spec + f->offset;
        const char *b = (const char *)&back + f->offset;
        bool same = f->type == SN_FIELD_STRING ? strcmp(a, b) == 0
                                               : memcmp(a, b, f->size) == 0;
        if (!same)
            fail_msg("%s does not survive", f->pointer);
    }
    assert_int_equal(back.search.latency_ms.n, 3);
    assert_false(back.search.latency_ms.automatic);
    free(text);
    free(labels);
}

static void test_defaults(void **state)
{
    struct sn_spec spec, defaults;
    assert_int_equal(sn_spec_parse("{\"dataset\":\"d\"}", &spec, NULL, NULL),
                     SN_OK);
    sn_spec_defaults(&defaults);
    strcpy(defaults.dataset, "d");
    sn_spec_give(&defaults, 1); /* the data set's field */
    assert_memory_equal(&spec, &defaults, sizeof spec);
}

static const struct {
    const char *body, *pointer;
} refused[] = {
    {"{\"dataset\":\"d\",\"epoch\":1}", "/epoch"},
    {"{\"dataset\":\"d\",\"train\":{\"lr\":1}}", "/train/lr"},
    {"{\"dataset\":\"d\",\"train\":5}", "/train"},
    {"{\"dataset\":\"d\",\"batch_size\":5}", "/batch_size"},
    {"{\"dataset\":\"d\",\"epochs\":\"1\"}", "/epochs"},
    {"{\"dataset\":\"d\",\"epochs\":-1}", "/epochs"},
    {"{\"dataset\":\"d\",\"epochs\":1e300}", "/epochs"},
    {"{\"dataset\":\"d\",\"seed\":1.5}", "/seed"},
    {"{\"dataset\":\"d\",\"seed\":9007199254740993}", "/seed"},
    {"{\"dataset\":\"d\",\"train\":{\"workers\":true}}", "/train/workers"},
    {"{\"dataset\":\"d\",\"train\":{\"flip\":1}}", "/train/flip"},
    {"{\"dataset\":\"d\",\"strategy\":\"best\"}", "/strategy"},
    {"{\"dataset\":\"d\",\"strategy\":0}", "/strategy"},
    {"{\"dataset\":\"\"}", "/dataset"},
    {"{\"dataset\":7}", "/dataset"},
    {"{}", "/dataset"},
    {"{\"dataset\":\"d\",\"search\":{\"costs\":[]}}", "/search/costs"},
    {"{\"dataset\":\"d\",\"search\":{\"costs\":[\"macs\",\"x\"]}}",
     "/search/costs/1"},
    {"{\"dataset\":\"d\",\"search\":{\"costs\":[\"macs\",\"macs\"]}}",
     "/search/costs/1"},
    {"{\"dataset\":\"d\",\"search\":{\"latency_ms\":3}}", "/search/latency_ms"},
    {"{\"dataset\":\"d\",\"search\":{\"latency_ms\":[]}}",
     "/search/latency_ms"},
    {"{\"dataset\":\"d\",\"search\":{\"macs\":[1e6,\"x\"]}}", "/search/macs/1"},
    {"{\"dataset\":\"d\",\"search\":{\"latency_ms\":[1,-1]}}",
     "/search/latency_ms/1"},
    {"{\"dataset\":\"d\",\"search\":{\"latency_ms\":[1,2,3,4,5,6,7,8,9]}}",
     "/search/latency_ms"},
    {"{\"dataset\":\"d\",\"sparsenas\":{\"veto\":\"r28\"}}", "/sparsenas/veto"},
    {"{\"dataset\":\"d\",\"sparsenas\":{\"veto\":[\"r28\",\"\"]}}",
     "/sparsenas/veto/1"},
    {"{\"dataset\":\"d\",\"sparsenas\":{\"filter\":\"best\"}}",
     "/sparsenas/filter"},
    {"{\"dataset\":\"d\",\"labels\":[]}", "/labels"},
    {"{\"dataset\":\"d\",\"labels\":{\"a/b\":1}}", "/labels/a~1b"},
    {"{\"dataset\":\"d\",\"labels\":{\"\":\"x\"}}", "/labels/"},
    {"[]", ""},
    /* what is no JSON at all */
    {"{\"dataset\":\"d\",\"train\":{\"workers\":1,\"workers\":2}}",
     "/train/workers"},
    {"{\"dataset\":\"d\",\"train\":{\"workers\":", "/train/workers"},
    {"{\"dataset\":\"d", "/dataset"},
    {"{\"dataset\":\"d\\u0000\"}", "/dataset"},
    {"{\"dataset\":\"\xff\"}", "/dataset"},
    {"{\"dataset\":\"d\"} x", ""},
    {"{\"train\":[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]}",
     "/train/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"},
    {"", ""},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct sn_problem p = {0};
        struct sn_spec spec;
        char *labels = NULL;
        json_t *body =
            sn_json_load(refused[i].body, strlen(refused[i].body), &p);
        bool good = body != NULL && sn_spec_from_json(body, &spec, &labels, &p);
        if (good || p.status != 400 || p.n != 1 ||
            strcmp(p.item[0].where, refused[i].pointer) != 0)
            fail_msg("%s: %s, status %u, %zu items, first at '%s'",
                     refused[i].body, good ? "taken" : "refused", p.status, p.n,
                     p.n > 0 ? p.item[0].where : "");
        json_decref(body);
    }
}

static void test_all_errors_at_once(void **state)
{
    struct sn_problem p = {0};
    struct sn_spec spec;
    char *labels = NULL;
    json_t *body = json_pack("{s:i,s:{s:i,s:s},s:{s:b}}", "epochs", -1, "train",
                             "batch_size", 1, "lr", "x", "labels", "k", 1);
    assert_false(sn_spec_from_json(body, &spec, &labels, &p));
    assert_int_equal(p.n, 5); /* with the missing data set */
    json_decref(body);

    body = json_object();
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        json_object_set_new(body, name, json_null());
    }
    memset(&p, 0, sizeof p);
    assert_false(sn_spec_from_json(body, &spec, &labels, &p));
    assert_int_equal(p.n, SN_PROBLEM_ITEMS);
    assert_true(p.more);
    json_decref(body);
}

static void test_label_count(void **state)
{
    for (int n = SN_LABELS_MAX; n <= SN_LABELS_MAX + 1; n++) {
        struct sn_problem p = {0};
        struct sn_spec spec;
        char *labels = NULL;
        json_t *body = json_pack("{s:s,s:{}}", "dataset", "d", "labels");
        for (int i = 0; i < n; i++) {
            char name[16];
            snprintf(name, sizeof name, "k%d", i);
            json_object_set_new(json_object_get(body, "labels"), name,
                                json_string("v"));
        }
        assert_int_equal(sn_spec_from_json(body, &spec, &labels, &p),
                         n <= SN_LABELS_MAX);
        free(labels);
        json_decref(body);
    }
}

static void test_parse_names_the_field(void **state)
{
    struct sn_error err = {0};
    struct sn_spec spec;
    assert_int_equal(
        sn_spec_parse("{\"dataset\":\"d\",\"epochs\":-1}", &spec, NULL, &err),
        SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/epochs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_label_count),
        cmocka_unit_test(test_parse_names_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
