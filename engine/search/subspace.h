/* sn_subspace - the architectures that the early filter kept, and why.
 *
 * A large sample of the space (all of it when it is small) is scored by the
 * predictor; in every cost band the best are kept:
 *
 *   score ^      . :.:    .:          kept: above each band's threshold,
 *         |  . _.:___  __:_.  _:_     the same number from each band as far
 *         | _:. ..::  : .. .  : .     as the band has them; the space's
 *         +--band 0--band 1--band 2-> MACs   largest and smallest always
 *
 * By a share instead of a number, each band keeps that share of what it has. A
 * random filter keeps as many of each band as that, whatever their scores.
 *
 * Read-only once made, and thread-safe after that.
 */
#ifndef SN_SUBSPACE_H
#define SN_SUBSPACE_H

#include "engine/search/bands.h"
#include "engine/search/predictor.h"
#include "engine/space/space.h"

struct sn_subspace_band {
    double macs_lo, macs_hi;
    double threshold; /* the lowest score kept, ends aside; 0 if none */
    uint32_t scored, kept;
};

struct sn_subspace {
    uint32_t n;           /* members */
    struct sn_arch *arch; /* in the order of sn_arch_compare, distinct */
    double *score;        /* of each member */
    uint32_t scored;      /* architectures looked at */
    uint32_t n_bands;
    struct sn_subspace_band band[SN_MAX_BANDS];
};

struct sn_filter_params {
    struct sn_target target;
    const struct sn_predictor *predictor; /* borrowed */
    uint32_t size;   /* members wanted, exactly; >= 2. 0: by fraction */
    double fraction; /* of each band, at least one architecture */
    bool random;     /* keeps any, not the best */
    struct sn_veto veto;
    uint32_t draws; /* sample to score; the whole space when it is no larger */
    uint32_t bands; /* 1..SN_MAX_BANDS */
    const struct sn_subspace *within; /* filter an earlier result further, or
                                         NULL; borrowed */
    uint64_t seed, round;
};
/* ret owned by the caller. SN_ERR_RANGE when there are fewer than `size`. */
enum sn_err sn_subspace_filter(const struct sn_filter_params *params,
                               struct sn_subspace **ret, struct sn_error *err);

/* The same from stored members in any order (checkpoints); band figures come
 * from the caller. Duplicates or foreign architectures: SN_ERR_CORRUPT. */
enum sn_err sn_subspace_from(const struct sn_space *space,
                             const struct sn_arch *arch, const double *score,
                             uint32_t n, uint32_t scored,
                             const struct sn_subspace_band *band,
                             uint32_t n_bands, struct sn_subspace **ret,
                             struct sn_error *err);
void sn_subspace_free(struct sn_subspace *sub); /* NULL is fine */

bool sn_subspace_holds(const struct sn_subspace *sub,
                       const struct sn_arch *arch);
/* The member with the fewest choices that differ; of several the first. */
void sn_subspace_nearest(const struct sn_subspace *sub,
                         const struct sn_arch *arch, struct sn_arch *ret);
/* A member, uniformly. */
void sn_subspace_sample(const struct sn_subspace *sub, struct sn_rng *rng,
                        struct sn_arch *ret);
/* A total order of architectures: < 0, 0 or > 0. */
int sn_arch_compare(const struct sn_arch *a, const struct sn_arch *b);

#endif
