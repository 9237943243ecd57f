/* The proof of an export: what was read back against what was meant. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/onnx_graph.h"

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool same_texts(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!same_text(a[i], b[i]))
            return false;
    return true;
}

static bool same_attribute(const Onnx__AttributeProto *a,
                           const Onnx__AttributeProto *b)
{
    if (!same_text(a->name, b->name) || a->type != b->type ||
        a->has_i != b->has_i || a->i != b->i || a->has_f != b->has_f ||
        a->f != b->f || a->n_ints != b->n_ints)
        return false;
    for (size_t i = 0; i < a->n_ints; i++)
        if (a->ints[i] != b->ints[i])
            return false;
    return true;
}

static bool same_node(const Onnx__NodeProto *a, const Onnx__NodeProto *b)
{
    if (!same_text(a->op_type, b->op_type) || !same_text(a->name, b->name) ||
        !same_texts(a->input, a->n_input, b->input, b->n_input) ||
        !same_texts(a->output, a->n_output, b->output, b->n_output) ||
        a->n_attribute != b->n_attribute)
        return false;
    for (size_t i = 0; i < a->n_attribute; i++)
        if (!same_attribute(a->attribute[i], b->attribute[i]))
            return false;
    return true;
}

static enum sn_err compare_nodes(const Onnx__GraphProto *got,
                                 const Onnx__GraphProto *want,
                                 struct sn_error *err)
{
    if (got->n_node != want->n_node)
        return sn_error_set(err, SN_ERR_CORRUPT, "%zu nodes; %zu are expected",
                            got->n_node, want->n_node);
    for (size_t i = 0; i < got->n_node; i++)
        if (!same_node(got->node[i], want->node[i]))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "node %zu (%s) is not as it was written", i,
                                want->node[i]->name);
    return SN_OK;
}

/* As many bytes as the shape says, the same shape, the same bits. */
static bool same_tensor(const Onnx__TensorProto *a, const Onnx__TensorProto *b)
{
    if (!same_text(a->name, b->name) || a->data_type != b->data_type ||
        a->n_dims != b->n_dims)
        return false;
    size_t bytes = sizeof(float);
    for (size_t i = 0; i < a->n_dims; i++) {
        if (a->dims[i] != b->dims[i])
            return false;
        bytes *= (size_t)a->dims[i];
    }
    return a->has_raw_data && a->raw_data.len == bytes &&
           b->raw_data.len == bytes &&
           memcmp(a->raw_data.data, b->raw_data.data, bytes) == 0;
}

static enum sn_err compare_tensors(const Onnx__GraphProto *got,
                                   const Onnx__GraphProto *want,
                                   struct sn_error *err)
{
    if (got->n_initializer != want->n_initializer)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%zu initialisers; %zu are expected",
                            got->n_initializer, want->n_initializer);
    for (size_t i = 0; i < got->n_initializer; i++)
        if (!same_tensor(got->initializer[i], want->initializer[i]))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "initialiser %s is not as it was written",
                                want->initializer[i]->name);
    return SN_OK;
}

static bool same_value(const Onnx__ValueInfoProto *a,
                       const Onnx__ValueInfoProto *b)
{
    if (!same_text(a->name, b->name) || !a->type ||
        a->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        a->type->tensor_type->elem_type != b->type->tensor_type->elem_type)
        return false;
    const Onnx__TensorShapeProto *x = a->type->tensor_type->shape;
    const Onnx__TensorShapeProto *y = b->type->tensor_type->shape;
    if (!x || x->n_dim != y->n_dim)
        return false;
    for (size_t i = 0; i < x->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *p = x->dim[i], *q = y->dim[i];
        if (p->value_case != q->value_case ||
            (p->value_case ==
                     ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                 ? !same_text(p->dim_param, q->dim_param)
                 : p->dim_value != q->dim_value))
            return false;
    }
    return true;
}

static enum sn_err compare_frame(const Onnx__ModelProto *got,
                                 const Onnx__ModelProto *want,
                                 struct sn_error *err)
{
    if (!got->graph || got->graph->n_input != 1 || got->graph->n_output != 1 ||
        !same_value(got->graph->input[0], want->graph->input[0]) ||
        !same_value(got->graph->output[0], want->graph->output[0]))
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "input or output is not as it was written");
    if (got->ir_version != want->ir_version || got->n_opset_import != 1 ||
        got->opset_import[0]->version != want->opset_import[0]->version ||
        !same_text(got->producer_name, want->producer_name) ||
        !same_text(got->producer_version, want->producer_version) ||
        got->n_metadata_props != want->n_metadata_props)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "the model's head is not as it was written");
    for (size_t i = 0; i < got->n_metadata_props; i++)
        if (!same_text(got->metadata_props[i]->key,
                       want->metadata_props[i]->key) ||
            !same_text(got->metadata_props[i]->value,
                       want->metadata_props[i]->value))
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "metadata %.64s is not as it was written",
                                want->metadata_props[i]->key);
    return SN_OK;
}

/* ---- the graph in itself ---- */

struct names {
    const char **name;
    size_t n;
};

static bool known(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

/* Every name is made once, and before it is read; the output is made. */
static enum sn_err check_flow(const Onnx__GraphProto *graph,
                              struct sn_error *err)
{
    struct names names = {.n = 0};
    enum sn_err code = SN_OK;
    names.name =
        calloc(graph->n_node + graph->n_initializer + 1, sizeof(*names.name));
    if (!names.name)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    names.name[names.n++] = graph->input[0]->name;
    for (size_t i = 0; i < graph->n_initializer; i++)
        names.name[names.n++] = graph->initializer[i]->name;
    for (size_t i = 0; i < graph->n_node && code == SN_OK; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t j = 0; j < node->n_input && code == SN_OK; j++)
            if (!known(&names, node->input[j]))
                code = sn_error_set(err, SN_ERR_CORRUPT,
                                    "node %s reads %s, which nothing makes",
                                    node->name, node->input[j]);
        if (code == SN_OK && known(&names, node->output[0]))
            code = sn_error_set(err, SN_ERR_CORRUPT, "%s is made twice",
                                node->output[0]);
        names.name[names.n++] = node->output[0];
    }
    if (code == SN_OK && !known(&names, graph->output[0]->name))
        code = sn_error_set(err, SN_ERR_CORRUPT, "nothing makes %s",
                            graph->output[0]->name);
    free(names.name);
    return code;
}

enum sn_err sn_onnx_compare(const Onnx__ModelProto *got,
                            const Onnx__ModelProto *want, struct sn_error *err)
{
    enum sn_err code = compare_frame(got, want, err);
    if (code == SN_OK)
        code = compare_nodes(got->graph, want->graph, err);
    if (code == SN_OK)
        code = compare_tensors(got->graph, want->graph, err);
    if (code == SN_OK)
        code = check_flow(got->graph, err);
    return code;
}
