/* evaluate: final evaluations, of architectures chosen from the predictor and
 * MACs alone, so that a run repeats exactly. */
#include <stdlib.h>
#include <string.h>

#include "engine/run/job.h"
#include "engine/search/coupled.h"

struct candidate {
    uint32_t member, band;
    double score;
};

static int by_band_then_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->band != y->band)
        return x->band < y->band ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->member < y->member ? -1 : 1;
}

static bool contains(const struct sn_measured *list, uint32_t n,
                     const struct sn_arch *arch)
{
    for (uint32_t i = 0; i < n; i++)
        if (sn_arch_equal(&list[i].arch, arch))
            return true;
    return false;
}

/* Takes the best of each band in turn until there are n. `c` is sorted by band
 * and score. */
static uint32_t take_in_turn(const struct sn_job *job,
                             const struct candidate *c, uint32_t count,
                             struct sn_measured *list, uint32_t have,
                             uint32_t n)
{
    uint32_t start[SN_MAX_BANDS + 1], used[SN_MAX_BANDS] = {0};
    uint32_t bands = job->bands.n;
    bool any = true;

    for (uint32_t b = 0, i = 0; b <= bands; b++) {
        while (i < count && c[i].band < b)
            i++;
        start[b] = i;
    }
    while (have < n && any) {
        any = false;
        for (uint32_t b = 0; b < bands && have < n; b++) {
            if (start[b] + used[b] >= start[b + 1])
                continue;
            const struct sn_arch *arch =
                &job->state.subspace->arch[c[start[b] + used[b]].member];
            used[b]++;
            any = true;
            if (!contains(list, have, arch))
                list[have++].arch = *arch;
        }
    }
    return have;
}

/* From what the filter kept: the ends, then the best scores of each band. */
static enum sn_err choose_kept(struct sn_job *job, struct sn_measured *list,
                               uint32_t n, uint32_t *ret_n,
                               struct sn_error *err)
{
    const struct sn_subspace *sub = job->state.subspace;
    uint32_t have = 0;
    struct candidate *c = calloc(sub->n, sizeof c[0]);
    if (c == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluations");
    for (uint32_t i = 0; i < sub->n; i++) {
        c[i].member = i;
        c[i].score = sub->score[i];
        c[i].band = sn_bands_index(&job->bands,
                                   sn_target_macs(&job->target, &sub->arch[i]));
    }
    qsort(c, sub->n, sizeof c[0], by_band_then_score);
    sn_arch_largest(job->space, &list[have++].arch);
    sn_arch_smallest(job->space, &list[have++].arch);
    *ret_n = take_in_turn(job, c, sub->n, list, have, n);
    free(c);
    return SN_OK;
}

/* Members that a sub-space which is too large to list is searched by. */
enum { MOST_COUPLED = 4096 };

/* Nothing is searched that the strategy never trained. */
static enum sn_err keep_to_trained(struct sn_job *job, struct sn_error *err)
{
    bool coupled = false, elastic = false;
    for (int i = 0; i < job->phases.n; i++) {
        coupled |= job->phases.phase[i].draw == SN_DRAW_COUPLED;
        elastic |= job->phases.phase[i].elastic_kernels;
    }
    if (!coupled || job->state.subspace != NULL)
        return SN_OK;
    return sn_coupled_subspace(job->space, elastic, MOST_COUPLED,
                               (uint64_t)job->spec->seed, &job->state.subspace,
                               err);
}

/* Nothing was filtered, but the predictor can be trusted: of all that a filter
 * would have scored the ends and the best of each band. */
static enum sn_err choose_scored(struct sn_job *job, struct sn_measured *list,
                                 uint32_t n, struct sn_error *err)
{
    struct sn_filter_params params;
    struct sn_subspace *best = NULL;
    sn_job_filter_params(job, &params);
    params.size = n;
    enum sn_err rc = sn_subspace_filter(&params, &best, err);
    if (rc != SN_OK)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        list[i].arch = best->arch[i];
    sn_subspace_free(best);
    return SN_OK;
}

/* Without a predictor to trust: drawn over the cost bands. Draws begin with the
 * space's ends, which a sub-space need not have: nobody trained them then. */
static enum sn_err choose_spread(struct sn_job *job, struct sn_measured *list,
                                 uint32_t *n, struct sn_error *err)
{
    const struct sn_subspace *within = job->state.subspace;
    struct sn_probe_params params = {
        .target = job->target,
        .n = *n + (within != NULL ? 2 : 0),
        .bands = job->bands.n,
        .within = within,
        .veto = sn_job_veto(job),
        .seed = (uint64_t)job->spec->seed,
        .round = job->state.phase,
    };
    if (within != NULL && params.n > within->n)
        params.n = within->n;
    struct sn_arch *arch = calloc(params.n, sizeof arch[0]);
    if (arch == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluations");
    enum sn_err rc = sn_probes_draw(&params, arch, err);
    uint32_t have = 0;
    for (uint32_t i = 0; rc == SN_OK && i < params.n && have < *n; i++)
        if (within == NULL || sn_subspace_holds(within, &arch[i]))
            list[have++].arch = arch[i];
    free(arch);
    if (rc == SN_OK)
        *n = have;
    return rc;
}

static enum sn_err choose(struct sn_job *job, struct sn_measured *list,
                          uint32_t *n, struct sn_error *err)
{
    if (job->state.subspace != NULL && job->state.predictor != NULL)
        return choose_kept(job, list, *n, n, err);
    if (job->state.filter_trusted) /* and still the whole space: as asked */
        return choose_scored(job, list, *n, err);
    return choose_spread(job, list, n, err);
}

enum sn_err sn_phase_evaluate(struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    uint32_t n = (uint32_t)job->spec->search.evaluations;
    enum sn_err rc;

    if (sn_spec_is_single(job->spec))
        return sn_single_evaluate(job, err);
    struct sn_measured *list = calloc(n + 2, sizeof list[0]);
    if (list == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for evaluations");
    if ((rc = keep_to_trained(job, err)) != SN_OK)
        goto out;
    if (s->subspace != NULL && n > s->subspace->n)
        n = s->subspace->n;
    rc = choose(job, list, &n, err);
    if (rc != SN_OK)
        goto out;
    sn_job_order(job, list, n, sizeof list[0]);
    memcpy(list, s->final, s->n_final * sizeof list[0]);
    memcpy(s->final, list, n * sizeof list[0]);

    /* Not the images that the probes were chosen by. */
    struct sn_evaluate_settings settings = {
        .calibration = (uint32_t)job->spec->search.calibration,
        .split = SN_SPLIT_HOLDOUT,
        .first = (uint32_t)job->spec->sparsenas.probe_images,
        .count = (uint32_t)job->spec->search.images,
    };
    job->list_share = n / (double)(n + (uint32_t)job->spec->sparsenas.recheck);
    rc = sn_job_measure(job, &settings, SN_STAGE_FINAL, s->final, n,
                        &s->n_final, err);
    job->list_from = job->list_share;
    job->list_share = 1 - job->list_from;
    if (rc == SN_OK)
        rc = sn_job_recheck(job, &settings, err);
out:
    free(list);
    return rc;
}
