#include "tests/fuzz/folder.h"

#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { SLOTS = 2, MAX_NAMES = 16, MAX_BYTES = 1 << 20 };

static char folder_path[PATH_MAX / 2]; /* empty: not made yet */
static struct {
    char link[MAX_NAMES][PATH_MAX];
    int n_links;
    int fd[SLOTS]; /* 0: none yet */
} folder;

static void remove_folder(void)
{
    for (int i = 0; i < folder.n_links; i++)
        unlink(folder.link[i]);
    rmdir(folder_path);
}

const char *fuzz_folder(void)
{
    if (folder_path[0] == '\0') {
        const char *tmp = getenv("TMPDIR");
        int n = snprintf(folder_path, sizeof folder_path, "%s/fuzz-XXXXXX",
                         tmp != NULL ? tmp : "/tmp");
        FUZZ_REQUIRE(n > 0 && (size_t)n < sizeof folder_path);
        FUZZ_REQUIRE(mkdtemp(folder_path) != NULL);
        atexit(remove_folder);
    }
    return folder_path;
}

static void make(int slot, const char *const *names)
{
    char memory[64];
    folder.fd[slot] = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(folder.fd[slot] > 0);
    snprintf(memory, sizeof memory, "/proc/self/fd/%d", folder.fd[slot]);
    for (; *names != NULL; names++) {
        FUZZ_REQUIRE(folder.n_links < MAX_NAMES);
        char *path = folder.link[folder.n_links++];
        snprintf(path, PATH_MAX, "%s/%s", fuzz_folder(), *names);
        FUZZ_REQUIRE(symlink(memory, path) == 0);
    }
}

void fuzz_folder_put(int slot, const char *const *names, const uint8_t *bytes,
                     size_t size)
{
    if (folder.fd[slot] == 0)
        make(slot, names);
    FUZZ_REQUIRE(ftruncate(folder.fd[slot], 0) == 0);
    FUZZ_REQUIRE(pwrite(folder.fd[slot], bytes, size, 0) == (ssize_t)size);
}

void fuzz_folder_put_two(const char *const *first, const char *const *second,
                         const uint8_t *bytes, size_t size)
{
    size_t n = 0;
    if (size >= 2) {
        n = (size_t)bytes[0] | (size_t)bytes[1] << 8;
        bytes += 2;
        size -= 2;
    }
    n = n < size ? n : size;
    fuzz_folder_put(0, first, bytes, n);
    fuzz_folder_put(1, second, bytes + n, size - n);
}

static void check(const struct sn_format *format,
                  const struct sn_images *images, const struct sn_shape *shape)
{
    struct sn_dataset *data = NULL;
    struct sn_dataset_info info;
    struct sn_error err = {0};
    size_t n = (size_t)shape->channels * (size_t)shape->height *
               (size_t)shape->width * images->n;
    FUZZ_REQUIRE(n > 0 && n <= MAX_BYTES);
    FUZZ_REQUIRE(shape->channels == 1 || shape->channels == 3);
    fuzz_touch(images->pixels, n);
    if (sn_dataset_open(format->is.name, fuzz_folder(), &data, &err) != SN_OK) {
        FUZZ_REQUIRE(err.message[0] != '\0');
        return;
    }
    sn_dataset_info(data, &info);
    FUZZ_REQUIRE(info.train == images->n);
    FUZZ_REQUIRE(info.test > 0 && info.train % info.test == 0);
    FUZZ_REQUIRE(info.channels == shape->channels);
    FUZZ_REQUIRE(info.height == shape->height && info.width == shape->width);
    FUZZ_REQUIRE(strlen(info.checksum) == 16);
    for (int c = 0; c < info.channels; c++)
        FUZZ_REQUIRE(info.mean[c] >= 0 && info.mean[c] <= 1);
    for (uint32_t i = 0; i < images->n; i++)
        FUZZ_REQUIRE(images->labels[i] < info.classes);
    sn_dataset_free(data);
}

void fuzz_folder_read(const struct sn_format *format)
{
    struct sn_images images = {0};
    struct sn_shape shape = {0};
    struct sn_error err = {0};
    if (format->read(fuzz_folder(), false, MAX_BYTES, &images, &shape, &err) !=
        SN_OK) {
        FUZZ_REQUIRE(err.message[0] != '\0');
        return;
    }
    check(format, &images, &shape);
    free(images.pixels);
    free(images.labels);
}
