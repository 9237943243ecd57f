/* The built-in spaces of the ResNet family. */
#include "engine/space/resnet.h"

/* Initialisers of lists. */
#define DEPTH_123   \
    {               \
        3,          \
        {           \
            1, 2, 3 \
        }           \
    }
#define DEPTH_234   \
    {               \
        3,          \
        {           \
            2, 3, 4 \
        }           \
    }
#define DEPTH_456   \
    {               \
        3,          \
        {           \
            4, 5, 6 \
        }           \
    }
#define KERNEL_3 \
    {            \
        1,       \
        {        \
            3    \
        }        \
    }
/* Indexes + 1 of a space's three expand ratios, by depth where coupled. */
#define EXPAND_FIRST3 \
    {                 \
        3,            \
        {             \
            1, 2, 3   \
        }             \
    }
#define COUPLED_FIRST3 \
    {                  \
        {1, 2, 3}, 3   \
    }

/* stage: {width, stride, activation, SE, depth, kernel, expand, coupled, base
 * depth} */
static const struct sn_space builtin[] = {
    {
        .name = "resnet-tiny",
        .family = SN_FAMILY_RESNET,
        .resolution = 28,
        .n_resolutions = 1,
        .resolutions = {28},
        .bn_eps = 1e-5f,
        .stem_width = 32,
        .stem_stride = 1,
        .stem_act = SN_ACT_RELU,
        .n_stages = 3,
        .stage =
            {
                {64, 1, SN_ACT_RELU, false, DEPTH_123, KERNEL_3, EXPAND_FIRST3,
                 COUPLED_FIRST3, 1},
                {128, 2, SN_ACT_RELU, false, DEPTH_123, KERNEL_3, EXPAND_FIRST3,
                 COUPLED_FIRST3, 1},
                {192, 2, SN_ACT_RELU, false, DEPTH_123, KERNEL_3, EXPAND_FIRST3,
                 COUPLED_FIRST3, 1},
            },
        .n_width_ratios = 3,
        .width_ratio = {650, 800, 1000},
        .n_expand_ratios = 3,
        .expand_ratio = {200, 250, 350},
        .elastic_stem = true,
    },
    {
        /* 128 to 224 pixels; see resnet.h */
        .name = "ofa-resnet50",
        .family = SN_FAMILY_RESNET,
        .resolution = 224,
        .n_resolutions = 25,
        .resolutions = {128, 132, 136, 140, 144, 148, 152, 156, 160,
                        164, 168, 172, 176, 180, 184, 188, 192, 196,
                        200, 204, 208, 212, 216, 220, 224},
        .bn_eps = 1e-5f,
        .stem_width = 64,
        .stem_stride = 2,
        .stem_act = SN_ACT_RELU,
        .n_stages = 4,
        .stage =
            {
                {256, 1, SN_ACT_RELU, false, DEPTH_234, KERNEL_3, EXPAND_FIRST3,
                 COUPLED_FIRST3, 2},
                {512, 2, SN_ACT_RELU, false, DEPTH_234, KERNEL_3, EXPAND_FIRST3,
                 COUPLED_FIRST3, 2},
                {1024, 2, SN_ACT_RELU, false, DEPTH_456, KERNEL_3,
                 EXPAND_FIRST3, COUPLED_FIRST3, 4},
                {2048, 2, SN_ACT_RELU, false, DEPTH_234, KERNEL_3,
                 EXPAND_FIRST3, COUPLED_FIRST3, 2},
            },
        .n_width_ratios = 3,
        .width_ratio = {650, 800, 1000},
        .n_expand_ratios = 3,
        .expand_ratio = {200, 250, 350},
        .elastic_stem = true,
    },
};

const struct sn_space *sn_resnet_builtin(size_t i)
{
    return i < sizeof builtin / sizeof builtin[0] ? &builtin[i] : NULL;
}
