#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/run/small_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROWS = 4096 };

/* As the program's first run on a space measured them; later ones need not. */
static struct {
    char space[SN_NAME_MAX];
    char fingerprint[256];
    struct sn_latency_row rows[MAX_ROWS];
    uint32_t n;
} latencies;

static void on_phase(void *arg, const struct sn_phase_report *p)
{
    struct sn_small_job *j = arg;
    assert_true(j->visits < SN_SMALL_JOB_VISITS && p->index < p->of);
    j->visit[j->visits++] = p->kind;
    if (j->stop_at == SN_STOP_AT_PHASE && p->kind == j->stop_phase)
        atomic_store(&j->stop, 1);
}

static void on_progress(void *arg, const struct sn_progress *p)
{
    struct sn_small_job *j = arg;
    assert_true(p->fraction >= 0 && p->fraction <= 1 + 1e-9);
    j->fraction = p->fraction;
}

static void on_series(void *arg, const char *name, uint64_t step, double epoch,
                      double value)
{
    struct sn_small_job *j = arg;
    j->n_series++;
    if (strcmp(name, "loss") == 0 && j->stop_at == SN_STOP_AT_STEP &&
        step == (uint64_t)j->stop_n)
        atomic_store(&j->stop, 1);
}

/* A resumed job may report again what it measured before: then the same. */
static void keep_final(struct sn_small_job *j, const struct sn_evaluation *e)
{
    for (int i = 0; i < j->n_final; i++)
        if (strcmp(j->final[i].arch, e->arch) == 0) {
            assert_int_equal(j->final[i].correct, e->correct);
            return;
        }
    assert_true(j->n_final < SN_SMALL_JOB_FINAL);
    j->final[j->n_final++] = *e;
}

static void on_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct sn_small_job *j = arg;
    assert_true(e->images > 0 && e->correct <= e->images);
    j->last[e->stage][e->split] = *e;
    if (e->stage == SN_STAGE_EARLY && ++j->n_early == j->stop_n &&
        j->stop_at == SN_STOP_AT_EARLY)
        atomic_store(&j->stop, 1);
    if (e->stage == SN_STAGE_VERIFY)
        j->n_verify++;
    if (e->stage == SN_STAGE_EARLY)
        j->early = *e;
    if (e->stage != SN_STAGE_FINAL)
        return;
    keep_final(j, e);
    if (j->stop_at == SN_STOP_AT_FINAL && j->n_final == j->stop_n)
        atomic_store(&j->stop, 1);
}

static void on_predictor(void *arg, const struct sn_predictor_report *r)
{
    struct sn_small_job *j = arg;
    assert_true(r->n >= 10 && r->verdict[0] != '\0');
    assert_int_equal(r->quality.n, r->n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_bands; i++)
        n += r->bands[i].quality.n;
    assert_int_equal(n, r->n);
    assert_true(r->contest.entered[r->kind]);
    if (r->stage == SN_STAGE_EARLY) {
        snprintf(j->verdict, sizeof j->verdict, "%s", r->verdict);
        j->used = r->used;
    }
    j->n_predictor++;
}

/* A round keeps some of what the round before it kept. Both are sorted. */
static void assert_within_the_last(const struct sn_small_job *j,
                                   const struct sn_subspace_report *r)
{
    if (j->members == NULL)
        return;
    assert_true(r->size < j->subspace.size);
    for (uint32_t i = 0, at = 0; i < r->size; i++, at++) {
        while (at < j->subspace.size &&
               !sn_arch_equal(&j->members[at], &r->members[i]))
            at++;
        assert_true(at < j->subspace.size);
    }
}

static void on_subspace(void *arg, const struct sn_subspace_report *r)
{
    struct sn_small_job *j = arg;
    assert_true(r->size >= 2);
    assert_within_the_last(j, r);
    free(j->members);
    j->members = malloc(r->size * sizeof *r->members);
    assert_non_null(j->members);
    memcpy(j->members, r->members, r->size * sizeof *r->members);
    j->subspace = *r; /* but for what it borrows */
    j->n_subspace++;
}

static void on_outcome(void *arg, const struct sn_outcome_report *r)
{
    struct sn_small_job *j = arg;
    assert_true(r->n >= 2 && r->top >= 1 && r->verdict[0] != '\0');
    assert_true(r->kept <= r->n && r->top_kept <= r->top);
    j->outcome = *r;
    j->n_outcome++;
}

static void on_front(void *arg, const struct sn_front_report *f)
{
    ((struct sn_small_job *)arg)->n_front++;
}

static void on_latencies(void *arg, const char *device, const char *fingerprint,
                         const struct sn_latency_row *rows, uint32_t n)
{
    struct sn_small_job *j = arg;
    assert_string_equal(device, "host");
    assert_true(n > 0 && n <= MAX_ROWS);
    snprintf(latencies.fingerprint, sizeof latencies.fingerprint, "%s",
             fingerprint);
    memcpy(latencies.rows, rows, n * sizeof rows[0]);
    latencies.n = n;
    snprintf(latencies.space, sizeof latencies.space, "%s", j->spec.space);
    j->n_latencies = n;
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *a)
{
    struct sn_small_job *j = arg;
    assert_true(i < of && a->bound > 0);
    if (a->found && a->cost == SN_COST_MACS)
        assert_true(a->best.cost.macs <= a->bound);
    if (a->found)
        assert_true(a->test_images > 0 && a->test_correct <= a->test_images);
    j->n_answer++;
    j->n_found += a->found;
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct sn_small_job *j = arg;
    assert_int_equal(access(path, R_OK), 0);
    snprintf(j->checkpoint, sizeof j->checkpoint, "%s", path);
    snprintf(j->xxh3, sizeof j->xxh3, "%s", xxh3);
    j->step = step;
    j->n_checkpoint++;
    return SN_OK;
}

