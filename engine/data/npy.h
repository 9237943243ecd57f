/* sn_npy - opens one file of NumPy's .npy format and says what array it holds,
 * trusting nothing in it.
 *
 *   \x93NUMPY major minor | length of the header | header | elements
 *
 * Versions 1.0 to 3.0. The header is a Python literal, of which exactly this is
 * read, the keys in any order:
 *
 *   {'descr': '<i8', 'fortran_order': False, 'shape': (60000, 28, 28), }
 *
 * The array's size is held against the file's, so whoever allocates by it
 * allocates no more than the file has. Thread-safe. Source:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
#ifndef SN_NPY_H
#define SN_NPY_H

#include "engine/data/file.h"

enum { SN_NPY_MAX_RANK = 4 };

struct sn_npy {
    struct sn_file file; /* at the first element */
    char kind;           /* 'u' or 'i' */
    int width;           /* bytes of an element, low byte first: 1, 2, 4, 8 */
    int rank;
    uint64_t dim[SN_NPY_MAX_RANK]; /* none is 0 */
};

/* SN_ERR_NOTFOUND when there is no such file, SN_ERR_CORRUPT with the fault
 * when it is damaged or no .npy, SN_ERR_INVALID when it is sound but holds
 * other than integers, low byte first, in C order. To be closed by
 * sn_file_close(). The messages start with the path. */
enum sn_err sn_npy_open(const char *path, struct sn_npy *ret,
                        struct sn_error *err);

#endif
