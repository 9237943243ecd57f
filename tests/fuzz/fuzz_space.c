/* Spaces as JSON: what is taken can be used (its ends, its plans, random
 * architectures and their ids), and reads back the same once written; what is
 * refused says where. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "api/json.h"
#include "api/space_json.h"
#include "engine/space/plan.h"

static char *text_of(const struct sn_space *space)
{
    json_t *o = sn_space_to_json(space);
    char *text = sn_json_dump(o);
    json_decref(o);
    FUZZ_REQUIRE(text != NULL);
    return text;
}

static void check_arch(const struct sn_space *space, const struct sn_arch *arch)
{
    char id[SN_ARCH_ID_MAX];
    struct sn_arch back;
    struct sn_plan plan;
    struct sn_cost cost;
    FUZZ_REQUIRE(sn_arch_check(space, arch, NULL) == SN_OK);
    sn_arch_encode(space, arch, id);
    FUZZ_REQUIRE(sn_arch_decode(space, id, &back, NULL) == SN_OK);
    FUZZ_REQUIRE(sn_arch_equal(arch, &back));
    sn_plan_make(space, arch, 3, 10, &plan);
    sn_plan_cost(&plan, &cost);
    FUZZ_REQUIRE(cost.macs > 0);
}

static void check(const struct sn_space *space)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, 0);
    struct sn_limits all;
    struct sn_arch a, b, child;
    sn_limits_all(space, &all);
    FUZZ_REQUIRE(sn_space_count(space, SN_COUPLING_NONE) >= 1);
    FUZZ_REQUIRE(sn_space_count(space, SN_COUPLING_COMPOFA) >= 1);
    sn_arch_largest(space, &a);
    check_arch(space, &a);
    sn_arch_smallest(space, &b);
    check_arch(space, &b);
    for (int i = 0; i < 4; i++) {
        sn_arch_crossover(space, &a, &b, &rng, &child);
        check_arch(space, &child);
        sn_arch_mutate(space, 0.5, &rng, &child);
        check_arch(space, &child);
        a = b;
        sn_arch_sample(space, &all, &rng, &b);
        check_arch(space, &b);
    }
    sn_arch_coupled(space, 0, &child);
    check_arch(space, &child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_problem problem = {0};
    struct sn_space space, again;
    if (!sn_space_parse((const char *)data, size, &space, &problem)) {
        FUZZ_REQUIRE(problem.status >= 400);
        return 0;
    }
    check(&space);
    char *text = text_of(&space);
    FUZZ_REQUIRE(sn_space_parse(text, strlen(text), &again, &problem));
    char *same = text_of(&again);
    FUZZ_REQUIRE(strcmp(text, same) == 0);
    free(same);
    free(text);
    return 0;
}
