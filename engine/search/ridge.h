/* sn_ridge - ridge regression on encoded architectures, with an intercept that
 * is not penalised.
 *
 * The strength of the penalty is chosen from a few by the squared error out of
 * fold; the model is then fitted on everything. Deterministic; thread-safe.
 */
#ifndef SN_RIDGE_H
#define SN_RIDGE_H

#include "engine/search/design.h"

/* ret_weights [1 + size]: the intercept first. ret_out_of_fold [n]: for each
 * row the prediction of a model that has not seen it. */
enum sn_err sn_ridge_fit(const struct sn_design *design, double *ret_weights,
                         double *ret_lambda, double *ret_out_of_fold,
                         struct sn_error *err);

#endif
