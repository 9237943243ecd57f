/* sn_space - search spaces, architectures and their canonical text ids.
 *
 * A space is data: the stem, the stages and the choices of each. An
 * architecture is one sub-network: plain data too, no pointers, comparable
 * after sn_arch_normalise (everything beyond a stage's depth is zero). All
 * functions are pure and thread-safe.
 *
 * Id of the MobileNetV3 family: r32.k75-335-57-3333-53.e64-346-66-3346-43:
 * resolution; then a group a stage, a digit a block, for kernel and for expand.
 * A list of choices with a value over 9 is written by index in base 36.
 */
#ifndef SN_SPACE_H
#define SN_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/rng.h"

enum {
    SN_MAX_STAGES = 8,
    SN_MAX_DEPTH = 8,
    SN_MAX_CHOICES = 8,
    SN_MAX_BLOCKS = SN_MAX_STAGES * SN_MAX_DEPTH + 1, /* with the fixed one */
    SN_ARCH_ID_MAX = 192, /* bytes of a text id, with its NUL */
    SN_NAME_MAX = 64
};

enum sn_act { SN_ACT_NONE, SN_ACT_RELU, SN_ACT_HSWISH };

/* A sorted list of the values that a choice can take. */
struct sn_choices {
    uint8_t n;
    uint8_t value[SN_MAX_CHOICES];
};

struct sn_stage {
    uint16_t width; /* output channels */
    uint8_t stride; /* of the first block */
    enum sn_act act;
    bool se;
    struct sn_choices depth, kernel, expand;
};

enum sn_coupling {
    SN_COUPLING_NONE,
    SN_COUPLING_COMPOFA /* depth forces expand; kernels fixed by stage */
};

struct sn_space {
    char name[SN_NAME_MAX];
    uint16_t resolution; /* the image size it is made for */
    uint16_t stem_width; /* 3x3 convolution, BN, h-swish */
    uint8_t stem_stride;
    uint16_t first_width; /* fixed block: k3, expand 1, ReLU, no SE */
    uint8_t first_stride;
    uint8_t n_stages;
    struct sn_stage stage[SN_MAX_STAGES];
    uint16_t head_width;    /* 1x1, BN, h-swish, then global pool */
    uint16_t feature_width; /* 1x1 without BN or bias, h-swish, then linear */
};

struct sn_arch {
    uint16_t resolution;
    uint8_t depth[SN_MAX_STAGES];
    uint8_t kernel[SN_MAX_STAGES][SN_MAX_DEPTH]; /* 3, 5, 7 */
    uint8_t expand[SN_MAX_STAGES][SN_MAX_DEPTH];
};

/* Built-in spaces; i from 0, NULL past the end. Static storage. */
const struct sn_space *sn_space_builtin(size_t i);
const struct sn_space *sn_space_find(const char *name); /* NULL if none */

/* Whether images of height x width x channels fit the space. */
enum sn_err sn_space_check_images(const struct sn_space *space, int channels,
                                  int height, int width, struct sn_error *err);

/* How many architectures it has (exact up to 2^53). With the coupling the
 * count of the coupled sub-space (243 for the five-stage families). */
double sn_space_count(const struct sn_space *space, enum sn_coupling coupling);

/* The i-th of all architectures, i < sn_space_count(space, NONE) <= 2^53. */
void sn_arch_at(const struct sn_space *space, uint64_t i, struct sn_arch *ret);
void sn_arch_largest(const struct sn_space *space, struct sn_arch *ret);
void sn_arch_smallest(const struct sn_space *space, struct sn_arch *ret);

/* What a sampler may choose from: the progressive phases of Once-for-All
 * narrow the choices, e.g. depth {2,3} before {1,2,3}. Sets of the space's own
 * values; sn_limits_all gives everything. */
struct sn_limits {
    struct sn_choices depth[SN_MAX_STAGES];
    struct sn_choices kernel[SN_MAX_STAGES];
    struct sn_choices expand[SN_MAX_STAGES];
};
void sn_limits_all(const struct sn_space *space, struct sn_limits *ret);
/* Uniform over depths, then over each block's choices (so not uniform over
 * architectures, of which most are deep). Lists of `limits` are not empty. */
void sn_arch_sample(const struct sn_space *space,
                    const struct sn_limits *limits, struct sn_rng *rng,
                    struct sn_arch *ret);
/* Uniform over the coupled sub-space; i-th of it for i < count. */
void sn_arch_coupled(const struct sn_space *space, uint32_t i,
                     struct sn_arch *ret);
/* Each stage's depth, and each block's kernel and expand together, is drawn
 * anew with probability p; blocks that a new depth brings in always are. */
void sn_arch_mutate(const struct sn_space *space, double p, struct sn_rng *rng,
                    struct sn_arch *arch);
/* Each choice from one of the two parents, with equal odds (from the one that
 * has the block where only one has). */
void sn_arch_crossover(const struct sn_space *space, const struct sn_arch *a,
                       const struct sn_arch *b, struct sn_rng *rng,
                       struct sn_arch *ret);

void sn_arch_normalise(const struct sn_space *space, struct sn_arch *arch);
bool sn_arch_equal(const struct sn_arch *a, const struct sn_arch *b);
/* Every choice is one of the space's; everything beyond a depth is zero. */
enum sn_err sn_arch_check(const struct sn_space *space,
                          const struct sn_arch *arch, struct sn_error *err);
/* Text id: encode always succeeds on a checked architecture; decode refuses
 * everything that encode does not produce (so ids are canonical). */
void sn_arch_encode(const struct sn_space *space, const struct sn_arch *arch,
                    char ret_id[SN_ARCH_ID_MAX]);
enum sn_err sn_arch_decode(const struct sn_space *space, const char *id,
                           struct sn_arch *ret, struct sn_error *err);

/* One-hot encoding for predictors: length sn_arch_encoding_size(space); for
 * every (stage, block) kernel and expand choices, zeros beyond depth. */
size_t sn_arch_encoding_size(const struct sn_space *space);
void sn_arch_one_hot(const struct sn_space *space, const struct sn_arch *arch,
                     float *ret);

/* Once-for-All's rounding: to a multiple of 8, never below 0.9 v. */
int sn_make_divisible(double v);
/* Middle channels of a block: make_divisible(round(in * expand)). */
int sn_middle_channels(int in, int expand);

#endif
