/* Curves. */
#include "api/curve.h"

#include <math.h>
#include <stdlib.h>

bool sn_curve_add(struct sn_curve *c, int64_t step, double epoch, double value)
{
    if (!isfinite(value))
        return true;
    if (c->n == c->room) {
        size_t room = c->room == 0 ? 256 : 2 * c->room;
        struct sn_curve_point *grown = realloc(c->point, room * sizeof *grown);
        if (grown == NULL)
            return false;
        c->point = grown;
        c->room = room;
    }
    c->point[c->n++] = (struct sn_curve_point){step, epoch, value};
    return true;
}

/* Where stretch i of `inner` begins among the points between the ends. */
static size_t stretch(const struct sn_curve *c, size_t i, size_t inner)
{
    return 1 + (size_t)((double)i * (double)(c->n - 2) / (double)inner);
}

void sn_curve_thin(struct sn_curve *c, size_t most)
{
    if (most < 2 || c->n <= most)
        return;
    size_t inner = most - 2;
    struct sn_curve_point kept = c->point[0];
    for (size_t i = 0; i < inner; i++) {
        size_t begin = stretch(c, i, inner), end = stretch(c, i + 1, inner);
        size_t after = i + 1 < inner ? stretch(c, i + 2, inner) : c->n;
        double step = 0, value = 0, largest = -1;
        for (size_t j = end; j < after; j++) {
            step += (double)c->point[j].step / (double)(after - end);
            value += c->point[j].value / (double)(after - end);
        }
        size_t best = begin;
        for (size_t j = begin; j < end; j++) {
            double area = fabs(((double)kept.step - step) *
                                   (c->point[j].value - kept.value) -
                               ((double)kept.step - (double)c->point[j].step) *
                                   (value - kept.value));
            if (area > largest) {
                largest = area;
                best = j;
            }
        }
        kept = c->point[best];
        c->point[1 + i] = kept; /* 1 + i <= best: what follows is unread */
    }
    c->point[most - 1] = c->point[c->n - 1];
    c->n = most;
}

void sn_curve_close(struct sn_curve *c)
{
    free(c->point);
    c->point = NULL;
    c->n = c->room = 0;
}
