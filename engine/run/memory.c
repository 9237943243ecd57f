#include "engine/run/memory.h"

#include <math.h>
#include <string.h>

#include "engine/device/table.h"
#include "engine/run/images.h"
#include "engine/run/precision.h"
#include "engine/run/single.h"
#include "engine/run/strategy.h"
#include "engine/search/subspace.h"
#include "engine/train/evaluate.h"
#include "engine/train/trainer.h"

/* Code and tables of the libraries that a first job brings in, primitives,
 * stacks, and what the allocator keeps. */
static const double base_bytes = 8e6;

/* Paths that are drawn to find a heavy one; more change little. */
enum { DRAWS = 256 };

/* About what a pass over an image writes, in channels times pixels. */
static double weight_of(const struct sn_plan *plan)
{
    double sum = 0;
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct sn_block_plan *b = &plan->block[i];
        double in = (double)b->in_size * b->in_size;
        double out = (double)b->out_size * b->out_size;
        sum += (b->expands ? b->mid : 0) * in + (b->mid + 2.0 * b->out) * out;
    }
    return sum;
}

struct outline {
    const struct sn_space *space;
    int channels, classes;
};

static void plan_of(const struct outline *o, const struct sn_arch *arch,
                    struct sn_plan *ret)
{
    sn_plan_make(o->space, arch, o->channels, o->classes, ret);
}

/* Takes the heavier of `plan` and *ret. */
static void raise_to(struct sn_plan *ret, const struct sn_plan *plan)
{
    if (weight_of(plan) > weight_of(ret))
        *ret = *plan;
}

static void heaviest_path(const struct outline *o,
                          const struct sn_strategy_phase *p,
                          struct sn_plan *ret)
{
    struct sn_rng rng = sn_rng_make(0, SN_STREAM_FILTER, 1);
    struct sn_plan plan;
    struct sn_arch arch;
    ret->n_blocks = 0;
    for (uint64_t i = 0; i < DRAWS && i < p->steps; i++) {
        sn_arch_sample(o->space, &p->limits, &rng, &arch);
        plan_of(o, &arch, &plan);
        raise_to(ret, &plan);
    }
}

/* The heaviest that sub-network i of any step will be. */
static void heaviest_of_phase(const struct outline *o,
                              const struct sn_strategy_phase *p,
                              struct sn_plan *heaviest)
{
    struct sn_arch arch;
    struct sn_plan largest, smallest, path;
    if (p->draw == SN_DRAW_FIXED) {
        plan_of(o, &p->fixed, &path);
        raise_to(&heaviest[0], &path);
        return;
    }
    sn_arch_largest(o->space, &arch);
    plan_of(o, &arch, &largest);
    sn_arch_smallest(o->space, &arch);
    plan_of(o, &arch, &smallest);
    if (p->draw != SN_DRAW_LARGEST)
        heaviest_path(o, p, &path);
    bool sandwich = p->draw == SN_DRAW_SANDWICH || p->draw == SN_DRAW_ATTENTIVE;
    for (int i = 0; i < p->subnets; i++) {
        if (p->draw == SN_DRAW_LARGEST || (sandwich && i == 0))
            raise_to(&heaviest[i], &largest);
        else
            raise_to(&heaviest[i], sandwich && i == 1 ? &smallest : &path);
    }
}

static void training(const struct sn_spec *spec, const struct outline *o,
                     const struct sn_supernet *net, bool decodes,
                     struct sn_trainer_bytes *ret)
{
    struct sn_strategy_phases list;
    struct sn_plan heaviest[SN_MAX_SUBNETS] = {0};
    int trained, drawn;
    sn_strategy_most_subnets(spec, &trained, &drawn);
    struct sn_trainer_settings set = {
        .batch_size = spec->train.batch_size,
        .shard_size = spec->train.shard_size,
        .max_subnets = trained,
        .max_drawn = drawn,
        .store = sn_precision_store(spec),
        .resolution = sn_single_resolution(spec, o->space),
        .decoders = spec->train.decoders,
    };
    bool teacher = false;

