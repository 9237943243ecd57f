/* Whole small jobs through the engine's door: phases in their order with all
 * that they report; a job that is stopped anywhere and resumed ends bitwise
 * where the unbroken one does, with any number of workers; damaged checkpoints
 * are refused; weights that a job leaves are searched by another without a
 * step of training, and models come out of them with and without a data set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "tests/engine/train/fixture.h"

enum { MAX_FINAL = 64, MAX_VISITS = 32, MAX_ROWS = 4096 };

static struct sn_small_set set;
static struct {
    char fingerprint[256];
    struct sn_latency_row rows[MAX_ROWS];
    uint32_t n;
} latencies; /* as the first run measured them; later ones need not */

enum stop_at { NEVER, AT_STEP, AT_EARLY, AT_FINAL, AT_PHASE };

/* A job's attempts and what they reported. */
struct job {
    struct sn_spec spec;
    char dir[64], checkpoint[512], xxh3[32];
    const char *weights, *keep;
    uint64_t step;
    atomic_int stop;
    enum stop_at stop_at; /* the n-th of these */
    int stop_n;
    enum sn_phase_kind stop_phase;

    enum sn_phase_kind visit[MAX_VISITS];
    int visits;
    int n_early, n_final, n_verify, n_predictor, n_subspace, n_front, n_series,
        n_checkpoint, n_answer, n_log;
    struct sn_evaluation final[MAX_FINAL];
    struct sn_evaluation early; /* the last */
    struct sn_outcome_report outcome;
    int n_outcome;
    bool unfiltered; /* it said so */
    struct sn_subspace_report subspace;
    struct sn_arch *members; /* of it */
    char verdict[256];
    bool used;
    double fraction;
};

static void on_phase(void *arg, const struct sn_phase_report *p)
{
    struct job *j = arg;
    assert_true(j->visits < MAX_VISITS && p->index < p->of);
    j->visit[j->visits++] = p->kind;
    if (j->stop_at == AT_PHASE && p->kind == j->stop_phase)
        atomic_store(&j->stop, 1);
}

static void on_progress(void *arg, const struct sn_progress *p)
{
    struct job *j = arg;
    assert_true(p->fraction >= 0 && p->fraction <= 1 + 1e-9);
    j->fraction = p->fraction;
}

static void on_series(void *arg, const char *name, uint64_t step, double epoch,
                      double value)
{
    struct job *j = arg;
    j->n_series++;
    if (strcmp(name, "loss") == 0 && j->stop_at == AT_STEP &&
        step == (uint64_t)j->stop_n)
        atomic_store(&j->stop, 1);
}

/* A resumed job may report again what it measured before: then the same. */
static void keep_final(struct job *j, const struct sn_evaluation *e)
{
    for (int i = 0; i < j->n_final; i++)
        if (strcmp(j->final[i].arch, e->arch) == 0) {
            assert_int_equal(j->final[i].correct, e->correct);
            return;
        }
    assert_true(j->n_final < MAX_FINAL);
    j->final[j->n_final++] = *e;
}

static void on_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct job *j = arg;
    assert_true(e->images > 0 && e->correct <= e->images);
    if (e->stage == SN_STAGE_EARLY && ++j->n_early == j->stop_n &&
        j->stop_at == AT_EARLY)
        atomic_store(&j->stop, 1);
    if (e->stage == SN_STAGE_VERIFY)
        j->n_verify++;
    if (e->stage == SN_STAGE_EARLY)
        j->early = *e;
    if (e->stage != SN_STAGE_FINAL)
        return;
    keep_final(j, e);
    if (j->stop_at == AT_FINAL && j->n_final == j->stop_n)
        atomic_store(&j->stop, 1);
}

