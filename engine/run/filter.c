#include "engine/run/filter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/budget.h"
#include "engine/search/predictor.h"

/* A sub-space by default is small beside what the filter scores. */
static const double most_subspace = SN_FILTER_DRAWS / 10.0;

double sn_filter_open_count(const struct sn_spec *s,
                            const struct sn_space *space)
{
    return sn_space_count(space, SN_COUPLING_NONE) - s->sparsenas.veto.n;
}

static enum sn_err resolve_size(struct sn_spec *s, const struct sn_space *space,
                                struct sn_error *err)
{
    double count = sn_filter_open_count(s, space);
    if (s->sparsenas.subspace_size == 0) {
        double size = 7 * sn_space_count(space, SN_COUPLING_COMPOFA);
        if (size > count / 2)
            size = floor(count / 2);
        if (size > most_subspace) /* where the coupling leaves much free */
            size = most_subspace;
        s->sparsenas.subspace_size = (int32_t)(size < 2 ? 2 : size);
    }
    double most = count < SN_FILTER_DRAWS ? count : SN_FILTER_DRAWS;
    if (s->sparsenas.subspace_size > most)
        return sn_error_at(err, SN_ERR_RANGE, "/sparsenas/subspace_size",
                           "%d architectures: the filter chooses from %.0f of "
                           "space %s",
                           s->sparsenas.subspace_size, most, space->name);
    if (s->sparsenas.subspace_size < 2)
        return sn_error_at(err, SN_ERR_RANGE, "/sparsenas/subspace_size",
                           "the largest and the smallest always stay: at least "
                           "2");
    return SN_OK;
}

static enum sn_err check_filter(const struct sn_spec *s, struct sn_error *err)
{
    if (s->sparsenas.keep_fraction > 0 && s->sparsenas.subspace_size > 0)
        return sn_error_at(err, SN_ERR_INVALID, "/sparsenas/keep_fraction",
                           "contradicts subspace_size: the sub-space is either "
                           "%d architectures or a share of what is scored",
                           s->sparsenas.subspace_size);
    if (s->sparsenas.keep_fraction > 0 && s->sparsenas.filter == SN_KEEP_NONE)
        return sn_error_at(err, SN_ERR_INVALID, "/sparsenas/keep_fraction",
                           "contradicts filter none, which keeps all");
    if (s->sparsenas.filter == SN_KEEP_RANDOM && s->supernet[0] != '\0')
        return sn_error_at(err, SN_ERR_INVALID, "/sparsenas/filter",
                           "nothing is trained in a random sub-space of a "
                           "supernet: predicted or none is possible");
    return SN_OK;
}

static enum sn_err check_vetoed(const struct sn_spec *s,
                                const struct sn_space *space, int32_t i,
                                struct sn_error *err)
{
    const struct sn_arch_list *list = &s->sparsenas.veto;
    struct sn_arch arch, end;
    struct sn_error why = {0};
    char pointer[sizeof why.pointer];
    const char *wrong = NULL;

    snprintf(pointer, sizeof pointer, "/sparsenas/veto/%d", i);
    if (sn_arch_decode(space, list->id[i], &arch, &why) != SN_OK)
        return sn_error_at(err, SN_ERR_INVALID, pointer, "%s", why.message);
    sn_arch_largest(space, &end);
    if (sn_arch_equal(&arch, &end))
        wrong = "the largest architecture always stays";
    sn_arch_smallest(space, &end);
    if (sn_arch_equal(&arch, &end))
        wrong = "the smallest architecture always stays";
    for (int32_t j = 0; j < i; j++)
        if (strcmp(list->id[j], list->id[i]) == 0)
            wrong = "is in the list twice";
    return wrong == NULL
               ? SN_OK
               : sn_error_at(err, SN_ERR_INVALID, pointer, "%s", wrong);
}

/* The last round probes inside what the one before it kept. */
static enum sn_err check_rounds(const struct sn_spec *s,
                                const struct sn_space *space,
                                struct sn_error *err)
{
    int before = s->sparsenas.rounds - 1;
    if (before < 1 || s->sparsenas.filter == SN_KEEP_NONE)
        return SN_OK;
    double left = ldexp(s->sparsenas.subspace_size, 1 - before);
    if (s->sparsenas.keep_fraction > 0)
        left = fmin(sn_filter_open_count(s, space), SN_FILTER_DRAWS) *
               pow(s->sparsenas.keep_fraction, before);
    if (left >= SN_PREDICTOR_MIN)
        return SN_OK;
    return sn_error_at(err, SN_ERR_RANGE, "/sparsenas/rounds",
                       "%d rounds leave %.0f architectures to probe in the "
                       "last: at least %d are needed",
                       s->sparsenas.rounds, left, (int)SN_PREDICTOR_MIN);
}

enum sn_err sn_filter_resolve(struct sn_spec *s, const struct sn_space *space,
                              struct sn_error *err)
{
    enum sn_err rc = check_filter(s, err);
    for (int32_t i = 0; i < s->sparsenas.veto.n && rc == SN_OK; i++)
        rc = check_vetoed(s, space, i, err);
    if (rc == SN_OK && s->sparsenas.keep_fraction == 0)
        rc = resolve_size(s, space, err);
    return rc != SN_OK ? rc : check_rounds(s, space, err);
}

uint32_t sn_filter_vetoed(const struct sn_spec *spec,
                          const struct sn_space *space,
                          struct sn_arch ret[SN_MAX_VETO])
{
    const struct sn_arch_list *list = &spec->sparsenas.veto;
    uint32_t n = 0;
    for (int32_t i = 0; i < list->n; i++)
        n += sn_arch_decode(space, list->id[i], &ret[n], NULL) == SN_OK;
    return n;
}
