/* Reading; safetensors_write.c writes. */
#include "engine/model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the format is little endian and is used in place");

static const struct {
    const char *name;
    size_t bytes;
} dtype_table[SN_ST_DTYPE_COUNT] = {
#define X(code, name, bytes) [code] = {name, bytes},
    SN_ST_DTYPES(X)
#undef X
};

struct entry {
    struct sn_st_tensor tensor;
    size_t begin, end; /* in the buffer */
};

struct sn_safetensors {
    void *map; /* NULL when the bytes are borrowed */
    size_t map_size;
    const unsigned char *buffer;
    size_t buffer_size;
    char *text; /* all decoded strings; never more than the header's bytes */
    size_t text_size, text_used;
    struct entry *entry; /* sorted by place in the buffer */
    size_t n_entries, room_entries;
    const struct entry **by_name;
    struct sn_note *note;
    size_t n_notes, room_notes;
};

const char *sn_st_dtype_name(enum sn_st_dtype dtype)
{
    return dtype_table[dtype].name;
}

size_t sn_st_dtype_bytes(enum sn_st_dtype dtype)
{
    return dtype_table[dtype].bytes;
}

size_t sn_st_count(const struct sn_st_tensor *tensor)
{
    size_t count = 1;
    for (int i = 0; i < tensor->ndim; i++)
        count *= (size_t)tensor->shape[i];
    return count;
}

struct sn_st_tensor sn_st_vector(const char *name, enum sn_st_dtype dtype,
                                 size_t count, const void *data)
{
    return (struct sn_st_tensor){.name = name,
                                 .dtype = dtype,
                                 .ndim = 1,
                                 .shape = {(int64_t)count},
                                 .data = data};
}

/* ---- the header's JSON ---- */

static bool take_text(struct sn_safetensors *file, struct sn_json *json,
                      const char **ret)
{
    char *at = file->text + file->text_used;
    if (!sn_st_json_string(json, at, file->text_size - file->text_used))
        return false;
    file->text_used += strlen(at) + 1;
    *ret = at;
    return true;
}

/* The array, or a bigger copy of it, with room for one more; NULL: no memory
 * (the array is as it was). */
static void *grown(void *array, size_t n, size_t *room, size_t each)
{
    if (n < *room)
        return array;
    size_t more = *room ? *room * 2 : 64;
    void *bigger = reallocarray(array, more, each);
    if (bigger)
        *room = more;
    return bigger;
}

static bool add_note(struct sn_safetensors *file, struct sn_json *json,
                     const struct sn_note *note)
{
    struct sn_note *notes =
        grown(file->note, file->n_notes, &file->room_notes, sizeof(*note));
    if (!notes)
        return sn_st_json_fail(json, "out of memory");
    file->note = notes;
    file->note[file->n_notes++] = *note;
    return true;
}

static bool add_entry(struct sn_safetensors *file, struct sn_json *json,
                      const struct entry *entry)
{
    if (file->n_entries == SN_ST_MAX_TENSORS)
        return sn_st_json_fail(json, "too many tensors");
    struct entry *entries = grown(file->entry, file->n_entries,
                                  &file->room_entries, sizeof(*entry));
    if (!entries)
        return sn_st_json_fail(json, "out of memory");
    file->entry = entries;
    file->entry[file->n_entries++] = *entry;
    return true;
}

static bool take_metadata(struct sn_safetensors *file, struct sn_json *json)
{
    if (!sn_st_json_take(json, '{'))
        return false;
    if (sn_st_json_peek(json) == '}')
        return sn_st_json_take(json, '}');
    do {
        struct sn_note note = {NULL, NULL};
        if (!take_text(file, json, &note.key) || !sn_st_json_take(json, ':') ||
            !take_text(file, json, &note.value) || !add_note(file, json, &note))
            return false;
    } while (sn_st_json_more(json, '}'));
    return !json->fault;
}

static bool take_dtype(struct sn_json *json, struct sn_st_tensor *tensor)
{
    char name[16];
    if (!sn_st_json_string(json, name, sizeof(name)))
        return false;
    for (int i = 0; i < SN_ST_DTYPE_COUNT; i++)
        if (strcmp(dtype_table[i].name, name) == 0) {
            tensor->dtype = (enum sn_st_dtype)i;
            return true;
        }
    return sn_st_json_fail(json, "an unknown dtype");
}

