#include "engine/rng.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct sn_rng sn_rng_make(uint64_t seed, enum sn_rng_stream stream,
                          uint64_t step)
{
    uint64_t s = mix(seed + 0x9e3779b97f4a7c15u);
    s = mix(s ^ ((uint64_t)stream * 0xd1342543de82ef95u));
    s = mix(s ^ (step * 0xaf251af3b0f025b5u + 1));
    return (struct sn_rng){s};
}

uint64_t sn_rng_u64(struct sn_rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    return mix(rng->state);
}

uint32_t sn_rng_below(struct sn_rng *rng, uint32_t n)
{
    return (uint32_t)(((sn_rng_u64(rng) >> 32) * (uint64_t)n) >> 32);
}

double sn_rng_uniform(struct sn_rng *rng)
{
    return (double)(sn_rng_u64(rng) >> 11) * 0x1p-53;
}

double sn_rng_normal(struct sn_rng *rng)
{
    double u = 1.0 - sn_rng_uniform(rng); /* in (0, 1], so log is finite */
    double v = sn_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void sn_rng_shuffle(struct sn_rng *rng, uint32_t *items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = sn_rng_below(rng, i);
        uint32_t t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
