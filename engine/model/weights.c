#include "engine/model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/model/folded.h"
#include "engine/model/safetensors.h"

static const char weights_format[] = "sparsenas.static.1";

enum { MAX_FIXED_NOTES = 10 };

struct sn_weights {
    struct sn_safetensors *file;
    struct sn_folded_net net;
};

/* XXH3-64, in hex, of all weights and biases in the list's order. */
static enum sn_err checksum(const struct sn_named_layer *layer, size_t n,
                            char ret[17], struct sn_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    XXH3_64bits_reset(state);
    for (size_t i = 0; i < n; i++) {
        const struct sn_folded *l = layer[i].layer;
        XXH3_64bits_update(state, l->weight,
                           sn_folded_weights(l) * sizeof(float));
        XXH3_64bits_update(state, l->bias, (size_t)l->out * sizeof(float));
    }
    snprintf(ret, 17, "%016llx", (unsigned long long)XXH3_64bits_digest(state));
    XXH3_freeState(state);
    return SN_OK;
}

/* ---- writing ---- */

static void add_note(struct sn_note *notes, size_t *n, const char *key,
                     const char *value)
{
    if (value && *value)
        notes[(*n)++] = (struct sn_note){key, value};
}

/* All that goes into one file, so that it is freed in one place. */
struct draft {
    struct sn_named_layer layer[SN_MAX_FOLDED];
    char name[SN_MAX_FOLDED][2][48];
    struct sn_st_tensor tensor[2 * SN_MAX_FOLDED];
    size_t n_layers;
    char classes[16], channels[16], resolution[16], sum[17];
};

static void draft_tensors(struct draft *draft)
{
    for (size_t i = 0; i < draft->n_layers; i++) {
        const struct sn_folded *layer = draft->layer[i].layer;
        for (int bias = 0; bias < 2; bias++)
            snprintf(draft->name[i][bias], sizeof(draft->name[i][bias]),
                     "%s.%s", draft->layer[i].name, bias ? "bias" : "weight");
        draft->tensor[2 * i] = (struct sn_st_tensor){.name = draft->name[i][0],
                                                     .dtype = SN_ST_F32,
                                                     .ndim = 4,
                                                     .data = layer->weight};
        sn_folded_shape(layer, draft->tensor[2 * i].shape);
        draft->tensor[2 * i + 1] = sn_st_vector(
            draft->name[i][1], SN_ST_F32, (size_t)layer->out, layer->bias);
    }
}

static size_t draft_notes(struct draft *draft, const struct sn_plan *plan,
                          const struct sn_identity *identity,
                          struct sn_note *notes)
{
    size_t n = 0;
    snprintf(draft->classes, sizeof(draft->classes), "%d", plan->classes);
    snprintf(draft->channels, sizeof(draft->channels), "%d", plan->in_channels);
    snprintf(draft->resolution, sizeof(draft->resolution), "%d",
             plan->resolution);
    add_note(notes, &n, "format", weights_format);
    add_note(notes, &n, "arch", identity->arch);
    add_note(notes, &n, "space", identity->space);
    add_note(notes, &n, "dataset_checksum", identity->dataset_checksum);
    add_note(notes, &n, "classes", draft->classes);
    add_note(notes, &n, "in_channels", draft->channels);
    add_note(notes, &n, "resolution", draft->resolution);
    add_note(notes, &n, "weights_xxh3", draft->sum);
    add_note(notes, &n, "producer",
             identity->producer ? identity->producer : "sparsenas");
    add_note(notes, &n, "version", identity->version);
    for (size_t i = 0; i < identity->n_notes; i++)
        notes[n++] = identity->notes[i];
    return n;
}

enum sn_err sn_weights_write(const char *path, const struct sn_folded_net *net,
                             const struct sn_identity *identity,
                             struct sn_error *err)
{
    enum sn_err code = sn_folded_check(net, err);
    if (code != SN_OK)
        return code;
    struct draft *draft = calloc(1, sizeof(*draft));
    struct sn_note *notes =
        calloc(MAX_FIXED_NOTES + identity->n_notes, sizeof(*notes));
    if (!draft || !notes) {
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        goto out;
    }
    draft->n_layers = sn_folded_layers(net, draft->layer);
    code = checksum(draft->layer, draft->n_layers, draft->sum, err);
    if (code != SN_OK)
        goto out;
    draft_tensors(draft);
    size_t n_notes = draft_notes(draft, &net->plan, identity, notes);
    code = sn_safetensors_write(path, draft->tensor, 2 * draft->n_layers, notes,
                                n_notes, err);
out:
    free(notes);
    free(draft);
    return code;
}