    memset(ret, 0, sizeof *ret);
    if (!sn_spec_trains(spec))
        return;
    sn_strategy_phases(spec, &list);
    for (int i = 0; i < list.n; i++) {
        const struct sn_strategy_phase *p = &list.phase[i];
        teacher |= p->keep_teacher;
        if (p->draw != SN_DRAW_NONE && p->steps > 0)
            heaviest_of_phase(o, p, heaviest);
    }
    sn_trainer_bytes(net, &set, spec->train.workers, heaviest, teacher, decodes,
                     ret);
}

/* Static networks that the search holds while it measures them. */
static double searching(const struct sn_spec *spec, const struct outline *o,
                        const struct sn_compute *compute)
{
    struct sn_arch arch;
    struct sn_plan largest, smallest;
    if (sn_spec_is_single(spec)) {
        sn_single_arch(spec, o->space, &arch);
        plan_of(o, &arch, &largest);
        return (double)sn_static_bytes(compute, &largest);
    }
    sn_arch_largest(o->space, &arch);
    plan_of(o, &arch, &largest);
    sn_arch_smallest(o->space, &arch);
    plan_of(o, &arch, &smallest);
    double mean = 0.5 * (double)(sn_static_bytes(compute, &largest) +
                                 sn_static_bytes(compute, &smallest));
    return mean * (SN_VERIFIED_A_TARGET * sn_budget_targets(spec) + 2);
}

/* Candidates, and what is known of each. */
static double filtering(const struct sn_spec *spec, const struct outline *o)
{
    const double a_candidate = sizeof(struct sn_arch) + 40.0;
    double n =
        fmin(SN_FILTER_DRAWS, sn_space_count(o->space, SN_COUPLING_NONE));
    return spec->strategy == SN_STRATEGY_SPARSENAS ? n * a_candidate : 0;
}

/* What drives each part; the largest part is named. */
static const char *driver(const struct sn_trainer_bytes *train, double evaluate,
                          double net, double data)
{
    const struct {
        const char *field;
        double bytes;
    } part[] = {
        {"/train/batch_size", train->batch},
        {"/train/shard_size", train->shard},
        {"/train/workers", evaluate},
        {"/space", net + train->net},
        {"/dataset", data},
    };
    size_t most = 0;
    for (size_t i = 1; i < sizeof part / sizeof part[0]; i++)
        if (part[i].bytes > part[most].bytes)
            most = i;
    return part[most].field;
}

enum sn_err sn_memory_forecast(const struct sn_spec *spec,
                               const struct sn_space *space,
                               const struct sn_dataset_info *data,
                               double *ret_bytes, const char **ret_field,
                               struct sn_error *err)
{
    const struct outline o = {space, data->channels, data->classes};
    struct sn_compute *compute = NULL;
    struct sn_supernet *net = NULL;
    struct sn_trainer_bytes train;

    enum sn_err rc = sn_compute_new(NULL, &compute, err);
    if (rc == SN_OK)
        rc = sn_supernet_outline(compute, space, data->channels, data->classes,
                                 &net, err);
    if (rc == SN_OK) {
        sn_supernet_set_recompute(net, spec->train.recompute);
        double pixels = sn_images_bytes(spec, data);
        double evaluate =
            (double)sn_evaluator_bytes(compute, net, spec->train.workers);
        double weights = (double)sn_supernet_bytes(net);
        double prepare = sn_table_bytes(compute, space, data->channels,
                                        data->classes, (uint64_t)spec->seed);
        training(spec, &o, net, data->variable, &train);
        pixels += train.ahead;
        double run = train.batch + train.shard + train.net + evaluate +
                     fmax(filtering(spec, &o), searching(spec, &o, compute));
        *ret_bytes = base_bytes + pixels + weights + fmax(prepare, run);
        *ret_field = driver(&train, evaluate, weights, pixels);
    }
    sn_supernet_free(net);
    sn_compute_free(compute);
    return rc;
}
