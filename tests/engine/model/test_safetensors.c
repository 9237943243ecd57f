/* Weight files: what is written is read back, names and metadata included; a
 * file appears whole or not at all; and a hostile file is refused with a
 * message, whatever it holds, without a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/safetensors.h"
#include "engine/rng.h"
#include "tests/engine/model/help.h"

static char folder[SN_HELP_PATH], path[SN_HELP_PATH];

static int setup(void **state)
{
    sn_help_folder(folder);
    sn_help_path(folder, "a.safetensors", path);
    return 0;
}

static int teardown(void **state)
{
    sn_help_remove(folder);
    return 0;
}

static const float floats[6] = {1.5f, -2, 3, 4e30f, -0.0f, 6};
static const uint64_t words[2] = {UINT64_MAX, 7};
static const int64_t integers[1] = {INT64_MIN};
static const uint8_t bytes3[3] = {0, 127, 255};

/* An odd number of bytes first, so that order is shown to be mended. */
static enum sn_err write_sample(struct sn_error *err)
{
    const struct sn_st_tensor tensors[] = {
        sn_st_vector("state.bytes", SN_ST_U8, 3, bytes3),
        {.name = "a \"quoted\\\n\xc3\xa9 name",
         .dtype = SN_ST_F32,
         .ndim = 2,
         .shape = {2, 3},
         .data = floats},
        sn_st_vector("words", SN_ST_U64, 2, words),
        {.name = "scalar", .dtype = SN_ST_I64, .data = integers},
        sn_st_vector("empty", SN_ST_F32, 0, floats),
    };
    const struct sn_note notes[] = {{"step", "18446744073709551615"},
                                    {"", "tab\t\xf0\x9f\x99\x82"}};
    return sn_safetensors_write(path, tensors, 5, notes, 2, err);
}

static void test_round_trip(void **state)
{
    struct sn_error err;
    struct sn_safetensors *file = NULL;
    const void *data = NULL;
    uint64_t step = 0;
    assert_int_equal(write_sample(&err), SN_OK);
    assert_int_equal(sn_help_files(folder), 1);
    assert_int_equal(sn_safetensors_open(path, &file, &err), SN_OK);
    assert_int_equal(sn_safetensors_count(file), 5);
    assert_null(sn_safetensors_at(file, 5));

    const struct sn_st_tensor *t =
        sn_safetensors_find(file, "a \"quoted\\\n\xc3\xa9 name");
    assert_non_null(t);
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->shape[1], 3);
    assert_memory_equal(t->data, floats, sizeof(floats));
    assert_int_equal(
        sn_safetensors_get(file, "words", SN_ST_U64, 2, &data, &err), SN_OK);
    assert_memory_equal(data, words, sizeof(words));
    assert_int_equal((uintptr_t)data % 64, 0);
    assert_int_equal(
        sn_safetensors_get(file, "scalar", SN_ST_I64, 1, &data, &err), SN_OK);
    assert_memory_equal(data, integers, sizeof(integers));
    assert_int_equal(
        sn_safetensors_get(file, "state.bytes", SN_ST_U8, 3, &data, &err),
        SN_OK);
    assert_memory_equal(data, bytes3, sizeof(bytes3));

    assert_int_equal(sn_safetensors_note_u64(file, "step", &step, &err), SN_OK);
    assert_true(step == UINT64_MAX);
    assert_string_equal(sn_safetensors_note(file, ""), "tab\t\xf0\x9f\x99\x82");
    assert_null(sn_safetensors_note(file, "other"));
    assert_int_equal(sn_safetensors_note_u64(file, "", &step, &err),
                     SN_ERR_CORRUPT);
    sn_safetensors_free(file);
}

static void test_get_names_what_it_found(void **state)
{
    struct sn_error err;
    struct sn_safetensors *file = NULL;
    const void *data = NULL;
    assert_int_equal(write_sample(&err), SN_OK);
    assert_int_equal(sn_safetensors_open(path, &file, &err), SN_OK);
    assert_int_equal(
        sn_safetensors_get(file, "words", SN_ST_U64, 3, &data, &err),
        SN_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "2 elements of U64"));
    assert_int_equal(
        sn_safetensors_get(file, "words", SN_ST_I64, 2, &data, &err),
        SN_ERR_CORRUPT);
    assert_int_equal(
        sn_safetensors_get(file, "nothing", SN_ST_F32, 1, &data, &err),
        SN_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "missing"));
    assert_null(data);
    sn_safetensors_free(file);
}

