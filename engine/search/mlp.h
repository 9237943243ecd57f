/* sn_mlp - an ensemble of small neural networks on encoded architectures.
 *
 *   one-hot [size] -> 32 ReLU -> 1, five times; the mean of the five predicts,
 *   their standard deviation says how far they agree
 *
 * Each is trained on all rows at once by Adam with decoupled weight decay, on
 * the squared error of the standardised accuracy plus a pairwise logistic loss
 * of the order (Burges et al., "RankNet", ICML 2005) over random partners.
 * Where each starts and its partners are functions of (seed, fold, member): the
 * same numbers come out bit for bit. One thread; immutable once made and
 * thread-safe after that.
 */
#ifndef SN_MLP_H
#define SN_MLP_H

#include "engine/search/design.h"

/* The longest encoding that is scored. */
enum { SN_MLP_MAX_INPUTS = 2048 };

struct sn_mlp; /* opaque */

/* For each row the mean and the SD of an ensemble that has not seen it. */
enum sn_err sn_mlp_out_of_fold(const struct sn_design *design, uint64_t seed,
                               double *ret_mean, double *ret_sd,
                               struct sn_error *err);
/* On all rows. ret owned by the caller. */
enum sn_err sn_mlp_fit(const struct sn_design *design, uint64_t seed,
                       struct sn_mlp **ret, struct sn_error *err);
void sn_mlp_free(struct sn_mlp *mlp); /* NULL is fine */

/* x [size]. ret_sd may be NULL. About two microseconds. */
double sn_mlp_score(const struct sn_mlp *mlp, const float *x, double *ret_sd);

/* The ensemble as sn_mlp_numbers(size) numbers, for checkpoints. The copy
 * predicts the same to the bit. Numbers that are none: SN_ERR_CORRUPT. */
size_t sn_mlp_numbers(size_t size);
void sn_mlp_get(const struct sn_mlp *mlp, double *ret);
enum sn_err sn_mlp_from(size_t size, const double *numbers, struct sn_mlp **ret,
                        struct sn_error *err);

#endif
