/* Spaces and architectures as JSON. */
#include "api/arch_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/problem.h"
#include "api/space_json.h"

static unsigned max_depth(const struct sn_stage *stage)
{
    return stage->depth.value[stage->depth.n - 1];
}

static json_t *choices(const struct sn_choices *c)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < c->n; i++)
        json_array_append_new(list, json_integer(c->value[i]));
    return list;
}

static void put_cost(json_t *o, const struct sn_space *space,
                     const struct sn_arch *arch, int in_channels, int classes)
{
    struct sn_plan plan;
    struct sn_cost cost;
    sn_plan_make(space, arch, in_channels, classes, &plan);
    sn_plan_cost(&plan, &cost);
    sn_json_put(o, "macs", sn_json_number(cost.macs));
    sn_json_put(o, "params", sn_json_number(cost.params));
    sn_json_put(o, "peak_memory", sn_json_number(cost.peak_memory));
}

/* ---- a space ---- */

static json_t *end_of_space(const struct sn_space *space,
                            const struct sn_arch *arch)
{
    char id[SN_ARCH_ID_MAX];
    json_t *o = json_object();
    sn_arch_encode(space, arch, id);
    sn_json_put(o, "arch", sn_json_string(id));
    put_cost(o, space, arch, 1, 10);
    return o;
}

static json_t *stages(const struct sn_space *space)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < space->n_stages; i++) {
        const struct sn_stage *s = &space->stage[i];
        json_t *o = json_object();
        sn_json_put(o, "width", json_integer(s->width));
        sn_json_put(o, "stride", json_integer(s->stride));
        sn_json_put(o, "activation", sn_json_string(sn_act_name(s->act)));
        sn_json_put(o, "se", json_boolean(s->se));
        sn_json_put(o, "depth", choices(&s->depth));
        sn_json_put(o, "kernel", choices(&s->kernel));
        sn_json_put(o, "expand",
                    sn_stage_expands(space, s->expand.n, s->expand.value));
        json_array_append_new(list, o);
    }
    return list;
}

static void put_parts(json_t *o, const struct sn_space *space)
{
    json_t *stem = json_object();
    sn_json_put(stem, "width", json_integer(space->stem_width));
    sn_json_put(stem, "stride", json_integer(space->stem_stride));
    sn_json_put(o, "stem", stem);
    sn_json_put(o, "stages", stages(space));
    if (space->family == SN_FAMILY_RESNET) {
        sn_json_put(
            stem, "residual",
            sn_json_string(space->elastic_stem ? "optional" : "required"));
        sn_json_put(o, "width_ratios",
                    sn_space_ratios(space->n_width_ratios, space->width_ratio));
        return;
    }
    json_t *first = json_object(), *head = json_object();
    sn_json_put(first, "width", json_integer(space->first_width));
    sn_json_put(first, "stride", json_integer(space->first_stride));
    sn_json_put(head, "width", json_integer(space->head_width));
    sn_json_put(head, "features", json_integer(space->feature_width));
    sn_json_put(o, "first", first);
    sn_json_put(o, "head", head);
}

json_t *sn_space_describe(const struct sn_space *space, bool with_stages)
{
    struct sn_arch arch;
    json_t *o = json_object();
    sn_json_put(o, "name", sn_json_string(space->name));
    sn_json_put(o, "family", sn_json_string(sn_family_name(space->family)));
    sn_json_put(o, "resolution", json_integer(space->resolution));
    json_t *sizes = json_array();
    for (int i = 0; i < space->n_resolutions; i++)
        json_array_append_new(sizes, json_integer(space->resolutions[i]));
    sn_json_put(o, "resolutions", sizes);
    sn_json_put(o, "architectures",
                sn_json_number(sn_space_count(space, SN_COUPLING_NONE)));
    sn_json_put(o, "coupled",
                sn_json_number(sn_space_count(space, SN_COUPLING_COMPOFA)));
    sn_arch_largest(space, &arch);
    sn_json_put(o, "largest", end_of_space(space, &arch));
    sn_arch_smallest(space, &arch);
    sn_json_put(o, "smallest", end_of_space(space, &arch));
    if (with_stages)
        put_parts(o, space);
    return o;
}

/* ---- an architecture ---- */

