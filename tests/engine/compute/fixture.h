/* sn_fix - what the tests of the operators share: an operator set for every
 * ISA that this CPU has, random numbers, and the way between plain doubles
 * (reference.h) and blocked floats (compute.h).
 *
 * Memory comes from one arena a fixture, given back by fix_reset; floats are
 * handed out poisoned with NaN, so that an output left unwritten is seen.
 * Failures are cmocka assertions. One thread.
 */
#ifndef SN_TEST_FIXTURE_H
#define SN_TEST_FIXTURE_H

#include "engine/compute/compute.h"
#include "engine/rng.h"

struct fix {
    const char *isa;
    struct sn_compute *compute;
    struct sn_cx *cx;
    struct sn_arena arena;
    struct sn_rng rng;
};

/* Runs `test` once an ISA that the CPU has, best first. */
void fix_each_isa(void (*test)(struct fix *f));
void fix_reset(struct fix *f);

int fix_between(struct fix *f, int low, int high); /* both included */
double *fix_doubles(struct fix *f, long count);    /* zero */
/* Normal numbers that a float holds exactly. */
double *fix_normal(struct fix *f, long count, double mean, double std);
float *fix_floats(struct fix *f, long count); /* NaN */
float *fix_copy(struct fix *f, const double *x, long count);

/* Floats of a blocked tensor; one poisoned; one filled from plain x. */
long fix_blocked_size(struct fix *f, int n, int c, int hw);
float *fix_blocked_new(struct fix *f, int n, int c, int hw);
float *fix_blocked(struct fix *f, int n, int c, int hw, const double *x);

/* |got - want| / |want| <= 1e-4, and got's padding is zero. */
void fix_expect(struct fix *f, const char *what, int n, int c, int hw,
                const float *got, const double *want);
/* The same for plain floats. */
void fix_expect_plain(struct fix *f, const char *what, const float *got,
                      const double *want, long count);

#endif
