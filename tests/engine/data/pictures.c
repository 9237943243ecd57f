#include "tests/engine/data/pictures.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static void append(struct sn_picture *p, const void *bytes, size_t n)
{
    p->bytes = realloc(p->bytes, p->n + n + 1);
    assert_non_null(p->bytes);
    if (n > 0)
        memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static void append_u32(struct sn_picture *p, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                    (uint8_t)v};
    append(p, b, 4);
}

void sn_picture_chunk(struct sn_picture *png, const char *type,
                      const uint8_t *data, size_t n)
{
    append_u32(png, (uint32_t)n);
    append(png, type, 4);
    append(png, data, n);
    append_u32(png,
               (uint32_t)crc32(0, png->bytes + png->n - n - 4, (uInt)(n + 4)));
}

struct sn_picture sn_picture_png(int width, int height, int depth, int kind,
                                 const uint8_t *rows, size_t row_bytes,
                                 const uint8_t *palette)
{
    struct sn_picture png = {0}, head = {0}, raw = {0};
    uint8_t rest[5] = {(uint8_t)depth, (uint8_t)kind, 0, 0, 0};
    append(&png, "\x89PNG\r\n\x1a\n", 8);
    append_u32(&head, (uint32_t)width);
    append_u32(&head, (uint32_t)height);
    append(&head, rest, sizeof rest);
    sn_picture_chunk(&png, "IHDR", head.bytes, head.n);
    if (palette != NULL)
        sn_picture_chunk(&png, "PLTE", palette, 768);
    for (int y = 0; y < height; y++) {
        append(&raw, "", 1); /* no filter */
        append(&raw, rows + (size_t)y * row_bytes, row_bytes);
    }
    uLongf n = compressBound(raw.n);
    uint8_t *packed = malloc(n);
    assert_non_null(packed);
    assert_int_equal(compress(packed, &n, raw.bytes, raw.n), Z_OK);
    sn_picture_chunk(&png, "IDAT", packed, n);
    sn_picture_chunk(&png, "IEND", NULL, 0);
    free(packed);
    free(raw.bytes);
    free(head.bytes);
    return png;
}

struct sn_picture sn_picture_jpeg(const char *options, int width, int height,
                                  int channels, const uint8_t *pixels)
{
    struct sn_picture jpeg = {0};
    char path[] = "/tmp/sn-picture-XXXXXX", command[256];
    uint8_t part[4096];
    size_t n;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    assert_non_null(f);
    fprintf(f, "P%d\n%d %d\n255\n", channels == 1 ? 5 : 6, width, height);
    n = (size_t)width * (size_t)height * (size_t)channels;
    assert_int_equal(fwrite(pixels, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    snprintf(command, sizeof command, "cjpeg %s %s", options, path);
    f = popen(command, "re");
    assert_non_null(f);
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        append(&jpeg, part, n);
    assert_int_equal(pclose(f), 0);
    unlink(path);
    return jpeg;
}

void sn_picture_put(const char *path, const uint8_t *bytes, size_t n)
{
    char folder[512];
    for (const char *p = strchr(path + 1, '/'); p != NULL;
         p = strchr(p + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(p - path), path);
        mkdir(folder, 0700);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (n > 0)
        assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void sn_picture_flat(const char *path, int width, int height, int r, int g,
                     int b)
{
    size_t row = 3 * (size_t)width;
    uint8_t *rows = malloc(row * (size_t)height);
    assert_non_null(rows);
    for (size_t i = 0; i < row * (size_t)height; i++)
        rows[i] = (uint8_t)(i % 3 == 0 ? r : i % 3 == 1 ? g : b);
    struct sn_picture p =
        strstr(path, ".jpg") != NULL
            ? sn_picture_jpeg("-quality 100", width, height, 3, rows)
            : sn_picture_png(width, height, 8, 2, rows, row, NULL);
    sn_picture_put(path, p.bytes, p.n);
    free(p.bytes);
    free(rows);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *where)
{
    return remove(path);
}

void sn_picture_remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
