/* Proves that elastic kernels shrink as they should: with identity matrices a
 * smaller kernel is the larger one's centre; the order of rows and columns of a
 * matrix is Once-for-All's; the gradient agrees with finite differences in the
 * weights and in both matrices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/net/kernel_transform.h"
#include "engine/rng.h"

enum { CHANNELS = 5, LD = 8 };

struct weights {
    float stored[CHANNELS * 49];
    float m53[9 * 9], m75[25 * 25];
};

static struct sn_kernel_chain chain_of(const struct weights *w)
{
    return (struct sn_kernel_chain){3, {3, 5, 7}, {w->m53, w->m75}};
}

static void fill(float *x, size_t n, uint64_t step)
{
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, step);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)sn_rng_normal(&rng);
    }
}

static void identity(struct weights *w)
{
    memset(w, 0, sizeof(*w));
    for (int i = 0; i < 9; i++) {
        w->m53[i * 9 + i] = 1.0f;
    }
    for (int i = 0; i < 25; i++) {
        w->m75[i * 25 + i] = 1.0f;
    }
    fill(w->stored, sizeof(w->stored) / sizeof(float), 1);
}

static void test_centre(void **state)
{
    struct weights w;
    float small[CHANNELS * 25];
    identity(&w);
    struct sn_kernel_chain chain = chain_of(&w);
    for (int k = 3; k <= 5; k += 2) {
        int edge = (7 - k) / 2;
        sn_kernel_shrink(&chain, CHANNELS, w.stored, k, small);
        for (int c = 0; c < CHANNELS; c++) {
            for (int y = 0; y < k; y++) {
                for (int x = 0; x < k; x++) {
                    float want = w.stored[c * 49 + (y + edge) * 7 + x + edge];
                    assert_true(small[(c * k + y) * k + x] == want);
                }
            }
        }
    }
    float same[CHANNELS * 49];
    sn_kernel_shrink(&chain, CHANNELS, w.stored, 7, same);
    assert_memory_equal(same, w.stored, sizeof(same));
}

/* out[t] = sum over u of matrix[t][u] * centre[u] */
static void test_matrix_order(void **state)
{
    struct weights w;
    float small[CHANNELS * 25];
    identity(&w);
    w.m75[3 * 25 + 17] = 2.0f;
    struct sn_kernel_chain chain = chain_of(&w);
    sn_kernel_shrink(&chain, CHANNELS, w.stored, 5, small);
    float own = w.stored[49 + 1 * 7 + 4], other = w.stored[49 + 4 * 7 + 3];
    assert_true(fabsf(small[25 + 3] - (own + 2.0f * other)) < 1e-5f);
    assert_true(small[25 + 17] == other);
}

/* A linear function of the small kernel, so that its gradient is g. */
static double value(const struct weights *w, int k, const float *g)
{
    float small[CHANNELS * 25];
    double sum = 0.0;
    struct sn_kernel_chain chain = chain_of(w);
    sn_kernel_shrink(&chain, CHANNELS, w->stored, k, small);
    for (int c = 0; c < CHANNELS; c++) {
        for (int t = 0; t < k * k; t++) {
            sum += (double)g[t * LD + c] * (double)small[c * k * k + t];
        }
    }
    return sum;
}

/* The function is linear in each tensor alone: a big step is exact. */
static void check(struct weights *w, float *x, size_t n, int k, const float *g,
                  const float *gradient)
{
    for (size_t i = 0; i < n; i++) {
        float keep = x[i];
        x[i] = keep + 1.0f;
        double up = value(w, k, g);
        x[i] = keep - 1.0f;
        double down = value(w, k, g);
        x[i] = keep;
        double slope = (up - down) / 2;
        assert_true(fabs(slope - (double)gradient[i]) <
                    1e-4 * (1.0 + fabs(slope)));
    }
}

static void test_gradient(void **state)
{
    struct weights w, d;
    float g[25 * LD];
    fill(w.stored, sizeof(w.stored) / sizeof(float), 2);
    fill(w.m53, 81, 3);
    fill(w.m75, 625, 4);
    fill(g, 25 * LD, 5);
    for (int k = 3; k <= 5; k += 2) {
        struct sn_kernel_chain chain = chain_of(&w);
        float *const dmatrix[SN_KERNEL_STEPS] = {d.m53, d.m75};
        memset(&d, 0, sizeof(d));
        sn_kernel_shrink_backward(&chain, CHANNELS, w.stored, k, g, LD,
                                  d.stored, dmatrix);
        check(&w, w.stored, CHANNELS * 49, k, g, d.stored);
        check(&w, w.m75, 625, k, g, d.m75);
        check(&w, w.m53, 81, k, g, d.m53);
        /* It adds. */
        float once = d.m75[7];
        sn_kernel_shrink_backward(&chain, CHANNELS, w.stored, k, g, LD,
                                  d.stored, dmatrix);
        assert_true(d.m75[7] == once + once);
    }
}

/* A space with kernels 3 and 5 stores 5x5 and has one step. */
static void test_short_chain(void **state)
{
    struct weights w, d;
    float small[CHANNELS * 9], g[9 * LD];
    identity(&w);
    fill(g, 9 * LD, 6);
    struct sn_kernel_chain chain = {2, {3, 5}, {w.m53}};
    sn_kernel_shrink(&chain, CHANNELS, w.stored, 3, small);
    assert_true(small[9 + 4] == w.stored[25 + 12]);
    float *const dmatrix[SN_KERNEL_STEPS] = {d.m53, NULL};
    memset(&d, 0, sizeof(d));
    sn_kernel_shrink_backward(&chain, CHANNELS, w.stored, 3, g, LD, d.stored,
                              dmatrix);
    assert_true(d.stored[25 + 12] == g[4 * LD + 1]);
    assert_true(d.stored[25] == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centre),
        cmocka_unit_test(test_matrix_order),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_short_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
