#include "api/space_json.h"

#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/place.h"

static const char *const act_names[] = {[SN_ACT_NONE] = "none",
                                        [SN_ACT_RELU] = "relu",
                                        [SN_ACT_HSWISH] = "hswish",
                                        [SN_ACT_RELU6] = "relu6"};

static const char *const family_names[] = {
    [SN_FAMILY_MOBILE] = "mobile", [SN_FAMILY_RESNET] = "resnet"};

/* CompOFA's kernels by stage; the first five are the published ones. */
static const uint8_t usual_kernel[SN_MAX_STAGES] = {3, 5, 3, 3, 5, 3, 3, 5};

const char *sn_family_name(enum sn_family family)
{
    return family_names[family];
}

const char *sn_act_name(enum sn_act act)
{
    return act_names[act];
}

/* ---- reading; every function goes on after an error ---- */

static enum sn_act read_act(const struct sn_place *p, enum sn_act otherwise)
{
    json_t *value = json_object_get(p->object, "activation");
    const char *name = json_string_value(value);
    if (value == NULL)
        return otherwise;
    for (int a = SN_ACT_RELU; name != NULL && a <= SN_ACT_RELU6; a++)
        if (strcmp(name, act_names[a]) == 0)
            return (enum sn_act)a;
    sn_place_fault(p, "activation",
                   "must be \"relu\", \"relu6\" or \"hswish\"");
    return otherwise;
}

static void read_choices(const struct sn_place *p, const char *name,
                         struct sn_choices *ret)
{
    ret->n = (uint8_t)sn_place_bytes(p, name, SN_MAX_CHOICES, ret->value);
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

/* The place of a ratio in the space's list, + 1; 0: it is not there. */
static uint8_t ratio_place(const struct sn_space *space, uint16_t ratio)
{
    for (int i = 0; i < space->n_expand_ratios; i++)
        if (space->expand_ratio[i] == ratio)
            return (uint8_t)(i + 1);
    return 0;
}

/* A list of expands as struct sn_stage has them: numbers, or of a ResNet ratios
 * that the space lists. */
static size_t read_expands(const struct sn_place *p,
                           const struct sn_space *space,
                           uint8_t ret[SN_MAX_CHOICES])
{
    uint16_t ratio[SN_MAX_CHOICES];
    if (space->family == SN_FAMILY_MOBILE)
        return sn_place_bytes(p, "expand", SN_MAX_CHOICES, ret);
    size_t n = sn_place_ratios(p, "expand", SN_MAX_CHOICES, ratio);
    for (size_t i = 0; i < n; i++) {
        ret[i] = ratio[i] > 0 ? ratio_place(space, ratio[i]) : 0;
        if (ratio[i] > 0 && ret[i] == 0)
            sn_place_fault_at(p, "expand", i, "is none of expand_ratios");
    }
    return n;
}

static void read_coupling(const struct sn_place *p,
                          const struct sn_space *space, struct sn_stage *stage,
                          int s)
{
    static const char *const names[] = {"expand", "kernel", NULL};
    bool resnet = space->family == SN_FAMILY_RESNET;
    struct sn_place in;
    uint8_t expand[SN_MAX_CHOICES] = {0};
    if (json_object_get(p->object, "coupling") == NULL) {
        usual_coupling(stage, s);
        return;
    }
    if (!sn_place_enter(p, "coupling", names, &in))
        return;
    stage->coupled.kernel =
        (uint8_t)sn_place_number(&in, "kernel", resnet ? 3 : 0);
    if (json_object_get(in.object, "expand") == NULL)
        return;
    size_t n = read_expands(&in, space, expand);
    if (n != 0 && n != stage->depth.n)
        sn_place_fault(&in, "expand", "must have one expand for each depth");
    memcpy(stage->coupled.expand, expand, sizeof expand);
}

static void read_stage(const struct sn_place *p, const struct sn_space *space,
                       int s, struct sn_stage *stage)
{
    static const char *const names[] = {"width",  "stride",   "activation",
                                        "se",     "depth",    "kernel",
                                        "expand", "coupling", NULL};
    struct sn_place in;
    if (!sn_place_enter_at(p, "stages", (size_t)s, names, &in))
        return;
    stage->width = (uint16_t)sn_place_number(&in, "width", -1);
    stage->stride = sn_place_small(&in, "stride");
    stage->act = read_act(&in, SN_ACT_RELU);
    stage->se = sn_place_flag(&in, "se");
    read_choices(&in, "depth", &stage->depth);
    read_choices(&in, "kernel", &stage->kernel);
    stage->expand.n = (uint8_t)read_expands(&in, space, stage->expand.value);
    read_coupling(&in, space, stage, s);
}

/* A bottleneck's kernel is 3, its activation ReLU, and it may have any of the
 * space's ratios where it does not list its own. */
static void read_bottlenecks(const struct sn_place *p,
                             const struct sn_space *space, int s,
                             struct sn_stage *stage)
{
    static const char *const names[] = {"width",  "stride",   "depth",
                                        "expand", "coupling", NULL};
    struct sn_place in;
    if (!sn_place_enter_at(p, "stages", (size_t)s, names, &in))
        return;
    stage->width = (uint16_t)sn_place_number(&in, "width", -1);
    stage->stride = sn_place_small(&in, "stride");
    stage->act = SN_ACT_RELU;
    stage->kernel = (struct sn_choices){1, {3}};
    read_choices(&in, "depth", &stage->depth);
    stage->base_depth = stage->depth.n > 0 ? stage->depth.value[0] : 0;
    stage->expand.n = space->n_expand_ratios;
    for (int i = 0; i < stage->expand.n; i++)
        stage->expand.value[i] = (uint8_t)(i + 1);
    if (json_object_get(in.object, "expand") != NULL)
        stage->expand.n =
            (uint8_t)read_expands(&in, space, stage->expand.value);
    read_coupling(&in, space, stage, s);
}

static void read_stages(const struct sn_place *p, struct sn_space *s)
{
    json_t *list = json_object_get(p->object, "stages");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > SN_MAX_STAGES) {
        char what[64];
        snprintf(what, sizeof what, "must be a list of 1 to %d stages",
                 SN_MAX_STAGES);
        sn_place_fault(p, "stages", what);
        return;
    }
    s->n_stages = (uint8_t)n;
    for (int i = 0; i < s->n_stages; i++)
        if (s->family == SN_FAMILY_RESNET)
            read_bottlenecks(p, s, i, &s->stage[i]);
        else
            read_stage(p, s, i, &s->stage[i]);
}

