#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/engine/compute/fixture.h"
#include "tests/engine/compute/reference.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define TOLERANCE 1e-4

void fix_each_isa(void (*test)(struct fix *f))
{
    static const char *const isa[] = {"avx512", "avx2", "portable"};
    for (size_t i = 0; i < sizeof(isa) / sizeof(isa[0]); i++) {
        struct fix f = {.isa = isa[i],
                        .rng = sn_rng_make(5, SN_STREAM_TEST, 0)};
        struct sn_error error;
        enum sn_err rc = sn_compute_new(isa[i], &f.compute, &error);
        if (rc == SN_ERR_UNSUPPORTED)
            continue;
        assert_int_equal(rc, SN_OK);
        assert_string_equal(sn_compute_isa(f.compute), isa[i]);
        assert_int_equal(sn_cx_new(f.compute, &f.cx, &error), SN_OK);
        assert_int_equal(sn_arena_init(&f.arena, ARENA_BYTES, &error), SN_OK);
        test(&f);
        if (sn_cx_take_error(f.cx, &error) != SN_OK)
            fail_msg("%s: %s", isa[i], error.message);
        sn_arena_close(&f.arena);
        sn_cx_free(f.cx);
        sn_compute_free(f.compute);
    }
}

void fix_reset(struct fix *f)
{
    f->arena.used = 0;
}

int fix_between(struct fix *f, int low, int high)
{
    return low + (int)sn_rng_below(&f->rng, (uint32_t)(high - low + 1));
}

double *fix_doubles(struct fix *f, long count)
{
    double *p = (double *)(void *)sn_arena_floats(&f->arena, 2 * (size_t)count);
    memset(p, 0, sizeof(double) * (size_t)count);
    return p;
}

double *fix_normal(struct fix *f, long count, double mean, double std)
{
    double *p = fix_doubles(f, count);
    for (long i = 0; i < count; i++)
        p[i] = (float)(mean + std * sn_rng_normal(&f->rng));
    return p;
}

float *fix_floats(struct fix *f, long count)
{
    float *p = sn_arena_floats(&f->arena, (size_t)count);
    for (long i = 0; i < count; i++)
        p[i] = NAN;
    return p;
}

float *fix_copy(struct fix *f, const double *x, long count)
{
    float *p = fix_floats(f, count);
    for (long i = 0; i < count; i++)
        p[i] = (float)x[i];
    return p;
}

long fix_blocked_size(struct fix *f, int n, int c, int hw)
{
    return (long)n * sn_compute_padded(f->compute, c) * hw;
}

float *fix_blocked_new(struct fix *f, int n, int c, int hw)
{
    return fix_floats(f, fix_blocked_size(f, n, c, hw));
}

/* Where channel c (maybe a padded one) of image n's pixel p is. */
static long place(struct fix *f, int channels, int hw, int n, int c, int p)
{
    const int b = sn_compute_block(f->compute);
    const int cp = sn_compute_padded(f->compute, channels);
    return (((long)n * (cp / b) + c / b) * hw + p) * b + c % b;
}

float *fix_blocked(struct fix *f, int n, int c, int hw, const double *x)
{
    float *y = fix_blocked_new(f, n, c, hw);
    memset(y, 0, sizeof(float) * (size_t)fix_blocked_size(f, n, c, hw));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < c; j++)
            for (int p = 0; p < hw; p++)
                y[place(f, c, hw, i, j, p)] =
                    (float)x[((long)i * c + j) * hw + p];
    return y;
}

static void expect_near(struct fix *f, const char *what, const double *got,
                        const double *want, long count)
{
    double distance = sn_ref_distance(got, want, count);
    if (!(distance <= TOLERANCE))
        fail_msg("%s, %s: off by %g", f->isa, what, distance);
}

void fix_expect(struct fix *f, const char *what, int n, int c, int hw,
                const float *got, const double *want)
{
    const int cp = sn_compute_padded(f->compute, c);
    double *plain = fix_doubles(f, (long)n * c * hw);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < cp; j++)
            for (int p = 0; p < hw; p++) {
                double v = got[place(f, c, hw, i, j, p)];
                if (j < c)
                    plain[((long)i * c + j) * hw + p] = v;
                else if (v != 0)
                    fail_msg("%s, %s: padded channel %d holds %g", f->isa, what,
                             j, v);
            }
    expect_near(f, what, plain, want, (long)n * c * hw);
}

void fix_expect_plain(struct fix *f, const char *what, const float *got,
                      const double *want, long count)
{
    double *plain = fix_doubles(f, count);
    for (long i = 0; i < count; i++)
        plain[i] = got[i];
    expect_near(f, what, plain, want, count);
}
