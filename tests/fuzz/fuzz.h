/* Fuzz targets: one function a program, under libFuzzer with --enable-fuzz (and
 * clang), else under replay.c, which repeats a corpus and simple mutations of
 * it. A target must neither crash nor leak nor abort; where something holds of
 * every input that is taken, it says so by FUZZ_REQUIRE.
 */
#ifndef SN_FUZZ_H
#define SN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(that)                                                   \
    do {                                                                     \
        if (!(that)) {                                                       \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, \
                    #that);                                                  \
            abort();                                                         \
        }                                                                    \
    } while (0)

/* Reads every byte, so that one outside is seen. */
static inline void fuzz_touch(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)((const volatile uint8_t *)bytes)[i];
}

#endif
