/* sn_strategy - strategies as tables of phases over the one training loop.
 *
 * A strategy is data: which sub-networks a step trains, from which choices,
 * with which teacher and rate, for what share of the epochs. Adding one is a
 * table and, if it draws in a new way, a sampler in engine/train/.
 */
#ifndef SN_STRATEGY_H
#define SN_STRATEGY_H

#include "engine/engine.h"
#include "engine/run/budget.h"

/* What a training step draws. */
enum sn_draw {
    SN_DRAW_NONE,
    SN_DRAW_LARGEST,   /* the largest network alone: a teacher */
    SN_DRAW_PATHS,     /* `subnets` uniform paths within the limits */
    SN_DRAW_SANDWICH,  /* largest, smallest, subnets - 2 random */
    SN_DRAW_COUPLED,   /* `subnets` of the coupled space */
    SN_DRAW_ATTENTIVE, /* the sandwich, its random ones of candidates */
    SN_DRAW_FAIR,      /* every choice of every block once */
    SN_DRAW_FIXED,     /* one architecture, at its own resolution */
};
enum sn_teach {
    SN_TEACH_NONE,
    SN_TEACH_LARGEST,       /* in place: the sandwich's largest */
    SN_TEACH_LARGEST_ALPHA, /* the same, by alpha-divergences */
    SN_TEACH_FIXED, /* the weights as they were when the teacher ended */
};
enum sn_rate {
    SN_RATE_COSINE,      /* rises linearly, falls along a cosine to zero */
    SN_RATE_COOLED,      /* rises, holds, falls to zero over its last fifth */
    SN_RATE_LINEAR,      /* rises and falls linearly */
    SN_RATE_EXPONENTIAL, /* rises, falls to a twentieth, holds */
};

struct sn_strategy_phase {
    enum sn_phase_kind kind;
    char name[SN_NAME_MAX];
    /* for warmup and train: */
    uint64_t steps;
    enum sn_draw draw;
    int subnets;
    enum sn_teach teach;
    enum sn_rate rate;
    double rate_scale;     /* of the spec's learning rate */
    double alpha_clip;     /* of SN_TEACH_LARGEST_ALPHA */
    int candidates, bands; /* of SN_DRAW_ATTENTIVE ... */
    bool worst;            /* ... the worst of them, not the best */
    bool elastic_kernels;  /* of SN_DRAW_COUPLED */
    struct sn_limits limits;
    bool in_subspace; /* draw from what the filter kept, if it did */
    bool sort;        /* sort channels by importance on entering */
    struct sn_choices sort_bands;
    bool keep_teacher;        /* its end is the fixed teacher of later phases */
    int round;                /* of probe, fit, filter */
    struct sn_arch fixed;     /* of SN_DRAW_FIXED */
    enum sn_stage_kind stage; /* of evaluate: its evaluations' */
};

enum { SN_MAX_PHASES = 64 };
struct sn_strategy_phases {
    int n;
    struct sn_strategy_phase phase[SN_MAX_PHASES];
};

/* The whole list of phases of a resolved spec, as it runs when every filter can
 * be trusted. */
void sn_strategy_phases(const struct sn_spec *spec,
                        struct sn_strategy_phases *ret);
/* After a filter that could not be trusted: puts another warm-up (half as long
 * as the first, taken from the next train phase), probe, fit and filter behind
 * phase `at`, a filter. false when the train phase is too short for it. */
bool sn_strategy_insert_retry(struct sn_strategy_phases *list, int at);

/* MACs a training image costs in such a phase (3 x forward for what is
 * trained, 1 x for a teacher), on average over the whole space. */
double sn_strategy_image_macs(const struct sn_strategy_phase *phase,
                              const struct sn_space_macs *macs);
/* The most sub-networks that any step of it trains, and draws. */
void sn_strategy_most_subnets(const struct sn_spec *spec, int *ret_trained,
                              int *ret_drawn);

/* Settings that the user left alone become the strategy's own, those of its
 * paper; learning rates are scaled with the batch. */
void sn_strategy_defaults(struct sn_spec *spec);
/* Refuses a space that the strategy cannot train. */
enum sn_err sn_strategy_check(const struct sn_spec *spec,
                              const struct sn_space *space,
                              struct sn_error *err);

#endif
