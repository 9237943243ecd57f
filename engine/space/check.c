/* Whether a space can be: every field within its bounds, and the largest
 * network of a size that a machine can train. */
#include "engine/space/plan.h"
#include "engine/space/space.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_WIDTH = 4096,
    MIN_RESOLUTION = 8,
    MAX_RESOLUTION = 512,
    MAX_KERNEL = 7,
    MAX_EXPAND = 16,
    MIN_RATIO = 50, /* thousandths */
    MAX_RATIO = 2000,
    LEAST_SIDE = 2, /* pixels a side that the last stage must leave */
    REFERENCE_CHANNELS = 3,
    REFERENCE_CLASSES = 1000
};

/* Of the largest network, for REFERENCE_CLASSES. */
static const double max_params = 1e8, max_macs = 2e10;

/* What is looked at, and where a refusal goes. */
struct check {
    const struct sn_space *space;
    struct sn_error *err;
};

#define REFUSE(c, pointer, ...) \
    sn_error_at((c)->err, SN_ERR_INVALID, pointer, __VA_ARGS__)

static enum sn_err check_number(const struct check *c, const char *pointer,
                                int value, int least, int most)
{
    if (value >= least && value <= most)
        return SN_OK;
    return REFUSE(c, pointer, "%d: must be from %d to %d", value, least, most);
}

static enum sn_err check_name(const struct check *c)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *name = c->space->name;
    size_t n = strnlen(name, SN_NAME_MAX);
    if (n == 0 || n == SN_NAME_MAX || strspn(name, letters) != n ||
        strchr("._-", name[0]) != NULL)
        return REFUSE(c, "/name",
                      "takes 1 to %d letters, digits, '.', '_' and '-', and "
                      "starts with a letter or digit",
                      SN_NAME_MAX - 1);
    return SN_OK;
}

static enum sn_err check_resolutions(const struct check *c)
{
    const struct sn_space *s = c->space;
    enum sn_err rc = SN_OK;
    char at[32];
    if (s->n_resolutions < 1 || s->n_resolutions > SN_MAX_RESOLUTIONS)
        return REFUSE(c, "/resolutions", "must list 1 to %d resolutions",
                      SN_MAX_RESOLUTIONS);
    for (int i = 0; i < s->n_resolutions && rc == SN_OK; i++) {
        snprintf(at, sizeof at, "/resolutions/%d", i);
        rc = check_number(c, at, s->resolutions[i], MIN_RESOLUTION,
                          MAX_RESOLUTION);
        if (rc == SN_OK && i > 0 && s->resolutions[i] <= s->resolutions[i - 1])
            rc = REFUSE(c, at, "%d: the list must rise", s->resolutions[i]);
    }
    if (rc == SN_OK && s->resolution != s->resolutions[s->n_resolutions - 1])
        rc = REFUSE(c, "/resolutions", "the largest is the native one");
    return rc;
}

static enum sn_err check_stride(const struct check *c, const char *pointer,
                                int stride)
{
    return check_number(c, pointer, stride, 1, 2);
}

static enum sn_err check_act(const struct check *c, const char *pointer,
                             enum sn_act act)
{
    if (act == SN_ACT_RELU || act == SN_ACT_HSWISH || act == SN_ACT_RELU6)
        return SN_OK;
    return REFUSE(c, pointer, "must be relu, relu6 or hswish");
}

/* A rising list of the ResNet family's ratios. */
static enum sn_err check_ratios(const struct check *c, const char *name, int n,
                                const uint16_t *ratio)
{
    char at[48];
    snprintf(at, sizeof at, "/%s", name);
    if (n < 1 || n > SN_MAX_CHOICES)
        return REFUSE(c, at, "must list 1 to %d ratios", SN_MAX_CHOICES);
    for (int i = 0; i < n; i++) {
        snprintf(at, sizeof at, "/%s/%d", name, i);
        if (ratio[i] < MIN_RATIO || ratio[i] > MAX_RATIO)
            return REFUSE(c, at, "%g: must be from %g to %g", ratio[i] / 1000.0,
                          MIN_RATIO / 1000.0, MAX_RATIO / 1000.0);
        if (i > 0 && ratio[i] <= ratio[i - 1])
            return REFUSE(c, at, "%g: the list must rise", ratio[i] / 1000.0);
    }
    return SN_OK;
}

