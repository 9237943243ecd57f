/* npy data sets: all three shapes and every integer type of labels are read as
 * the same images; what is damaged, lies about its size or is of another kind
 * is refused with the file named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/data.h"

enum { N = 4, SIDE = 5, BYTES = N * SIDE * SIDE * 3 };

static const char *const names[] = {"train_images.npy", "train_labels.npy",
                                    "test_images.npy", "test_labels.npy"};

static void put(const char *dir, const char *name, int version,
                const char *header, const void *data, size_t n)
{
    char path[256];
    size_t len = strlen(header);
    uint8_t head[12] = {0x93,
                        'N',
                        'U',
                        'M',
                        'P',
                        'Y',
                        (uint8_t)version,
                        0,
                        (uint8_t)len,
                        (uint8_t)(len >> 8)};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(head, 1, version == 1 ? 10 : 12, f);
    fwrite(header, 1, len, f);
    fwrite(data, 1, n, f);
    assert_int_equal(fclose(f), 0);
}

static uint8_t pixel(int i, int p, int c)
{
    return (uint8_t)(i * 50 + p * 3 + c * 70);
}

static void put_set(const char *dir)
{
    uint8_t image[BYTES];
    for (int i = 0, k = 0; i < N; i++)
        for (int p = 0; p < SIDE * SIDE; p++)
            for (int c = 0; c < 3; c++)
                image[k++] = pixel(i, p, c);
    for (int j = 0; j < 4; j += 2) {
        put(dir, names[j], 1,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5, 5, 3), "
            "}   \n",
            image, BYTES);
        put(dir, names[j + 1], 1,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }\n",
            "\0\1\2\1", N);
    }
}

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sn-npy-XXXXXX");
    *state = dir;
    if (dir == NULL || mkdtemp(dir) == NULL)
        return 1;
    put_set(dir);
    return 0;
}

static int remove_dir(void **state)
{
    char path[256];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
        unlink(path);
    }
    int rc = rmdir(*state);
    free(*state);
    return rc;
}

static struct sn_dataset_info info_of(const char *dir)
{
    struct sn_dataset *data = NULL;
    struct sn_dataset_info info;
    struct sn_error err;
    if (sn_dataset_open("npy", dir, &data, &err) != SN_OK)
        fail_msg("%s", err.message);
    sn_dataset_info(data, &info);
    sn_dataset_free(data);
    return info;
}

static void assert_refused(const char *dir, enum sn_err code, const char *word)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    enum sn_err rc = sn_dataset_open("npy", dir, &data, &err);
    if (rc != code || strstr(err.message, word) == NULL)
        fail_msg("%s: \"%s\", without \"%s\"", sn_err_name(rc), err.message,
                 word);
    assert_null(data);
}

static void test_planes_are_the_same_images(void **state)
{
    struct sn_dataset_info a = info_of(*state);
    uint8_t planes[BYTES];
    for (int i = 0, k = 0; i < N; i++)
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < SIDE * SIDE; p++)
                planes[k++] = pixel(i, p, c);
    assert_int_equal(a.channels, 3);
    assert_int_equal(a.classes, 3);
    assert_int_equal(a.train, N);
    put(*state, "train_images.npy", 2,
        "{\"shape\":(4,3,5,5),\"descr\":\"|u1\",\"fortran_order\":False}\n",
        planes, BYTES);
    assert_string_equal(a.checksum, info_of(*state).checksum);
}

static void test_grey_and_ambiguous(void **state)
{
    static const uint8_t zero[9 * 2 * 3 * 3];
    for (int j = 0; j < 4; j += 2)
        put(*state, names[j], 3,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2, 3), }\n",
            zero, 24);
    struct sn_dataset_info info = info_of(*state);
    assert_int_equal(info.channels, 1);
    assert_int_equal(info.height, 2);
    assert_int_equal(info.width, 3);
    for (int j = 0; j < 4; j += 2) /* channels are last where both fit */
        put(*state, names[j], 3,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4,3,2,1), }\n",
            zero, 24);
    info = info_of(*state);
    assert_int_equal(info.channels, 1);
    assert_int_equal(info.height, 3);
}

static void test_labels_of_every_type(void **state)
{
    static const char *const types[] = {"|u1", "|i1", "<u2", "<i2",
                                        "<u4", "<i4", "<u8", "<i8"};
    struct sn_dataset_info a = info_of(*state);
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        uint8_t labels[N * 8] = {0};
        char header[128];
        size_t width = (size_t)(types[t][2] - '0');
        for (size_t i = 0; i < N; i++)
            labels[i * width] = (uint8_t) "\0\1\2\1"[i];
        snprintf(header, sizeof header,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (4,), }\n",
                 types[t]);
        put(*state, "train_labels.npy", 1, header, labels, N * width);
        assert_string_equal(a.checksum, info_of(*state).checksum);
        if (types[t][1] == 'u')
            continue;
        memset(labels + width, 0xff, width); /* -1 */
        put(*state, "train_labels.npy", 1, header, labels, N * width);
        assert_refused(*state, SN_ERR_CORRUPT, "train_labels.npy: label 1 ");
    }
}