static void on_predictor(void *arg, const struct sn_predictor_report *r)
{
    struct job *j = arg;
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
static void assert_within_the_last(const struct job *j,
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
    struct job *j = arg;
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
    struct job *j = arg;
    assert_true(r->n >= 2 && r->top >= 1 && r->verdict[0] != '\0');
    assert_true(r->kept <= r->n && r->top_kept <= r->top);
    j->outcome = *r;
    j->n_outcome++;
}

static void on_front(void *arg, const struct sn_front_report *f)
{
    ((struct job *)arg)->n_front++;
}

static void on_latencies(void *arg, const char *device, const char *fingerprint,
                         const struct sn_latency_row *rows, uint32_t n)
{
    assert_string_equal(device, "host");
    assert_true(n > 0 && n <= MAX_ROWS);
    snprintf(latencies.fingerprint, sizeof latencies.fingerprint, "%s",
             fingerprint);
    memcpy(latencies.rows, rows, n * sizeof rows[0]);
    latencies.n = n;
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *a)
{
    struct job *j = arg;
    assert_true(i < of && a->latency_ms > 0);
    if (a->found)
        assert_true(a->test_images > 0 && a->test_correct <= a->test_images);
    j->n_answer++;
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct job *j = arg;
    assert_int_equal(access(path, R_OK), 0);
    snprintf(j->checkpoint, sizeof j->checkpoint, "%s", path);
    snprintf(j->xxh3, sizeof j->xxh3, "%s", xxh3);
    j->step = step;
    j->n_checkpoint++;
    return SN_OK;
}

static void on_log(void *arg, enum sn_log_level level, const char *text)
{
    struct job *j = arg;
    j->n_log++;
    j->unfiltered |= strncmp(text, "no filter", 9) == 0;
}

static void small_spec(struct sn_spec *s, enum sn_strategy strategy,
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

/* supernet: the name of weights to search, or "". */
static void job_init_for(struct job *j, enum sn_strategy strategy, int workers,
                         const char *supernet)
{
    struct sn_dataset_info info;
    struct sn_error err = {0};
    struct sn_spec *s = &j->spec;

    memset(j, 0, sizeof *j);
    small_spec(s, strategy, workers);
    snprintf(s->supernet, sizeof s->supernet, "%s", supernet);
    if (supernet[0] != '\0') { /* nothing of training may be set */
        struct sn_spec initial;
        sn_spec_defaults(&initial);
        s->train.learning_rate = initial.train.learning_rate;
        s->train.crop_padding = initial.train.crop_padding;
        s->train.flip = initial.train.flip;
        s->sparsenas.warmup_epochs = initial.sparsenas.warmup_epochs;
    }
    sn_dataset_info(set.data, &info);
    if (sn_spec_resolve(s, &info, &err) != SN_OK)
        fail_msg("%s: %s", err.pointer, err.message);
    snprintf(j->dir, sizeof j->dir, "/tmp/snrunXXXXXX");
    assert_non_null(mkdtemp(j->dir));
}

static void job_init(struct job *j, enum sn_strategy strategy, int workers)
{
    job_init_for(j, strategy, workers, "");
}

static void job_close(struct job *j)
{
    free(j->members);
    struct sn_small_set folder = {0};
    snprintf(folder.dir, sizeof folder.dir, "%s", j->dir);
    sn_small_set_close(&folder);
}

/* From the last checkpoint if `resume`. */
static enum sn_err attempt(struct job *j, bool resume, struct sn_error *err)
{
    char from[512];
    snprintf(from, sizeof from, "%s", j->checkpoint);
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
                         .data = set.data,
                         .dir = j->dir,
                         .resume = resume ? from : NULL,
                         .stop = &j->stop,
                         .weights = j->weights,
                         .keep = j->keep,
                         .callbacks = &cb,
                         .latency_rows = latencies.n ? latencies.rows : NULL,
                         .n_latency_rows = latencies.n,
                         .latency_fingerprint =
                             latencies.n ? latencies.fingerprint : NULL};
    return sn_engine_run(&run, err);
}

static void run_to_end(struct job *j, bool resume)
{
    struct sn_error err = {0};
    j->stop_at = NEVER;
    atomic_store(&j->stop, 0);
    if (attempt(j, resume, &err) != SN_OK)
        fail_msg("%s", err.message);
}

static void assert_same_end(const struct job *a, const struct job *b)
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

/* The unbroken jobs that others are compared with. */
static struct job whole, whole_ofa;

static void sparsenas_reports_all(void **state)
{
    static const enum sn_phase_kind first[] = {SN_PHASE_PREPARE,
                                               SN_PHASE_WARMUP, SN_PHASE_PROBE,
                                               SN_PHASE_FIT, SN_PHASE_FILTER};
    const struct job *j = &whole;
    for (int i = 0; i < 5; i++)
        assert_int_equal(j->visit[i], first[i]);
    assert_int_equal(j->visit[j->visits - 3], SN_PHASE_TRAIN);
    assert_int_equal(j->visit[j->visits - 2], SN_PHASE_EVALUATE);
    assert_int_equal(j->visit[j->visits - 1], SN_PHASE_SEARCH);
    assert_int_equal(j->step, 30);
    assert_true(j->n_early >= 12 && j->n_final >= 12);
    assert_true(j->n_predictor > 0 && j->n_front > 0 && j->n_series > 0 &&
                j->n_log > 0 && latencies.n > 0);
    assert_int_equal(j->n_checkpoint, j->visits - 1);
    assert_int_equal(j->n_answer, 3);
    assert_true(j->fraction > 0.999);
    assert_int_equal(j->n_outcome, 1);
    assert_int_equal(j->outcome.n, 10); /* of 12 probes, the ends aside */
    assert_int_equal(j->outcome.top, 2);
}

static const struct stop {
    enum stop_at at;
    int n;
    enum sn_phase_kind phase;
} stops[] = {
    {AT_STEP, 4, 0},  {AT_EARLY, 5, 0},  {AT_PHASE, 0, SN_PHASE_FILTER},
    {AT_STEP, 21, 0}, {AT_FINAL, 17, 0}, /* of these 12, then of those again */
};

static void stop_and_resume(enum sn_strategy strategy, int workers,
                            const struct stop *s, const struct job *unbroken)
{
    struct job j;
    struct sn_error err = {0};
    job_init(&j, strategy, workers);
    j.stop_at = s->at;
    j.stop_n = s->n;
    j.stop_phase = s->phase;
    assert_int_equal(attempt(&j, false, &err), SN_ERR_STOPPED);
    assert_true(j.n_checkpoint > 0);
    run_to_end(&j, true);
    assert_same_end(&j, unbroken);
    assert_string_equal(j.outcome.verdict, unbroken->outcome.verdict);
    job_close(&j);
}

static void resumed_is_unbroken(void **state)
{
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        stop_and_resume(SN_STRATEGY_SPARSENAS, 1 + (int)i % 2, &stops[i],
                        &whole);
}

static void two_workers_are_one(void **state)
{
    struct job j;
    job_init(&j, SN_STRATEGY_SPARSENAS, 2);
    run_to_end(&j, false);
    assert_same_end(&j, &whole);
    job_close(&j);
}

static void ofa_resumes_too(void **state)
{
    assert_int_equal(whole_ofa.step, 30);
    assert_true(whole_ofa.n_final >= 12);
    assert_int_equal(whole_ofa.n_early, 0);
    assert_int_equal(whole_ofa.n_answer, 3);
    const struct stop in_expand = {AT_STEP, 26, 0};
    stop_and_resume(SN_STRATEGY_OFA, 2, &in_expand, &whole_ofa);
}

/* ---- damage ---- */

static size_t read_file(const char *path, uint8_t **ret)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    *ret = malloc(n);
    assert_non_null(*ret);
    assert_int_equal(fread(*ret, 1, n, f), n);
    fclose(f);
    return n;
}

