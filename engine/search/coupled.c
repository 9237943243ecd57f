#include "engine/search/coupled.h"

#include <stdlib.h>
#include <string.h>

#include "engine/search/archset.h"

/* Draws for each that is wanted, before it is content with fewer. */
enum { MAX_TRIES = 20 };

static void put_all(const struct sn_space *space, uint32_t count,
                    struct sn_archset *set)
{
    struct sn_arch arch;
    for (uint32_t i = 0; i < count; i++) {
        sn_arch_coupled(space, i, &arch);
        for (int r = 0; r < space->n_resolutions; r++) {
            arch.resolution = space->resolutions[r];
            sn_archset_add(set, &arch);
        }
    }
}

static void put_some(const struct sn_space *space, bool elastic_kernels,
                     uint32_t most, uint64_t seed, struct sn_archset *set)
{
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_COUPLED, 0);
    struct sn_limits all;
    uint32_t n = 0;
    sn_limits_all(space, &all);
    for (uint64_t i = 0; n < most && i < (uint64_t)MAX_TRIES * most; i++) {
        struct sn_arch path, arch;
        sn_arch_sample(space, &all, &rng, &path);
        arch = path;
        sn_arch_couple(space, &arch);
        if (elastic_kernels)
            memcpy(arch.kernel, path.kernel, sizeof path.kernel);
        n += sn_archset_add(set, &arch);
    }
}

enum sn_err sn_coupled_subspace(const struct sn_space *space,
                                bool elastic_kernels, uint32_t most,
                                uint64_t seed, struct sn_subspace **ret,
                                struct sn_error *err)
{
    const double count = sn_space_count(space, SN_COUPLING_COMPOFA);
    const bool whole = !elastic_kernels && count * space->n_resolutions <= most;
    struct sn_archset *set = NULL;
    enum sn_err rc = sn_archset_new(most, &set, err);
    if (rc != SN_OK)
        return rc;
    if (whole)
        put_all(space, (uint32_t)count, set);
    else
        put_some(space, elastic_kernels, most, seed, set);
    const uint32_t n = sn_archset_count(set);
    struct sn_arch *arch = sn_archset_take(set);
    double *score = calloc(n + 1, sizeof score[0]);
    if (score == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for %u architectures",
                          n);
    else
        rc = sn_subspace_from(space, arch, score, n, n, NULL, 0, ret, err);
    free(score);
    free(arch);
    return rc;
}
