/* kill -9 of a writing process, again and again on the same folder: everything
 * that was acknowledged is there afterwards, the stop is seen as unclean, and
 * event numbers never go back. A full disk: only what does not fit fails, the
 * health flag shows it, and it goes on when there is room. A disk that fails:
 * no write is acknowledged any more, and the next start has what was. */
#include "tests/storage/help.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/internal.h"

/* ---- in the child: write for ever, telling what is acknowledged ---- */

static void tell(void *arg, const struct sn_written *result)
{
    int fd = *(int *)arg;
    int64_t last = result->last_event;
    if (result->error.code != SN_OK || write(fd, &last, sizeof last) < 0)
        _exit(3);
}

static void write_for_ever(const char *dir, int fd)
{
    struct sn_storage_config config = {.state_dir = dir};
    struct sn_storage *st = NULL;
    if (sn_storage_open(&config, &st, NULL) != SN_OK)
        _exit(2);
    char payload[600];
    memset(payload, 'p', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    struct sn_event event = {.type = "t", .payload = payload};
    struct sn_write w = {
        .events = &event, .n_events = 1, .done = tell, .arg = &fd};
    for (;;) {
        if (sn_storage_append_events(st, &w, NULL) != SN_OK)
            sn_storage_wait_room(st);
    }
}

/* Lets a child write until it has acknowledged `n`, then kills it; gives the
 * last number that it acknowledged. */
static int64_t write_and_kill(const char *dir, int n)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_for_ever(dir, ends[1]);
    }
    close(ends[1]);
    int64_t last = 0;
    for (int i = 0; i < n; i++)
        assert_int_equal(read(ends[0], &last, sizeof last), sizeof last);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &last, sizeof last) == sizeof last)
        continue;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

struct counted {
    int64_t n, newest, oldest;
    bool is_gapless;
};

static bool count_event(void *arg, const struct sn_event *row)
{
    struct counted *c = arg;
    c->is_gapless = c->is_gapless && row->seq == c->n + 1;
    c->n++;
    return true;
}

static void count_events(void *arg, struct sn_reader *r)
{
    struct counted *c = arg;
    struct sn_event_query q = {0};
    sn_reader_events(r, &q, count_event, c, NULL);
    sn_reader_event_bounds(r, &c->newest, &c->oldest, NULL);
}

static void test_kill_9(void **state)
{
    int64_t before = 0;
    for (int round = 0; round < 6; round++) {
        int64_t acknowledged = write_and_kill(*state, 20 + 170 * round);
        struct sn_storage *st = help_open(*state);
        struct counted c = {.is_gapless = true};
        assert_true(sn_storage_was_unclean(st));
        sn_storage_read_wait(st, count_events, &c, NULL);
        assert_true(c.n >= acknowledged && acknowledged > before);
        assert_true(c.is_gapless);
        assert_int_equal(c.newest, c.n);
        before = c.newest;
        sn_storage_close(st);
    }
}

/* ---- a full disk, as a limit on the database's pages ---- */

struct limited {
    struct sn_storage *st;
    const char *sql;
};

/* On the writer thread, which alone may touch its connection. */
static void run_sql(void *arg, const struct sn_written *result)
{
    struct limited *l = arg;
    sqlite3_exec(l->st->writer.db.handle, l->sql, NULL, NULL, NULL);
}

static void limit_pages(struct sn_storage *st, const char *sql)
{
    struct limited l = {st, sql};
    struct sn_write w = {.done = run_sql, .arg = &l};
    assert_int_equal(sn_storage_flush(st, &w, NULL), SN_OK);
    help_flush(st);
}

static void keep_code(void *arg, const struct sn_written *result)
{
    *(enum sn_err *)arg = result->error.code;
}

static void append(struct sn_storage *st, size_t size, enum sn_err *ret_code)
{
    char *payload = calloc(size + 1, 1);
    assert_non_null(payload);
    memset(payload, 'p', size);
    struct sn_event event = {.type = "t", .payload = payload};
    struct sn_write w = {
        .events = &event, .n_events = 1, .done = keep_code, .arg = ret_code};
    assert_int_equal(sn_storage_append_events(st, &w, NULL), SN_OK);
    free(payload);
}

static void test_full_disk(void **state)
{
    enum sn_err codes[5] = {SN_ERR_COUNT, SN_ERR_COUNT, SN_ERR_COUNT,
                            SN_ERR_COUNT, SN_ERR_COUNT};
    struct sn_storage *st = help_open(*state);
    limit_pages(st, "PRAGMA max_page_count = 80");
    append(st, 10, &codes[0]);
    append(st, 1000000, &codes[1]);
    append(st, 10, &codes[2]);
    append(st, 1000000, &codes[3]);
    help_flush(st);
    assert_int_equal(codes[0], SN_OK);
    assert_int_equal(codes[1], SN_ERR_DISKFULL);
    assert_int_equal(codes[2], SN_OK);
    assert_int_equal(codes[3], SN_ERR_DISKFULL);
    assert_true(sn_storage_disk_full(st));
    assert_false(sn_storage_failed(st));
    limit_pages(st, "PRAGMA max_page_count = 100000");
    assert_true(sn_storage_disk_full(st));
    assert_int_equal(sn_storage_probe(st, NULL, NULL), SN_OK);
    help_flush(st);
    assert_false(sn_storage_disk_full(st));
    append(st, 1000000, &codes[4]);
    help_flush(st);
    assert_int_equal(codes[4], SN_OK);
    struct counted c = {.is_gapless = true};
    sn_storage_read_wait(st, count_events, &c, NULL);
    assert_int_equal(c.n, 3);
    sn_storage_close(st);
}

/* ---- a failing disk, as a limit on the size of files (in a child) ---- */

static void note_fatal(void *arg, const struct sn_error *error)
{
    *(int *)arg += error->code == SN_ERR_IO ? 1 : 100;
}

/* 0, or the number of the step that went wrong. */
static int fail_in_child(const char *dir)
{
    int n_fatal = 0;
    enum sn_err before = SN_ERR_COUNT, during = SN_ERR_COUNT;
    struct sn_storage_config config = {
        .state_dir = dir, .on_fatal = note_fatal, .arg = &n_fatal};
    struct sn_storage *st = NULL;
    if (sn_storage_open(&config, &st, NULL) != SN_OK)
        return 1;
    append(st, 1000, &before);
    help_flush(st);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    if (before != SN_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    append(st, 2 << 20, &during);
    for (int i = 0; i < 10000 && !sn_storage_failed(st); i++)
        usleep(1000);
    if (sn_storage_probe(st, NULL, NULL) != SN_ERR_IO)
        return 3;
    sn_storage_close(st);
    return during == SN_ERR_IO && n_fatal == 1 ? 0 : 4;
}

static void test_failing_disk(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fail_in_child(*state));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct sn_storage *st = help_open(*state);
    assert_true(sn_storage_was_unclean(st));
    struct counted c = {.is_gapless = true};
    sn_storage_read_wait(st, count_events, &c, NULL);
    assert_int_equal(c.n, 1);
    sn_storage_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_9, help_setup, help_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, help_setup,
                                        help_teardown),
        cmocka_unit_test_setup_teardown(test_failing_disk, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
