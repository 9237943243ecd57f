/* Opening and closing a state folder: a new one is made and migrated, the next
 * open changes nothing, a second process is refused, and what cannot be used is
 * refused with a clear error and left as it is. */
#include "tests/storage/help.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "storage/files.h"

static char *database_of(const char *dir)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/sparsenas.db", dir) > 0);
    return path;
}

static int64_t number(const char *dir, const char *sql)
{
    char *path = database_of(dir);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_step(stmt);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    free(path);
    return n;
}

static enum sn_err try_open(const char *dir, struct sn_error *err)
{
    struct sn_storage_config config = {.state_dir = dir};
    struct sn_storage *st = NULL;
    enum sn_err code = sn_storage_open(&config, &st, err);
    if (code == SN_OK)
        sn_storage_close(st);
    else
        assert_null(st);
    return code;
}

static void test_new_and_again(void **state)
{
    const char *dir = *state;
    struct sn_storage *st = help_open(dir);
    struct stat info;
    assert_int_equal(stat(dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_false(sn_storage_was_unclean(st));
    sn_storage_close(st);
    int64_t version = number(dir, "PRAGMA user_version");
    int64_t schema = number(dir, "PRAGMA schema_version");
    assert_true(version >= 1);
    st = help_open(dir);
    assert_false(sn_storage_was_unclean(st));
    sn_storage_close(st);
    assert_int_equal(number(dir, "PRAGMA user_version"), version);
    assert_int_equal(number(dir, "PRAGMA schema_version"), schema);
}

/* A database of the first release gets the tables that came after it. */
static void test_older_schema(void **state)
{
    const char *dir = *state;
    sn_storage_close(help_open(dir));
    int64_t version = number(dir, "PRAGMA user_version");
    assert_true(version >= 2);
    number(dir, "DROP TABLE outcomes");
    number(dir, "PRAGMA user_version = 1");
    sn_storage_close(help_open(dir));
    assert_int_equal(number(dir, "PRAGMA user_version"), version);
    assert_int_equal(number(dir,
                            "SELECT count(*) FROM sqlite_schema WHERE name = "
                            "'outcomes'"),
                     1);
}

static void test_second_is_refused(void **state)
{
    struct sn_storage *st = help_open(*state);
    struct sn_error err = {0};
    char pid[64];
    snprintf(pid, sizeof pid, "another sparsenasd (pid %ld)", (long)getpid());
    assert_int_equal(try_open(*state, &err), SN_ERR_BUSY);
    assert_non_null(strstr(err.message, pid));
    sn_storage_close(st);
    assert_int_equal(try_open(*state, &err), SN_OK);
}

static void test_folder_is_a_file(void **state)
{
    struct sn_error err = {0};
    assert_int_equal(sn_files_write(*state, "x", 1, NULL), SN_OK);
    assert_int_equal(try_open(*state, &err), SN_ERR_IO);
    assert_non_null(strstr(err.message, "is not a folder"));
    char below[4096];
    snprintf(below, sizeof below, "%s/state", (char *)*state);
    assert_int_equal(try_open(below, &err), SN_ERR_IO);
    assert_non_null(strstr(err.message, "making the state folder"));
}

/* Writes bytes over the database; gives its size. */
static long scribble(const char *dir, long at, const char *bytes, size_t n)
{
    char *path = database_of(dir);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    free(path);
    return size;
}

static void assert_refused_untouched(const char *dir, enum sn_err expected,
                                     const char *words)
{
    char *path = database_of(dir);
    char before[SN_XXH3_HEX], after[SN_XXH3_HEX];
    int64_t bytes;
    struct sn_error err = {0};
    assert_int_equal(sn_files_xxh3(path, before, &bytes, NULL), SN_OK);
    assert_int_equal(try_open(dir, &err), expected);
    if (strstr(err.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_int_equal(sn_files_xxh3(path, after, &bytes, NULL), SN_OK);
    assert_string_equal(before, after);
    free(path);
}

static void test_no_database(void **state)
{
    sn_storage_close(help_open(*state));
    scribble(*state, 0, "this is no database at all", 26);
    assert_refused_untouched(*state, SN_ERR_CORRUPT, "not a database");
}

static void test_damaged_after_crash(void **state)
{
    sn_storage_close(help_open(*state));
    number(*state, "UPDATE meta SET value = 0 WHERE key = 'clean'");
    char garbage[3000];
    memset(garbage, 0x5a, sizeof garbage);
    int64_t root = number(*state, "SELECT rootpage FROM sqlite_schema "
                                  "WHERE name = 'fronts'");
    scribble(*state, (root - 1) * 4096, garbage, sizeof garbage);
    assert_refused_untouched(*state, SN_ERR_CORRUPT, "sparsenas.db");
}

static void test_newer_schema(void **state)
{
    sn_storage_close(help_open(*state));
    number(*state, "PRAGMA user_version = 999");
    assert_refused_untouched(*state, SN_ERR_UNSUPPORTED, "newer");
}

static void test_other_program(void **state)
{
    sn_storage_close(help_open(*state));
    number(*state, "PRAGMA application_id = 7");
    assert_refused_untouched(*state, SN_ERR_INVALID, "another program");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_and_again, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_older_schema, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_second_is_refused, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_folder_is_a_file, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_no_database, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_after_crash, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_newer_schema, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_other_program, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