/* ---- reading ---- */

static enum sn_err map_layer(const struct sn_safetensors *file,
                             const struct sn_named_layer *named,
                             struct sn_folded *layer, struct sn_error *err)
{
    char name[48];
    const void *weight = NULL, *bias = NULL;
    snprintf(name, sizeof(name), "%.31s.weight", named->name);
    enum sn_err code = sn_safetensors_get(
        file, name, SN_ST_F32, sn_folded_weights(layer), &weight, err);
    if (code != SN_OK)
        return code;
    int64_t shape[4];
    sn_folded_shape(layer, shape);
    const struct sn_st_tensor *tensor = sn_safetensors_find(file, name);
    if (tensor->ndim != 4 || memcmp(tensor->shape, shape, sizeof(shape)) != 0)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "tensor %s has another shape than its architecture",
                            name);
    snprintf(name, sizeof(name), "%.31s.bias", named->name);
    code = sn_safetensors_get(file, name, SN_ST_F32, (size_t)layer->out, &bias,
                              err);
    layer->weight = weight;
    layer->bias = bias;
    return code;
}

/* The list borrows from weights->net, which is ours to fill. */
static enum sn_err map_layers(struct sn_weights *weights,
                              const struct sn_named_layer *list, size_t n,
                              struct sn_error *err)
{
    enum sn_err code = SN_OK;
    char *base = (char *)&weights->net;
    for (size_t i = 0; i < n && code == SN_OK; i++) {
        size_t at = (size_t)((const char *)list[i].layer - base);
        code = map_layer(weights->file, &list[i],
                         (struct sn_folded *)(void *)(base + at), err);
    }
    if (code == SN_OK && sn_safetensors_count(weights->file) != 2 * n)
        code =
            sn_error_set(err, SN_ERR_CORRUPT, "%zu tensors; %zu are expected",
                         sn_safetensors_count(weights->file), 2 * n);
    return code;
}

static enum sn_err map_network(struct sn_weights *weights,
                               const struct sn_plan *plan, struct sn_error *err)
{
    struct sn_named_layer list[SN_MAX_FOLDED];
    char sum[17];
    const char *format = sn_weights_note(weights, "format");
    const char *want = sn_weights_note(weights, "weights_xxh3");
    if (!format || strcmp(format, weights_format) != 0)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "no weights of a static network (format %.40s)",
                            format ? format : "missing");
    sn_folded_shapes(plan, &weights->net);
    size_t n = sn_folded_layers(&weights->net, list);
    enum sn_err code = map_layers(weights, list, n, err);
    if (code == SN_OK)
        code = checksum(list, n, sum, err);
    if (code == SN_OK && (!want || strcmp(want, sum) != 0))
        code = sn_error_set(err, SN_ERR_CORRUPT,
                            "the weights' checksum is %s; the file says %.20s",
                            sum, want ? want : "nothing");
    return code;
}

enum sn_err sn_weights_open(const char *path, const struct sn_plan *plan,
                            struct sn_weights **ret, struct sn_error *err)
{
    struct sn_weights *weights = calloc(1, sizeof(*weights));
    if (!weights)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    enum sn_err code = sn_safetensors_open(path, &weights->file, err);
    if (code == SN_OK) {
        code = map_network(weights, plan, err);
        if (code != SN_OK)
            sn_error_wrap(err, "%s", path);
    }
    if (code != SN_OK) {
        sn_weights_free(weights);
        return code;
    }
    *ret = weights;
    return SN_OK;
}

void sn_weights_free(struct sn_weights *weights)
{
    if (!weights)
        return;
    sn_safetensors_free(weights->file);
    free(weights);
}

const struct sn_folded_net *sn_weights_folded(const struct sn_weights *weights)
{
    return &weights->net;
}

const char *sn_weights_note(const struct sn_weights *weights, const char *key)
{
    return sn_safetensors_note(weights->file, key);
}
