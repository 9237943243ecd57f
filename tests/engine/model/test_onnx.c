/* ONNX files: the nodes, attributes, shapes and metadata of a small network are
 * those meant, and the proof after writing notices what is changed. What the
 * numbers are worth is onnx_test.mjs's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/folded.h"
#include "engine/model/onnx.h"
#include "engine/model/onnx.pb-c.h"
#include "tests/engine/model/help.h"

static char folder[SN_HELP_PATH], path[SN_HELP_PATH];
static struct sn_plan plan;
static struct sn_folded_net net;
static float *block;

static const float mean[3] = {0.5f, 0.25f, 0.125f}, std[3] = {1, 2, 4};
static const struct sn_note notes[] = {{"test_accuracy", "0.9134"}};
static const struct sn_identity identity = {.arch = "r8.k5.e3",
                                            .space = "a space",
                                            .dataset_checksum = "0123",
                                            .version = "0.1.0",
                                            .notes = notes,
                                            .n_notes = 1};

static int setup(void **state)
{
    sn_help_folder(folder);
    sn_help_path(folder, "m.onnx", path);
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

static Onnx__ModelProto *read_model(void)
{
    size_t size = 0;
    unsigned char *bytes = sn_help_read(path, &size);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    free(bytes);
    assert_non_null(model);
    return model;
}

static void write_model(const Onnx__ModelProto *model)
{
    size_t size = onnx__model_proto__get_packed_size(model);
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    onnx__model_proto__pack(model, bytes);
    sn_help_write(path, bytes, size);
    free(bytes);
}

static const char *const want_nodes[] = {
    /* normalisation */
    "Sub image mean > image.centred",
    "Div image.centred std > image.normalised",
    /* stem */
    "Conv image.normalised stem.weight stem.bias > stem",
    "HardSigmoid stem > stem.hsigmoid",
    "Mul stem stem.hsigmoid > stem.hswish",
    /* the fixed block */
    "Conv stem.hswish blocks.0.depth.weight blocks.0.depth.bias > "
    "blocks.0.depth",
    "Relu blocks.0.depth > blocks.0.depth.relu",
    "Conv blocks.0.depth.relu blocks.0.project.weight blocks.0.project.bias > "
    "blocks.0.project",
    "Add blocks.0.project stem.hswish > blocks.0",
    /* the other one */
    "Conv blocks.0 blocks.1.expand.weight blocks.1.expand.bias > "
    "blocks.1.expand",
    "HardSigmoid blocks.1.expand > blocks.1.expand.hsigmoid",
    "Mul blocks.1.expand blocks.1.expand.hsigmoid > blocks.1.expand.hswish",
    "Conv blocks.1.expand.hswish blocks.1.depth.weight blocks.1.depth.bias > "
    "blocks.1.depth",
    "HardSigmoid blocks.1.depth > blocks.1.depth.hsigmoid",
    "Mul blocks.1.depth blocks.1.depth.hsigmoid > blocks.1.depth.hswish",
    "GlobalAveragePool blocks.1.depth.hswish > blocks.1.se.pool",
    "Conv blocks.1.se.pool blocks.1.se.reduce.weight blocks.1.se.reduce.bias > "
    "blocks.1.se.reduce",
    "Relu blocks.1.se.reduce > blocks.1.se.reduce.relu",
    "Conv blocks.1.se.reduce.relu blocks.1.se.expand.weight "
    "blocks.1.se.expand.bias > blocks.1.se.expand",
    "HardSigmoid blocks.1.se.expand > blocks.1.se.expand.hsigmoid",
    "Mul blocks.1.depth.hswish blocks.1.se.expand.hsigmoid > blocks.1.se",
    "Conv blocks.1.se blocks.1.project.weight blocks.1.project.bias > "
    "blocks.1.project",
    /* tail */
    "Conv blocks.1.project head.weight head.bias > head",
    "HardSigmoid head > head.hsigmoid",
    "Mul head head.hsigmoid > head.hswish",
    "GlobalAveragePool head.hswish > pool",
    "Conv pool feature.weight feature.bias > feature",
    "HardSigmoid feature > feature.hsigmoid",
    "Mul feature feature.hsigmoid > feature.hswish",
    "Flatten feature.hswish > flat",
    "Gemm flat classifier.weight classifier.bias > logits",
};