/* A rising list of values within bounds. */
static enum sn_err check_list(const struct check *c, int stage,
                              const char *name, const struct sn_choices *list,
                              int least, int most)
{
    char at[48];
    snprintf(at, sizeof at, "/stages/%d/%s", stage, name);
    if (list->n < 1 || list->n > SN_MAX_CHOICES)
        return REFUSE(c, at, "must list 1 to %d choices", SN_MAX_CHOICES);
    for (int i = 0; i < list->n; i++) {
        snprintf(at, sizeof at, "/stages/%d/%s/%d", stage, name, i);
        enum sn_err rc = check_number(c, at, list->value[i], least, most);
        if (rc != SN_OK)
            return rc;
        if (i > 0 && list->value[i] <= list->value[i - 1])
            return REFUSE(c, at, "%d: the list must rise", list->value[i]);
    }
    return SN_OK;
}

static bool holds(const struct sn_choices *list, int value)
{
    for (int i = 0; i < list->n; i++)
        if (list->value[i] == value)
            return true;
    return false;
}

/* An expand as users write it. */
static double shown(const struct sn_space *space, int expand)
{
    return space->family == SN_FAMILY_RESNET && expand <= SN_MAX_CHOICES
               ? space->expand_ratio[expand - 1] / 1000.0
               : expand;
}

/* The largest network must hold every other's weights: what the deepest stage
 * forces is the largest expand, and what is never taken is not in the list. */
static enum sn_err check_coupled(const struct check *c, int i)
{
    const struct sn_stage *stage = &c->space->stage[i];
    const struct sn_coupled *coupled = &stage->coupled;
    char at[48];
    int before = 0, forced = 0;
    snprintf(at, sizeof at, "/stages/%d/coupling/kernel", i);
    if (coupled->kernel != 0 && !holds(&stage->kernel, coupled->kernel))
        return REFUSE(c, at, "%d is not a kernel of this stage",
                      coupled->kernel);
    if (c->space->always_coupled && coupled->kernel != 0 &&
        stage->kernel.n != 1)
        return REFUSE(c, at,
                      "where the coupling always holds, the stage has "
                      "no other kernels");
    for (int d = 0; d < stage->depth.n; d++) {
        int expand = coupled->expand[d];
        snprintf(at, sizeof at, "/stages/%d/coupling/expand/%d", i, d);
        if (expand != 0 && !holds(&stage->expand, expand))
            return REFUSE(c, at, "%g is not an expand of this stage",
                          shown(c->space, expand));
        if (expand != 0 && expand < before)
            return REFUSE(c, at, "%g: a deeper stage cannot be narrower",
                          shown(c->space, expand));
        before = expand != 0 ? expand : before;
        forced += expand != 0;
    }
    if (c->space->always_coupled && forced > 0 &&
        (forced < stage->depth.n ||
         before != stage->expand.value[stage->expand.n - 1])) {
        snprintf(at, sizeof at, "/stages/%d/coupling/expand", i);
        return REFUSE(c, at,
                      "where the coupling always holds, every depth "
                      "has its expand, the deepest the largest");
    }
    return SN_OK;
}

/* A bottleneck: its widths are its stage's by the largest ratio, and the
 * middle's of that. */
static enum sn_err check_bottlenecks(const struct check *c, int i)
{
    const struct sn_space *s = c->space;
    const struct sn_stage *stage = &s->stage[i];
    double wide = s->width_ratio[s->n_width_ratios - 1] / 1000.0;
    double middle = s->expand_ratio[s->n_expand_ratios - 1] / 1000.0;
    enum sn_err rc;
    char at[48];
    snprintf(at, sizeof at, "/stages/%d/width", i);
    if ((rc = check_number(c, at, stage->width, 1, MAX_WIDTH)) != SN_OK)
        return rc;
    if (stage->width * wide > MAX_WIDTH ||
        stage->width * wide * middle > MAX_WIDTH)
        return REFUSE(c, at, "with the largest ratios it is over %d",
                      MAX_WIDTH);
    snprintf(at, sizeof at, "/stages/%d/stride", i);
    if ((rc = check_stride(c, at, stage->stride)) != SN_OK ||
        (rc = check_list(c, i, "depth", &stage->depth, 1, SN_MAX_DEPTH)) !=
            SN_OK ||
        (rc = check_list(c, i, "expand", &stage->expand, 1,
                         s->n_expand_ratios)) != SN_OK)
        return rc;
    snprintf(at, sizeof at, "/stages/%d", i);
    if (stage->kernel.n != 1 || stage->kernel.value[0] != 3 || stage->se ||
        stage->act != SN_ACT_RELU || stage->base_depth < 1 ||
        stage->base_depth > stage->depth.value[0])
        return REFUSE(c, at, "is no stage of bottlenecks");
    return check_coupled(c, i);
}

