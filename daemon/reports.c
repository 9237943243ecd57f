#include "daemon/reports.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/event_json.h"
#include "daemon/log.h"

enum { MAX_ROUNDS = 64, SNAPSHOT_MS = 3000 };

/* Which round a predictor or sub-space is: the how-manieth of its kind, told
 * apart by step, so that a replay after a resume finds its own row again. */
struct rounds {
    int64_t step[MAX_ROUNDS];
    int n;
};

struct sn_reports {
    const struct sn_runner_config *config;
    struct sn_callbacks table;
    struct rounds predictors[SN_STAGE_KINDS], subspaces;
    struct sn_dataset_info data;
    int phase_index;
    int64_t snapshot_ms;
    /* progress goes to the loop as it is newest; guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t written;
    struct sn_progress latest;
    bool progress_posted;
    struct sn_error failure; /* the first write that failed */
};

/* ---- getting events to the loop ---- */

/* What travels with a write and then to the loop. */
struct mail {
    struct sn_reports *r;
    char *type, *payload; /* of the event */
    int64_t seq, time_ms;
    bool is_evaluation;
    uint64_t step; /* of a checkpoint, else 0 */
    char xxh3[SN_XXH3_HEX];
    bool *wait; /* set when written, under the lock */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void mail_free(struct mail *mail)
{
    free(mail->type);
    free(mail->payload);
    free(mail);
}

static void deliver(void *arg)
{
    struct mail *mail = arg;
    const struct sn_runner_owner *owner = mail->r->config->owner;
    const char *id = mail->r->config->id;
    struct sn_event event = {
        .seq = mail->seq,
        .job = id,
        .type = mail->type,
        .payload = mail->payload,
        .time_ms = mail->time_ms,
    };
    owner->on_event(owner->arg, &event);
    if (mail->is_evaluation)
        owner->on_evaluated(owner->arg, id);
    if (mail->step > 0)
        owner->on_checkpoint(owner->arg, id, mail->step, mail->xxh3);
    mail_free(mail);
}

static void note_failure(struct sn_reports *r, const struct sn_error *error)
{
    pthread_mutex_lock(&r->lock);
    bool first = r->failure.code == SN_OK;
    if (first)
        r->failure = *error;
    pthread_mutex_unlock(&r->lock);
    if (first)
        sn_log(SN_LOG_ERROR, "jobs", "a report could not be stored", "id",
               r->config->id, "problem", error->message, NULL);
}

/* On the writer's thread. */
static void on_written(void *arg, const struct sn_written *result)
{
    struct mail *mail = arg;
    struct sn_reports *r = mail->r;
    if (result->error.code != SN_OK)
        note_failure(r, &result->error);
    mail->seq = result->first_event;
    bool *wait = mail->wait;
    if (result->error.code == SN_OK)
        sn_mailbox_post(r->config->box, deliver, mail);
    else
        mail_free(mail);
    if (wait == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    *wait = true;
    pthread_cond_broadcast(&r->written);
    pthread_mutex_unlock(&r->lock);
}

/* For writes without an event. */
static void on_row_written(void *arg, const struct sn_written *result)
{
    if (result->error.code != SN_OK)
        note_failure(arg, &result->error);
}

/* A write in the making: its event, and who is told. Takes `payload`. */
struct post {
    struct sn_event event;
    struct sn_write write;
    struct mail *mail;
};

static bool post_init(struct post *post, struct sn_reports *r, const char *type,
                      char *payload)
{
    struct mail *mail = calloc(1, sizeof *mail);
    char *copy = strdup(type);
    if (mail == NULL || copy == NULL || payload == NULL) {
        struct sn_error err;
        sn_error_set(&err, SN_ERR_NOMEM, "no memory for an event");
        note_failure(r, &err);
        free(mail);
        free(copy);
        free(payload);
        return false;
    }
    *mail = (struct mail){
        .r = r, .type = copy, .payload = payload, .time_ms = now_ms()};
    post->mail = mail;
    post->event = (struct sn_event){.job = r->config->id,
                                    .type = copy,
                                    .payload = payload,
                                    .time_ms = mail->time_ms};
    post->write = (struct sn_write){
        .events = &post->event, .n_events = 1, .done = on_written, .arg = mail};
    return true;
}

/* After a submit: whether to try again (the queue was full; it has waited). */
static bool again(struct sn_reports *r, enum sn_err code)
{
    if (code == SN_ERR_BUSY)
        sn_storage_wait_room(r->config->storage);
    return code == SN_ERR_BUSY;
}

/* A submit that failed for good never calls `done`. */
static void settle(struct sn_reports *r, struct post *post, enum sn_err code,
                   const struct sn_error *err)
{
    if (code == SN_OK)
        return;
    note_failure(r, err);
    if (post != NULL)
        mail_free(post->mail);
}

static void append_event(struct sn_reports *r, const char *type, char *payload)
{
    struct post post;
    struct sn_error err;
    enum sn_err code;
    if (!post_init(&post, r, type, payload))
        return;
    do
        code = sn_storage_append_events(r->config->storage, &post.write, &err);
    while (again(r, code));
    settle(r, &post, code, &err);
}

/* ---- progress ---- */

static void snapshot(struct sn_reports *r, const struct sn_progress *p,
                     int64_t step, const char *xxh3)
{
    struct sn_error err;
    enum sn_err code;
    char *phase = sn_json_phase(&p->phase), *progress = sn_json_progress(p),
         *cost = sn_json_cost(p->cost);
    struct sn_job_snapshot row = {
        .id = r->config->id,
        .phase = phase,
        .progress = progress,
        .cost = cost,
        .supernet_step = step,
        .supernet_xxh3 = xxh3,
    };
    struct sn_write write = {.done = on_row_written, .arg = r};
    do
        code = sn_storage_snapshot_job(r->config->storage, &row, &write, &err);
    while (again(r, code));
    settle(r, NULL, code, &err);
    free(phase);
    free(progress);
    free(cost);
    r->snapshot_ms = now_ms();
}

static void deliver_progress(void *arg)
{
    struct sn_reports *r = arg;
    const struct sn_runner_owner *owner = r->config->owner;
    pthread_mutex_lock(&r->lock);
    struct sn_progress latest = r->latest;
    r->progress_posted = false;
    pthread_mutex_unlock(&r->lock);
    owner->on_progress(owner->arg, r->config->id, &latest);
}

static void on_progress(void *arg, const struct sn_progress *progress)
{
    struct sn_reports *r = arg;
    pthread_mutex_lock(&r->lock);
    bool post = !r->progress_posted;
    r->latest = *progress;
    r->progress_posted = true;
    pthread_mutex_unlock(&r->lock);
    if (post)
        sn_mailbox_post(r->config->box, deliver_progress, r);
    if (now_ms() - r->snapshot_ms >= SNAPSHOT_MS)
        snapshot(r, progress, -1, NULL);
}

static void on_phase(void *arg, const struct sn_phase_report *phase)
{
    struct sn_reports *r = arg;
    r->phase_index = phase->index;
    append_event(r, "phase", sn_json_phase(phase));
    sn_log(SN_LOG_INFO, "jobs", "phase", "id", r->config->id, "name",
           phase->name, NULL);
}

static void on_log(void *arg, enum sn_log_level level, const char *text)
{
    struct sn_reports *r = arg;
    append_event(r, "log", sn_json_log(level, text));
    sn_log(level, "engine", text, "id", r->config->id, NULL);
}

static void on_answer(void *arg, uint32_t i, uint32_t of,
                      const struct sn_answer *answer)
{
    append_event(arg, "answer", sn_json_answer(i, of, answer));
}

/* ---- rows ---- */

/* The row is stored; who listens is told at once, without a number. */
struct series_mail {
    struct sn_reports *r;
    char *payload;
    int64_t time_ms;
};

static void deliver_series(void *arg)
{
    struct series_mail *mail = arg;
    const struct sn_runner_owner *owner = mail->r->config->owner;
    struct sn_event event = {.job = mail->r->config->id,
                             .type = "series",
                             .payload = mail->payload,
                             .time_ms = mail->time_ms};
    owner->on_event(owner->arg, &event);
    free(mail->payload);
    free(mail);
}

static void on_series(void *arg, const char *name, uint64_t step, double epoch,
                      double value)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_point point = {
        .job = r->config->id,
        .name = name,
        .step = (int64_t)step,
        .value = value,
        .epoch = epoch,
    };
    struct sn_write write = {.done = on_row_written, .arg = r};
    do
        code =
            sn_storage_put_points(r->config->storage, &point, 1, &write, &err);
    while (again(r, code));
    settle(r, NULL, code, &err);
    struct series_mail *mail = calloc(1, sizeof *mail);
    char *payload = sn_json_series(name, step, epoch, value);
    if (mail == NULL || payload == NULL) {
        free(mail);
        free(payload);
        return;
    }
    *mail = (struct series_mail){r, payload, now_ms()};
    sn_mailbox_post(r->config->box, deliver_series, mail);
}

/* engine's stages and storage's are the same words in the same order */
static const enum sn_eval_stage stages[SN_STAGE_KINDS] = {
    [SN_STAGE_EARLY] = SN_EVAL_EARLY,
    [SN_STAGE_FINAL] = SN_EVAL_FINAL,
    [SN_STAGE_VERIFY] = SN_EVAL_VERIFY,
};

static void on_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct post post;
    struct sn_evaluation_record row = {
        .job = r->config->id,
        .space = r->config->spec->space,
        .arch = e->arch,
        .stage = stages[e->stage],
        .split = sn_split_names[e->split],
        .step = (int64_t)e->step,
        .phase_index = r->phase_index,
        .correct = e->correct,
        .images = e->images,
        .accuracy = e->accuracy,
        .predicted = e->predicted,
        .macs = (int64_t)e->cost.macs,
        .params = (int64_t)e->cost.params,
        .peak_memory = (int64_t)e->cost.peak_memory,
        .latency = {.device = r->config->spec->search.device,
                    .runtime = "sparsenas",
                    .predicted_ms = e->latency.predicted,
                    .measured_ms = e->latency.measured,
                    .ci_low_ms = e->latency.lo,
                    .ci_high_ms = e->latency.hi},
        .selected = e->selected,
    };
    if (isnan(e->latency.predicted) && isnan(e->latency.measured))
        row.latency.device = "";
    if (!post_init(&post, r, "evaluation", sn_json_evaluation(e)))
        return;
    post.mail->is_evaluation = true;
    do
        code = sn_storage_put_evaluations(r->config->storage, &row, 1,
                                          &post.write, &err);
    while (again(r, code));
    settle(r, &post, code, &err);
}

