/* Data sets: IDX files are read as they are and refused where they are damaged;
 * the split covers everything once and hangs on the seed alone; batches are
 * normalised, and augmentation moves pixels as told, by (seed, epoch, image).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/data/data.h"

enum { TRAIN = 40, TEST = 7, SIDE = 5, PIXELS = SIDE * SIDE };

/* A batch of images as large as they are stored. */
static void take(const struct sn_view *view, enum sn_split split,
                 const uint32_t *index, uint32_t n,
                 const struct sn_augment *aug, float *images, int32_t *labels)
{
    struct sn_batch batch = {split, index, n, SIDE, aug};
    struct sn_view_room *room;
    assert_int_equal(sn_view_room_new(&room, NULL), SN_OK);
    assert_int_equal(sn_view_batch(view, &batch, room, images, labels, NULL),
                     SN_OK);
    sn_view_room_free(room);
}

/* ---- files ---- */

struct bytes {
    uint8_t at[8192];
    size_t n;
};

static void put32(struct bytes *b, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        b->at[b->n++] = (uint8_t)(v >> shift);
}

static void put_header(struct bytes *b, int rank, const uint32_t *dim)
{
    b->n = 0;
    put32(b, 0x800u + (uint32_t)rank);
    for (int i = 0; i < rank; i++)
        put32(b, dim[i]);
}

static void put_file(const char *dir, const char *name, const struct bytes *b,
                     size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    size_t len = strlen(name);
    if (len > 3 && strcmp(name + len - 3, ".gz") == 0) {
        gzFile f = gzopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(gzwrite(f, b->at, (unsigned)n), (int)n);
        assert_int_equal(gzclose(f), Z_OK);
        return;
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->at, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Pixel p of image i, channel c. All different enough to tell moves apart. */
static uint8_t pixel(uint32_t i, int p, int c)
{
    return (uint8_t)(1 + (i * 7 + (uint32_t)p * 9 + (uint32_t)c * 31) % 255);
}

static void make_images(struct bytes *b, uint32_t n, int channels)
{
    uint32_t dim[4] = {n, SIDE, SIDE, (uint32_t)channels};
    put_header(b, channels == 1 ? 3 : 4, dim);
    for (uint32_t i = 0; i < n; i++)
        for (int p = 0; p < PIXELS; p++)
            for (int c = 0; c < channels; c++)
                b->at[b->n++] = pixel(i, p, c);
}

static void make_labels(struct bytes *b, uint32_t n)
{
    put_header(b, 1, &n);
    for (uint32_t i = 0; i < n; i++)
        b->at[b->n++] = (uint8_t)(i % 3);
}

/* A whole data set; suffix "" or ".gz". */
static void put_set(const char *dir, int channels, const char *suffix)
{
    char name[64];
    struct bytes b;
    int rank = channels == 1 ? 3 : 4;
    make_images(&b, TRAIN, channels);
    snprintf(name, sizeof name, "train-images-idx%d-ubyte%s", rank, suffix);
    put_file(dir, name, &b, b.n);
    make_images(&b, TEST, channels);
    snprintf(name, sizeof name, "t10k-images-idx%d-ubyte%s", rank, suffix);
    put_file(dir, name, &b, b.n);
    make_labels(&b, TRAIN);
    snprintf(name, sizeof name, "train-labels-idx1-ubyte%s", suffix);
    put_file(dir, name, &b, b.n);
    make_labels(&b, TEST);
    snprintf(name, sizeof name, "t10k-labels-idx1-ubyte%s", suffix);
    put_file(dir, name, &b, b.n);
}

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sn-data-XXXXXX");
    *state = dir;
    return dir == NULL || mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char *dir = *state, path[512];
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d != NULL)
        closedir(d);
    int rc = rmdir(dir);
    free(dir);
    return rc;
}

