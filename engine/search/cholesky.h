/* sn_cholesky - solves symmetric positive definite systems, in double.
 *
 * For the few hundred unknowns of a ridge regression; textbook algorithm.
 * Thread-safe.
 */
#ifndef SN_CHOLESKY_H
#define SN_CHOLESKY_H

#include <stdbool.h>
#include <stddef.h>

/* a [n][n], of which the lower triangle is read and overwritten by its factor;
 * x [n] comes in as the right side and goes out as the solution. False when
 * the matrix is not positive definite. */
bool sn_cholesky_solve(double *a, size_t n, double *x);

#endif