static int64_t round_of(struct rounds *rounds, int64_t step)
{
    for (int i = 0; i < rounds->n; i++)
        if (rounds->step[i] == step)
            return i;
    if (rounds->n == MAX_ROUNDS)
        return MAX_ROUNDS - 1;
    rounds->step[rounds->n] = step;
    return rounds->n++;
}

static void on_predictor(void *arg, const struct sn_predictor_report *p)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct post post;
    char *quality = sn_json_predictor(p);
    struct sn_score *scores = calloc(p->n + 1, sizeof *scores);
    for (uint32_t i = 0; scores != NULL && i < p->n; i++)
        scores[i] = (struct sn_score){
            .arch = p->points[i].arch,
            .predicted = p->points[i].predicted,
            .measured = p->points[i].measured,
            .cost = p->points[i].macs,
        };
    struct sn_predictor row = {
        .job = r->config->id,
        .stage = stages[p->stage],
        .round = round_of(&r->predictors[p->stage], (int64_t)p->step),
        .step = (int64_t)p->step,
        .kind = p->kind,
        .used = p->used,
        .tau = p->tau,
        .tau_low = p->tau_lo,
        .tau_high = p->tau_hi,
        .spearman = p->spearman,
        .mae = p->mae,
        .quality = quality,
    };
    bool ready =
        post_init(&post, r, "predictor",
                  quality == NULL || scores == NULL ? NULL : strdup(quality));
    if (ready) {
        do
            code = sn_storage_put_predictor(r->config->storage, &row, scores,
                                            p->n, &post.write, &err);
        while (again(r, code));
        settle(r, &post, code, &err);
    }
    free(scores);
    free(quality);
}