static bool take_shape(struct sn_json *json, struct sn_st_tensor *tensor)
{
    tensor->ndim = 0;
    if (!sn_st_json_take(json, '['))
        return false;
    if (sn_st_json_peek(json) == ']')
        return sn_st_json_take(json, ']');
    do {
        if (tensor->ndim == SN_ST_MAX_DIMS)
            return sn_st_json_fail(json, "a shape has too many dimensions");
        if (!sn_st_json_whole(json, &tensor->shape[tensor->ndim++]))
            return false;
    } while (sn_st_json_more(json, ']'));
    return !json->fault;
}

static bool take_offsets(struct sn_json *json, struct entry *entry)
{
    int64_t begin = 0, end = 0;
    if (!sn_st_json_take(json, '[') || !sn_st_json_whole(json, &begin) ||
        !sn_st_json_take(json, ',') || !sn_st_json_whole(json, &end) ||
        !sn_st_json_take(json, ']'))
        return false;
    entry->begin = (size_t)begin;
    entry->end = (size_t)end;
    return true;
}

/* Offsets within the buffer, and as many bytes as dtype and shape say. */
static bool check_extent(const struct sn_safetensors *file,
                         const struct entry *entry, struct sn_json *json)
{
    if (entry->begin > entry->end || entry->end > file->buffer_size)
        return sn_st_json_fail(json, "data_offsets are outside of the file");
    size_t bytes = dtype_table[entry->tensor.dtype].bytes;
    for (int i = 0; i < entry->tensor.ndim; i++)
        if (__builtin_mul_overflow(bytes, (size_t)entry->tensor.shape[i],
                                   &bytes))
            return sn_st_json_fail(json, "a shape is too large");
    if (bytes != entry->end - entry->begin)
        return sn_st_json_fail(json,
                               "dtype and shape disagree with data_offsets");
    return true;
}

static bool take_tensor(struct sn_safetensors *file, struct sn_json *json,
                        struct entry *entry)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    int seen = 0;
    if (!sn_st_json_take(json, '{'))
        return false;
    do {
        char key[16];
        if (!sn_st_json_string(json, key, sizeof(key)) ||
            !sn_st_json_take(json, ':'))
            return false;
        int bit = strcmp(key, "dtype") == 0          ? DTYPE
                  : strcmp(key, "shape") == 0        ? SHAPE
                  : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                     : 0;
        if (bit == 0 || seen & bit)
            return sn_st_json_fail(json, bit ? "a key of a tensor is doubled"
                                             : "an unknown key of a tensor");
        seen |= bit;
        if (!(bit == DTYPE   ? take_dtype(json, &entry->tensor)
              : bit == SHAPE ? take_shape(json, &entry->tensor)
                             : take_offsets(json, entry)))
            return false;
    } while (sn_st_json_more(json, '}'));
    if (json->fault)
        return false;
    if (seen != (DTYPE | SHAPE | OFFSETS))
        return sn_st_json_fail(json, "a tensor lacks dtype, shape or offsets");
    return check_extent(file, entry, json);
}

static bool take_header(struct sn_safetensors *file, struct sn_json *json)
{
    bool metadata = false;
    if (!sn_st_json_take(json, '{'))
        return false;
    if (sn_st_json_peek(json) == '}')
        return sn_st_json_take(json, '}');
    do {
        struct entry entry = {0};
        if (!take_text(file, json, &entry.tensor.name) ||
            !sn_st_json_take(json, ':'))
            return false;
        if (strcmp(entry.tensor.name, "__metadata__") == 0) {
            if (metadata)
                return sn_st_json_fail(json, "the metadata is there twice");
            metadata = true;
            if (!take_metadata(file, json))
                return false;
            continue;
        }
        if (!take_tensor(file, json, &entry))
            return false;
        entry.tensor.data = file->buffer + entry.begin;
        if (!add_entry(file, json, &entry))
            return false;
    } while (sn_st_json_more(json, '}'));
    return !json->fault;
}

/* ---- what concerns all tensors together ---- */

