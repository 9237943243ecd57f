/* sn_safetensors - named arrays and text metadata in one file: the native
 * weight format, written whole or not at all, read by mapping it.
 *
 *   8 bytes            length of the header, little endian
 *   header             JSON: {"__metadata__": {text: text},
 *                             name: {"dtype", "shape", "data_offsets"}, ...}
 *   buffer             the tensors, back to back, without holes
 *
 * The header is padded with spaces so that the buffer starts at a multiple of
 * 64 bytes. The format forbids holes in the buffer, so tensors are laid by
 * falling element size (in the given order within one size): each is aligned to
 * its element, and only the first is sure to be aligned to 64 bytes.
 *
 * Reading trusts nothing: lengths, offsets, shapes, names and escapes are
 * checked against the file's size before anything is used, and what the format
 * does not allow is SN_ERR_CORRUPT with the fault named. A file that another
 * process shortens while it is mapped is outside of what can be guarded.
 *
 * Format: the README of the safetensors project (format section). A reader is
 * immutable and may be shared by threads.
 */
#ifndef SN_SAFETENSORS_H
#define SN_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/model/identity.h"

enum {
    SN_ST_MAX_DIMS = 8,
    SN_ST_MAX_TENSORS = 65536,
    SN_ST_MAX_HEADER = 16 << 20 /* bytes of JSON */
};

/* code, name in the file, bytes an element */
#define SN_ST_DTYPES(X)      \
    X(SN_ST_F32, "F32", 4)   \
    X(SN_ST_U64, "U64", 8)   \
    X(SN_ST_I64, "I64", 8)   \
    X(SN_ST_U8, "U8", 1)     \
    X(SN_ST_F64, "F64", 8)   \
    X(SN_ST_F16, "F16", 2)   \
    X(SN_ST_BF16, "BF16", 2) \
    X(SN_ST_I32, "I32", 4)   \
    X(SN_ST_U32, "U32", 4)   \
    X(SN_ST_I16, "I16", 2)   \
    X(SN_ST_U16, "U16", 2)   \
    X(SN_ST_I8, "I8", 1)     \
    X(SN_ST_BOOL, "BOOL", 1)

enum sn_st_dtype {
#define X(code, name, bytes) code,
    SN_ST_DTYPES(X)
#undef X
        SN_ST_DTYPE_COUNT
};

struct sn_st_tensor {
    const char *name; /* UTF-8, not "__metadata__" */
    enum sn_st_dtype dtype;
    int ndim; /* 0: a scalar */
    int64_t shape[SN_ST_MAX_DIMS];
    const void *data; /* little endian, row-major */
};

const char *sn_st_dtype_name(enum sn_st_dtype dtype);
size_t sn_st_dtype_bytes(enum sn_st_dtype dtype);
/* Elements of a tensor whose shape has been checked (all that a reader gives
 * have). */
size_t sn_st_count(const struct sn_st_tensor *tensor);

/* Convenience: a tensor of one dimension. */
struct sn_st_tensor sn_st_vector(const char *name, enum sn_st_dtype dtype,
                                 size_t count, const void *data);

/* Writes a file; borrows everything. Names must differ; a name or text that is
 * not UTF-8 is SN_ERR_INVALID. Nothing is left behind on failure, and a file
 * that was there before stays as it was. */
enum sn_err sn_safetensors_write(const char *path,
                                 const struct sn_st_tensor *tensors, size_t n,
                                 const struct sn_note *metadata,
                                 size_t n_metadata, struct sn_error *err);

struct sn_safetensors; /* opaque */

/* Maps and checks a file. ret owned by the caller; all it hands out is
 * borrowed from it. */
enum sn_err sn_safetensors_open(const char *path, struct sn_safetensors **ret,
                                struct sn_error *err);
/* The same on bytes in memory, which are borrowed (and should be 8-byte
 * aligned for the tensors to be). */
enum sn_err sn_safetensors_parse(const void *bytes, size_t size,
                                 struct sn_safetensors **ret,
                                 struct sn_error *err);
void sn_safetensors_free(struct sn_safetensors *file); /* NULL is fine */

/* Tensors in the order of the buffer; NULL past the end. */
size_t sn_safetensors_count(const struct sn_safetensors *file);
const struct sn_st_tensor *sn_safetensors_at(const struct sn_safetensors *file,
                                             size_t i);
const struct sn_st_tensor *
sn_safetensors_find(const struct sn_safetensors *file, const char *name);
/* The tensor's data if it has this type and this many elements; else
 * SN_ERR_CORRUPT naming what was found (also when it is missing). */
enum sn_err sn_safetensors_get(const struct sn_safetensors *file,
                               const char *name, enum sn_st_dtype dtype,
                               size_t count, const void **ret,
                               struct sn_error *err);
/* A text of the metadata, NULL if there is none; the i-th pair (false past the
 * end). */
const char *sn_safetensors_note(const struct sn_safetensors *file,
                                const char *key);
bool sn_safetensors_note_at(const struct sn_safetensors *file, size_t i,
                            struct sn_note *ret);
/* A whole number of the metadata: decimal digits alone, else SN_ERR_CORRUPT. */
enum sn_err sn_safetensors_note_u64(const struct sn_safetensors *file,
                                    const char *key, uint64_t *ret,
                                    struct sn_error *err);

#endif
