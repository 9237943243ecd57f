#include "engine/run/strategy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/single.h"
#include "engine/search/predictor.h"
#include "engine/train/sampler.h"

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
    static const struct {
        enum sn_draw draw;
        int subnets;
        enum sn_teach teach;
    } of[] = {
        [SN_TRAINER_PATH] = {SN_DRAW_PATHS, 1, SN_TEACH_NONE},
        [SN_TRAINER_SANDWICH] = {SN_DRAW_SANDWICH, 4, SN_TEACH_LARGEST},
        [SN_TRAINER_TEACHER] = {SN_DRAW_PATHS, 1, SN_TEACH_FIXED},
    };
    p->draw = of[trainer].draw;
    p->subnets = of[trainer].subnets;
    p->teach = of[trainer].teach;
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

    struct sn_strategy_phase *p;
    if (b.teacher_steps > 0) {
        p = add(list, SN_PHASE_TRAIN, "teacher");
        p->draw = SN_DRAW_LARGEST;
        p->subnets = 1;
        p->steps = b.teacher_steps;
        p->rate_scale = 1;
        p->limits = all;
        p->keep_teacher = true;
    }
    p = add(list, SN_PHASE_WARMUP, "warmup");
    draw_as(p, spec->sparsenas.warmup_trainer);
    p->steps = b.warmup_steps;
    p->rate = SN_RATE_COOLED;
    p->rate_scale = 1;
    p->limits = all;

    int rounds = spec->sparsenas.rounds;
    uint64_t left = b.total_steps - b.teacher_steps - b.warmup_steps;
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

/* ---- one architecture ---- */

/* Measured where it has weights already, trained, measured again. */
static void single_phases(const struct sn_spec *spec,
                          const struct sn_space *space,
                          struct sn_strategy_phases *list)
{
    struct sn_budget b;
    bool inherits = spec->strategy == SN_STRATEGY_FINETUNE;

    sn_budget_make(spec, &b);
    if (inherits)
        add(list, SN_PHASE_EVALUATE, "before")->stage = SN_STAGE_EARLY;
    struct sn_strategy_phase *p =
        add(list, SN_PHASE_TRAIN, inherits ? "fine-tune" : "train");
    p->draw = SN_DRAW_FIXED;
    p->subnets = 1;
    p->steps = b.total_steps;
    p->rate_scale = 1;
    sn_limits_all(space, &p->limits);
    sn_single_arch(spec, space, &p->fixed);
}

/* ---- strategies that are tables ---- */

enum dimension { KERNEL, DEPTH, EXPAND };

/* A phase of a table. `kept`: how many of the largest choices of each dimension
 * are open. Rates are the paper's own over its highest. */
struct row {
    const char *name;
    double share; /* of the epochs, over the sum of the rows' */
    enum sn_draw draw;
    int subnets; /* 0: as many as a fair step has */
    enum sn_teach teach;
    enum sn_rate rate;
    double rate_scale;
    uint8_t kept[3];   /* kernel, depth, expand; 0: all */
    uint8_t sort_kept; /* 0: no sort; else widths trained so far */
};

/* Cai et al., "Once-for-All", ICLR 2020: progressive shrinking; shares are its
 * epochs, rates its own for 2,048 images a step, over the teacher's 2.6. */
static const struct row ofa_rows[] = {
    {"teacher",
     180,
     SN_DRAW_LARGEST,
     1,
     SN_TEACH_NONE,
     SN_RATE_COSINE,
     1,
     {1, 1, 1},
     0},
    {"elastic kernel",
     125,
     SN_DRAW_PATHS,
     1,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.96 / 2.6,
     {0, 1, 1},
     0},
    {"elastic depth 1",
     25,
     SN_DRAW_PATHS,
     2,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.08 / 2.6,
     {0, 2, 1},
     0},
    {"elastic depth 2",
     125,
     SN_DRAW_PATHS,
     2,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.24 / 2.6,
     {0, 0, 1},
     0},
    {"elastic expand 1",
     25,
     SN_DRAW_PATHS,
     4,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.08 / 2.6,
     {0, 0, 2},
     1},
    {"elastic expand 2",
     125,
     SN_DRAW_PATHS,
     4,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.24 / 2.6,
     {0, 0, 0},
     2},
};
/* Sahni et al., "CompOFA", ICLR 2021: its teacher, then the coupled space at
 * once; channels are sorted before each of its two phases. */
