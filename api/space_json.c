#include "api/space_json.h"

#include <stdio.h>
#include <string.h>

#include "api/json.h"

static const char *const act_names[] = {[SN_ACT_NONE] = "none",
                                        [SN_ACT_RELU] = "relu",
                                        [SN_ACT_HSWISH] = "hswish",
                                        [SN_ACT_RELU6] = "relu6"};

/* CompOFA's kernels by stage; the first five are the published ones. */
static const uint8_t usual_kernel[SN_MAX_STAGES] = {3, 5, 3, 3, 5, 3, 3, 5};

const char *sn_act_name(enum sn_act act)
{
    return act_names[act];
}

/* ---- reading; every function goes on after an error ---- */

/* An object that is being read, where it is, and where errors go. */
struct place {
    json_t *object;
    char pointer[SN_POINTER_MAX];
    struct sn_problem *problem;
};

static void at_fault(const struct place *p, const char *name, const char *what)
{
    char pointer[SN_POINTER_MAX];
    sn_json_pointer_join(p->pointer, name, pointer);
    sn_problem_at(p->problem, pointer, "%s", what);
}

/* A whole number; bounds of the space are sn_space_check's. */
static int read_number(const struct place *p, const char *name, int otherwise)
{
    json_t *value = json_object_get(p->object, name);
    json_int_t number = json_integer_value(value);
    if (value == NULL && otherwise >= 0)
        return otherwise;
    if (!json_is_integer(value) || number < 0 || number > UINT16_MAX) {
        at_fault(p, name, "must be a whole number");
        return 0;
    }
    return (int)number;
}

static uint8_t read_small(const struct place *p, const char *name)
{
    int number = read_number(p, name, -1);
    return number > UINT8_MAX ? UINT8_MAX : (uint8_t)number;
}

static bool read_flag(const struct place *p, const char *name)
{
    json_t *value = json_object_get(p->object, name);
    if (value != NULL && !json_is_boolean(value))
        at_fault(p, name, "must be true or false");
    return json_is_true(value);
}

static enum sn_act read_act(const struct place *p, enum sn_act otherwise)
{
    json_t *value = json_object_get(p->object, "activation");
    const char *name = json_string_value(value);
    if (value == NULL)
        return otherwise;
    for (int a = SN_ACT_RELU; name != NULL && a <= SN_ACT_RELU6; a++)
        if (strcmp(name, act_names[a]) == 0)
            return (enum sn_act)a;
    at_fault(p, "activation", "must be \"relu\", \"relu6\" or \"hswish\"");
    return otherwise;
}

/* Up to `most` whole numbers; returns how many. */
static size_t read_numbers(const struct place *p, const char *name, size_t most,
                           uint16_t *ret)
{
    json_t *list = json_object_get(p->object, name);
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > most) {
        char what[64];
        snprintf(what, sizeof what, "must be a list of 1 to %zu numbers", most);
        at_fault(p, name, what);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_array_get(list, i);
        json_int_t number = json_integer_value(one);
        ret[i] = 0;
        if (json_is_integer(one) && number >= 0 && number <= UINT16_MAX) {
            ret[i] = (uint16_t)number;
            continue;
        }
        char element[64];
        snprintf(element, sizeof element, "%s/%zu", name, i);
        char pointer[SN_POINTER_MAX + 66];
        snprintf(pointer, sizeof pointer, "%s/%s", p->pointer, element);
        sn_problem_at(p->problem, pointer, "must be a whole number");
    }
    return n;
}

static size_t read_bytes(const struct place *p, const char *name, size_t most,
                         uint8_t *ret)
{
    uint16_t number[SN_MAX_RESOLUTIONS];
    size_t n = read_numbers(p, name, most, number);
    for (size_t i = 0; i < n; i++)
        ret[i] = number[i] > UINT8_MAX ? UINT8_MAX : (uint8_t)number[i];
    return n;
}

static void read_choices(const struct place *p, const char *name,
                         struct sn_choices *ret)
{
    ret->n = (uint8_t)read_bytes(p, name, SN_MAX_CHOICES, ret->value);
}

