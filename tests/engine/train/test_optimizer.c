/* The optimizer: a few updates equal the formula in double, with and without
 * momentum and decay; a range can be updated in pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/rng.h"
#include "engine/train/optimizer.h"

enum { N = 131, UPDATES = 7 };

static void draw(float *ret, uint64_t step)
{
    struct sn_rng rng = sn_rng_make(3, SN_STREAM_TEST, step);
    for (int i = 0; i < N; i++)
        ret[i] = (float)sn_rng_normal(&rng);
}

static void compare(float rate, float momentum, float decay, float scale,
                    float clip)
{
    struct sn_sgd sgd = {rate, momentum, decay, scale, clip};
    float w[N], m[N] = {0}, g[N];
    double w64[N], m64[N] = {0};

    draw(w, 100);
    for (int i = 0; i < N; i++)
        w64[i] = (double)w[i];
    for (uint64_t u = 0; u < UPDATES; u++) {
        draw(g, u);
        sn_sgd_update(&sgd, N, g, m, w);
        for (int i = 0; i < N; i++) {
            double full = (double)scale * (double)g[i];
            full = fmax(-(double)clip, fmin((double)clip, full));
            full += (double)decay * w64[i];
            m64[i] = (double)momentum * m64[i] + full;
            w64[i] -= (double)rate * (full + (double)momentum * m64[i]);
        }
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)w[i] - w64[i]) < 2e-5);
        assert_true(fabs((double)m[i] - m64[i]) < 2e-5);
    }
}

static void equals_the_formula(void **state)
{
    compare(0.1f, 0.9f, 0.01f, 1, INFINITY);
    compare(0.1f, 0, 0, 1, INFINITY);
    compare(0.3f, 0.5f, 0, 1, 0.4f);
    compare(0.3f, 0, 0.05f, 0.25f, INFINITY);
    compare(0.3f, 0.5f, 0.05f, 0.5f, 0.1f);
}

static void pieces_equal_the_whole(void **state)
{
    struct sn_sgd sgd = {0.1f, 0.9f, 0.01f, 0.7f, 0.8f};
    float w[2][N], m[2][N], g[N];

    draw(g, 0);
    for (int k = 0; k < 2; k++) {
        draw(w[k], 1);
        draw(m[k], 2);
    }
    sn_sgd_update(&sgd, N, g, m[0], w[0]);
    for (size_t at = 0; at < N; at += 37) {
        size_t n = N - at < 37 ? N - at : 37;
        sn_sgd_update(&sgd, n, g + at, m[1] + at, w[1] + at);
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    assert_memory_equal(m[0], m[1], sizeof m[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_formula),
        cmocka_unit_test(pieces_equal_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
