#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/listen.h"
#include "daemon/log.h"

#define AT(field) \
    offsetof(struct sn_config, field), sizeof(((struct sn_config *)0)->field)

/* section, key, type, place, least, most, default, names, help */
static const struct sn_setting settings[] = {
    {"daemon", "state_dir", SN_SETTING_PATH, AT(state_dir), 0, 0,
     SN_LOCALSTATEDIR "/lib/sparsenas", NULL,
     "folder of the database, checkpoints and models"},
    {"daemon", "ready_file", SN_SETTING_PATH, AT(ready_file), 0, 0, "", NULL,
     "the base URL is written to this file once the daemon serves"},
    {"daemon", "log_level", SN_SETTING_NAME, AT(log_level), 0, 0, "info",
     sn_log_level_names, "the least level that is logged"},
    {"daemon", "stop_seconds", SN_SETTING_INT, AT(stop_seconds), 1, 600, "10",
     NULL,
     "jobs that have not reached a checkpoint by then go back to their "
     "last one"},
    {"http", "listen", SN_SETTING_TEXT, AT(listen), 0, 0, "127.0.0.1:8350",
     NULL, "ADDRESS:PORT (port 0: a free one) or unix:PATH"},
    {"http", "web_root", SN_SETTING_PATH, AT(web_root), 0, 0,
     SN_PKGDATADIR "/web", NULL, "folder of the dashboard"},
    {"http", "token_file", SN_SETTING_PATH, AT(token_file), 0, 0, "", NULL,
     "holds the bearer token; needed for other than loopback addresses"},
    {"http", "max_connections", SN_SETTING_INT, AT(max_connections), 4, 900,
     "256", NULL, "connections at a time"},
    {"http", "max_streams", SN_SETTING_INT, AT(max_streams), 1, 800, "64", NULL,
     "event streams at a time"},
    {"http", "max_body_kib", SN_SETTING_INT, AT(max_body_kib), 1, 65536, "1024",
     NULL, "largest request body, KiB"},
    {"http", "max_upload_mib", SN_SETTING_INT, AT(max_upload_mib), 1, 16777216,
     "4096", NULL, "largest body that goes to a file, MiB"},
    {"http", "request_seconds", SN_SETTING_INT, AT(request_seconds), 1, 3600,
     "30", NULL, "time for a client to send its request"},
    {"jobs", "running", SN_SETTING_INT, AT(running_jobs), 1, 64, "1", NULL,
     "jobs that run at a time; the others wait"},
    {"jobs", "max_queued", SN_SETTING_INT, AT(max_queued_jobs), 1, 100000,
     "10000", NULL, "jobs that may wait"},
    {"jobs", "nice", SN_SETTING_INT, AT(nice), 0, 19, "5", NULL,
     "how far jobs give way to the API and other programs"},
    {"jobs", "memory_mib", SN_SETTING_INT, AT(memory_mib), 0, 1073741824, "0",
     NULL,
     "jobs that will need more are refused, MiB; 0: 80% of the machine's "
     "memory, or of the control group's limit"},
    {"storage", "min_free_mib", SN_SETTING_INT, AT(min_free_mib), 0, 1048576,
     "64", NULL, "with less room on the disk, jobs pause until there is more"},
    {"datasets", "fashion_mnist", SN_SETTING_PATH, AT(fashion_mnist), 0, 0,
     "/usr/share/datasets/fashion-mnist", NULL,
     "folder of the data set `fashion-mnist`; empty: none"},
    {"datasets", "allowed", SN_SETTING_PATHS, AT(datasets_allowed), 0, 0, "",
     NULL, "data sets may be registered from below this folder; one a line"},
    {"datasets", "total_mib", SN_SETTING_INT, AT(datasets_total_mib), 0,
     1073741824, "65536", NULL,
     "all uploaded data sets together may take, MiB; 0: none are taken"},
    {"supernets", "allowed", SN_SETTING_PATHS, AT(supernets_allowed), 0, 0, "",
     NULL, "supernets may be imported from below this folder; one a line"},
};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

