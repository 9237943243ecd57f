/* CIFAR's binary files: every file of the data set has the same records, which
 * are read as both of its versions. */
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin",
        "train.bin",        "test.bin",         NULL};
    fuzz_folder_put(0, names, data, size);
    fuzz_folder_read(&sn_format_cifar10);
    fuzz_folder_read(&sn_format_cifar100);
    return 0;
}
