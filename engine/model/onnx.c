#include "engine/model/onnx.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/folded.h"
#include "engine/model/json.h"
#include "engine/model/onnx_graph.h"
#include "engine/model/outfile.h"

static enum sn_err check_arguments(const struct sn_folded_net *net,
                                   const struct sn_identity *identity,
                                   const float *mean, const float *std,
                                   struct sn_error *err)
{
    if ((mean == NULL) != (std == NULL))
        return sn_error_set(err, SN_ERR_INVALID,
                            "mean and std come together or not at all");
    for (int c = 0; mean && c < net->plan.in_channels; c++)
        if (!isfinite(mean[c]) || !isfinite(std[c]) || std[c] <= 0)
            return sn_error_set(err, SN_ERR_INVALID,
                                "mean %g and std %g of channel %d do not "
                                "normalise",
                                mean[c], std[c], c);
    for (size_t i = 0; i < identity->n_notes; i++)
        if (!sn_utf8_valid(identity->notes[i].key) ||
            !sn_utf8_valid(identity->notes[i].value))
            return sn_error_set(err, SN_ERR_INVALID, "a note is not UTF-8");
    return sn_folded_check(net, err);
}

static enum sn_err write_model(struct sn_outfile *file,
                               const Onnx__ModelProto *model,
                               struct sn_error *err)
{
    size_t size = onnx__model_proto__get_packed_size(model);
    unsigned char *bytes = malloc(size);
    if (!bytes)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    size = onnx__model_proto__pack(model, bytes);
    enum sn_err code = sn_outfile_write(file, bytes, size, err);
    free(bytes);
    return code == SN_OK ? sn_outfile_sync(file, err) : code;
}

static enum sn_err read_all(int fd, const char *path, unsigned char **ret,
                            size_t *ret_size, struct sn_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return sn_error_errno(err, errno, "looking at %s", path);
    if (!S_ISREG(st.st_mode))
        return sn_error_set(err, SN_ERR_CORRUPT, "%s: no regular file", path);
    size_t size = (size_t)st.st_size, have = 0;
    unsigned char *bytes = malloc(size + 1);
    if (!bytes)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    while (have < size) {
        ssize_t n = read(fd, bytes + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int saved = n < 0 ? errno : EIO;
            free(bytes);
            return sn_error_errno(err, saved, "reading %s", path);
        }
        have += (size_t)n;
    }
    *ret = bytes;
    *ret_size = size;
    return SN_OK;
}

static enum sn_err compare_file(const char *path, const Onnx__ModelProto *want,
                                struct sn_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sn_error_errno(err, errno, "opening %s", path);
    enum sn_err code = read_all(fd, path, &bytes, &size, err);
    close(fd);
    if (code != SN_OK)
        return code;
    Onnx__ModelProto *got = onnx__model_proto__unpack(NULL, size, bytes);
    if (got)
        code = sn_onnx_compare(got, want, err);
    else
        code = sn_error_set(err, SN_ERR_CORRUPT, "no ONNX message");
    if (got)
        onnx__model_proto__free_unpacked(got, NULL);
    free(bytes);
    if (code != SN_OK)
        sn_error_wrap(err, "%s", path);
    return code;
}

enum sn_err sn_onnx_check(const char *path, const struct sn_folded_net *net,
                          const struct sn_identity *identity, const float *mean,
                          const float *std, struct sn_error *err)
{
    struct sn_onnx_graph *graph = NULL;
    enum sn_err code = check_arguments(net, identity, mean, std, err);
    if (code == SN_OK)
        code = sn_onnx_graph_new(net, identity, mean, std, &graph, err);
    if (code == SN_OK)
        code = compare_file(path, sn_onnx_graph_model(graph), err);
    sn_onnx_graph_free(graph);
    return code;
}

enum sn_err sn_onnx_write(const char *path, const struct sn_folded_net *net,
                          const struct sn_identity *identity, const float *mean,
                          const float *std, struct sn_error *err)
{
    struct sn_onnx_graph *graph = NULL;
    struct sn_outfile *file = NULL;
    enum sn_err code = check_arguments(net, identity, mean, std, err);
    if (code == SN_OK)
        code = sn_onnx_graph_new(net, identity, mean, std, &graph, err);
    if (code == SN_OK)
        code = sn_outfile_begin(path, &file, err);
    if (code == SN_OK)
        code = write_model(file, sn_onnx_graph_model(graph), err);
    if (code == SN_OK)
        code = compare_file(sn_outfile_temp(file), sn_onnx_graph_model(graph),
                            err);
    if (code == SN_OK) {
        code = sn_outfile_commit(file, err);
        file = NULL;
    }
    sn_outfile_abort(file);
    sn_onnx_graph_free(graph);
    return code;
}
