/* Settings: the table's defaults suit themselves, every kind of wrong line is
 * refused with file and line, options come over the file, and an address that
 * others reach needs a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/options.h"

struct scene {
    char path[64];
    struct sn_config config;
    struct sn_error err;
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    strcpy(s->path, "/tmp/sn-config-XXXXXX");
    int fd = mkstemp(s->path);
    assert_true(fd >= 0);
    close(fd);
    sn_config_init(&s->config);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    unlink(s->path);
    free(s);
    return 0;
}

static enum sn_err read_text(struct scene *s, const char *text)
{
    FILE *file = fopen(s->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    sn_config_init(&s->config);
    memset(&s->err, 0, sizeof s->err);
    return sn_config_read(&s->config, s->path, &s->err);
}

static void test_defaults_are_fine(void **state)
{
    struct scene *s = *state;
    assert_int_equal(sn_config_check(&s->config, &s->err), SN_OK);
    assert_string_equal(s->config.listen, "127.0.0.1:8350");
    assert_int_equal(s->config.running_jobs, 1);
    /* every default is one that a file could set */
    size_t n;
    const struct sn_setting *table = sn_config_settings(&n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sn_config_set(&s->config, table[i].section,
                                       table[i].key, table[i].initial, NULL),
                         SN_OK);
}

static void test_description_reads_back(void **state)
{
    struct scene *s = *state;
    FILE *file = fopen(s->path, "w");
    sn_config_describe(file);
    fclose(file);
    assert_int_equal(sn_config_read(&s->config, s->path, &s->err), SN_OK);
    struct sn_config fresh;
    sn_config_init(&fresh);
    assert_memory_equal(&fresh, &s->config, sizeof fresh);
}

static void test_file_sets(void **state)
{
    struct scene *s = *state;
    assert_int_equal(read_text(s, "; a comment\n[jobs]\nrunning = 3\n\n"
                                  "[daemon]\nlog_level = warn ; why not\n"
                                  "[datasets]\nallowed = /srv/a\n"
                                  "allowed = /srv/b\n"),
                     SN_OK);
    assert_int_equal(s->config.running_jobs, 3);
    assert_int_equal(s->config.log_level, 2);
    assert_string_equal(s->config.datasets_allowed, "/srv/a:/srv/b");
}

static void test_wrong_lines(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *says;
    } cases[] = {
        {"[jobs]\nruning = 1\n", 2, "no setting \"runing\""},
        {"[job]\nrunning = 1\n", 2, "[job]"},
        {"running = 1\n", 1, "no setting"},
        {"[jobs]\n\nrunning = 0\n", 3, "not in 1..64"},
        {"[jobs]\nrunning = 1x\n", 2, "no number"},
        {"[jobs]\nrunning = 99999999999999999999\n", 2, "not in"},
        {"[jobs]\nrunning = 1\nrunning = 2\n", 3, "twice"},
        {"[daemon]\nlog_level = loud\n", 2, "none of debug, info"},
        {"[daemon]\nstate_dir = here\n", 2, "no absolute path"},
        {"[datasets]\nallowed = /a:/b\n", 2, "colon"},
        {"[jobs]\nrunning\n", 2, "neither"},
        {"[jobs\n", 1, "neither"},
    };
    struct scene *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char start[96];
        assert_int_not_equal(read_text(s, cases[i].text), SN_OK);
        snprintf(start, sizeof start, "%s:%d: ", s->path, cases[i].line);
        if (strncmp(s->err.message, start, strlen(start)) != 0 ||
            strstr(s->err.message, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, s->err.message);
    }
}