static int compare_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->tensor.name, (*y)->tensor.name);
}

static int compare_key(const void *a, const void *b)
{
    const struct sn_note *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Back to back, from the buffer's first byte to its last: no overlap. */
static enum sn_err check_places(const struct sn_safetensors *file,
                                struct sn_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < file->n_entries; i++) {
        const struct entry *entry = &file->entry[i];
        if (entry->begin != at)
            return sn_error_set(err, SN_ERR_CORRUPT, "tensor %.64s %s",
                                entry->tensor.name,
                                entry->begin < at ? "overlaps another"
                                                  : "leaves a hole before it");
        at = entry->end;
    }
    if (at != file->buffer_size)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%zu bytes belong to no tensor",
                            file->buffer_size - at);
    return SN_OK;
}

static enum sn_err index_names(struct sn_safetensors *file,
                               struct sn_error *err)
{
    file->by_name = calloc(file->n_entries + 1, sizeof(*file->by_name));
    if (!file->by_name)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    if (file->n_entries)
        qsort(file->entry, file->n_entries, sizeof(*file->entry),
              compare_place);
    for (size_t i = 0; i < file->n_entries; i++)
        file->by_name[i] = &file->entry[i];
    qsort(file->by_name, file->n_entries, sizeof(*file->by_name), compare_name);
    for (size_t i = 1; i < file->n_entries; i++)
        if (compare_name(&file->by_name[i - 1], &file->by_name[i]) == 0)
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "tensor %.64s is there twice",
                                file->by_name[i]->tensor.name);
    if (file->n_notes)
        qsort(file->note, file->n_notes, sizeof(*file->note), compare_key);
    for (size_t i = 1; i < file->n_notes; i++)
        if (compare_key(&file->note[i - 1], &file->note[i]) == 0)
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "metadata %.64s is there twice",
                                file->note[i].key);
    return SN_OK;
}

static enum sn_err read_header(struct sn_safetensors *file,
                               const unsigned char *header, size_t size,
                               struct sn_error *err)
{
    file->text = malloc(size);
    file->text_size = size;
    if (!file->text)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    if (header[0] != '{')
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "no safetensors file: the header does not "
                            "start with {");
    struct sn_json json;
    sn_st_json_init(&json, header, size);
    if (take_header(file, &json) && (sn_st_json_peek(&json), json.at < size))
        sn_st_json_fail(&json, "something follows the header's end");
    if (json.fault)
        return sn_error_set(err, SN_ERR_CORRUPT, "header at byte %zu: %s",
                            json.at, json.fault);
    enum sn_err code = index_names(file, err);
    return code == SN_OK ? check_places(file, err) : code;
}

static enum sn_err read_bytes(struct sn_safetensors *file,
                              const unsigned char *bytes, size_t size,
                              struct sn_error *err)
{
    uint64_t length = 0;
    if (size < 8 + 2)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "%zu bytes are no safetensors file", size);
    memcpy(&length, bytes, 8);
    if (length > SN_ST_MAX_HEADER || length > size - 8 || length < 2)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "the header is said to be %llu bytes long; the "
                            "file has %zu",
                            (unsigned long long)length, size);
    file->buffer = bytes + 8 + length;
    file->buffer_size = size - 8 - (size_t)length;
    return read_header(file, bytes + 8, (size_t)length, err);
}

/* ---- opening ---- */

enum sn_err sn_safetensors_parse(const void *bytes, size_t size,
                                 struct sn_safetensors **ret,
                                 struct sn_error *err)
{
    struct sn_safetensors *file = calloc(1, sizeof(*file));
    if (!file)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    enum sn_err code = read_bytes(file, bytes, size, err);
    if (code != SN_OK) {
        sn_safetensors_free(file);
        return code;
    }
    *ret = file;
    return SN_OK;
}