static void refuse(struct job *j, const uint8_t *bytes, size_t n)
{
    struct sn_error err = {0};
    FILE *f = fopen(j->checkpoint, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    enum sn_err rc = attempt(j, true, &err);
    if (rc != SN_ERR_CORRUPT)
        fail_msg("%zu bytes: %s: %s", n, sn_err_name(rc), err.message);
}

/* Every other strategy, stopped and resumed on its way, with two workers, says
 * at its end what an unbroken job with one does. */
static void every_strategy_ends(void **state)
{
    for (int s = SN_STRATEGY_COMPOFA; s <= SN_STRATEGY_FAIRNAS; s++) {
        struct job unbroken, broken;
        struct sn_error err = {0};
        job_init(&unbroken, (enum sn_strategy)s, 1);
        job_init(&broken, (enum sn_strategy)s, 2);
        unbroken.spec.epochs = broken.spec.epochs = 1;
        run_to_end(&unbroken, false);
        broken.stop_at = AT_STEP;
        broken.stop_n = 5;
        assert_int_equal(attempt(&broken, false, &err), SN_ERR_STOPPED);
        run_to_end(&broken, true);
        assert_int_equal(unbroken.step, broken.step);
        assert_string_equal(unbroken.xxh3, broken.xxh3);
        assert_true(broken.n_answer > 0);
        job_close(&unbroken);
        job_close(&broken);
    }
}

static void damage_is_refused(void **state)
{
    struct job j;
    struct sn_error err = {0};
    uint8_t *bytes = NULL;
    job_init(&j, SN_STRATEGY_SPARSENAS, 1);
    j.stop_at = AT_STEP;
    j.stop_n = 4;
    assert_int_equal(attempt(&j, false, &err), SN_ERR_STOPPED);
    atomic_store(&j.stop, 1);
    size_t n = read_file(j.checkpoint, &bytes);
    /* the header; numbers are under the checksum that the caller was told */
    const size_t flips[] = {3, 8, 9, 20};
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        bytes[flips[i]] ^= 0x40;
        refuse(&j, bytes, n);
        bytes[flips[i]] ^= 0x40;
    }
    const size_t cuts[] = {0, 7, 100, n / 2, n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        refuse(&j, bytes, cuts[i]);
    free(bytes);
    job_close(&j);
}

/* A job whose early predictor can mostly be trusted: cost alone is signal
 * enough where there is one band. */
static void job_init_trusted(struct job *j)
{
    job_init(j, SN_STRATEGY_SPARSENAS, 1);
    struct sn_spec *s = &j->spec;
    s->sparsenas.bands = 1;
    s->sparsenas.probes = 60;
    s->sparsenas.probe_images = 56;
    s->search.images = 10;
    s->search.latency_auto = false; /* one target, fewer to verify */
    s->search.n_latency_ms = 1;
    s->search.latency_ms[0] = 1;
}

/* Jobs that differ in their filter alone do the same up to it, and then train
 * in a sub-space, in another, in the whole space. */
static void filters_are_controls(void **state)
{
    struct job j[3];
    for (int k = 0; k < 3; k++) {
        job_init_trusted(&j[k]);
        struct sn_spec *s = &j[k].spec;
        s->sparsenas.predictor = SN_PREDICT_AUTO;
        s->sparsenas.filter = k;
        if (k != SN_KEEP_NONE) {
            s->sparsenas.subspace_size = 0;
            s->sparsenas.keep_fraction = 0.01;
        }
        run_to_end(&j[k], false);
        bool trusted = strncmp(j[k].verdict, "trusted", 7) == 0;
        assert_string_equal(j[k].early.arch, j[0].early.arch);
        assert_int_equal(j[k].early.correct, j[0].early.correct);
        assert_int_equal(j[k].used, trusted && k == SN_KEEP_PREDICTED);
        assert_int_equal(j[k].n_subspace, trusted && k != SN_KEEP_NONE);
        for (int i = 0; i < k && trusted; i++)
            assert_string_not_equal(j[k].xxh3, j[i].xxh3);
        job_close(&j[k]);
    }
    if (j[0].n_subspace == 0)
        return; /* rounding of another CPU left no signal */
    assert_int_equal(j[SN_KEEP_PREDICTED].subspace.size, 1000);
    assert_int_equal(j[SN_KEEP_RANDOM].subspace.size, 1000);
    assert_int_equal(j[SN_KEEP_RANDOM].subspace.filter, SN_KEEP_RANDOM);
    /* the predictor's own choices */
    double best[3] = {0};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < j[k].n_final; i++)
            best[k] = fmax(best[k], j[k].final[i].predicted);
    assert_true(best[SN_KEEP_NONE] >= best[SN_KEEP_PREDICTED]);
    assert_true(best[SN_KEEP_PREDICTED] > best[SN_KEEP_RANDOM]);
}