static void test_what_cannot_be_written(void **state)
{
    const struct sn_note doubled[] = {{"k", "1"}, {"k", "2"}};
    const struct sn_st_tensor same[] = {sn_st_vector("a", SN_ST_U8, 3, bytes3),
                                        sn_st_vector("a", SN_ST_U8, 2, bytes3)};
    const struct sn_st_tensor reserved =
        sn_st_vector("__metadata__", SN_ST_U8, 3, bytes3);
    const struct sn_st_tensor no_text =
        sn_st_vector("\xc3", SN_ST_U8, 3, bytes3);
    struct sn_error err;
    assert_int_equal(sn_safetensors_write(path, same, 2, NULL, 0, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_safetensors_write(path, &reserved, 1, NULL, 0, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_safetensors_write(path, &no_text, 1, NULL, 0, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_safetensors_write(path, NULL, 0, doubled, 2, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_help_files(folder), 0);
}

/* The disk fails in the middle: the old file stays, nothing is left over. */
static void test_whole_or_not_at_all(void **state)
{
    static const uint8_t big[20000] = {1};
    const struct sn_st_tensor t = sn_st_vector("big", SN_ST_U8, 20000, big);
    struct sn_error err;
    struct sn_safetensors *file = NULL;
    struct rlimit before, small;
    assert_int_equal(write_sample(&err), SN_OK);

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 8192;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum sn_err code = sn_safetensors_write(path, &t, 1, NULL, 0, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    assert_int_equal(code, SN_ERR_IO);
    assert_non_null(strstr(err.message, "a.safetensors"));
    assert_int_equal(sn_help_files(folder), 1);
    assert_int_equal(sn_safetensors_open(path, &file, &err), SN_OK);
    assert_int_equal(sn_safetensors_count(file), 5);
    sn_safetensors_free(file);
    assert_int_equal(
        sn_safetensors_write("/nowhere/at/all", &t, 1, NULL, 0, &err),
        SN_ERR_IO);
}

/* ---- hostile files ---- */

/* A file of this header and so many zero bytes, in a heap block of exactly its
 * size, so that the sanitizer sees a read past it. */
static enum sn_err parse(const char *header, size_t header_size, size_t buffer,
                         struct sn_error *err)
{
    struct sn_safetensors *file = NULL;
    uint64_t length = header_size;
    size_t size = 8 + header_size + buffer;
    char *whole = calloc(1, size);
    assert_non_null(whole);
    memcpy(whole, &length, 8);
    memcpy(whole + 8, header, header_size);
    enum sn_err code = sn_safetensors_parse(whole, size, &file, err);
    assert_true((code == SN_OK) == (file != NULL));
    sn_safetensors_free(file);
    free(whole);
    return code;
}

#define ENTRY(name, dtype, shape, offsets)                   \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
    ",\"data_offsets\":" offsets "}"

static const struct hostile {
    const char *header;
    size_t buffer;
    const char *message; /* part of it; NULL: the file is good */
} hostile[] = {
    {"{}", 0, NULL},
    {"{ } \n", 0, NULL},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 8, NULL},
    {"{" ENTRY("\\u00e9\\ud83d\\ude42", "U8", "[]", "[0,1]") "}", 1, NULL},
    {"{\"__metadata__\":{}," ENTRY("a", "I8", "[0,9]", "[0,0]") "}", 0, NULL},
    {"{}", 1, "belong to no tensor"},
    {"{} x", 0, "follows"},
    {"[]", 0, "start with {"},
    {" {}", 0, "start with {"},
    {"{\"a", 0, "does not end"},
    {"{\"a\"", 0, "unexpected"},
    {"{\"a\\", 0, "within an escape"},
    {"{\"a\\u12", 0, "within an escape"},
    {"{\"a\\u12g4\":1}", 0, "hex"},
    {"{\"a\\x\":1}", 0, "unknown escape"},
    {"{\"a\\u0000\":1}", 0, "NUL"},
    {"{\"\\ud800\":1}", 0, "surrogate"},
    {"{\"\\ud800\\u0041\":1}", 0, "surrogate"},
    {"{\"\\udc00\":1}", 0, "surrogate"},
    {"{\"\xff\":1}", 0, "UTF-8"},
    {"{\"\xc0\x80\":1}", 0, "UTF-8"},
    {"{\"a\n\":1}", 0, "control"},
    {"{\"a\":1}", 0, "unexpected"},
    {"{\"a\":{}}", 0, "unexpected"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, "lacks"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "doubled"},
    {"{\"a\":{\"type\":\"F32\"}}", 0, "unknown key"},
    {"{\"a\":{\"a_key_that_is_very_long\":\"F32\"}}", 0, "too long"},
    {"{" ENTRY("a", "F31", "[2]", "[0,8]") "}", 8, "dtype"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") ",}", 8, "unexpected"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8,]") "}", 8, "unexpected"},
    {"{" ENTRY("a", "F32", "[-2]", "[0,8]") "}", 8, "whole number"},
    {"{" ENTRY("a", "F32", "[2.0]", "[0,8]") "}", 8, "unexpected"},
    {"{" ENTRY("a", "F32", "[02]", "[0,8]") "}", 8, "starts with 0"},
    {"{" ENTRY("a", "F32", "[3]", "[0,8]") "}", 8, "disagree"},
    {"{" ENTRY("a", "U64", "[2]", "[0,8]") "}", 8, "disagree"},
    {"{" ENTRY("a", "F32", "[2]", "[0,12]") "}", 8, "outside"},
    {"{" ENTRY("a", "F32", "[2]", "[8,0]") "}", 8, "outside"},
    {"{" ENTRY("a", "F32", "[2]",
               "[9223372036854775800,"
               "9223372036854775807]") "}",
     8, "outside"},
    {"{" ENTRY("a", "F32", "[2]", "[0,9223372036854775808]") "}", 8,
     "too large"},
    /* 4 * 2^31 * 2^31 = 2^64: nothing is left of it in 64 bits */
    {"{" ENTRY("a", "F32", "[2147483648,2147483648]", "[0,0]") "}", 0,
     "shape is too large"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4,
     "too many dimensions"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("a", "F32", "[2]",
                                                     "[8,16]") "}",
     16, "twice"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("\\u0061", "F32", "[2]",
                                                     "[8,16]") "}",
     16, "twice"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]",
                                                     "[4,12]") "}",
     12, "overlaps"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]",
                                                     "[0,8]") "}",
     8, "overlaps"},
    {"{" ENTRY("a", "F32", "[2]", "[4,12]") "}", 12, "hole"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "unexpected"},
    {"{\"__metadata__\":[]}", 0, "unexpected"},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
};

