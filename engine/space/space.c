/* The built-in spaces (data), what fits them, their sizes, and rounding. */
#include "engine/space/resnet.h"

#include <math.h>
#include <string.h>

/* Initialisers of the lists that the tables below share. */
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
#define KERNEL_35 \
    {             \
        2,        \
        {         \
            3, 5  \
        }         \
    }
#define KERNEL_357  \
    {               \
        3,          \
        {           \
            3, 5, 7 \
        }           \
    }
#define EXPAND_234  \
    {               \
        3,          \
        {           \
            2, 3, 4 \
        }           \
    }
#define EXPAND_346  \
    {               \
        3,          \
        {           \
            3, 4, 6 \
        }           \
    }

/* Depth forces expand, the kernel is the stage's. */
#define COUPLED_234(kernel) \
    {                       \
        {2, 3, 4}, kernel   \
    }
#define COUPLED_346(kernel) \
    {                       \
        {3, 4, 6}, kernel   \
    }

/* stage: {width, stride, activation, SE, depth, kernel, expand, coupled} */
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
        .stage =
            {
                {16, 2, SN_ACT_RELU, false, DEPTH_123, KERNEL_35, EXPAND_234,
                 COUPLED_234(3)},
                {16, 1, SN_ACT_RELU, true, DEPTH_123, KERNEL_35, EXPAND_234,
                 COUPLED_234(5)},
                {24, 1, SN_ACT_HSWISH, false, DEPTH_123, KERNEL_35, EXPAND_234,
                 COUPLED_234(3)},
                {32, 2, SN_ACT_HSWISH, true, DEPTH_123, KERNEL_35, EXPAND_234,
                 COUPLED_234(3)},
                {48, 1, SN_ACT_HSWISH, true, DEPTH_123, KERNEL_35, EXPAND_234,
                 COUPLED_234(5)},
            },
        .head_width = 128,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 128,
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
        .stage =
            {
                {16, 1, SN_ACT_RELU, false, DEPTH_234, KERNEL_357, EXPAND_346,
                 COUPLED_346(3)},
                {24, 2, SN_ACT_RELU, true, DEPTH_234, KERNEL_357, EXPAND_346,
                 COUPLED_346(5)},
                {40, 2, SN_ACT_HSWISH, false, DEPTH_234, KERNEL_357, EXPAND_346,
                 COUPLED_346(3)},
                {56, 1, SN_ACT_HSWISH, true, DEPTH_234, KERNEL_357, EXPAND_346,
                 COUPLED_346(3)},
                {80, 2, SN_ACT_HSWISH, true, DEPTH_234, KERNEL_357, EXPAND_346,
                 COUPLED_346(5)},
            },
        .head_width = 480,
        .head_act = SN_ACT_HSWISH,
        .feature_width = 640,
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

enum sn_err sn_space_check_images(const struct sn_space *space, int channels,
                                  int height, int width, struct sn_error *err)
{
    if (channels != 1 && channels != 3)
        return sn_error_set(err, SN_ERR_INVALID,
                            "space %s takes images of 1 or 3 channels, not %d",
                            space->name, channels);
    if (height == 0 && width == 0) /* of many sizes: cropped and resized */
        return SN_OK;
    int least = space->resolutions[0];
    if (height < least || width < least)
        return sn_error_set(err, SN_ERR_INVALID,
                            "space %s takes images of %d x %d pixels or more, "
                            "not %d x %d",
                            space->name, least, least, height, width);
    return SN_OK;
}

int sn_make_divisible(double v)
{
    int n = (int)floor((v + 4) / 8) * 8;
    if (n < 8)
        n = 8;
    if (n < 0.9 * v)
        n += 8;
    return n;
}

int sn_middle_channels(int in, int expand)
{
    return sn_make_divisible((double)in * expand);
}