static struct sn_dataset *open_set(const char *dir)
{
    struct sn_dataset *data = NULL;
    struct sn_error err;
    if (sn_dataset_open("idx", dir, &data, &err) != SN_OK)
        fail_msg("%s", err.message);
    return data;
}

static void assert_refused(const char *dir, enum sn_err code, const char *word)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    enum sn_err rc = sn_dataset_open("idx", dir, &data, &err);
    if (rc != code || strstr(err.message, word) == NULL)
        fail_msg("%s: \"%s\", without \"%s\"", sn_err_name(rc), err.message,
                 word);
    assert_null(data);
}

/* ---- opening ---- */

static void test_plain_and_gzip_are_the_same(void **state)
{
    const char *dir = *state;
    struct sn_dataset_info a, b;
    put_set(dir, 1, ".gz");
    struct sn_dataset *data = open_set(dir);
    sn_dataset_info(data, &a);
    sn_dataset_free(data);
    put_set(dir, 1, "");
    data = open_set(dir);
    sn_dataset_info(data, &b);
    sn_dataset_free(data);
    assert_int_equal(a.train, TRAIN);
    assert_int_equal(a.test, TEST);
    assert_int_equal(a.channels, 1);
    assert_int_equal(a.height, SIDE);
    assert_int_equal(a.width, SIDE);
    assert_int_equal(a.classes, 3);
    assert_string_equal(a.checksum, b.checksum);
    assert_int_equal(strlen(a.checksum), 16);
    assert_true(a.mean[0] == b.mean[0] && a.std[0] == b.std[0]);
}

static void test_statistics(void **state)
{
    const char *dir = *state;
    put_set(dir, 3, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_dataset_info info;
    sn_dataset_info(data, &info);
    assert_int_equal(info.channels, 3);
    for (int c = 0; c < 3; c++) {
        double sum = 0, square = 0, n = TRAIN * PIXELS;
        for (uint32_t i = 0; i < TRAIN; i++)
            for (int p = 0; p < PIXELS; p++) {
                double v = pixel(i, p, c) / 255.0;
                sum += v;
                square += v * v;
            }
        double mean = sum / n;
        assert_true(fabs(info.mean[c] - mean) < 1e-6);
        assert_true(fabs(info.std[c] - sqrt(square / n - mean * mean)) < 1e-6);
    }
    sn_dataset_free(data);
}

static void test_every_byte_counts_in_the_checksum(void **state)
{
    const char *dir = *state;
    struct sn_dataset_info a, b;
    struct bytes file;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    sn_dataset_info(data, &a);
    sn_dataset_free(data);
    make_labels(&file, TEST);
    file.at[file.n - 1] ^= 1;
    put_file(dir, "t10k-labels-idx1-ubyte", &file, file.n);
    data = open_set(dir);
    sn_dataset_info(data, &b);
    sn_dataset_free(data);
    assert_string_not_equal(a.checksum, b.checksum);
}

/* ---- damage ---- */

static void test_missing_files(void **state)
{
    const char *dir = *state;
    char path[512];
    assert_refused("/nonexistent", SN_ERR_NOTFOUND, "train-images");
    put_set(dir, 1, "");
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", dir);
    unlink(path);
    assert_refused(dir, SN_ERR_NOTFOUND, "t10k-labels");
}

/* Cutting a file anywhere is found, plain and gzip. */
static void test_cut_files(void **state)
{
    static const size_t cuts[] = {0, 1, 3, 4, 7, 15, 16, 500, 1015};
    const char *dir = *state;
    struct bytes b;
    put_set(dir, 1, "");
    make_images(&b, TRAIN, 1);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        put_file(dir, "train-images-idx3-ubyte", &b, cuts[i]);
        assert_refused(dir, SN_ERR_CORRUPT, "train-images-idx3-ubyte: ");
    }
    char path[512];
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", dir);
    unlink(path);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        put_file(dir, "train-images-idx3-ubyte.gz", &b, cuts[i]);
        assert_refused(dir, SN_ERR_CORRUPT, "train-images-idx3-ubyte.gz: ");
    }
}

