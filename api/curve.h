/* sn_curve - points of a curve, and the few of them that draw it well.
 *
 * Thinning is largest-triangle-three-buckets (S. Steinarsson, "Downsampling
 * time series for visual representation", University of Iceland, 2013): of each
 * stretch of points the one stays that spans the largest triangle with the one
 * kept before and the mean of the next stretch. First and last always stay.
 * Any thread.
 */
#ifndef SN_CURVE_H
#define SN_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sn_curve_point {
    int64_t step;
    double epoch, value;
};
struct sn_curve {
    struct sn_curve_point *point;
    size_t n, room;
};

/* Points by rising step; a value that is no number is left out. False when out
 * of memory. */
bool sn_curve_add(struct sn_curve *c, int64_t step, double epoch, double value);
/* Keeps at most `most` (at least 2) points. */
void sn_curve_thin(struct sn_curve *c, size_t most);
void sn_curve_close(struct sn_curve *c);

#endif
