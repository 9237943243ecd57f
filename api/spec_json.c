/* The spec and JSON, generically over the table of settings. */
#include "api/spec_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/problem.h"

/* ---- the table's pointers: "/a" or "/group/a" ---- */

static const char *leaf_of(const struct sn_field *f)
{
    return strrchr(f->pointer, '/') + 1;
}

/* The length of the group's name, 0 at the top; the name starts at 1. */
static size_t group_length(const struct sn_field *f)
{
    return (size_t)(leaf_of(f) - f->pointer) > 1
               ? (size_t)(leaf_of(f) - f->pointer) - 2
               : 0;
}

static bool in_group(const struct sn_field *f, const char *group)
{
    return strlen(group) == group_length(f) &&
           strncmp(f->pointer + 1, group, group_length(f)) == 0;
}

static bool is_group(const char *name)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    for (size_t i = 0; i < n; i++) {
        if (group_length(&fields[i]) > 0 && in_group(&fields[i], name))
            return true;
    }
    return false;
}

static const struct sn_field *find_field(const char *group, const char *name)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    for (size_t i = 0; i < n; i++) {
        if (in_group(&fields[i], group) &&
            strcmp(leaf_of(&fields[i]), name) == 0)
            return &fields[i];
    }
    return NULL;
}

/* ---- reading one field ---- */

static void read_text(const struct sn_field *f, const json_t *value, char *at,
                      struct sn_problem *problem)
{
    size_t n = json_string_length(value);
    if (!json_is_string(value)) {
        sn_problem_at(problem, f->pointer, "must be a string");
    } else if (n < f->min || n > f->max || n >= f->size) {
        sn_problem_at(problem, f->pointer, "must have %.0f to %.0f bytes",
                      f->min, f->max);
    } else {
        memcpy(at, json_string_value(value), n + 1);
    }
}

static bool in_range(const struct sn_field *f, double value,
                     struct sn_problem *problem)
{
    if (value >= f->min && value <= f->max)
        return true;
    sn_problem_at(problem, f->pointer, "must be from %.15g to %.15g", f->min,
                  f->max);
    return false;
}

static void read_integer(const struct sn_field *f, const json_t *value,
                         char *at, struct sn_problem *problem)
{
    if (!json_is_integer(value)) {
        sn_problem_at(problem, f->pointer, "must be a whole number");
        return;
    }
    json_int_t number = json_integer_value(value);
    if (!in_range(f, (double)number, problem))
        return;
    if (f->type == SN_FIELD_INT64) {
        int64_t wide = number;
        memcpy(at, &wide, sizeof wide);
    } else {
        int32_t narrow = (int32_t)number;
        memcpy(at, &narrow, sizeof narrow);
    }
}

static void read_double(const struct sn_field *f, const json_t *value, char *at,
                        struct sn_problem *problem)
{
    double number = json_number_value(value);
    if (!json_is_number(value))
        sn_problem_at(problem, f->pointer, "must be a number");
    else if (in_range(f, number, problem))
        memcpy(at, &number, sizeof number);
}

static void read_enum(const struct sn_field *f, const json_t *value, char *at,
                      struct sn_problem *problem)
{
    char list[160] = "";
    for (int32_t i = 0; f->choices[i] != NULL; i++) {
        if (json_is_string(value) &&
            strcmp(json_string_value(value), f->choices[i]) == 0) {
            memcpy(at, &i, sizeof i);
            return;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s\"%s\"", i > 0 ? ", " : "",
                 f->choices[i]);
    }
    sn_problem_at(problem, f->pointer, "must be one of %s", list);
}

static int cost_index(const json_t *value)
{
    for (int i = 0; i < SN_COST_KINDS; i++) {
        if (json_is_string(value) &&
            strcmp(json_string_value(value), sn_cost_names[i]) == 0)
            return i;
    }
    return -1;
}

static void read_costs(const struct sn_field *f, const json_t *value, char *at,
                       struct sn_problem *problem)
{
    int32_t bits = 0;
    if (!json_is_array(value) || json_array_size(value) == 0) {
        sn_problem_at(problem, f->pointer,
                      "must be a list of at least one cost");
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        int cost = cost_index(json_array_get(value, i));
        if (cost < 0 || (bits & 1 << cost) != 0) {
            char pointer[SN_POINTER_MAX];
            snprintf(pointer, sizeof pointer, "%s/%zu", f->pointer, i);
            sn_problem_at(problem, pointer,
                          cost < 0 ? "must be one of \"latency_ms\", \"macs\", "
                                     "\"params\", \"peak_memory\""
                                   : "is in the list twice");
            return;
        }
        bits |= 1 << cost;
    }
    memcpy(at, &bits, sizeof bits);
}