/* The second round probes, and keeps, inside the first one's sub-space. */
static void rounds_narrow_on(void **state)
{
    struct job j;
    job_init_trusted(&j);
    j.spec.sparsenas.rounds = 2;
    j.spec.sparsenas.max_retries = 0;
    j.spec.sparsenas.subspace_size = 20000;
    run_to_end(&j, false);
    assert_int_equal(j.visit[6], SN_PHASE_PROBE);
    assert_int_equal(j.n_early, 120);
    assert_true(j.n_subspace <= 2); /* each where the predictor is trusted */
    job_close(&j);
}

/* No tau lies above 1: it warms up longer, probes more, and then says that it
 * trains on unfiltered. */
static void untrusted_is_tried_again(void **state)
{
    struct job j;
    job_init_trusted(&j);
    j.spec.sparsenas.min_tau = 1;
    run_to_end(&j, false);
    assert_true(j.unfiltered);
    assert_int_equal(j.n_subspace, 0);
    assert_false(j.outcome.filtered);
    if (strncmp(j.verdict, "not trusted", 11) == 0) {
        assert_int_equal(j.visit[5], SN_PHASE_WARMUP);
        assert_int_equal(j.visit[6], SN_PHASE_PROBE);
        assert_int_equal(j.visit[9], SN_PHASE_TRAIN);
        assert_true(j.n_early >= 120);
    }
    job_close(&j);
}

/* ---- weights that are there ---- */

static char kept[128]; /* what the unbroken job left */

