/* Reading; supernet_write.c writes. */
#include "engine/model/supernet_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/safetensors.h"
#include "engine/model/supernet_names.h"

struct sn_supernet_file {
    struct sn_safetensors *file;
    struct sn_supernet_info info;
    struct sn_wanted_list *wanted; /* each with what was found for it */
    size_t n_weights;              /* floats of the supernet */
};

/* ---- the shapes that say what the images and classes are ---- */

/* The tensor of the file that `name` stands for, or NULL. */
static const struct sn_st_tensor *find(const struct sn_safetensors *file,
                                       const char *name)
{
    struct sn_wanted only = {.name = ""};
    struct sn_wanted_list list = {.n = 1, .item = &only};
    snprintf(only.name, sizeof(only.name), "%s", name);
    for (size_t i = 0; i < sn_safetensors_count(file); i++) {
        const struct sn_st_tensor *tensor = sn_safetensors_at(file, i);
        if (sn_wanted_find(&list, tensor->name))
            return tensor;
    }
    return NULL;
}

/* Dimension d of the tensor, at most `most`; names what is wrong. */
static enum sn_err take_size(const struct sn_safetensors *file,
                             const char *name, int d, int least, int most,
                             int *ret, struct sn_error *err)
{
    const struct sn_st_tensor *tensor = find(file, name);
    if (!tensor)
        return sn_error_set(err, SN_ERR_INVALID,
                            "tensor %s is missing: these are not the weights "
                            "of a supernet of this space",
                            name);
    if (tensor->ndim <= d || tensor->shape[d] < least ||
        tensor->shape[d] > most)
        return sn_error_set(err, SN_ERR_INVALID,
                            "tensor %s: dimension %d must be %d to %d", name, d,
                            least, most);
    *ret = (int)tensor->shape[d];
    return SN_OK;
}

/* A supernet's first tensor is the stem's weight, its last the classifier's
 * bias. */
static enum sn_err find_sizes(struct sn_supernet_file *f,
                              struct sn_compute *compute,
                              const struct sn_space *space,
                              struct sn_error *err)
{
    struct sn_supernet *any = NULL;
    const struct sn_tensor *tensors;
    enum sn_err code = sn_supernet_outline(compute, space, SN_FILE_CHANNELS,
                                           SN_FILE_CLASSES, &any, err);
    if (code != SN_OK)
        return code;
    size_t n = sn_supernet_tensors(any, &tensors);
    code = take_size(f->file, tensors[0].name, 1, 1, SN_FILE_CHANNELS,
                     &f->info.in_channels, err);
    if (code == SN_OK)
        code = take_size(f->file, tensors[n - 1].name, 0, 2, SN_FILE_CLASSES,
                         &f->info.classes, err);
    sn_supernet_free(any);
    return code;
}

/* ---- every tensor is used ---- */

/* Differences of one kind: how many, and the first names. */
struct faults {
    const char *what;
    size_t n;
    char names[2][72];
};

static void fault(struct faults *f, const char *name)
{
    if (f->n < 2)
        snprintf(f->names[f->n], sizeof(f->names[0]), "%.70s", name);
    f->n++;
}

static bool same_shape(const struct sn_wanted *want,
                       const struct sn_st_tensor *tensor)
{
    return tensor->ndim == want->ndim &&
           memcmp(tensor->shape, want->shape,
                  (size_t)want->ndim * sizeof(want->shape[0])) == 0;
}

static bool readable(const struct sn_wanted *want,
                     const struct sn_st_tensor *tensor)
{
    if (want->part == SN_WANTED_BATCHES)
        return tensor->dtype == SN_ST_I64;
    return tensor->dtype == SN_ST_F32 || tensor->dtype == SN_ST_F16 ||
           tensor->dtype == SN_ST_BF16;
}

static bool is_statistic(const struct sn_wanted *want)
{
    return want->part == SN_WANTED_MEAN || want->part == SN_WANTED_VAR;
}

enum { MISSING, UNEXPECTED, SHAPE, TYPE, TWICE, N_FAULTS };

static void match_all(struct sn_supernet_file *f,
                      struct faults fault_of[N_FAULTS])
{
    bool any_statistic = false;
    for (size_t i = 0; i < sn_safetensors_count(f->file); i++) {
        const struct sn_st_tensor *tensor = sn_safetensors_at(f->file, i);
        struct sn_wanted *want = sn_wanted_find(f->wanted, tensor->name);
        if (!want)
            fault(&fault_of[UNEXPECTED], tensor->name);
        else if (want->found)
            fault(&fault_of[TWICE], tensor->name);
        else if (!same_shape(want, tensor))
            fault(&fault_of[SHAPE], tensor->name);
        else if (!readable(want, tensor))
            fault(&fault_of[TYPE], tensor->name);
        if (want && !want->found)
            want->found = tensor;
        any_statistic |= want && is_statistic(want);
    }
    for (size_t i = 0; i < f->wanted->n; i++) {
        const struct sn_wanted *want = &f->wanted->item[i];
        bool needed = want->part == SN_WANTED_WEIGHT ||
                      (any_statistic && is_statistic(want));
        if (needed && !want->found)
            fault(&fault_of[MISSING], want->name);
    }
    f->info.has_statistics = any_statistic;
}

