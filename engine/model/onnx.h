/* sn_onnx - a folded network as an ONNX file, opset 13, proven before it is
 * there.
 *
 *   image [batch, c, r, r] -(Sub mean, Div std)-> Conv -> ... -> Gemm
 *     -> logits [batch, classes]
 *
 * `batch` is symbolic. h-swish is x * HardSigmoid(x; 1/6, 1/2), the gate of
 * squeeze-and-excitation HardSigmoid likewise (opset 13 has no HardSwish).
 * Paddings are explicit, k/2 on every side, at stride 2 too. Metadata: arch,
 * space, dataset_checksum and the identity's notes.
 *
 * The file is written under a temporary name, read back, unpacked and compared
 * with the network (structure, sizes, every value), then renamed into place.
 */
#ifndef SN_ONNX_H
#define SN_ONNX_H

#include "engine/err.h"
#include "engine/model/identity.h"
#include "engine/net/static.h"

/* mean and std, one a channel and of pixels in 0..1: the graph takes pixels in
 * 0..1 and normalises them itself. Both NULL: it takes normalised images. */
enum sn_err sn_onnx_write(const char *path, const struct sn_folded_net *net,
                          const struct sn_identity *identity, const float *mean,
                          const float *std, struct sn_error *err);

/* The proof alone: reads the file and compares it with what sn_onnx_write would
 * have written. SN_ERR_CORRUPT names the first difference. */
enum sn_err sn_onnx_check(const char *path, const struct sn_folded_net *net,
                          const struct sn_identity *identity, const float *mean,
                          const float *std, struct sn_error *err);

#endif
