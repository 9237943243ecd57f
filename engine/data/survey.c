#include "engine/data/survey.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/data/augment.h"
#include "engine/data/image.h"

/* How many training images mean and standard deviation are of, when not all
 * pixels are in memory anyway. */
enum { SAMPLE = 2000, MAX_THREADS = 8 };

/* What is found of one image. */
struct finding {
    bool damaged;
};

/* What a thread reads and resizes by, used again from one image to the next. */
struct room {
    struct sn_item_bytes bytes;
    struct sn_resize_room resize;
};

/* The sums of one image of the sample; each image counts the same, whatever
 * its size, as training takes crops of one size from all. */
struct moments {
    double mean[SN_MAX_IMAGE_CHANNELS], square[SN_MAX_IMAGE_CHANNELS];
};

struct survey {
    const struct sn_dataset_source *source;
    struct sn_dataset *data;
    struct sn_items *items;
    int channels, size;      /* size 0: images as they are */
    uint32_t n, n_train;     /* items: training, then test */
    uint32_t step;           /* every step-th training image is of the sample */
    struct finding *finding; /* [n] */
    struct moments *moments; /* [n_train / step + 1] */
    uint8_t *store;          /* [n][shape], or NULL: not kept decoded */
    struct sn_shape shape;   /* of every image so far, when kept */
    _Atomic uint32_t next;
    atomic_bool mixed; /* sizes differ: the store is of no use */
    atomic_bool ended; /* stopped, or failed with `error` */
    pthread_mutex_t lock;
    struct sn_error error;
};

static const struct sn_item *item_at(const struct survey *s, uint32_t i)
{
    return i < s->n_train ? &s->items->train.at[i]
                          : &s->items->test.at[i - s->n_train];
}

static size_t shape_bytes(const struct sn_shape *shape)
{
    return (size_t)shape->channels * (size_t)shape->width *
           (size_t)shape->height;
}

static void fail(struct survey *s, const struct sn_error *error)
{
    pthread_mutex_lock(&s->lock);
    if (!s->ended)
        s->error = *error;
    s->ended = true;
    pthread_mutex_unlock(&s->lock);
}

static void measure(const struct sn_image *image, struct moments *ret)
{
    size_t n = (size_t)image->width * (size_t)image->height;
    for (int c = 0; c < image->channels; c++) {
        uint64_t sum = 0, square = 0;
        const uint8_t *p = image->pixels + c;
        for (size_t i = 0; i < n; i++, p += image->channels) {
            sum += *p;
            square += (uint64_t)*p * *p;
        }
        ret->mean[c] = (double)sum / (255.0 * (double)n);
        ret->square[c] = (double)square / (255.0 * 255.0 * (double)n);
    }
}

/* Keeps what one image holds. */
static void take(struct survey *s, uint32_t i, const struct sn_image *image)
{
    if (image->width != s->shape.width || image->height != s->shape.height)
        s->mixed = true;
    else if (s->store != NULL)
        memcpy(s->store + (size_t)i * shape_bytes(&s->shape), image->pixels,
               shape_bytes(&s->shape));
    if (i < s->n_train && i % s->step == 0)
        measure(image, &s->moments[i / s->step]);
}

/* The middle of an image whose shorter side is brought to s->size, as images
 * are evaluated. Replaces it. */