static void test_trailing_bytes(void **state)
{
    const char *dir = *state;
    struct bytes b;
    put_set(dir, 1, "");
    make_labels(&b, TRAIN);
    b.at[b.n++] = 0;
    put_file(dir, "train-labels-idx1-ubyte", &b, b.n);
    assert_refused(dir, SN_ERR_CORRUPT, "longer");
    char path[512];
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", dir);
    unlink(path);
    put_file(dir, "train-labels-idx1-ubyte.gz", &b, b.n);
    assert_refused(dir, SN_ERR_CORRUPT, "longer");
}

/* Damage to the compressed file itself: cut, one bit turned, bytes added. */
static void test_damaged_gzip(void **state)
{
    const char *dir = *state;
    struct bytes b, packed;
    char path[512];
    put_set(dir, 1, "");
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", dir);
    unlink(path);
    make_images(&b, TRAIN, 1);
    put_file(dir, "train-images-idx3-ubyte.gz", &b, b.n);
    sn_dataset_free(open_set(dir));
    strcat(path, ".gz");
    FILE *f = fopen(path, "rb");
    packed.n = fread(packed.at, 1, sizeof packed.at, f);
    fclose(f);
    assert_in_range(packed.n, 20, sizeof packed.at - 20);

    unlink(path);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", dir);
    const char *name = "train-images-idx3-ubyte"; /* gzip is seen, not named */
    for (size_t n = 2; n < packed.n; n += 3) {
        put_file(dir, name, &packed, n);
        assert_refused(dir, SN_ERR_CORRUPT, name);
    }
    for (size_t i = packed.n - 8; i < packed.n; i++) { /* CRC and length */
        packed.at[i] ^= 0x10;
        put_file(dir, name, &packed, packed.n);
        assert_refused(dir, SN_ERR_CORRUPT, "damaged");
        packed.at[i] ^= 0x10;
    }
    packed.at[packed.n] = 'x';
    packed.at[packed.n + 1] = 'y';
    put_file(dir, name, &packed, packed.n + 2);
    assert_refused(dir, SN_ERR_CORRUPT, name);
    put_file(dir, name, &packed, packed.n);
    sn_dataset_free(open_set(dir));
}

static void test_wrong_headers(void **state)
{
    static const struct {
        uint32_t word[5]; /* magic and dimensions of the training images */
        size_t n;
        enum sn_err code;
        const char *says;
    } bad[] = {
        {{0x803, 0, 5, 5}, 4, SN_ERR_CORRUPT, "is 0"},
        {{0x803, 0xffffffff, 0xffffffff, 0xffffffff},
         4,
         SN_ERR_TOOLARGE,
         "over"},
        {{0x803, 1000, 4096, 1024}, 4, SN_ERR_CORRUPT, "shorter"},
        {{0x803, 1, 4097, 1}, 4, SN_ERR_TOOLARGE, "4096"},
        {{0xd03, 40, 5, 5}, 4, SN_ERR_CORRUPT, "unsigned bytes"},
        {{0x10803, 40, 5, 5}, 4, SN_ERR_CORRUPT, "not an IDX"},
        {{0x800, 40, 5, 5}, 4, SN_ERR_CORRUPT, "dimensions"},
        {{0x8ff, 40, 5, 5}, 4, SN_ERR_CORRUPT, "dimensions"},
        {{0x802, 200, 5}, 3, SN_ERR_CORRUPT, "dimensions"},
        {{0x804, 20, 5, 5, 2}, 5, SN_ERR_CORRUPT, "last is 2"},
        {{0x803, 39, 5, 5}, 4, SN_ERR_CORRUPT, "longer"},
        {{0x803, 20, 10, 5}, 4, SN_ERR_CORRUPT, "40 labels for 20"},
        {{0x803, 40, 25, 1}, 4, SN_ERR_CORRUPT, "test images"},
    };
    const char *dir = *state;
    put_set(dir, 1, "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bytes b = {.n = 0};
        for (size_t w = 0; w < bad[i].n; w++)
            put32(&b, bad[i].word[w]);
        /* 1,000 bytes follow, or as many as the 4,097 x 1 image needs */
        size_t body = bad[i].word[2] == 4097 ? 4097 : TRAIN * PIXELS;
        memset(b.at + b.n, 7, body);
        put_file(dir, "train-images-idx3-ubyte", &b, b.n + body);
        assert_refused(dir, bad[i].code, bad[i].says);
    }
}

