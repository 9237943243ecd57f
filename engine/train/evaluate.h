/* sn_evaluator - accuracy of architectures with the present weights: bind,
 * re-calibrate BN, fold, count.
 *
 * An architecture is never evaluated with the supernet's statistics. A list of
 * architectures is spread over the workers, one task each; results do not
 * depend on how many there are. Calibration and counting take images at the
 * architecture's own resolution, as evaluations take them (not augmented). The
 * split is an argument: hold-out images for choosing, test images for the final
 * report only.
 */
#ifndef SN_EVALUATE_H
#define SN_EVALUATE_H

#include "engine/data/data.h"
#include "engine/net/net.h"
#include "engine/net/running.h"
#include "engine/net/static.h"

struct sn_evaluator;

/* Borrows all; memory for one architecture a worker. */
enum sn_err sn_evaluator_new(struct sn_compute *compute, struct sn_pool *pool,
                             const struct sn_supernet *net,
                             const struct sn_view *view, uint64_t seed,
                             struct sn_evaluator **ret, struct sn_error *err);
void sn_evaluator_free(struct sn_evaluator *evaluator);

/* What an evaluator for so many workers comes to hold, once it has met the
 * largest. */
size_t sn_evaluator_bytes(const struct sn_compute *compute,
                          const struct sn_supernet *net, int workers);

struct sn_evaluate_settings {
    uint32_t calibration; /* training images, the same for all */
    enum sn_split split;
    uint32_t first, count; /* range of the split's images */
};

struct sn_evaluate_result {
    uint32_t images, correct;
    uint32_t half_images[2], half_correct[2]; /* even and odd images */
    double macs;                              /* spent, calibration included */
};

/* ret has n entries. */
enum sn_err sn_evaluate(struct sn_evaluator *evaluator,
                        const struct sn_evaluate_settings *settings,
                        const struct sn_arch *archs, uint32_t n,
                        struct sn_evaluate_result *ret, struct sn_error *err);

/* The folded network itself, owned by the caller: for latency and files. */
enum sn_err sn_evaluator_extract(struct sn_evaluator *evaluator,
                                 const struct sn_arch *arch,
                                 uint32_t calibration, struct sn_static **ret,
                                 struct sn_error *err);
/* Its BN statistics, to be held by the supernet itself. */
enum sn_err sn_evaluator_statistics(struct sn_evaluator *evaluator,
                                    const struct sn_arch *arch,
                                    uint32_t calibration,
                                    struct sn_running *ret,
                                    struct sn_error *err);

#endif