static void read_rules(const struct sn_place *p, struct sn_space *s)
{
    static const char *const mobile[] = {"below", "stem", "first", "stages",
                                         NULL};
    static const char *const resnet[] = {"below", "stem", "stages", NULL};
    bool is_mobile = s->family == SN_FAMILY_MOBILE;
    json_t *list = json_object_get(p->object, "strides");
    size_t n = json_array_size(list);
    if (list == NULL)
        return;
    if (!json_is_array(list) || n > SN_MAX_STRIDE_RULES) {
        char what[64];
        snprintf(what, sizeof what, "must be a list of at most %d rules",
                 SN_MAX_STRIDE_RULES);
        sn_place_fault(p, "strides", what);
        return;
    }
    s->n_stride_rules = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        struct sn_stride_rule *rule = &s->stride_rule[i];
        struct sn_place in;
        if (!sn_place_enter_at(p, "strides", i, is_mobile ? mobile : resnet,
                               &in))
            continue;
        rule->below = (uint16_t)sn_place_number(&in, "below", -1);
        rule->stem = sn_place_small(&in, "stem");
        if (is_mobile)
            rule->first = sn_place_small(&in, "first");
        size_t k = sn_place_bytes(&in, "stages", SN_MAX_STAGES, rule->stage);
        if (k != 0 && k != s->n_stages)
            sn_place_fault(&in, "stages",
                           "must have one stride for each stage");
    }
}

static void read_parts(const struct sn_place *p, struct sn_space *s)
{
    static const char *const stem[] = {"width", "stride", "activation", NULL};
    static const char *const head[] = {"width", "features", "activation", NULL};
    struct sn_place in;
    if (sn_place_enter(p, "stem", stem, &in)) {
        s->stem_width = (uint16_t)sn_place_number(&in, "width", -1);
        s->stem_stride = sn_place_small(&in, "stride");
        s->stem_act = read_act(&in, SN_ACT_HSWISH);
    }
    if (sn_place_enter(p, "first", stem, &in)) {
        s->first_width = (uint16_t)sn_place_number(&in, "width", -1);
        s->first_stride = sn_place_small(&in, "stride");
        s->first_act = read_act(&in, SN_ACT_RELU);
    }
    if (sn_place_enter(p, "head", head, &in)) {
        s->head_width = (uint16_t)sn_place_number(&in, "width", -1);
        s->feature_width = (uint16_t)sn_place_number(&in, "features", 0);
        s->head_act = read_act(&in, SN_ACT_HSWISH);
    }
}

