/* Reports of the engine as JSON text. */
#include "api/event_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/stats.h"

static char *dump_and_release(json_t *value)
{
    char *text = sn_json_dump(value);
    json_decref(value);
    return text;
}

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

char *sn_json_job_state(enum sn_job_state state, const char *reason,
                        const char *paused_by)
{
    json_t *o = json_object();
    sn_json_put(o, "state", sn_json_string(sn_job_state_name(state)));
    sn_json_put(o, "reason", sn_json_string(reason));
    sn_json_put(o, "paused_by", sn_json_string(paused_by));
    return dump_and_release(o);
}

static json_t *phase_object(const struct sn_phase_report *phase)
{
    json_t *o = json_object();
    const char *kind = (unsigned)phase->kind < SN_PHASE_KINDS
                           ? sn_phase_names[phase->kind]
                           : "unknown";
    sn_json_put(o, "kind", sn_json_string(kind));
    sn_json_put(o, "name", sn_json_string(phase->name));
    sn_json_put(o, "index", json_integer(phase->index));
    sn_json_put(o, "of", json_integer(phase->of));
    return o;
}

char *sn_json_phase(const struct sn_phase_report *phase)
{
    return dump_and_release(phase_object(phase));
}

char *sn_json_progress(const struct sn_progress *progress)
{
    json_t *o = json_object();
    sn_json_put(o, "fraction", sn_json_number(progress->fraction));
    sn_json_put(o, "phase_fraction", sn_json_number(progress->phase_fraction));
    sn_json_put(o, "eta_s", sn_json_number(progress->eta_s));
    sn_json_put(o, "images_per_s", sn_json_number(progress->images_per_s));
    sn_json_put(o, "epoch", sn_json_number(progress->epoch));
    sn_json_put(o, "step", integer(progress->step));
    sn_json_put(o, "phase", phase_object(&progress->phase));
    return dump_and_release(o);
}

static json_t *cost_object(const struct sn_phase_cost *cost)
{
    json_t *o = json_object();
    sn_json_put(o, "wall_s", sn_json_number(cost->wall_s));
    sn_json_put(o, "cpu_s", sn_json_number(cost->cpu_s));
    sn_json_put(o, "images", sn_json_number(cost->images));
    sn_json_put(o, "macs", sn_json_number(cost->macs));
    return o;
}

char *sn_json_cost(const struct sn_phase_cost cost[SN_PHASE_KINDS])
{
    struct sn_phase_cost total = {0};
    json_t *o = json_object();
    for (int i = 0; i < SN_PHASE_KINDS; i++) {
        const struct sn_phase_cost *c = &cost[i];
        if (c->wall_s == 0 && c->cpu_s == 0 && c->images == 0 && c->macs == 0)
            continue;
        sn_json_put(o, sn_phase_names[i], cost_object(c));
        total.wall_s += c->wall_s;
        total.cpu_s += c->cpu_s;
        total.images += c->images;
        total.macs += c->macs;
    }
    sn_json_put(o, "total", cost_object(&total));
    return dump_and_release(o);
}

char *sn_json_series(const char *name, uint64_t step, double epoch,
                     double value)
{
    json_t *o = json_object();
    sn_json_put(o, "name", sn_json_string(name));
    sn_json_put(o, "step", integer(step));
    sn_json_put(o, "epoch", sn_json_number(epoch));
    sn_json_put(o, "value", sn_json_number(value));
    return dump_and_release(o);
}

static json_t *latency_object(const struct sn_latency_ms *l)
{
    if (!isfinite(l->predicted) && !isfinite(l->measured))
        return json_null();
    json_t *o = json_object();
    sn_json_put(o, "predicted", sn_json_number(l->predicted));
    sn_json_put(o, "measured", sn_json_number(l->measured));
    sn_json_put(o, "ci", sn_json_interval(l->lo, l->hi));
    sn_json_put(o, "runtime", sn_json_string("sparsenas"));
    return o;
}

