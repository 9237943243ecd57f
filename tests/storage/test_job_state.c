/* The table of job states: every pair, allowed and refused; the database
 * refuses what the table refuses. */
#include "tests/storage/help.h"

#include <string.h>

/* Written out again here, a row a state, so that a slip in the table shows. */
static const char *const allowed[SN_JOB_STATE_COUNT] = {
    [SN_JOB_QUEUED] = "running paused cancelled",
    [SN_JOB_RUNNING] = "stopping succeeded failed",
    [SN_JOB_STOPPING] = "queued paused cancelled failed",
    [SN_JOB_PAUSED] = "queued cancelled failed",
    [SN_JOB_SUCCEEDED] = "",
    [SN_JOB_FAILED] = "",
    [SN_JOB_CANCELLED] = "",
};

static void test_every_pair(void **state)
{
    for (int from = 0; from < SN_JOB_STATE_COUNT; from++) {
        for (int to = 0; to < SN_JOB_STATE_COUNT; to++) {
            const char *name = sn_job_state_name((enum sn_job_state)to);
            bool expected = strstr(allowed[from], name) != NULL;
            assert_int_equal(sn_job_state_can((enum sn_job_state)from,
                                              (enum sn_job_state)to),
                             expected);
        }
        assert_int_equal(sn_job_state_is_end((enum sn_job_state)from),
                         allowed[from][0] == '\0');
        assert_false(
            sn_job_state_can((enum sn_job_state)from, SN_JOB_STATE_COUNT));
    }
}

static void test_names(void **state)
{
    for (int i = 0; i < SN_JOB_STATE_COUNT; i++) {
        enum sn_job_state back = SN_JOB_STATE_COUNT;
        const char *name = sn_job_state_name((enum sn_job_state)i);
        assert_int_equal(sn_job_state_parse(name, &back, NULL), SN_OK);
        assert_int_equal(back, i);
    }
    enum sn_job_state untouched = SN_JOB_PAUSED;
    assert_int_equal(sn_job_state_parse("asleep", &untouched, NULL),
                     SN_ERR_INVALID);
    assert_int_equal(untouched, SN_JOB_PAUSED);
}

/* The shortest ways from queued to each state. */
static const enum sn_job_state ways[SN_JOB_STATE_COUNT][3] = {
    [SN_JOB_QUEUED] = {SN_JOB_QUEUED},
    [SN_JOB_RUNNING] = {SN_JOB_RUNNING},
    [SN_JOB_STOPPING] = {SN_JOB_RUNNING, SN_JOB_STOPPING},
    [SN_JOB_PAUSED] = {SN_JOB_PAUSED},
    [SN_JOB_SUCCEEDED] = {SN_JOB_RUNNING, SN_JOB_SUCCEEDED},
    [SN_JOB_FAILED] = {SN_JOB_RUNNING, SN_JOB_FAILED},
    [SN_JOB_CANCELLED] = {SN_JOB_CANCELLED},
};

static void test_database_holds_it(void **state)
{
    struct sn_storage *st = help_open(*state);
    for (int from = 0; from < SN_JOB_STATE_COUNT; from++) {
        for (int to = 0; to < SN_JOB_STATE_COUNT; to++) {
            char id[] = {'j', (char)('a' + from), (char)('a' + to), '\0'};
            assert_int_equal(help_insert(st, id), SN_OK);
            for (int k = 0; k < 3 && ways[from][k] != SN_JOB_QUEUED; k++)
                assert_int_equal(help_move(st, id, ways[from][k]), SN_OK);
            bool can = sn_job_state_can((enum sn_job_state)from,
                                        (enum sn_job_state)to);
            assert_int_equal(help_move(st, id, (enum sn_job_state)to),
                             can ? SN_OK : SN_ERR_CONFLICT);
        }
    }
    sn_storage_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_database_holds_it, help_setup,
                                        help_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
