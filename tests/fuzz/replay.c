/* The driver of fuzz targets where there is no libFuzzer: repeats the files of
 * a corpus, then mutations of them by formula, so that a failure repeats.
 *
 *     fuzz_NAME [-runs=N] [-max_total_time=SECONDS] FILE|FOLDER...
 *
 * Options are libFuzzer's. What fails is written to fuzz-failure. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/rng.h"

enum { MAX_INPUTS = 4096, MAX_BYTES = 1 << 20 };

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct {
    struct input input[MAX_INPUTS];
    size_t n;
    uint8_t present[MAX_BYTES]; /* of the run that goes on */
    size_t present_size;
} corpus;

static void on_abort(int number)
{
    FILE *f = fopen("fuzz-failure", "wb");
    if (f != NULL) {
        fwrite(corpus.present, 1, corpus.present_size, f);
        fclose(f);
    }
    signal(number, SIG_DFL);
    raise(number);
}

/* A copy of exactly its size, so that reading past it is seen. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    memcpy(corpus.present, bytes, size);
    corpus.present_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void take_file(const char *path)
{
    static uint8_t bytes[MAX_BYTES];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    struct input *to = &corpus.input[corpus.n];
    to->bytes = malloc(size > 0 ? size : 1);
    if (corpus.n + 1 == MAX_INPUTS || to->bytes == NULL)
        return;
    memcpy(to->bytes, bytes, size);
    to->size = size;
    corpus.n++;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void take(const char *path)
{
    struct stat st;
    struct dirent **list = NULL;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        take_file(path);
        return;
    }
    int n = scandir(path, &list, not_hidden, alphasort);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
        take_file(file);
        free(list[i]);
    }
    free(list);
}

/* Bytes changed, runs cut out, doubled, or taken from another input. */
static size_t mutate(struct sn_rng *rng, uint8_t *bytes, size_t size)
{
    uint32_t at = sn_rng_below(rng, (uint32_t)size + 1);
    uint32_t run_size = 1 + sn_rng_below(rng, 16);
    const struct input *other =
        &corpus.input[sn_rng_below(rng, (uint32_t)corpus.n)];
    switch (sn_rng_below(rng, 5)) {
    case 0:
        if (at < size)
            bytes[at] = (uint8_t)sn_rng_below(rng, 256);
        return size;
    case 1:
        if (at < size)
            bytes[at] = (uint8_t)(bytes[at] + 1 - 2 * sn_rng_below(rng, 2));
        return size;
    case 2:
        if (at + run_size > size)
            return at;
        memmove(bytes + at, bytes + at + run_size, size - at - run_size);
        return size - run_size;
    case 3:
        if (at + run_size > size || size + run_size > MAX_BYTES)
            return size;
        memmove(bytes + at + run_size, bytes + at, size - at);
        return size + run_size;
    default:
        if (at + run_size <= size && run_size <= other->size)
            memcpy(bytes + at, other->bytes + other->size - run_size, run_size);
        return size;
    }
}

static void run_mutated(uint64_t i)
{
    static uint8_t bytes[MAX_BYTES];
    struct sn_rng rng = sn_rng_make(1, SN_STREAM_TEST, i);
    const struct input *from =
        &corpus.input[sn_rng_below(&rng, (uint32_t)corpus.n)];
    size_t size = from->size;
    memcpy(bytes, from->bytes, size);
    for (uint32_t k = 0; k <= sn_rng_below(&rng, 4); k++)
        size = mutate(&rng, bytes, size);
    run(bytes, size);
}

int main(int argc, char **argv)
{
    unsigned long long runs = 0, seconds = 0, done = 0;
    for (int i = 1; i < argc; i++)
        if (sscanf(argv[i], "-runs=%llu", &runs) != 1 &&
            sscanf(argv[i], "-max_total_time=%llu", &seconds) != 1)
            take(argv[i]);
    if (corpus.n == 0) {
        fprintf(stderr, "%s: no inputs\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    for (size_t i = 0; i < corpus.n; i++)
        run(corpus.input[i].bytes, corpus.input[i].size);
    time_t end = time(NULL) + (time_t)seconds;
    while (done < runs || (seconds > 0 && time(NULL) < end))
        run_mutated(done++);
    printf("%s: %zu inputs, %llu mutations\n", argv[0], corpus.n, done);
    for (size_t i = 0; i < corpus.n; i++)
        free(corpus.input[i].bytes);
    return 0;
}
