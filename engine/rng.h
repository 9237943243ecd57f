/* sn_rng - randomness as a function of (seed, stream, step), so that any step
 * of any job can be replayed.
 *
 * A `struct sn_rng` is a cheap value: make one where it is needed, draw a few
 * numbers, forget it. Never keep one across steps. Streams (below) keep the
 * users of one seed apart. The numbers are splitmix64 of a counter (Steele,
 * Lea, Flood, OOPSLA 2014); they must never change, since stored jobs resume
 * on them. Thread-safe (no shared state).
 */
#ifndef SN_RNG_H
#define SN_RNG_H

#include <stdint.h>

enum sn_rng_stream {
    SN_STREAM_INIT = 1,        /* weight initialisation: step = tensor index */
    SN_STREAM_SPLIT = 2,       /* hold-out split: step = 0 */
    SN_STREAM_SHUFFLE = 3,     /* order of an epoch: step = epoch */
    SN_STREAM_AUGMENT = 4,     /* augmentation: step = epoch * 2^32 + image */
    SN_STREAM_PATH = 5,        /* sub-networks of a training step: step */
    SN_STREAM_PROBE = 6,       /* probe architectures: step = round */
    SN_STREAM_FIT = 7,         /* folds, bootstrap */
    SN_STREAM_FILTER = 8,      /* sample of the space that is scored */
    SN_STREAM_SEARCH = 9,      /* evolution: step = generation */
    SN_STREAM_CALIBRATE = 10,  /* images for BN re-calibration */
    SN_STREAM_DEVICE = 11,     /* architectures measured to correct estimates */
    SN_STREAM_TEST_SPLIT = 12, /* test images of a set without: step = class */
    SN_STREAM_COUPLED = 13,    /* sample of the coupled sub-space */
    SN_STREAM_SIZE = 20,       /* resolution of a training step: step */
    SN_STREAM_CACHE = 21,      /* what a full cache throws out */
    SN_STREAM_TEST = 99,       /* tests */
};

struct sn_rng {
    uint64_t state;
};

struct sn_rng sn_rng_make(uint64_t seed, enum sn_rng_stream stream,
                          uint64_t step);
uint64_t sn_rng_u64(struct sn_rng *rng);
/* Uniform in [0, n), n >= 1, without modulo bias worth naming (n << 2^32). */
uint32_t sn_rng_below(struct sn_rng *rng, uint32_t n);
/* Uniform in [0, 1). */
double sn_rng_uniform(struct sn_rng *rng);
/* Standard normal (Box-Muller, two draws each). */
double sn_rng_normal(struct sn_rng *rng);
/* Fisher-Yates: shuffles `items` in place. */
void sn_rng_shuffle(struct sn_rng *rng, uint32_t *items, uint32_t n);

#endif