static int64_t band_of(const struct sn_subspace_report *s, double macs)
{
    for (uint32_t i = 0; i < s->n_bands; i++)
        if (macs < s->bands[i].macs_hi || i + 1 == s->n_bands)
            return i;
    return 0;
}

static double macs_of(const struct sn_reports *r, const struct sn_space *space,
                      const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(space, arch, r->data.channels, r->data.classes, &plan);
    sn_plan_cost(&plan, &cost);
    return cost.macs;
}

/* Ids and costs of members; returns owned rows whose texts are in *ret_ids. */
static struct sn_member *list_members(const struct sn_reports *r,
                                      const struct sn_subspace_report *s,
                                      char (**ret_ids)[SN_ARCH_ID_MAX])
{
    const struct sn_space *space = sn_space_find(r->config->spec->space);
    struct sn_member *members = calloc(s->size + 1, sizeof *members);
    char(*ids)[SN_ARCH_ID_MAX] = calloc(s->size + 1, sizeof *ids);
    *ret_ids = ids;
    if (members == NULL || ids == NULL || space == NULL) {
        free(members);
        return NULL;
    }
    for (uint32_t i = 0; i < s->size; i++) {
        sn_arch_encode(space, &s->members[i], ids[i]);
        double macs = macs_of(r, space, &s->members[i]);
        members[i] = (struct sn_member){
            .position = i,
            .arch = ids[i],
            .score = s->scores[i],
            .cost = macs,
            .band = band_of(s, macs),
        };
    }
    return members;
}