static void describe(const Onnx__NodeProto *node, char *ret, size_t size)
{
    size_t at = (size_t)snprintf(ret, size, "%s", node->op_type);
    for (size_t i = 0; i < node->n_input; i++)
        at += (size_t)snprintf(ret + at, size - at, " %s", node->input[i]);
    snprintf(ret + at, size - at, " > %s", node->output[0]);
}

static void test_nodes(void **state)
{
    struct sn_error err;
    size_t n = sizeof(want_nodes) / sizeof(*want_nodes);
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, std, &err),
                     SN_OK);
    assert_int_equal(sn_help_files(folder), 1);
    Onnx__ModelProto *model = read_model();
    for (size_t i = 0; i < n && i < model->graph->n_node; i++) {
        char text[256];
        describe(model->graph->node[i], text, sizeof(text));
        assert_string_equal(text, want_nodes[i]);
    }
    assert_int_equal(model->graph->n_node, n);
    onnx__model_proto__free_unpacked(model, NULL);

    assert_int_equal(sn_onnx_write(path, &net, &identity, NULL, NULL, &err),
                     SN_OK);
    model = read_model();
    assert_int_equal(model->graph->n_node, n - 2);
    assert_string_equal(model->graph->node[0]->input[0], "image");
    onnx__model_proto__free_unpacked(model, NULL);
}

static const Onnx__AttributeProto *find_attribute(const Onnx__NodeProto *node,
                                                  const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    fail_msg("%s has no %s", node->name, name);
    return NULL;
}

static void test_attributes(void **state)
{
    struct sn_error err;
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, std, &err),
                     SN_OK);
    Onnx__ModelProto *model = read_model();
    const Onnx__NodeProto *depth = model->graph->node[12];
    assert_string_equal(depth->name, "blocks.1.depth");
    assert_int_equal(find_attribute(depth, "group")->i, 12);
    const Onnx__AttributeProto *pads = find_attribute(depth, "pads");
    assert_int_equal(pads->n_ints, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pads->ints[i], 2);
    assert_int_equal(find_attribute(depth, "strides")->ints[1], 2);
    assert_int_equal(find_attribute(depth, "kernel_shape")->ints[0], 5);
    const Onnx__NodeProto *gate = model->graph->node[3];
    assert_true(find_attribute(gate, "alpha")->f == 1.0f / 6.0f);
    assert_true(find_attribute(gate, "beta")->f == 0.5f);
    assert_int_equal(find_attribute(model->graph->node[30], "transB")->i, 1);
    onnx__model_proto__free_unpacked(model, NULL);
}

static void test_frame(void **state)
{
    static const char *const want[][2] = {{"arch", "r8.k5.e3"},
                                          {"space", "a space"},
                                          {"dataset_checksum", "0123"},
                                          {"input", "pixels in 0..1"},
                                          {"test_accuracy", "0.9134"}};
    struct sn_error err;
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, std, &err),
                     SN_OK);
    Onnx__ModelProto *model = read_model();
    assert_int_equal(model->opset_import[0]->version, 13);
    assert_string_equal(model->producer_name, "sparsenas");
    assert_string_equal(model->producer_version, "0.1.0");
    assert_int_equal(model->n_metadata_props, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(model->metadata_props[i]->key, want[i][0]);
        assert_string_equal(model->metadata_props[i]->value, want[i][1]);
    }
    const Onnx__TensorShapeProto *in =
        model->graph->input[0]->type->tensor_type->shape;
    assert_string_equal(model->graph->input[0]->name, "image");
    assert_string_equal(model->graph->output[0]->name, "logits");
    assert_int_equal(in->n_dim, 4);
    assert_string_equal(in->dim[0]->dim_param, "batch");
    assert_int_equal(in->dim[1]->dim_value, 3);
    assert_int_equal(in->dim[3]->dim_value, 8);
    onnx__model_proto__free_unpacked(model, NULL);
}

