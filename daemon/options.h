/* sn_options - the command line of sparsenasd.
 *
 * Settings come in this order, later over earlier: defaults, the file
 * (--config, else the system's one if it is there), options.
 */
#ifndef SN_DAEMON_OPTIONS_H
#define SN_DAEMON_OPTIONS_H

#include <stdio.h>

#include "daemon/config.h"

enum sn_options_action {
    SN_OPTIONS_SERVE,
    SN_OPTIONS_CHECK, /* settings are fine; nothing more is asked */
    SN_OPTIONS_HELP,
    SN_OPTIONS_HELP_SETTINGS,
    SN_OPTIONS_VERSION
};

/* Reads options and, when it is needed, the file. SN_ERR_INVALID and the
 * like: what is wrong, for the user. */
enum sn_err sn_options_read(int argc, char **argv,
                            enum sn_options_action *ret_action,
                            struct sn_config *ret_config, struct sn_error *err);

void sn_options_help(FILE *out);

#endif