static void on_subspace(void *arg, const struct sn_subspace_report *s)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct post post;
    char *rule = sn_json_subspace(s);
    char(*ids)[SN_ARCH_ID_MAX];
    struct sn_member *members = list_members(r, s, &ids);
    struct sn_subspace row = {
        .job = r->config->id,
        .round = round_of(&r->subspaces, (int64_t)s->step),
        .step = (int64_t)s->step,
        .n_scored = s->scored,
        .rule = rule,
    };
    bool ready =
        post_init(&post, r, "subspace",
                  rule == NULL || members == NULL ? NULL : strdup(rule));
    if (ready) {
        do
            code = sn_storage_put_subspace(r->config->storage, &row, members,
                                           s->size, &post.write, &err);
        while (again(r, code));
        settle(r, &post, code, &err);
    }
    free(members);
    free(ids);
    free(rule);
}

static void on_front(void *arg, const struct sn_front_report *f)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct post post;
    char *items = sn_json_front_items(f);
    struct sn_front row = {
        .job = r->config->id,
        .cost = sn_cost_names[f->cost],
        .device = f->cost == SN_COST_LATENCY ? f->device : "",
        .as_of_step = (int64_t)f->as_of_step,
        .items = items,
    };
    if (!post_init(&post, r, "front",
                   items == NULL ? NULL : sn_json_front(f))) {
        free(items);
        return;
    }
    do
        code =
            sn_storage_put_front(r->config->storage, &row, &post.write, &err);
    while (again(r, code));
    settle(r, &post, code, &err);
    free(items);
}

static void on_latencies(void *arg, const char *device, const char *fingerprint,
                         const struct sn_latency_row *rows, uint32_t n)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_latency_record *out = calloc(n + 1, sizeof *out);
    if (out == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (struct sn_latency_record){
            .device = device,
            .runtime = "sparsenas",
            .fingerprint = fingerprint,
            .key = rows[i].key,
            .median_ns = rows[i].median_ns,
            .spread_ns = rows[i].spread_ns,
            .samples = rows[i].samples,
        };
    struct sn_write write = {.done = on_row_written, .arg = r};
    do
        code =
            sn_storage_put_latencies(r->config->storage, out, n, &write, &err);
    while (again(r, code));
    settle(r, NULL, code, &err);
    free(out);
}

/* ---- checkpoints ---- */

static enum sn_err failed_before(struct sn_reports *r, struct sn_error *err)
{
    pthread_mutex_lock(&r->lock);
    struct sn_error failure = r->failure;
    pthread_mutex_unlock(&r->lock);
    if (failure.code == SN_OK)
        return SN_OK;
    return sn_error_set(err, failure.code, "storing reports: %.300s",
                        failure.message);
}

