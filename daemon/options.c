#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPT_FIRST = 256,
    OPT_CONFIG = OPT_FIRST,
    OPT_CHECK,
    OPT_SETTINGS,
    OPT_SETTING
};

/* Options that set one setting; the rest is handled by name. */
static const struct {
    const char *name, *argument, *section, *key, *help;
} setters[] = {
    {"state-dir", "DIR", "daemon", "state_dir",
     "folder of the database, checkpoints and models"},
    {"listen", "ADDR:PORT", "http", "listen",
     "where to serve (port 0: a free one), or unix:PATH"},
    {"ready-file", "FILE", "daemon", "ready_file",
     "write the base URL there once it serves"},
    {"web-root", "DIR", "http", "web_root", "folder of the dashboard"},
    {"log-level", "LEVEL", "daemon", "log_level", "debug, info, warn or error"},
};
enum { N_SETTERS = sizeof setters / sizeof setters[0], N_FIXED = 5 };

void sn_options_help(FILE *out)
{
    fputs("Usage: sparsenasd [OPTION]...\n"
          "Neural architecture search as a service on this machine.\n\n"
          "      --config FILE          read settings from FILE\n",
          out);
    for (int i = 0; i < N_SETTERS; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", setters[i].name,
                 setters[i].argument);
        fprintf(out, "      %-22s %s\n", left, setters[i].help);
    }
    fputs(
        "      --check-config         say whether the settings are fine, and "
        "exit\n"
        "      --help-settings        print all settings with their defaults\n"
        "  -h, --help                 print this\n"
        "  -V, --version              print the version\n\n"
        "Without --config, " SN_SYSCONFDIR
        "/sparsenas.conf is read if it is there.\n",
        out);
}

static void fill_long_options(struct option table[N_SETTERS + N_FIXED + 1])
{
    static const struct option fixed[N_FIXED] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"check-config", no_argument, NULL, OPT_CHECK},
        {"help-settings", no_argument, NULL, OPT_SETTINGS},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
    };
    memset(table, 0, (N_SETTERS + N_FIXED + 1) * sizeof *table);
    memcpy(table, fixed, sizeof fixed);
    for (int i = 0; i < N_SETTERS; i++)
        table[N_FIXED + i] = (struct option){setters[i].name, required_argument,
                                             NULL, OPT_SETTING + i};
}

/* Paths on the command line may be relative to where the user stands. */
static enum sn_err absolute(const char *section, const char *key,
                            const char *value, char ret[PATH_MAX],
                            struct sn_error *err)
{
    size_t n;
    const struct sn_setting *table = sn_config_settings(&n);
    bool is_path = false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].section, section) == 0 &&
            strcmp(table[i].key, key) == 0)
            is_path = table[i].type == SN_SETTING_PATH;
    char cwd[PATH_MAX + 1] = "";
    if (is_path && value[0] != '/' && value[0] != '\0') {
        if (getcwd(cwd, PATH_MAX) == NULL)
            return sn_error_errno(err, errno, "finding the current folder");
        strcat(cwd, "/");
    }
    if (strlen(cwd) + strlen(value) >= PATH_MAX)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: too long", key);
    strcpy(ret, cwd);
    strcat(ret, value);
    return SN_OK;
}

struct given {
    const char *config;
    const char *values[N_SETTERS];
    enum sn_options_action action;
};

static enum sn_err scan(int argc, char **argv, struct given *given,
                        struct sn_error *err)
{
    struct option table[N_SETTERS + N_FIXED + 1];
    fill_long_options(table);
    optind = 0; /* starts anew, also when called a second time */
    opterr = 0;
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int c = getopt_long(argc, argv, ":hV", table, NULL);
        if (c == -1)
            break;
        if (c == ':')
            return sn_error_set(err, SN_ERR_INVALID,
                                "%.80s needs a value (see --help)", argv[at]);
        if (c == '?')
            return sn_error_set(err, SN_ERR_INVALID,
                                "%.80s is no option (see --help)", argv[at]);
        if (c >= OPT_SETTING)
            given->values[c - OPT_SETTING] = optarg;
        else if (c == OPT_CONFIG)
            given->config = optarg;
        else
            given->action = c == OPT_CHECK      ? SN_OPTIONS_CHECK
                            : c == OPT_SETTINGS ? SN_OPTIONS_HELP_SETTINGS
                            : c == 'h'          ? SN_OPTIONS_HELP
                                                : SN_OPTIONS_VERSION;
    }
    if (optind < argc)
        return sn_error_set(err, SN_ERR_INVALID,
                            "unexpected argument %.80s (see --help)",
                            argv[optind]);
    return SN_OK;
}

enum sn_err sn_options_read(int argc, char **argv,
                            enum sn_options_action *ret_action,
                            struct sn_config *ret_config, struct sn_error *err)
{
    struct given given = {.action = SN_OPTIONS_SERVE};
    enum sn_err code = scan(argc, argv, &given, err);
    if (code != SN_OK)
        return code;
    sn_config_init(ret_config);
    *ret_action = given.action;
    if (given.action > SN_OPTIONS_CHECK)
        return SN_OK;
    if (given.config != NULL)
        code = sn_config_read(ret_config, given.config, err);
    else if (access(SN_SYSCONFDIR "/sparsenas.conf", F_OK) == 0)
        code = sn_config_read(ret_config, SN_SYSCONFDIR "/sparsenas.conf", err);
    for (int i = 0; i < N_SETTERS && code == SN_OK; i++) {
        char value[PATH_MAX];
        if (given.values[i] == NULL)
            continue;
        code = absolute(setters[i].section, setters[i].key, given.values[i],
                        value, err);
        if (code == SN_OK)
            code = sn_config_set(ret_config, setters[i].section, setters[i].key,
                                 value, err);
        if (code != SN_OK)
            sn_error_wrap(err, "--%s", setters[i].name);
    }
    return code == SN_OK ? sn_config_check(ret_config, err) : code;
}
