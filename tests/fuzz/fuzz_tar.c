/* Tars of JPEG and PNG images: what is taken has every image that it counts, at
 * the size asked for, and labels below the number of classes; what is not says
 * what is wrong. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/dataset.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

enum { SIDE = 8, MAX_BYTES = 1 << 17, PATH = 4096 };

static char path[PATH]; /* empty: not made yet */

static void remove_tar(void)
{
    unlink(path);
}

static void put(const uint8_t *data, size_t size)
{
    if (path[0] == '\0') {
        const char *folder = fuzz_folder();
        int n = snprintf(path, sizeof path, "%s/x.tar", folder);
        FUZZ_REQUIRE(n > 0 && n < PATH);
        atexit(remove_tar); /* before the folder, whose turn was first */
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(fd >= 0);
    FUZZ_REQUIRE(write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void check_images(const struct sn_images *images, uint32_t n,
                         int classes)
{
    FUZZ_REQUIRE(images->n == n && n > 0);
    fuzz_touch(images->pixels, (size_t)n * SIDE * SIDE * 3);
    for (uint32_t i = 0; i < n; i++)
        FUZZ_REQUIRE(images->labels[i] < classes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_dataset_source source = {.format = "tar", .dir = fuzz_folder()};
    struct sn_dataset *set = NULL;
    struct sn_dataset_info info;
    struct sn_error err = {0};
    if (size > MAX_BYTES)
        return 0;
    put(data, size);
    source.options = sn_dataset_options_default(true);
    source.options.size = SIDE;
    source.options.corrupt_share = 0.5;
    if (sn_dataset_open_source(&source, &set, &err) != SN_OK) {
        FUZZ_REQUIRE(err.message[0] != '\0');
        return 0;
    }
    sn_dataset_info(set, &info);
    FUZZ_REQUIRE(!info.variable && info.width == SIDE && info.height == SIDE);
    FUZZ_REQUIRE(info.classes >= 2 && info.classes <= SN_MAX_CLASSES);
    check_images(&set->train, info.train, info.classes);
    check_images(&set->test, info.test, info.classes);
    for (int c = 0; c < info.classes; c++)
        FUZZ_REQUIRE(strlen(sn_dataset_class_name(set, c)) > 0);
    for (uint32_t i = 0; i < info.corrupt; i++)
        FUZZ_REQUIRE(strlen(sn_dataset_corrupt_name(set, i)) > 0);
    sn_dataset_free(set);
    return 0;
}
