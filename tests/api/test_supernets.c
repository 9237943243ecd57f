/* Supernets over HTTP: a body that is no JSON reaches the host whole, as a
 * file, whatever comes before its handler; limits and missing names are refused
 * before that; what `calibration` and `normalize` ask for is what is exported;
 * refusals of the host get their status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/api/harness.h"

enum { LIMIT = 3 << 20 };
static const char binary[] = "Content-Type: application/octet-stream\r\n";

static int setup(void **state)
{
    static struct harness h;
    struct sn_api_config config = {.limits = {.body = 4096, .upload = LIMIT}};
    harness_open(&h, &config);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    harness_close(*state);
    return 0;
}

static char *text_of(size_t n)
{
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'w', n);
    text[n] = '\0';
    return text;
}

static void expect(struct harness *h, const char *method, const char *target,
                   const char *extra, const char *body, int status,
                   const char *part)
{
    struct reply r;
    request(h, method, target, extra, body, &r);
    if (r.status != status || strstr(r.body, part) == NULL)
        fail_msg("%s %s: %d %s", method, target, r.status, r.body);
    reply_close(&r);
}

static void test_upload_is_whole(void **state)
{
    static const size_t sizes[] = {1, 5000, 300000, LIMIT};
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *body = text_of(sizes[i]);
        h->imported_bytes = 0;
        expect(h, "POST", "/api/v1/supernets?name=new&space=mbv3-tiny", binary,
               body, 400, "it is cut short");
        assert_string_equal(h->imported, "new mbv3-tiny 1");
        assert_int_equal(h->imported_bytes, sizes[i]);
        free(body);
    }
}

static void test_upload_is_refused(void **state)
{
    struct harness *h = *state;
    struct reply r;
    char *body = text_of(5000);
    expect(h, "POST", "/api/v1/supernets", binary, body, 400, "\"name\"");
    expect(h, "POST", "/api/v1/supernets?name=a", binary, "", 400, "body");
    expect(h, "POST", "/api/v1/supernets?nome=a", binary, body, 400, "nome");
    /* as JSON the small limit holds */
    expect(h, "POST", "/api/v1/supernets?name=a", "", body, 413, "4096");
    free(body);
    int fd = client_connect(h);
    client_send(fd, "POST /api/v1/supernets?name=a HTTP/1.1\r\n"
                    "Host: localhost\r\nContent-Length: 50000000\r\n"
                    "Content-Type: Application/Vnd.Safetensors; x=1\r\n\r\n");
    assert_true(client_read(fd, false, &r)); /* before any of the body */
    assert_int_equal(r.status, 413);
    reply_close(&r);
    close(fd);
    assert_string_equal(h->imported, "");
}

/* A client that goes away leaves no file. */
static void test_cut_upload(void **state)
{
    struct harness *h = *state;
    char path[128];
    int fd = client_connect(h), left = 1;
    client_send(fd, "POST /api/v1/supernets?name=a HTTP/1.1\r\n"
                    "Host: localhost\r\nContent-Length: 500000\r\n"
                    "Content-Type: application/octet-stream\r\n\r\nabc");
    usleep(100000);
    close(fd);
    snprintf(path, sizeof path, "%s/uploads", h->dir);
    for (int i = 0; i < 200 && left > 0; i++) {
        DIR *dir = opendir(path);
        struct dirent *entry;
        assert_non_null(dir);
        left = 0;
        while ((entry = readdir(dir)) != NULL)
            left += entry->d_name[0] != '.';
        closedir(dir);
        usleep(20000);
    }
    assert_int_equal(left, 0);
    assert_string_equal(h->imported, "");
}

static void test_by_path(void **state)
{
    struct harness *h = *state;
    expect(h, "POST", "/api/v1/supernets", "",
           "{\"name\": \"n\", \"path\": \"/x\"}", 400, "\"/path\"");
    assert_string_equal(h->imported, "n  0");
    expect(h, "POST", "/api/v1/supernets", "",
           "{\"name\": \"n\", \"path\": \"x\"}", 400, "absolute");
    expect(h, "POST", "/api/v1/supernets", "", "{\"name\": \"n\"}", 400,
           "\"/path\"");
    expect(h, "POST", "/api/v1/supernets?name=n", "",
           "{\"name\": \"n\", \"path\": \"/x\"}", 400, "upload");
}

static void test_views(void **state)
{
    struct harness *h = *state;
    expect(h, "GET", "/api/v1/supernets", "", "", 200, "\"net\"");
    expect(h, "GET", "/api/v1/supernets/net", "", "", 200, "\"step\":77");
    expect(h, "GET", "/api/v1/supernets/none", "", "", 404, "none");
    expect(h, "DELETE", "/api/v1/supernets/net", "", "", 409, "queued");
    expect(h, "DELETE", "/api/v1/supernets/none", "", "", 404, "none");
}

static void test_models(void **state)
{
    static const struct {
        const char *file, *exported;
    } good[] = {
        /* its own data set is there, unchanged */
        {"model.onnx", "net small 0 0"},
        {"model.onnx?calibration=none", "net none 0 0"},
        {"model.onnx?calibration=small&normalize=false", "net small 0 1"},
        {"weights.safetensors", "net small 1 0"},
        {"weights.safetensors?calibration=none", "net none 1 0"},
    };
    struct harness *h = *state;
    struct sn_arch arch;
    char id[SN_ARCH_ID_MAX], target[512];
    sn_arch_smallest(sn_space_find("mbv3-tiny"), &arch);
    sn_arch_encode(sn_space_find("mbv3-tiny"), &arch, id);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(target, sizeof target,
                 "/api/v1/supernets/net/architectures/%s/%s", id, good[i].file);
        expect(h, "GET", target, "", "", 200, "");
        assert_string_equal(h->exported, good[i].exported);
    }
    snprintf(target, sizeof target, "/api/v1/supernets/net/architectures/%s",
             id);
    expect(h, "GET", target, "", "", 200, "\"macs\"");
    strcat(target, "/model.onnx?calibration=other");
    expect(h, "GET", target, "", "", 400, "\"calibration\"");
    h->supernet.info.has_statistics = false;
    h->supernet.info.dataset[0] = '\0';
    *strrchr(target, '?') = '\0';
    expect(h, "GET", target, "", "", 422, "\"calibration\"");
    h->supernet.available = false;
    h->supernet.problem = "its file is damaged";
    expect(h, "GET", target, "", "", 409, "damaged");
    expect(h, "GET", "/api/v1/supernets/net", "", "", 200, "damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_upload_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upload_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_cut_upload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
