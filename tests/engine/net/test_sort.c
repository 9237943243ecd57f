/* Proves that channel sorting leaves the largest network's function as it was,
 * puts the important channels first, keeps trained bands apart and their
 * narrower networks' functions whole, and permutes companions alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "tests/engine/net/fixture.h"

enum { IMAGES = 8 };

static const struct sn_tensor *find(const struct sn_fixture *f,
                                    const char *name)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(t[i].name, name) == 0) {
            return &t[i];
        }
    }
    return NULL;
}

static void forward(struct sn_fixture *f, const struct sn_arch *arch,
                    float *ret_logits)
{
    sn_subnet_bind(f->sub, NULL, arch);
    sn_subnet_forward(f->sub, f->cx, f->ws, f->images, f->n, ret_logits);
}

static double distance(const struct sn_fixture *f, const float *a,
                       const float *b)
{
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < (size_t)f->n * f->stride; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)a[i]));
    }
    return worst / largest;
}

/* L1 of column c of a [o][i] weight. */
static double importance(const struct sn_fixture *f, const struct sn_tensor *t,
                         int c)
{
    const float *w = sn_supernet_weights(f->net) + t->offset;
    double sum = 0.0;
    for (int64_t o = 0; o < t->shape[0]; o++) {
        sum += fabs((double)w[o * t->shape[1] + c]);
    }
    return sum;
}

static void check_descends(const struct sn_fixture *f,
                           const struct sn_tensor *t, int from, int to)
{
    for (int c = from + 1; c < to; c++) {
        assert_true(importance(f, t, c - 1) >= importance(f, t, c));
    }
}

/* The largest network but for one expand value. */
static void arch_of_expand(const struct sn_fixture *f, uint8_t expand,
                           struct sn_arch *ret)
{
    sn_arch_largest(f->space, ret);
    for (int s = 0; s < f->space->n_stages; s++) {
        for (int i = 0; i < ret->depth[s]; i++) {
            ret->expand[s][i] = expand;
        }
    }
}

static void test_whole(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    const struct sn_choices none = {0};
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, IMAGES, 1);
    sn_fixture_stir(&f, 2);
    sn_arch_largest(f.space, &arch);
    forward(&f, &arch, f.logits);
    float *companion = calloc(f.size, sizeof(float));
    memcpy(companion, sn_supernet_weights(f.net), f.size * sizeof(float));
    sn_supernet_sort_channels(f.net, &none, &companion, 1);
    forward(&f, &arch, f.teacher);
    double off = distance(&f, f.logits, f.teacher);
    assert_true(off <= 1e-5);
    assert_memory_equal(companion, sn_supernet_weights(f.net),
                        f.size * sizeof(float));

    struct sn_plan plan;
    sn_plan_make(f.space, &arch, 1, 10, &plan);
    int with_se = 0;
    for (int b = 1; b < plan.n_blocks; b++) {
        char name[96];
        snprintf(name, sizeof(name),
                 "blocks.%d.conv.point_linear.conv.conv.weight", b);
        check_descends(&f, find(&f, name), 0, plan.block[b].mid);
        if (plan.block[b].se_mid > 0) {
            snprintf(name, sizeof(name),
                     "blocks.%d.conv.depth_conv.se.fc.expand.weight", b);
            check_descends(&f, find(&f, name), 0, plan.block[b].se_mid);
            with_se++;
        }
    }
    assert_true(with_se > 0);
    /* It did something. */
    for (size_t i = 0; i < f.size; i++) {
        companion[i] -= (float)f.weights64[i];
    }
    double moved = 0.0;
    for (size_t i = 0; i < f.size; i++) {
        moved += fabs((double)companion[i]);
    }
    assert_true(moved > 1.0);
    free(companion);
    sn_fixture_close(&f);
}

static void test_bands(void **state)
{
    struct sn_fixture f;
    struct sn_arch narrow, largest;
    const struct sn_choices bands = {1, {3}};
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, IMAGES, 1);
    sn_fixture_stir(&f, 2);
    sn_arch_largest(f.space, &largest);
    arch_of_expand(&f, 3, &narrow);
    forward(&f, &narrow, f.logits);
    sn_supernet_sort_channels(f.net, &bands, NULL, 0);
    forward(&f, &narrow, f.teacher);
    assert_true(distance(&f, f.logits, f.teacher) <= 1e-5);

    struct sn_plan plan, inner;
    sn_plan_make(f.space, &largest, 1, 10, &plan);
    sn_plan_make(f.space, &narrow, 1, 10, &inner);
    for (int b = 1; b < plan.n_blocks; b++) {
        char name[96];
        snprintf(name, sizeof(name),
                 "blocks.%d.conv.point_linear.conv.conv.weight", b);
        check_descends(&f, find(&f, name), 0, inner.block[b].mid);
        check_descends(&f, find(&f, name), inner.block[b].mid,
                       plan.block[b].mid);
    }
    sn_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_bands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