#define HEAD(type, order, shape) \
    "{'descr': " type ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void test_bad_headers(void **state)
{
    static const struct {
        const char *header;
        enum sn_err code;
        const char *says;
    } bad[] = {
        {HEAD("'|u1'", "True", "(4, 5, 5, 3)"), SN_ERR_INVALID, "Fortran"},
        {HEAD("'<f4'", "False", "(4, 5, 5, 3)"), SN_ERR_INVALID, "|u1"},
        {HEAD("'>i2'", "False", "(4, 5, 5, 3)"), SN_ERR_INVALID, "|u1"},
        {HEAD("'|O'", "False", "(4, 5, 5, 3)"), SN_ERR_INVALID, "|u1"},
        {HEAD("'|i1'", "False", "(4, 5, 5, 3)"), SN_ERR_INVALID, "uint8"},
        {HEAD("[('a', '|u1')]", "False", "(4,)"), SN_ERR_CORRUPT, "descr"},
        {HEAD("'|u1'", "0", "(4, 5, 5, 3)"), SN_ERR_CORRUPT, "fortran_order"},
        {HEAD("'|u1'", "False", "(300)"), SN_ERR_CORRUPT, "tuple"},
        {HEAD("'|u1'", "False", "(4, -5, 5, 3)"), SN_ERR_CORRUPT, "tuple"},
        {HEAD("'|u1'", "False", "(1, 4, 5, 5, 3)"), SN_ERR_CORRUPT, "tuple"},
        {HEAD("'|u1'", "False", "(300,)"), SN_ERR_INVALID, "[n, h, w]"},
        {HEAD("'|u1'", "False", "(6, 5, 5, 2)"), SN_ERR_INVALID, "[n, h, w]"},
        {HEAD("'|u1'", "False", "(4, 0, 5, 3)"), SN_ERR_CORRUPT, "is 0"},
        {HEAD("'|u1'", "False", "(5, 5, 5, 3)"), SN_ERR_CORRUPT, "shorter"},
        {HEAD("'|u1'", "False", "(3, 5, 5, 3)"), SN_ERR_CORRUPT, "longer"},
        {HEAD("'|u1'", "False",
              "(4294967296, 4294967296, 4294967296, 4294967296)"),
         SN_ERR_CORRUPT, "shorter"},
        {HEAD("'|u1'", "False", "(18446744073709551620, 5, 5, 3)"),
         SN_ERR_CORRUPT, "tuple"},
        {HEAD("'|u1'", "False", "(3, 20, 5)"), SN_ERR_CORRUPT, "4 labels"},
        {"{'descr': '|u1', 'shape': (4, 5, 5, 3)}\n", SN_ERR_CORRUPT, "lacks"},
        {"{'descr': '|u1', 'descr': '|u1'}\n", SN_ERR_CORRUPT, "twice"},
        {"{'evil()': 1}\n", SN_ERR_CORRUPT, "another key"},
        {"{'descr': '|u1' 'shape': (4,)}\n", SN_ERR_CORRUPT, "dictionary"},
        {"{'descr': '|u1\n", SN_ERR_CORRUPT, "descr"},
        {"__import__('os')\n", SN_ERR_CORRUPT, "dictionary"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4,5,5,3)} x\n",
         SN_ERR_CORRUPT, "newline"},
        {"", SN_ERR_CORRUPT, "dictionary"},
    };
    static const uint8_t body[BYTES];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put(*state, "train_images.npy", 1, bad[i].header, body, BYTES);
        assert_refused(*state, bad[i].code, "train_");
        assert_refused(*state, bad[i].code, bad[i].says);
    }
    put(*state, "train_images.npy", 4, bad[0].header, body, BYTES);
    assert_refused(*state, SN_ERR_INVALID, "version 4.0");
}

static void test_cut_and_missing(void **state)
{
    char path[256];
    snprintf(path, sizeof path, "%s/test_images.npy", (char *)*state);
    for (int n = 360; n >= 0; n -= 3) {
        assert_int_equal(truncate(path, n), 0);
        assert_refused(*state, SN_ERR_CORRUPT, "test_images.npy: ");
    }
    unlink(path);
    assert_refused(*state, SN_ERR_NOTFOUND, "test_images.npy: ");
}

static enum sn_err open_with(const char *dir, int channels,
                             struct sn_dataset **ret, struct sn_error *err)
{
    struct sn_dataset_source source = {.format = "npy", .dir = dir};
    source.options = sn_dataset_options_default(false);
    source.options.channels = channels;
    return sn_dataset_open_source(&source, ret, err);
}

/* Grey three times is what NumPy's repeat of the array is; colour stays, and is
 * not made grey. */
static void test_channels(void **state)
{
    uint8_t grey[N * SIDE * SIDE], colour[BYTES];
    struct sn_dataset *data = NULL;
    struct sn_dataset_info info;
    struct sn_error err = {0};
    assert_int_equal(open_with(*state, 3, &data, &err), SN_OK);
    sn_dataset_free(data);
    data = NULL;
    assert_int_equal(open_with(*state, 1, &data, &err), SN_ERR_INVALID);
    assert_string_equal(err.pointer, "/channels");
    for (int i = 0; i < N * SIDE * SIDE; i++) {
        grey[i] = (uint8_t)(i * 7);
        memset(colour + 3 * i, grey[i], 3);
    }
    for (int j = 0; j < 4; j += 2)
        put(*state, names[j], 1,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5, 5, 3), "
            "}   \n",
            colour, BYTES);
    struct sn_dataset_info a = info_of(*state);
    for (int j = 0; j < 4; j += 2)
        put(*state, names[j], 1,
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5, 5), }\n",
            grey, sizeof grey);
    for (int channels = 0; channels <= 3; channels += channels == 1 ? 2 : 1) {
        assert_int_equal(open_with(*state, channels, &data, &err), SN_OK);
        sn_dataset_info(data, &info);
        assert_int_equal(info.channels, channels == 3 ? 3 : 1);
        assert_int_equal(strcmp(info.checksum, a.checksum) == 0, channels == 3);
        sn_dataset_free(data);
    }
    assert_true(info.mean[2] == a.mean[2] && info.std[1] == a.std[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_planes_are_the_same_images,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_grey_and_ambiguous, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_labels_of_every_type, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_bad_headers, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_cut_and_missing, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_channels, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
