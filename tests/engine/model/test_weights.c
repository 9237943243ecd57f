/* Folded weights as a file: they come back bit for bit for their own
 * architecture, and for no other; a flipped bit is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/folded.h"
#include "engine/model/weights.h"
#include "tests/engine/model/help.h"

static char folder[SN_HELP_PATH], path[SN_HELP_PATH];
static struct sn_plan plan;
static struct sn_folded_net net;
static float *block;

static const struct sn_note notes[] = {{"test_accuracy", "0.9134"}};
static const struct sn_identity identity = {.arch = "r8.k5.e3",
                                            .space = "a space",
                                            .dataset_checksum = "0123",
                                            .notes = notes,
                                            .n_notes = 1};

static int setup(void **state)
{
    sn_help_folder(folder);
    sn_help_path(folder, "w.safetensors", path);
    sn_help_plan(&plan);
    block = sn_help_fill(&plan, &net);
    return 0;
}

static int teardown(void **state)
{
    sn_help_remove(folder);
    free(block);
    return 0;
}

static void test_round_trip(void **state)
{
    struct sn_error err;
    struct sn_weights *weights = NULL;
    struct sn_named_layer want[SN_MAX_FOLDED], got[SN_MAX_FOLDED];
    assert_int_equal(sn_weights_write(path, &net, &identity, &err), SN_OK);
    assert_int_equal(sn_weights_open(path, &plan, &weights, &err), SN_OK);
    size_t n = sn_folded_layers(&net, want);
    assert_int_equal(n, 1 + 2 + 5 + 3);
    assert_int_equal(sn_folded_layers(sn_weights_folded(weights), got), n);
    for (size_t i = 0; i < n; i++) {
        const struct sn_folded *a = want[i].layer, *b = got[i].layer;
        assert_string_equal(want[i].name, got[i].name);
        assert_memory_equal(a->weight, b->weight,
                            sn_folded_weights(a) * sizeof(float));
        assert_memory_equal(a->bias, b->bias, (size_t)a->out * sizeof(float));
    }
    assert_string_equal(sn_weights_note(weights, "arch"), "r8.k5.e3");
    assert_string_equal(sn_weights_note(weights, "space"), "a space");
    assert_string_equal(sn_weights_note(weights, "classes"), "5");
    assert_string_equal(sn_weights_note(weights, "dataset_checksum"), "0123");
    assert_string_equal(sn_weights_note(weights, "test_accuracy"), "0.9134");
    sn_weights_free(weights);
}

static void test_another_architecture(void **state)
{
    struct sn_error err;
    struct sn_weights *weights = NULL;
    struct sn_plan other = plan;
    assert_int_equal(sn_weights_write(path, &net, &identity, &err), SN_OK);
    other.block[1].kernel = 3;
    assert_int_equal(sn_weights_open(path, &other, &weights, &err),
                     SN_ERR_CORRUPT);
    other = plan;
    other.block[1].se_mid = 0;
    assert_int_equal(sn_weights_open(path, &other, &weights, &err),
                     SN_ERR_CORRUPT);
    /* as many weights, another shape */
    other = plan;
    other.block[1].out = 12;
    other.block[1].mid = 6;
    assert_int_equal(sn_weights_open(path, &other, &weights, &err),
                     SN_ERR_CORRUPT);
    assert_null(weights);
}

static void test_a_flipped_bit(void **state)
{
    struct sn_error err;
    struct sn_weights *weights = NULL;
    size_t size = 0;
    assert_int_equal(sn_weights_write(path, &net, &identity, &err), SN_OK);
    unsigned char *bytes = sn_help_read(path, &size);
    bytes[size - 5] ^= 1;
    sn_help_write(path, bytes, size);
    free(bytes);
    assert_int_equal(sn_weights_open(path, &plan, &weights, &err),
                     SN_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "checksum"));
}

static void test_what_cannot_be_written(void **state)
{
    struct sn_error err;
    block[3] = NAN;
    assert_int_equal(sn_weights_write(path, &net, &identity, &err),
                     SN_ERR_INVALID);
    assert_non_null(strstr(err.message, "finite"));
    block[3] = 1;
    net.head.out++;
    assert_int_equal(sn_weights_write(path, &net, &identity, &err),
                     SN_ERR_INVALID);
    assert_non_null(strstr(err.message, "head"));
    assert_int_equal(sn_help_files(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_architecture, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
