#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/net/fixture.h"

static void fill(float *x, size_t n, double scale, uint64_t seed)
{
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_TEST, 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(scale * sn_rng_normal(&rng));
    }
}

void sn_fixture_draw(struct sn_fixture *f, uint64_t seed)
{
    size_t n = (size_t)f->n;
    fill(f->images, n * f->image_floats, 1.0, seed + 1);
    fill(f->teacher, n * f->stride, 2.0, seed + 2);
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_TEST, 3);
    for (size_t i = 0; i < n; i++) {
        f->labels[i] = (int32_t)sn_rng_below(&rng, (uint32_t)f->classes);
        for (size_t c = (size_t)f->classes; c < f->stride; c++) {
            f->teacher[i * f->stride + c] = 0.0f;
        }
    }
    for (size_t i = 0; i < n * f->image_floats; i++) {
        f->images64[i] = (double)f->images[i];
    }
}

static float *floats(struct sn_fixture *f, size_t n)
{
    float *p = sn_arena_floats(&f->arena, n);
    memset(p, 0, n * sizeof(float));
    return p;
}

void sn_fixture_init(struct sn_fixture *f, const char *space, int in_channels,
                     int classes, int n, uint64_t seed)
{
    assert_non_null(sn_space_find(space));
    sn_fixture_init_space(f, sn_space_find(space), in_channels, classes, n,
                          seed);
}

void sn_fixture_init_space(struct sn_fixture *f, const struct sn_space *space,
                           int in_channels, int classes, int n, uint64_t seed)
{
    struct sn_error err;
    memset(f, 0, sizeof(*f));
    f->n = n;
    f->classes = classes;
    f->space = space;
    assert_int_equal(sn_compute_new(NULL, &f->compute, &err), SN_OK);
    assert_int_equal(sn_cx_new(f->compute, &f->cx, &err), SN_OK);
    assert_int_equal(sn_supernet_new(f->compute, f->space, in_channels, classes,
                                     seed, &f->net, &err),
                     SN_OK);
    assert_int_equal(sn_subnet_new(f->net, &f->sub, &err), SN_OK);
    assert_int_equal(sn_workspace_new(f->net, n, n, SN_STORE_F32, &f->ws, &err),
                     SN_OK);

    f->stride = sn_net_logit_stride(f->net);
    f->size = sn_supernet_size(f->net);
    f->image_floats = (size_t)(in_channels * f->space->resolution) *
                      (size_t)f->space->resolution;
    size_t gradient = sn_net_gradient_floats(f->net);
    size_t images = (size_t)n * f->image_floats;
    size_t logits = (size_t)n * f->stride;
    size_t all = sn_arena_round(images) + 3 * sn_arena_round(logits) +
                 sn_arena_round(gradient) + sn_arena_round(f->size);
    assert_int_equal(sn_arena_init(&f->arena, all * sizeof(float), &err),
                     SN_OK);
    f->images = floats(f, images);
    f->logits = floats(f, logits);
    f->teacher = floats(f, logits);
    f->dlogits = floats(f, logits);
    f->gradient = floats(f, gradient);
    f->master = floats(f, f->size);
    f->labels = calloc((size_t)n, sizeof(*f->labels));
    f->images64 = calloc(images, sizeof(double));
    f->weights64 = calloc(f->size, sizeof(double));
    assert_true(f->labels != NULL && f->images64 != NULL &&
                f->weights64 != NULL);
    sn_fixture_draw(f, seed);
    sn_fixture_copy_weights(f);
}

void sn_fixture_close(struct sn_fixture *f)
{
    free(f->weights64);
    free(f->images64);
    free(f->labels);
    sn_arena_close(&f->arena);
    sn_workspace_free(f->ws);
    sn_subnet_free(f->sub);
    sn_supernet_free(f->net);
    sn_cx_free(f->cx);
    sn_compute_free(f->compute);
}

void sn_fixture_stir(struct sn_fixture *f, uint64_t seed)
{
    const struct sn_tensor *t;
    float *w = sn_supernet_weights(f->net);
    size_t n = sn_supernet_tensors(f->net, &t);
    for (size_t i = 0; i < n; i++) {
        struct sn_rng rng = sn_rng_make(seed, SN_STREAM_TEST, 100 + i);
        bool matrix = strstr(t[i].name, "_matrix") != NULL;
        for (size_t e = 0; e < t[i].count && !t[i].decays; e++) {
            w[t[i].offset + e] +=
                (float)((matrix ? 0.1 : 0.3) * sn_rng_normal(&rng));
        }
    }
    sn_fixture_copy_weights(f);
}

void sn_fixture_copy_weights(struct sn_fixture *f)
{
    const float *w = sn_supernet_weights(f->net);
    for (size_t i = 0; i < f->size; i++) {
        f->weights64[i] = (double)w[i];
    }
}

void sn_fixture_sample(const struct sn_fixture *f, uint64_t i,
                       struct sn_arch *ret)
{
    struct sn_rng rng = sn_rng_make(7, SN_STREAM_TEST, i);
    struct sn_limits all;
    sn_limits_all(f->space, &all);
    sn_arch_sample(f->space, &all, &rng, ret);
}

double sn_fixture_step(struct sn_fixture *f, const struct sn_loss *loss)
{
    struct sn_error err;
    double total;
    uint32_t correct;
    sn_subnet_forward_train(f->sub, f->cx, f->ws, f->images, f->n, f->logits);
    sn_loss_softmax(f->cx, loss, f->logits, f->labels, f->teacher, f->dlogits,
                    &total, &correct);
    sn_subnet_backward(f->sub, f->cx, f->ws, f->images, f->n, f->dlogits,
                       f->gradient);
    assert_int_equal(sn_cx_take_error(f->cx, &err), SN_OK);
    for (int part = 0; part < sn_net_parts(f->net); part++) {
        sn_net_reduce(f->net, &f->sub, 1, &f->gradient, 1, part, false,
                      f->master);
    }
    return total;
}
