/* Data sets inside tars, made by the program tar in each of its formats: the
 * bytes are found where they lie, long names included; WebDataset's pairs and
 * class folders give labels and splits; shards go by pattern or by folder; what
 * is cut, packed, a link or without a class is refused by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/data/dataset.h"
#include "tests/engine/data/pictures.h"

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sn-tar-XXXXXX");
    *state = dir;
    return dir == NULL || mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    sn_picture_remove_tree(*state);
    free(*state);
    return 0;
}

/* A shade of grey below the folder in/. */
static void put(void **state, const char *name, int v)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/in/%s", (char *)*state, name);
    sn_picture_flat(path, 8, 8, v, v, v);
}

static void put_text(void **state, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/in/%s", (char *)*state, name);
    sn_picture_put(path, (const uint8_t *)text, strlen(text));
}

/* Packs in/ as a tar of the set and empties it. */
static void pack(void **state, const char *options, const char *tar)
{
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && mkdir -p set/train set/val && "
             "tar -c --sort=name %s -f set/%s -C in . && rm -r in",
             (char *)*state, options, tar);
    assert_int_equal(system(command), 0);
}

static struct sn_dataset_source source_of(void **state)
{
    static char dir[256];
    snprintf(dir, sizeof dir, "%s/set", (char *)*state);
    struct sn_dataset_source source = {.format = "tar", .dir = dir};
    source.options = sn_dataset_options_default(true);
    return source;
}

static struct sn_dataset *open_it(const struct sn_dataset_source *source)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    if (sn_dataset_open_source(source, &data, &err) != SN_OK)
        fail_msg("%s", err.message);
    return data;
}

static void refused(const struct sn_dataset_source *source, const char *part)
{
    struct sn_dataset *data = NULL;
    struct sn_error err = {0};
    assert_int_not_equal(sn_dataset_open_source(source, &data, &err), SN_OK);
    if (strstr(err.message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_class_folders(void **state)
{
    static const char *const formats[] = {"--format=ustar", "--format=gnu",
                                          "--format=pax"};
    char longer[300] = "top/train/";
    for (int f = 0; f < 3; f++) {
        memset(longer + 10, 'd', 90);
        longer[100] = '/';
        longer[101] = '\0';
        strcat(longer, f == 0 ? "x.png" : "");
        if (f > 0) { /* ustar has no room for more */
            memset(longer + 101, 'n', 120);
            strcpy(longer + 221, "\xc3\xa9.png"); /* as UTF-8 in pax */
        }
        put(state, longer, 90);
        put(state, "top/train/b/1.png", 10);
        put(state, "top/train/b/img.1.jpg", 20);
        put(state, "top/train/b/img.2.jpg", 30);
        put(state, "top/val/b/1.png", 40);
        put_text(state, "top/train/b/readme.txt", "x");
        put_text(state, "top/train/b/.hidden.png", "x");
        pack(state, formats[f], "all.tar");
        struct sn_dataset_source source = source_of(state);
        struct sn_dataset *data = open_it(&source);
        assert_int_equal(data->info.classes, 2);
        assert_string_equal(sn_dataset_class_name(data, 0), "b");
        assert_int_equal(strlen(sn_dataset_class_name(data, 1)), 90);
        assert_int_equal(data->info.train, 4);
        assert_int_equal(data->info.test, 1);
        assert_int_equal(data->info.other, 1);
        static const int shades[] = {10, 20, 30, 90};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(data->train.pixels[i * 192], shades[i]);
            assert_int_equal(data->train.labels[i], i == 3);
        }
        assert_int_equal(data->test.pixels[0], 40);
        sn_dataset_free(data);
    }
}

/* Pairs from `first` on, 4 a tar: the shade is 10 times the number. */
static void pack_pairs(void **state, const char *tar, int first)
{
    for (int i = first; i < first + 4; i++) {
        char name[64], text[16];
        snprintf(name, sizeof name, "%06d.%s", i, i % 2 ? "jpg" : "png");
        put(state, name, 10 * i);
        snprintf(name, sizeof name, "%06d.cls", i);
        snprintf(text, sizeof text, "%d\n", i % 2);
        put_text(state, name, text);
        snprintf(name, sizeof name, "%06d.json", i);
        put_text(state, name, "{}");
    }
    pack(state, "", tar);
}

static void test_pairs_in_shards(void **state)
{
    pack_pairs(state, "t-08.tar", 0);
    pack_pairs(state, "t-09.tar", 4);
    pack_pairs(state, "t-10.tar", 8);
    pack_pairs(state, "v.tar", 12);
    struct sn_dataset_source source = source_of(state);
    strcpy(source.options.train, "t-{08..10}.tar");
    strcpy(source.options.test, "v.tar");
    struct sn_dataset *data = open_it(&source);
    assert_int_equal(data->info.train, 12);
    assert_int_equal(data->info.test, 4);
    assert_int_equal(data->info.classes, 2);
    assert_int_equal(data->info.other, 16);
    for (int i = 0; i < 12; i++) {
        assert_in_range(data->train.pixels[i * 192] + 1, 10 * i, 10 * i + 2);
        assert_int_equal(data->train.labels[i], i % 2);
    }
    sn_dataset_free(data);
    source.options.test[0] = '\0'; /* a share of the training tars, then */
    data = open_it(&source);
    assert_int_equal(data->info.train + data->info.test, 12);
    assert_int_equal(data->info.test, 2);
    sn_dataset_free(data);
    strcpy(source.options.train, "t-{08..11}.tar");
    refused(&source, "t-11.tar: opening");
    strcpy(source.options.train, "t-{08-11}.tar");
    refused(&source, "{000..123}");
    strcpy(source.options.train, "../set/v.tar");
    refused(&source, "../set/v.tar: opening");
}

static void test_folders_of_shards(void **state)
{
    pack_pairs(state, "train/0.tar", 0);
    pack_pairs(state, "train/1.tar", 4);
    pack_pairs(state, "val/0.tar", 8);
    struct sn_dataset_source source = source_of(state);
    struct sn_dataset *data = open_it(&source);
    assert_int_equal(data->info.train, 8);
    assert_int_equal(data->info.test, 4);
    assert_int_equal(data->test.pixels[0], 80);
    sn_dataset_free(data);
}

/* Images that stay in the tar are read there; a tar that has changed is seen.
 */
static void test_in_place(void **state)
{
    struct sn_item_bytes bytes = {0};
    struct sn_error err = {0};
    char path[512];
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "%c/%d.png", "ab"[i % 2], i);
        put(state, name, i);
    }
    snprintf(path, sizeof path, "%s/in/a/\xc3\xa9.png", (char *)*state);
    sn_picture_flat(path, 9, 8, 1, 2, 3);
    pack(state, "--format=pax", "x.tar");
    struct sn_dataset_source source = source_of(state);
    struct sn_dataset *data = open_it(&source);
    assert_true(data->info.variable);
    assert_non_null(memmem(data->items->names, data->items->names_size,
                           "x.tar/a/\xc3\xa9.png", 15));
    for (uint32_t i = 0; i < data->items->train.n; i++) {
        assert_int_equal(
            sn_items_read(data->items, &data->items->train.at[i], &bytes, &err),
            SN_OK);
        assert_memory_equal(bytes.bytes, "\x89PNG", 4);
    }
    free(bytes.bytes);
    struct sn_dataset_known known = {.info = data->info};
    source.known = &known;
    sn_dataset_free(open_it(&source));
    put(state, "a/new.png", 3);
    put(state, "b/new.png", 3);
    pack(state, "", "y.tar");
    refused(&source, "have changed since");
    sn_dataset_free(data);
}

