/* Archives as users send them: what is unpacked lies in its folder, as plain
 * files within the limits; what is refused says why. A file beside the folder
 * stays as it was, whatever an archive tries. */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/unpack.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BYTES = 1 << 17, LIMIT = 1 << 18, PATH = 4096, OPEN_FOLDERS = 8 };

static char into[PATH], beside[PATH]; /* empty: not made yet */
static int archive;
static uint64_t unpacked;

static int look(const char *path, const struct stat *st, int kind,
                struct FTW *where)
{
    FUZZ_REQUIRE(kind == FTW_F || kind == FTW_DP);
    FUZZ_REQUIRE(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
    if (S_ISREG(st->st_mode))
        unpacked += (uint64_t)st->st_size;
    FUZZ_REQUIRE(remove(path) == 0);
    return 0;
}

/* What it holds, and nothing of it any more. */
static void empty(void)
{
    unpacked = 0;
    FUZZ_REQUIRE(nftw(into, look, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0);
}

static void remove_beside(void)
{
    unlink(beside);
}

static void begin(void)
{
    const char *folder = fuzz_folder();
    snprintf(into, sizeof into, "%s/in", folder);
    snprintf(beside, sizeof beside, "%s/beside", folder);
    archive = memfd_create("fuzz", MFD_CLOEXEC);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(archive >= 0 && fd >= 0);
    close(fd);
    atexit(remove_beside); /* before the folder, whose turn was first */
}

static void check(enum sn_err rc, const struct sn_error *err)
{
    struct stat st;
    FUZZ_REQUIRE((rc == SN_OK) == (err->message[0] == '\0'));
    empty();
    FUZZ_REQUIRE(rc != SN_OK || unpacked <= LIMIT);
    FUZZ_REQUIRE(lstat(beside, &st) == 0 && S_ISREG(st.st_mode) &&
                 st.st_size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_unpack_limits limits = {
        .bytes = LIMIT, .ratio = 2, .entries = 64};
    struct sn_error err = {0};
    atomic_bool stop = false;
    uint64_t bytes = 0;
    bool tars = false;
    if (size > MAX_BYTES)
        return 0;
    if (into[0] == '\0')
        begin();
    FUZZ_REQUIRE(ftruncate(archive, 0) == 0);
    FUZZ_REQUIRE(pwrite(archive, data, size, 0) == (ssize_t)size);
    FUZZ_REQUIRE(lseek(archive, 0, SEEK_SET) == 0);
    (void)sn_unpack_holds_tars(archive, &tars, &err);
    err = (struct sn_error){0};
    FUZZ_REQUIRE(mkdir(into, 0700) == 0);
    check(sn_unpack(archive, into, &limits, &stop, &err), &err);
    err = (struct sn_error){0};
    FUZZ_REQUIRE(lseek(archive, 0, SEEK_SET) == 0);
    FUZZ_REQUIRE(mkdir(into, 0700) == 0);
    enum sn_err rc = sn_unpack_stream(archive, "a/x.tar", into, &limits, &stop,
                                      &bytes, &err);
    check(rc, &err);
    FUZZ_REQUIRE(rc != SN_OK || unpacked == bytes);
    return 0;
}