static enum sn_err resize(const struct survey *s, struct room *room,
                          struct sn_image *image, struct sn_error *err)
{
    struct sn_centre c =
        sn_centre_fit(image->width, image->height, s->size, s->size);
    int longest = image->width > image->height ? image->width : image->height;
    if (longest > SN_RESIZE_MAX_SIDE || c.width > SN_RESIZE_MAX_SIDE ||
        c.height > SN_RESIZE_MAX_SIDE)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "is of %d x %d pixels, too long a strip to resize",
                            image->width, image->height);
    size_t row = (size_t)image->width * (size_t)image->channels;
    struct sn_pixels from = {image->pixels, image->width, image->height,
                             image->channels, row};
    struct sn_resize how = {
        SN_FILTER_BILINEAR, c.width, c.height, c.x, c.y, s->size, s->size};
    uint8_t *to = malloc(
        shape_bytes(&(struct sn_shape){image->channels, s->size, s->size}));
    if (to == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for an image");
    enum sn_err rc = sn_resize(&from, &how, &room->resize, to, err);
    if (rc != SN_OK) {
        free(to);
        return rc;
    }
    free(image->pixels);
    *image = (struct sn_image){s->size, s->size, image->channels, to};
    return SN_OK;
}

/* Damage is a finding; that there is no memory is an error. */
static enum sn_err look_at(struct survey *s, uint32_t i, struct room *room,
                           struct sn_image *ret_image, struct sn_error *err)
{
    const struct sn_item_bytes *in = &room->bytes;
    enum sn_err rc = sn_items_read(s->items, item_at(s, i), &room->bytes, err);
    if (rc != SN_OK)
        return rc;
    rc = sn_image_decode(in->bytes, in->n, s->channels, 0, 0, ret_image, err);
    if (rc == SN_OK && s->size > 0)
        rc = resize(s, room, ret_image, err);
    if (rc != SN_OK && rc != SN_ERR_NOMEM)
        s->finding[i].damaged = true;
    return rc;
}

static void close_room(struct room *room)
{
    free(room->bytes.bytes);
    sn_resize_room_close(&room->resize);
}

static void *run(void *arg)
{
    struct survey *s = arg;
    struct sn_dataset_watch *watch = s->source->watch;
    struct room room = {0};
    uint32_t i;
    while (!s->ended && (i = s->next++) < s->n) {
        struct sn_image image = {0};
        struct sn_error err = {0};
        enum sn_err rc = look_at(s, i, &room, &image, &err);
        if (rc == SN_OK)
            take(s, i, &image);
        else if (!s->finding[i].damaged)
            fail(s, &err);
        sn_image_free(&image);
        if (watch == NULL)
            continue;
        watch->done++;
        if (watch->stop) {
            sn_error_set(&err, SN_ERR_STOPPED, "stopped while it was read");
            fail(s, &err);
        }
    }
    close_room(&room);
    return NULL;
}

static void run_all(struct survey *s)
{
    pthread_t thread[MAX_THREADS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (int)cores;
    int started = 0;
    while (started < n - 1 && (uint32_t)started < s->n / 16 &&
           pthread_create(&thread[started], NULL, run, s) == 0)
        started++;
    run(s); /* fewer threads are only slower */
    while (started > 0)
        pthread_join(thread[--started], NULL);
}

/* Room for all images of s->shape, if they may have so much. */
static enum sn_err take_store(struct survey *s, struct sn_error *err)
{
    uint64_t most = s->size > 0 ? SN_DATASET_MAX_BYTES : SN_DATASET_MAX_DECODED;
    if (s->n > most / shape_bytes(&s->shape))
        return s->size == 0
                   ? SN_OK
                   : sn_error_at(err, SN_ERR_TOOLARGE, "/size",
                                 "%" PRIu32 " images of that size take over "
                                 "%" PRIu64 " MiB of memory",
                                 s->n, most >> 20);
    s->store = malloc(s->n * shape_bytes(&s->shape));
    return s->store != NULL ? SN_OK
                            : sn_error_set(err, SN_ERR_NOMEM,
                                           "no memory for decoded images");
}

/* The first image that can be decoded says what shape all must have to stay
 * decoded. */
static enum sn_err begin_store(struct survey *s, struct sn_error *err)
{
    struct room room = {0};
    struct sn_image image = {0};
    struct sn_error why = {0}; /* of a damaged one, which is no failure */
    enum sn_err rc = SN_ERR_CORRUPT;
    for (uint32_t i = 0; i < s->n && rc != SN_OK; i++) {
        rc = look_at(s, i, &room, &image, &why);
        if (rc != SN_OK && !s->finding[i].damaged)
            break;
    }
    close_room(&room);
    if (rc != SN_OK && s->finding[s->n - 1].damaged)
        return SN_OK; /* none at all: told by the count of damaged ones */
    if (rc != SN_OK)
        return sn_error_set(err, rc, "%s", why.message);
    s->shape = (struct sn_shape){s->channels, image.height, image.width};
    sn_image_free(&image);
    return take_store(s, err);
}

/* ---- what is damaged ---- */

static enum sn_err name_damaged(struct survey *s, struct sn_error *err)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->finding[i].damaged)
            continue;
        enum sn_err rc = sn_names_add(
            &s->data->corrupt, sn_items_name(s->items, item_at(s, i)), err);
        if (rc != SN_OK)
            return rc;
    }
    sn_names_sort(&s->data->corrupt);
    s->data->info.corrupt = s->data->corrupt.n;
    return SN_OK;
}

