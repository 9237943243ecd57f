#include "engine/device/cover.h"

/* Blocks are measured at so many of the space's resolutions, its ends among
 * them. */
enum { ANCHORS = 3 };

static int anchor_count(const struct sn_space *space)
{
    return space->n_resolutions < ANCHORS ? space->n_resolutions : ANCHORS;
}

uint16_t sn_cover_resolution(const struct sn_space *space, int i)
{
    int n = anchor_count(space);
    return space
        ->resolutions[n == 1 ? 0 : i * (space->n_resolutions - 1) / (n - 1)];
}

/* Of the ResNet family a block is its expand and the widths before and after
 * it, the stem its two widths and its residual. Two widths take turns along the
 * network, so that pairs of neighbours take all pairs of choices. */
static uint32_t resnet_cover_count(const struct sn_space *space)
{
    uint32_t widths = space->n_width_ratios, expands = 1;
    for (int s = 0; s < space->n_stages; s++)
        if (space->stage[s].expand.n > expands)
            expands = space->stage[s].expand.n;
    if (space->elastic_stem && expands < 2)
        expands = 2;
    return widths * widths * expands;
}

static void resnet_cover(const struct sn_space *space, uint32_t i,
                         struct sn_arch *ret)
{
    uint32_t n = space->n_width_ratios, e = i / n / n;
    for (int w = 0; w < SN_STEM_WIDTHS + space->n_stages; w++)
        ret->width[w] = (uint8_t)(w % 2 ? i / n % n : i % n);
    if (space->elastic_stem)
        ret->stem = e % 2;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_choices *expand = &space->stage[s].expand;
        for (int b = 0; b < ret->depth[s]; b++)
            ret->expand[s][b] = expand->value[e % expand->n];
    }
}

/* How many, at each resolution: architecture i is at full depth, and every
 * block takes choice i of (kernel, expand). */
static uint32_t cover_choices(const struct sn_space *space)
{
    uint32_t most = 0;
    if (space->family == SN_FAMILY_RESNET)
        return resnet_cover_count(space);
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *st = &space->stage[s];
        uint32_t n = (uint32_t)st->kernel.n * st->expand.n;
        most = n > most ? n : most;
    }
    return most;
}

uint32_t sn_cover_count(const struct sn_space *space)
{
    return cover_choices(space) * (uint32_t)anchor_count(space);
}

void sn_cover_arch(const struct sn_space *space, uint32_t i,
                   struct sn_arch *ret)
{
    sn_arch_largest(space, ret);
    ret->resolution =
        sn_cover_resolution(space, (int)(i / cover_choices(space)));
    i %= cover_choices(space);
    if (space->family == SN_FAMILY_RESNET) {
        resnet_cover(space, i, ret);
        return;
    }
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *st = &space->stage[s];
        uint32_t c = i % ((uint32_t)st->kernel.n * st->expand.n);
        for (int b = 0; b < ret->depth[s]; b++) {
            ret->kernel[s][b] = st->kernel.value[c % st->kernel.n];
            ret->expand[s][b] = st->expand.value[c / st->kernel.n];
        }
    }
}
