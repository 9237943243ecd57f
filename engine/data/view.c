/* Views: the split into training, hold-out and test images, and batches. */
#include "engine/data/dataset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/rng.h"

struct sn_view {
    const struct sn_dataset *data;
    uint32_t *order; /* of all training images: hold-out first, then training */
    uint32_t holdout, train;
};

enum sn_err sn_view_new(const struct sn_dataset *data, uint64_t seed,
                        uint32_t holdout, uint32_t train_limit,
                        struct sn_view **ret, struct sn_error *err)
{
    uint32_t n = data->train.n;
    if (holdout >= n)
        return sn_error_set(err, SN_ERR_RANGE,
                            "a hold-out of %" PRIu32 " leaves none of %" PRIu32
                            " images to train on",
                            holdout, n);
    struct sn_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a view");
    view->order = malloc(n * sizeof *view->order);
    if (view->order == NULL) {
        sn_view_free(view);
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a view");
    }
    for (uint32_t i = 0; i < n; i++)
        view->order[i] = i;
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_SPLIT, 0);
    sn_rng_shuffle(&rng, view->order, n);
    view->data = data;
    view->holdout = holdout;
    view->train = n - holdout;
    if (train_limit > 0 && train_limit < view->train)
        view->train = train_limit;
    *ret = view;
    return SN_OK;
}

void sn_view_free(struct sn_view *view)
{
    if (view == NULL)
        return;
    free(view->order);
    free(view);
}

uint32_t sn_view_count(const struct sn_view *view, enum sn_split split)
{
    switch (split) {
    case SN_SPLIT_TRAIN:
        return view->train;
    case SN_SPLIT_HOLDOUT:
        return view->holdout;
    default:
        return view->data->test.n;
    }
}

void sn_view_epoch_order(const struct sn_view *view, uint64_t seed,
                         uint64_t epoch, uint32_t *ret)
{
    for (uint32_t i = 0; i < view->train; i++)
        ret[i] = i;
    struct sn_rng rng = sn_rng_make(seed, SN_STREAM_SHUFFLE, epoch);
    sn_rng_shuffle(&rng, ret, view->train);
}

/* The number of an image in the data set, from its number in the split. */
static uint32_t image_of(const struct sn_view *view, enum sn_split split,
                         uint32_t index)
{
    assert(index < sn_view_count(view, split));
    if (split == SN_SPLIT_TRAIN)
        return view->order[view->holdout + index];
    return split == SN_SPLIT_HOLDOUT ? view->order[index] : index;
}

/* Where an output pixel comes from: (y, x) <- (y + dy, x + dx) of the image,
 * mirrored first when flip; outside of it is 0. */
struct move {
    int dy, dx;
    bool flip;
};

static struct move draw_move(const struct sn_augment *aug, uint32_t image)
{
    if (aug == NULL || !aug->on)
        return (struct move){0, 0, false};
    struct sn_rng rng =
        sn_rng_make(aug->seed, SN_STREAM_AUGMENT, (aug->epoch << 32) + image);
    uint32_t span = 2 * (uint32_t)aug->pad + 1;
    struct move m;
    m.dy = (int)sn_rng_below(&rng, span) - aug->pad;
    m.dx = (int)sn_rng_below(&rng, span) - aug->pad;
    m.flip = sn_rng_below(&rng, 2) == 1 && aug->flip;
    return m;
}

/* n values of grey images, a vectorised loop. Not inlined, where the compiler
 * would forget that the two do not overlap. */
__attribute__((noinline)) static void
normalise_grey(const uint8_t *restrict src, int n, float scale, float shift,
               float *restrict dst)
{
    for (int x = 0; x < n; x++)
        dst[x] = (float)src[x] * scale + shift;
}

/* The same with `step` bytes from one value of a channel to the next. */
static void normalise_strided(const uint8_t *src, int step, int n, float scale,
                              float shift, float *dst)
{
    for (int x = 0; x < n; x++)
        dst[x] = (float)src[(ptrdiff_t)x * step] * scale + shift;
}

static void reverse(float *row, int n)
{
    for (int x = 0; x < n / 2; x++) {
        float t = row[x];
        row[x] = row[n - 1 - x];
        row[n - 1 - x] = t;
    }
}

static void clear(float *dst, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = 0;
}

/* What a channel's rows are made by: columns [from, from + n) of the output are
 * there, of the image mirrored or not. */
struct rows {
    int step, width, from, n;
    int first; /* the column of the image where they begin */
    bool flip;
    float scale, shift;
};

static struct rows rows_of(const struct sn_dataset *data, int c, struct move m)
{
    int width = data->info.width;
    struct rows r = {.step = data->info.channels,
                     .width = width,
                     .flip = m.flip,
                     .scale = data->scale[c],
                     .shift = data->shift[c]};
    int shift = m.dx < 0 ? -m.dx : m.dx;
    r.n = shift < width ? width - shift : 0;
    r.from = m.dx < 0 && r.n > 0 ? shift : 0;
    /* column x comes from x + dx, mirrored from width - 1 - (x + dx) */
    int last = width - 1 - (r.from + r.n - 1 + m.dx);
    r.first = m.flip ? last : r.from + m.dx;
    return r;
}

/* src: the row's first column. */
static void put_row(const uint8_t *src, const struct rows *r, float *dst)
{
    if (r->from > 0)
        clear(dst, r->from);
    src += (ptrdiff_t)r->first * r->step;
    float *to = dst + r->from;
    if (r->step == 1) {
        normalise_grey(src, r->n, r->scale, r->shift, to);
        if (r->flip)
            reverse(to, r->n);
    } else if (r->flip) {
        normalise_strided(src + (ptrdiff_t)(r->n - 1) * r->step, -r->step, r->n,
                          r->scale, r->shift, to);
    } else {
        normalise_strided(src, r->step, r->n, r->scale, r->shift, to);
    }
    if (r->from + r->n < r->width)
        clear(dst + r->from + r->n, r->width - r->from - r->n);
}

static void put_image(const struct sn_dataset *data, const uint8_t *pixels,
                      struct move m, float *dst)
{
    int height = data->info.height, width = data->info.width;
    int channels = data->info.channels;
    for (int c = 0; c < channels; c++) {
        struct rows r = rows_of(data, c, m);
        for (int y = 0; y < height; y++, dst += width) {
            int sy = y + m.dy;
            if (sy < 0 || sy >= height || r.n == 0)
                clear(dst, width);
            else
                put_row(pixels + (size_t)sy * (size_t)(width * channels) + c,
                        &r, dst);
        }
    }
}

void sn_view_batch(const struct sn_view *view, enum sn_split split,
                   const uint32_t *index, uint32_t n,
                   const struct sn_augment *aug, float *ret_images,
                   int32_t *ret_labels)
{
    const struct sn_dataset *data = view->data;
    const struct sn_images *images =
        split == SN_SPLIT_TEST ? &data->test : &data->train;
    size_t size = (size_t)data->info.channels * (size_t)data->info.height *
                  (size_t)data->info.width;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t image = image_of(view, split, index[i]);
        put_image(data, images->pixels + image * size, draw_move(aug, image),
                  ret_images + i * size);
        ret_labels[i] = images->labels[image];
    }
}
