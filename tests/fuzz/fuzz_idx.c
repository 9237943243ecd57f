/* IDX files, plain or gzip: images and labels, the same for training and test
 * (see fuzz_folder_put_two() for how both are in one input). */
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const images[] = {"train-images-idx3-ubyte",
                                         "t10k-images-idx3-ubyte", NULL};
    static const char *const labels[] = {"train-labels-idx1-ubyte",
                                         "t10k-labels-idx1-ubyte", NULL};
    fuzz_folder_put_two(images, labels, data, size);
    fuzz_folder_read(&sn_format_idx);
    return 0;
}