const struct sn_setting *sn_config_settings(size_t *ret_n)
{
    *ret_n = N_SETTINGS;
    return settings;
}

static int find(const char *section, const char *key)
{
    for (int i = 0; i < N_SETTINGS; i++)
        if (strcmp(settings[i].section, section) == 0 &&
            strcmp(settings[i].key, key) == 0)
            return i;
    return -1;
}

static enum sn_err set_int(int32_t *ret, const struct sn_setting *s,
                           const char *value, struct sn_error *err)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (end == value || *end != '\0')
        return sn_error_set(err, SN_ERR_INVALID, "%s: \"%.40s\" is no number",
                            s->key, value);
    if (errno == ERANGE || n < s->min || n > s->max)
        return sn_error_set(err, SN_ERR_RANGE, "%s: %.40s is not in %.0f..%.0f",
                            s->key, value, s->min, s->max);
    *ret = (int32_t)n;
    return SN_OK;
}

static enum sn_err set_name(int32_t *ret, const struct sn_setting *s,
                            const char *value, struct sn_error *err)
{
    for (int i = 0; s->names[i] != NULL; i++)
        if (strcmp(s->names[i], value) == 0) {
            *ret = i;
            return SN_OK;
        }
    char list[128] = "";
    for (int i = 0; s->names[i] != NULL; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i > 0 ? ", " : "",
                 s->names[i]);
    }
    return sn_error_set(err, SN_ERR_INVALID, "%s: \"%.40s\" is none of %s",
                        s->key, value, list);
}

static enum sn_err set_text(char *place, const struct sn_setting *s,
                            const char *value, struct sn_error *err)
{
    bool is_path = s->type != SN_SETTING_TEXT;
    bool add = s->type == SN_SETTING_PATHS && *value != '\0';
    if (is_path && *value != '\0' && *value != '/')
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: \"%.100s\" is no absolute path", s->key,
                            value);
    if (add && strchr(value, ':') != NULL)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: \"%.100s\" has a colon; give one folder a "
                            "line",
                            s->key, value);
    size_t used = add ? strlen(place) : 0;
    if (used + strlen(value) + 2 > s->size)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: too long", s->key);
    snprintf(place + used, s->size - used, "%s%s", used > 0 ? ":" : "", value);
    return SN_OK;
}

static enum sn_err set(struct sn_config *config, const struct sn_setting *s,
                       const char *value, struct sn_error *err)
{
    char *place = (char *)config + s->offset;
    int32_t number = 0;
    enum sn_err code = SN_OK;
    switch (s->type) {
    case SN_SETTING_INT:
        code = set_int(&number, s, value, err);
        break;
    case SN_SETTING_NAME:
        code = set_name(&number, s, value, err);
        break;
    default:
        return set_text(place, s, value, err);
    }
    if (code == SN_OK)
        memcpy(place, &number, sizeof number);
    return code;
}

enum sn_err sn_config_set(struct sn_config *config, const char *section,
                          const char *key, const char *value,
                          struct sn_error *err)
{
    int i = find(section, key);
    if (i < 0)
        return sn_error_set(err, SN_ERR_NOTFOUND,
                            "there is no setting \"%.40s\" in [%.40s]", key,
                            section);
    return set(config, &settings[i], value, err);
}

void sn_config_init(struct sn_config *ret)
{
    memset(ret, 0, sizeof *ret);
    for (int i = 0; i < N_SETTINGS; i++)
        set(ret, &settings[i], settings[i].initial, NULL);
    const char *given = getenv("STATE_DIRECTORY");
    if (given != NULL && given[0] == '/' && strchr(given, ':') == NULL)
        sn_config_set(ret, "daemon", "state_dir", given, NULL);
}

/* ---- the file ---- */

struct reading {
    struct sn_config *config;
    bool seen[N_SETTINGS];
    struct sn_error error; /* the first */
};