/* Goes into a member that must be an object; false where it is not. */
static bool enter(const struct place *p, const char *name,
                  const char *const *names, struct place *ret)
{
    ret->object = json_object_get(p->object, name);
    ret->problem = p->problem;
    sn_json_pointer_join(p->pointer, name, ret->pointer);
    if (!json_is_object(ret->object)) {
        sn_problem_at(p->problem, ret->pointer, "must be an object");
        return false;
    }
    sn_json_check_members(ret->object, ret->pointer, names, p->problem);
    return true;
}

/* The i-th object of a list. */
static bool enter_at(const struct place *p, const char *list, size_t i,
                     const char *const *names, struct place *ret)
{
    ret->object = json_array_get(json_object_get(p->object, list), i);
    ret->problem = p->problem;
    snprintf(ret->pointer, sizeof ret->pointer, "/%s/%zu", list, i);
    if (!json_is_object(ret->object)) {
        sn_problem_at(p->problem, ret->pointer, "must be an object");
        return false;
    }
    sn_json_check_members(ret->object, ret->pointer, names, p->problem);
    return true;
}

/* The largest kernel of the list that is not over the usual one. */
static uint8_t near_kernel(const struct sn_choices *list, int s)
{
    uint8_t best = list->value[0];
    for (int i = 0; i < list->n; i++)
        if (list->value[i] <= usual_kernel[s])
            best = list->value[i];
    return best;
}

static void usual_coupling(struct sn_stage *stage, int s)
{
    for (int d = 0; d < stage->depth.n; d++) {
        int e = d < stage->expand.n ? d : stage->expand.n - 1;
        stage->coupled.expand[d] = stage->expand.value[e < 0 ? 0 : e];
    }
    stage->coupled.kernel =
        stage->kernel.n > 0 ? near_kernel(&stage->kernel, s) : 0;
}

static void read_coupling(const struct place *p, struct sn_stage *stage, int s)
{
    static const char *const names[] = {"expand", "kernel", NULL};
    struct place in;
    uint8_t expand[SN_MAX_CHOICES] = {0};
    if (json_object_get(p->object, "coupling") == NULL) {
        usual_coupling(stage, s);
        return;
    }
    if (!enter(p, "coupling", names, &in))
        return;
    stage->coupled.kernel = (uint8_t)read_number(&in, "kernel", 0);
    if (json_object_get(in.object, "expand") == NULL)
        return;
    size_t n = read_bytes(&in, "expand", SN_MAX_CHOICES, expand);
    if (n != 0 && n != stage->depth.n)
        at_fault(&in, "expand", "must have one expand for each depth");
    memcpy(stage->coupled.expand, expand, sizeof expand);
}

static void read_stage(const struct place *p, int s, struct sn_stage *stage)
{
    static const char *const names[] = {"width",  "stride",   "activation",
                                        "se",     "depth",    "kernel",
                                        "expand", "coupling", NULL};
    struct place in;
    if (!enter_at(p, "stages", (size_t)s, names, &in))
        return;
    stage->width = (uint16_t)read_number(&in, "width", -1);
    stage->stride = read_small(&in, "stride");
    stage->act = read_act(&in, SN_ACT_RELU);
    stage->se = read_flag(&in, "se");
    read_choices(&in, "depth", &stage->depth);
    read_choices(&in, "kernel", &stage->kernel);
    read_choices(&in, "expand", &stage->expand);
    read_coupling(&in, stage, s);
}

static void read_stages(const struct place *p, struct sn_space *s)
{
    json_t *list = json_object_get(p->object, "stages");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > SN_MAX_STAGES) {
        char what[64];
        snprintf(what, sizeof what, "must be a list of 1 to %d stages",
                 SN_MAX_STAGES);
        at_fault(p, "stages", what);
        return;
    }
    s->n_stages = (uint8_t)n;
    for (int i = 0; i < s->n_stages; i++)
        read_stage(p, i, &s->stage[i]);
}