static json_t *blocks(const struct sn_plan *plan)
{
    json_t *list = json_array();
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        json_t *o = json_object();
        sn_json_put(o, "stage", json_integer(b->stage));
        sn_json_put(o, "index", json_integer(b->index));
        sn_json_put(o, "in", json_integer(b->in));
        sn_json_put(o, "middle", json_integer(b->mid));
        sn_json_put(o, "out", json_integer(b->out));
        sn_json_put(o, "kernel", json_integer(b->kernel));
        sn_json_put(o, "stride", json_integer(b->stride));
        sn_json_put(o, "se", json_integer(b->se_mid));
        sn_json_put(o, "activation", sn_json_string(sn_act_name(b->act)));
        sn_json_put(o, "residual", json_boolean(b->residual));
        if (plan->family == SN_FAMILY_RESNET)
            sn_json_put(o, "downsamples", json_boolean(b->downsamples));
        sn_json_put(o, "in_size", json_integer(b->in_size));
        sn_json_put(o, "out_size", json_integer(b->out_size));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *sn_arch_describe(const struct sn_space *space,
                         const struct sn_arch *arch, int in_channels,
                         int classes)
{
    char id[SN_ARCH_ID_MAX];
    struct sn_plan plan;
    json_t *o = json_object();
    sn_arch_encode(space, arch, id);
    sn_plan_make(space, arch, in_channels, classes, &plan);
    sn_json_put(o, "arch", sn_json_string(id));
    sn_json_put(o, "space", sn_json_string(space->name));
    sn_json_put(o, "resolution", json_integer(arch->resolution));
    sn_json_put(o, "ofa", sn_arch_to_ofa(space, arch));
    put_cost(o, space, arch, in_channels, classes);
    sn_json_put(o, "blocks", blocks(&plan));
    return o;
}

/* ---- Once-for-All's form ---- */

/* The stem's residual 3x3 is there where d begins with this. */
enum { STEM_WITH = 2 };

static json_t *resnet_to_ofa(const struct sn_space *space,
                             const struct sn_arch *arch)
{
    json_t *o = json_object(), *d = json_array(), *e = json_array(),
           *w = json_array();
    json_array_append_new(d, json_integer(arch->stem ? STEM_WITH : 0));
    for (unsigned s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        for (unsigned b = 0; b < max_depth(stage); b++) {
            bool used = b < arch->depth[s];
            int ratio = used ? space->expand_ratio[arch->expand[s][b] - 1] : 0;
            json_array_append_new(e, sn_json_number(ratio / 1000.0));
        }
        json_array_append_new(d,
                              json_integer(arch->depth[s] - stage->base_depth));
    }
    for (int i = 0; i < SN_STEM_WIDTHS + space->n_stages; i++)
        json_array_append_new(w, json_integer(arch->width[i]));
    sn_json_put(o, "d", d);
    sn_json_put(o, "e", e);
    sn_json_put(o, "w", w);
    sn_json_put(o, "r", json_integer(arch->resolution));
    return o;
}

json_t *sn_arch_to_ofa(const struct sn_space *space, const struct sn_arch *arch)
{
    if (space->family == SN_FAMILY_RESNET)
        return resnet_to_ofa(space, arch);
    json_t *o = json_object(), *ks = json_array(), *e = json_array(),
           *d = json_array();
    for (unsigned s = 0; s < space->n_stages; s++) {
        for (unsigned b = 0; b < max_depth(&space->stage[s]); b++) {
            json_array_append_new(ks, json_integer(arch->kernel[s][b]));
            json_array_append_new(e, json_integer(arch->expand[s][b]));
        }
        json_array_append_new(d, json_integer(arch->depth[s]));
    }
    sn_json_put(o, "ks", ks);
    sn_json_put(o, "e", e);
    sn_json_put(o, "d", d);
    sn_json_put(o, "r", json_integer(arch->resolution));
    return o;
}

/* A list of exactly n small whole numbers. */
static bool read_list(const json_t *ofa, const char *prefix, const char *name,
                      size_t n, uint8_t *ret, struct sn_problem *problem)
{
    char pointer[SN_POINTER_MAX], place[SN_POINTER_MAX + 24];
    const json_t *list = json_object_get(ofa, name);
    sn_json_pointer_join(prefix, name, pointer);
    if (!json_is_array(list) || json_array_size(list) != n) {
        sn_problem_at(problem, pointer, "must be a list of %zu numbers", n);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        json_int_t value = json_integer_value(one);
        if (!json_is_integer(one) || value < 0 || value > 255) {
            snprintf(place, sizeof place, "%s/%zu", pointer, i);
            sn_problem_at(problem, place, "must be a small whole number");
            return false;
        }
        ret[i] = (uint8_t)value;
    }
    return true;
}

static bool read_resolution(const struct sn_space *space, const json_t *ofa,
                            const char *prefix, uint16_t *ret,
                            struct sn_problem *problem)
{
    const json_t *r = json_object_get(ofa, "r");
    if (json_is_array(r) && json_array_size(r) == 1)
        r = json_array_get(r, 0);
    json_int_t value = r == NULL ? space->resolution : json_integer_value(r);
    if ((r != NULL && !json_is_integer(r)) || value < 1 || value > 65535) {
        char pointer[SN_POINTER_MAX];
        sn_json_pointer_join(prefix, "r", pointer);
        sn_problem_at(problem, pointer, "must be a resolution");
        return false;
    }
    *ret = (uint16_t)value;
    return true;
}

/* Of a block that is there: which of the ratios, + 1; 0: none. */
static uint8_t ratio_index(const struct sn_space *space, const json_t *number)
{
    for (uint8_t i = 0; json_is_number(number) && i < space->n_expand_ratios;
         i++)
        if (fabs(json_number_value(number) - space->expand_ratio[i] / 1000.0) <
            1e-6)
            return i + 1;
    return 0;
}

/* e: a ratio a stored block; those of blocks that are not there may be
 * anything. */
static bool read_ratios(const struct sn_space *space, const json_t *ofa,
                        const char *prefix, struct sn_arch *arch,
                        struct sn_problem *problem)
{
    char pointer[SN_POINTER_MAX], place[SN_POINTER_MAX + 24];
    const json_t *list = json_object_get(ofa, "e");
    size_t n = (size_t)sn_space_slots(space), at = 0;
    sn_json_pointer_join(prefix, "e", pointer);
    if (!json_is_array(list) || json_array_size(list) != n) {
        sn_problem_at(problem, pointer, "must be a list of %zu numbers", n);
        return false;
    }
    for (unsigned s = 0; s < space->n_stages; s++)
        for (unsigned b = 0; b < max_depth(&space->stage[s]); b++, at++) {
            if (b >= arch->depth[s])
                continue;
            arch->kernel[s][b] = 3;
            arch->expand[s][b] = ratio_index(space, json_array_get(list, at));
            if (arch->expand[s][b] == 0) {
                snprintf(place, sizeof place, "%s/%zu", pointer, at);
                sn_problem_at(problem, place,
                              "must be one of the space's expand ratios");
                return false;
            }
        }
    return true;
}

static bool resnet_from_ofa(const struct sn_space *space, const json_t *ofa,
                            const char *prefix, struct sn_arch *arch,
                            struct sn_problem *problem)
{
    uint8_t d[1 + SN_MAX_STAGES];
    char place[SN_POINTER_MAX + 24], pointer[SN_POINTER_MAX];
    if (!read_list(ofa, prefix, "d", 1u + space->n_stages, d, problem) ||
        !read_list(ofa, prefix, "w", SN_STEM_WIDTHS + (size_t)space->n_stages,
                   arch->width, problem) ||
        !read_resolution(space, ofa, prefix, &arch->resolution, problem))
        return false;
    arch->stem = d[0] == STEM_WITH;
    for (unsigned s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        if (d[1 + s] > max_depth(stage) - stage->base_depth) {
            sn_json_pointer_join(prefix, "d", pointer);
            snprintf(place, sizeof place, "%s/%u", pointer, 1 + s);
            sn_problem_at(problem, place, "must be at most %u",
                          max_depth(stage) - stage->base_depth);
            return false;
        }
        arch->depth[s] = (uint8_t)(d[1 + s] + stage->base_depth);
    }
    return read_ratios(space, ofa, prefix, arch, problem);
}

bool sn_arch_from_ofa(const struct sn_space *space, const json_t *ofa,
                      const char *prefix, struct sn_arch *ret,
                      struct sn_problem *problem)
{
    if (space->family == SN_FAMILY_RESNET) {
        struct sn_arch arch = {0};
        struct sn_error err = {0};
        if (!resnet_from_ofa(space, ofa, prefix, &arch, problem))
            return false;
        if (sn_arch_check(space, &arch, &err) != SN_OK) {
            sn_problem_at(problem, prefix, "%.200s", err.message);
            return false;
        }
        *ret = arch;
        return true;
    }
    struct sn_arch arch = {0};
    struct sn_error err = {0};
    uint8_t ks[SN_MAX_STAGES * SN_MAX_DEPTH], e[SN_MAX_STAGES * SN_MAX_DEPTH];
    size_t n = 0;
    for (unsigned s = 0; s < space->n_stages; s++)
        n += max_depth(&space->stage[s]);
    bool good = read_list(ofa, prefix, "ks", n, ks, problem);
    good = read_list(ofa, prefix, "e", n, e, problem) && good;
    good = read_list(ofa, prefix, "d", space->n_stages, arch.depth, problem) &&
           good;
    good =
        read_resolution(space, ofa, prefix, &arch.resolution, problem) && good;
    if (!good)
        return false;
    for (unsigned s = 0, at = 0; s < space->n_stages;
         at += max_depth(&space->stage[s++])) {
        for (unsigned b = 0; b < max_depth(&space->stage[s]); b++) {
            bool used = b < arch.depth[s];
            arch.kernel[s][b] = used ? ks[at + b] : 0;
            arch.expand[s][b] = used ? e[at + b] : 0;
        }
    }
    if (sn_arch_check(space, &arch, &err) != SN_OK) {
        sn_problem_at(problem, prefix, "%.200s", err.message);
        return false;
    }
    *ret = arch;
    return true;
}