static const struct row compofa_rows[] = {
    {"teacher",
     180,
     SN_DRAW_LARGEST,
     1,
     SN_TEACH_NONE,
     SN_RATE_COSINE,
     1,
     {1, 1, 1},
     0},
    {"coupled 1",
     25,
     SN_DRAW_COUPLED,
     4,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.08 / 2.6,
     {0, 0, 0},
     1},
    {"coupled 2",
     125,
     SN_DRAW_COUPLED,
     4,
     SN_TEACH_FIXED,
     SN_RATE_COSINE,
     0.24 / 2.6,
     {0, 0, 0},
     3},
};
/* Yu et al., "BigNAS", ECCV 2020: the sandwich with in-place distillation. */
static const struct row bignas_rows[] = {
    {"sandwich",
     1,
     SN_DRAW_SANDWICH,
     4,
     SN_TEACH_LARGEST,
     SN_RATE_EXPONENTIAL,
     1,
     {0, 0, 0},
     0},
};
/* Wang et al., "AlphaNet", ICML 2021: the same with alpha-divergences. */
static const struct row alphanet_rows[] = {
    {"sandwich",
     1,
     SN_DRAW_SANDWICH,
     4,
     SN_TEACH_LARGEST_ALPHA,
     SN_RATE_COSINE,
     1,
     {0, 0, 0},
     0},
};
/* Wang et al., "AttentiveNAS", CVPR 2021: a place between the sandwich's ends
 * goes to the best, or the worst, of some candidates of a MAC band. */
static const struct row attentivenas_rows[] = {
    {"attentive sandwich",
     1,
     SN_DRAW_ATTENTIVE,
     4,
     SN_TEACH_LARGEST,
     SN_RATE_COSINE,
     1,
     {0, 0, 0},
     0},
};
/* Guo et al., "Single Path One-Shot", ECCV 2020. */
static const struct row spos_rows[] = {
    {"single paths",
     1,
     SN_DRAW_PATHS,
     1,
     SN_TEACH_NONE,
     SN_RATE_LINEAR,
     1,
     {0, 0, 0},
     0},
};
/* Chu et al., "FairNAS", ICCV 2021: strict fairness. */
static const struct row fairnas_rows[] = {
    {"fair paths",
     1,
     SN_DRAW_FAIR,
     0,
     SN_TEACH_NONE,
     SN_RATE_COSINE,
     1,
     {0, 0, 0},
     0},
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

static void fill_phase(const struct sn_spec *spec, const struct sn_space *space,
                       const struct row *row, struct sn_strategy_phase *p)
{
    p->draw = row->draw;
    p->subnets = row->subnets > 0 ? row->subnets : sn_sampler_fair_paths(space);
    p->teach = row->teach;
    p->rate = row->rate;
    p->rate_scale = row->rate_scale;
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *st = &space->stage[s];
        p->limits.kernel[s] = largest_of(&st->kernel, row->kept[KERNEL]);
        p->limits.depth[s] = largest_of(&st->depth, row->kept[DEPTH]);
        p->limits.expand[s] = largest_of(&st->expand, row->kept[EXPAND]);
    }
    p->limits.widest = row->kept[EXPAND] == 1;
    p->sort = row->sort_kept > 0;
    if (p->sort)
        p->sort_bands = largest_of(&space->stage[0].expand, row->sort_kept);
    if (row->draw == SN_DRAW_COUPLED)
        p->elastic_kernels = spec->compofa.kernels == SN_KERNELS_ELASTIC;
    if (row->draw == SN_DRAW_ATTENTIVE) {
        p->candidates = spec->attentivenas.candidates;
        p->bands = spec->attentivenas.bands;
        p->worst = spec->attentivenas.sampling == SN_SAMPLING_WORST_UP;
    }
    if (row->teach == SN_TEACH_LARGEST_ALPHA)
        p->alpha_clip = spec->alphanet.clip;
}