static void test_hostile_headers(void **state)
{
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        const struct hostile *h = &hostile[i];
        struct sn_error err = {0};
        enum sn_err code = parse(h->header, strlen(h->header), h->buffer, &err);
        if (code != (h->message ? SN_ERR_CORRUPT : SN_OK) ||
            (h->message && !strstr(err.message, h->message)))
            fail_msg("%s: %s (expected: %s)", h->header, err.message,
                     h->message ? h->message : "no error");
    }
}

static void test_hostile_lengths(void **state)
{
    static const uint64_t lengths[] = {0,         1,  3,         100,
                                       16u << 20, -1, INT64_MAX, (uint64_t)-8};
    struct sn_error err;
    struct sn_safetensors *file = NULL;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        unsigned char whole[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        memcpy(whole, &lengths[i], 8);
        assert_int_equal(sn_safetensors_parse(whole, 10, &file, &err),
                         SN_ERR_CORRUPT);
    }
    assert_int_equal(sn_safetensors_parse("", 0, &file, &err), SN_ERR_CORRUPT);
    assert_int_equal(sn_safetensors_parse("1234567{", 8, &file, &err),
                     SN_ERR_CORRUPT);
    sn_help_write(path, "", 0);
    assert_int_equal(sn_safetensors_open(path, &file, &err), SN_ERR_CORRUPT);
    assert_int_equal(sn_safetensors_open(folder, &file, &err), SN_ERR_CORRUPT);
    assert_int_equal(sn_safetensors_open("/nowhere", &file, &err),
                     SN_ERR_NOTFOUND);
    assert_null(file);
}