static enum sn_err report(const struct sn_supernet_file *f,
                          const struct faults fault_of[N_FAULTS],
                          struct sn_error *err)
{
    char text[384];
    size_t at = 0;
    for (int k = 0; k < N_FAULTS; k++) {
        const struct faults *k_faults = &fault_of[k];
        if (k_faults->n == 0 || at >= sizeof(text) - 1)
            continue;
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "%s%zu %s (%s%s%s%s)", at ? "; " : "",
                               k_faults->n, k_faults->what, k_faults->names[0],
                               k_faults->n > 1 ? ", " : "",
                               k_faults->n > 1 ? k_faults->names[1] : "",
                               k_faults->n > 2 ? ", ..." : "");
    }
    if (at == 0)
        return SN_OK;
    return sn_error_set(err, SN_ERR_INVALID, "of %zu tensors %s",
                        sn_safetensors_count(f->file), text);
}

static enum sn_err match(struct sn_supernet_file *f, struct sn_compute *compute,
                         const struct sn_space *space, struct sn_error *err)
{
    struct faults fault_of[N_FAULTS] = {
        [MISSING] = {.what = "are missing"},
        [UNEXPECTED] = {.what = "are unexpected"},
        [SHAPE] = {.what = "have another shape"},
        [TYPE] = {.what = "have a type that is not read"},
        [TWICE] = {.what = "are there under two names"},
    };
    struct sn_supernet *net = NULL;
    enum sn_err code = sn_supernet_outline(compute, space, f->info.in_channels,
                                           f->info.classes, &net, err);
    if (code == SN_OK) {
        f->n_weights = sn_supernet_size(net);
        code = sn_wanted_new(net, &f->wanted, err);
    }
    sn_supernet_free(net);
    if (code != SN_OK)
        return code;
    match_all(f, fault_of);
    return report(f, fault_of, err);
}

/* ---- metadata ---- */

static enum sn_err take_numbers(const struct sn_safetensors *file,
                                const char *key, int n, float *ret,
                                bool *ret_there, struct sn_error *err)
{
    const char *text = sn_safetensors_note(file, key);
    *ret_there = text != NULL;
    for (int i = 0; text && i < n; i++) {
        char *end = NULL;
        ret[i] = strtof(text, &end);
        if (end == text || !isfinite(ret[i]) || *end != (i + 1 < n ? ',' : 0))
            return sn_error_set(err, SN_ERR_INVALID,
                                "metadata %s is not %d numbers: %.40s", key, n,
                                text);
        text = end + 1;
    }
    return SN_OK;
}

static enum sn_err take_metadata(struct sn_supernet_file *f,
                                 const struct sn_space *space,
                                 struct sn_error *err)
{
    struct sn_supernet_info *info = &f->info;
    const char *named = sn_safetensors_note(f->file, "space");
    const char *dataset = sn_safetensors_note(f->file, "dataset");
    const char *sum = sn_safetensors_note(f->file, "dataset_checksum");
    bool mean = false, std = false;
    enum sn_err code = SN_OK;
    if (named && strcmp(named, space->name) != 0)
        return sn_error_at(err, SN_ERR_INVALID, "/space",
                           "the file says that it belongs to space %.64s, "
                           "not to %s",
                           named, space->name);
    if (sn_safetensors_note(f->file, "step"))
        code = sn_safetensors_note_u64(f->file, "step", &info->step, err);
    if (code == SN_OK)
        code = take_numbers(f->file, "mean", info->in_channels, info->mean,
                            &mean, err);
    if (code == SN_OK)
        code = take_numbers(f->file, "std", info->in_channels, info->std, &std,
                            err);
    for (int c = 0; code == SN_OK && std && c < info->in_channels; c++)
        if (info->std[c] <= 0)
            code = sn_error_set(err, SN_ERR_INVALID,
                                "metadata std: %g does not normalise",
                                (double)info->std[c]);
    info->normalises = mean && std;
    snprintf(info->dataset, sizeof(info->dataset), "%s",
             dataset ? dataset : "");
    snprintf(info->dataset_checksum, sizeof(info->dataset_checksum), "%s",
             sum ? sum : "");
    return code;
}