/* No targets are possible where none are the default. */
static void read_targets(const struct sn_field *f, const json_t *value,
                         char *at, struct sn_problem *problem)
{
    const bool is_auto =
        json_is_string(value) && strcmp(json_string_value(value), "auto") == 0;
    const size_t least = f->initial_text[0] != '\0' ? 1 : 0;
    const size_t n = json_array_size(value);
    struct sn_targets targets = {.automatic = is_auto, .n = (int32_t)n};
    if (!is_auto &&
        (!json_is_array(value) || n < least || n > SN_MAX_TARGETS)) {
        sn_problem_at(problem, f->pointer,
                      "must be \"auto\" or a list of %zu to %d numbers", least,
                      SN_MAX_TARGETS);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(value, i);
        targets.bound[i] = json_number_value(one);
        if (!json_is_number(one) || targets.bound[i] < f->min ||
            targets.bound[i] > f->max) {
            char pointer[SN_POINTER_MAX];
            snprintf(pointer, sizeof pointer, "%s/%zu", f->pointer, i);
            sn_problem_at(problem, pointer,
                          "must be a number from %.15g to %.15g", f->min,
                          f->max);
            return;
        }
    }
    memcpy(at, &targets, sizeof targets);
}

/* Ids are checked against the space when the spec is resolved. */
static void read_archs(const struct sn_field *f, const json_t *value,
                       struct sn_arch_list *list, struct sn_problem *problem)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || (double)n < f->min || (double)n > f->max) {
        sn_problem_at(problem, f->pointer,
                      "must be a list of %.0f to %.0f architecture ids", f->min,
                      f->max);
        return;
    }
    memset(list, 0, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(value, i);
        size_t length = json_string_length(id);
        if (!json_is_string(id) || length == 0 || length >= SN_ARCH_ID_MAX) {
            char pointer[SN_POINTER_MAX];
            snprintf(pointer, sizeof pointer, "%s/%zu", f->pointer, i);
            sn_problem_at(problem, pointer, "must be an architecture's id");
            return;
        }
        memcpy(list->id[i], json_string_value(id), length + 1);
    }
    list->n = (int32_t)n;
}

static void read_field(const struct sn_field *f, const json_t *value,
                       struct sn_spec *spec, struct sn_problem *problem)
{
    char *at = (char *)spec + f->offset;
    switch (f->type) {
    case SN_FIELD_STRING:
        read_text(f, value, at, problem);
        break;
    case SN_FIELD_INT:
    case SN_FIELD_INT64:
        read_integer(f, value, at, problem);
        break;
    case SN_FIELD_DOUBLE:
        read_double(f, value, at, problem);
        break;
    case SN_FIELD_BOOL:
        if (json_is_boolean(value))
            *(bool *)(void *)at = json_is_true(value);
        else
            sn_problem_at(problem, f->pointer, "must be true or false");
        break;
    case SN_FIELD_ENUM:
        read_enum(f, value, at, problem);
        break;
    case SN_FIELD_COSTS:
        read_costs(f, value, at, problem);
        break;
    case SN_FIELD_TARGETS:
        read_targets(f, value, at, problem);
        break;
    case SN_FIELD_ARCHS:
        read_archs(f, value, (struct sn_arch_list *)(void *)at, problem);
        break;
    }
}

/* ---- reading the whole ---- */

static void check_labels(json_t *labels, struct sn_problem *problem)
{
    const char *key;
    json_t *value;
    if (!json_is_object(labels)) {
        sn_problem_at(problem, "/labels", "must be an object of strings");
        return;
    }
    if (json_object_size(labels) > SN_LABELS_MAX)
        sn_problem_at(problem, "/labels", "must have at most %d members",
                      SN_LABELS_MAX);
    json_object_foreach(labels, key, value)
    {
        char pointer[SN_POINTER_MAX];
        sn_json_pointer_join("/labels", key, pointer);
        if (key[0] == '\0' || strlen(key) > SN_LABEL_KEY_MAX)
            sn_problem_at(problem, pointer, "a label's key has 1 to %d bytes",
                          SN_LABEL_KEY_MAX);
        else if (!json_is_string(value))
            sn_problem_at(problem, pointer, "must be a string");
        else if (json_string_length(value) > SN_LABEL_VALUE_MAX)
            sn_problem_at(problem, pointer, "must have at most %d bytes",
                          SN_LABEL_VALUE_MAX);
    }
}

static void read_members(json_t *object, const char *group,
                         struct sn_spec *spec, struct sn_problem *problem)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const struct sn_field *f = find_field(group, key);
        if (f != NULL) {
            size_t n;
            read_field(f, value, spec, problem);
            sn_spec_give(spec, (size_t)(f - sn_spec_fields(&n)));
            continue;
        }
        bool top = group[0] == '\0';
        char prefix[SN_POINTER_MAX] = "", pointer[SN_POINTER_MAX];
        if (!top)
            sn_json_pointer_join("", group, prefix);
        sn_json_pointer_join(prefix, key, pointer);
        if (top && strcmp(key, "labels") == 0)
            check_labels(value, problem);
        else if (!top || !is_group(key))
            sn_problem_at(problem, pointer, "there is no such field");
        else if (!json_is_object(value))
            sn_problem_at(problem, pointer, "must be an object");
        else
            read_members(value, key, spec, problem);
    }
}