static void read_rules(const struct place *p, struct sn_space *s)
{
    static const char *const names[] = {"below", "stem", "first", "stages",
                                        NULL};
    json_t *list = json_object_get(p->object, "strides");
    size_t n = json_array_size(list);
    if (list == NULL)
        return;
    if (!json_is_array(list) || n > SN_MAX_STRIDE_RULES) {
        char what[64];
        snprintf(what, sizeof what, "must be a list of at most %d rules",
                 SN_MAX_STRIDE_RULES);
        at_fault(p, "strides", what);
        return;
    }
    s->n_stride_rules = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        struct sn_stride_rule *rule = &s->stride_rule[i];
        struct place in;
        if (!enter_at(p, "strides", i, names, &in))
            continue;
        rule->below = (uint16_t)read_number(&in, "below", -1);
        rule->stem = read_small(&in, "stem");
        rule->first = read_small(&in, "first");
        size_t k = read_bytes(&in, "stages", SN_MAX_STAGES, rule->stage);
        if (k != 0 && k != s->n_stages)
            at_fault(&in, "stages", "must have one stride for each stage");
    }
}

static void read_parts(const struct place *p, struct sn_space *s)
{
    static const char *const stem[] = {"width", "stride", "activation", NULL};
    static const char *const head[] = {"width", "features", "activation", NULL};
    struct place in;
    if (enter(p, "stem", stem, &in)) {
        s->stem_width = (uint16_t)read_number(&in, "width", -1);
        s->stem_stride = read_small(&in, "stride");
        s->stem_act = read_act(&in, SN_ACT_HSWISH);
    }
    if (enter(p, "first", stem, &in)) {
        s->first_width = (uint16_t)read_number(&in, "width", -1);
        s->first_stride = read_small(&in, "stride");
        s->first_act = read_act(&in, SN_ACT_RELU);
    }
    if (enter(p, "head", head, &in)) {
        s->head_width = (uint16_t)read_number(&in, "width", -1);
        s->feature_width = (uint16_t)read_number(&in, "features", 0);
        s->head_act = read_act(&in, SN_ACT_HSWISH);
    }
}

static void read_whole(const struct place *p, struct sn_space *s)
{
    json_t *epsilon = json_object_get(p->object, "bn_epsilon");
    const char *coupling =
        sn_json_get_string(p->object, "", "coupling", false, 16, p->problem);
    const char *name = sn_json_get_string(p->object, "", "name", true,
                                          SN_NAME_MAX - 1, p->problem);
    const char *family =
        sn_json_get_string(p->object, "", "family", false, 16, p->problem);
    snprintf(s->name, sizeof s->name, "%s", name != NULL ? name : "");
    if (family != NULL && strcmp(family, "mobile") != 0)
        at_fault(p, "family", "only \"mobile\" spaces are made by users");
    if (epsilon != NULL && !json_is_number(epsilon))
        at_fault(p, "bn_epsilon", "must be a number");
    s->bn_eps = epsilon != NULL ? (float)json_number_value(epsilon) : 1e-5f;
    if (coupling != NULL && strcmp(coupling, "optional") != 0 &&
        strcmp(coupling, "required") != 0)
        at_fault(p, "coupling", "must be \"optional\" or \"required\"");
    s->always_coupled = coupling != NULL && strcmp(coupling, "required") == 0;
    s->n_resolutions = (uint8_t)read_numbers(
        p, "resolutions", SN_MAX_RESOLUTIONS, s->resolutions);
    if (s->n_resolutions > 0)
        s->resolution = s->resolutions[s->n_resolutions - 1];
}

