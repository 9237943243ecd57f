/* The engine's name, the same on every machine that tests run on. */
#include <stdio.h>

#include "engine/engine.h"

void sn_engine_runtime(char ret[SN_RUNTIME_MAX])
{
    snprintf(ret, SN_RUNTIME_MAX, "test");
}