/* [resnet] What read_parts() reads of the mobile family. */
static void read_resnet_parts(const struct sn_place *p, struct sn_space *s)
{
    static const char *const stem[] = {"width", "stride", "residual", NULL};
    struct sn_place in;
    s->stem_act = SN_ACT_RELU;
    s->n_width_ratios = (uint8_t)sn_place_ratios(
        p, "width_ratios", SN_MAX_CHOICES, s->width_ratio);
    s->n_expand_ratios = (uint8_t)sn_place_ratios(
        p, "expand_ratios", SN_MAX_CHOICES, s->expand_ratio);
    if (!sn_place_enter(p, "stem", stem, &in))
        return;
    s->stem_width = (uint16_t)sn_place_number(&in, "width", -1);
    s->stem_stride = sn_place_small(&in, "stride");
    const char *residual = sn_json_get_string(in.object, in.pointer, "residual",
                                              false, 16, p->problem);
    s->elastic_stem = residual == NULL || strcmp(residual, "optional") == 0;
    if (!s->elastic_stem && strcmp(residual, "required") != 0)
        sn_place_fault(&in, "residual", "must be \"optional\" or \"required\"");
}

static void read_family(const struct sn_place *p, struct sn_space *s)
{
    const char *family =
        sn_json_get_string(p->object, "", "family", false, 16, p->problem);
    if (family != NULL && strcmp(family, family_names[SN_FAMILY_RESNET]) == 0)
        s->family = SN_FAMILY_RESNET;
    else if (family != NULL &&
             strcmp(family, family_names[SN_FAMILY_MOBILE]) != 0)
        sn_place_fault(p, "family", "must be \"mobile\" or \"resnet\"");
}

static void read_whole(const struct sn_place *p, struct sn_space *s)
{
    json_t *epsilon = json_object_get(p->object, "bn_epsilon");
    const char *coupling =
        sn_json_get_string(p->object, "", "coupling", false, 16, p->problem);
    const char *name = sn_json_get_string(p->object, "", "name", true,
                                          SN_NAME_MAX - 1, p->problem);
    snprintf(s->name, sizeof s->name, "%s", name != NULL ? name : "");
    if (epsilon != NULL && !json_is_number(epsilon))
        sn_place_fault(p, "bn_epsilon", "must be a number");
    s->bn_eps = epsilon != NULL ? (float)json_number_value(epsilon) : 1e-5f;
    if (coupling != NULL && strcmp(coupling, "optional") != 0 &&
        strcmp(coupling, "required") != 0)
        sn_place_fault(p, "coupling", "must be \"optional\" or \"required\"");
    s->always_coupled = coupling != NULL && strcmp(coupling, "required") == 0;
    s->n_resolutions = (uint8_t)sn_place_numbers(
        p, "resolutions", SN_MAX_RESOLUTIONS, s->resolutions);
    if (s->n_resolutions > 0)
        s->resolution = s->resolutions[s->n_resolutions - 1];
}

bool sn_space_from_json(const json_t *body, struct sn_space *ret,
                        struct sn_problem *problem)
{
    static const char *const mobile[] = {
        "name",   "family", "resolutions", "bn_epsilon", "stem", "first",
        "stages", "head",   "strides",     "coupling",   NULL};
    static const char *const resnet[] = {
        "name",          "family", "resolutions",
        "bn_epsilon",    "stem",   "width_ratios",
        "expand_ratios", "stages", "strides",
        "coupling",      NULL};
    struct sn_place whole = {.object = (json_t *)(uintptr_t)body,
                             .problem = problem};
    struct sn_space s = {.family = SN_FAMILY_MOBILE};
    struct sn_error err = {0};
    if (!json_is_object(body)) {
        sn_problem_at(problem, "", "the body must be a JSON object");
        return false;
    }
    read_family(&whole, &s);
    bool is_mobile = s.family == SN_FAMILY_MOBILE;
    sn_json_check_members(whole.object, "", is_mobile ? mobile : resnet,
                          problem);
    read_whole(&whole, &s);
    if (is_mobile)
        read_parts(&whole, &s);
    else
        read_resnet_parts(&whole, &s);
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

json_t *sn_space_ratios(size_t n, const uint16_t *thousandths)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, sn_json_number(thousandths[i] / 1000.0));
    return list;
}

