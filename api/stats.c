/* Intervals of proportions. */
#include "api/stats.h"

#include <math.h>

#include "api/json.h"

void sn_stats_wilson(double correct, double n, double *ret_lo, double *ret_hi)
{
    const double z = 1.959963984540054; /* 97.5% of the normal */
    double p = correct / n, zz = z * z;
    double centre = (p + zz / (2 * n)) / (1 + zz / n);
    double half = z * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n);
    *ret_lo = centre - half < 0 ? 0 : centre - half;
    *ret_hi = centre + half > 1 ? 1 : centre + half;
}

json_t *sn_json_interval(double lo, double hi)
{
    if (!isfinite(lo) || !isfinite(hi))
        return json_null();
    json_t *list = json_array();
    json_array_append_new(list, sn_json_number(lo));
    json_array_append_new(list, sn_json_number(hi));
    return list;
}

json_t *sn_json_accuracy_ci(int64_t correct, int64_t n, bool selected)
{
    double lo, hi;
    if (n <= 0 || correct < 0 || selected)
        return json_null();
    sn_stats_wilson((double)correct, (double)n, &lo, &hi);
    return sn_json_interval(lo, hi);
}

json_t *sn_json_proportion(int64_t correct, int64_t n)
{
    if (n <= 0 || correct < 0)
        return json_null();
    json_t *o = json_object();
    sn_json_put(o, "value", sn_json_number((double)correct / (double)n));
    sn_json_put(o, "ci", sn_json_accuracy_ci(correct, n, false));
    sn_json_put(o, "images", json_integer(n));
    return o;
}
