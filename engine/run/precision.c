#include "engine/run/precision.h"

#include <string.h>

/* Spaces for which bf16 trains as well as f32, and faster: the 95% interval of
 * the paired difference in accuracy lies inside +-0.3 points. The records are
 * in docs/precision.md; another space comes in with its own. */
static const char *const validated[] = {"mbv3-tiny", NULL};

static bool is_validated(const char *space)
{
    for (const char *const *v = validated; *v != NULL; v++)
        if (strcmp(*v, space) == 0)
            return true;
    return false;
}

enum sn_err sn_precision_resolve(struct sn_spec *spec,
                                 const struct sn_space *space,
                                 struct sn_error *err)
{
    const bool has = sn_compute_cpu_stores(SN_STORE_BF16);
    switch ((enum sn_precision)spec->train.precision) {
    case SN_PRECISION_AUTO:
        spec->train.precision = has && is_validated(space->name)
                                    ? SN_PRECISION_BF16
                                    : SN_PRECISION_F32;
        return SN_OK;
    case SN_PRECISION_BF16:
        if (!has)
            return sn_error_at(err, SN_ERR_UNSUPPORTED, "/train/precision",
                               "bf16 takes a CPU with AVX512-BF16; this one, "
                               "as it is used, has none: f32 or auto");
        if (space->family == SN_FAMILY_RESNET)
            return sn_error_at(err, SN_ERR_UNSUPPORTED, "/train/precision",
                               "residual networks train in f32 alone");
        return SN_OK;
    case SN_PRECISION_F32:
        break;
    }
    return SN_OK;
}

enum sn_store sn_precision_store(const struct sn_spec *spec)
{
    return spec->train.precision == SN_PRECISION_BF16 ? SN_STORE_BF16
                                                      : SN_STORE_F32;
}
