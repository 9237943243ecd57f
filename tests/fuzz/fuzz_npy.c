/* NumPy's files: images and labels, the same for training and test (see
 * fuzz_folder_put_two() for how both are in one input). */
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const images[] = {"train_images.npy", "test_images.npy",
                                         NULL};
    static const char *const labels[] = {"train_labels.npy", "test_labels.npy",
                                         NULL};
    fuzz_folder_put_two(images, labels, data, size);
    fuzz_folder_read(&sn_format_npy);
    return 0;
}
