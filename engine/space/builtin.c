/* The built-in spaces: data alone; the ResNets are in resnet_spaces.c. */
#include "engine/space/resnet.h"

#include <string.h>

/* Initialisers of the lists that the tables below share. clang-format would
 * give every brace its line. */
/* clang-format off */
#define DEPTH_1 {1, {1}}
#define DEPTH_123 {3, {1, 2, 3}}
#define DEPTH_1234 {4, {1, 2, 3, 4}}
#define DEPTH_234 {3, {2, 3, 4}}
#define KERNEL_35 {2, {3, 5}}
#define KERNEL_357 {3, {3, 5, 7}}
#define EXPAND_12346 {5, {1, 2, 3, 4, 6}}
#define EXPAND_234 {3, {2, 3, 4}}
#define EXPAND_346 {3, {3, 4, 6}}
/* Depth forces expand, the kernel is the stage's. */
#define COUPLED_1246(kernel) {{1, 2, 4, 6}, kernel}
#define COUPLED_234(kernel) {{2, 3, 4}, kernel}
#define COUPLED_346(kernel) {{3, 4, 6}, kernel}
/* The resolutions of Once-for-All, in steps of 4. */
#define RESOLUTIONS_128_TO_224                                    \
    {128, 132, 136, 140, 144, 148, 152, 156, 160, 164, 168, 172, 176, \
     180, 184, 188, 192, 196, 200, 204, 208, 212, 216, 220, 224}

/* MobileNetV3's stages (width, stride, activation, SE) by width; Once-for-All's
 * choices in each. */
#define STAGE_346(width, stride, act, se, kernel) \
    {width, stride, act, se, DEPTH_234, KERNEL_357, EXPAND_346, \
     COUPLED_346(kernel)}
#define STAGE_234(width, stride, act, se, kernel) \
    {width, stride, act, se, DEPTH_123, KERNEL_35, EXPAND_234, \
     COUPLED_234(kernel)}
#define STAGE_12346(width, stride, act, se, kernel) \
    {width, stride, act, se, DEPTH_1234, KERNEL_357, EXPAND_12346, \
     COUPLED_1246(kernel)}
/* clang-format on */

