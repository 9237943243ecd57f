#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rng.h"
#include "tests/engine/train/fixture.h"

static void put32(FILE *f, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        assert_int_not_equal(fputc((int)(v >> shift & 255), f), EOF);
}

static FILE *create(const char *dir, const char *part, const char *kind)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s-%s-ubyte", dir, part, kind);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    return f;
}

static void put_image(FILE *f, struct sn_rng *rng, uint32_t label)
{
    enum { HALF = SN_SMALL_SIDE / 2 };
    int cx = (label % 2 ? HALF : 0) + 5 + (int)sn_rng_below(rng, 4);
    int cy = (label / 2 ? HALF : 0) + 5 + (int)sn_rng_below(rng, 4);
    for (int y = 0; y < SN_SMALL_SIDE; y++)
        for (int x = 0; x < SN_SMALL_SIDE; x++) {
            int d2 = (x - cx) * (x - cx) + (y - cy) * (y - cy);
            int v = (d2 < 16 ? 120 : 0) + (int)sn_rng_below(rng, 100);
            assert_int_not_equal(fputc(v, f), EOF);
        }
}

static void put_part(const char *dir, const char *part, uint32_t n,
                     uint64_t step)
{
    FILE *images = create(dir, part, "images-idx3");
    FILE *labels = create(dir, part, "labels-idx1");
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, step);

    put32(images, 0x803);
    put32(images, n);
    put32(images, SN_SMALL_SIDE);
    put32(images, SN_SMALL_SIDE);
    put32(labels, 0x801);
    put32(labels, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t label = i % SN_SMALL_CLASSES;
        put_image(images, &rng, label);
        assert_int_not_equal(fputc((int)label, labels), EOF);
    }
    assert_int_equal(fclose(images), 0);
    assert_int_equal(fclose(labels), 0);
}

void sn_small_set_init(struct sn_small_set *set, uint32_t train, uint32_t test)
{
    struct sn_error err = {0};
    const char *tmp = getenv("TMPDIR");
    snprintf(set->dir, sizeof set->dir, "%.40s/snsetXXXXXX",
             tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(set->dir));
    put_part(set->dir, "train", train, 0);
    put_part(set->dir, "t10k", test, 1);
    if (sn_dataset_open("idx", set->dir, &set->data, &err) != SN_OK)
        fail_msg("%s", err.message);
}

void sn_small_set_close(struct sn_small_set *set)
{
    sn_dataset_free(set->data);
    DIR *dir = opendir(set->dir);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[384];
        snprintf(path, sizeof path, "%s/%s", set->dir, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(unlink(path), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(set->dir), 0);
}