static void test_one_class_is_none(void **state)
{
    const char *dir = *state;
    struct bytes b;
    put_set(dir, 1, "");
    uint32_t n = TRAIN;
    put_header(&b, 1, &n);
    memset(b.at + b.n, 0, n);
    put_file(dir, "train-labels-idx1-ubyte", &b, b.n + n);
    n = TEST;
    put_header(&b, 1, &n);
    memset(b.at + b.n, 0, n);
    put_file(dir, "t10k-labels-idx1-ubyte", &b, b.n + n);
    assert_refused(dir, SN_ERR_INVALID, "same label");
}

/* ---- views ---- */

/* Which image of the set a batch's image is, by its first pixel (they differ
 * for the 40 images: 7 i mod 255). */
static uint32_t which(const struct sn_dataset *data, float value)
{
    struct sn_dataset_info info;
    sn_dataset_info(data, &info);
    double v = (value * info.std[0] + info.mean[0]) * 255;
    for (uint32_t i = 0; i < TRAIN; i++)
        if (fabs(v - pixel(i, 0, 0)) < 0.25)
            return i;
    fail_msg("no image begins with %g", v);
    return 0;
}

/* The data set's numbers of a split's images. */
static uint32_t members(const struct sn_dataset *data,
                        const struct sn_view *view, enum sn_split split,
                        uint32_t *ret)
{
    float x[PIXELS];
    int32_t label;
    uint32_t n = sn_view_count(view, split);
    for (uint32_t i = 0; i < n; i++) {
        take(view, split, &i, 1, NULL, x, &label);
        ret[i] = which(data, x[0]);
        assert_int_equal(label, ret[i] % 3);
    }
    return n;
}

static void test_split_covers_everything_once(void **state)
{
    const char *dir = *state;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view;
    assert_int_equal(sn_view_new(data, 5, 10, 0, &view, NULL), SN_OK);
    uint32_t a[TRAIN], b[TRAIN], seen[TRAIN] = {0};
    assert_int_equal(members(data, view, SN_SPLIT_TRAIN, a), TRAIN - 10);
    assert_int_equal(members(data, view, SN_SPLIT_HOLDOUT, b), 10);
    assert_int_equal(sn_view_count(view, SN_SPLIT_TEST), TEST);
    for (int i = 0; i < TRAIN - 10; i++)
        seen[a[i]]++;
    for (int i = 0; i < 10; i++)
        seen[b[i]]++;
    for (int i = 0; i < TRAIN; i++)
        assert_int_equal(seen[i], 1);
    sn_view_free(view);
    sn_dataset_free(data);
}

static void test_holdout_hangs_on_the_seed_alone(void **state)
{
    const char *dir = *state;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view;
    uint32_t first[TRAIN], other[TRAIN];
    assert_int_equal(sn_view_new(data, 5, 10, 0, &view, NULL), SN_OK);
    members(data, view, SN_SPLIT_HOLDOUT, first);
    sn_view_free(view);

    assert_int_equal(sn_view_new(data, 5, 10, 12, &view, NULL), SN_OK);
    assert_int_equal(sn_view_count(view, SN_SPLIT_TRAIN), 12);
    members(data, view, SN_SPLIT_HOLDOUT, other);
    assert_memory_equal(first, other, 10 * sizeof first[0]);
    sn_view_free(view);

    assert_int_equal(sn_view_new(data, 6, 10, 0, &view, NULL), SN_OK);
    members(data, view, SN_SPLIT_HOLDOUT, other);
    assert_memory_not_equal(first, other, 10 * sizeof first[0]);
    sn_view_free(view);

    view = NULL;
    assert_int_equal(sn_view_new(data, 5, TRAIN, 0, &view, NULL), SN_ERR_RANGE);
    assert_null(view);
    sn_view_free(NULL);
    sn_dataset_free(data);
    sn_dataset_free(NULL);
}

