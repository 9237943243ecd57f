#include "engine/train/schedule.h"

#include <math.h>

static double cosine(const struct sn_schedule *s, uint64_t step)
{
    double span = (double)(s->steps - s->rise);
    double x = (double)(step - s->rise) / span;
    return 0.5 * s->rate * (1 + cos(3.141592653589793 * x));
}

static double cooled(const struct sn_schedule *s, uint64_t step)
{
    uint64_t fall = s->steps / 5;
    if (fall == 0 || step < s->steps - fall)
        return s->rate;
    return s->rate * (double)(s->steps - step) / (double)(fall + 1);
}

static double linear(const struct sn_schedule *s, uint64_t step)
{
    return s->rate * ((double)(s->steps - step) / (double)(s->steps - s->rise));
}

static double exponential(const struct sn_schedule *s, uint64_t step)
{
    const double least = 0.05, reached = 0.65;
    double x = (double)(step - s->rise) / (double)(s->steps - s->rise);
    return s->rate * (x < reached ? pow(least, x / reached) : least);
}

typedef double (*fall_fn)(const struct sn_schedule *s, uint64_t step);
static const fall_fn fall_table[] = {
    [SN_SCHEDULE_COSINE] = cosine,
    [SN_SCHEDULE_COOLED] = cooled,
    [SN_SCHEDULE_LINEAR] = linear,
    [SN_SCHEDULE_EXPONENTIAL] = exponential,
};

double sn_schedule_rate(const struct sn_schedule *s, uint64_t step)
{
    if (step >= s->steps)
        return 0;
    if (step < s->rise)
        return s->rate * (double)(step + 1) / (double)(s->rise + 1);
    return fall_table[s->kind](s, step);
}