static json_t *evaluation_object(const struct sn_evaluation *e)
{
    json_t *o = json_object();
    sn_json_put(o, "arch", sn_json_string(e->arch));
    sn_json_put(o, "stage", sn_json_string(sn_stage_names[e->stage]));
    sn_json_put(o, "split", sn_json_string(sn_split_names[e->split]));
    sn_json_put(o, "step", integer(e->step));
    sn_json_put(o, "images", json_integer(e->images));
    sn_json_put(o, "accuracy", sn_json_number(e->accuracy));
    sn_json_put(o, "ci",
                sn_json_accuracy_ci(e->correct, e->images, e->selected));
    sn_json_put(o, "predicted", sn_json_number(e->predicted));
    sn_json_put(o, "selected", json_boolean(e->selected));
    sn_json_put(o, "macs", sn_json_number(e->cost.macs));
    sn_json_put(o, "params", sn_json_number(e->cost.params));
    sn_json_put(o, "peak_memory", sn_json_number(e->cost.peak_memory));
    sn_json_put(o, "latency_ms", latency_object(&e->latency));
    return o;
}

char *sn_json_evaluation(const struct sn_evaluation *evaluation)
{
    return dump_and_release(evaluation_object(evaluation));
}

/* "tau": 0.5, "tau_ci": [0.4, 0.6] */
static void put_stat(json_t *o, const char *name, const struct sn_stat *stat)
{
    char ci[32];
    snprintf(ci, sizeof ci, "%s_ci", name);
    sn_json_put(o, name, sn_json_number(stat->value));
    sn_json_put(o, ci, sn_json_interval(stat->lo, stat->hi));
}

static void put_quality(json_t *o, const struct sn_quality *q, bool banded)
{
    sn_json_put(o, "n", json_integer(q->n));
    put_stat(o, "tau", &q->tau);
    if (banded)
        put_stat(o, "tau_within", &q->tau_within);
    put_stat(o, "spearman", &q->spearman);
    put_stat(o, "mae", &q->mae);
    put_stat(o, "top_recall", &q->top_recall);
    put_stat(o, "coverage", &q->coverage);
}