static const struct sn_space builtin[] = {
    {
        .name = "mbv3-tiny",
        .resolution = 28,
        .n_resolutions = 1,
        .resolutions = {28},
        .bn_eps = 1e-5f,
        .stem_width = 16,
        .stem_stride = 2,
        .stem_act = SN_ACT_HSWISH,
        .first_width = 16,
        .first_stride = 1,
        .first_act = SN_ACT_RELU,
        .n_stages = 5,
        .stage = {STAGE_234(16, 2, SN_ACT_RELU, false, 3),
                  STAGE_234(16, 1, SN_ACT_RELU, true, 5),
                  STAGE_234(24, 1, SN_ACT_HSWISH, false, 3),
                  STAGE_234(32, 2, SN_ACT_HSWISH, true, 3),
                  STAGE_234(48, 1, SN_ACT_HSWISH, true, 5)},
        .head_width = 128,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 128,
    },
    {
        /* Small images in colour; its ends are a factor of 25 apart, so that
         * architectures differ by more than the noise of measuring them. */
        .name = "mbv3-mid",
        .resolution = 32,
        .n_resolutions = 1,
        .resolutions = {32},
        .bn_eps = 1e-5f,
        .stem_width = 16,
        .stem_stride = 2,
        .stem_act = SN_ACT_HSWISH,
        .first_width = 16,
        .first_stride = 1,
        .first_act = SN_ACT_RELU,
        .n_stages = 5,
        .stage = {STAGE_12346(8, 1, SN_ACT_RELU, false, 3),
                  STAGE_12346(16, 2, SN_ACT_RELU, true, 5),
                  STAGE_12346(24, 1, SN_ACT_HSWISH, false, 3),
                  STAGE_12346(40, 2, SN_ACT_HSWISH, true, 3),
                  STAGE_12346(64, 1, SN_ACT_HSWISH, true, 5)},
        .head_width = 256,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 256,
    },
    {
        .name = "mbv3-cifar",
        .resolution = 32,
        .n_resolutions = 1,
        .resolutions = {32},
        .bn_eps = 1e-5f,
        .stem_width = 8,
        .stem_stride = 1,
        .stem_act = SN_ACT_HSWISH,
        .first_width = 8,
        .first_stride = 1,
        .first_act = SN_ACT_RELU,
        .n_stages = 5,
        .stage = {STAGE_346(16, 1, SN_ACT_RELU, false, 3),
                  STAGE_346(24, 2, SN_ACT_RELU, true, 5),
                  STAGE_346(40, 2, SN_ACT_HSWISH, false, 3),
                  STAGE_346(56, 1, SN_ACT_HSWISH, true, 3),
                  STAGE_346(80, 2, SN_ACT_HSWISH, true, 5)},
        .head_width = 480,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 640,
    },
    {
        .name = "ofa-mbv3-w1.0",
        .resolution = 224,
        .n_resolutions = 25,
        .resolutions = RESOLUTIONS_128_TO_224,
        .bn_eps = 1e-5f,
        .stem_width = 16,
        .stem_stride = 2,
        .stem_act = SN_ACT_HSWISH,
        .first_width = 16,
        .first_stride = 1,
        .first_act = SN_ACT_RELU,
        .n_stages = 5,
        .stage = {STAGE_346(24, 2, SN_ACT_RELU, false, 3),
                  STAGE_346(40, 2, SN_ACT_RELU, true, 5),
                  STAGE_346(80, 2, SN_ACT_HSWISH, false, 3),
                  STAGE_346(112, 1, SN_ACT_HSWISH, true, 3),
                  STAGE_346(160, 2, SN_ACT_HSWISH, true, 5)},
        .head_width = 960,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 1280,
    },
    {
        .name = "ofa-mbv3-w1.2",
        .resolution = 224,
        .n_resolutions = 25,
        .resolutions = RESOLUTIONS_128_TO_224,
        .bn_eps = 1e-5f,
        .stem_width = 24,
        .stem_stride = 2,
        .stem_act = SN_ACT_HSWISH,
        .first_width = 24,
        .first_stride = 1,
        .first_act = SN_ACT_RELU,
        .n_stages = 5,
        .stage = {STAGE_346(32, 2, SN_ACT_RELU, false, 3),
                  STAGE_346(48, 2, SN_ACT_RELU, true, 5),
                  STAGE_346(96, 2, SN_ACT_HSWISH, false, 3),
                  STAGE_346(136, 1, SN_ACT_HSWISH, true, 3),
                  STAGE_346(192, 2, SN_ACT_HSWISH, true, 5)},
        .head_width = 1152,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 1536,
    },
    {
        /* ProxylessNAS at 1.3 times its width, MobileNetV2's blocks; the last
         * stage is one block; its published BN has the larger epsilon. */
        .name = "ofa-proxyless",
        .resolution = 224,
        .n_resolutions = 25,
        .resolutions = RESOLUTIONS_128_TO_224,
        .bn_eps = 1e-3f,
        .stem_width = 40,
        .stem_stride = 2,
        .stem_act = SN_ACT_RELU6,
        .first_width = 24,
        .first_stride = 1,
        .first_act = SN_ACT_RELU6,
        .n_stages = 6,
        .stage = {STAGE_346(32, 2, SN_ACT_RELU6, false, 3),
                  STAGE_346(56, 2, SN_ACT_RELU6, false, 5),
                  STAGE_346(104, 2, SN_ACT_RELU6, false, 3),
                  STAGE_346(128, 1, SN_ACT_RELU6, false, 3),
                  STAGE_346(248, 2, SN_ACT_RELU6, false, 5),
                  {416,
                   1,
                   SN_ACT_RELU6,
                   false,
                   DEPTH_1,
                   KERNEL_357,
                   EXPAND_346,
                   {{6}, 3}}},
        .head_width = 1664,
        .head_act = SN_ACT_RELU6,
    },
};

const struct sn_space *sn_space_builtin(size_t i)
{
    enum { N = sizeof builtin / sizeof builtin[0] };
    return i < N ? &builtin[i] : sn_resnet_builtin(i - N);
}

const struct sn_space *sn_space_find(const char *name)
{
    for (size_t i = 0; name != NULL && sn_space_builtin(i) != NULL; i++)
        if (strcmp(sn_space_builtin(i)->name, name) == 0)
            return sn_space_builtin(i);
    return NULL;
}
