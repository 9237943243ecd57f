/* sparsenasd: reads its options and serves. */
#include <stdio.h>

#include "daemon/daemon.h"
#include "daemon/options.h"

int main(int argc, char **argv)
{
    static struct sn_config config;
    struct sn_error err;
    enum sn_options_action action;
    if (sn_options_read(argc, argv, &action, &config, &err) != SN_OK) {
        fprintf(stderr, "sparsenasd: %s\n", err.message);
        return 2;
    }
    switch (action) {
    case SN_OPTIONS_HELP:
        sn_options_help(stdout);
        return 0;
    case SN_OPTIONS_HELP_SETTINGS:
        sn_config_describe(stdout);
        return 0;
    case SN_OPTIONS_VERSION:
        puts("sparsenasd " SN_VERSION);
        return 0;
    case SN_OPTIONS_CHECK:
        puts("the settings are fine");
        return 0;
    default:
        return sn_daemon_run(&config);
    }
}
