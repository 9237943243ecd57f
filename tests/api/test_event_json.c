/* Reports as JSON: numbers that are not known are null, whole numbers have no
 * point, doubles read back the same; progress survives storage; intervals are
 * Wilson's; thinned curves keep their ends and peaks; Once-for-All's form of an
 * architecture comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/arch_json.h"
#include "api/curve.h"
#include "api/event_json.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/stats.h"
#include "engine/rng.h"

static void assert_text(char *text, const char *want)
{
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void test_small_ones(void **state)
{
    struct sn_phase_report phase = {SN_PHASE_TRAIN, "train", 5, 8};
    assert_text(sn_json_phase(&phase),
                "{\"kind\":\"train\",\"name\":\"train\",\"index\":5,\"of\":8}");
    assert_text(sn_json_series("loss", 12, 0.1, NAN),
                "{\"name\":\"loss\",\"step\":12,\"epoch\":0.1,\"value\":null}");
    assert_text(sn_json_series("loss", 12, NAN, 2),
                "{\"name\":\"loss\",\"step\":12,\"epoch\":null,\"value\":2}");
    assert_text(sn_json_log(SN_LOG_WARN, "a \"b\"\n\xff\x01"),
                "{\"level\":\"warn\",\"text\":\"a \\\"b\\\"\\n?\\u0001\"}");
    assert_text(
        sn_json_job_state(SN_JOB_PAUSED, NULL, "user"),
        "{\"state\":\"paused\",\"reason\":null,\"paused_by\":\"user\"}");
    assert_text(sn_json_checkpoint(7, "train", "0011223344556677", 99),
                "{\"step\":7,\"phase\":\"train\",\"xxh3\":\"0011223344556677\","
                "\"bytes\":99}");
}

static struct sn_evaluation an_evaluation(void)
{
    struct sn_evaluation e = {.arch = "r28.k3",
                              .stage = SN_STAGE_FINAL,
                              .split = SN_SPLIT_HOLDOUT,
                              .step = 9,
                              .images = 1000,
                              .correct = 912,
                              .accuracy = 0.912,
                              .predicted = NAN,
                              .cost = {1900000, 91000, 123456},
                              .latency = {NAN, NAN, NAN, NAN}};
    return e;
}

static void test_evaluation(void **state)
{
    struct sn_evaluation e = an_evaluation();
    assert_text(
        sn_json_evaluation(&e),
        "{\"arch\":\"r28.k3\",\"stage\":\"final\",\"split\":\"holdout\","
        "\"step\":9,\"images\":1000,\"accuracy\":0.912,"
        "\"ci\":[0.8928277489502235,0.9280190020576792],"
        "\"predicted\":null,\"selected\":false,\"macs\":1900000,"
        "\"params\":91000,\"peak_memory\":123456,\"latency_ms\":null}");
}

static void test_answer_and_front(void **state)
{
    struct sn_answer a = {.cost = SN_COST_LATENCY,
                          .bound = 0.25,
                          .found = true,
                          .best = an_evaluation(),
                          .test_accuracy = 0.5,
                          .test_images = 100,
                          .test_correct = 50};
    char *text = sn_json_answer(1, 3, &a);
    json_t *o = json_loads(text, 0, NULL);
    const json_t *test = json_object_get(o, "test_accuracy");
    assert_true(json_number_value(json_object_get(test, "value")) == 0.5);
    assert_int_equal(json_array_size(json_object_get(test, "ci")), 2);
    json_decref(o);
    free(text);
    a.test_accuracy = NAN;
    a.test_images = 0;
    text = sn_json_answer(0, 1, &a);
    assert_non_null(strstr(text, "\"test_accuracy\":null"));
    free(text);
    struct sn_front_report f = {
        .cost = SN_COST_MACS, .as_of_step = 4, .n = 1, .items = &a.best};
    text = sn_json_front(&f);
    char *items = sn_json_front_items(&f);
    assert_non_null(strstr(text, items));
    assert_true(items[0] == '[');
    free(text);
    free(items);
}

static void test_predictor_and_subspace(void **state)
{
    struct sn_predictor_report p = {
        .kind = SN_PREDICTOR_MLP,
        .quality = {.tau = {0.5, 0.4, NAN}, .tau_within = {0.25, 0.125, 0.5}},
        .contest = {.entered = {true, true}, .tau = {0.25, 0.5}},
        .signal = {.within = {.spread = 0.125, .real = true}},
        .n_bands = 1,
        .bands = &(struct sn_quality_band){1.5, 2.5, {.n = 9}}};
    char *text = sn_json_predictor(&p);
    assert_non_null(strstr(text, "\"tau\":0.5,\"tau_ci\":null"));
    assert_non_null(
        strstr(text, "\"tau_within\":0.25,\"tau_within_ci\":[0.125,0.5]"));
    assert_non_null(strstr(text, "{\"macs_lo\":1.5,\"macs_hi\":2.5,\"n\":9"));
    assert_non_null(strstr(text, "{\"kind\":\"ridge\",\"tau\":0.25"));
    assert_non_null(strstr(text, "\"within\":{\"spread\":0.125"));
    free(text);
    struct sn_outcome_report held = {
        .n = 24, .measured_tau = 0.5, .top = 5, .kept = 7, .top_kept = 3};
    for (int filtered = 0; filtered < 2; filtered++) {
        held.filtered = filtered != 0;
        text = sn_json_outcome(&held);
        assert_non_null(strstr(text, "\"measured\":{\"tau\":0.5"));
        assert_non_null(
            strstr(text, filtered ? "\"top_kept\":3" : "\"top_kept\":null"));
        free(text);
    }
    struct sn_band_report bands[2] = {{.kept = 3}, {.kept = 4}};
    struct sn_subspace_report s = {.size = 7, .n_bands = 2, .bands = bands};
    text = sn_json_subspace(&s);
    json_t *o = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(o, "bands")), 2);
    json_decref(o);
    free(text);
}

static void test_progress_comes_back(void **state)
{
    struct sn_progress p = {.phase = {SN_PHASE_PROBE, "probe", 2, 7},
                            .fraction = 1.0 / 3,
                            .eta_s = NAN,
                            .images_per_s = 12345.678,
                            .epoch = 1.8,
                            .step = 123456789};
    struct sn_progress back;
    p.cost[SN_PHASE_WARMUP] = (struct sn_phase_cost){1, 2.5, 3e9, 4e12};
    char *progress = sn_json_progress(&p), *cost = sn_json_cost(p.cost);
    assert_int_equal(sn_json_read_progress(progress, cost, &back, NULL), SN_OK);
    assert_true(isnan(back.eta_s));
    assert_true(back.fraction == p.fraction);
    assert_true(back.step == p.step);
    assert_int_equal(back.phase.kind, SN_PHASE_PROBE);
    assert_string_equal(back.phase.name, "probe");
    assert_memory_equal(back.cost, p.cost, sizeof p.cost);
    free(progress);
    free(cost);
    assert_int_equal(sn_json_read_progress("", NULL, &back, NULL), SN_OK);
    assert_int_equal(sn_json_read_progress("[", "", &back, NULL),
                     SN_ERR_CORRUPT);
}

static void test_doubles_read_back(void **state)
{
    struct sn_rng r = sn_rng_make(1, SN_STREAM_TEST, 0);
    for (int i = 0; i < 2000; i++) {
        double value =
            sn_rng_normal(&r) * pow(10, (int)sn_rng_below(&r, 40) - 20);
        json_t *o = json_real(value);
        char *text = sn_json_dump(o);
        assert_true(strtod(text, NULL) == value);
        free(text);
        json_decref(o);
    }
    json_t *tenth = json_real(0.1);
    assert_text(sn_json_dump(tenth), "0.1");
    json_decref(tenth);
    assert_null(sn_json_dump(NULL));
}

static void test_wilson(void **state)
{
    double lo, hi;
    sn_stats_wilson(912, 1000, &lo, &hi);
    assert_true(fabs(lo - 0.892836) < 1e-5 && fabs(hi - 0.928011) < 1e-5);
    sn_stats_wilson(0, 10, &lo, &hi);
    assert_true(lo < 1e-12 && fabs(hi - 0.277533) < 1e-5);
    sn_stats_wilson(10, 10, &lo, &hi);
    assert_true(fabs(lo - 0.722467) < 1e-5 && hi > 1 - 1e-12);
    /* method 3 of table I in R. G. Newcombe, Statistics in Medicine 17 (1998)
     */
    static const struct {
        double correct, n, lo, hi;
    } table[] = {
        {81, 263, 0.2553, 0.3662},
        {15, 148, 0.0624, 0.1605},
        {0, 20, 0, 0.1611},
        {1, 29, 0.0061, 0.1718},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        sn_stats_wilson(table[i].correct, table[i].n, &lo, &hi);
        assert_true(fabs(lo - table[i].lo) < 5.1e-5);
        assert_true(fabs(hi - table[i].hi) < 5.1e-5);
    }
    json_t *none[] = {sn_json_accuracy_ci(5, 10, true),
                      sn_json_accuracy_ci(5, 0, false),
                      sn_json_accuracy_ci(-1, 10, false)};
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_is_null(none[i]));
        json_decref(none[i]);
    }
    json_t *ci = sn_json_accuracy_ci(81, 263, false);
    assert_int_equal(json_array_size(ci), 2);
    json_decref(ci);
}

