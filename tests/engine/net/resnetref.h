/* sn_resnetref - the ResNet family's half of sn_netref: the same contract.
 */
#ifndef SN_RESNETREF_H
#define SN_RESNETREF_H

#include "tests/engine/net/netref.h"

void sn_resnetref_forward(const struct sn_netref *r, double *ret_logits);
double sn_resnetref_backward(const struct sn_netref *r,
                             const struct sn_ref_loss *loss,
                             const int32_t *labels, const double *teacher,
                             double *ret_logits, double *gradient,
                             unsigned char *reached);

#endif
