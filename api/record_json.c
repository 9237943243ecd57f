/* Stored evaluations as JSON. */
#include "api/record_json.h"

#include <math.h>
#include <stdio.h>

#include "api/json.h"
#include "api/stats.h"

json_t *sn_record_latency(const struct sn_arch_latency *latency)
{
    if (!isfinite(latency->predicted_ms) && !isfinite(latency->measured_ms))
        return json_null();
    json_t *o = json_object();
    sn_json_put(o, "predicted", sn_json_number(latency->predicted_ms));
    sn_json_put(o, "measured", sn_json_number(latency->measured_ms));
    sn_json_put(o, "ci",
                sn_json_interval(latency->ci_low_ms, latency->ci_high_ms));
    sn_json_put(o, "runtime", sn_json_string(latency->runtime));
    sn_json_put(o, "device", sn_json_string(latency->device));
    return o;
}

double sn_record_latency_ms(const struct sn_evaluation_record *row)
{
    return isfinite(row->latency.measured_ms) ? row->latency.measured_ms
                                              : row->latency.predicted_ms;
}

static json_t *links_of(const struct sn_evaluation_record *row)
{
    static const struct {
        const char *name, *tail;
    } kinds[] = {{"self", ""},
                 {"onnx", "/model.onnx"},
                 {"weights", "/weights.safetensors"}};
    json_t *links = json_object();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char url[384];
        snprintf(url, sizeof url, "/api/v1/jobs/%s/architectures/%s%s",
                 row->job, row->arch, kinds[i].tail);
        sn_json_put(links, kinds[i].name, sn_json_string(url));
    }
    return links;
}

json_t *sn_record_evaluation(const struct sn_evaluation_record *row)
{
    json_t *o = json_object();
    sn_json_put(o, "seq", json_integer(row->seq));
    sn_json_put(o, "arch", sn_json_string(row->arch));
    sn_json_put(o, "stage", sn_json_string(sn_eval_stage_name(row->stage)));
    sn_json_put(o, "split", sn_json_string(row->split));
    sn_json_put(o, "step", json_integer(row->step));
    sn_json_put(o, "images", json_integer(row->images));
    sn_json_put(o, "accuracy", sn_json_number(row->accuracy));
    sn_json_put(o, "ci",
                sn_json_accuracy_ci(row->correct, row->images, row->selected));
    sn_json_put(o, "predicted", sn_json_number(row->predicted));
    sn_json_put(o, "selected", json_boolean(row->selected));
    sn_json_put(o, "macs", json_integer(row->macs));
    sn_json_put(o, "params", json_integer(row->params));
    sn_json_put(o, "peak_memory", json_integer(row->peak_memory));
    sn_json_put(o, "latency_ms", sn_record_latency(&row->latency));
    sn_json_put(o, "time", sn_json_number((double)row->time_ms / 1000));
    sn_json_put(o, "links", links_of(row));
    return o;
}
