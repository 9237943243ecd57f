/* sn_stats - small statistics that answers carry: intervals of proportions.
 *
 * Pure; any thread. Wilson's score interval: E. B. Wilson, JASA 22 (1927).
 */
#ifndef SN_STATS_H
#define SN_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct json_t;

/* The 95% interval of a proportion; n > 0. */
void sn_stats_wilson(double correct, double n, double *ret_lo, double *ret_hi);

/* [lo, hi], or null when one is not known. Owned reference. */
struct json_t *sn_json_interval(double lo, double hi);
/* Of an accuracy by its counts; null of one that was chosen by (`selected`),
 * which is biased, and without counts. Owned reference. */
struct json_t *sn_json_accuracy_ci(int64_t correct, int64_t n, bool selected);
/* {"value", "ci": [lo, hi], "images"}. Owned reference. */
struct json_t *sn_json_proportion(int64_t correct, int64_t n);

#endif
