/* The loss: softmax cross-entropy with smoothed labels and distillation.
 *
 * Both terms are cross-entropies against the same log-softmax, so they are one
 * against the mixed target  t = label_weight * smoothed + kd_weight * teacher:
 *
 *     loss = -sum t * log p      dlogits = p * sum(t) - t
 *
 * In double: a shard has few logits, and what they decide is everything.
 */
#include <math.h>
#include <string.h>

#include "engine/compute/context.h"

struct softmax {
    double top, log_sum; /* log p = x - top - log_sum */
};

static struct softmax softmax_of(const float *x, int classes)
{
    struct softmax s = {.top = x[0]};
    for (int i = 1; i < classes; i++)
        s.top = x[i] > s.top ? x[i] : s.top;
    double sum = 0;
    for (int i = 0; i < classes; i++)
        sum += exp(x[i] - s.top);
    s.log_sum = log(sum);
    return s;
}

static int argmax(const float *x, int classes)
{
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* One image; returns its loss. */
static double image_loss(const struct sn_loss *s, const float *x, int label,
                         const float *teacher, float *dx)
{
    const struct softmax own = softmax_of(x, s->classes);
    struct softmax other = {0};
    if (teacher)
        other = softmax_of(teacher, s->classes);
    const double total = s->label_weight + (teacher ? s->kd_weight : 0);
    const double low = s->label_weight * (double)s->smoothing / s->classes;
    const double high = s->label_weight * (1 - (double)s->smoothing);
    double loss = 0;
    for (int i = 0; i < s->classes; i++) {
        double log_p = x[i] - own.top - own.log_sum;
        double target = low + (i == label ? high : 0);
        if (teacher)
            target +=
                s->kd_weight * exp(teacher[i] - other.top - other.log_sum);
        loss -= target * log_p;
        if (dx)
            dx[i] = (float)((exp(log_p) * total - target) * s->grad_scale);
    }
    return loss;
}

void sn_loss_softmax(struct sn_cx *cx, const struct sn_loss *s,
                     const float *logits, const int32_t *labels,
                     const float *teacher_logits, float *dlogits,
                     double *ret_loss, uint32_t *ret_correct)
{
    const int cp = sn_compute_padded(cx->compute, s->classes);
    const bool distil = teacher_logits && s->kd_weight != 0;
    double loss = 0;
    uint32_t correct = 0;
    for (int n = 0; n < s->n; n++) {
        ptrdiff_t at = (ptrdiff_t)n * cp;
        float *dx = dlogits ? dlogits + at : NULL;
        loss += image_loss(s, logits + at, labels[n],
                           distil ? teacher_logits + at : NULL, dx);
        correct += argmax(logits + at, s->classes) == labels[n];
        if (dx)
            memset(dx + s->classes, 0, sizeof(float) * (cp - s->classes));
    }
    *ret_loss = loss;
    *ret_correct = correct;
}
