/* Writes what onnx_test.mjs compares: networks extracted from stirred
 * supernets of every built-in space, most at two resolutions, as ONNX files,
 * each beside images and the engine's own logits. Many of the small spaces, few
 * of the large ones, whose runs in another runtime take longest.
 *
 *   onnx_export FOLDER
 *
 * FOLDER/cases.txt has a line a network: name, images, channels, pixels a side,
 * classes. name.onnx is the file, name.input the images ([n][c][r][r], f32),
 * name.logits the engine's answer ([n][classes], f32). In every other case the
 * graph normalises by itself, and the images are pixels in 0..1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/onnx.h"
#include "engine/net/static.h"
#include "engine/rng.h"

enum { MOST_RESOLUTIONS = 2 };

/* What is exported of a space. Case 0 is the largest architecture, 1 the
 * smallest, every other one is random. */
struct sample {
    const char *space;
    int channels, classes;
    int resolution[MOST_RESOLUTIONS]; /* ascending; 0: only one */
    int first, cases;
    int images, calibration;
};

static const struct sample samples[] = {
    {"mbv3-tiny", 1, 10, {20, 28}, 0, 25, 3, 16},
    {"mbv3-cifar", 3, 37, {24, 32}, 0, 25, 3, 16},
    {"resnet-tiny", 3, 10, {20, 28}, 0, 25, 3, 16},
    {"ofa-mbv3-w1.0", 3, 37, {128, 160}, 1, 2, 2, 4},
    {"ofa-mbv3-w1.2", 3, 37, {128}, 2, 1, 2, 4},
    {"ofa-proxyless", 3, 37, {128, 160}, 0, 2, 2, 4},
    {"ofa-resnet50", 3, 37, {128}, 1, 1, 2, 4},
};

static const float mean[3] = {0.49f, 0.48f, 0.45f};
static const float std[3] = {0.25f, 0.24f, 0.26f};

struct lab {
    struct sn_compute *compute;
    struct sn_cx *cx;
    const struct sample *sample;
    struct sn_space space; /* with the sample's resolutions alone */
    int resolution;        /* the present one */
    size_t image;          /* floats of one at it */
    struct sn_supernet *net;
    struct sn_subnet *sub;
    struct sn_workspace *ws;
    struct sn_bn_stats *stats;
    struct sn_arena arena;
    float *pixels, *images, *logits; /* images: normalised */
};

static void must(enum sn_err code, const struct sn_error *err)
{
    if (code == SN_OK)
        return;
    fprintf(stderr, "onnx_export: %s\n", err->message);
    exit(1);
}

/* The space with no resolutions but the sample's. */
static void take_space(struct lab *lab)
{
    const int *resolution = lab->sample->resolution;
    struct sn_space *space = &lab->space;
    *space = *sn_space_find(lab->sample->space);
    space->n_resolutions = 0;
    for (int r = 0; r < MOST_RESOLUTIONS && resolution[r] > 0; r++) {
        space->resolutions[space->n_resolutions++] = (uint16_t)resolution[r];
        space->resolution = (uint16_t)resolution[r];
    }
    lab->resolution = space->resolution;
}

static size_t image_floats(const struct lab *lab)
{
    size_t side = (size_t)lab->resolution;
    return (size_t)lab->sample->channels * side * side;
}

static void lab_open(struct lab *lab)
{
    const struct sample *sample = lab->sample;
    struct sn_error err;
    take_space(lab);
    must(sn_compute_new(NULL, &lab->compute, &err), &err);
    must(sn_cx_new(lab->compute, &lab->cx, &err), &err);
    must(sn_supernet_new(lab->compute, &lab->space, sample->channels,
                         sample->classes, 7, &lab->net, &err),
         &err);
    must(sn_subnet_new(lab->net, &lab->sub, &err), &err);
    must(sn_workspace_new(lab->net, 0, sample->calibration, SN_STORE_F32,
                          &lab->ws, &err),
         &err);
    must(sn_bn_stats_new(lab->net, &lab->stats, &err), &err);
    size_t images = (size_t)sample->calibration * image_floats(lab);
    size_t logits = (size_t)sample->images * sn_net_logit_stride(lab->net);
    must(sn_arena_init(&lab->arena,
                       (2 * sn_arena_round(images) + sn_arena_round(logits)) *
                           sizeof(float),
                       &err),
         &err);
    lab->pixels = sn_arena_floats(&lab->arena, images);
    lab->images = sn_arena_floats(&lab->arena, images);
    lab->logits = sn_arena_floats(&lab->arena, logits);
}

static void lab_close(struct lab *lab)
{
    sn_arena_close(&lab->arena);
    sn_bn_stats_free(lab->stats);
    sn_workspace_free(lab->ws);
    sn_subnet_free(lab->sub);
    sn_supernet_free(lab->net);
    sn_cx_free(lab->cx);
    sn_compute_free(lab->compute);
}