static void test_epoch_orders(void **state)
{
    const char *dir = *state;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view;
    assert_int_equal(sn_view_new(data, 5, 10, 0, &view, NULL), SN_OK);
    uint32_t a[30], b[30], c[30], seen[30] = {0};
    sn_view_epoch_order(view, 1, 4, a);
    sn_view_epoch_order(view, 1, 4, b);
    sn_view_epoch_order(view, 1, 5, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    for (int i = 0; i < 30; i++)
        seen[a[i]]++;
    for (int i = 0; i < 30; i++)
        assert_int_equal(seen[i], 1);
    sn_view_free(view);
    sn_dataset_free(data);
}

/* ---- augmentation ---- */

/* Whether `out` is `in` moved by (dy, dx), mirrored first when flip, with 0
 * outside; both [channels][SIDE][SIDE]. */
static bool is_moved(const float *in, const float *out, int channels, int dy,
                     int dx, bool flip)
{
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int sy = y + dy, sx = x + dx;
                float want = 0;
                if (sy >= 0 && sy < SIDE && sx >= 0 && sx < SIDE)
                    want = in[c * PIXELS + sy * SIDE +
                              (flip ? SIDE - 1 - sx : sx)];
                if (out[c * PIXELS + y * SIDE + x] != want)
                    return false;
            }
    return true;
}

/* Every augmented image is one of the moves that were asked for; all occur. */
static void test_moves(void **state)
{
    const char *dir = *state;
    put_set(dir, 3, ".gz");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view;
    assert_int_equal(sn_view_new(data, 5, 0, 0, &view, NULL), SN_OK);
    float plain[3 * PIXELS], moved[3 * PIXELS];
    int32_t label;
    unsigned seen[2][5][5] = {0};
    for (uint64_t epoch = 0; epoch < 25; epoch++) {
        struct sn_augment aug = {
            .on = true, .pad = 2, .flip = true, .seed = 3, .epoch = epoch};
        for (uint32_t i = 0; i < TRAIN; i++) {
            take(view, SN_SPLIT_TRAIN, &i, 1, NULL, plain, &label);
            take(view, SN_SPLIT_TRAIN, &i, 1, &aug, moved, &label);
            int found = 0;
            for (int m = 0; m < 50; m++) {
                int dy = m / 10 - 2, dx = m / 2 % 5 - 2, flip = m % 2;
                if (!is_moved(plain, moved, 3, dy, dx, flip))
                    continue;
                seen[flip][dy + 2][dx + 2]++;
                found++;
            }
            assert_int_equal(found, 1);
        }
    }
    for (int m = 0; m < 50; m++) /* 1,000 images, 20 each expected */
        assert_in_range(seen[m % 2][m / 10][m / 2 % 5], 5, 45);
    sn_view_free(view);
    sn_dataset_free(data);
}