/* Why the first damaged image is: it is decoded once more for its message. */
static void explain(struct survey *s, struct sn_error *ret)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct room room = {0};
        struct sn_image image = {0};
        if (!s->finding[i].damaged)
            continue;
        look_at(s, i, &room, &image, ret);
        sn_image_free(&image);
        close_room(&room);
        return;
    }
}

static enum sn_err check_damaged(struct survey *s, struct sn_error *err)
{
    const struct sn_names *corrupt = &s->data->corrupt;
    struct sn_error why = {0};
    char list[224] = "";
    size_t at = 0;
    uint32_t named = 0;
    if (corrupt->n == 0)
        return SN_OK;
    explain(s, &why);
    for (; named < corrupt->n && named < 20 && at < sizeof list; named++) {
        size_t n = strlen(corrupt->at[named]);
        if (at + n + 3 > sizeof list)
            break;
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               named > 0 ? ", " : "", corrupt->at[named]);
    }
    if (s->source->known != NULL)
        return sn_error_set(
            err, SN_ERR_CONFLICT,
            "%" PRIu32 " images that could be decoded when it "
            "was registered no longer can: %s (the first %.80s)",
            corrupt->n, list, why.message);
    if (corrupt->n <= s->source->options.corrupt_share * s->n)
        return SN_OK;
    return sn_error_set(err, SN_ERR_CORRUPT,
                        "%" PRIu32 " of %" PRIu32 " images cannot be decoded, "
                        "over the share of %g: %s%s (the first %.80s)",
                        corrupt->n, s->n, s->source->options.corrupt_share,
                        list, named < corrupt->n ? " ..." : "", why.message);
}

/* ---- what becomes of the sound ones ---- */

/* Leaves damaged items out of a list. */
static void drop(struct sn_item_list *list, const struct finding *finding)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < list->n; i++)
        if (!finding[i].damaged)
            list->at[n++] = list->at[i];
    list->n = n;
}

/* Moves the sound images of a split, from number `first` on, together at `to`.
 */
static void gather(const struct survey *s, uint32_t first, uint32_t n,
                   uint8_t *to)
{
    size_t bytes = shape_bytes(&s->shape);
    for (uint32_t i = first; i < first + n; i++) {
        if (s->finding[i].damaged)
            continue;
        if (to != s->store + i * bytes)
            memcpy(to, s->store + i * bytes, bytes);
        to += bytes;
    }
}

