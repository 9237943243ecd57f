#include "engine/model/onnx_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IR_VERSION = 7, OPSET = 13 };

/* What the message is made of: one list of allocations, freed together. A
 * failed one is remembered and looked at once, at the end. */
struct piece {
    struct piece *next;
    _Alignas(16) char bytes[];
};

struct sn_onnx_graph {
    struct piece *pieces;
    bool failed;
    char spare[512]; /* what a failed allocation gives, never looked at */
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    size_t max_nodes, max_values;
};

static void *take(struct sn_onnx_graph *g, size_t bytes)
{
    struct piece *piece = calloc(1, sizeof(*piece) + bytes);
    if (!piece) {
        g->failed = true;
        return bytes <= sizeof(g->spare) ? g->spare : NULL;
    }
    piece->next = g->pieces;
    g->pieces = piece;
    return piece->bytes;
}

static char *text(struct sn_onnx_graph *g, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static char *text(struct sn_onnx_graph *g, const char *fmt, ...)
{
    char *at = take(g, 96);
    va_list args;
    va_start(args, fmt);
    vsnprintf(at, 96, fmt, args);
    va_end(args);
    return at;
}

/* protobuf-c's fields are not const, though packing only reads them. */
static void *borrow(const void *data)
{
    return (void *)(uintptr_t)data;
}

/* ---- nodes ---- */

static Onnx__NodeProto *node(struct sn_onnx_graph *g, const char *op,
                             char *output, size_t n_inputs, ...)
{
    Onnx__NodeProto *node = take(g, sizeof(*node));
    onnx__node_proto__init(node);
    node->op_type = borrow(op);
    node->name = text(g, "%s", output);
    node->n_input = n_inputs;
    node->input = take(g, n_inputs * sizeof(*node->input));
    node->n_output = 1;
    node->output = take(g, sizeof(*node->output));
    node->output[0] = output;
    node->attribute = take(g, 8 * sizeof(*node->attribute));
    va_list args;
    va_start(args, n_inputs);
    for (size_t i = 0; i < n_inputs; i++)
        node->input[i] = va_arg(args, char *);
    va_end(args);
    if (!g->failed && g->graph.n_node < g->max_nodes)
        g->graph.node[g->graph.n_node++] = node;
    return node;
}

static Onnx__AttributeProto *attribute(struct sn_onnx_graph *g,
                                       Onnx__NodeProto *to, const char *name,
                                       Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *a = take(g, sizeof(*a));
    onnx__attribute_proto__init(a);
    a->name = borrow(name);
    a->has_type = true;
    a->type = type;
    if (!g->failed)
        to->attribute[to->n_attribute++] = a;
    return a;
}

static void attribute_int(struct sn_onnx_graph *g, Onnx__NodeProto *to,
                          const char *name, int64_t value)
{
    Onnx__AttributeProto *a =
        attribute(g, to, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = value;
}

static void attribute_float(struct sn_onnx_graph *g, Onnx__NodeProto *to,
                            const char *name, float value)
{
    Onnx__AttributeProto *a =
        attribute(g, to, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = true;
    a->f = value;
}

/* n times the same value: kernels, strides and pads are square. */
static void attribute_ints(struct sn_onnx_graph *g, Onnx__NodeProto *to,
                           const char *name, size_t n, int64_t value)
{
    Onnx__AttributeProto *a =
        attribute(g, to, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = n;
    a->ints = take(g, n * sizeof(*a->ints));
    for (size_t i = 0; i < n; i++)
        a->ints[i] = value;
}

/* ---- weights ---- */

static char *initialiser(struct sn_onnx_graph *g, char *name,
                         const float *values, size_t n_dims,
                         const int64_t *dims)
{
    size_t bytes = sizeof(float);
    Onnx__TensorProto *tensor = take(g, sizeof(*tensor));
    onnx__tensor_proto__init(tensor);
    tensor->name = name;
    tensor->has_data_type = true;
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->n_dims = n_dims;
    tensor->dims = take(g, n_dims * sizeof(*dims));
    for (size_t i = 0; i < n_dims; i++) {
        tensor->dims[i] = dims[i];
        bytes *= (size_t)dims[i];
    }
    tensor->has_raw_data = true;
    tensor->raw_data.data = borrow(values);
    tensor->raw_data.len = bytes;
    if (!g->failed && g->graph.n_initializer < g->max_values)
        g->graph.initializer[g->graph.n_initializer++] = tensor;
    return name;
}

/* ---- layers; each returns the name of its output ---- */

static char *convolution(struct sn_onnx_graph *g, const char *name, char *x,
                         const struct sn_folded *layer)
{
    int64_t shape[4] = {layer->out, layer->depthwise ? 1 : layer->in,
                        layer->kernel, layer->kernel};
    char *weight =
        initialiser(g, text(g, "%s.weight", name), layer->weight, 4, shape);
    char *bias =
        initialiser(g, text(g, "%s.bias", name), layer->bias, 1, shape);
    char *y = text(g, "%s", name);
    Onnx__NodeProto *conv = node(g, "Conv", y, 3, x, weight, bias);
    attribute_ints(g, conv, "dilations", 2, 1);
    attribute_int(g, conv, "group", layer->depthwise ? layer->out : 1);
    attribute_ints(g, conv, "kernel_shape", 2, layer->kernel);
    attribute_ints(g, conv, "pads", 4, layer->kernel / 2);
    attribute_ints(g, conv, "strides", 2, layer->stride);
    return y;
}

static char *hard_sigmoid(struct sn_onnx_graph *g, char *x)
{
    char *y = text(g, "%s.hsigmoid", x);
    Onnx__NodeProto *gate = node(g, "HardSigmoid", y, 1, x);
    attribute_float(g, gate, "alpha", 1.0f / 6.0f);
    attribute_float(g, gate, "beta", 0.5f);
    return y;
}

/* The bounds of ReLU6, which all of a graph's share. */
static void relu6_bounds(struct sn_onnx_graph *g)
{
    static const float bound[2] = {0, 6};
    initialiser(g, text(g, "relu6.least"), &bound[0], 0, NULL);
    initialiser(g, text(g, "relu6.most"), &bound[1], 0, NULL);
}

static char *activation(struct sn_onnx_graph *g, char *x, enum sn_act act)
{
    char *y;
    switch (act) {
    case SN_ACT_RELU:
        y = text(g, "%s.relu", x);
        node(g, "Relu", y, 1, x);
        return y;
    case SN_ACT_HSWISH:
        y = text(g, "%s.hswish", x);
        node(g, "Mul", y, 2, x, hard_sigmoid(g, x));
        return y;
    case SN_ACT_RELU6:
        y = text(g, "%s.relu6", x);
        node(g, "Clip", y, 3, x, text(g, "relu6.least"), text(g, "relu6.most"));
        return y;
    case SN_ACT_NONE:
        break;
    }
    return x;
}

static char *squeeze_excite(struct sn_onnx_graph *g, int i, char *x,
                            const struct sn_folded_block *f)
{
    char *y = text(g, "blocks.%d.se.pool", i);
    node(g, "GlobalAveragePool", y, 1, x);
    y = convolution(g, text(g, "blocks.%d.se.reduce", i), y, &f->se_reduce);
    y = activation(g, y, SN_ACT_RELU);
    y = convolution(g, text(g, "blocks.%d.se.expand", i), y, &f->se_expand);
    y = hard_sigmoid(g, y);
    char *gated = text(g, "blocks.%d.se", i);
    node(g, "Mul", gated, 2, x, y);
    return gated;
}

static char *block(struct sn_onnx_graph *g, int i, char *x,
                   const struct sn_block_plan *plan,
                   const struct sn_folded_block *f)
{
    char *y = x;
    if (plan->expands) {
        y = convolution(g, text(g, "blocks.%d.expand", i), y, &f->expand);
        y = activation(g, y, plan->act);
    }
    y = convolution(g, text(g, "blocks.%d.depth", i), y, &f->depth);
    y = activation(g, y, plan->act);
    if (plan->se_mid)
        y = squeeze_excite(g, i, y, f);
    y = convolution(g, text(g, "blocks.%d.project", i), y, &f->project);
    if (!plan->residual)
        return y;
    char *sum = text(g, "blocks.%d", i);
    node(g, "Add", sum, 2, y, x);
    return sum;
}

/* A window of stride 2; cut at the border where it has no padding. */
static char *window(struct sn_onnx_graph *g, const char *op, char *y, char *x,
                    int side)
{
    Onnx__NodeProto *pool = node(g, op, y, 1, x);
    attribute_int(g, pool, "ceil_mode", side == 2);
    attribute_ints(g, pool, "kernel_shape", 2, side);
    attribute_ints(g, pool, "pads", 4, side / 3);
    attribute_ints(g, pool, "strides", 2, 2);
    return y;
}

/* [resnet] */
static char *resnet_stem(struct sn_onnx_graph *g, char *x,
                         const struct sn_folded_net *net)
{
    x = activation(g, convolution(g, "stem", x, &net->stem), SN_ACT_RELU);
    if (net->stem_residual.out) {
        char *y = convolution(g, "stem.residual", x, &net->stem_residual);
        char *sum = text(g, "stem.sum");
        node(g, "Add", sum, 2, activation(g, y, SN_ACT_RELU), x);
        x = sum;
    }
    x = activation(g, convolution(g, "stem.last", x, &net->stem_last),
                   SN_ACT_RELU);
    return window(g, "MaxPool", text(g, "stem.pool"), x, 3);
}

static char *bottleneck(struct sn_onnx_graph *g, int i, char *x,
                        const struct sn_block_plan *plan,
                        const struct sn_folded_block *f)
{
    char *y = convolution(g, text(g, "blocks.%d.conv1", i), x, &f->expand);
    y = activation(g, y, SN_ACT_RELU);
    y = convolution(g, text(g, "blocks.%d.conv2", i), y, &f->depth);
    y = activation(g, y, SN_ACT_RELU);
    y = convolution(g, text(g, "blocks.%d.conv3", i), y, &f->project);
    if (plan->downsamples && plan->stride > 1)
        x = window(g, "AveragePool", text(g, "blocks.%d.mean", i), x, 2);
    if (plan->downsamples)
        x = convolution(g, text(g, "blocks.%d.downsample", i), x, &f->shortcut);
    char *sum = text(g, "blocks.%d", i);
    node(g, "Add", sum, 2, y, x);
    return activation(g, sum, SN_ACT_RELU);
}

static char *normalise(struct sn_onnx_graph *g, char *x, int channels,
                       const float *mean, const float *std)
{
    int64_t shape[4] = {1, channels, 1, 1};
    char *y = text(g, "image.centred");
    node(g, "Sub", y, 2, x, initialiser(g, text(g, "mean"), mean, 4, shape));
    char *z = text(g, "image.normalised");
    node(g, "Div", z, 2, y, initialiser(g, text(g, "std"), std, 4, shape));
    return z;
}

static void tail(struct sn_onnx_graph *g, char *x,
                 const struct sn_folded_net *net)
{
    const struct sn_folded *last = &net->classifier;
    int64_t shape[2] = {last->out, last->in};
    if (net->head.out > 0)
        x = activation(g, convolution(g, "head", x, &net->head),
                       net->plan.head_act);
    char *y = text(g, "pool");
    node(g, "GlobalAveragePool", y, 1, x);
    if (net->feature.out > 0)
        y = activation(g, convolution(g, "feature", y, &net->feature),
                       net->plan.head_act);
    char *flat = text(g, "flat");
    attribute_int(g, node(g, "Flatten", flat, 1, y), "axis", 1);
    char *weight =
        initialiser(g, text(g, "classifier.weight"), last->weight, 2, shape);
    char *bias =
        initialiser(g, text(g, "classifier.bias"), last->bias, 1, shape);
    attribute_int(g, node(g, "Gemm", text(g, "logits"), 3, flat, weight, bias),
                  "transB", 1);
}

/* ---- what surrounds the nodes ---- */

/* dims[0] is `batch`, whatever it says. */
static Onnx__ValueInfoProto **value_info(struct sn_onnx_graph *g,
                                         const char *name, size_t n_dims,
                                         const int64_t *dims)
{
    Onnx__ValueInfoProto **list = take(g, sizeof(*list));
    Onnx__ValueInfoProto *value = take(g, sizeof(*value));
    Onnx__TypeProto *type = take(g, sizeof(*type));
    Onnx__TypeProto__Tensor *tensor = take(g, sizeof(*tensor));
    Onnx__TensorShapeProto *shape = take(g, sizeof(*shape));
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = n_dims;
    shape->dim = take(g, n_dims * sizeof(*shape->dim));
    for (size_t i = 0; i < n_dims; i++) {
        Onnx__TensorShapeProto__Dimension *dim = take(g, sizeof(*dim));
        onnx__tensor_shape_proto__dimension__init(dim);
        if (i == 0) {
            dim->value_case =
                ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = text(g, "batch");
        } else {
            dim->value_case =
                ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i];
        }
        shape->dim[i] = dim;
    }
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    value->name = text(g, "%s", name);
    value->type = type;
    list[0] = value;
    return list;
}

static void property(struct sn_onnx_graph *g, const char *key,
                     const char *value)
{
    if (!value || !*value || g->failed)
        return;
    Onnx__StringStringEntryProto *entry = take(g, sizeof(*entry));
    onnx__string_string_entry_proto__init(entry);
    entry->key = borrow(key);
    entry->value = borrow(value);
    g->model.metadata_props[g->model.n_metadata_props++] = entry;
}

static void head_of_model(struct sn_onnx_graph *g,
                          const struct sn_identity *identity, bool normalises)
{
    Onnx__OperatorSetIdProto *opset = take(g, sizeof(*opset));
    onnx__operator_set_id_proto__init(opset);
    opset->domain = text(g, "%s", "");
    opset->has_version = true;
    opset->version = OPSET;
    g->model.has_ir_version = true;
    g->model.ir_version = IR_VERSION;
    g->model.n_opset_import = 1;
    g->model.opset_import = take(g, sizeof(*g->model.opset_import));
    g->model.opset_import[0] = opset;
    g->model.producer_name =
        borrow(identity->producer ? identity->producer : "sparsenas");
    g->model.producer_version =
        borrow(identity->version ? identity->version : "");
    g->model.graph = &g->graph;
    g->model.metadata_props =
        take(g, (4 + identity->n_notes) * sizeof(*g->model.metadata_props));
    property(g, "arch", identity->arch);
    property(g, "space", identity->space);
    property(g, "dataset_checksum", identity->dataset_checksum);
    property(g, "input", normalises ? "pixels in 0..1" : "normalised");
    for (size_t i = 0; i < identity->n_notes; i++)
        property(g, identity->notes[i].key, identity->notes[i].value);
}

static bool uses_relu6(const struct sn_plan *plan)
{
    bool uses =
        plan->stem_act == SN_ACT_RELU6 || plan->head_act == SN_ACT_RELU6;
    for (int i = 0; i < plan->n_blocks; i++)
        uses |= plan->block[i].act == SN_ACT_RELU6;
    return uses;
}

/* From the image to what is pooled. */
static char *body(struct sn_onnx_graph *g, char *x,
                  const struct sn_folded_net *net)
{
    const struct sn_plan *plan = &net->plan;
    bool resnet = plan->family == SN_FAMILY_RESNET;
    if (resnet)
        x = resnet_stem(g, x, net);
    else
        x = activation(g, convolution(g, "stem", x, &net->stem),
                       plan->stem_act);
    for (int i = 0; i < plan->n_blocks; i++)
        x = resnet ? bottleneck(g, i, x, &plan->block[i], &net->block[i])
                   : block(g, i, x, &plan->block[i], &net->block[i]);
    return x;
}

static void fill(struct sn_onnx_graph *g, const struct sn_folded_net *net,
                 const struct sn_identity *identity, const float *mean,
                 const float *std)
{
    const struct sn_plan *plan = &net->plan;
    int64_t in[4] = {0, plan->in_channels, plan->resolution, plan->resolution};
    int64_t out[2] = {0, plan->classes};
    size_t blocks = (size_t)plan->n_blocks;
    g->max_nodes = 16 + 16 * blocks;
    g->max_values = 12 + 10 * blocks;
    onnx__model_proto__init(&g->model);
    onnx__graph_proto__init(&g->graph);
    g->graph.node = take(g, g->max_nodes * sizeof(*g->graph.node));
    g->graph.initializer =
        take(g, g->max_values * sizeof(*g->graph.initializer));
    g->graph.name = text(g, "sparsenas");
    g->graph.n_input = g->graph.n_output = 1;
    g->graph.input = value_info(g, "image", 4, in);
    g->graph.output = value_info(g, "logits", 2, out);
    head_of_model(g, identity, mean != NULL);
    if (uses_relu6(plan))
        relu6_bounds(g);
    char *x = text(g, "image");
    if (mean)
        x = normalise(g, x, plan->in_channels, mean, std);
    x = body(g, x, net);
    tail(g, x, net);
}

enum sn_err sn_onnx_graph_new(const struct sn_folded_net *net,
                              const struct sn_identity *identity,
                              const float *mean, const float *std,
                              struct sn_onnx_graph **ret, struct sn_error *err)
{
    struct sn_onnx_graph *g = calloc(1, sizeof(*g));
    if (!g)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    fill(g, net, identity, mean, std);
    if (g->failed) {
        sn_onnx_graph_free(g);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    *ret = g;
    return SN_OK;
}

void sn_onnx_graph_free(struct sn_onnx_graph *g)
{
    if (!g)
        return;
    while (g->pieces) {
        struct piece *next = g->pieces->next;
        free(g->pieces);
        g->pieces = next;
    }
    free(g);
}

const Onnx__ModelProto *sn_onnx_graph_model(const struct sn_onnx_graph *g)
{
    return &g->model;
}