static json_t *quality_bands(const struct sn_predictor_report *report)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < report->n_bands; i++) {
        json_t *o = json_object();
        sn_json_put(o, "macs_lo", sn_json_number(report->bands[i].macs_lo));
        sn_json_put(o, "macs_hi", sn_json_number(report->bands[i].macs_hi));
        put_quality(o, &report->bands[i].quality, false);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *spread_object(const struct sn_spread *s)
{
    json_t *o = json_object();
    sn_json_put(o, "spread", sn_json_number(s->spread));
    sn_json_put(o, "standard_error", sn_json_number(s->standard_error));
    sn_json_put(o, "reliability", sn_json_number(s->reliability));
    sn_json_put(o, "real", json_boolean(s->real));
    return o;
}

static json_t *signal_object(const struct sn_signal *signal)
{
    json_t *o = json_object();
    sn_json_put(o, "overall", spread_object(&signal->overall));
    sn_json_put(o, "within", spread_object(&signal->within));
    return o;
}

static json_t *contest_list(const struct sn_contest *c)
{
    json_t *list = json_array();
    for (int k = 0; k < SN_PREDICTOR_KINDS; k++) {
        if (!c->entered[k])
            continue;
        json_t *o = json_object();
        sn_json_put(o, "kind", sn_json_string(sn_predictor_names[k]));
        sn_json_put(o, "tau", sn_json_number(c->tau[k]));
        sn_json_put(o, "tau_within", sn_json_number(c->tau_within[k]));
        sn_json_put(o, "mae", sn_json_number(c->mae[k]));
        json_array_append_new(list, o);
    }
    return list;
}

char *sn_json_predictor(const struct sn_predictor_report *report)
{
    json_t *o = json_object();
    const struct sn_spread *within = &report->signal.within;
    sn_json_put(o, "kind", sn_json_string(sn_predictor_names[report->kind]));
    sn_json_put(o, "why", sn_json_string(report->why));
    sn_json_put(o, "kinds", contest_list(&report->contest));
    sn_json_put(o, "stage", sn_json_string(sn_stage_names[report->stage]));
    sn_json_put(o, "step", integer(report->step));
    put_quality(o, &report->quality, true);
    sn_json_put(o, "bands", quality_bands(report));
    sn_json_put(o, "signal", signal_object(&report->signal));
    sn_json_put(o, "spread", sn_json_number(within->spread));
    sn_json_put(o, "standard_error", sn_json_number(within->standard_error));
    sn_json_put(o, "reliability", sn_json_number(within->reliability));
    sn_json_put(o, "has_signal", json_boolean(within->real));
    sn_json_put(o, "used", json_boolean(report->used));
    sn_json_put(o, "verdict", sn_json_string(report->verdict));
    return dump_and_release(o);
}

static json_t *taus_object(double tau, double within)
{
    json_t *o = json_object();
    sn_json_put(o, "tau", sn_json_number(tau));
    sn_json_put(o, "tau_within", sn_json_number(within));
    return o;
}

char *sn_json_outcome(const struct sn_outcome_report *r)
{
    json_t *o = json_object();
    sn_json_put(o, "step", integer(r->step));
    sn_json_put(o, "n", json_integer(r->n));
    sn_json_put(o, "measured",
                taus_object(r->measured_tau, r->measured_tau_within));
    sn_json_put(o, "predicted",
                taus_object(r->predicted_tau, r->predicted_tau_within));
    sn_json_put(o, "top", json_integer(r->top));
    sn_json_put(o, "kept", r->filtered ? json_integer(r->kept) : json_null());
    sn_json_put(o, "top_kept",
                r->filtered ? json_integer(r->top_kept) : json_null());
    sn_json_put(o, "verdict", sn_json_string(r->verdict));
    return dump_and_release(o);
}

char *sn_json_subspace(const struct sn_subspace_report *report)
{
    json_t *o = json_object(), *bands = json_array();
    sn_json_put(o, "step", integer(report->step));
    sn_json_put(o, "filter", sn_json_string(sn_keep_names[report->filter]));
    sn_json_put(o, "scored", json_integer(report->scored));
    sn_json_put(o, "size", json_integer(report->size));
    sn_json_put(o, "space_size", sn_json_number(report->space_size));
    sn_json_put(o, "density", sn_json_number(report->density));
    for (uint32_t i = 0; i < report->n_bands; i++) {
        const struct sn_band_report *b = &report->bands[i];
        json_t *band = json_object();
        sn_json_put(band, "macs_lo", sn_json_number(b->macs_lo));
        sn_json_put(band, "macs_hi", sn_json_number(b->macs_hi));
        sn_json_put(band, "threshold", sn_json_number(b->threshold));
        sn_json_put(band, "scored", json_integer(b->scored));
        sn_json_put(band, "kept", json_integer(b->kept));
        json_array_append_new(bands, band);
    }
    sn_json_put(o, "bands", bands);
    return dump_and_release(o);
}

static json_t *front_items(const struct sn_front_report *front)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < front->n; i++)
        json_array_append_new(list, evaluation_object(&front->items[i]));
    return list;
}

char *sn_json_front(const struct sn_front_report *front)
{
    json_t *o = json_object();
    sn_json_put(o, "cost", sn_json_string(sn_cost_names[front->cost]));
    sn_json_put(o, "device", sn_json_string(front->device));
    sn_json_put(o, "as_of_step", integer(front->as_of_step));
    sn_json_put(o, "items", front_items(front));
    return dump_and_release(o);
}

