/* Reports that become rows: what was measured, fitted, kept. */
#include "daemon/reports_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/event_json.h"

/* engine's stages and storage's are the same words in the same order */
static const enum sn_eval_stage stages[SN_STAGE_KINDS] = {
    [SN_STAGE_EARLY] = SN_EVAL_EARLY,
    [SN_STAGE_FINAL] = SN_EVAL_FINAL,
    [SN_STAGE_VERIFY] = SN_EVAL_VERIFY,
};

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

void sn_rows_series(void *arg, const char *name, uint64_t step, double epoch,
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
    struct sn_write write = {.done = sn_post_row_written, .arg = r};
    do
        code =
            sn_storage_put_points(r->config->storage, &point, 1, &write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, NULL, code, &err);
    struct series_mail *mail = calloc(1, sizeof *mail);
    char *payload = sn_json_series(name, step, epoch, value);
    if (mail == NULL || payload == NULL) {
        free(mail);
        free(payload);
        return;
    }
    *mail = (struct series_mail){r, payload, sn_reports_now_ms()};
    sn_mailbox_post(r->config->box, deliver_series, mail);
}

void sn_rows_evaluation(void *arg, const struct sn_evaluation *e)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_post post;
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
    if (!sn_post_init(&post, r, "evaluation", sn_json_evaluation(e)))
        return;
    post.mail->is_evaluation = true;
    do
        code = sn_storage_put_evaluations(r->config->storage, &row, 1,
                                          &post.write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, &post, code, &err);
}

static int64_t round_of(struct sn_rounds *rounds, int64_t step)
{
    for (int i = 0; i < rounds->n; i++)
        if (rounds->step[i] == step)
            return i;
    if (rounds->n == SN_MAX_ROUNDS)
        return SN_MAX_ROUNDS - 1;
    rounds->step[rounds->n] = step;
    return rounds->n++;
}

void sn_rows_predictor(void *arg, const struct sn_predictor_report *p)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_post post;
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
        .kind = sn_predictor_names[p->kind],
        .used = p->used,
        .tau = p->quality.tau.value,
        .tau_low = p->quality.tau.lo,
        .tau_high = p->quality.tau.hi,
        .spearman = p->quality.spearman.value,
        .mae = p->quality.mae.value,
        .quality = quality,
    };
    bool ready = sn_post_init(
        &post, r, "predictor",
        quality == NULL || scores == NULL ? NULL : strdup(quality));
    if (ready) {
        do
            code = sn_storage_put_predictor(r->config->storage, &row, scores,
                                            p->n, &post.write, &err);
        while (sn_post_again(r, code));
        sn_post_settle(r, &post, code, &err);
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
    const struct sn_space *space = sn_spec_space(r->config->spec);
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

void sn_rows_subspace(void *arg, const struct sn_subspace_report *s)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_post post;
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
        sn_post_init(&post, r, "subspace",
                     rule == NULL || members == NULL ? NULL : strdup(rule));
    if (ready) {
        do
            code = sn_storage_put_subspace(r->config->storage, &row, members,
                                           s->size, &post.write, &err);
        while (sn_post_again(r, code));
        sn_post_settle(r, &post, code, &err);
    }
    free(members);
    free(ids);
    free(rule);
}

void sn_rows_outcome(void *arg, const struct sn_outcome_report *o)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_post post;
    char *body = sn_json_outcome(o);
    struct sn_outcome row = {
        .job = r->config->id, .step = (int64_t)o->step, .body = body};
    if (sn_post_init(&post, r, "outcome", body == NULL ? NULL : strdup(body))) {
        do
            code = sn_storage_put_outcome(r->config->storage, &row, &post.write,
                                          &err);
        while (sn_post_again(r, code));
        sn_post_settle(r, &post, code, &err);
    }
    free(body);
}

void sn_rows_front(void *arg, const struct sn_front_report *f)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code;
    struct sn_post post;
    char *items = sn_json_front_items(f);
    struct sn_front row = {
        .job = r->config->id,
        .cost = sn_cost_names[f->cost],
        .device = f->cost == SN_COST_LATENCY ? f->device : "",
        .as_of_step = (int64_t)f->as_of_step,
        .items = items,
    };
    if (!sn_post_init(&post, r, "front",
                      items == NULL ? NULL : sn_json_front(f))) {
        free(items);
        return;
    }
    do
        code =
            sn_storage_put_front(r->config->storage, &row, &post.write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, &post, code, &err);
    free(items);
}

void sn_rows_latencies(void *arg, const char *device, const char *fingerprint,
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
    struct sn_write write = {.done = sn_post_row_written, .arg = r};
    do
        code =
            sn_storage_put_latencies(r->config->storage, out, n, &write, &err);
    while (sn_post_again(r, code));
    sn_post_settle(r, NULL, code, &err);
    free(out);
}

/* ---- rounds of an earlier attempt ---- */

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

void sn_rows_read_rounds(void *arg, struct sn_reader *reader)
{
    struct sn_reports *r = arg;
    struct sn_error err;
    enum sn_err code =
        sn_reader_predictors(reader, r->config->id, on_predictor_row, r, &err);
    if (code == SN_OK)
        code = sn_reader_subspaces(reader, r->config->id, on_subspace_row, r,
                                   &err);
    if (code != SN_OK)
        sn_post_failed(r, &err);
}
