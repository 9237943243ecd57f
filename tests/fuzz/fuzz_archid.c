/* Architecture ids: the first byte chooses a space, the rest is the id. What is
 * taken is an architecture of the space, and its id is what was given. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "engine/space/plan.h"

static const struct sn_space *space_of(uint8_t byte)
{
    size_t n = 0;
    while (sn_space_builtin(n) != NULL)
        n++;
    return sn_space_builtin(byte % n);
}

static void check(const struct sn_space *space, const struct sn_arch *arch)
{
    struct sn_plan plan;
    struct sn_cost cost;
    size_t n = sn_arch_encoding_size(space);
    float *code = malloc(n * sizeof *code);
    FUZZ_REQUIRE(sn_arch_check(space, arch, NULL) == SN_OK);
    FUZZ_REQUIRE(code != NULL);
    sn_arch_one_hot(space, arch, code);
    free(code);
    if (space->family == SN_FAMILY_MOBILE) {
        sn_plan_make(space, arch, 3, 1000, &plan);
        sn_plan_cost(&plan, &cost);
        FUZZ_REQUIRE(cost.macs > 0 && cost.params > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char again[SN_ARCH_ID_MAX];
    struct sn_arch arch;
    struct sn_error err = {0};
    if (size == 0)
        return 0;
    const struct sn_space *space = space_of(data[0]);
    char *id = malloc(size);
    if (id == NULL)
        return 0;
    memcpy(id, data + 1, size - 1);
    id[size - 1] = '\0';
    if (sn_arch_decode(space, id, &arch, &err) == SN_OK) {
        check(space, &arch);
        sn_arch_encode(space, &arch, again);
        FUZZ_REQUIRE(strcmp(id, again) == 0);
    } else {
        FUZZ_REQUIRE(err.code == SN_ERR_INVALID && err.message[0] != '\0');
    }
    free(id);
    return 0;
}
