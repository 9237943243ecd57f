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

#include "engine/model/folded.h"
#include "engine/rng.h"
#include "tests/engine/model/help.h"

void sn_help_folder(char ret[SN_HELP_PATH])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(ret, SN_HELP_PATH, "%s/sn-model-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(ret));
}

void sn_help_path(const char *folder, const char *name, char ret[SN_HELP_PATH])
{
    assert_in_range(snprintf(ret, SN_HELP_PATH, "%s/%s", folder, name), 1,
                    SN_HELP_PATH - 1);
}

static int visit(const char *folder, bool remove_them)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char path[SN_HELP_PATH];
        if (entry->d_name[0] == '.')
            continue;
        n++;
        sn_help_path(folder, entry->d_name, path);
        if (remove_them)
            assert_int_equal(unlink(path), 0);
    }
    closedir(dir);
    return n;
}

int sn_help_files(const char *folder)
{
    return visit(folder, false);
}

void sn_help_remove(const char *folder)
{
    visit(folder, true);
    assert_int_equal(rmdir(folder), 0);
}

unsigned char *sn_help_read(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    unsigned char *bytes = malloc(size + 1);
    rewind(f);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, f), size);
    fclose(f);
    *ret_size = size;
    return bytes;
}

void sn_help_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

void sn_help_plan(struct sn_plan *ret)
{
    *ret = (struct sn_plan){
        .resolution = 8,
        .in_channels = 3,
        .classes = 5,
        .stem_out = 4,
        .stem_stride = 1,
        .stem_size = 8,
        .stem_act = SN_ACT_HSWISH,
        .n_blocks = 2,
        .block = {{.stage = -1,
                   .in = 4,
                   .mid = 4,
                   .out = 4,
                   .kernel = 3,
                   .stride = 1,
                   .act = SN_ACT_RELU,
                   .residual = true,
                   .in_size = 8,
                   .out_size = 8},
                  {.slot = 1,
                   .in = 4,
                   .mid = 12,
                   .out = 6,
                   .kernel = 5,
                   .stride = 2,
                   .se_mid = 8,
                   .act = SN_ACT_HSWISH,
                   .expands = true,
                   .in_size = 8,
                   .out_size = 4}},
        .head_in = 6,
        .head_out = 10,
        .head_size = 4,
        .head_act = SN_ACT_HSWISH,
        .feature_out = 7,
    };
}

/* Layers of the list that a folded network is made of, writable. */
static struct sn_folded *writable(struct sn_folded_net *net,
                                  const struct sn_folded *layer)
{
    size_t at = (size_t)((const char *)layer - (const char *)net);
    return (struct sn_folded *)(void *)((char *)net + at);
}

float *sn_help_fill(const struct sn_plan *plan, struct sn_folded_net *ret)
{
    struct sn_named_layer list[SN_MAX_FOLDED];
    size_t total = 0;
    sn_folded_shapes(plan, ret);
    size_t n = sn_folded_layers(ret, list);
    for (size_t i = 0; i < n; i++)
        total += sn_folded_weights(list[i].layer) + (size_t)list[i].layer->out;
    float *block = malloc(total * sizeof(*block)), *at = block;
    struct sn_rng rng = sn_rng_make(5, SN_STREAM_TEST, 0);
    assert_non_null(block);
    for (size_t i = 0; i < total; i++)
        block[i] = (float)sn_rng_normal(&rng);
    for (size_t i = 0; i < n; i++) {
        struct sn_folded *layer = writable(ret, list[i].layer);
        layer->weight = at;
        layer->bias = at + sn_folded_weights(layer);
        at += sn_folded_weights(layer) + (size_t)layer->out;
    }
    return block;
}
