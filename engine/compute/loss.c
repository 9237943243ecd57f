/* The loss: softmax cross-entropy with smoothed labels and distillation.
 *
 * Both terms are cross-entropies against the same log-softmax, so they are one
 * against the mixed target  t = label_weight * smoothed + kd_weight * teacher:
 *
 *     loss = -sum t * log p      dlogits = p * sum(t) - t
 *
 * The alpha-divergences of the student q from the teacher p, r = p / q:
 *
 *     alpha  1:  sum p * log r                       w = p
 *     alpha -1:  1/2 sum q * (min(1/r, clip) - 1)    w = q * (1/2 - min(1/r,
 * clip))
 *
 *     dlogits = q * sum(w) - w
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

/* The larger divergence of one image, for kd_weight 1; adds its gradient. */
static double alpha_loss(const struct sn_loss *s, const float *x,
                         const float *teacher, float *dx)
{
    const struct softmax student = softmax_of(x, s->classes);
    const struct softmax other = softmax_of(teacher, s->classes);
    const double clip = s->alpha_clip;
    double divergence[2] = {0, 0}, weights[2] = {0, 0}; /* alpha 1, -1 */
    for (int i = 0; i < s->classes; i++) {
        double log_q = x[i] - student.top - student.log_sum;
        double log_p = teacher[i] - other.top - other.log_sum;
        double inverse = fmin(exp(log_q - log_p), clip);
        divergence[0] += exp(log_p) * (log_p - log_q);
        divergence[1] += 0.5 * exp(log_q) * (inverse - 1);
        weights[0] += exp(log_p);
        weights[1] += exp(log_q) * (0.5 - inverse);
    }
    const int k = divergence[1] > divergence[0];
    for (int i = 0; dx != NULL && i < s->classes; i++) {
        double log_q = x[i] - student.top - student.log_sum;
        double log_p = teacher[i] - other.top - other.log_sum;
        double q = exp(log_q);
        double w =
            k == 0 ? exp(log_p) : q * (0.5 - fmin(exp(log_q - log_p), clip));
        dx[i] += (float)((double)s->kd_weight * (double)s->grad_scale *
                         (q * weights[k] - w));
    }
    return divergence[k];
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
    const bool alpha = distil && s->alpha_clip > 0;
    double loss = 0;
    uint32_t correct = 0;
    for (int n = 0; n < s->n; n++) {
        ptrdiff_t at = (ptrdiff_t)n * cp;
        float *dx = dlogits ? dlogits + at : NULL;
        loss += image_loss(s, logits + at, labels[n],
                           distil && !alpha ? teacher_logits + at : NULL, dx);
        if (alpha)
            loss += (double)s->kd_weight *
                    alpha_loss(s, logits + at, teacher_logits + at, dx);
        correct += argmax(logits + at, s->classes) == labels[n];
        if (dx)
            memset(dx + s->classes, 0, sizeof(float) * (cp - s->classes));
    }
    *ret_loss = loss;
    *ret_correct = correct;
}
