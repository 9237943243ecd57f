#include "engine/data/idx.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/data/file.h"

/* No deflate stream grows by more than this (258 bytes from two bits). */
#define DEFLATE_MAX_RATIO 1032u

/* A file that gives its bytes inflated where they are compressed. */
struct source {
    struct sn_file file;
    bool gzip;
    z_stream z;
    size_t at, filled; /* unread part of buffer, when not gzip */
    uint8_t buffer[65536];
};

static enum sn_err corrupt(const struct source *src, struct sn_error *err,
                           const char *why)
{
    return sn_error_set(err, SN_ERR_CORRUPT, "%s: %s", src->file.path, why);
}

/* Reads the file's next bytes into the buffer; *ret_n is 0 at its end. */
static enum sn_err fill(struct source *src, size_t *ret_n, struct sn_error *err)
{
    return sn_file_read(&src->file, src->buffer, sizeof src->buffer, ret_n,
                        err);
}

static enum sn_err source_open(struct source *src, const char *path,
                               struct sn_error *err)
{
    enum sn_err rc = sn_file_open(path, &src->file, err);
    if (rc != SN_OK)
        return rc;
    src->gzip = false;
    src->at = 0;
    rc = fill(src, &src->filled, err);
    if (rc != SN_OK)
        goto err_after_open;
    src->gzip =
        src->filled >= 2 && src->buffer[0] == 0x1f && src->buffer[1] == 0x8b;
    if (!src->gzip)
        return SN_OK;
    memset(&src->z, 0, sizeof src->z);
    src->z.next_in = src->buffer;
    src->z.avail_in = (uInt)src->filled;
    if (inflateInit2(&src->z, 16 + MAX_WBITS) != Z_OK) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "%s: no memory to inflate", path);
        goto err_after_open;
    }
    return SN_OK;

err_after_open:
    sn_file_close(&src->file);
    return rc;
}

static void source_close(struct source *src)
{
    if (src->gzip)
        inflateEnd(&src->z);
    sn_file_close(&src->file);
}

static enum sn_err read_plain(struct source *src, uint8_t *to, size_t want,
                              size_t *ret_got, struct sn_error *err)
{
    size_t got = 0;
    while (got < want) {
        if (src->at == src->filled) {
            enum sn_err rc = fill(src, &src->filled, err);
            if (rc != SN_OK)
                return rc;
            src->at = 0;
            if (src->filled == 0)
                break;
        }
        size_t n = src->filled - src->at;
        if (n > want - got)
            n = want - got;
        memcpy(to + got, src->buffer + src->at, n);
        src->at += n;
        got += n;
    }
    *ret_got = got;
    return SN_OK;
}

/* More compressed bytes when the last ones are used up. */
static enum sn_err refill(struct source *src, bool *ret_end,
                          struct sn_error *err)
{
    *ret_end = false;
    if (src->z.avail_in > 0)
        return SN_OK;
    size_t n;
    enum sn_err rc = fill(src, &n, err);
    if (rc != SN_OK)
        return rc;
    src->z.next_in = src->buffer;
    src->z.avail_in = (uInt)n;
    *ret_end = n == 0;
    return SN_OK;
}

static enum sn_err read_gzip(struct source *src, uint8_t *to, size_t want,
                             size_t *ret_got, struct sn_error *err)
{
    size_t got = 0;
    while (got < want) {
        bool end;
        enum sn_err rc = refill(src, &end, err);
        if (rc != SN_OK)
            return rc;
        bool member_ended = src->z.total_in == 0; /* just opened or reset */
        if (end && member_ended)
            break;
        if (end)
            return corrupt(src, err, "the gzip data is cut short");
        size_t room = want - got < 1u << 30 ? want - got : 1u << 30;
        src->z.next_out = to + got;
        src->z.avail_out = (uInt)room;
        int z = inflate(&src->z, Z_NO_FLUSH);
        got += room - src->z.avail_out;
        /* a gzip file may have several members; anything else is an error */
        if (z == Z_STREAM_END)
            z = inflateReset(&src->z);
        if (z == Z_MEM_ERROR)
            return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory to inflate",
                                src->file.path);
        if (z != Z_OK && z != Z_BUF_ERROR)
            return corrupt(src, err, "the gzip data is damaged");
    }
    *ret_got = got;
    return SN_OK;
}

