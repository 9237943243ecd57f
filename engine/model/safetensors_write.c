/* Writing; safetensors.c reads. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/json.h"
#include "engine/model/outfile.h"
#include "engine/model/safetensors.h"

/* The header's text as it grows. A failed allocation is kept in `failed` and
 * looked at once, at the end. */
struct text {
    char *bytes;
    size_t used, room;
    bool failed;
};

static void put_bytes(struct text *text, const char *bytes, size_t n)
{
    if (text->failed)
        return;
    if (n >= text->room - text->used) {
        size_t room = (text->room + n) * 2 + 256;
        char *bigger = realloc(text->bytes, room);
        if (!bigger) {
            text->failed = true;
            return;
        }
        text->bytes = bigger;
        text->room = room;
    }
    memcpy(text->bytes + text->used, bytes, n);
    text->used += n;
}

static void put(struct text *text, const char *bytes)
{
    put_bytes(text, bytes, strlen(bytes));
}

static void put_number(struct text *text, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    put(text, digits);
}

static void put_string(struct text *text, const char *value)
{
    put(text, "\"");
    for (const char *c = value; *c; c++) {
        char escape[8];
        if (*c == '"' || *c == '\\')
            snprintf(escape, sizeof(escape), "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)*c);
        else
            snprintf(escape, sizeof(escape), "%c", *c);
        put(text, escape);
    }
    put(text, "\"");
}

/* ---- checks ---- */

static enum sn_err check_text(const char *what, const char *text,
                              struct sn_error *err)
{
    if (!text || !sn_utf8_valid(text))
        return sn_error_set(err, SN_ERR_INVALID, "%s is not UTF-8 text", what);
    return SN_OK;
}

static enum sn_err tensor_bytes(const struct sn_st_tensor *tensor, size_t *ret,
                                struct sn_error *err)
{
    enum sn_err code = check_text("a tensor's name", tensor->name, err);
    if (code != SN_OK)
        return code;
    if (strcmp(tensor->name, "__metadata__") == 0)
        return sn_error_set(err, SN_ERR_INVALID,
                            "no tensor may be named __metadata__");
    if (tensor->ndim < 0 || tensor->ndim > SN_ST_MAX_DIMS)
        return sn_error_set(err, SN_ERR_INVALID,
                            "tensor %.64s has %d dimensions", tensor->name,
                            tensor->ndim);
    size_t bytes = sn_st_dtype_bytes(tensor->dtype);
    for (int i = 0; i < tensor->ndim; i++)
        if (tensor->shape[i] < 0 ||
            __builtin_mul_overflow(bytes, (size_t)tensor->shape[i], &bytes))
            return sn_error_set(err, SN_ERR_INVALID,
                                "tensor %.64s has an impossible shape",
                                tensor->name);
    *ret = bytes;
    return SN_OK;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `name` is room for n texts, which are sorted there. */
static enum sn_err check_distinct(const char **name, size_t n,
                                  struct sn_error *err)
{
    qsort(name, n, sizeof(*name), compare_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(name[i - 1], name[i]) == 0)
            return sn_error_set(err, SN_ERR_INVALID, "%.64s is there twice",
                                name[i]);
    return SN_OK;
}

static enum sn_err check_all(const struct sn_st_tensor *tensors, size_t n,
                             const struct sn_note *notes, size_t n_notes,
                             struct sn_error *err)
{
    if (n > SN_ST_MAX_TENSORS)
        return sn_error_set(err, SN_ERR_TOOLARGE, "too many tensors");
    const char **name = calloc((n > n_notes ? n : n_notes) + 1, sizeof(*name));
    if (!name)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    enum sn_err code = SN_OK;
    for (size_t i = 0; i < n && code == SN_OK; i++) {
        size_t bytes = 0;
        code = tensor_bytes(&tensors[i], &bytes, err);
        name[i] = tensors[i].name;
    }
    if (code == SN_OK)
        code = check_distinct(name, n, err);
    for (size_t i = 0; i < n_notes && code == SN_OK; i++) {
        code = check_text("a metadata key", notes[i].key, err);
        if (code == SN_OK)
            code = check_text(notes[i].key, notes[i].value, err);
        name[i] = notes[i].key;
    }
    if (code == SN_OK)
        code = check_distinct(name, n_notes, err);
    free(name);
    return code;
}

/* ---- the file ---- */

/* Larger elements first, so that each tensor is aligned to its elements. */
static const size_t element_sizes[] = {8, 4, 2, 1};

static void put_tensor(struct text *text, const struct sn_st_tensor *tensor,
                       size_t begin, size_t end)
{
    put_string(text, tensor->name);
    put(text, ":{\"dtype\":\"");
    put(text, sn_st_dtype_name(tensor->dtype));
    put(text, "\",\"shape\":[");
    for (int i = 0; i < tensor->ndim; i++) {
        put(text, i ? "," : "");
        put_number(text, (uint64_t)tensor->shape[i]);
    }
    put(text, "],\"data_offsets\":[");
    put_number(text, begin);
    put(text, ",");
    put_number(text, end);
    put(text, "]}");
}

static void put_header(struct text *text, const struct sn_st_tensor *tensors,
                       size_t n, const struct sn_note *notes, size_t n_notes)
{
    const char *comma = "";
    put(text, "{");
    for (size_t i = 0; i < n_notes; i++) {
        put(text, i ? "," : "\"__metadata__\":{");
        put_string(text, notes[i].key);
        put(text, ":");
        put_string(text, notes[i].value);
    }
    if (n_notes) {
        put(text, "}");
        comma = ",";
    }
    size_t at = 0;
    for (size_t s = 0; s < sizeof(element_sizes) / sizeof(*element_sizes); s++)
        for (size_t i = 0; i < n; i++) {
            size_t each = sn_st_dtype_bytes(tensors[i].dtype);
            if (each != element_sizes[s])
                continue;
            size_t end = at + each * sn_st_count(&tensors[i]);
            put(text, comma);
            put_tensor(text, &tensors[i], at, end);
            at = end;
            comma = ",";
        }
    put(text, "}");
    while ((8 + text->used) % 64 != 0 && !text->failed)
        put(text, " ");
}

static enum sn_err write_tensors(struct sn_outfile *file,
                                 const struct sn_st_tensor *tensors, size_t n,
                                 struct sn_error *err)
{
    enum sn_err code = SN_OK;
    for (size_t s = 0; s < sizeof(element_sizes) / sizeof(*element_sizes); s++)
        for (size_t i = 0; i < n && code == SN_OK; i++) {
            size_t each = sn_st_dtype_bytes(tensors[i].dtype);
            if (each == element_sizes[s])
                code = sn_outfile_write(file, tensors[i].data,
                                        each * sn_st_count(&tensors[i]), err);
        }
    return code;
}

static enum sn_err write_file(const char *path, const struct text *header,
                              const struct sn_st_tensor *tensors, size_t n,
                              struct sn_error *err)
{
    struct sn_outfile *file = NULL;
    enum sn_err code = sn_outfile_begin(path, &file, err);
    if (code != SN_OK)
        return code;
    uint64_t length = header->used;
    code = sn_outfile_write(file, &length, sizeof(length), err);
    if (code == SN_OK)
        code = sn_outfile_write(file, header->bytes, header->used, err);
    if (code == SN_OK)
        code = write_tensors(file, tensors, n, err);
    if (code != SN_OK) {
        sn_outfile_abort(file);
        return code;
    }
    return sn_outfile_commit(file, err);
}

enum sn_err sn_safetensors_write(const char *path,
                                 const struct sn_st_tensor *tensors, size_t n,
                                 const struct sn_note *metadata,
                                 size_t n_metadata, struct sn_error *err)
{
    enum sn_err code = check_all(tensors, n, metadata, n_metadata, err);
    if (code != SN_OK)
        return code;
    struct text header = {0};
    put_header(&header, tensors, n, metadata, n_metadata);
    if (header.failed)
        code = sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    else if (header.used > SN_ST_MAX_HEADER)
        code = sn_error_set(err, SN_ERR_TOOLARGE, "%s: the header is too large",
                            path);
    else
        code = write_file(path, &header, tensors, n, err);
    free(header.bytes);
    return code;
}