static void test_augmentation_is_a_function(void **state)
{
    const char *dir = *state;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view, *other;
    assert_int_equal(sn_view_new(data, 5, 0, 0, &view, NULL), SN_OK);
    assert_int_equal(sn_view_new(data, 6, 0, 0, &other, NULL), SN_OK);
    uint32_t index[TRAIN], reversed[TRAIN], a_is[TRAIN], b_is[TRAIN];
    static float a[TRAIN][PIXELS], b[TRAIN][PIXELS];
    int32_t label[TRAIN];
    for (uint32_t i = 0; i < TRAIN; i++) {
        index[i] = i;
        reversed[i] = TRAIN - 1 - i;
    }
    struct sn_augment aug = {
        .on = true, .pad = 2, .flip = true, .seed = 9, .epoch = 2};
    take(view, SN_SPLIT_TRAIN, index, TRAIN, &aug, a[0], label);
    take(view, SN_SPLIT_TRAIN, reversed, TRAIN, &aug, b[0], label);
    for (int i = 0; i < TRAIN; i++)
        assert_memory_equal(a[i], b[TRAIN - 1 - i], sizeof a[0]);

    /* the same image at another place of another split: the same pixels */
    members(data, view, SN_SPLIT_TRAIN, a_is);
    members(data, other, SN_SPLIT_TRAIN, b_is);
    take(other, SN_SPLIT_TRAIN, index, TRAIN, &aug, b[0], label);
    for (int i = 0; i < TRAIN; i++)
        for (int j = 0; j < TRAIN; j++)
            if (a_is[i] == b_is[j])
                assert_memory_equal(a[i], b[j], sizeof a[0]);

    aug.epoch = 3;
    take(view, SN_SPLIT_TRAIN, index, TRAIN, &aug, b[0], label);
    assert_memory_not_equal(a, b, sizeof a);
    aug.epoch = 2;
    aug.seed = 10;
    take(view, SN_SPLIT_TRAIN, index, TRAIN, &aug, b[0], label);
    assert_memory_not_equal(a, b, sizeof a);
    aug.on = false;
    take(view, SN_SPLIT_TRAIN, index, TRAIN, &aug, a[0], label);
    take(view, SN_SPLIT_TRAIN, index, TRAIN, NULL, b[0], label);
    assert_memory_equal(a, b, sizeof a);
    sn_view_free(other);
    sn_view_free(view);
    sn_dataset_free(data);
}

/* A padding wider than the image can leave nothing of it, and no more. */
static void test_wide_padding(void **state)
{
    const char *dir = *state;
    put_set(dir, 1, "");
    struct sn_dataset *data = open_set(dir);
    struct sn_view *view;
    assert_int_equal(sn_view_new(data, 5, 0, 0, &view, NULL), SN_OK);
    float plain[PIXELS], moved[PIXELS];
    int32_t label;
    for (uint32_t i = 0; i < TRAIN; i++) {
        struct sn_augment aug = {.on = true, .pad = 9, .seed = 1, .epoch = i};
        take(view, SN_SPLIT_TRAIN, &i, 1, NULL, plain, &label);
        take(view, SN_SPLIT_TRAIN, &i, 1, &aug, moved, &label);
        bool found = false;
        for (int m = 0; m < 19 * 19; m++)
            found |= is_moved(plain, moved, 1, m / 19 - 9, m % 19 - 9, false);
        assert_true(found);
    }
    sn_view_free(view);
    sn_dataset_free(data);
}

int main(void)
{
#define TEST_IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST_IN_DIR(test_plain_and_gzip_are_the_same),
        TEST_IN_DIR(test_statistics),
        TEST_IN_DIR(test_every_byte_counts_in_the_checksum),
        TEST_IN_DIR(test_missing_files),
        TEST_IN_DIR(test_cut_files),
        TEST_IN_DIR(test_trailing_bytes),
        TEST_IN_DIR(test_damaged_gzip),
        TEST_IN_DIR(test_wrong_headers),
        TEST_IN_DIR(test_one_class_is_none),
        TEST_IN_DIR(test_split_covers_everything_once),
        TEST_IN_DIR(test_holdout_hangs_on_the_seed_alone),
        TEST_IN_DIR(test_epoch_orders),
        TEST_IN_DIR(test_moves),
        TEST_IN_DIR(test_augmentation_is_a_function),
        TEST_IN_DIR(test_wide_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
