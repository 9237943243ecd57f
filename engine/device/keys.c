#include "engine/device/keys.h"

#include <stdio.h>
#include <string.h>

static const char *const act_names[] = {"none", "relu", "hswish", "relu6"};

static void resnet_part_key(const struct sn_plan *plan, int part,
                            char ret[SN_TABLE_KEY_MAX])
{
    if (part == 0) {
        snprintf(ret, SN_TABLE_KEY_MAX, "stem3/%d-%d-%d/s%d/%s/%d",
                 plan->in_channels, plan->stem_mid, plan->stem_out,
                 plan->stem_stride, plan->stem_residual ? "res" : "plain",
                 plan->resolution);
        return;
    }
    if (part == plan->n_blocks + 1) {
        snprintf(ret, SN_TABLE_KEY_MAX, "pooled/%d-%d/%d", plan->head_out,
                 plan->classes, plan->head_size);
        return;
    }
    const struct sn_block_plan *b = &plan->block[part - 1];
    snprintf(ret, SN_TABLE_KEY_MAX, "bottleneck/%d-%d-%d/s%d/%d/%s", b->in,
             b->mid, b->out, b->stride, b->in_size,
             b->downsamples ? "down" : "res");
}

void sn_key_make(const struct sn_plan *plan, int part,
                 char ret[SN_TABLE_KEY_MAX])
{
    if (plan->family == SN_FAMILY_RESNET) {
        resnet_part_key(plan, part, ret);
        return;
    }
    if (part == 0) {
        snprintf(ret, SN_TABLE_KEY_MAX, "stem/%d-%d/s%d/%s/%d",
                 plan->in_channels, plan->stem_out, plan->stem_stride,
                 act_names[plan->stem_act], plan->resolution);
        return;
    }
    if (part == plan->n_blocks + 1) {
        snprintf(ret, SN_TABLE_KEY_MAX, "head/%d-%d-%d-%d/%s/%d", plan->head_in,
                 plan->head_out, plan->feature_out, plan->classes,
                 act_names[plan->head_act], plan->head_size);
        return;
    }
    const struct sn_block_plan *b = &plan->block[part - 1];
    snprintf(ret, SN_TABLE_KEY_MAX, "block/%d-%d-%d/k%d/s%d/se%d/%s/%d/%s",
             b->in, b->mid, b->out, b->kernel, b->stride, b->se_mid,
             act_names[b->act], b->in_size, b->residual ? "res" : "plain");
}

static const char arch_prefix[] = "arch/";

void sn_key_make_arch(const struct sn_space *space, const struct sn_arch *arch,
                      char ret[SN_TABLE_KEY_MAX])
{
    memcpy(ret, arch_prefix, sizeof arch_prefix);
    sn_arch_encode(space, arch, ret + strlen(arch_prefix));
}

const char *sn_key_arch_id(const char *key)
{
    size_t n = strlen(arch_prefix);
    return strncmp(key, arch_prefix, n) == 0 ? key + n : NULL;
}
