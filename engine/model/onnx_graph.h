/* sn_onnx_graph - the ONNX message of a folded network, built in memory.
 *
 * The message borrows the network's weights and the caller's strings; all else
 * lives until sn_onnx_graph_free. Internal to engine/model.
 */
#ifndef SN_ONNX_GRAPH_H
#define SN_ONNX_GRAPH_H

#include "engine/err.h"
#include "engine/model/identity.h"
#include "engine/model/onnx.pb-c.h"
#include "engine/net/static.h"

struct sn_onnx_graph;

/* mean and std: see onnx.h. The network must have passed sn_folded_check. */
enum sn_err sn_onnx_graph_new(const struct sn_folded_net *net,
                              const struct sn_identity *identity,
                              const float *mean, const float *std,
                              struct sn_onnx_graph **ret, struct sn_error *err);
void sn_onnx_graph_free(struct sn_onnx_graph *graph); /* NULL is fine */
const Onnx__ModelProto *sn_onnx_graph_model(const struct sn_onnx_graph *graph);

/* Whether `got`, unpacked from a file, is `want`: SN_ERR_CORRUPT names the
 * first difference. Also proves that each node reads only what is there before
 * it, and that each initialiser is as large as its shape. */
enum sn_err sn_onnx_compare(const Onnx__ModelProto *got,
                            const Onnx__ModelProto *want, struct sn_error *err);

#endif
