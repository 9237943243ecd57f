/* sn_predictor - predicts accuracies of architectures that nobody measured,
 * from those that somebody did, by the one-hot encoding of sn_arch_one_hot.
 *
 * Two kinds: ridge regression (ridge.h) and an ensemble of small neural
 * networks (mlp.h). Both are judged out of fold (5 folds, drawn by the seed);
 * the better is fitted on everything. Accuracies are fractions 0-1; predictions
 * are not clipped. Immutable once made; thread-safe after that.
 */
#ifndef SN_PREDICTOR_H
#define SN_PREDICTOR_H

#include "engine/search/quality.h"
#include "engine/space/space.h"

enum { SN_PREDICTOR_MIN = 10 };

struct sn_predictor; /* opaque */

struct sn_predictor_params {
    const struct sn_space *space; /* borrowed for the predictor's life */
    const struct sn_arch *arch;
    const double *accuracy;
    const uint32_t *band; /* inside which the order decides; NULL: one band */
    uint32_t n;           /* >= SN_PREDICTOR_MIN, SN_ERR_RANGE below */
    uint64_t seed;
    enum sn_predictor_choice choice;
};
/* Fits on what was measured. For each of it: ret_out_of_fold, the prediction of
 * a model that has not seen it, and ret_deviation, the SD of the error that
 * this was to be expected with (both room for n, may be NULL). ret owned by the
 * caller. 150 rows of 120 numbers take under a second. */
enum sn_err sn_predictor_fit(const struct sn_predictor_params *params,
                             struct sn_predictor **ret, double *ret_out_of_fold,
                             double *ret_deviation,
                             struct sn_contest *ret_contest,
                             struct sn_error *err);
void sn_predictor_free(struct sn_predictor *predictor); /* NULL is fine */

/* About a tenth of a microsecond for ridge, which sums the weights of the
 * active choices; some microseconds for the MLP. */
double sn_predictor_score(const struct sn_predictor *predictor,
                          const struct sn_arch *arch);
enum sn_predictor_kind sn_predictor_kind(const struct sn_predictor *predictor);

/* The model as numbers, for checkpoints. Of a ridge: the intercept, a weight
 * for every place of the encoding, the penalty's strength. Predictions of the
 * copy are the same to the bit. */
size_t sn_predictor_size(const struct sn_predictor *predictor);
size_t sn_predictor_numbers(const struct sn_space *space,
                            enum sn_predictor_kind kind);
void sn_predictor_get(const struct sn_predictor *predictor, double *ret);
enum sn_err sn_predictor_from(const struct sn_space *space,
                              enum sn_predictor_kind kind,
                              const double *numbers, size_t n,
                              struct sn_predictor **ret, struct sn_error *err);

#endif
