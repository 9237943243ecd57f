/* Latencies: the statistics on timings made up here, measuring of whole
 * networks (that it counts, stops and keeps apart what is of different size),
 * and the host's fingerprint. No absolute time is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/device/host.h"
#include "engine/device/latency.h"
#include "engine/space/plan.h"

static void test_statistics_by_hand(void **state)
{
    double odd[] = {5, 1, 100, 3, 2}, even[] = {4, 2}, one[] = {7};
    struct sn_latency l;
    sn_latency_stats(odd, 5, &l);
    assert_true(l.median_ns == 3 && l.min_ns == 1 && l.samples == 5);
    assert_true(l.spread_ns == 2); /* of 0 1 2 2 97 */
    assert_true(l.low_ns == 1 && l.high_ns == 100);
    sn_latency_stats(even, 2, &l);
    assert_true(l.median_ns == 3 && l.spread_ns == 1);
    sn_latency_stats(one, 1, &l);
    assert_true(l.median_ns == 7 && l.low_ns == 7 && l.high_ns == 7);
    assert_true(l.spread_ns == 0);
}

/* A quarter of the runs disturbed: the median hardly moves. */
static void test_disturbed_runs(void **state)
{
    enum { N = 400 };
    double ns[N];
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_latency l;
    for (int i = 0; i < N; i++)
        ns[i] = (i % 4 ? 1000 : 20000) + 10 * sn_rng_uniform(&rng);
    sn_latency_stats(ns, N, &l);
    assert_true(l.median_ns > 1000 && l.median_ns < 1010);
    assert_true(l.low_ns <= l.median_ns && l.median_ns <= l.high_ns);
    assert_true(l.high_ns < 1010 && l.spread_ns < 10);
}

/* The interval holds the true median in about 95 of 100 trials. */
static void test_interval_coverage(void **state)
{
    static const int sizes[] = {20, 50, 200};
    for (size_t s = 0; s < 3; s++) {
        int held = 0;
        for (uint32_t trial = 0; trial < 1000; trial++) {
            double ns[200];
            struct sn_latency l;
            struct sn_rng rng = sn_rng_make(2, SN_STREAM_TEST, trial);
            for (int i = 0; i < sizes[s]; i++) {
                double u = sn_rng_uniform(&rng);
                ns[i] = 100 + u * u * u; /* skewed; median 100.125 */
            }
            sn_latency_stats(ns, (size_t)sizes[s], &l);
            held += l.low_ns <= 100.125 && 100.125 <= l.high_ns;
        }
        assert_in_range(held, 930, 1000);
    }
}

/* ---- measuring ---- */

struct lab {
    struct sn_compute *compute;
    struct sn_cx *cx;
    struct sn_static *net[2]; /* smallest and largest of mbv3-tiny */
};

static void lab_open(struct lab *lab)
{
    const struct sn_space *space = sn_space_find("mbv3-tiny");
    struct sn_arch arch;
    struct sn_plan plan;
    struct sn_error err;
    assert_int_equal(sn_compute_new(NULL, &lab->compute, &err), SN_OK);
    assert_int_equal(sn_cx_new(lab->compute, &lab->cx, &err), SN_OK);
    for (int i = 0; i < 2; i++) {
        (i ? sn_arch_largest : sn_arch_smallest)(space, &arch);
        sn_plan_make(space, &arch, 1, 10, &plan);
        assert_int_equal(
            sn_static_new_random(lab->compute, &plan, 1, &lab->net[i], &err),
            SN_OK);
    }
}

static void lab_close(struct lab *lab)
{
    sn_static_free(lab->net[0]);
    sn_static_free(lab->net[1]);
    sn_cx_free(lab->cx);
    sn_compute_free(lab->compute);
}

static enum sn_err measure(const struct lab *lab,
                           const struct sn_latency_budget *budget,
                           const atomic_bool *stop, struct sn_latency ret[2],
                           struct sn_error *err)
{
    const struct sn_static *net[2] = {lab->net[0], lab->net[1]};
    return sn_latency_measure(lab->cx, net, 2, budget, stop, ret, err);
}

static void test_measuring(void **state)
{
    const struct sn_latency_budget budget = {
        .warmup_ms = 5, .measure_ms = 60, .max_samples = 200};
    struct lab lab;
    struct sn_latency l[2];
    struct sn_error err;
    lab_open(&lab);
    assert_int_equal(measure(&lab, &budget, NULL, l, &err), SN_OK);
    for (int i = 0; i < 2; i++) {
        assert_in_range(l[i].samples, 15, 200);
        assert_true(0 < l[i].min_ns && l[i].min_ns <= l[i].low_ns);
        assert_true(l[i].low_ns <= l[i].median_ns);
        assert_true(l[i].median_ns <= l[i].high_ns);
    }
    /* five times the work */
    assert_true(l[0].min_ns < l[1].min_ns);
    lab_close(&lab);
}

static void test_at_least_and_at_most(void **state)
{
    const struct sn_latency_budget budget = {.warmup_ms = 0.001,
                                             .measure_ms = 0.001,
                                             .rounds = 4,
                                             .min_samples = 10,
                                             .max_samples = 12};
    struct lab lab;
    struct sn_latency l[2];
    struct sn_error err;
    lab_open(&lab);
    assert_int_equal(measure(&lab, &budget, NULL, l, &err), SN_OK);
    assert_in_range(l[0].samples, 10, 12);
    assert_in_range(l[1].samples, 10, 12);
    lab_close(&lab);
}

static void test_stopping(void **state)
{
    atomic_bool stop = true;
    struct lab lab;
    struct sn_latency l[2] = {{.samples = 77}, {.samples = 77}};
    struct sn_error err;
    lab_open(&lab);
    assert_int_equal(measure(&lab, NULL, &stop, l, &err), SN_ERR_STOPPED);
    assert_int_equal(l[0].samples, 77); /* untouched */
    lab_close(&lab);
}

static void test_fingerprint(void **state)
{
    struct sn_compute *compute = NULL;
    struct sn_host host, other;
    struct sn_error err;
    char print[SN_FINGERPRINT_MAX];
    assert_int_equal(sn_compute_new(NULL, &compute, &err), SN_OK);
    sn_host_read(compute, &host);
    assert_true(host.cpu[0] != '\0' && host.cpus >= 1 && host.threads == 1);
    assert_string_equal(host.isa, sn_compute_isa(compute));
    assert_non_null(strstr(host.runtime, "oneDNN"));
    sn_host_fingerprint(&host, print);
    assert_null(strchr(print, '\n'));
    assert_false(sn_host_stale(&host, print));
    assert_true(sn_host_stale(&host, NULL));
    assert_true(sn_host_stale(&host, ""));

    other = host;
    other.cpus++;
    assert_true(sn_host_stale(&other, print));
    other = host;
    snprintf(other.isa, sizeof(other.isa), "another");
    assert_true(sn_host_stale(&other, print));
    other = host;
    snprintf(other.runtime, sizeof(other.runtime), "oneDNN 9.9");
    assert_true(sn_host_stale(&other, print));
    other = host;
    snprintf(other.cpu, sizeof(other.cpu), "Another CPU");
    assert_true(sn_host_stale(&other, print));
    sn_compute_free(compute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_by_hand),
        cmocka_unit_test(test_disturbed_runs),
        cmocka_unit_test(test_interval_coverage),
        cmocka_unit_test(test_measuring),
        cmocka_unit_test(test_at_least_and_at_most),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
