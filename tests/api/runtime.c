/* The engine's name, so that tests of HTTP need not link the engine. */
#include <stdio.h>

#include "engine/engine.h"

void sn_engine_runtime(char ret[SN_RUNTIME_MAX])
{
    snprintf(ret, SN_RUNTIME_MAX, "test");
}
