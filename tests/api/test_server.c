/* HTTP as it is on the wire: keep-alive, HEAD, methods, sizes, slow clients,
 * Host and token; streams of events that begin at once, replay without loss or
 * repetition, drop slow readers; and a close that ends all that is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/api/harness.h"

static int setup(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.limits = {.streams = 3,
                                              .stream_backlog = 256 * 1024,
                                              .request_ms = 600,
                                              .heartbeat_ms = 150,
                                              .body = 4096}};
    harness_open(&h, &config);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    harness_close(*state);
    return 0;
}

static void get_on(int fd, const char *method, const char *target)
{
    char text[512];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             method, target);
    client_send(fd, text);
}

static void test_keep_alive(void **state)
{
    int fd = client_connect(*state);
    struct reply r;
    static const char *const targets[] = {"/healthz", "/api/v1/jobs/none",
                                          "/api/v1/jobs/ja/best", "/readyz"};
    static const int statuses[] = {200, 404, 200, 200};
    for (int i = 0; i < 4; i++) {
        get_on(fd, "GET", targets[i]);
        assert_true(client_read(fd, false, &r));
        assert_int_equal(r.status, statuses[i]);
        reply_close(&r);
    }
    close(fd);
}

static void test_head(void **state)
{
    int fd = client_connect(*state);
    struct reply r;
    get_on(fd, "HEAD", "/api/v1/version");
    assert_true(client_read(fd, true, &r));
    assert_int_equal(r.status, 200);
    assert_true(atoi(reply_header(&r, "Content-Length")) > 10);
    reply_close(&r);
    get_on(fd, "GET", "/healthz"); /* no stray body lies before it */
    assert_true(client_read(fd, false, &r));
    assert_int_equal(r.status, 200);
    reply_close(&r);
    close(fd);
}

static void test_methods_and_paths(void **state)
{
    struct reply r;
    request(*state, "DELETE", "/api/v1/jobs", "", "", &r);
    assert_int_equal(r.status, 405);
    assert_string_equal(reply_header(&r, "Allow"), "POST, GET, HEAD");
    assert_string_equal(reply_header(&r, "Content-Type"),
                        "application/problem+json");
    reply_close(&r);
    request(*state, "GET", "/api/v1/nothing", "", "", &r);
    assert_int_equal(r.status, 404);
    reply_close(&r);
    request(*state, "GET", "/../../../etc/passwd", "", "", &r);
    assert_int_equal(r.status, 404);
    reply_close(&r);
    request(*state, "GET", "/api/v1/jobs?x=1", "", "", &r);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "\"parameter\":\"x\""));
    reply_close(&r);
    request(*state, "GET", "/", "", "", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(reply_header(&r, "Content-Security-Policy"));
    assert_non_null(strstr(r.body, "dashboard is not installed"));
    reply_close(&r);
}