static void check_required(const json_t *body, struct sn_problem *problem)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    for (size_t i = 0; i < n; i++) {
        const json_t *parent = body;
        if (group_length(&fields[i]) > 0) {
            char group[SN_POINTER_MAX];
            snprintf(group, sizeof group, "%.*s", (int)group_length(&fields[i]),
                     fields[i].pointer + 1);
            parent = json_object_get(body, group);
        }
        if (fields[i].required &&
            json_object_get(parent, leaf_of(&fields[i])) == NULL)
            sn_problem_at(problem, fields[i].pointer, "is required");
    }
}

bool sn_spec_from_json(json_t *body, struct sn_spec *ret, char **ret_labels,
                       struct sn_problem *problem)
{
    struct sn_spec spec;
    if (!json_is_object(body)) {
        sn_problem_at(problem, "", "the body must be a JSON object");
        return false;
    }
    sn_spec_defaults(&spec);
    read_members(body, "", &spec, problem);
    check_required(body, problem);
    if (problem->n > 0) {
        sn_problem_set(problem, 400, "%zu field%s of the job %s not acceptable",
                       problem->n, problem->n == 1 ? "" : "s",
                       problem->n == 1 ? "is" : "are");
        return false;
    }
    json_t *given = json_object_get(body, "labels");
    char *labels = given != NULL ? sn_json_dump(given) : strdup("{}");
    if (labels == NULL) {
        sn_problem_set(problem, 503, "out of memory");
        return false;
    }
    *ret = spec;
    *ret_labels = labels;
    return true;
}

enum sn_err sn_spec_parse(const char *text, struct sn_spec *ret,
                          char **ret_labels, struct sn_error *err)
{
    struct sn_problem problem = {0};
    char *labels = NULL;
    json_t *body = sn_json_load(text, strlen(text), &problem);
    bool good = body != NULL && sn_spec_from_json(body, ret, &labels, &problem);
    json_decref(body);
    if (!good)
        return sn_error_at(err, SN_ERR_INVALID,
                           problem.n > 0 ? problem.item[0].where : "", "%s%s%s",
                           problem.detail, problem.n > 0 ? ": " : "",
                           problem.n > 0 ? problem.item[0].detail : "");
    if (ret_labels != NULL)
        *ret_labels = labels;
    else
        free(labels);
    return SN_OK;
}

/* ---- writing ---- */

static json_t *write_costs(int32_t bits)
{
    json_t *list = json_array();
    for (int i = 0; i < SN_COST_KINDS; i++) {
        if ((bits & 1 << i) != 0)
            json_array_append_new(list, sn_json_string(sn_cost_names[i]));
    }
    return list;
}

static json_t *write_targets(const char *at)
{
    struct sn_targets targets;
    memcpy(&targets, at, sizeof targets);
    if (targets.automatic)
        return sn_json_string("auto");
    json_t *list = json_array();
    for (int32_t i = 0; i < targets.n; i++)
        json_array_append_new(list, sn_json_number(targets.bound[i]));
    return list;
}

static json_t *write_archs(const struct sn_arch_list *archs)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < archs->n; i++)
        json_array_append_new(list, sn_json_string(archs->id[i]));
    return list;
}

static json_t *write_field(const struct sn_field *f, const struct sn_spec *spec)
{
    const char *at = (const char *)spec + f->offset;
    int32_t narrow = 0;
    int64_t wide = 0;
    double number = 0;
    bool flag = false;
    switch (f->type) {
    case SN_FIELD_STRING:
        return sn_json_string(at);
    case SN_FIELD_INT:
        memcpy(&narrow, at, sizeof narrow);
        return json_integer(narrow);
    case SN_FIELD_INT64:
        memcpy(&wide, at, sizeof wide);
        return json_integer(wide);
    case SN_FIELD_DOUBLE:
        memcpy(&number, at, sizeof number);
        return sn_json_number(number);
    case SN_FIELD_BOOL:
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    case SN_FIELD_ENUM:
        memcpy(&narrow, at, sizeof narrow);
        return sn_json_string(f->choices[narrow]);
    case SN_FIELD_COSTS:
        memcpy(&narrow, at, sizeof narrow);
        return write_costs(narrow);
    case SN_FIELD_TARGETS:
        return write_targets(at);
    case SN_FIELD_ARCHS:
        return write_archs((const struct sn_arch_list *)(const void *)at);
    }
    return NULL;
}

json_t *sn_spec_to_json(const struct sn_spec *spec, const char *labels)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    json_t *body = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *parent = body;
        if (group_length(&fields[i]) > 0) {
            char group[SN_POINTER_MAX];
            snprintf(group, sizeof group, "%.*s", (int)group_length(&fields[i]),
                     fields[i].pointer + 1);
            parent = json_object_get(body, group);
            if (parent == NULL) {
                sn_json_put(body, group, json_object());
                parent = json_object_get(body, group);
            }
        }
        sn_json_put(parent, leaf_of(&fields[i]), write_field(&fields[i], spec));
    }
    if (labels != NULL)
        sn_json_put(body, "labels", sn_json_stored(labels));
    return body;
}

char *sn_spec_print(const struct sn_spec *spec, const char *labels)
{
    json_t *body = sn_spec_to_json(spec, labels);
    char *text = sn_json_dump(body);
    json_decref(body);
    return text;
}