static void on_log(void *arg, enum sn_log_level level, const char *text)
{
    struct sn_small_job *j = arg;
    j->n_log++;
    j->unfiltered |= strncmp(text, "no filter", 9) == 0;
}

void sn_small_job_spec(struct sn_spec *s, enum sn_strategy strategy,
                       int workers)
{
    sn_spec_defaults(s);
    s->strategy = strategy;
    s->epochs = 3;
    s->train.batch_size = 32;
    s->train.shard_size = 16;
    s->train.workers = workers;
    s->train.learning_rate = 0.05;
    s->train.crop_padding = 0;
    s->train.flip = false;
    s->sparsenas.warmup_epochs = 1;
    s->sparsenas.probes = 12;
    s->sparsenas.probe_images = 30;
    s->sparsenas.probe_calibration = 64;
    s->sparsenas.min_tau = -1;
    s->sparsenas.predictor = SN_PREDICT_RIDGE; /* the quicker */
    s->search.evaluations = 12;
    s->search.calibration = 64;
    s->search.population = 8;
    s->search.generations = 2;
}

void sn_small_job_begin(struct sn_small_job *j, const struct sn_dataset *data)
{
    struct sn_dataset_info info;
    struct sn_error err = {0};

    j->data = data;
    sn_dataset_info(data, &info);
    if (sn_spec_resolve(&j->spec, &info, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    snprintf(j->dir, sizeof j->dir, "/tmp/snrunXXXXXX");
    assert_non_null(mkdtemp(j->dir));
}

void sn_small_job_init_for(struct sn_small_job *j,
                           const struct sn_dataset *data,
                           enum sn_strategy strategy, int workers,
                           const char *supernet)
{
    struct sn_spec *s = &j->spec;

    memset(j, 0, sizeof *j);
    sn_small_job_spec(s, strategy, workers);
    snprintf(s->supernet, sizeof s->supernet, "%s", supernet);
    if (supernet[0] != '\0') { /* nothing of training may be set */
        struct sn_spec initial;
        sn_spec_defaults(&initial);
        s->train.learning_rate = initial.train.learning_rate;
        s->train.crop_padding = initial.train.crop_padding;
        s->train.flip = initial.train.flip;
        s->sparsenas.warmup_epochs = initial.sparsenas.warmup_epochs;
    }
    sn_small_job_begin(j, data);
}

void sn_small_job_init(struct sn_small_job *j, const struct sn_dataset *data,
                       enum sn_strategy strategy, int workers)
{
    sn_small_job_init_for(j, data, strategy, workers, "");
}

void sn_small_job_close(struct sn_small_job *j)
{
    free(j->members);
    struct sn_small_set folder = {0};
    snprintf(folder.dir, sizeof folder.dir, "%s", j->dir);
    sn_small_set_close(&folder);
}

enum sn_err sn_small_job_attempt(struct sn_small_job *j, bool resume,
                                 struct sn_error *err)
{
    char from[512];
    snprintf(from, sizeof from, "%s", j->checkpoint);
    const bool known =
        latencies.n > 0 && strcmp(latencies.space, j->spec.space) == 0;
    struct sn_callbacks cb = {.arg = j,
                              .phase = on_phase,
                              .progress = on_progress,
                              .series = on_series,
                              .evaluation = on_evaluation,
                              .predictor = on_predictor,
                              .subspace = on_subspace,
                              .outcome = on_outcome,
                              .front = on_front,
                              .latencies = on_latencies,
                              .answer = on_answer,
                              .checkpoint = on_checkpoint,
                              .log = on_log};
    struct sn_run run = {.spec = &j->spec,
                         .data = j->data,
                         .dir = j->dir,
                         .resume = resume ? from : NULL,
                         .stop = &j->stop,
                         .weights = j->weights,
                         .keep = j->keep,
                         .callbacks = &cb,
                         .latency_rows = known ? latencies.rows : NULL,
                         .n_latency_rows = known ? latencies.n : 0,
                         .latency_fingerprint =
                             known ? latencies.fingerprint : NULL};
    return sn_engine_run(&run, err);
}

bool sn_small_job_has_latency(const char *prefix)
{
    for (uint32_t i = 0; i < latencies.n; i++)
        if (strncmp(latencies.rows[i].key, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

void sn_small_job_run(struct sn_small_job *j, bool resume)
{
    struct sn_error err = {0};
    j->stop_at = SN_STOP_NEVER;
    atomic_store(&j->stop, 0);
    if (sn_small_job_attempt(j, resume, &err) != SN_OK)
        fail_msg("%s", err.message);
}

void sn_small_job_assert_same_end(const struct sn_small_job *a,
                                  const struct sn_small_job *b)
{
    assert_int_equal(a->step, b->step);
    assert_string_equal(a->xxh3, b->xxh3);
    assert_int_equal(a->n_final, b->n_final);
    for (int i = 0; i < a->n_final; i++) {
        assert_string_equal(a->final[i].arch, b->final[i].arch);
        assert_int_equal(a->final[i].correct, b->final[i].correct);
        assert_int_equal(a->final[i].images, b->final[i].images);
    }
}
