/* sn_table - the host's block table for a space: what each distinct block costs
 * here, and from that an estimate for any architecture.
 *
 * A few architectures that together hold every distinct block are run many
 * times in turn, each part timed inside the whole network (so with the caches
 * as they are in real use). Whole random architectures are measured beside them
 * and correct the sum:
 *
 *   estimate = a + b * (stem + blocks + head)
 *
 * fitted by least squares of relative errors. Where a space has many
 * resolutions, parts are measured at three of them, and the sum at another is
 * taken from its neighbours by the number of pixels. Everything measured is a
 * row of (key, median, spread, samples); the correction is derived from the
 * rows, so a table is stored as its rows and made from them again. Keys:
 *
 *   stem/1-16/s2/28                 channels in-out, stride, input size
 *   block/16-64-24/k5/s2/se16/hswish/14/res    se0: none; res or plain
 *   head/48-128-128-10/4            channels in-head-features-classes, size
 *   arch/<id>                       a whole architecture
 *
 * A table is immutable; threads may share it.
 */
#ifndef SN_TABLE_H
#define SN_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/compute/compute.h"
#include "engine/err.h"
#include "engine/space/plan.h"
#include "engine/space/space.h"

enum { SN_TABLE_KEY_MAX = SN_ARCH_ID_MAX + 8 };

struct sn_table_row {
    char key[SN_TABLE_KEY_MAX];
    double median_ns, spread_ns; /* spread: median absolute deviation */
    uint32_t samples;
};

struct sn_table; /* opaque */

/* How much to measure. Zero fields take the defaults. */
struct sn_table_budget {
    double seconds;         /* for everything (default 3) */
    uint32_t architectures; /* random ones for the correction (default 16) */
};

/* Measures the space on this host: about budget->seconds on the calling thread,
 * which owns cx. The random architectures follow from the seed
 * (SN_STREAM_DEVICE). stop (may be NULL): SN_ERR_STOPPED. ret owned by the
 * caller; borrows space for its life. */
enum sn_err sn_table_measure(struct sn_cx *cx, const struct sn_space *space,
                             int in_channels, int classes, uint64_t seed,
                             const struct sn_table_budget *budget,
                             const atomic_bool *stop, struct sn_table **ret,
                             struct sn_error *err);
/* What measuring holds, about: networks, all there at once. */
double sn_table_bytes(const struct sn_compute *compute,
                      const struct sn_space *space, int in_channels,
                      int classes, uint64_t seed);
/* From rows (copied): SN_ERR_INVALID on a key that is not of this space, a
 * doubled key or a number that is no latency; SN_ERR_NOTFOUND if a block of the
 * space has no row. Without arch rows there is no correction. */
enum sn_err sn_table_from_rows(const struct sn_space *space, int in_channels,
                               int classes, const struct sn_table_row *rows,
                               size_t n, struct sn_table **ret,
                               struct sn_error *err);
void sn_table_free(struct sn_table *table); /* NULL is fine */
/* Sorted by key; borrowed. */
size_t sn_table_rows(const struct sn_table *table,
                     const struct sn_table_row **ret);

struct sn_table_fit {
    double intercept_ns, slope; /* a and b */
    uint32_t architectures;     /* fitted on */
    double relative_error;      /* root mean square, left-one-out */
};
void sn_table_fit(const struct sn_table *table, struct sn_table_fit *ret);

struct sn_estimate {
    double ns, low_ns, high_ns; /* 95%: ns * (1 -+ 1.96 relative_error) */
};
/* Of a checked architecture of the table's space. */
void sn_table_estimate(const struct sn_table *table, const struct sn_arch *arch,
                       struct sn_estimate *ret);

#endif