static enum sn_err check_stage(const struct check *c, int i)
{
    const struct sn_stage *stage = &c->space->stage[i];
    enum sn_err rc;
    char at[48];
    snprintf(at, sizeof at, "/stages/%d/width", i);
    if ((rc = check_number(c, at, stage->width, 1, MAX_WIDTH)) != SN_OK)
        return rc;
    snprintf(at, sizeof at, "/stages/%d/stride", i);
    if ((rc = check_stride(c, at, stage->stride)) != SN_OK)
        return rc;
    snprintf(at, sizeof at, "/stages/%d/activation", i);
    if ((rc = check_act(c, at, stage->act)) != SN_OK ||
        (rc = check_list(c, i, "depth", &stage->depth, 1, SN_MAX_DEPTH)) !=
            SN_OK ||
        (rc = check_list(c, i, "kernel", &stage->kernel, 3, MAX_KERNEL)) !=
            SN_OK ||
        (rc = check_list(c, i, "expand", &stage->expand, 1, MAX_EXPAND)) !=
            SN_OK)
        return rc;
    for (int k = 0; k < stage->kernel.n; k++)
        if (stage->kernel.value[k] % 2 == 0) {
            snprintf(at, sizeof at, "/stages/%d/kernel/%d", i, k);
            return REFUSE(c, at, "%d: kernels are 3, 5 and 7",
                          stage->kernel.value[k]);
        }
    return check_coupled(c, i);
}

/* [resnet] All but its stages. */
static enum sn_err check_resnet_parts(const struct check *c)
{
    const struct sn_space *s = c->space;
    enum sn_err rc;
    if ((rc = check_number(c, "/stem/width", s->stem_width, 1, MAX_WIDTH)) ||
        (rc = check_stride(c, "/stem/stride", s->stem_stride)) ||
        (rc = check_ratios(c, "width_ratios", s->n_width_ratios,
                           s->width_ratio)) ||
        (rc = check_ratios(c, "expand_ratios", s->n_expand_ratios,
                           s->expand_ratio)))
        return rc;
    if (s->stem_width * s->width_ratio[s->n_width_ratios - 1] / 1000.0 >
        MAX_WIDTH)
        return REFUSE(c, "/stem/width", "with the largest ratio it is over %d",
                      MAX_WIDTH);
    return SN_OK;
}

static enum sn_err check_mobile_parts(const struct check *c)
{
    const struct sn_space *s = c->space;
    enum sn_err rc = SN_OK;
    if ((rc = check_number(c, "/stem/width", s->stem_width, 1, MAX_WIDTH)) ||
        (rc = check_stride(c, "/stem/stride", s->stem_stride)) ||
        (rc = check_act(c, "/stem/activation", s->stem_act)) ||
        (rc = check_number(c, "/first/width", s->first_width, 1, MAX_WIDTH)) ||
        (rc = check_stride(c, "/first/stride", s->first_stride)) ||
        (rc = check_act(c, "/first/activation", s->first_act)) ||
        (rc = check_number(c, "/head/width", s->head_width, 1, MAX_WIDTH)) ||
        (rc = check_act(c, "/head/activation", s->head_act)) ||
        (rc =
             check_number(c, "/head/features", s->feature_width, 0, MAX_WIDTH)))
        return rc;
    return SN_OK;
}

static enum sn_err check_parts(const struct check *c)
{
    const struct sn_space *s = c->space;
    bool mobile = s->family == SN_FAMILY_MOBILE;
    enum sn_err rc = mobile ? check_mobile_parts(c) : check_resnet_parts(c);
    if (rc != SN_OK)
        return rc;
    if (!(s->bn_eps >= 1e-6f && s->bn_eps <= 0.1f))
        return REFUSE(c, "/bn_epsilon", "must be from 1e-6 to 0.1");
    if (s->n_stages < 1 || s->n_stages > SN_MAX_STAGES)
        return REFUSE(c, "/stages", "must list 1 to %d stages", SN_MAX_STAGES);
    for (int i = 0; i < s->n_stages && rc == SN_OK; i++)
        rc = mobile ? check_stage(c, i) : check_bottlenecks(c, i);
    return rc;
}

