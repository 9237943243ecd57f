/* sn_precision - which arithmetic a job trains in. Pure, but that it asks what
 * the CPU has. */
#ifndef SN_PRECISION_H
#define SN_PRECISION_H

#include "engine/compute/compute.h"
#include "engine/engine.h"

/* `auto` becomes bf16 where the space is validated for it (docs/precision.md)
 * and this CPU has it, else f32. SN_ERR_UNSUPPORTED at /train/precision when
 * bf16 is asked for and cannot be: other CPUs, and residual networks, whose
 * passes have f32 alone. */
enum sn_err sn_precision_resolve(struct sn_spec *spec,
                                 const struct sn_space *space,
                                 struct sn_error *err);
/* How the tensors of a resolved spec's training are stored. */
enum sn_store sn_precision_store(const struct sn_spec *spec);

#endif