/* ---- the proof ---- */

static void spoil_value(Onnx__ModelProto *m)
{
    m->graph->initializer[2]->raw_data.data[1] ^= 1;
}
static void spoil_size(Onnx__ModelProto *m)
{
    m->graph->initializer[2]->raw_data.len -= 4;
}
static void spoil_shape(Onnx__ModelProto *m)
{
    m->graph->initializer[3]->dims[0]++;
}
static void spoil_stride(Onnx__ModelProto *m)
{
    m->graph->node[12]->attribute[4]->ints[0] = 1;
}
static void spoil_order(Onnx__ModelProto *m)
{
    Onnx__NodeProto *node = m->graph->node[3];
    m->graph->node[3] = m->graph->node[4];
    m->graph->node[4] = node;
}
static void spoil_count(Onnx__ModelProto *m)
{
    m->graph->n_node--;
}
static void spoil_batch(Onnx__ModelProto *m)
{
    m->graph->input[0]->type->tensor_type->shape->dim[0]->dim_param[0] = 'p';
}
static void spoil_note(Onnx__ModelProto *m)
{
    m->metadata_props[4]->value[0] = '1';
}
static void spoil_opset(Onnx__ModelProto *m)
{
    m->opset_import[0]->version = 14;
}

static void test_the_proof_notices(void **state)
{
    static const struct {
        void (*spoil)(Onnx__ModelProto *);
        const char *message;
    } cases[] = {{spoil_value, "initialiser stem.weight"},
                 {spoil_size, "initialiser stem.weight"},
                 {spoil_shape, "initialiser"},
                 {spoil_stride, "blocks.1.depth"},
                 {spoil_order, "node 3"},
                 {spoil_count, "30 nodes"},
                 {spoil_batch, "input"},
                 {spoil_note, "test_accuracy"},
                 {spoil_opset, "head"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sn_error err = {0};
        assert_int_equal(sn_onnx_write(path, &net, &identity, mean, std, &err),
                         SN_OK);
        assert_int_equal(sn_onnx_check(path, &net, &identity, mean, std, &err),
                         SN_OK);
        Onnx__ModelProto *model = read_model();
        size_t nodes = model->graph->n_node;
        Onnx__NodeProto *last = model->graph->node[nodes - 1];
        cases[i].spoil(model);
        write_model(model);
        model->graph->n_node = nodes;
        model->graph->node[nodes - 1] = last;
        onnx__model_proto__free_unpacked(model, NULL);
        assert_int_equal(sn_onnx_check(path, &net, &identity, mean, std, &err),
                         SN_ERR_CORRUPT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void test_refusals(void **state)
{
    const float flat[3] = {1, 0, 1};
    struct sn_error err;
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, NULL, &err),
                     SN_ERR_INVALID);
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, flat, &err),
                     SN_ERR_INVALID);
    block[0] = INFINITY;
    assert_int_equal(sn_onnx_write(path, &net, &identity, mean, std, &err),
                     SN_ERR_INVALID);
    block[0] = 1;
    sn_help_write(path, "no onnx", 7);
    assert_int_equal(sn_onnx_check(path, &net, &identity, mean, std, &err),
                     SN_ERR_CORRUPT);
    assert_int_equal(sn_help_files(folder), 1);
    assert_int_equal(
        sn_onnx_write("/nowhere/at/all", &net, &identity, mean, std, &err),
        SN_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_proof_notices, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