enum sn_err sn_supernet_file_space(const char *path, char ret[SN_NAME_MAX],
                                   struct sn_error *err)
{
    struct sn_safetensors *file = NULL;
    enum sn_err code = sn_safetensors_open(path, &file, err);
    if (code != SN_OK)
        return code;
    const char *space = sn_safetensors_note(file, "space");
    if (space && strlen(space) >= SN_NAME_MAX)
        code = sn_error_set(err, SN_ERR_INVALID,
                            "metadata space: too long a name");
    else
        snprintf(ret, SN_NAME_MAX, "%s", space ? space : "");
    sn_safetensors_free(file);
    return code;
}

enum sn_err sn_supernet_file_open(const char *path, struct sn_compute *compute,
                                  const struct sn_space *space,
                                  struct sn_supernet_file **ret,
                                  struct sn_error *err)
{
    struct sn_supernet_file *f = calloc(1, sizeof(*f));
    if (!f)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    enum sn_err code = sn_safetensors_open(path, &f->file, err);
    if (code == SN_OK)
        code = find_sizes(f, compute, space, err);
    if (code == SN_OK)
        code = take_metadata(f, space, err);
    if (code == SN_OK)
        code = match(f, compute, space, err);
    if (code != SN_OK) {
        sn_supernet_file_free(f);
        return code;
    }
    *ret = f;
    return SN_OK;
}

void sn_supernet_file_free(struct sn_supernet_file *file)
{
    if (!file)
        return;
    sn_wanted_free(file->wanted);
    sn_safetensors_free(file->file);
    free(file);
}

const struct sn_supernet_info *
sn_supernet_file_info(const struct sn_supernet_file *file)
{
    return &file->info;
}

const char *sn_supernet_file_labels(const struct sn_supernet_file *file)
{
    return sn_safetensors_note(file->file, "labels");
}

/* ---- values ---- */

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu, fraction = h & 0x3ffu, bits;
    float value;
    if (exponent == 0) {
        value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    bits = exponent == 31 ? 0x7f800000u | fraction << 13
                          : (exponent + 112) << 23 | fraction << 13;
    bits |= sign;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float element(const struct sn_st_tensor *tensor, size_t i)
{
    const unsigned char *data = tensor->data;
    uint32_t bits;
    uint16_t half;
    float value;
    if (tensor->dtype == SN_ST_F32) {
        memcpy(&value, data + 4 * i, 4);
        return value;
    }
    memcpy(&half, data + 2 * i, 2);
    if (tensor->dtype == SN_ST_F16)
        return from_half(half);
    bits = (uint32_t)half << 16;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static enum sn_err copy_values(const struct sn_wanted *want, float *to,
                               struct sn_error *err)
{
    const struct sn_st_tensor *tensor = want->found;
    size_t n = sn_st_count(tensor);
    bool negative = want->part == SN_WANTED_VAR;
    for (size_t i = 0; i < n; i++) {
        to[i] = element(tensor, i);
        if (!isfinite(to[i]) || (negative && to[i] < 0))
            return sn_error_set(
                err, SN_ERR_INVALID, "tensor %s has a value that is %s",
                tensor->name,
                isfinite(to[i]) ? "a negative variance" : "no finite number");
    }
    return SN_OK;
}

static enum sn_err load_statistic(const struct sn_wanted *want,
                                  struct sn_running_bn *bn,
                                  struct sn_error *err)
{
    if (want->part == SN_WANTED_MEAN)
        return copy_values(want, bn->mean, err);
    if (want->part == SN_WANTED_VAR)
        return copy_values(want, bn->var, err);
    memcpy(&bn->batches, want->found->data, sizeof(bn->batches));
    return SN_OK;
}

enum sn_err sn_supernet_file_load(const struct sn_supernet_file *file,
                                  struct sn_supernet *net,
                                  struct sn_running *running,
                                  struct sn_error *err)
{
    const struct sn_tensor *tensors;
    struct sn_running_bn *bns = NULL;
    enum sn_err code = SN_OK;
    sn_supernet_tensors(net, &tensors);
    if (running)
        sn_running_bns(running, &bns);
    if (sn_supernet_size(net) != file->n_weights)
        return sn_error_set(err, SN_ERR_INVALID,
                            "a supernet of another space or size");
    for (size_t i = 0; i < file->wanted->n && code == SN_OK; i++) {
        const struct sn_wanted *want = &file->wanted->item[i];
        if (!want->found)
            continue;
        if (want->part == SN_WANTED_WEIGHT)
            code = copy_values(
                want, sn_supernet_weights(net) + tensors[want->index].offset,
                err);
        else if (running)
            code = load_statistic(want, &bns[want->index], err);
    }
    return code;
}
