/* Sockets and messages to systemd: addresses are read strictly, a free port is
 * told, a port or path in use is refused, a dead daemon's path is taken over,
 * a passed socket is used, and notifications arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/listen.h"
#include "daemon/notify.h"

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        bool ok, is_private;
    } cases[] = {
        {"127.0.0.1:8350", true, true},  {"localhost:0", true, true},
        {"127.9.9.9:1", true, true},     {"[::1]:65535", true, true},
        {"0.0.0.0:80", true, false},     {"[::]:80", true, false},
        {"192.168.1.2:80", true, false}, {"unix:/run/x/sock", true, true},
        {"127.0.0.1", false, false},     {"127.0.0.1:", false, false},
        {"127.0.0.1:-1", false, false},  {"127.0.0.1:65536", false, false},
        {"127.0.0.1:80x", false, false}, {"::1:80", false, false},
        {"[::1:80", false, false},       {"example.org:80", false, false},
        {"unix:run/x", false, false},    {"", false, false},
        {":80", false, false},           {"[]:80", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sn_address a;
        struct sn_error err;
        enum sn_err code = sn_address_parse(cases[i].text, &a, &err);
        if ((code == SN_OK) != cases[i].ok ||
            (cases[i].ok && a.is_private != cases[i].is_private))
            fail_msg("%s", cases[i].text);
    }
    char path[200] = "unix:/";
    memset(path + 6, 'x', 150);
    struct sn_address a;
    assert_int_equal(sn_address_parse(path, &a, NULL), SN_ERR_TOOLARGE);
}

static void test_free_port_and_port_in_use(void **state)
{
    struct sn_address a;
    struct sn_listener first, second;
    struct sn_error err;
    unsigned port;
    sn_address_parse("127.0.0.1:0", &a, &err);
    assert_int_equal(sn_listener_open(&a, &first, &err), SN_OK);
    assert_int_equal(sscanf(first.base_url, "http://127.0.0.1:%u", &port), 1);
    assert_true(port > 0);
    assert_int_equal(sn_listener_open(&first.address, &second, &err),
                     SN_ERR_BUSY);
    assert_non_null(strstr(err.message, "in use"));
    struct sn_address bound = first.address;
    sn_listener_close(&first);
    assert_int_equal(sn_listener_open(&bound, &second, &err), SN_OK);
    sn_listener_close(&second);
    sn_listener_close(NULL);
}

static void test_unix_path(void **state)
{
    char dir[] = "/tmp/sn-listen-XXXXXX", text[96];
    struct sn_address a;
    struct sn_listener first, second;
    struct sn_error err;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "unix:%s/sock", dir);
    assert_int_equal(sn_address_parse(text, &a, &err), SN_OK);
    assert_int_equal(sn_listener_open(&a, &first, &err), SN_OK);
    assert_string_equal(first.base_url, text);
    assert_int_equal(stat(text + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sn_listener_open(&a, &second, &err), SN_ERR_BUSY);

    close(first.fd); /* as if its daemon had been killed */
    assert_int_equal(sn_listener_open(&a, &second, &err), SN_OK);
    sn_listener_close(&second);
    assert_int_equal(stat(text + 5, &st), -1);

    FILE *file = fopen(text + 5, "w"); /* somebody's file is left alone */
    fclose(file);
    assert_int_equal(sn_listener_open(&a, &second, &err), SN_ERR_CONFLICT);
    assert_int_equal(stat(text + 5, &st), 0);
    unlink(text + 5);
    rmdir(dir);
}

static void test_inherited(void **state)
{
    struct sn_listener listener;
    struct sn_error err;
    char pid[24];
    unsetenv("LISTEN_FDS");
    assert_int_equal(sn_listener_inherit(&listener, &err), SN_ERR_NOTFOUND);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(sn_listener_inherit(&listener, &err), SN_ERR_NOTFOUND);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("LISTEN_PID", pid, 1);

    int saved = dup(3); /* whatever the test's parent left there */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (fd != 3) {
        dup2(fd, 3);
        close(fd);
    }
    assert_int_equal(sn_listener_inherit(&listener, &err), SN_ERR_INVALID);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(3, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(3, 1), 0);
    assert_int_equal(sn_listener_inherit(&listener, &err), SN_OK);
    assert_true(listener.address.is_private);
    assert_memory_equal(listener.base_url, "http://127.0.0.1:", 17);
    sn_listener_close(&listener);
    if (saved >= 0) {
        dup2(saved, 3);
        close(saved);
    }
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(sn_listener_inherit(&listener, &err), SN_ERR_UNSUPPORTED);
    unsetenv("LISTEN_FDS");
}

static void test_notify(void **state)
{
    char dir[] = "/tmp/sn-notify-XXXXXX", got[64] = "";
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(sn_notify("READY=1"), 0);
    assert_non_null(mkdtemp(dir));
    snprintf(un.sun_path, sizeof un.sun_path, "%s/notify", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    setenv("NOTIFY_SOCKET", un.sun_path, 1);
    assert_int_equal(sn_notify("READY=1\nSTATUS=x"), 1);
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), 16);
    assert_string_equal(got, "READY=1\nSTATUS=x");
    close(fd);
    unlink(un.sun_path);
    assert_int_equal(sn_notify("READY=1"), 0);

    memset(&un, 0, sizeof un); /* a name without a file */
    un.sun_family = AF_UNIX;
    int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "%s", dir);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, size), 0);
    char name[64];
    snprintf(name, sizeof name, "@%s", dir);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(sn_notify("STOPPING=1"), 1);
    assert_int_equal(recv(fd, got, sizeof got, 0), 10);
    close(fd);
    rmdir(dir);
    unsetenv("NOTIFY_SOCKET");
}

static void test_watchdog(void **state)
{
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(sn_notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(sn_notify_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(sn_notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_free_port_and_port_in_use),
        cmocka_unit_test(test_unix_path),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