static enum sn_err map_file(const char *path, void **ret, size_t *ret_size,
                            struct sn_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? sn_error_set(err, SN_ERR_NOTFOUND, "there is no %s", path)
                   : sn_error_errno(err, errno, "opening %s", path);
    enum sn_err code = SN_OK;
    if (fstat(fd, &st) < 0)
        code = sn_error_errno(err, errno, "looking at %s", path);
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        code = sn_error_set(err, SN_ERR_CORRUPT, "%s: %s", path,
                            S_ISREG(st.st_mode) ? "the file is empty"
                                                : "no regular file");
    if (code == SN_OK) {
        void *map =
            mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            code = sn_error_errno(err, errno, "mapping %s", path);
        } else {
            *ret = map;
            *ret_size = (size_t)st.st_size;
        }
    }
    close(fd);
    return code;
}

enum sn_err sn_safetensors_open(const char *path, struct sn_safetensors **ret,
                                struct sn_error *err)
{
    void *map = NULL;
    size_t size = 0;
    enum sn_err code = map_file(path, &map, &size, err);
    if (code != SN_OK)
        return code;
    struct sn_safetensors *file = NULL;
    code = sn_safetensors_parse(map, size, &file, err);
    if (code != SN_OK) {
        munmap(map, size);
        sn_error_wrap(err, "%s", path);
        return code;
    }
    file->map = map;
    file->map_size = size;
    *ret = file;
    return SN_OK;
}

void sn_safetensors_free(struct sn_safetensors *file)
{
    if (!file)
        return;
    if (file->map)
        munmap(file->map, file->map_size);
    free(file->text);
    free(file->entry);
    free(file->by_name);
    free(file->note);
    free(file);
}

/* ---- looking up ---- */

size_t sn_safetensors_count(const struct sn_safetensors *file)
{
    return file->n_entries;
}

const struct sn_st_tensor *sn_safetensors_at(const struct sn_safetensors *file,
                                             size_t i)
{
    return i < file->n_entries ? &file->entry[i].tensor : NULL;
}

const struct sn_st_tensor *
sn_safetensors_find(const struct sn_safetensors *file, const char *name)
{
    struct entry wanted = {.tensor.name = name};
    const struct entry *key = &wanted;
    const struct entry **found = bsearch(&key, file->by_name, file->n_entries,
                                         sizeof(*file->by_name), compare_name);
    return found ? &(*found)->tensor : NULL;
}

enum sn_err sn_safetensors_get(const struct sn_safetensors *file,
                               const char *name, enum sn_st_dtype dtype,
                               size_t count, const void **ret,
                               struct sn_error *err)
{
    const struct sn_st_tensor *tensor = sn_safetensors_find(file, name);
    if (!tensor)
        return sn_error_set(err, SN_ERR_CORRUPT, "tensor %.64s is missing",
                            name);
    if (tensor->dtype != dtype || sn_st_count(tensor) != count)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "tensor %.64s has %zu elements of %s; %zu of %s "
                            "are expected",
                            name, sn_st_count(tensor),
                            sn_st_dtype_name(tensor->dtype), count,
                            sn_st_dtype_name(dtype));
    if ((uintptr_t)tensor->data % dtype_table[dtype].bytes != 0)
        return sn_error_set(err, SN_ERR_UNSUPPORTED,
                            "tensor %.64s is not aligned to its elements",
                            name);
    *ret = tensor->data;
    return SN_OK;
}

const char *sn_safetensors_note(const struct sn_safetensors *file,
                                const char *key)
{
    struct sn_note wanted = {key, NULL};
    const struct sn_note *found =
        file->n_notes ? bsearch(&wanted, file->note, file->n_notes,
                                sizeof(*file->note), compare_key)
                      : NULL;
    return found ? found->value : NULL;
}

bool sn_safetensors_note_at(const struct sn_safetensors *file, size_t i,
                            struct sn_note *ret)
{
    if (i >= file->n_notes)
        return false;
    *ret = file->note[i];
    return true;
}

enum sn_err sn_safetensors_note_u64(const struct sn_safetensors *file,
                                    const char *key, uint64_t *ret,
                                    struct sn_error *err)
{
    const char *text = sn_safetensors_note(file, key);
    if (!text)
        return sn_error_set(err, SN_ERR_CORRUPT, "metadata %.64s is missing",
                            key);
    char *end = NULL;
    errno = 0;
    unsigned long long value =
        text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end || errno)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "metadata %.64s is no whole number: %.32s", key,
                            text);
    *ret = value;
    return SN_OK;
}
