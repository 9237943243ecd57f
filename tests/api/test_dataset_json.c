/* Rows of data sets: what is printed is parsed as it was, to the last bit of a
 * mean; rows of earlier versions and damaged ones are read as far as they go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/dataset_json.h"

static void test_there_and_back(void **state)
{
    static const char *const corrupt[] = {"a/\"1\".png", "b/\xc3\xa9.jpg"};
    struct sn_dataset_row row = {.format = "folder",
                                 .uploaded = true,
                                 .has_info = true,
                                 .corrupt = corrupt};
    struct sn_dataset_row back;
    struct sn_texts texts;
    row.options = sn_dataset_options_default(true);
    row.options.channels = 1;
    row.options.size = 96;
    row.options.split_seed = 9007199254740991;
    row.options.test_share = 0.1;
    strcpy(row.options.train, "t-{000..146}.tar");
    row.info = (struct sn_dataset_info){
        .channels = 3,
        .classes = 1000,
        .variable = true,
        .train = 1281167,
        .test = 50000,
        .corrupt = 2,
        .checksum = "0123456789abcdef",
        .mean = {0.485f, 0.1f, 1.0f / 3},
        .std = {0.229f, 0.224f, 0.225f},
    };
    char *text = sn_dataset_row_print(&row);
    assert_non_null(text);
    sn_dataset_row_parse(text, &back, &texts);
    assert_string_equal(back.format, "folder");
    assert_true(back.uploaded && back.has_info && back.info.variable);
    assert_memory_equal(&back.options, &row.options, sizeof row.options);
    assert_memory_equal(back.info.mean, row.info.mean, sizeof row.info.mean);
    assert_memory_equal(back.info.std, row.info.std, sizeof row.info.std);
    assert_int_equal(back.info.train, 1281167);
    assert_int_equal(back.info.classes, 1000);
    assert_string_equal(back.info.checksum, row.info.checksum);
    assert_int_equal(back.info.corrupt, 2);
    assert_string_equal(back.corrupt[0], corrupt[0]);
    assert_string_equal(back.corrupt[1], corrupt[1]);
    free(texts.at);
    free(text);
}

static void test_others(void **state)
{
    static const struct {
        const char *body, *format;
        bool has_info;
        int channels;
    } cases[] = {
        {"{\"format\": \"cifar10\"}", "cifar10", false},
        {"{\"format\": \"of-a-later-version\"}", "unknown", false},
        {"{\"format\": \"idx\", \"info\": {}}", "idx", false},
        {"{\"format\": \"idx\", \"info\": {\"channels\": 7, \"checksum\": "
         "\"0\"}}",
         "idx", false},
        {"{\"format\": \"idx\", \"info\": {\"channels\": 1, \"checksum\": "
         "\"0\", \"corrupt\": [1, null]}}",
         "idx", true, 1},
        {"{\"format\": \"npy\", \"options\": {\"channels\": 1}, "
         "\"info\": {\"channels\": 3, \"checksum\": \"0\"}}",
         "npy", true, 3},
        {"{\"format\": \"tar\"}", "tar", false, 3},
        {"[1]", "unknown", false},
        {"{", "unknown", false},
        {"", "unknown", false},
        {NULL, "unknown", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sn_dataset_row row;
        struct sn_texts texts;
        sn_dataset_row_parse(cases[i].body, &row, &texts);
        assert_string_equal(row.format, cases[i].format);
        assert_int_equal(row.has_info, cases[i].has_info);
        /* of images that are read as they are: what they were found to be */
        assert_int_equal(row.options.channels, cases[i].channels);
        free(texts.at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