/* Waits for *written, then says whether any write failed. */
static enum sn_err await(struct sn_reports *r, const bool *written,
                         struct sn_error *err)
{
    pthread_mutex_lock(&r->lock);
    while (!*written)
        pthread_cond_wait(&r->written, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return failed_before(r, err);
}

static enum sn_err on_checkpoint(void *arg, const char *path, uint64_t step,
                                 const char *phase, const char *xxh3,
                                 const char *file_xxh3, uint64_t bytes,
                                 struct sn_error *err)
{
    struct sn_reports *r = arg;
    struct post post;
    bool written = false;
    const char *slash = strrchr(path, '/');
    enum sn_err code = failed_before(r, err);
    if (code != SN_OK)
        return code;
    struct sn_checkpoint row = {
        .job = r->config->id,
        .step = (int64_t)step,
        .phase = phase,
        .file = slash == NULL ? path : slash + 1,
        .xxh3 = file_xxh3,
        .bytes = (int64_t)bytes,
    };
    pthread_mutex_lock(&r->lock);
    struct sn_progress latest = r->latest;
    pthread_mutex_unlock(&r->lock);
    /* First the snapshot: a row without a file is worse than the reverse. */
    snapshot(r, &latest, (int64_t)step, xxh3);
    if (!post_init(&post, r, "checkpoint",
                   sn_json_checkpoint(step, phase, xxh3, bytes)))
        return failed_before(r, err);
    post.mail->wait = &written;
    post.mail->step = step;
    snprintf(post.mail->xxh3, sizeof post.mail->xxh3, "%s", xxh3);
    do
        code = sn_storage_put_checkpoint(r->config->storage, &row, &post.write,
                                         err);
    while (again(r, code));
    if (code != SN_OK) {
        mail_free(post.mail);
        return code;
    }
    return await(r, &written, err);
}

/* ---- life ---- */

static bool on_predictor_row(void *arg, const struct sn_predictor *row)
{
    struct sn_reports *r = arg;
    for (int i = 0; i < SN_STAGE_KINDS; i++)
        if (stages[i] == row->stage)
            round_of(&r->predictors[i], row->step);
    return true;
}

static bool on_subspace_row(void *arg, const struct sn_subspace *row)
{
    struct sn_reports *r = arg;
    round_of(&r->subspaces, row->step);
    return true;
}

static void read_rounds(void *arg, struct sn_reader *reader)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code =
        sn_reader_predictors(reader, r->config->id, on_predictor_row, r, &err);
    if (code == SN_OK)
        code = sn_reader_subspaces(reader, r->config->id, on_subspace_row, r,
                                   &err);
    if (code != SN_OK)
        note_failure(r, &err);
}

enum sn_err sn_reports_new(const struct sn_runner_config *config,
                           struct sn_reports **ret, struct sn_error *err)
{
    struct sn_reports *r = calloc(1, sizeof *r);
    if (r == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a job");
    r->config = config;
    r->latest.eta_s = NAN;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->written, NULL);
    r->table = (struct sn_callbacks){
        .arg = r,
        .phase = on_phase,
        .progress = on_progress,
        .series = on_series,
        .evaluation = on_evaluation,
        .predictor = on_predictor,
        .subspace = on_subspace,
        .front = on_front,
        .latencies = on_latencies,
        .answer = on_answer,
        .checkpoint = on_checkpoint,
        .log = on_log,
    };
    enum sn_err code =
        sn_storage_read_wait(config->storage, read_rounds, r, err);
    if (code != SN_OK) {
        sn_reports_free(r);
        return code;
    }
    *ret = r;
    return SN_OK;
}

const struct sn_callbacks *
sn_reports_callbacks(struct sn_reports *reports,
                     const struct sn_dataset_info *data)
{
    reports->data = *data;
    return &reports->table;
}

struct flush {
    struct sn_reports *r;
    bool done;
};

static void on_flushed(void *arg, const struct sn_written *result)
{
    struct flush *flush = arg;
    pthread_mutex_lock(&flush->r->lock);
    flush->done = true;
    pthread_cond_broadcast(&flush->r->written);
    pthread_mutex_unlock(&flush->r->lock);
}

enum sn_err sn_reports_finish(struct sn_reports *r, struct sn_error *err)
{
    struct flush flush = {.r = r};
    struct sn_write write = {.done = on_flushed, .arg = &flush};
    enum sn_err code;
    if (r->latest.phase.of > 0)
        snapshot(r, &r->latest, -1, NULL);
    do
        code = sn_storage_flush(r->config->storage, &write, err);
    while (again(r, code));
    if (code != SN_OK)
        return code;
    return await(r, &flush.done, err);
}

void sn_reports_free(struct sn_reports *r)
{
    if (r == NULL)
        return;
    pthread_cond_destroy(&r->written);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
