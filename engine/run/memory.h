/* sn_memory - how far a job will make the process grow, told before it starts.
 *
 * Every part of the engine says what it comes to hold by the same layout that
 * it takes its memory by; this adds the parts up over the phases, of which the
 * largest counts:
 *
 *   data + net + base + max(prepare, training + evaluation + max(filter,
 *                                                                search))
 *
 * Buffers are made for the largest architecture, but pages count only once
 * they are written, so training counts what the heaviest of the paths that it
 * is likely to draw needs. Pure; thread-safe; takes about a millisecond.
 */
#ifndef SN_MEMORY_H
#define SN_MEMORY_H

#include "engine/engine.h"

/* Bytes, and the field of the spec that drives most of them (static text).
 * The spec must be resolved. */
enum sn_err sn_memory_forecast(const struct sn_spec *spec,
                               const struct sn_space *space,
                               const struct sn_dataset_info *data,
                               double *ret_bytes, const char **ret_field,
                               struct sn_error *err);

#endif
