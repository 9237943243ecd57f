#include "tests/bench/peak.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/peak_loops.h"
#include "tests/bench/timing.h"

#define SLICE_S 0.001
enum { MAX_THREADS = 64, TURNS = 20000 };

/* ---- the loops ---- */

struct loop {
    const char *isa;
    double (*run)(long turns);
};

static struct loop loop_of(enum bench_peak_kind kind)
{
#ifdef PEAK_X86_64
    __builtin_cpu_init();
    if (kind == BENCH_PEAK_BF16)
        return __builtin_cpu_supports("avx512bf16")
                   ? (struct loop){"avx512_bf16", bench_peak_loop_bf16}
                   : (struct loop){NULL, NULL};
    if (__builtin_cpu_supports("avx512f"))
        return (struct loop){"avx512", bench_peak_loop_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct loop){"avx2", bench_peak_loop_avx2};
#endif
    if (kind == BENCH_PEAK_F32)
        return (struct loop){"portable", bench_peak_loop_portable};
    return (struct loop){NULL, NULL};
}

const char *bench_peak_isa(enum bench_peak_kind kind)
{
    return loop_of(kind).isa;
}

/* ---- threads that work at the same time ---- */

struct job {
    pthread_t thread;
    pthread_barrier_t *start;
    int index, threads;
    double seconds;
    double (*loop)(long turns); /* NULL: copy */
    char *from, *to;
    size_t bytes;
    double rate; /* the answer: operations or bytes a second */
};

static void pin(int index, int threads)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
        threads > CPU_COUNT(&allowed))
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || index-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

/* One piece of work, in operations or bytes. */
static double piece(const struct job *j)
{
    if (j->loop)
        return j->loop(TURNS);
    memcpy(j->to, j->from, j->bytes);
    __asm__ volatile("" : : "r"(j->to) : "memory");
    return 2.0 * (double)j->bytes;
}

/* The best of short slices: one that nobody disturbed is among them, also on a
 * machine that is busy. */
static void *work(void *arg)
{
    struct job *j = arg;
    pin(j->index, j->threads);
    if (!j->loop) { /* touched by the thread that copies */
        memset(j->from, 1, j->bytes);
        memset(j->to, 2, j->bytes);
    }
    piece(j);
    pthread_barrier_wait(j->start);
    const double end = bench_now() + j->seconds;
    for (double now = 0; now < end;) {
        double from = bench_now(), done = 0;
        do {
            done += piece(j);
            now = bench_now();
        } while (now - from < SLICE_S);
        if (done / (now - from) > j->rate)
            j->rate = done / (now - from);
    }
    return NULL;
}

/* The rates' sum; a thread that cannot be made leaves 0. */
static double together(struct job *job, int threads)
{
    pthread_barrier_t start;
    double sum = 0;
    int made = 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        job[i].start = &start;
        job[i].index = i;
        job[i].threads = threads;
        if (pthread_create(&job[i].thread, NULL, work, &job[i]) != 0)
            abort(); /* the others wait at the barrier for ever */
        made++;
    }
    for (int i = 0; i < made; i++) {
        pthread_join(job[i].thread, NULL);
        sum += job[i].rate;
    }
    pthread_barrier_destroy(&start);
    return sum;
}

double bench_peak_gflops(enum bench_peak_kind kind, int threads, double seconds)
{
    struct job job[MAX_THREADS] = {0};
    const struct loop loop = loop_of(kind);
    if (!loop.run || threads < 1 || threads > MAX_THREADS)
        return 0;
    for (int i = 0; i < threads; i++) {
        job[i].seconds = seconds;
        job[i].loop = loop.run;
    }
    return together(job, threads) / 1e9;
}

double bench_peak_copy_gbs(size_t bytes, int threads, double seconds)
{
    struct job job[MAX_THREADS] = {0};
    if (threads < 1 || threads > MAX_THREADS)
        return 0;
    const size_t share = bytes / (size_t)threads / 64 * 64;
    char *from = aligned_alloc(64, share * (size_t)threads);
    char *to = aligned_alloc(64, share * (size_t)threads);
    double gbs = 0;
    if (from && to) {
        for (int i = 0; i < threads; i++) {
            job[i].seconds = seconds;
            job[i].from = from + share * (size_t)i;
            job[i].to = to + share * (size_t)i;
            job[i].bytes = share;
        }
        gbs = together(job, threads) / 1e9;
    }
    free(from);
    free(to);
    return gbs;
}
