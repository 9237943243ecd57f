/* A log line is one line whatever is in it, and can be taken apart again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "daemon/log.h"

static void test_format(void **state)
{
    const char *pairs[] = {
        "id",    "a1", "name",  "my \"job\"",  "path", "a\\b", "text", "x\ny",
        "empty", "",   "other", "caf\xc3\xa9", "null", NULL,   "tab",  "a\tb"};
    char line[512];
    size_t n = sn_log_format(line, sizeof line, "<6>", "jobs", "job\nstarted",
                             pairs, 8);
    assert_string_equal(line, "<6>jobs job started id=a1 "
                              "name=\"my \\\"job\\\"\" path=\"a\\\\b\" "
                              "text=\"x\\ny\" empty=\"\" other=caf\xc3\xa9 "
                              "tab=\"a\\x09b\"\n");
    assert_int_equal(n, strlen(line));
}

static void test_cut(void **state)
{
    const char *pairs[] = {"key", "a value that does not fit"};
    for (size_t size = 2; size < 60; size++) {
        char line[64];
        memset(line, '#', sizeof line);
        size_t n = sn_log_format(line, size, "", "group", "message", pairs, 1);
        assert_true(n < size);
        assert_int_equal(line[n - 1], '\n');
        assert_int_equal(line[n], '\0');
        assert_int_equal(line[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
