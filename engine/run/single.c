#include "engine/run/single.h"

bool sn_spec_is_single(const struct sn_spec *spec)
{
    return spec->strategy == SN_STRATEGY_FINETUNE ||
           spec->strategy == SN_STRATEGY_SCRATCH;
}

bool sn_spec_trains(const struct sn_spec *spec)
{
    return spec->supernet[0] == '\0' || spec->strategy == SN_STRATEGY_FINETUNE;
}

/* A job of many architectures. */
static enum sn_err check_search(const struct sn_spec *spec,
                                struct sn_error *err)
{
    const char *field = spec->architecture[0] != '\0' ? "/architecture"
                        : spec->parent[0] != '\0'     ? "/parent"
                                                      : NULL;
    if (field != NULL)
        return sn_error_at(err, SN_ERR_INVALID, field,
                           "is for the strategies finetune and scratch, which "
                           "train one architecture");
    if (spec->finetune.scratch && spec->finetune.epochs == 0)
        return sn_error_at(err, SN_ERR_INVALID, "/finetune/scratch",
                           "takes /finetune/epochs: as long as they are "
                           "fine-tuned");
    return SN_OK;
}

enum sn_err sn_single_resolve(const struct sn_spec *spec,
                              const struct sn_space *space,
                              struct sn_error *err)
{
    const bool inherits = spec->strategy == SN_STRATEGY_FINETUNE;
    struct sn_error why = {0};
    struct sn_arch arch;

    if (!sn_spec_is_single(spec))
        return check_search(spec, err);
    if (spec->finetune.epochs != 0 || spec->finetune.scratch)
        return sn_error_at(err, SN_ERR_INVALID,
                           spec->finetune.epochs != 0 ? "/finetune/epochs"
                                                      : "/finetune/scratch",
                           "a job that trains one architecture finds no others "
                           "to fine-tune");
    if (spec->architecture[0] == '\0')
        return sn_error_at(err, SN_ERR_INVALID, "/architecture",
                           "is required by the strategies finetune and "
                           "scratch: the one that they train");
    if (inherits && spec->supernet[0] == '\0')
        return sn_error_at(err, SN_ERR_INVALID, "/supernet",
                           "is required by the strategy finetune: the weights "
                           "that it starts from");
    if (!inherits && spec->supernet[0] != '\0')
        return sn_error_at(err, SN_ERR_INVALID, "/supernet",
                           "contradicts the strategy scratch, which starts "
                           "from no weights");
    if (sn_arch_decode(space, spec->architecture, &arch, &why) != SN_OK)
        return sn_error_at(err, SN_ERR_INVALID, "/architecture",
                           "is none of space %s: %.300s", space->name,
                           why.message);
    return SN_OK;
}

void sn_single_arch(const struct sn_spec *spec, const struct sn_space *space,
                    struct sn_arch *ret)
{
    sn_arch_largest(space, ret); /* what stands where a spec was not resolved */
    (void)sn_arch_decode(space, spec->architecture, ret, NULL);
}

uint16_t sn_single_resolution(const struct sn_spec *spec,
                              const struct sn_space *space)
{
    struct sn_arch arch;
    if (!sn_spec_is_single(spec))
        return 0;
    sn_single_arch(spec, space, &arch);
    return arch.resolution;
}