static enum sn_err check_rules(const struct check *c)
{
    const struct sn_space *s = c->space;
    enum sn_err rc = SN_OK;
    int before = s->resolutions[0];
    char at[48];
    if (s->n_stride_rules > SN_MAX_STRIDE_RULES)
        return REFUSE(c, "/strides", "at most %d rules", SN_MAX_STRIDE_RULES);
    for (int i = 0; i < s->n_stride_rules; i++) {
        const struct sn_stride_rule *rule = &s->stride_rule[i];
        snprintf(at, sizeof at, "/strides/%d/below", i);
        if (rule->below <= before)
            return REFUSE(c, at, "%d: no resolution is left for this rule",
                          rule->below);
        before = rule->below;
        snprintf(at, sizeof at, "/strides/%d/stem", i);
        if ((rc = check_stride(c, at, rule->stem)) != SN_OK)
            return rc;
        snprintf(at, sizeof at, "/strides/%d/first", i);
        if (s->family == SN_FAMILY_MOBILE &&
            (rc = check_stride(c, at, rule->first)) != SN_OK)
            return rc;
        for (int k = 0; k < s->n_stages; k++) {
            snprintf(at, sizeof at, "/strides/%d/stages/%d", i, k);
            if ((rc = check_stride(c, at, rule->stage[k])) != SN_OK)
                return rc;
        }
    }
    return SN_OK;
}

/* Memory is made for the largest resolution: at no other may a plane be larger,
 * and at none may the strides leave too little. */
static enum sn_err check_planes(const struct check *c,
                                const struct sn_plan *largest)
{
    struct sn_arch arch;
    struct sn_plan plan;
    char at[32];
    sn_arch_largest(c->space, &arch);
    for (int i = 0; i < c->space->n_resolutions; i++) {
        arch.resolution = c->space->resolutions[i];
        sn_plan_make(c->space, &arch, REFERENCE_CHANNELS, REFERENCE_CLASSES,
                     &plan);
        snprintf(at, sizeof at, "/resolutions/%d", i);
        if (plan.head_size < LEAST_SIDE)
            return REFUSE(c, at,
                          "at %d pixels the strides leave %d: a larger "
                          "resolution, or smaller strides in /strides, must "
                          "leave %d",
                          arch.resolution, plan.head_size, LEAST_SIDE);
        bool grows = plan.stem_size > largest->stem_size;
        for (int b = 0; b < plan.n_blocks; b++)
            grows |= plan.block[b].out_size > largest->block[b].out_size;
        if (grows)
            return REFUSE(c, at,
                          "at %d pixels the strides leave larger planes than "
                          "at the largest resolution",
                          arch.resolution);
    }
    return SN_OK;
}

static enum sn_err check_size(const struct check *c, const struct sn_plan *plan)
{
    struct sn_cost cost;
    sn_plan_cost(plan, &cost);
    if (cost.params > max_params)
        return REFUSE(c, "/stages",
                      "the largest network has %.0f million parameters; at "
                      "most %.0f",
                      cost.params / 1e6, max_params / 1e6);
    if (cost.macs > max_macs)
        return REFUSE(c, "/stages",
                      "the largest network takes %.1f GMACs; at most %.0f",
                      cost.macs / 1e9, max_macs / 1e9);
    return SN_OK;
}

enum sn_err sn_space_check(const struct sn_space *space, struct sn_error *err)
{
    const struct check c = {space, err};
    struct sn_arch arch;
    struct sn_plan plan;
    enum sn_err rc;
    if (space->family != SN_FAMILY_MOBILE && space->family != SN_FAMILY_RESNET)
        return REFUSE(&c, "/family", "must be mobile or resnet");
    if ((rc = check_name(&c)) != SN_OK ||
        (rc = check_resolutions(&c)) != SN_OK ||
        (rc = check_parts(&c)) != SN_OK || (rc = check_rules(&c)) != SN_OK)
        return rc;
    sn_arch_largest(space, &arch);
    sn_plan_make(space, &arch, REFERENCE_CHANNELS, REFERENCE_CLASSES, &plan);
    if ((rc = check_planes(&c, &plan)) != SN_OK)
        return rc;
    return check_size(&c, &plan);
}