static enum sn_err take_labels(const struct sn_item_list *list,
                               struct sn_images *images, struct sn_error *err)
{
    images->n = list->n;
    images->labels = malloc(list->n * sizeof *images->labels);
    if (images->labels == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for labels");
    for (uint32_t i = 0; i < list->n; i++)
        images->labels[i] = (uint16_t)list->at[i].label;
    return SN_OK;
}

/* The store becomes the training images: they are most of it, and come first in
 * it, so that they move down within it at most. */
static enum sn_err take_splits(struct survey *s, struct sn_error *err)
{
    struct sn_images *train = &s->data->train, *test = &s->data->test;
    size_t bytes = shape_bytes(&s->shape);
    enum sn_err rc = take_labels(&s->items->train, train, err);
    if (rc == SN_OK)
        rc = take_labels(&s->items->test, test, err);
    if (rc != SN_OK)
        return rc;
    test->pixels = malloc(test->n * bytes);
    if (test->pixels == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for decoded images");
    gather(s, s->n_train, s->n - s->n_train, test->pixels);
    gather(s, 0, s->n_train, s->store);
    train->pixels = realloc(s->store, train->n * bytes);
    if (train->pixels == NULL) /* it only shrinks */
        train->pixels = s->store;
    s->store = NULL;
    return SN_OK;
}

static void sum_moments(struct survey *s)
{
    struct sn_dataset_info *info = &s->data->info;
    for (int c = 0; c < s->channels; c++) {
        double mean = 0, square = 0;
        uint32_t n = 0;
        for (uint32_t i = 0; i < s->n_train; i += s->step) {
            if (s->finding[i].damaged)
                continue;
            mean += s->moments[i / s->step].mean[c];
            square += s->moments[i / s->step].square[c];
            n++;
        }
        mean = n > 0 ? mean / n : 0.5;
        double variance = n > 0 ? square / n - mean * mean : 0.25;
        info->mean[c] = (float)mean;
        info->std[c] = variance > 1e-8 ? (float)sqrt(variance) : 1;
    }
}

static enum sn_err settle(struct survey *s, struct sn_error *err)
{
    struct sn_dataset *data = s->data;
    struct sn_dataset_info *info = &data->info;
    drop(&s->items->train, s->finding);
    drop(&s->items->test, s->finding + s->n_train);
    info->channels = s->channels;
    info->train = s->items->train.n;
    info->test = s->items->test.n;
    if (info->train == 0 || info->test == 0)
        return sn_error_set(err, SN_ERR_CORRUPT,
                            "no image of one of its splits can be decoded");
    info->variable = s->store == NULL || s->mixed;
    if (info->variable) {
        sum_moments(s);
        return SN_OK;
    }
    info->height = s->shape.height;
    info->width = s->shape.width;
    enum sn_err rc = take_splits(s, err);
    sn_items_free(data->items);
    data->items = NULL;
    return rc;
}

enum sn_err sn_survey(const struct sn_dataset_source *source,
                      struct sn_dataset *data, struct sn_error *err)
{
    struct survey s = {.source = source, .data = data, .items = data->items};
    s.channels = source->options.channels;
    s.size = source->options.size;
    s.n_train = data->items->train.n;
    s.n = s.n_train + data->items->test.n;
    s.step = (s.n_train + SAMPLE - 1) / SAMPLE;
    enum sn_err rc = SN_OK;
    pthread_mutex_init(&s.lock, NULL);
    s.finding = calloc(s.n, sizeof *s.finding);
    s.moments = calloc(s.n_train / s.step + 1, sizeof *s.moments);
    if (s.finding == NULL || s.moments == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to look at images");
    if (source->watch != NULL)
        source->watch->all = s.n;
    if (rc == SN_OK)
        rc = begin_store(&s, err);
    if (rc == SN_OK) {
        run_all(&s);
        rc = s.ended ? s.error.code : SN_OK;
        if (rc != SN_OK && err != NULL)
            *err = s.error;
    }
    if (rc == SN_OK)
        rc = name_damaged(&s, err);
    if (rc == SN_OK)
        rc = check_damaged(&s, err);
    if (rc == SN_OK)
        rc = settle(&s, err);
    free(s.store);
    free(s.moments);
    free(s.finding);
    pthread_mutex_destroy(&s.lock);
    return rc;
}
