/* Which kernels this CPU takes. */
#include <stdlib.h>
#include <string.h>

#include "engine/compute/isa.h"

struct isa {
    const char *name;
    bool (*runs)(void);
    void (*fill)(struct sn_kernels *k);
    /* with tensors in bf16; NULL: has none */
    bool (*runs_bf16)(void);
    void (*fill_bf16)(struct sn_kernels *k);
};

#ifdef SN_X86_64
static bool runs_avx512(void)
{
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

static bool runs_avx512bf16(void)
{
    return runs_avx512() && __builtin_cpu_supports("avx512bf16");
}

static bool runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

static bool runs_always(void)
{
    return true;
}

/* The best first. */
static const struct isa table[] = {
#ifdef SN_X86_64
    {"avx512", runs_avx512, sn_kernels_fill_avx512, runs_avx512bf16,
     sn_kernels_fill_avx512bf16},
    {"avx2", runs_avx2, sn_kernels_fill_avx2, NULL, NULL},
#endif
    {"portable", runs_always, sn_kernels_fill_portable, NULL, NULL},
};

enum sn_err sn_isa_pick(const char *wanted, const char **ret_name,
                        struct sn_kernels *ret_kernels,
                        struct sn_kernels *ret_bf16, struct sn_error *err)
{
    const char *from_environment = getenv("SPARSENAS_ISA");
    if (!wanted || strcmp(wanted, "auto") == 0)
        wanted =
            from_environment && *from_environment ? from_environment : "auto";
    const bool any = strcmp(wanted, "auto") == 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct isa *isa = &table[i];
        if (!any && strcmp(wanted, isa->name) != 0)
            continue;
        if (!isa->runs()) {
            if (any)
                continue;
            return sn_error_set(err, SN_ERR_UNSUPPORTED,
                                "this CPU does not have %s", isa->name);
        }
        isa->fill(ret_kernels);
        *ret_bf16 = (struct sn_kernels){0};
        if (isa->runs_bf16 && isa->runs_bf16())
            isa->fill_bf16(ret_bf16);
        *ret_name = isa->name;
        return SN_OK;
    }
    return sn_error_set(err, SN_ERR_UNSUPPORTED,
                        "\"%.32s\" is no instruction set of this build "
                        "(avx512, avx2, portable, auto)",
                        wanted);
}