static void supernet_is_searched(void **state)
{
    static const enum sn_phase_kind want[] = {
        SN_PHASE_PREPARE, SN_PHASE_PROBE,    SN_PHASE_FIT,
        SN_PHASE_FILTER,  SN_PHASE_EVALUATE, SN_PHASE_SEARCH};
    struct job one, two;
    struct sn_error err = {0};
    job_init_for(&one, SN_STRATEGY_SPARSENAS, 1, "kept");
    one.weights = kept;
    run_to_end(&one, false);
    assert_int_equal(one.visits, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(one.visit[i], want[i]);
    assert_int_equal(one.step, whole.step);
    assert_string_equal(one.xxh3, whole.xxh3); /* not a bit is trained */
    assert_int_equal(one.n_early, 12);
    assert_int_equal(one.n_final, 12);
    assert_int_equal(one.n_outcome, 0); /* early is final */
    assert_int_equal(one.n_answer, 3);
    assert_int_equal(one.n_series > 0, one.n_front > 0); /* hypervolume */
    assert_true(one.fraction > 0.999);

    static const struct stop at[] = {{AT_EARLY, 5, 0}, {AT_FINAL, 6, 0}};
    for (int i = 0; i < 2; i++) {
        job_init_for(&two, SN_STRATEGY_SPARSENAS, 2 - i, "kept");
        two.weights = kept;
        two.stop_at = at[i].at;
        two.stop_n = at[i].n;
        assert_int_equal(attempt(&two, false, &err), SN_ERR_STOPPED);
        run_to_end(&two, true);
        assert_same_end(&two, &one);
        job_close(&two);
    }
    job_close(&one);
}

static void supernet_is_needed(void **state)
{
    struct job j;
    struct sn_error err = {0};
    job_init_for(&j, SN_STRATEGY_SPARSENAS, 1, "kept");
    assert_int_equal(attempt(&j, false, &err), SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/supernet");
    j.weights = "/nowhere/at/all";
    assert_int_equal(attempt(&j, false, &err), SN_ERR_NOTFOUND);
    job_close(&j);
}

static enum sn_err export_to(const char *path, const struct sn_export *base,
                             const struct sn_dataset *data,
                             enum sn_export_format format, struct sn_error *err)
{
    struct sn_export from = *base;
    struct sn_arch arch;
    from.data = data;
    from.format = format;
    sn_arch_largest(from.space, &arch);
    return sn_engine_export(&from, &arch, path, err);
}

/* The statistics that were left are the largest's, re-calibrated: the model
 * made from them is the one made with the data set, but for the rounding of
 * statistics to f32. */
static void models_come_out(void **state)
{
    struct sn_export base = {.space = sn_space_find("mbv3-tiny"),
                             .weights = kept,
                             .spec = &whole.spec};
    struct sn_error err = {0};
    struct sn_supernet_info info;
    char path[160];
    snprintf(path, sizeof path, "%s/model", whole.dir);
    assert_int_equal(sn_engine_supernet_info(kept, base.space, &info, &err),
                     SN_OK);
    assert_true(info.has_statistics && info.normalises);
    assert_int_equal(info.step, whole.step);
    assert_int_equal(info.classes, SN_SMALL_CLASSES);
    for (int format = 0; format < 2; format++)
        for (int held = 0; held < 2; held++)
            if (export_to(path, &base, held ? NULL : set.data,
                          (enum sn_export_format)format, &err) != SN_OK)
                fail_msg("%s", err.message);
    base.weights = whole.checkpoint;
    assert_int_equal(export_to(path, &base, set.data, SN_EXPORT_ONNX, &err),
                     SN_OK);
    assert_int_equal(export_to(path, &base, NULL, SN_EXPORT_ONNX, &err),
                     SN_ERR_INVALID); /* no supernet's file */
    unlink(path);
}

static int make_set(void **state)
{
    sn_small_set_init(&set, 400, 40);
    job_init(&whole, SN_STRATEGY_SPARSENAS, 1);
    snprintf(kept, sizeof kept, "%s/kept.safetensors", whole.dir);
    whole.keep = kept;
    run_to_end(&whole, false);
    job_init(&whole_ofa, SN_STRATEGY_OFA, 1);
    run_to_end(&whole_ofa, false);
    return 0;
}

static int remove_set(void **state)
{
    job_close(&whole);
    job_close(&whole_ofa);
    sn_small_set_close(&set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparsenas_reports_all),
        cmocka_unit_test(resumed_is_unbroken),
        cmocka_unit_test(two_workers_are_one),
        cmocka_unit_test(ofa_resumes_too),
        cmocka_unit_test(every_strategy_ends),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(filters_are_controls),
        cmocka_unit_test(rounds_narrow_on),
        cmocka_unit_test(untrusted_is_tried_again),
        cmocka_unit_test(supernet_is_searched),
        cmocka_unit_test(supernet_is_needed),
        cmocka_unit_test(models_come_out),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
