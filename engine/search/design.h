/* sn_design - measured architectures as numbers, with the folds that keep a
 * model from being asked about what it has seen.
 */
#ifndef SN_DESIGN_H
#define SN_DESIGN_H

#include "engine/space/space.h"

enum { SN_DESIGN_FOLDS = 5 };

struct sn_design {
    size_t n, size;  /* rows; numbers of an encoding */
    float *x;        /* [n][size], of sn_arch_one_hot */
    const double *y; /* [n], borrowed */
    uint32_t *fold;  /* [n] */
};

/* Folds of even size, drawn by the seed. Leaves nothing behind when it fails.
 */
enum sn_err sn_design_init(struct sn_design *design,
                           const struct sn_space *space,
                           const struct sn_arch *arch, const double *y,
                           uint32_t n, uint64_t seed, struct sn_error *err);
void sn_design_close(struct sn_design *design);

#endif