bool sn_space_from_json(const json_t *body, struct sn_space *ret,
                        struct sn_problem *problem)
{
    static const char *const names[] = {
        "name",   "family", "resolutions", "bn_epsilon", "stem", "first",
        "stages", "head",   "strides",     "coupling",   NULL};
    struct place whole = {.object = (json_t *)(uintptr_t)body,
                          .problem = problem};
    struct sn_space s = {.family = SN_FAMILY_MOBILE};
    struct sn_error err = {0};
    if (!json_is_object(body)) {
        sn_problem_at(problem, "", "the body must be a JSON object");
        return false;
    }
    sn_json_check_members(whole.object, "", names, problem);
    read_whole(&whole, &s);
    read_parts(&whole, &s);
    read_stages(&whole, &s);
    read_rules(&whole, &s);
    if (problem->status != 0)
        return false;
    if (sn_space_check(&s, &err) != SN_OK) {
        sn_problem_from_error(problem, &err);
        return false;
    }
    *ret = s;
    return true;
}

bool sn_space_parse(const char *text, size_t size, struct sn_space *ret,
                    struct sn_problem *problem)
{
    json_t *body = sn_json_load(text, size, problem);
    bool good = body != NULL && sn_space_from_json(body, ret, problem);
    json_decref(body);
    return good;
}

/* ---- writing ---- */

static json_t *bytes(size_t n, const uint8_t *value)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(value[i]));
    return list;
}

static json_t *part(int width, int stride, enum sn_act act)
{
    json_t *o = json_object();
    sn_json_put(o, "width", json_integer(width));
    sn_json_put(o, "stride", json_integer(stride));
    sn_json_put(o, "activation", sn_json_string(act_names[act]));
    return o;
}

static json_t *stage_object(const struct sn_stage *s)
{
    json_t *o = part(s->width, s->stride, s->act), *c = json_object();
    sn_json_put(o, "se", json_boolean(s->se));
    sn_json_put(o, "depth", bytes(s->depth.n, s->depth.value));
    sn_json_put(o, "kernel", bytes(s->kernel.n, s->kernel.value));
    sn_json_put(o, "expand", bytes(s->expand.n, s->expand.value));
    sn_json_put(c, "expand", bytes(s->depth.n, s->coupled.expand));
    sn_json_put(c, "kernel", json_integer(s->coupled.kernel));
    sn_json_put(o, "coupling", c);
    return o;
}

static json_t *rules(const struct sn_space *space)
{
    json_t *list = json_array();
    for (int i = 0; i < space->n_stride_rules; i++) {
        const struct sn_stride_rule *r = &space->stride_rule[i];
        json_t *o = json_object();
        sn_json_put(o, "below", json_integer(r->below));
        sn_json_put(o, "stem", json_integer(r->stem));
        sn_json_put(o, "first", json_integer(r->first));
        sn_json_put(o, "stages", bytes(space->n_stages, r->stage));
        json_array_append_new(list, o);
    }
    return list;
}

/* A float's own digits, not those of the double nearest to it. */
static json_t *float_number(float value)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", (double)value);
    return sn_json_number(strtod(text, NULL));
}

json_t *sn_space_to_json(const struct sn_space *space)
{
    json_t *o = json_object(), *list = json_array(), *stages = json_array();
    json_t *head = json_object();
    sn_json_put(o, "name", sn_json_string(space->name));
    sn_json_put(o, "family", sn_json_string("mobile"));
    for (int i = 0; i < space->n_resolutions; i++)
        json_array_append_new(list, json_integer(space->resolutions[i]));
    sn_json_put(o, "resolutions", list);
    sn_json_put(o, "bn_epsilon", float_number(space->bn_eps));
    sn_json_put(o, "stem",
                part(space->stem_width, space->stem_stride, space->stem_act));
    sn_json_put(
        o, "first",
        part(space->first_width, space->first_stride, space->first_act));
    for (int i = 0; i < space->n_stages; i++)
        json_array_append_new(stages, stage_object(&space->stage[i]));
    sn_json_put(o, "stages", stages);
    sn_json_put(head, "width", json_integer(space->head_width));
    sn_json_put(head, "features", json_integer(space->feature_width));
    sn_json_put(head, "activation", sn_json_string(act_names[space->head_act]));
    sn_json_put(o, "head", head);
    sn_json_put(o, "strides", rules(space));
    sn_json_put(
        o, "coupling",
        sn_json_string(space->always_coupled ? "required" : "optional"));
    return o;
}
