#include "engine/run/strategy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct sn_strategy_phase *add(struct sn_strategy_phases *list,
                                     enum sn_phase_kind kind, const char *name)
{
    struct sn_strategy_phase *p = &list->phase[list->n++];
    memset(p, 0, sizeof *p);
    p->kind = kind;
    snprintf(p->name, sizeof p->name, "%s", name);
    return p;
}

static void draw_as(struct sn_strategy_phase *p, int32_t trainer)
{
    bool sandwich = trainer == SN_TRAINER_SANDWICH;
    p->draw = sandwich ? SN_DRAW_SANDWICH : SN_DRAW_PATHS;
    p->subnets = sandwich ? 4 : 1;
    p->teach = sandwich ? SN_TEACH_LARGEST : SN_TEACH_NONE;
}

/* ---- sparsenas ---- */

/* Re-warming to this share of the rate after the cooled warm-up cost nothing
 * measurable in the pilot. */
static const double rewarm_scale = 0.7;

static void sparsenas_phases(const struct sn_spec *spec,
                             const struct sn_space *space,
                             struct sn_strategy_phases *list)
{
    struct sn_budget b;
    struct sn_limits all;
    sn_budget_make(spec, &b);
    sn_limits_all(space, &all);

    struct sn_strategy_phase *p = add(list, SN_PHASE_WARMUP, "warmup");
    draw_as(p, spec->sparsenas.warmup_trainer);
    p->steps = b.warmup_steps;
    p->rate = SN_RATE_COOLED;
    p->rate_scale = 1;
    p->limits = all;

    int rounds = spec->sparsenas.rounds;
    uint64_t left = b.total_steps - b.warmup_steps;
    for (int r = 0; r < rounds; r++) {
        add(list, SN_PHASE_PROBE, "probe")->round = r;
        add(list, SN_PHASE_FIT, "fit")->round = r;
        add(list, SN_PHASE_FILTER, "filter")->round = r;
        p = add(list, SN_PHASE_TRAIN, "train");
        draw_as(p, spec->sparsenas.trainer);
        p->steps = left / (uint64_t)(rounds - r);
        left -= p->steps;
        p->rate = r + 1 < rounds ? SN_RATE_COOLED : SN_RATE_COSINE;
        p->rate_scale = rewarm_scale;
        p->limits = all;
        p->in_subspace = true;
        p->round = r;
    }
}

/* ---- ofa: Once-for-All's progressive shrinking ---- */

enum dimension { KERNEL, DEPTH, EXPAND };

/* `kept`: how many of the largest choices of each dimension are open. Rates are
 * its own for 2,048 images a step, over the teacher's 2.6. */
static const struct {
    const char *name;
    double epochs;
    enum sn_draw draw;
    int subnets;
    double rate_scale;
    uint8_t kept[3];   /* kernel, depth, expand; 0: all */
    uint8_t sort_kept; /* 0: no sort; else widths trained so far */
} ofa_table[] = {
    {"teacher", 180, SN_DRAW_LARGEST, 1, 1, {1, 1, 1}, 0},
    {"elastic kernel", 125, SN_DRAW_PATHS, 1, 0.96 / 2.6, {0, 1, 1}, 0},
    {"elastic depth 1", 25, SN_DRAW_PATHS, 2, 0.08 / 2.6, {0, 2, 1}, 0},
    {"elastic depth 2", 125, SN_DRAW_PATHS, 2, 0.24 / 2.6, {0, 0, 1}, 0},
    {"elastic expand 1", 25, SN_DRAW_PATHS, 4, 0.08 / 2.6, {0, 0, 2}, 1},
    {"elastic expand 2", 125, SN_DRAW_PATHS, 4, 0.24 / 2.6, {0, 0, 0}, 2},
};

/* The `kept` largest of the choices (0: all). */
static struct sn_choices largest_of(const struct sn_choices *all, uint8_t kept)
{
    struct sn_choices ret = *all;
    if (kept == 0 || kept >= all->n)
        return ret;
    memset(&ret, 0, sizeof ret);
    ret.n = kept;
    memcpy(ret.value, all->value + all->n - kept, kept);
    return ret;
}

static void ofa_phases(const struct sn_spec *spec, const struct sn_space *space,
                       struct sn_strategy_phases *list)
{
    enum { N = sizeof ofa_table / sizeof ofa_table[0] };
    struct sn_budget b;
    double sum = 0, done = 0;
    uint64_t at = 0;