/* Every cut of a good file is refused. */
static void test_every_truncation(void **state)
{
    struct sn_error err;
    size_t size = 0;
    assert_int_equal(write_sample(&err), SN_OK);
    unsigned char *whole = sn_help_read(path, &size);
    for (size_t cut = 0; cut < size; cut++) {
        struct sn_safetensors *file = NULL;
        unsigned char *part = malloc(cut + !cut);
        assert_non_null(part);
        memcpy(part, whole, cut);
        assert_int_equal(sn_safetensors_parse(part, cut, &file, &err),
                         SN_ERR_CORRUPT);
        free(part);
    }
    free(whole);
}

/* Reads all that a file hands out, so that a wrong pointer is met here. */
static unsigned long touch(const struct sn_safetensors *file)
{
    unsigned long sum = 0;
    struct sn_note note;
    for (size_t i = 0; i < sn_safetensors_count(file); i++) {
        const struct sn_st_tensor *t = sn_safetensors_at(file, i);
        size_t n = sn_st_count(t) * sn_st_dtype_bytes(t->dtype);
        for (size_t j = 0; j < n; j++)
            sum += ((const unsigned char *)t->data)[j];
        sum += sn_safetensors_find(file, t->name) == t;
    }
    for (size_t i = 0; sn_safetensors_note_at(file, i, &note); i++)
        sum += strlen(note.key) + strlen(note.value);
    return sum;
}

/* Bytes set, swapped for JSON's own, removed, or doubled. */
static size_t mutate(struct sn_rng *rng, unsigned char *bytes, size_t size)
{
    static const char lively[] = "{}[],:\"\\u0129-eE. \nDd";
    uint32_t edits = 1 + sn_rng_below(rng, 4);
    for (uint32_t i = 0; i < edits && size > 1; i++) {
        size_t at = sn_rng_below(rng, (uint32_t)size);
        switch (sn_rng_below(rng, 4)) {
        case 0:
            bytes[at] = (unsigned char)sn_rng_below(rng, 256);
            break;
        case 1:
            bytes[at] =
                (unsigned char)lively[sn_rng_below(rng, sizeof(lively) - 1)];
            break;
        case 2:
            memmove(bytes + at, bytes + at + 1, --size - at);
            break;
        default:
            memmove(bytes + at + 1, bytes + at, size++ - at);
        }
    }
    return size;
}

static void test_mutations(void **state)
{
    struct sn_error err;
    size_t size = 0, good = 0;
    unsigned long sum = 0;
    assert_int_equal(write_sample(&err), SN_OK);
    unsigned char *whole = sn_help_read(path, &size);
    for (uint32_t i = 0; i < 20000; i++) {
        struct sn_rng rng = sn_rng_make(11, SN_STREAM_TEST, i);
        struct sn_safetensors *file = NULL;
        unsigned char *bytes = malloc(size + 8);
        assert_non_null(bytes);
        memcpy(bytes, whole, size);
        size_t now = mutate(&rng, bytes, size);
        unsigned char *exact = realloc(bytes, now);
        assert_non_null(exact);
        err.message[0] = '\0';
        if (sn_safetensors_parse(exact, now, &file, &err) == SN_OK) {
            sum += touch(file);
            good++;
        } else {
            assert_true(err.message[0] != '\0');
        }
        sn_safetensors_free(file);
        free(exact);
    }
    free(whole);
    assert_in_range(good, 1, 19999);
    assert_true(sum > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get_names_what_it_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_whole_or_not_at_all, setup,
                                        teardown),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test_setup_teardown(test_hostile_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_truncation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mutations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