static void table_phases(const struct sn_spec *spec,
                         const struct sn_space *space, const struct row *rows,
                         int n, struct sn_strategy_phases *list)
{
    struct sn_budget b;
    double sum = 0, done = 0;
    uint64_t at = 0;

    sn_budget_make(spec, &b);
    for (int i = 0; i < n; i++)
        sum += rows[i].share;
    for (int i = 0; i < n; i++) {
        struct sn_strategy_phase *p = add(list, SN_PHASE_TRAIN, rows[i].name);
        done += rows[i].share;
        uint64_t end = (uint64_t)llround((double)b.total_steps * done / sum);
        p->steps = end - at;
        at = end;
        fill_phase(spec, space, &rows[i], p);
        p->keep_teacher = rows[i].draw == SN_DRAW_LARGEST;
    }
}

/* ---- all strategies ---- */

/* What a strategy's paper sets otherwise than our defaults do. */
struct own {
    const char *pointer;
    double value;
    bool per_256; /* for 256 images a step: scaled with the batch */
};
static const struct own sparsenas_own[] = {{0}};
static const struct own ofa_own[] = {{"/train/learning_rate", 2.6 / 8, true},
                                     {0}};
/* Rates, decay and clipping of the sandwich are those of AttentiveNAS' and
 * AlphaNet's SGD: BigNAS' own are for RMSProp. */
static const struct own sandwich_own[] = {{"/train/learning_rate", 0.1, true},
                                          {"/train/weight_decay", 1e-5, false},
                                          {"/train/clip_value", 1, false},
                                          {0}};
static const struct own spos_own[] = {{"/train/learning_rate", 0.125, true},
                                      {"/train/weight_decay", 4e-5, false},
                                      {0}};
static const struct own fairnas_own[] = {{"/train/learning_rate", 0.045, true},
                                         {"/train/weight_decay", 4e-5, false},
                                         {0}};

/* Under what it takes from scratch: the weights are there. A tenth moves a
 * supernet of some epochs too little, all of it loses more than half an epoch
 * regains (docs/strategies.md). */
static const struct own finetune_own[] = {{"/train/learning_rate", 0.03, false},
                                          {0}};

#define ROWS(table) table, (int)(sizeof table / sizeof table[0])

/* Rows NULL: phases that hang on settings. */
static const struct {
    const struct row *rows;
    int n;
    const struct own *own;
} strategy_table[] = {
    [SN_STRATEGY_SPARSENAS] = {NULL, 0, sparsenas_own},
    [SN_STRATEGY_OFA] = {ROWS(ofa_rows), ofa_own},
    [SN_STRATEGY_COMPOFA] = {ROWS(compofa_rows), ofa_own},
    [SN_STRATEGY_BIGNAS] = {ROWS(bignas_rows), sandwich_own},
    [SN_STRATEGY_ALPHANET] = {ROWS(alphanet_rows), sandwich_own},
    [SN_STRATEGY_ATTENTIVENAS] = {ROWS(attentivenas_rows), sandwich_own},
    [SN_STRATEGY_SPOS] = {ROWS(spos_rows), spos_own},
    [SN_STRATEGY_FAIRNAS] = {ROWS(fairnas_rows), fairnas_own},
    [SN_STRATEGY_FINETUNE] = {NULL, 0, finetune_own},
    [SN_STRATEGY_SCRATCH] = {NULL, 0, sparsenas_own},
};

void sn_strategy_defaults(struct sn_spec *spec)
{
    size_t n;
    const struct sn_field *fields = sn_spec_fields(&n);
    for (const struct own *own = strategy_table[spec->strategy].own;
         own->pointer != NULL; own++)
        for (size_t i = 0; i < n; i++) {
            if (strcmp(fields[i].pointer, own->pointer) != 0)
                continue;
            char *base = (char *)spec;
            double *value = (double *)(void *)(base + fields[i].offset);
            double batch = own->per_256 ? spec->train.batch_size / 256.0 : 1;
            if (!sn_spec_is_given(spec, i) && *value == fields[i].initial)
                *value = fmin(own->value * batch, fields[i].max);
        }
}