    sn_budget_make(spec, &b);
    for (int i = 0; i < N; i++)
        sum += ofa_table[i].epochs;
    for (int i = 0; i < N; i++) {
        struct sn_strategy_phase *p =
            add(list, SN_PHASE_TRAIN, ofa_table[i].name);
        done += ofa_table[i].epochs;
        uint64_t end = (uint64_t)llround((double)b.total_steps * done / sum);
        p->steps = end - at;
        at = end;
        p->draw = ofa_table[i].draw;
        p->subnets = ofa_table[i].subnets;
        p->teach = i == 0 ? SN_TEACH_NONE : SN_TEACH_FIXED;
        p->rate = SN_RATE_COSINE;
        p->rate_scale = ofa_table[i].rate_scale;
        p->keep_teacher = i == 0;
        for (int s = 0; s < space->n_stages; s++) {
            const struct sn_stage *st = &space->stage[s];
            const uint8_t *kept = ofa_table[i].kept;
            p->limits.kernel[s] = largest_of(&st->kernel, kept[KERNEL]);
            p->limits.depth[s] = largest_of(&st->depth, kept[DEPTH]);
            p->limits.expand[s] = largest_of(&st->expand, kept[EXPAND]);
        }
        p->limits.widest = ofa_table[i].kept[EXPAND] == 1;
        p->sort = ofa_table[i].sort_kept > 0;
        if (p->sort)
            p->sort_bands =
                largest_of(&space->stage[0].expand, ofa_table[i].sort_kept);
    }
}

typedef void (*phases_fn)(const struct sn_spec *spec,
                          const struct sn_space *space,
                          struct sn_strategy_phases *list);
static const phases_fn strategy_table[] = {
    [SN_STRATEGY_SPARSENAS] = sparsenas_phases,
    [SN_STRATEGY_OFA] = ofa_phases,
};

void sn_strategy_phases(const struct sn_spec *spec,
                        struct sn_strategy_phases *ret)
{
    ret->n = 0;
    add(ret, SN_PHASE_PREPARE, "prepare");
    strategy_table[spec->strategy](spec, sn_space_find(spec->space), ret);
    add(ret, SN_PHASE_EVALUATE, "evaluate");
    add(ret, SN_PHASE_SEARCH, "search");
}

bool sn_strategy_insert_retry(struct sn_strategy_phases *list, int at)
{
    struct sn_strategy_phase *train = &list->phase[at + 1];
    uint64_t steps = 0;
    for (int i = 0; i < at && steps == 0; i++)
        if (list->phase[i].kind == SN_PHASE_WARMUP)
            steps = list->phase[i].steps / 2;
    if (steps == 0 || train->kind != SN_PHASE_TRAIN ||
        train->steps < 2 * steps || list->n + 4 > SN_MAX_PHASES)
        return false;

    train->steps -= steps;
    memmove(&list->phase[at + 5], &list->phase[at + 1],
            sizeof list->phase[0] * (size_t)(list->n - at - 1));
    list->n += 4;
    for (int i = 0; i < at; i++)
        if (list->phase[i].kind == SN_PHASE_WARMUP)
            list->phase[at + 1] = list->phase[i];
    list->phase[at + 1].steps = steps;
    list->phase[at + 1].rate_scale = rewarm_scale;
    snprintf(list->phase[at + 1].name, SN_NAME_MAX, "longer warmup");
    for (int k = 0; k < 3; k++)
        list->phase[at + 2 + k] = list->phase[at - 2 + k];
    return true;
}

double sn_strategy_image_macs(const struct sn_strategy_phase *p,
                              const struct sn_space_macs *macs)
{
    switch (p->draw) {
    case SN_DRAW_LARGEST:
        return 3 * macs->largest;
    case SN_DRAW_PATHS:
        return 3 * macs->mean * p->subnets +
               (p->teach == SN_TEACH_FIXED ? macs->largest : 0);
    case SN_DRAW_SANDWICH:
        return 3 *
               (macs->largest + macs->smallest + macs->mean * (p->subnets - 2));
    case SN_DRAW_NONE:
        break;
    }
    return 0;
}

int sn_strategy_max_subnets(const struct sn_spec *spec)
{
    struct sn_strategy_phases list;
    int most = 1;
    sn_strategy_phases(spec, &list);
    for (int i = 0; i < list.n; i++)
        if (list.phase[i].subnets > most)
            most = list.phase[i].subnets;
    return most;
}
