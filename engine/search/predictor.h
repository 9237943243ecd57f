/* sn_predictor - predicts accuracies of architectures that nobody measured,
 * from those that somebody did: ridge regression on the one-hot encoding of
 * sn_arch_one_hot, with an intercept that is not penalised.
 *
 * The strength of the penalty is chosen from a few by the squared error out of
 * fold (5 folds, drawn by the seed); the model is then fitted on everything.
 * Accuracies are fractions 0-1; predictions are not clipped. Immutable once
 * made; thread-safe after that.
 */
#ifndef SN_PREDICTOR_H
#define SN_PREDICTOR_H

#include "engine/space/space.h"

enum { SN_PREDICTOR_FOLDS = 5, SN_PREDICTOR_MIN = 10 };

struct sn_predictor; /* opaque */

/* Fits on n >= SN_PREDICTOR_MIN measured architectures (SN_ERR_RANGE below).
 * ret_out_of_fold (room for n, may be NULL) gets for each the prediction of a
 * model that has not seen it. ret owned by the caller. Borrows `space` for
 * life (built-in spaces are static). */
enum sn_err sn_predictor_fit(const struct sn_space *space,
                             const struct sn_arch *arch, const double *accuracy,
                             uint32_t n, uint64_t seed,
                             struct sn_predictor **ret, double *ret_out_of_fold,
                             struct sn_error *err);
void sn_predictor_free(struct sn_predictor *predictor); /* NULL is fine */

/* About a tenth of a microsecond: sums the weights of the active choices. */
double sn_predictor_score(const struct sn_predictor *predictor,
                          const struct sn_arch *arch);
const char *sn_predictor_kind(const struct sn_predictor *predictor);
double sn_predictor_lambda(const struct sn_predictor *predictor);

/* The model as numbers, for checkpoints: intercept, then a weight for every
 * place of the encoding: 1 + sn_arch_encoding_size(space). Predictions of the
 * copy are the same to the bit. */
size_t sn_predictor_size(const struct sn_predictor *predictor);
void sn_predictor_get(const struct sn_predictor *predictor, double *ret);
enum sn_err sn_predictor_from(const struct sn_space *space,
                              const double *weights, size_t n, double lambda,
                              struct sn_predictor **ret, struct sn_error *err);

#endif
