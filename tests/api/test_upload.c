/* A body becomes a file byte for byte, whatever the sizes of its pieces; a
 * reader faster than the disk is told to wait and told when to go on; bodies
 * over the limit, too many at a time and those without room fail with what is
 * wrong; nothing is left of what nobody took, also by an earlier run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "api/server.h"
#include "api/upload.h"

struct bench {
    uv_loop_t loop;
    struct sn_server *server;
    struct sn_uploads *all;
    char dir[64], uploads[96];
    unsigned more, whole;
};

static void on_more(void *arg)
{
    ((struct bench *)arg)->more++;
}

static void on_whole(void *arg)
{
    ((struct bench *)arg)->whole++;
}

static void write_file(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("left", file);
    fclose(file);
}

static int setup(void **state)
{
    static struct bench b;
    char left[128];
    struct sn_error err = {0};
    memset(&b, 0, sizeof b);
    strcpy(b.dir, "/tmp/sn-upload-test-XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    snprintf(b.uploads, sizeof b.uploads, "%s/uploads", b.dir);
    assert_int_equal(mkdir(b.uploads, 0700), 0);
    snprintf(left, sizeof left, "%s/7", b.uploads);
    write_file(left);
    uv_loop_init(&b.loop);
    assert_int_equal(sn_server_new(&b.loop, &b.server, &err), SN_OK);
    assert_int_equal(sn_uploads_new(b.server, b.dir, &b.all, &err), SN_OK);
    *state = &b;
    return 0;
}

static void settle(struct bench *b)
{
    while (sn_uploads_busy(b->all))
        uv_run(&b->loop, UV_RUN_ONCE);
}

static int files_in(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    bool closed = false;
    settle(b);
    assert_int_equal(files_in(b->uploads), 0);
    sn_uploads_stop(b->all);
    sn_server_close(b->server, on_closed, &closed);
    while (!closed)
        uv_run(&b->loop, UV_RUN_ONCE);
    sn_uploads_free(b->all);
    uv_loop_close(&b->loop);
    assert_int_equal(rmdir(b->uploads), 0);
    assert_int_equal(rmdir(b->dir), 0);
    return 0;
}

static struct sn_upload *begin(struct bench *b, uint64_t limit, uint64_t size)
{
    struct sn_upload_calls calls = {on_more, on_whole, b};
    struct sn_upload *u = NULL;
    struct sn_error err = {0};
    if (sn_upload_begin(b->all, limit, size, &calls, &u, &err) != SN_OK)
        fail_msg("%s", err.message);
    return u;
}

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + i / 251);
}

/* Pieces of growing size, waiting when told to; returns how often it was. */
static unsigned feed(struct bench *b, struct sn_upload *u, size_t size)
{
    unsigned waits = 0;
    size_t at = 0, piece = 1;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(i);
    while (at < size) {
        size_t n = piece < size - at ? piece : size - at;
        unsigned more = b->more;
        bool goes_on = sn_upload_add(u, bytes + at, n);
        at += n;
        piece = piece * 3 + 1 < 400000 ? piece * 3 + 1 : 1;
        waits += !goes_on;
        while (!goes_on && b->more == more)
            uv_run(&b->loop, UV_RUN_ONCE);
    }
    free(bytes);
    return waits;
}

static void test_file_is_body(void **state)
{
    enum { SIZE = 5000001 };
    struct bench *b = *state;
    struct sn_upload *u = begin(b, SIZE, SIZE);
    char kept[128];
    unsigned waits = feed(b, u, SIZE);
    assert_int_equal(b->more, waits);
    assert_int_equal(b->whole, 0);
    sn_upload_end(u);
    settle(b);
    assert_int_equal(b->whole, 1);
    assert_int_equal(sn_upload_error(u)->code, SN_OK);
    assert_int_equal(sn_upload_size(u), SIZE);
    snprintf(kept, sizeof kept, "%s/kept", b->dir);
    assert_int_equal(rename(sn_upload_take(u), kept), 0);
    sn_upload_free(u);
    settle(b);
    FILE *file = fopen(kept, "r");
    assert_non_null(file);
    for (size_t i = 0; i < SIZE; i++)
        if (getc(file) != byte_at(i))
            fail_msg("byte %zu differs", i);
    assert_int_equal(getc(file), EOF);
    fclose(file);
    assert_int_equal(unlink(kept), 0);
}

/* A burst without heed is taken whole, and told that it should wait. */
static void test_waits(void **state)
{
    enum { SIZE = 4 << 20 };
    struct bench *b = *state;
    struct sn_upload *u = begin(b, SIZE, 0);
    char *bytes = calloc(1, SIZE);
    assert_non_null(bytes);
    assert_false(sn_upload_add(u, bytes, SIZE));
    free(bytes);
    settle(b);
    assert_int_equal(b->more, 1);
    sn_upload_end(u);
    settle(b);
    assert_int_equal(sn_upload_error(u)->code, SN_OK);
    assert_int_equal(b->whole, 1);
    sn_upload_free(u); /* not taken: removed */
}

static void test_limit(void **state)
{
    struct bench *b = *state;
    struct sn_upload *u = begin(b, 1000, 0);
    feed(b, u, 1000);
    assert_int_equal(sn_upload_error(u)->code, SN_OK);
    sn_upload_add(u, "x", 1);
    assert_int_equal(sn_upload_error(u)->code, SN_ERR_TOOLARGE);
    assert_true(sn_upload_add(u, "x", 1)); /* thrown away, without a wait */
    sn_upload_end(u);
    settle(b);
    assert_int_equal(b->whole, 1);
    sn_upload_free(u);
}

static void test_no_room(void **state)
{
    struct bench *b = *state;
    struct sn_upload *u = begin(b, UINT64_MAX, UINT64_MAX / 2);
    settle(b);
    assert_int_equal(sn_upload_error(u)->code, SN_ERR_DISKFULL);
    sn_upload_free(u);
}

static void test_too_many(void **state)
{
    struct bench *b = *state;
    struct sn_upload *u[SN_MAX_UPLOADS], *last = NULL;
    struct sn_upload_calls calls = {on_more, on_whole, b};
    struct sn_error err = {0};
    for (int i = 0; i < SN_MAX_UPLOADS; i++)
        u[i] = begin(b, 10, 10);
    assert_int_equal(sn_upload_begin(b->all, 10, 10, &calls, &last, &err),
                     SN_ERR_BUSY);
    sn_upload_free(u[3]);
    settle(b);
    u[3] = begin(b, 10, 10);
    for (int i = 0; i < SN_MAX_UPLOADS; i++)
        sn_upload_free(u[i]);
    settle(b);
    assert_int_equal(b->whole, 0); /* nobody is called after the end */
}

/* One that is still there when the thread ends: a cut connection at the end
 * of the server. */
static void test_stop(void **state)
{
    struct bench *b = *state;
    struct sn_upload *u = begin(b, 10, 10);
    sn_upload_add(u, "abc", 3);
    settle(b);
    assert_int_equal(files_in(b->uploads), 1);
    sn_uploads_stop(b->all);
    sn_upload_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_is_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