static void test_refused(void **state)
{
    char path[512], command[1024];
    struct sn_dataset_source source = source_of(state);
    snprintf(path, sizeof path, "%s/set/x.tar", (char *)*state);
    mkdir(source.dir, 0700);
    refused(&source, "has no file NAME.tar");
    put(state, "a/1.png", 1);
    put(state, "b/1.png", 1);
    put(state, "loose.png", 1);
    pack(state, "", "x.tar");
    refused(&source, "x.tar/loose.png: has neither a .cls");
    put(state, "a/1.png", 1);
    put_text(state, "a/1.cls", "1000");
    pack(state, "", "x.tar");
    refused(&source, "x.tar/a/1.cls: is no class from 0 to 999");
    put(state, "a/1.png", 1);
    put_text(state, "a/1.cls", "1");
    put(state, "b/1.png", 1);
    pack(state, "", "x.tar");
    refused(&source, "some have not");
    put(state, "a/1.png", 1);
    snprintf(command, sizeof command, "%s/in/a/l.png", (char *)*state);
    assert_int_equal(symlink("/etc/passwd", command), 0);
    pack(state, "", "x.tar");
    refused(&source, "a/l.png: is a link");
    put(state, "a/1.png", 1);
    put(state, "b/1.png", 1);
    pack(state, "-z", "x.tar");
    refused(&source, "cannot be read as a plain tar");
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "%c/%d.png", "ab"[i % 2], i);
        put(state, name, i);
    }
    pack(state, "", "x.tar");
    sn_dataset_free(open_it(&source));
    assert_int_equal(truncate(path, 700), 0);
    refused(&source, "x.tar");
    assert_int_equal(truncate(path, 0), 0);
    refused(&source, "cannot be read as a plain tar");
}

struct seen {
    char names[256];
    int n, packed;
};

static enum sn_err see(void *arg, const char *name, int fd, bool packed,
                       struct sn_error *err)
{
    struct seen *seen = arg;
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    snprintf(seen->names + strlen(seen->names), 64, "%s ", name);
    seen->n++;
    seen->packed += packed;
    return SN_OK;
}

/* Packed tars count where there are no plain ones, or where they are named; the
 * reader itself does not take them. */
static void test_packed(void **state)
{
    struct sn_dataset_source source = source_of(state);
    struct seen seen = {0};
    struct sn_error err = {0};
    for (int i = 0; i < 3; i++) {
        static const char *const tars[] = {"train/b.tar.gz", "train/a.tgz",
                                           "val/c.tar.gz"};
        put(state, "a/1.png", i);
        pack(state, "-z", tars[i]);
    }
    assert_int_equal(
        sn_dataset_shards(source.dir, &source.options, see, &seen, &err),
        SN_OK);
    assert_string_equal(seen.names, "train/a.tgz train/b.tar.gz val/c.tar.gz ");
    assert_int_equal(seen.packed, 3);
    refused(&source, "train/a.tgz: cannot be read as a plain tar");
    put(state, "a/1.png", 1);
    pack(state, "", "train/c.tar");
    seen = (struct seen){0};
    assert_int_equal(
        sn_dataset_shards(source.dir, &source.options, see, &seen, &err),
        SN_OK);
    assert_string_equal(seen.names, "train/c.tar val/c.tar.gz ");
    assert_int_equal(seen.packed, 1);
    snprintf(source.options.train, sizeof source.options.train,
             "train/{1..2}.tar");
    assert_int_not_equal(
        sn_dataset_shards(source.dir, &source.options, see, &seen, &err),
        SN_OK);
    assert_non_null(strstr(err.message, "train/1.tar"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_class_folders),     TEST(test_pairs_in_shards),
        TEST(test_folders_of_shards), TEST(test_in_place),
        TEST(test_refused),           TEST(test_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