json_t *sn_stage_expands(const struct sn_space *space, size_t n,
                         const uint8_t *expand)
{
    uint16_t ratio[SN_MAX_CHOICES];
    if (space->family == SN_FAMILY_MOBILE)
        return bytes(n, expand);
    for (size_t i = 0; i < n; i++)
        ratio[i] = expand[i] > 0 ? space->expand_ratio[expand[i] - 1] : 0;
    return sn_space_ratios(n, ratio);
}

static json_t *stage_object(const struct sn_space *space,
                            const struct sn_stage *s)
{
    bool mobile = space->family == SN_FAMILY_MOBILE;
    json_t *o = mobile ? part(s->width, s->stride, s->act) : json_object();
    json_t *c = json_object();
    if (mobile) {
        sn_json_put(o, "se", json_boolean(s->se));
        sn_json_put(o, "kernel", bytes(s->kernel.n, s->kernel.value));
        sn_json_put(c, "kernel", json_integer(s->coupled.kernel));
    } else {
        sn_json_put(o, "width", json_integer(s->width));
        sn_json_put(o, "stride", json_integer(s->stride));
    }
    sn_json_put(o, "depth", bytes(s->depth.n, s->depth.value));
    sn_json_put(o, "expand",
                sn_stage_expands(space, s->expand.n, s->expand.value));
    sn_json_put(c, "expand",
                sn_stage_expands(space, s->depth.n, s->coupled.expand));
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
        if (space->family == SN_FAMILY_MOBILE)
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

static void put_mobile_parts(json_t *o, const struct sn_space *space)
{
    json_t *head = json_object();
    sn_json_put(o, "stem",
                part(space->stem_width, space->stem_stride, space->stem_act));
    sn_json_put(
        o, "first",
        part(space->first_width, space->first_stride, space->first_act));
    sn_json_put(head, "width", json_integer(space->head_width));
    sn_json_put(head, "features", json_integer(space->feature_width));
    sn_json_put(head, "activation", sn_json_string(act_names[space->head_act]));
    sn_json_put(o, "head", head);
}

static void put_resnet_parts(json_t *o, const struct sn_space *space)
{
    json_t *stem = json_object();
    sn_json_put(stem, "width", json_integer(space->stem_width));
    sn_json_put(stem, "stride", json_integer(space->stem_stride));
    sn_json_put(stem, "residual",
                sn_json_string(space->elastic_stem ? "optional" : "required"));
    sn_json_put(o, "stem", stem);
    sn_json_put(o, "width_ratios",
                sn_space_ratios(space->n_width_ratios, space->width_ratio));
    sn_json_put(o, "expand_ratios",
                sn_space_ratios(space->n_expand_ratios, space->expand_ratio));
}

json_t *sn_space_to_json(const struct sn_space *space)
{
    json_t *o = json_object(), *list = json_array(), *stages = json_array();
    sn_json_put(o, "name", sn_json_string(space->name));
    sn_json_put(o, "family", sn_json_string(family_names[space->family]));
    for (int i = 0; i < space->n_resolutions; i++)
        json_array_append_new(list, json_integer(space->resolutions[i]));
    sn_json_put(o, "resolutions", list);
    sn_json_put(o, "bn_epsilon", float_number(space->bn_eps));
    if (space->family == SN_FAMILY_MOBILE)
        put_mobile_parts(o, space);
    else
        put_resnet_parts(o, space);
    for (int i = 0; i < space->n_stages; i++)
        json_array_append_new(stages, stage_object(space, &space->stage[i]));
    sn_json_put(o, "stages", stages);
    sn_json_put(o, "strides", rules(space));
    sn_json_put(
        o, "coupling",
        sn_json_string(space->always_coupled ? "required" : "optional"));
    return o;
}
