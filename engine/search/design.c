#include "engine/search/design.h"

#include <stdlib.h>
#include <string.h>

enum sn_err sn_design_init(struct sn_design *design,
                           const struct sn_space *space,
                           const struct sn_arch *arch, const double *y,
                           uint32_t n, uint64_t seed, struct sn_error *err)
{
    size_t p = sn_arch_encoding_size(space);
    *design = (struct sn_design){.n = n, .size = p, .y = y};
    design->x = malloc((n * p + 1) * sizeof *design->x);
    design->fold = malloc((n + 1) * sizeof *design->fold);
    if (design->x == NULL || design->fold == NULL) {
        sn_design_close(design);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the predictor");
    }
    for (uint32_t i = 0; i < n; i++) {
        sn_arch_one_hot(space, &arch[i], design->x + i * p);
        design->fold[i] = i % SN_DESIGN_FOLDS;
    }
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_FIT, 0);
    sn_rng_shuffle(&rng, design->fold, n);
    return SN_OK;
}

void sn_design_close(struct sn_design *design)
{
    free(design->x);
    free(design->fold);
    memset(design, 0, sizeof *design);
}