enum sn_err sn_strategy_check(const struct sn_spec *spec,
                              const struct sn_space *space,
                              struct sn_error *err)
{
    if (spec->strategy == SN_STRATEGY_FAIRNAS &&
        sn_sampler_fair_paths(space) == 0)
        return sn_error_at(err, SN_ERR_INVALID, "/strategy",
                           "fairnas takes every choice of a block in turn: all "
                           "blocks of space %s must have as many, %d at most",
                           space->name, (int)SN_MAX_SUBNETS);
    bool coupled = spec->strategy == SN_STRATEGY_COMPOFA;
    for (int s = 0; coupled && s < space->n_stages; s++)
        for (int d = 0; d < space->stage[s].depth.n; d++)
            if (space->stage[s].coupled.expand[d] == 0)
                return sn_error_at(err, SN_ERR_INVALID, "/strategy",
                                   "compofa trains coupled architectures, but "
                                   "in stage %d of space %s depth forces no "
                                   "expand ratio",
                                   s, space->name);
    double count = sn_space_count(space, SN_COUPLING_COMPOFA);
    if (coupled && count < SN_PREDICTOR_MIN)
        return sn_error_at(err, SN_ERR_INVALID, "/strategy",
                           "the coupled part of space %s has %.0f "
                           "architectures: too few to search, it takes %d",
                           space->name, count, (int)SN_PREDICTOR_MIN);
    return SN_OK;
}

/* Weights that are there: what to measure is learned as after a warm-up. */
static void untrained_phases(struct sn_strategy_phases *list)
{
    add(list, SN_PHASE_PROBE, "probe");
    add(list, SN_PHASE_FIT, "fit");
    add(list, SN_PHASE_FILTER, "filter");
}

void sn_strategy_phases(const struct sn_spec *spec,
                        struct sn_strategy_phases *ret)
{
    ret->n = 0;
    add(ret, SN_PHASE_PREPARE, "prepare");
    const struct sn_space *space = sn_spec_space(spec);
    const bool single = sn_spec_is_single(spec);
    if (single)
        single_phases(spec, space, ret);
    else if (!sn_spec_trains(spec))
        untrained_phases(ret);
    else if (strategy_table[spec->strategy].rows != NULL)
        table_phases(spec, space, strategy_table[spec->strategy].rows,
                     strategy_table[spec->strategy].n, ret);
    else
        sparsenas_phases(spec, space, ret);
    add(ret, SN_PHASE_EVALUATE, single ? "after" : "evaluate")->stage =
        SN_STAGE_FINAL;
    add(ret, SN_PHASE_SEARCH, single ? "measure" : "search");
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
    case SN_DRAW_COUPLED:
    case SN_DRAW_FAIR:
    case SN_DRAW_FIXED: /* of which it is the mean */
        return 3 * macs->mean * p->subnets +
               (p->teach == SN_TEACH_FIXED ? macs->largest : 0);
    case SN_DRAW_SANDWICH:
    case SN_DRAW_ATTENTIVE:
        return 3 * (macs->largest + macs->smallest) +
               (3 + p->candidates) * macs->mean * (p->subnets - 2);
    case SN_DRAW_NONE:
        break;
    }
    return 0;
}

void sn_strategy_most_subnets(const struct sn_spec *spec, int *ret_trained,
                              int *ret_drawn)
{
    struct sn_strategy_phases list;
    *ret_trained = *ret_drawn = 1;
    sn_strategy_phases(spec, &list);
    for (int i = 0; i < list.n; i++) {
        const struct sn_strategy_phase *p = &list.phase[i];
        int drawn = p->candidates > 0 ? 2 + p->candidates * (p->subnets - 2)
                                      : p->subnets;
        *ret_trained = p->subnets > *ret_trained ? p->subnets : *ret_trained;
        *ret_drawn = drawn > *ret_drawn ? drawn : *ret_drawn;
    }
}
