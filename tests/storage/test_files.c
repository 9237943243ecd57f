/* Files beside the database: whole or not there, names stay in the folder,
 * two checkpoints are kept, and after a crash only sound ones are adopted. */
#include "tests/storage/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/files.h"

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void test_write_read(void **state)
{
    char path[SN_PATH_MAX], hex[SN_XXH3_HEX];
    void *data = NULL;
    size_t size = 0;
    int64_t bytes = 0;
    assert_int_equal(mkdir(*state, 0700), 0);
    snprintf(path, sizeof path, "%s/file", (char *)*state);
    assert_int_equal(sn_files_read(path, 99, &data, &size, NULL),
                     SN_ERR_NOTFOUND);
    assert_int_equal(sn_files_write(path, "first", 5, NULL), SN_OK);
    assert_int_equal(sn_files_write(path, "", 0, NULL), SN_OK);
    assert_int_equal(sn_files_xxh3(path, hex, &bytes, NULL), SN_OK);
    /* the published XXH3-64 of no bytes */
    assert_string_equal(hex, "2d06800538d394c2");
    assert_int_equal(sn_files_write(path, "second", 6, NULL), SN_OK);
    assert_int_equal(sn_files_read(path, 5, &data, &size, NULL),
                     SN_ERR_TOOLARGE);
    assert_int_equal(sn_files_read(path, 6, &data, &size, NULL), SN_OK);
    assert_int_equal(size, 6);
    assert_string_equal(data, "second");
    free(data);
    strcat(path, ".tmp");
    assert_false(exists(path));
    assert_int_equal(sn_files_xxh3(*state, hex, &bytes, NULL), SN_ERR_IO);
}

static void test_names(void **state)
{
    char path[SN_PATH_MAX];
    static const char *const bad[] = {"",     ".",       "..", "a/b",
                                      "../x", ".hidden", "a b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sn_files_job_dir("/s", bad[i], path, NULL),
                         SN_ERR_INVALID);
        assert_int_equal(
            sn_files_checkpoint_path("/s", "job", bad[i], path, NULL),
            SN_ERR_INVALID);
    }
    assert_int_equal(sn_files_checkpoint_path("/s", "j", "f", path, NULL),
                     SN_OK);
    assert_string_equal(path, "/s/jobs/j/checkpoints/f");
}

static void test_remove_follows_no_link(void **state)
{
    char outside[SN_PATH_MAX], link[SN_PATH_MAX], dir[SN_PATH_MAX];
    assert_int_equal(mkdir(*state, 0700), 0);
    snprintf(outside, sizeof outside, "%s/precious", (char *)*state);
    assert_int_equal(mkdir(outside, 0700), 0);
    strcat(outside, "/file");
    assert_int_equal(sn_files_write(outside, "x", 1, NULL), SN_OK);
    assert_int_equal(sn_files_make_job_dir(*state, "job", NULL), SN_OK);
    assert_int_equal(sn_files_make_job_dir(*state, "job", NULL), SN_OK);
    sn_files_checkpoint_path(*state, "job", "link", link, NULL);
    assert_int_equal(symlink("../../../precious", link), 0);
    assert_int_equal(sn_files_remove_job_dir(*state, "job", NULL), SN_OK);
    assert_int_equal(sn_files_remove_job_dir(*state, "job", NULL), SN_OK);
    sn_files_job_dir(*state, "job", dir, NULL);
    assert_false(exists(dir));
    assert_true(exists(outside));
}

static void put_checkpoint(struct sn_storage *st, const char *file)
{
    char path[SN_PATH_MAX], hex[SN_XXH3_HEX];
    struct sn_checkpoint row = {.job = "job", .file = file, .xxh3 = hex};
    const char *dir = sn_storage_dir(st);
    assert_int_equal(sn_files_make_job_dir(dir, "job", NULL), SN_OK);
    sn_files_checkpoint_path(dir, "job", file, path, NULL);
    assert_int_equal(sn_files_write(path, file, strlen(file), NULL), SN_OK);
    assert_int_equal(sn_files_xxh3(path, hex, &row.bytes, NULL), SN_OK);
    assert_int_equal(sn_storage_put_checkpoint(st, &row, NULL, NULL), SN_OK);
    help_flush(st);
}

static bool has(struct sn_storage *st, const char *file)
{
    char path[SN_PATH_MAX];
    sn_files_checkpoint_path(sn_storage_dir(st), "job", file, path, NULL);
    return exists(path);
}

static bool add_file(void *arg, const struct sn_checkpoint *row)
{
    strcat(strcat(arg, row->file), " ");
    return true;
}

static void list_files(void *arg, struct sn_reader *r)
{
    sn_reader_checkpoints(r, "job", add_file, arg, NULL);
}

static void expect_rows(struct sn_storage *st, const char *expected)
{
    char text[256] = "";
    sn_storage_read_wait(st, list_files, text, NULL);
    assert_string_equal(text, expected);
}

static void test_two_are_kept(void **state)
{
    char dir[SN_PATH_MAX];
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    put_checkpoint(st, "c1");
    put_checkpoint(st, "c2");
    assert_true(has(st, "c1"));
    put_checkpoint(st, "c3");
    expect_rows(st, "c3 c2 ");
    assert_false(has(st, "c1"));
    assert_true(has(st, "c2") && has(st, "c3"));
    assert_int_equal(help_move(st, "job", SN_JOB_CANCELLED), SN_OK);
    sn_storage_delete_job(st, "job", NULL, NULL);
    help_flush(st);
    sn_files_job_dir(sn_storage_dir(st), "job", dir, NULL);
    assert_false(exists(dir));
    sn_storage_close(st);
}

static void count_note(void *arg, const char *sentence)
{
    assert_non_null(strstr(sentence, "job"));
    ++*(int *)arg;
}

static void leave(struct sn_storage *st, const char *file)
{
    char path[SN_PATH_MAX];
    sn_files_checkpoint_path(sn_storage_dir(st), "job", file, path, NULL);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("XX", f);
    fclose(f);
}

static void test_adopts_what_is_whole(void **state)
{
    int notes = 0;
    struct sn_storage *st = help_open(*state);
    assert_int_equal(help_insert(st, "job"), SN_OK);
    put_checkpoint(st, "c1");
    put_checkpoint(st, "c2");
    assert_int_equal(sn_storage_adopt(st, count_note, &notes, NULL), SN_OK);
    assert_int_equal(notes, 0);
    expect_rows(st, "c2 c1 ");
    leave(st, "c2");            /* same size, other bytes */
    leave(st, "c3.tmp");        /* a write that a crash cut off */
    leave(st, "without-a-row"); /* renamed, but its row was never written */
    assert_int_equal(sn_storage_adopt(st, count_note, &notes, NULL), SN_OK);
    assert_int_equal(notes, 3);
    expect_rows(st, "c1 ");
    assert_true(has(st, "c1") && has(st, "c2.damaged"));
    assert_false(has(st, "c2") || has(st, "c3.tmp") ||
                 has(st, "without-a-row"));
    char path[SN_PATH_MAX];
    sn_files_checkpoint_path(sn_storage_dir(st), "job", "c1", path, NULL);
    assert_int_equal(sn_files_remove(path, NULL), SN_OK);
    assert_int_equal(sn_storage_adopt(st, count_note, &notes, NULL), SN_OK);
    assert_int_equal(notes, 4);
    expect_rows(st, "");
    sn_storage_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_read, help_setup,
                                        help_teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_remove_follows_no_link, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_two_are_kept, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_adopts_what_is_whole, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