static int on_line(void *arg, const char *section, const char *key,
                   const char *value)
{
    struct reading *reading = arg;
    if (reading->error.code != SN_OK)
        return 1; /* only the first fault is told */
    int i = find(section, key);
    if (i >= 0 && reading->seen[i] && settings[i].type != SN_SETTING_PATHS) {
        sn_error_set(&reading->error, SN_ERR_INVALID, "%s is set twice", key);
        return 0;
    }
    if (i >= 0)
        reading->seen[i] = true;
    return sn_config_set(reading->config, section, key, value,
                         &reading->error) == SN_OK;
}

/* libinih cuts longer lines in two and would misread the second half. */
static enum sn_err check_lines(FILE *file, const char *path,
                               struct sn_error *err)
{
    int line = 1, length = 0, c;
    while ((c = getc(file)) != EOF) {
        if (c == '\0')
            return sn_error_set(err, SN_ERR_INVALID, "%s:%d: not a text file",
                                path, line);
        length = c == '\n' ? 0 : length + 1;
        if (length > INI_MAX_LINE - 3)
            return sn_error_set(err, SN_ERR_TOOLARGE,
                                "%s:%d: the line is longer than %d bytes", path,
                                line, INI_MAX_LINE - 3);
        line += c == '\n';
    }
    if (ferror(file))
        return sn_error_errno(err, errno, "reading %s", path);
    rewind(file);
    return SN_OK;
}

enum sn_err sn_config_read(struct sn_config *config, const char *path,
                           struct sn_error *err)
{
    struct reading reading = {.config = config};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sn_error_errno(err, errno, "opening %s", path);
    enum sn_err code = check_lines(file, path, err);
    if (code == SN_OK) {
        int line = ini_parse_file(file, on_line, &reading);
        if (line != 0 && reading.error.code != SN_OK)
            code = sn_error_set(err, reading.error.code, "%s:%d: %s", path,
                                line, reading.error.message);
        else if (line > 0)
            code = sn_error_set(err, SN_ERR_INVALID,
                                "%s:%d: neither a [section] nor key = value",
                                path, line);
        else if (line < 0)
            code = sn_error_set(err, SN_ERR_IO, "%s: cannot be read", path);
    }
    fclose(file);
    return code;
}

enum sn_err sn_config_check(const struct sn_config *config,
                            struct sn_error *err)
{
    struct sn_address address;
    enum sn_err code = sn_address_parse(config->listen, &address, err);
    if (code != SN_OK)
        return code;
    if (!address.is_private && config->token_file[0] == '\0')
        return sn_error_set(err, SN_ERR_INVALID,
                            "listen: %s can be reached from other machines, so "
                            "[http] token_file must be set",
                            config->listen);
    if (config->state_dir[0] == '\0')
        return sn_error_set(err, SN_ERR_INVALID,
                            "state_dir: must not be empty");
    if (config->max_streams >= config->max_connections)
        return sn_error_set(err, SN_ERR_INVALID,
                            "max_streams: must be less than max_connections, "
                            "so that other requests find room");
    return SN_OK;
}

static void describe_range(FILE *out, const struct sn_setting *s)
{
    if (s->type == SN_SETTING_INT)
        fprintf(out, " (%.0f to %.0f)", s->min, s->max);
    if (s->type != SN_SETTING_NAME)
        return;
    for (int i = 0; s->names[i] != NULL; i++)
        fprintf(out, "%s%s", i == 0 ? " (" : ", ", s->names[i]);
    fputc(')', out);
}

void sn_config_describe(FILE *out)
{
    const char *section = "";
    for (int i = 0; i < N_SETTINGS; i++) {
        const struct sn_setting *s = &settings[i];
        if (strcmp(section, s->section) != 0)
            fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", s->section);
        section = s->section;
        fprintf(out, "# %s", s->help);
        describe_range(out, s);
        fprintf(out, "\n#%s = %s\n", s->key, s->initial);
    }
}