char *sn_json_front_items(const struct sn_front_report *front)
{
    return dump_and_release(front_items(front));
}

char *sn_json_answer(uint32_t i, uint32_t of, const struct sn_answer *answer)
{
    json_t *o = json_object();
    sn_json_put(o, "index", json_integer(i));
    sn_json_put(o, "of", json_integer(of));
    sn_json_put(o, "cost", sn_json_string(sn_cost_names[answer->cost]));
    sn_json_put(o, sn_cost_names[answer->cost], sn_json_number(answer->bound));
    sn_json_put(o, "found", json_boolean(answer->found));
    sn_json_put(o, "best", evaluation_object(&answer->best));
    sn_json_put(
        o, "test_accuracy",
        isfinite(answer->test_accuracy) && answer->test_images > 0
            ? sn_json_proportion(answer->test_correct, answer->test_images)
            : json_null());
    return dump_and_release(o);
}

char *sn_json_checkpoint(uint64_t step, const char *phase, const char *xxh3,
                         uint64_t bytes)
{
    json_t *o = json_object();
    sn_json_put(o, "step", integer(step));
    sn_json_put(o, "phase", sn_json_string(phase));
    sn_json_put(o, "xxh3", sn_json_string(xxh3));
    sn_json_put(o, "bytes", integer(bytes));
    return dump_and_release(o);
}

char *sn_json_log(enum sn_log_level level, const char *text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    json_t *o = json_object();
    sn_json_put(o, "level",
                sn_json_string((unsigned)level < 4 ? names[level] : "error"));
    sn_json_put(o, "text", sn_json_string(text));
    return dump_and_release(o);
}

/* ---- reading back ---- */

static double number_of(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static void read_phase(const json_t *o, struct sn_phase_report *ret)
{
    const char *kind = json_string_value(json_object_get(o, "kind"));
    const char *name = json_string_value(json_object_get(o, "name"));
    for (int i = 0; kind != NULL && i < SN_PHASE_KINDS; i++) {
        if (strcmp(kind, sn_phase_names[i]) == 0)
            ret->kind = (enum sn_phase_kind)i;
    }
    if (name != NULL)
        strncpy(ret->name, name, sizeof ret->name - 1);
    ret->index = (int)json_integer_value(json_object_get(o, "index"));
    ret->of = (int)json_integer_value(json_object_get(o, "of"));
}

enum sn_err sn_json_read_progress(const char *progress, const char *cost,
                                  struct sn_progress *ret, struct sn_error *err)
{
    enum sn_err rc = SN_OK;
    struct sn_progress p = {0};
    json_t *o = sn_json_stored(progress), *c = sn_json_stored(cost);
    p.eta_s = NAN;
    if ((!json_is_object(o) && progress != NULL && progress[0] != '\0') ||
        (!json_is_object(c) && cost != NULL && cost[0] != '\0')) {
        rc = sn_error_set(err, SN_ERR_CORRUPT,
                          "stored progress is no JSON object");
    } else {
        p.fraction = number_of(o, "fraction", 0);
        p.phase_fraction = number_of(o, "phase_fraction", 0);
        p.eta_s = number_of(o, "eta_s", NAN);
        p.images_per_s = number_of(o, "images_per_s", 0);
        p.epoch = number_of(o, "epoch", 0);
        p.step = (uint64_t)number_of(o, "step", 0);
        read_phase(json_object_get(o, "phase"), &p.phase);
        for (int i = 0; i < SN_PHASE_KINDS; i++) {
            const json_t *one = json_object_get(c, sn_phase_names[i]);
            p.cost[i].wall_s = number_of(one, "wall_s", 0);
            p.cost[i].cpu_s = number_of(one, "cpu_s", 0);
            p.cost[i].images = number_of(one, "images", 0);
            p.cost[i].macs = number_of(one, "macs", 0);
        }
        *ret = p;
    }
    json_decref(o);
    json_decref(c);
    return rc;
}