/* Scales, shifts and biases off their start, so that none can be forgotten. */
static void stir(struct lab *lab)
{
    const struct sn_tensor *tensor;
    size_t n = sn_supernet_tensors(lab->net, &tensor);
    float *weights = sn_supernet_weights(lab->net);
    for (size_t t = 0; t < n; t++) {
        struct sn_rng rng = sn_rng_make(3, SN_STREAM_TEST, t);
        for (size_t i = 0; !tensor[t].decays && i < tensor[t].count; i++)
            weights[tensor[t].offset + i] += 0.2f * (float)sn_rng_normal(&rng);
    }
}

static void draw_images(struct lab *lab)
{
    struct sn_rng rng = sn_rng_make(4, SN_STREAM_TEST, 0);
    size_t channels = (size_t)lab->sample->channels;
    lab->image = image_floats(lab);
    for (size_t i = 0; i < (size_t)lab->sample->calibration * lab->image; i++) {
        size_t c = i / (lab->image / channels) % channels;
        lab->pixels[i] = (float)sn_rng_uniform(&rng);
        lab->images[i] = (lab->pixels[i] - mean[c]) / std[c];
    }
}

static void choose(const struct lab *lab, int i, struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(6, SN_STREAM_TEST, (uint64_t)i);
    struct sn_limits all;
    sn_limits_all(&lab->space, &all);
    if (i == 0)
        sn_arch_largest(&lab->space, ret);
    else if (i == 1)
        sn_arch_smallest(&lab->space, ret);
    else
        sn_arch_sample(&lab->space, &all, &rng, ret);
    ret->resolution = (uint16_t)lab->resolution;
}

static FILE *open_in(const char *folder, const char *name, const char *end,
                     const char *mode)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s%s", folder, name, end);
    FILE *f = fopen(path, mode);
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static void write_floats(FILE *f, const float *x, size_t n)
{
    if (fwrite(x, sizeof(*x), n, f) != n) {
        perror("onnx_export");
        exit(1);
    }
}

static void write_case(const struct lab *lab, const char *folder,
                       const char *name, bool inside)
{
    const struct sample *sample = lab->sample;
    size_t stride = sn_net_logit_stride(lab->net);
    FILE *f = open_in(folder, name, ".input", "wb");
    write_floats(f, inside ? lab->pixels : lab->images,
                 (size_t)sample->images * lab->image);
    fclose(f);
    f = open_in(folder, name, ".logits", "wb");
    for (size_t i = 0; i < (size_t)sample->images; i++)
        write_floats(f, lab->logits + i * stride, (size_t)sample->classes);
    fclose(f);
    f = open_in(folder, "cases", ".txt", "a");
    fprintf(f, "%s %d %d %d %d\n", name, sample->images, sample->channels,
            lab->resolution, sample->classes);
    fclose(f);
}

static void export_one(struct lab *lab, const char *folder, int i)
{
    const struct sample *sample = lab->sample;
    struct sn_arch arch;
    struct sn_static *net = NULL;
    struct sn_static_space *memory = NULL;
    struct sn_error err;
    char id[SN_ARCH_ID_MAX], name[96], path[512];
    bool inside = i % 2;
    choose(lab, i, &arch);
    sn_arch_encode(&lab->space, &arch, id);
    sn_subnet_bind(lab->sub, NULL, &arch);
    sn_bn_stats_reset(lab->stats);
    sn_subnet_calibrate(lab->sub, lab->cx, lab->ws, lab->images,
                        sample->calibration, lab->stats);
    must(sn_static_new(lab->sub, lab->stats, &net, &err), &err);
    const struct sn_folded_net *folded = sn_static_folded(net);
    must(sn_static_space_new(lab->compute, &folded->plan, sample->images,
                             &memory, &err),
         &err);
    sn_static_forward(net, lab->cx, memory, lab->images, sample->images,
                      lab->logits);
    must(sn_cx_take_error(lab->cx, &err), &err);
    snprintf(name, sizeof(name), "%s-%d-%d", sample->space, lab->resolution, i);
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, name);
    struct sn_identity identity = {.arch = id, .space = sample->space};
    must(sn_onnx_write(path, folded, &identity, inside ? mean : NULL,
                       inside ? std : NULL, &err),
         &err);
    write_case(lab, folder, name, inside);
    sn_static_space_free(memory);
    sn_static_free(net);
}

static void export_sample(const struct sample *sample, const char *folder)
{
    struct lab lab = {.sample = sample};
    lab_open(&lab);
    stir(&lab);
    for (int r = 0; r < lab.space.n_resolutions; r++) {
        lab.resolution = lab.space.resolutions[r];
        draw_images(&lab);
        for (int i = 0; i < sample->cases; i++)
            export_one(&lab, folder, sample->first + i);
    }
    lab_close(&lab);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: onnx_export FOLDER\n");
        return 2;
    }
    for (size_t s = 0; s < sizeof(samples) / sizeof(*samples); s++)
        export_sample(&samples[s], argv[1]);
    return 0;
}