static void test_curve(void **state)
{
    struct sn_curve c = {0};
    for (int i = 0; i < 10000; i++)
        assert_true(sn_curve_add(&c, i, i, i == 5003 ? 100 : i * 1e-4));
    assert_true(sn_curve_add(&c, 10000, 0, NAN));
    assert_int_equal(c.n, 10000);
    sn_curve_thin(&c, 50);
    assert_int_equal(c.n, 50);
    assert_int_equal(c.point[0].step, 0);
    assert_int_equal(c.point[49].step, 9999);
    bool peak = false;
    for (size_t i = 1; i < c.n; i++) {
        assert_true(c.point[i].step > c.point[i - 1].step);
        peak |= c.point[i].step == 5003;
    }
    assert_true(peak);
    sn_curve_thin(&c, 2);
    assert_int_equal(c.point[1].step, 9999);
    sn_curve_close(&c);
}

static void test_ofa_form(void **state)
{
    struct sn_rng r = sn_rng_make(2, SN_STREAM_TEST, 0);
    const struct sn_space *space;
    for (size_t i = 0; (space = sn_space_builtin(i)) != NULL; i++) {
        struct sn_limits all;
        sn_limits_all(space, &all);
        for (int j = 0; j < 50; j++) {
            struct sn_arch arch, back;
            struct sn_problem p = {0};
            sn_arch_sample(space, &all, &r, &arch);
            json_t *ofa = sn_arch_to_ofa(space, &arch);
            assert_true(sn_arch_from_ofa(space, ofa, "/ofa", &back, &p));
            assert_true(sn_arch_equal(&arch, &back));
            bool resnet = space->family == SN_FAMILY_RESNET;
            json_array_remove(json_object_get(ofa, resnet ? "w" : "ks"), 0);
            assert_false(sn_arch_from_ofa(space, ofa, "/ofa", &back, &p));
            assert_string_equal(p.item[0].where, resnet ? "/ofa/w" : "/ofa/ks");
            json_decref(ofa);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_answer_and_front),
        cmocka_unit_test(test_predictor_and_subspace),
        cmocka_unit_test(test_progress_comes_back),
        cmocka_unit_test(test_doubles_read_back),
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_ofa_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
