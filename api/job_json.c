/* A job as JSON. */
#include "api/job_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/event_json.h"
#include "api/json.h"

/* Text made by event_json as a value. */
static json_t *parsed(char *text)
{
    json_t *value = sn_json_stored(text);
    free(text);
    return value;
}

static void put_link(json_t *links, const struct sn_job_view *job,
                     const char *name, const char *tail)
{
    char url[256];
    snprintf(url, sizeof url, "/api/v1/jobs/%s%s", job->id, tail);
    sn_json_put(links, name, sn_json_string(url));
}

static json_t *links_of(const struct sn_job_view *job)
{
    json_t *links = json_object();
    char events[256];
    put_link(links, job, "self", "");
    put_link(links, job, "front", "/front");
    put_link(links, job, "best", "/best");
    put_link(links, job, "evaluations", "/evaluations");
    put_link(links, job, "series", "/series");
    put_link(links, job, "predictors", "/predictors");
    put_link(links, job, "subspace", "/subspace");
    put_link(links, job, "log", "/log");
    snprintf(events, sizeof events, "/api/v1/events?job=%s", job->id);
    sn_json_put(links, "events", sn_json_string(events));
    return links;
}

static json_t *text_or_null(const char *text)
{
    return sn_json_string(text[0] != '\0' ? text : NULL);
}

static json_t *build(const struct sn_job_view *job, bool whole)
{
    const struct sn_spec *s = job->spec;
    json_t *o = json_object();
    sn_json_put(o, "id", sn_json_string(job->id));
    sn_json_put(o, "name", sn_json_string(job->name));
    sn_json_put(o, "state", sn_json_string(sn_job_state_name(job->state)));
    sn_json_put(o, "reason", sn_json_string(job->reason));
    sn_json_put(o, "paused_by", sn_json_string(job->paused_by));
    sn_json_put(o, "priority", json_integer(job->priority));
    sn_json_put(o, "dataset", sn_json_string(s->dataset));
    sn_json_put(o, "space", sn_json_string(s->space));
    sn_json_put(o, "strategy", sn_json_string(sn_strategy_names[s->strategy]));
    sn_json_put(o, "epochs", sn_json_number(s->epochs));
    sn_json_put(o, "architecture", text_or_null(s->architecture));
    sn_json_put(o, "parent", text_or_null(s->parent));
    sn_json_put(o, "labels", sn_json_stored(job->labels_json));
    sn_json_put(o, "created", sn_json_number(job->created));
    sn_json_put(o, "started", sn_json_number(job->started));
    sn_json_put(o, "ended", sn_json_number(job->ended));
    sn_json_put(o, "phase", parsed(sn_json_phase(&job->progress.phase)));
    sn_json_put(o, "progress", parsed(sn_json_progress(&job->progress)));
    sn_json_put(o, "best_accuracy", sn_json_number(job->best_accuracy));
    sn_json_put(o, "evaluations", json_integer((json_int_t)job->evaluations));
    if (whole) {
        json_t *supernet = json_object();
        sn_json_put(o, "cost", parsed(sn_json_cost(job->progress.cost)));
        sn_json_put(o, "spec", sn_json_stored(job->spec_resolved_json));
        sn_json_put(o, "spec_given", sn_json_stored(job->spec_given_json));
        sn_json_put(supernet, "step",
                    json_integer((json_int_t)job->checkpoint_step));
        sn_json_put(
            supernet, "xxh3",
            sn_json_string(job->checkpoint_step > 0 ? job->xxh3 : NULL));
        sn_json_put(o, "supernet", supernet);
    }
    sn_json_put(o, "links", links_of(job));
    return o;
}

json_t *sn_job_item(const struct sn_job_view *job)
{
    return build(job, false);
}

json_t *sn_job_whole(const struct sn_job_view *job)
{
    return build(job, true);
}