static void test_too_large(void **state)
{
    struct reply r;
    char chunk[1100];
    int fd = client_connect(*state);
    client_send(fd, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 50000000\r\n\r\n");
    assert_true(client_read(fd, false, &r)); /* before any of the body */
    assert_int_equal(r.status, 413);
    reply_close(&r);
    close(fd);

    fd = client_connect(*state);
    client_send(fd, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    assert_true(client_read(fd, false, &r)); /* it asked first */
    assert_int_equal(r.status, 413);
    reply_close(&r);
    close(fd);

    /* A body that is sent without asking is read to its end, so that the
     * connection is not reset under the reply; and it can go on. */
    fd = client_connect(*state);
    client_send(fd, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 5000\r\n\r\n");
    memset(chunk, ' ', 1000);
    chunk[1000] = '\0';
    for (int i = 0; i < 5; i++)
        client_send(fd, chunk);
    assert_true(client_read(fd, false, &r));
    assert_int_equal(r.status, 413);
    reply_close(&r);
    client_send(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(client_read(fd, false, &r));
    assert_int_equal(r.status, 200);
    reply_close(&r);
    close(fd);

    fd = client_connect(*state);
    client_send(fd, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    memset(chunk, ' ', sizeof chunk);
    memcpy(chunk, "400\r\n", 5);
    memcpy(chunk + 5 + 1024, "\r\n", 3);
    for (int i = 0; i < 6; i++)
        client_send(fd, chunk);
    client_send(fd, "0\r\n\r\n");
    assert_true(client_read(fd, false, &r));
    assert_int_equal(r.status, 413);
    reply_close(&r);
    close(fd);

    /* One that never ends is cut. */
    fd = client_connect(*state);
    client_send(fd, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++)
        client_send(fd, chunk);
    assert_false(client_read(fd, false, &r));
    close(fd);
}

/* A byte now and then keeps every idle timeout away, but not the deadline. */
static void slow(struct harness *h, const char *begin)
{
    char byte;
    int fd = client_connect(h);
    bool ended = false;
    client_send(fd, begin);
    for (int i = 0; i < 200 && !ended; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        client_send(fd, "x");
        if (poll(&p, 1, 100) > 0)
            ended = read(fd, &byte, 1) <= 0;
    }
    assert_true(ended);
    close(fd);
}

static void test_slow_clients_are_cut(void **state)
{
    slow(*state, "GE");
    slow(*state, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    slow(*state, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Length: 4000\r\n\r\n");
}

static void test_host(void **state)
{
    struct reply r;
    int fd = client_connect(*state);
    client_send(fd, "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_true(client_read(fd, false, &r));
    assert_int_equal(r.status, 403);
    reply_close(&r);
    close(fd);
    request(*state, "GET", "/healthz", "Origin: http://evil.example\r\n", "",
            &r);
    assert_int_equal(r.status, 403);
    reply_close(&r);
}

static void test_token(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.token = "s3cret"};
    struct reply r;
    harness_open(&h, &config);
    request(&h, "GET", "/api/v1/jobs", "", "", &r);
    assert_int_equal(r.status, 401);
    assert_string_equal(reply_header(&r, "WWW-Authenticate"), "Bearer");
    reply_close(&r);
    request(&h, "GET", "/api/v1/jobs", "Authorization: Bearer s3cret\r\n", "",
            &r);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    request(&h, "GET", "/healthz", "", "", &r);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    harness_close(&h);
}

static void nothing_left(void *arg)
{
    *(bool *)arg = true;
}

static void test_start_refusals(void **state)
{
    struct harness *h = *state;
    static const struct {
        const char *address;
        enum sn_err code;
    } bad[] = {{"0.0.0.0", SN_ERR_UNSUPPORTED},
               {"localhost", SN_ERR_INVALID},
               {"127.0.0.1", SN_ERR_IO}}; /* the port is in use */
    for (size_t i = 0; i < 3; i++) {
        uv_loop_t loop;
        bool closed = false;
        struct sn_api *api = NULL;
        struct sn_error err = {0};
        struct sn_api_config config = {.listen_fd = -1,
                                       .address = bad[i].address,
                                       .port = i == 2 ? (uint16_t)h->port : 0};
        uv_loop_init(&loop);
        assert_int_equal(sn_api_new(&loop, &h->host, &config, &api, &err),
                         SN_OK);
        assert_int_equal(sn_api_start(api, &err), bad[i].code);
        assert_true(err.message[0] != '\0');
        sn_api_close(api, nothing_left, &closed);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_true(closed);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

/* ---- events ---- */

/* Until streams that tests before this one have left are gone. */
static void wait_for_no_streams(struct harness *h)
{
    for (bool gone = false; !gone;) {
        struct reply r;
        request(h, "GET", "/metrics", "", "", &r);
        gone = strstr(r.body, "sparsenas_event_streams 0\n") != NULL;
        reply_close(&r);
        usleep(10000);
    }
}

static int open_stream(struct harness *h, const char *query, const char *extra)
{
    char text[512];
    int fd = client_connect(h);
    snprintf(text, sizeof text,
             "GET /api/v1/events%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
             query, extra);
    client_send(fd, text);
    return fd;
}

static void test_stream_begins_at_once(void **state)
{
    char text[2048];
    int fd = open_stream(*state, "", "");
    assert_true(stream_until(fd, "retry: 2000", text, sizeof text));
    assert_non_null(strstr(text, "text/event-stream"));
    assert_true(stream_until(fd, "\n: \n", text, sizeof text)); /* alive */
    close(fd);
}

static void publish_event(struct harness *h, void *arg)
{
    sn_api_publish(h->api, arg);
}

static void test_replay_then_live(void **state)
{
    struct harness *h = *state;
    char text[4096];
    struct sn_event live = {
        .job = "ja", .type = "progress", .payload = "{\"live\":1}"};
    harness_event(h, "ja", "phase", "{\"n\":1}");
    harness_event(h, "jb", "phase", "{\"n\":2}");
    harness_event(h, "ja", "log", "{\"n\":3}");
    harness_event(h, "ja", "phase", "{\"n\":\n4}");
    harness_settle(h);
    int fd =
        open_stream(h, "?job=ja&types=phase,progress", "Last-Event-ID: 0\r\n");
    assert_true(stream_until(fd, "{\"n\": 4}", text, sizeof text));
    assert_non_null(strstr(text, "event: phase\ndata: {\"job\":\"ja\","
                                 "\"time\":1.500,\"data\":{\"n\":1}}\n\n"));
    assert_null(strstr(text, "{\"n\":2}"));
    assert_null(strstr(text, "{\"n\":3}"));
    harness_event(h, "ja", "phase", "{\"n\":5}");
    assert_true(stream_until(fd, "{\"n\":5}", text, sizeof text));
    assert_non_null(strstr(text, "id: "));
    harness_call(h, publish_event, &live);
    assert_true(stream_until(fd, "{\"live\":1}", text, sizeof text));
    assert_null(strstr(text, "id: ")); /* not stored, so no id */
    close(fd);

    /* From the middle, by the query. */
    fd = open_stream(h, "?job=ja&last_event_id=4", "");
    assert_true(stream_until(fd, "{\"n\":5}", text, sizeof text));
    assert_null(strstr(text, "{\"n\": 4}"));
    close(fd);
}

/* Clients that come while events are being written get each exactly once. */
static void test_no_loss_no_repetition(void **state)
{
    enum { EVENTS = 3000, STREAMS = 3 };
    struct harness *h = *state;
    int fd[STREAMS];
    char line[1024];
    wait_for_no_streams(h);
    for (int i = 0; i < EVENTS; i++) {
        if (i % 1000 == 10)
            fd[i / 1000] =
                open_stream(h, "?types=checkpoint&last_event_id=0", "");
        harness_event(h, "ja", "checkpoint", "{}");
    }
    for (int i = 0; i < STREAMS; i++) {
        FILE *in = fdopen(fd[i], "r");
        long long last = 0;
        int seen = 0;
        while (seen < EVENTS && fgets(line, sizeof line, in) != NULL) {
            long long id;
            if (sscanf(line, "id: %lld", &id) != 1)
                continue;
            assert_true(id == last + 1 || seen == 0);
            last = id;
            seen++;
        }
        assert_int_equal(seen, EVENTS);
        fclose(in);
    }
}

struct window {
    sem_t busy, go;
};

static void block_reader(void *arg, struct sn_reader *reader)
{
    struct window *w = arg;
    sem_post(&w->busy);
    sem_wait(&w->go);
}

static void do_nothing(void *arg, struct sn_reader *reader)
{
}

/* On the loop: lets the replay's read happen, whose result the loop cannot see
 * yet, and only then commits and publishes an event. */
static void publish_in_the_window(struct harness *h, void *arg)
{
    struct window *w = arg;
    struct sn_event event = {
        .job = "ja", .type = "front", .payload = "{\"late\":1}"};
    struct sn_write write = {.events = &event, .n_events = 1};
    sem_post(&w->go);
    sem_post(&w->go);
    for (int i = 0; i < 4; i++)
        sn_storage_read_wait(h->storage, do_nothing, NULL, NULL);
    usleep(50000);
    assert_int_equal(sn_storage_append_events(h->storage, &write, NULL), SN_OK);
    harness_settle(h);
    event.seq = 1000000; /* above all that there are */
    sn_api_publish(h->api, &event);
}

/* What is committed between a replay's read and its arrival is not lost. */
static void test_event_in_the_window(void **state)
{
    struct harness *h = *state;
    struct window w;
    char text[4096];
    sem_init(&w.busy, 0, 0);
    sem_init(&w.go, 0, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sn_storage_read(h->storage, block_reader, &w, NULL),
                         SN_OK);
    sem_wait(&w.busy);
    sem_wait(&w.busy);
    int fd = open_stream(h, "?types=front&last_event_id=0", "");
    assert_true(stream_until(fd, "hello", text, sizeof text));
    usleep(50000); /* the replay waits for a reader */
    harness_call(h, publish_in_the_window, &w);
    assert_true(stream_until(fd, "{\"late\":1}", text, sizeof text));
    close(fd);
    sem_destroy(&w.busy);
    sem_destroy(&w.go);
}

static void test_stream_limits(void **state)
{
    struct harness *h = *state;
    char text[2048];
    int fd[3];
    struct reply r;
    wait_for_no_streams(h);
    for (int i = 0; i < 3; i++) {
        fd[i] = open_stream(h, "", "");
        assert_true(stream_until(fd[i], "hello", text, sizeof text));
    }
    request(h, "GET", "/api/v1/events", "", "", &r);
    assert_int_equal(r.status, 503);
    reply_close(&r);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}

static void test_stream_refusals(void **state)
{
    static const struct {
        const char *target, *extra;
        int status;
    } bad[] = {{"/api/v1/events?types=nonsense", "", 400},
               {"/api/v1/events?job=none", "", 404},
               {"/api/v1/events?last_event_id=-1", "", 400},
               {"/api/v1/events", "Last-Event-ID: x\r\n", 400}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct reply r;
        request(*state, "GET", bad[i].target, bad[i].extra, "", &r);
        assert_int_equal(r.status, bad[i].status);
        reply_close(&r);
    }
}

/* Who does not read is dropped, and nobody else notices. */
static void test_slow_reader_is_dropped(void **state)
{
    enum { BIG = 60000 };
    struct harness *h = *state;
    char text[2048], *payload = malloc(BIG + 3);
    memset(payload, 'x', BIG + 2);
    payload[0] = payload[BIG + 1] = '"';
    payload[BIG + 2] = '\0';
    struct sn_event event = {.job = "ja", .type = "log", .payload = payload};
    wait_for_no_streams(h);
    int fd = open_stream(h, "", "");
    assert_true(stream_until(fd, "hello", text, sizeof text));
    for (int i = 0; i < 400; i++)
        harness_call(h, publish_event, &event);
    ssize_t n = 1;
    size_t got = 0;
    while (n > 0 && got < (size_t)BIG * 400) {
        n = read(fd, payload, BIG);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_true(n <= 0);
    close(fd);
    free(payload);
}

/* ---- the end ---- */

static void finish_export(struct harness *h, void *arg)
{
    h->export_done(h->export_arg, NULL, "/dev/null");
}

static void see_export(struct harness *h, void *arg)
{
    *(bool *)arg = h->export_done != NULL;
}

static void test_close_ends_everything(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.version = NULL};
    char text[4096];
    struct reply r;
    harness_open(&h, &config);
    int stream = open_stream(&h, "", "");
    assert_true(stream_until(stream, "hello", text, sizeof text));
    int replaying = open_stream(&h, "?last_event_id=0", "");
    int idle = client_connect(&h), half = client_connect(&h);
    client_send(half, "GET / HT");
    get_on(idle, "GET", "/healthz");
    assert_true(client_read(idle, false, &r));
    reply_close(&r);
    int waiting = client_connect(&h);
    get_on(waiting, "GET",
           "/api/v1/jobs/ja/architectures/"
           "r28.k3-3-3-3-3.e2-2-2-2-2/model.onnx");
    bool asked = false;
    for (int i = 0; i < 500 && !asked; i++) {
        usleep(1000);
        harness_call(&h, see_export, &asked);
    }
    assert_true(asked);
    harness_close_api(&h);
    assert_true(client_read(waiting, false, &r));
    assert_int_equal(r.status, 503);
    reply_close(&r);
    harness_call(&h, finish_export, NULL); /* too late, and harmless */
    int fds[] = {stream, replaying, idle, half, waiting};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        while (read(fds[i], text, sizeof text) > 0)
            continue;
        close(fds[i]);
    }
    harness_close(&h);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_methods_and_paths),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_slow_clients_are_cut),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_start_refusals),
        cmocka_unit_test(test_stream_begins_at_once),
        cmocka_unit_test(test_stream_refusals),
        cmocka_unit_test(test_replay_then_live),
        cmocka_unit_test(test_event_in_the_window),
        cmocka_unit_test(test_stream_limits),
        cmocka_unit_test(test_no_loss_no_repetition),
        cmocka_unit_test(test_slow_reader_is_dropped),
        cmocka_unit_test(test_close_ends_everything),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
