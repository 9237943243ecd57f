/* sn_space - search spaces, architectures and their canonical text ids.
 *
 * A space is data: the stem, the stages and the choices of each. An
 * architecture is one sub-network: plain data too, no pointers, comparable
 * after sn_arch_normalise (everything beyond a stage's depth is zero). All
 * functions are pure and thread-safe.
 *
 * Id of the mobile family: r32.k75-335-57-3333-53.e64-346-66-3346-43:
 * resolution; then a group a stage, a digit a block, for kernel and for expand.
 * A list of choices with a value over 9 is written by index in base 36.
 *
 * Two families share one struct. Mobile: inverted bottlenecks with a depthwise
 * convolution (MobileNetV3's, or MobileNetV2's with ReLU6 and no SE). ResNet:
 * bottlenecks whose width, too, is a choice; what is its alone is marked
 * [resnet] and zero elsewhere.
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
    SN_MAX_RESOLUTIONS = 64,
    SN_MAX_STRIDE_RULES = 4,
    SN_STEM_WIDTHS = 2,   /* [resnet] the stem's middle and its output */
    SN_ARCH_ID_MAX = 192, /* bytes of a text id, with its NUL */
    SN_NAME_MAX = 64
};

enum sn_family { SN_FAMILY_MOBILE, SN_FAMILY_RESNET };

enum sn_act { SN_ACT_NONE, SN_ACT_RELU, SN_ACT_HSWISH, SN_ACT_RELU6 };

/* A sorted list of the values that a choice can take. */
struct sn_choices {
    uint8_t n;
    uint8_t value[SN_MAX_CHOICES];
};

/* What depth forces in a stage's coupled architectures. */
struct sn_coupled {
    uint8_t expand[SN_MAX_CHOICES]; /* by the depth's index; 0: free */
    uint8_t kernel;                 /* of all blocks; 0: free */
};

struct sn_stage {
    uint16_t width; /* output channels; [resnet] before the width's ratio */
    uint8_t stride; /* of the first block */
    enum sn_act act;
    bool se;
    /* depth is the number of blocks. [resnet] kernel is {3}; expand holds
     * indexes + 1 into the space's expand_ratio. */
    struct sn_choices depth, kernel, expand;
    struct sn_coupled coupled;
    uint8_t base_depth; /* [resnet] ids count the blocks over it */
};

enum sn_coupling {
    SN_COUPLING_NONE,
    SN_COUPLING_COMPOFA /* the stages' `coupled`, as in CompOFA */
};

/* Other strides for small images, so that they do not shrink to one pixel. */
struct sn_stride_rule {
    uint16_t below; /* for resolutions under this one */
    uint8_t stem, first, stage[SN_MAX_STAGES];
};

struct sn_space {
    char name[SN_NAME_MAX];
    enum sn_family family;
    uint16_t resolution; /* the native one: the largest of the list */
    uint8_t n_resolutions;
    uint16_t resolutions[SN_MAX_RESOLUTIONS]; /* ascending */
    uint8_t n_stride_rules;                   /* ascending; the first that */
    struct sn_stride_rule stride_rule[SN_MAX_STRIDE_RULES]; /* holds counts */
    float bn_eps;

    uint16_t stem_width; /* 3x3 convolution, BN, activation */
    uint8_t stem_stride;
    enum sn_act stem_act;
    uint16_t first_width; /* fixed block: k3, expand 1, no SE */
    uint8_t first_stride;
    enum sn_act first_act;
    uint8_t n_stages;
    struct sn_stage stage[SN_MAX_STAGES];
    uint16_t head_width; /* 1x1, BN, activation, then global pool */
    enum sn_act head_act;
    /* 1x1 without BN or bias, head_act, then linear; 0: there is none */
    uint16_t feature_width;
    bool always_coupled; /* every architecture of the space is coupled */

    /* [resnet] choices in thousandths: every stage's and both stem widths' */
    uint8_t n_width_ratios;
    uint16_t width_ratio[SN_MAX_CHOICES];
    uint8_t n_expand_ratios;
    uint16_t expand_ratio[SN_MAX_CHOICES];
    bool elastic_stem; /* whether the stem's residual 3x3 is a choice */
};

