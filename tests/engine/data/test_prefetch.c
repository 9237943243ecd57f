/* Prefetch: batches are those of sn_view_batch() to the bit, whatever the
 * number of threads and wherever the steps begin; resolutions are drawn from
 * the list, all of them; the epochs cover every image once; an image that has
 * gone ends the step that needs it, by name; closing in the middle of work
 * ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/prefetch.h"
#include "engine/data/view.h"
#include "tests/engine/data/photos.h"

enum { TRAIN = 14, HOLDOUT = 3, BATCH = 4, MOST = 40 };
static const uint16_t resolutions[] = {24, 32, MOST};
static const size_t floats = 3 * MOST * MOST;

static struct sn_photos photos;
static struct sn_view *view;

static struct sn_prefetch_settings settings_of(int threads)
{
    return (struct sn_prefetch_settings){
        .threads = threads,
        .batch_size = BATCH,
        .seed = 5,
        .resolutions = resolutions,
        .n_resolutions = 3,
        .augment = {.on = true,
                    .flip = true,
                    .cutout = 6,
                    .brightness = 0.1f,
                    .saturation = 0.5f,
                    .seed = 5},
    };
}

static struct sn_prefetch *prefetch_of(int threads)
{
    struct sn_prefetch_settings s = settings_of(threads);
    struct sn_prefetch *p;
    assert_int_equal(sn_prefetch_new(view, &s, &p, NULL), SN_OK);
    return p;
}

/* A step's images without any prefetch. */
static int plainly(uint64_t step, float *images, int32_t *labels)
{
    struct sn_prefetch_settings s = settings_of(1);
    struct sn_epochs epochs;
    struct sn_batch batch;
    struct sn_view_room *room;
    assert_int_equal(sn_epochs_init(&epochs, view, s.seed, s.batch_size,
                                    s.resolutions, s.n_resolutions, NULL),
                     SN_OK);
    assert_int_equal(sn_view_room_new(&room, NULL), SN_OK);
    sn_epochs_find(&epochs, step, &s.augment, &batch);
    assert_int_equal(sn_view_batch(view, &batch, room, images, labels, NULL),
                     SN_OK);
    int r = batch.resolution;
    sn_view_room_free(room);
    sn_epochs_close(&epochs);
    return r;
}

static void same_as_plainly(struct sn_prefetch *p, uint64_t step)
{
    static float a[BATCH * 3 * MOST * MOST], b[BATCH * 3 * MOST * MOST];
    int32_t la[BATCH], lb[BATCH];
    struct sn_ready ready;
    int r = plainly(step, a, la);
    assert_int_equal(sn_prefetch_take(p, step, &ready, NULL), SN_OK);
    assert_int_equal(ready.batch.resolution, r);
    size_t size = sn_view_pixel_bytes(view, r);
    for (uint32_t i = 0; i < BATCH; i += 2) /* in two parts */
        sn_view_finish(view, &ready.batch, i, 2, ready.pixels + i * size,
                       b + i * size, lb + i);
    assert_memory_equal(a, b, BATCH * size * sizeof(float));
    assert_memory_equal(la, lb, sizeof la);
}

static void batches_are_a_function(void **state)
{
    for (int threads = 1; threads <= 3; threads += 2) {
        struct sn_prefetch *p = prefetch_of(threads);
        for (uint64_t step = 3; step < 10; step++)
            same_as_plainly(p, step);
        same_as_plainly(p, 1); /* back, and far ahead */
        same_as_plainly(p, 2);
        same_as_plainly(p, 2);
        same_as_plainly(p, 700);
        sn_prefetch_free(p);
    }
    (void)state;
}

static void epochs_cover_all(void **state)
{
    struct sn_prefetch_settings s = settings_of(1);
    struct sn_epochs epochs;
    unsigned drawn[3] = {0}, met[TRAIN] = {0};
    assert_int_equal(
        sn_epochs_init(&epochs, view, 5, BATCH, resolutions, 3, NULL), SN_OK);
    uint64_t per = sn_epochs_steps(&epochs);
    assert_int_equal(per, (TRAIN - HOLDOUT) / BATCH);
    for (uint64_t step = 0; step < 300; step++) {
        struct sn_batch b;
        sn_epochs_find(&epochs, step, &s.augment, &b);
        assert_int_equal(s.augment.epoch, step / per);
        assert_true(b.augment == &s.augment && b.n == BATCH);
        for (int i = 0; i < 3; i++)
            drawn[i] += b.resolution == resolutions[i];
        if (step % per == 0)
            memset(met, 0, sizeof met);
        for (uint32_t i = 0; i < BATCH; i++)
            assert_int_equal(met[b.index[i]]++, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(drawn[i], 70, 130);
    sn_epochs_close(&epochs);
    (void)state;
}

static void a_lost_image_is_named(void **state)
{
    struct sn_prefetch *p;
    struct sn_ready ready;
    struct sn_error err = {0};
    char name[32], path[128], away[140];
    enum sn_err rc = SN_OK;
    snprintf(name, sizeof name, "train-%u.jpg",
             sn_view_image(view, SN_SPLIT_TRAIN, 5));
    snprintf(path, sizeof path, "%s/%s", photos.dir, name);
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    p = prefetch_of(2);
    uint64_t step = 0;
    for (; step < 12 && rc == SN_OK; step++)
        rc = sn_prefetch_take(p, step, &ready, &err);
    assert_int_equal(rc, SN_ERR_NOTFOUND);
    assert_non_null(strstr(err.message, name));
    /* it is the same when asked again, and the others are still there */
    assert_int_equal(sn_prefetch_take(p, step - 1, &ready, &err),
                     SN_ERR_NOTFOUND);
    sn_prefetch_free(p);
    assert_int_equal(rename(away, path), 0);
    (void)state;
}

static void closing_ends(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct sn_prefetch *p = prefetch_of(1 + i % 4);
        struct sn_ready ready;
        if (i % 3 > 0)
            assert_int_equal(sn_prefetch_take(p, (uint64_t)i, &ready, NULL),
                             SN_OK);
        sn_prefetch_free(p);
    }
    sn_prefetch_free(NULL);
    (void)state;
}

static void limits(void **state)
{
    struct sn_prefetch *p;
    struct sn_prefetch_settings s = settings_of(0);
    assert_int_equal(sn_prefetch_new(view, &s, &p, NULL), SN_ERR_RANGE);
    s.threads = SN_PREFETCH_MAX_THREADS + 1;
    assert_int_equal(sn_prefetch_new(view, &s, &p, NULL), SN_ERR_RANGE);
    /* four slots of small batches; two of those that fill the bound */
    assert_true(sn_prefetch_bytes(&s, 3) ==
                4 * BATCH * ((double)floats + sizeof(uint32_t)));
    s.batch_size = 65536;
    assert_true(sn_prefetch_bytes(&s, 3) ==
                2 * 65536.0 * ((double)floats + sizeof(uint32_t)));
    (void)state;
}

static int open_photos(void **state)
{
    sn_photos_init(&photos, TRAIN, 1, 3);
    assert_int_equal(sn_view_new(photos.data, 5, HOLDOUT, 0, &view, NULL),
                     SN_OK);
    (void)state;
    return 0;
}

static int close_photos(void **state)
{
    sn_view_free(view);
    sn_photos_close(&photos);
    (void)state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_a_function),
        cmocka_unit_test(epochs_cover_all),
        cmocka_unit_test(a_lost_image_is_named),
        cmocka_unit_test(closing_ends),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, open_photos, close_photos);
}
