/* sn_config - the daemon's settings: one table says what there is, what it may
 * be, its default and its meaning; file, options and help all read that table.
 *
 * A file has sections and `key = value` lines:
 *
 *   [http]
 *   listen = 127.0.0.1:8350
 *
 * What the table does not know is refused with file and line. Values go
 * through sn_config_set() wherever they come from. Plain data, no thread.
 */
#ifndef SN_DAEMON_CONFIG_H
#define SN_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/err.h"

enum { SN_CONFIG_PATH = 1024, SN_CONFIG_LIST = 8192, SN_CONFIG_TEXT = 256 };

struct sn_config {
    char state_dir[SN_CONFIG_PATH];
    char ready_file[SN_CONFIG_PATH];
    int32_t log_level; /* enum sn_log_level */
    int32_t stop_seconds;

    char listen[SN_CONFIG_TEXT];
    char web_root[SN_CONFIG_PATH];
    char token_file[SN_CONFIG_PATH];
    int32_t max_connections, max_streams;
    int32_t max_body_kib, max_upload_mib, request_seconds;

    int32_t running_jobs, max_queued_jobs, nice, memory_mib;
    int32_t min_free_mib;

    char fashion_mnist[SN_CONFIG_PATH];
    char datasets_allowed[SN_CONFIG_LIST]; /* separated by ':' */
    int32_t datasets_total_mib;
    char supernets_allowed[SN_CONFIG_LIST];
};

enum sn_setting_type {
    SN_SETTING_TEXT,  /* char[size] */
    SN_SETTING_PATH,  /* char[size], absolute or empty */
    SN_SETTING_PATHS, /* char[size]; each `key = path` line adds one */
    SN_SETTING_INT,   /* int32_t, min..max */
    SN_SETTING_NAME   /* int32_t, one of `names` */
};

struct sn_setting {
    const char *section, *key;
    enum sn_setting_type type;
    size_t offset, size;
    double min, max;
    const char *initial;      /* default, as text */
    const char *const *names; /* NULL-terminated */
    const char *help;         /* one line */
};

const struct sn_setting *sn_config_settings(size_t *ret_n);

/* All defaults. Under systemd the state folder is the service's
 * ($STATE_DIRECTORY). */
void sn_config_init(struct sn_config *ret);

/* Sets one value; SN_ERR_NOTFOUND: no such setting, SN_ERR_INVALID or
 * SN_ERR_RANGE: not acceptable. */
enum sn_err sn_config_set(struct sn_config *config, const char *section,
                          const char *key, const char *value,
                          struct sn_error *err);

/* Reads a file over what is there; errors begin with "file:line: ". On failure
 * `config` may hold a part of the file. */
enum sn_err sn_config_read(struct sn_config *config, const char *path,
                           struct sn_error *err);

/* What no single value shows: SN_ERR_INVALID when settings contradict. */
enum sn_err sn_config_check(const struct sn_config *config,
                            struct sn_error *err);

/* Prints every setting as a commented file with the defaults. */
void sn_config_describe(FILE *out);

#endif
