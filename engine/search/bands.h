/* sn_bands - cost bands, and draws of architectures spread over them.
 *
 * Bands are equal factors of MACs from the smallest architecture of a space to
 * its largest, so that a cheap band is as narrow for its users as a dear one:
 *
 *   smallest |  0  |  1  |  2  |  3  |  4  | largest      (n = 5)
 *
 * A uniform draw nearly always lands in the middle bands. A tilted draw first
 * draws a tilt, then favours small or large choices by it, so that all bands
 * are met. Pure functions of (seed, round); thread-safe.
 */
#ifndef SN_BANDS_H
#define SN_BANDS_H

#include "engine/space/space.h"

enum { SN_MAX_BANDS = 64 };

struct sn_subspace; /* subspace.h */

/* What costs are computed for. */
struct sn_target {
    const struct sn_space *space; /* borrowed */
    int in_channels, classes;
};

/* Architectures that are never drawn; borrowed. */
struct sn_veto {
    const struct sn_arch *arch;
    uint32_t n;
};
bool sn_veto_holds(const struct sn_veto *veto, const struct sn_arch *arch);

struct sn_bands {
    uint32_t n;    /* 1..SN_MAX_BANDS */
    double lo, hi; /* MACs of the space's ends */
};

double sn_target_macs(const struct sn_target *target,
                      const struct sn_arch *arch);
void sn_bands_init(struct sn_bands *bands, const struct sn_target *target,
                   uint32_t n);
uint32_t sn_bands_index(const struct sn_bands *bands, double macs);
/* Lower edge of band i; i = n gives the upper edge of the last. */
double sn_bands_edge(const struct sn_bands *bands, uint32_t i);

void sn_arch_sample_tilted(const struct sn_space *space, struct sn_rng *rng,
                           struct sn_arch *ret);

struct sn_probe_params {
    struct sn_target target;
    uint32_t n;                       /* how many, >= 2 */
    uint32_t bands;                   /* 1..SN_MAX_BANDS */
    const struct sn_subspace *within; /* NULL: the whole space; borrowed */
    struct sn_veto veto;
    uint64_t seed, round;
};
/* Draws n distinct architectures, as many from each band as far as the band
 * has them; ret[0] is the largest, ret[1] the smallest of the space (also when
 * `within` is given), the rest alternates between the bands, so that a prefix
 * is stratified too. ret has room for n. SN_ERR_RANGE when there are fewer
 * than n. */
enum sn_err sn_probes_draw(const struct sn_probe_params *params,
                           struct sn_arch *ret, struct sn_error *err);

#endif
