/* Writing; supernet_file.c reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/model/safetensors.h"
#include "engine/model/supernet_file.h"

static const char supernet_format[] = "sparsenas.supernet.1";

enum { MAX_NOTES = 16, TEXT_ROOM = 96 };

/* All that goes into one file, so that it is freed in one place. */
struct draft {
    struct sn_st_tensor *tensor;
    size_t n;
    char (*name)[128]; /* of the statistics */
    struct sn_note note[MAX_NOTES];
    char text[MAX_NOTES][TEXT_ROOM];
    size_t n_notes;
};

static void note(struct draft *d, const char *key, const char *value)
{
    if (value && *value)
        d->note[d->n_notes++] = (struct sn_note){key, value};
}

static void note_number(struct draft *d, const char *key, uint64_t value)
{
    char *text = d->text[d->n_notes];
    snprintf(text, TEXT_ROOM, "%llu", (unsigned long long)value);
    note(d, key, text);
}

static void note_numbers(struct draft *d, const char *key, const float *value,
                         int n)
{
    char *text = d->text[d->n_notes];
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, TEXT_ROOM - at, "%s%.9g",
                               i ? "," : "", (double)value[i]);
    note(d, key, text);
}

static void put_weights(struct draft *d, struct sn_supernet *net)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(net, &t);
    for (size_t i = 0; i < n; i++) {
        struct sn_st_tensor *o = &d->tensor[d->n++];
        *o = (struct sn_st_tensor){.name = t[i].name,
                                   .dtype = SN_ST_F32,
                                   .ndim = t[i].ndim,
                                   .data =
                                       sn_supernet_weights(net) + t[i].offset};
        memcpy(o->shape, t[i].shape, sizeof(t[i].shape));
    }
}

static void put_statistics(struct draft *d, const struct sn_running_bn *bns,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct sn_running_bn *bn = &bns[i];
        char(*name)[128] = &d->name[3 * i];
        snprintf(name[0], sizeof(name[0]), "%s.running_mean", bn->name);
        snprintf(name[1], sizeof(name[1]), "%s.running_var", bn->name);
        snprintf(name[2], sizeof(name[2]), "%s.num_batches_tracked", bn->name);
        d->tensor[d->n++] =
            sn_st_vector(name[0], SN_ST_F32, bn->channels, bn->mean);
        d->tensor[d->n++] =
            sn_st_vector(name[1], SN_ST_F32, bn->channels, bn->var);
        d->tensor[d->n++] = (struct sn_st_tensor){
            .name = name[2], .dtype = SN_ST_I64, .data = &bn->batches};
    }
}

static void put_notes(struct draft *d, struct sn_supernet *net,
                      const struct sn_supernet_info *info, const char *labels,
                      const char *version)
{
    const struct sn_space *space = sn_supernet_space(net);
    int channels = sn_supernet_in_channels(net);
    note(d, "format", supernet_format);
    note(d, "space", space->name);
    note_number(d, "classes", (uint64_t)sn_supernet_classes(net));
    note_number(d, "in_channels", (uint64_t)channels);
    note_number(d, "resolution", space->resolution);
    note_number(d, "step", info->step);
    if (info->normalises) {
        note_numbers(d, "mean", info->mean, channels);
        note_numbers(d, "std", info->std, channels);
    }
    note(d, "dataset", info->dataset);
    note(d, "dataset_checksum", info->dataset_checksum);
    note(d, "labels", labels);
    char *sum = d->text[d->n_notes];
    snprintf(
        sum, TEXT_ROOM, "%016llx",
        (unsigned long long)XXH3_64bits(sn_supernet_weights(net),
                                        sn_supernet_size(net) * sizeof(float)));
    note(d, "weights_xxh3", sum);
    note(d, "producer", "sparsenas");
    note(d, "version", version);
}

/* The file holds what the draft says, bit by bit. */
static enum sn_err read_back(const char *path, const struct draft *d,
                             struct sn_error *err)
{
    struct sn_safetensors *file = NULL;
    enum sn_err code = sn_safetensors_open(path, &file, err);
    if (code != SN_OK)
        return code;
    for (size_t i = 0; i < d->n && code == SN_OK; i++) {
        const struct sn_st_tensor *want = &d->tensor[i];
        size_t bytes = sn_st_count(want) * sn_st_dtype_bytes(want->dtype);
        const void *got = NULL;
        code = sn_safetensors_get(file, want->name, want->dtype,
                                  sn_st_count(want), &got, err);
        if (code == SN_OK && memcmp(got, want->data, bytes) != 0)
            code =
                sn_error_set(err, SN_ERR_CORRUPT,
                             "tensor %s is not what was written", want->name);
    }
    sn_safetensors_free(file);
    return code;
}

enum sn_err sn_supernet_file_write(const char *path, struct sn_supernet *net,
                                   struct sn_running *running,
                                   const struct sn_supernet_info *info,
                                   const char *labels, const char *version,
                                   struct sn_error *err)
{
    struct draft d = {.n = 0};
    const struct sn_tensor *tensors;
    struct sn_running_bn *bns = NULL;
    size_t n_bns = running ? sn_running_bns(running, &bns) : 0;
    size_t room = sn_supernet_tensors(net, &tensors) + 3 * n_bns;
    enum sn_err code;
    d.tensor = calloc(room, sizeof(*d.tensor));
    d.name = calloc(3 * n_bns + 1, sizeof(*d.name));
    if (!d.tensor || !d.name) {
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    } else {
        put_weights(&d, net);
        put_statistics(&d, bns, n_bns);
        put_notes(&d, net, info, labels, version);
        code =
            sn_safetensors_write(path, d.tensor, d.n, d.note, d.n_notes, err);
        if (code == SN_OK && (code = read_back(path, &d, err)) != SN_OK)
            unlink(path);
    }
    free(d.name);
    free(d.tensor);
    return code;
}
