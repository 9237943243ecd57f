/* What one job may need: the setting, else a share of the lowest limit of the
 * control groups, in both versions' trees; without any limit the machine's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memory.h"

struct tree {
    char root[64];
};

static void put(const struct tree *t, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t->root, name);
    for (char *at = path + strlen(t->root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static double limit_of(const struct tree *t)
{
    char path[256];
    snprintf(path, sizeof path, "%s/cgroup", t->root);
    return sn_memory_of_groups(path, t->root);
}

static int make_tree(void **state)
{
    struct tree *t = calloc(1, sizeof *t);
    const char *tmp = getenv("TMPDIR");
    snprintf(t->root, sizeof t->root, "%.40s/groupsXXXXXX",
             tmp != NULL ? tmp : "/tmp");
    *state = t;
    return mkdtemp(t->root) == NULL;
}

static int drop_tree(void **state)
{
    static const char *const names[] = {"cgroup",
                                        "memory.max",
                                        "a/memory.max",
                                        "a/b/memory.max",
                                        "a/b",
                                        "a",
                                        "memory/a/b/memory.limit_in_bytes",
                                        "memory/a/memory.limit_in_bytes",
                                        "memory/a/b",
                                        "memory/a",
                                        "memory"};
    struct tree *t = *state;
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", t->root, names[i]);
        remove(path);
    }
    int rc = rmdir(t->root);
    free(t);
    return rc;
}

static void second_version(void **state)
{
    struct tree *t = *state;
    put(t, "cgroup", "0::/a/b\n");
    assert_true(isinf(limit_of(t)));
    put(t, "a/b/memory.max", "max\n");
    assert_true(isinf(limit_of(t)));
    put(t, "a/memory.max", "3000000\n");
    assert_true(limit_of(t) == 3000000);
    put(t, "a/b/memory.max", "2000000\n");
    assert_true(limit_of(t) == 2000000);
    put(t, "cgroup", "0::/\n");
    assert_true(isinf(limit_of(t)));
    put(t, "memory.max", "1000000\n");
    assert_true(limit_of(t) == 1000000);
}

static void first_version(void **state)
{
    struct tree *t = *state;
    put(t, "cgroup", "8:pids:/x\n4:memory:/a/b\n3:cpuset:/\n");
    put(t, "memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put(t, "memory/a/memory.limit_in_bytes", "4000000\n");
    assert_true(limit_of(t) == 4000000);
}

static void nothing_readable(void **state)
{
    struct tree *t = *state;
    assert_true(isinf(limit_of(t)));
    put(t, "cgroup", "nonsense\n:\n::\n0::\n");
    assert_true(isinf(limit_of(t)));
}

static void setting_wins(void **state)
{
    double machine =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    assert_true(sn_memory_limit(100) == 100 * 1048576.0);
    assert_true(sn_memory_limit(0) > 0 &&
                sn_memory_limit(0) <= 0.8 * machine * (1 + 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(second_version, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(first_version, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(nothing_readable, make_tree, drop_tree),
        cmocka_unit_test(setting_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