static void test_long_lines_and_other_files(void **state)
{
    struct scene *s = *state;
    char text[600] = "[http]\ntoken_file = /";
    size_t n = strlen(text);
    memset(text + n, 'x', 300);
    text[n + 300] = '\n';
    assert_int_equal(read_text(s, text), SN_ERR_TOOLARGE);
    assert_non_null(strstr(s->err.message, ":2: "));
    FILE *file = fopen(s->path, "w");
    fwrite("[jobs]\n\0\1\2", 1, 10, file);
    fclose(file);
    assert_int_equal(sn_config_read(&s->config, s->path, &s->err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_config_read(&s->config, "/nowhere/x", &s->err),
                     SN_ERR_IO);
    assert_non_null(strstr(s->err.message, "/nowhere/x"));
}

static void test_contradictions(void **state)
{
    struct scene *s = *state;
    struct sn_config *c = &s->config;
    sn_config_set(c, "http", "listen", "0.0.0.0:80", NULL);
    assert_int_equal(sn_config_check(c, &s->err), SN_ERR_INVALID);
    assert_non_null(strstr(s->err.message, "token_file"));
    sn_config_set(c, "http", "token_file", "/etc/token", NULL);
    assert_int_equal(sn_config_check(c, &s->err), SN_OK);
    sn_config_set(c, "http", "max_connections", "8", NULL);
    assert_int_equal(sn_config_check(c, &s->err), SN_ERR_INVALID);
}

static enum sn_err options(struct scene *s, enum sn_options_action *ret,
                           const char *a, const char *b, const char *c,
                           const char *d)
{
    char *argv[6] = {strdup("sparsenasd"), NULL};
    int argc = 1;
    const char *given[] = {a, b, c, d};
    for (int i = 0; i < 4 && given[i] != NULL; i++)
        argv[argc++] = strdup(given[i]);
    enum sn_err code = sn_options_read(argc, argv, ret, &s->config, &s->err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return code;
}

static void test_options(void **state)
{
    struct scene *s = *state;
    enum sn_options_action action;
    read_text(s, "[http]\nlisten = 127.0.0.1:1\n[jobs]\nrunning = 7\n");
    assert_int_equal(options(s, &action, "--config", s->path,
                             "--listen=[::1]:0", "--check-config"),
                     SN_OK);
    assert_int_equal(action, SN_OPTIONS_CHECK);
    assert_string_equal(s->config.listen, "[::1]:0");
    assert_int_equal(s->config.running_jobs, 7);

    char cwd[512], expected[600];
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(expected, sizeof expected, "%s/here", cwd);
    assert_int_equal(options(s, &action, "--state-dir", "here", NULL, NULL),
                     SN_OK);
    assert_int_equal(action, SN_OPTIONS_SERVE);
    assert_string_equal(s->config.state_dir, expected);
    assert_int_equal(options(s, &action, "-h", NULL, NULL, NULL), SN_OK);
    assert_int_equal(action, SN_OPTIONS_HELP);
    assert_int_equal(options(s, &action, "--version", NULL, NULL, NULL), SN_OK);
    assert_int_equal(action, SN_OPTIONS_VERSION);
}

static void test_wrong_options(void **state)
{
    struct scene *s = *state;
    enum sn_options_action action;
    assert_int_equal(options(s, &action, "--liste", NULL, NULL, NULL),
                     SN_ERR_INVALID); /* abbreviated, without its value */
    assert_non_null(strstr(s->err.message, "--liste needs a value"));
    assert_int_equal(options(s, &action, "--colour", NULL, NULL, NULL),
                     SN_ERR_INVALID);
    assert_non_null(strstr(s->err.message, "--colour"));
    assert_int_equal(options(s, &action, "-x", NULL, NULL, NULL),
                     SN_ERR_INVALID);
    assert_int_equal(options(s, &action, "serve", NULL, NULL, NULL),
                     SN_ERR_INVALID);
    assert_non_null(strstr(s->err.message, "serve"));
    assert_int_equal(options(s, &action, "--log-level", "loud", NULL, NULL),
                     SN_ERR_INVALID);
    assert_non_null(strstr(s->err.message, "--log-level"));
    assert_int_equal(options(s, &action, "--listen", "0.0.0.0:0", NULL, NULL),
                     SN_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults_are_fine, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_description_reads_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_file_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines_and_other_files, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_contradictions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_options, setup, teardown),
    };
    unsetenv("STATE_DIRECTORY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