struct sn_arch {
    uint16_t resolution;
    uint8_t depth[SN_MAX_STAGES];
    uint8_t kernel[SN_MAX_STAGES][SN_MAX_DEPTH]; /* 3, 5, 7 */
    uint8_t expand[SN_MAX_STAGES][SN_MAX_DEPTH];
    /* [resnet] indexes of width_ratio: of the stem's middle, of its output,
     * then of the stages; and whether the stem has its residual 3x3 */
    uint8_t width[SN_STEM_WIDTHS + SN_MAX_STAGES];
    uint8_t stem;
};

/* Built-in spaces; i from 0, NULL past the end. Static storage. */
const struct sn_space *sn_space_builtin(size_t i);
const struct sn_space *sn_space_find(const char *name); /* NULL if none */

/* Whether images of height x width x channels fit the space: those of its
 * smallest resolution or more, which are cropped and resized; height = width =
 * 0 is images of many sizes. */
enum sn_err sn_space_check_images(const struct sn_space *space, int channels,
                                  int height, int width, struct sn_error *err);

/* Whether everything of the space is within its bounds and can be a network:
 * choices, widths, strides against every resolution, coupling, the size of the
 * largest network. err->pointer is the field at fault, as the API names it. */
enum sn_err sn_space_check(const struct sn_space *space, struct sn_error *err);

/* How many architectures it has, over all resolutions (exact up to 2^53). With
 * the coupling the count of the coupled sub-space at one resolution (243 for
 * the five-stage families). */
double sn_space_count(const struct sn_space *space, enum sn_coupling coupling);
bool sn_space_has_resolution(const struct sn_space *space, int resolution);

/* The i-th of all architectures, i < sn_space_count(space, NONE) <= 2^53. */
void sn_arch_at(const struct sn_space *space, uint64_t i, struct sn_arch *ret);
/* At the largest and at the smallest resolution. */
void sn_arch_largest(const struct sn_space *space, struct sn_arch *ret);
void sn_arch_smallest(const struct sn_space *space, struct sn_arch *ret);

/* What a sampler may choose from: the progressive phases of Once-for-All
 * narrow the choices, e.g. depth {2,3} before {1,2,3}. Sets of the space's own
 * values; sn_limits_all gives everything. */
struct sn_limits {
    struct sn_choices depth[SN_MAX_STAGES];
    struct sn_choices kernel[SN_MAX_STAGES];
    struct sn_choices expand[SN_MAX_STAGES];
    bool widest; /* [resnet] the largest widths alone, and the whole stem */
    uint16_t resolution; /* 0: any of the space's */
};
void sn_limits_all(const struct sn_space *space, struct sn_limits *ret);
/* Uniform over depths, then over each block's choices, the widths and the
 * resolutions (so not uniform over architectures, of which most are deep).
 * Lists of `limits` are not empty. What is coupled comes before the limits. */
void sn_arch_sample(const struct sn_space *space,
                    const struct sn_limits *limits, struct sn_rng *rng,
                    struct sn_arch *ret);
/* The i-th of the coupled sub-space, i < count <= 2^53; native resolution. */
void sn_arch_coupled(const struct sn_space *space, uint64_t i,
                     struct sn_arch *ret);
/* Gives every stage what its depth forces. */
void sn_arch_couple(const struct sn_space *space, struct sn_arch *arch);
/* Each stage's depth, and each block's kernel and expand together, is drawn
 * anew with probability p; blocks that a new depth brings in always are. So are
 * each width, the stem and the resolution where they are choices. */
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
 * every (stage, block) kernel and expand choices, zeros beyond depth; then the
 * widths and the stem, where they are choices. Of several resolutions, each has
 * its 0/1, and one number in 0..1 says how large it is: few probes meet each of
 * 25 resolutions, and a line through them is most of what there is to learn. */
size_t sn_arch_encoding_size(const struct sn_space *space);
void sn_arch_one_hot(const struct sn_space *space, const struct sn_arch *arch,
                     float *ret);

/* Once-for-All's rounding: to a multiple of 8, never below 0.9 v. */
int sn_make_divisible(double v);
/* Middle channels of a block: make_divisible(round(in * expand)). */
int sn_middle_channels(int in, int expand);

#endif