/* Reads up to `want` bytes; fewer only at the end of the data. */
static enum sn_err source_read(struct source *src, uint8_t *to, size_t want,
                               size_t *ret_got, struct sn_error *err)
{
    return src->gzip ? read_gzip(src, to, want, ret_got, err)
                     : read_plain(src, to, want, ret_got, err);
}

static enum sn_err read_header(struct source *src, uint64_t max_bytes,
                               struct sn_idx *idx, struct sn_error *err)
{
    uint8_t head[4 + 4 * SN_IDX_MAX_RANK];
    size_t got;
    enum sn_err rc = source_read(src, head, 4, &got, err);
    if (rc != SN_OK)
        return rc;
    if (got < 4 || head[0] != 0 || head[1] != 0)
        return corrupt(src, err, "not an IDX file");
    if (head[2] != 8)
        return corrupt(src, err, "its elements are not unsigned bytes");
    idx->rank = head[3];
    if (idx->rank < 1 || idx->rank > SN_IDX_MAX_RANK)
        return sn_error_set(err, SN_ERR_CORRUPT, "%s: %d dimensions, not 1-%d",
                            src->file.path, idx->rank, SN_IDX_MAX_RANK);
    size_t want = 4 * (size_t)idx->rank;
    rc = source_read(src, head + 4, want, &got, err);
    if (rc != SN_OK)
        return rc;
    if (got < want)
        return corrupt(src, err, "its header is cut short");
    uint64_t bytes = 1;
    for (int i = 0; i < idx->rank; i++) {
        const uint8_t *d = head + 4 + 4 * i;
        idx->dim[i] = (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 |
                      (uint32_t)d[2] << 8 | d[3];
        if (idx->dim[i] == 0)
            return corrupt(src, err, "one of its dimensions is 0");
        if (bytes > max_bytes / idx->dim[i])
            return sn_error_set(err, SN_ERR_TOOLARGE,
                                "%s: holds over %llu bytes", src->file.path,
                                (unsigned long long)max_bytes);
        bytes *= idx->dim[i];
    }
    uint64_t most =
        src->gzip ? src->file.size * DEFLATE_MAX_RATIO : src->file.size;
    if (bytes > most)
        return corrupt(src, err, "shorter than its header says");
    idx->bytes = (size_t)bytes;
    return SN_OK;
}

static enum sn_err read_body(struct source *src, struct sn_idx *idx,
                             struct sn_error *err)
{
    size_t got;
    uint8_t beyond;
    idx->data = malloc(idx->bytes);
    if (idx->data == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory for %zu bytes",
                            src->file.path, idx->bytes);
    enum sn_err rc = source_read(src, idx->data, idx->bytes, &got, err);
    if (rc == SN_OK && got < idx->bytes)
        rc = corrupt(src, err, "shorter than its header says");
    if (rc == SN_OK)
        rc = source_read(src, &beyond, 1, &got, err);
    if (rc == SN_OK && got > 0)
        rc = corrupt(src, err, "longer than its header says");
    if (rc != SN_OK)
        free(idx->data);
    return rc;
}

enum sn_err sn_idx_read(const char *path, uint64_t max_bytes,
                        struct sn_idx *ret, struct sn_error *err)
{
    struct sn_idx idx = {0};
    struct source *src = malloc(sizeof *src);
    if (src == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "%s: no memory", path);
    enum sn_err rc = source_open(src, path, err);
    if (rc != SN_OK)
        goto err_after_alloc;
    rc = read_header(src, max_bytes, &idx, err);
    if (rc == SN_OK)
        rc = read_body(src, &idx, err);
    source_close(src);
    if (rc == SN_OK)
        *ret = idx;
err_after_alloc:
    free(src);
    return rc;
}
