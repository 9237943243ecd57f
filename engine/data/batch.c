/* Batches: from a data set's pixels to normalised planes.
 *
 *   in memory, small    [pad crop, resize, jitter] -+
 *   in memory, large    crop, resize, [jitter] -----+-> mirror, normalise, cut
 *   encoded             read, decode, crop, --------+
 *                       resize, [jitter]
 *                       `-- 8 bits, the costly part    `-- f32, cheap
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/augment.h"
#include "engine/data/image.h"
#include "engine/data/view.h"

struct sn_view_room {
    struct sn_item_bytes encoded;
    struct sn_resize_room resize;
    uint8_t *pixels; /* of one image */
    size_t n_pixels;
    uint8_t *moved; /* of one image of the data set, cropped after padding */
    size_t n_moved;
};

enum sn_err sn_view_room_new(struct sn_view_room **ret, struct sn_error *err)
{
    struct sn_view_room *room = calloc(1, sizeof *room);
    if (room == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for images");
    *ret = room;
    return SN_OK;
}

void sn_view_room_free(struct sn_view_room *room)
{
    if (room == NULL)
        return;
    free(room->encoded.bytes);
    sn_resize_room_close(&room->resize);
    free(room->pixels);
    free(room->moved);
    free(room);
}

static enum sn_err at_least(uint8_t **at, size_t *have, size_t n,
                            struct sn_error *err)
{
    if (*have >= n)
        return SN_OK;
    uint8_t *grown = realloc(*at, n);
    if (grown == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for an image");
    *at = grown;
    *have = n;
    return SN_OK;
}

/* ---- planes: mirrored, moved, normalised ---- */

/* An image [side][side][channels] whose output pixel (y, x) comes from
 * (y + dy, x + dx), mirrored first when flip; outside of it is 0. */
struct move {
    int dy, dx;
    bool flip;
};

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

static struct rows rows_of(const struct sn_dataset *data, int width, int c,
                           struct move m)
{
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

static void put_image(const struct sn_dataset *data, int height, int width,
                      const uint8_t *pixels, struct move m, float *dst)
{
    int channels = data->info.channels;
    for (int c = 0; c < channels; c++) {
        struct rows r = rows_of(data, width, c, m);
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

/* ---- 8-bit pixels ---- */

static const struct sn_images *images_of(const struct sn_dataset *data,
                                         enum sn_split split)
{
    return split == SN_SPLIT_TEST ? &data->test : &data->train;
}

static struct sn_pixels stored(const struct sn_dataset *data,
                               enum sn_split split, uint32_t image)
{
    const struct sn_dataset_info *info = &data->info;
    size_t stride = (size_t)info->width * (size_t)info->channels;
    size_t bytes = stride * (size_t)info->height;
    return (struct sn_pixels){images_of(data, split)->pixels + image * bytes,
                              info->width, info->height, info->channels,
                              stride};
}

/* The crop after padding, in 8 bits: what comes in from outside has the mean's
 * level. Replaces *src by it. */
static enum sn_err move_pixels(const struct sn_dataset *data,
                               const struct sn_draw *d,
                               struct sn_view_room *room, struct sn_pixels *src,
                               struct sn_error *err)
{
    int ch = src->channels;
    size_t bytes = src->stride * (size_t)src->height;
    if (d->dy == 0 && d->dx == 0)
        return SN_OK;
    enum sn_err rc = at_least(&room->moved, &room->n_moved, bytes, err);
    if (rc != SN_OK)
        return rc;
    for (int y = 0; y < src->height; y++) {
        uint8_t *row = room->moved + (size_t)y * src->stride;
        const uint8_t *from =
            src->at + (ptrdiff_t)(y + d->dy) * (ptrdiff_t)src->stride;
        bool row_inside = y + d->dy >= 0 && y + d->dy < src->height;
        for (int x = 0; x < src->width; x++) {
            bool inside =
                row_inside && x + d->dx >= 0 && x + d->dx < src->width;
            for (int c = 0; c < ch; c++)
                row[x * ch + c] =
                    inside ? from[(x + d->dx) * ch + c]
                           : (uint8_t)(255 * data->info.mean[c] + 0.5f);
        }
    }
    src->at = room->moved;
    return SN_OK;
}

/* What of the image becomes the window of which result. */
static void geometry(const struct sn_view *view, const struct sn_batch *batch,
                     const struct sn_draw *d, struct sn_pixels *src,
                     struct sn_resize *ret)
{
    int r = batch->resolution;
    *ret = (struct sn_resize){view->filter, r, r, 0, 0, r, r};
    if (view->crop == SN_CROP_PAD)
        return;
    if (batch->augment != NULL && batch->augment->on) {
        struct sn_box b = sn_draw_crop(d, src->width, src->height);
        *src = sn_pixels_crop(src, b.x, b.y, b.width, b.height);
        return;
    }
    struct sn_centre c = sn_centre_of(src->width, src->height, r);
    *ret = (struct sn_resize){view->filter, c.width, c.height, c.x, c.y, r, r};
}

/* A box of an image as large as `full`, in the image that came out smaller. */
static struct sn_box scaled_box(struct sn_box b,
                                const struct sn_image_size *full,
                                const struct sn_image *image)
{
    double sx = (double)image->width / full->width;
    double sy = (double)image->height / full->height;
    struct sn_box s = {(int)(b.x * sx + 0.5), (int)(b.y * sy + 0.5),
                       (int)(b.width * sx + 0.5), (int)(b.height * sy + 0.5)};
    s.width = s.width < 1 ? 1 : s.width;
    s.height = s.height < 1 ? 1 : s.height;
    if (s.x + s.width > image->width)
        s.x = image->width - s.width;
    if (s.y + s.height > image->height)
        s.y = image->height - s.height;
    return s;
}

/* How long the shorter side must be left, so that the box still has `r` pixels
 * each way: then a JPEG is decoded at 1/2, 1/4 or 1/8. */
static int least_side(struct sn_box b, const struct sn_image_size *full, int r)
{
    int side = full->width < full->height ? full->width : full->height;
    int of_box = b.width < b.height ? b.width : b.height;
    return (int)(((int64_t)side * r + of_box - 1) / of_box);
}

/* A training crop of an encoded image. Evaluations decode in full, as others'
 * do. */
static enum sn_err decode_crop(const struct sn_view *view,
                               const struct sn_batch *batch,
                               const struct sn_draw *d,
                               struct sn_view_room *room, uint8_t *ret,
                               struct sn_error *err)
{
    const struct sn_item_bytes *in = &room->encoded;
    struct sn_image_size full;
    struct sn_image image = {0};
    struct sn_box box = {0};
    struct sn_resize how;
    bool train = batch->augment != NULL && batch->augment->on;
    int least = 0;

    enum sn_err rc = sn_image_measure(in->bytes, in->n, 0, &full, err);
    if (rc != SN_OK)
        return rc;
    if (train) {
        box = sn_draw_crop(d, full.width, full.height);
        least = least_side(box, &full, batch->resolution);
    }
    rc = sn_image_decode(in->bytes, in->n, view->data->info.channels, 0, least,
                         &image, err);
    if (rc != SN_OK)
        return rc;
    struct sn_pixels src = {image.pixels, image.width, image.height,
                            image.channels,
                            (size_t)image.width * (size_t)image.channels};
    if (train) {
        int r = batch->resolution;
        box = scaled_box(box, &full, &image);
        src = sn_pixels_crop(&src, box.x, box.y, box.width, box.height);
        how = (struct sn_resize){view->filter, r, r, 0, 0, r, r};
    } else {
        geometry(view, batch, d, &src, &how);
    }
    rc = sn_resize(&src, &how, &room->resize, ret, err);
    sn_image_free(&image);
    return rc;
}

static const struct sn_item *item_of(const struct sn_dataset *data,
                                     enum sn_split split, uint32_t image)
{
    const struct sn_item_list *list =
        split == SN_SPLIT_TEST ? &data->items->test : &data->items->train;
    return &list->at[image];
}

static enum sn_err decode(const struct sn_view *view,
                          const struct sn_batch *batch, uint32_t image,
                          const struct sn_draw *d, struct sn_view_room *room,
                          uint8_t *ret, struct sn_error *err)
{
    const struct sn_items *items = view->data->items;
    const struct sn_item *item = item_of(view->data, batch->split, image);
    bool keep = view->cache != NULL && batch->augment == NULL;
    size_t n = sn_view_pixel_bytes(view, batch->resolution);
    struct sn_cache_key key = {image, (uint16_t)batch->resolution,
                               batch->split == SN_SPLIT_TEST};

    if (keep && sn_cache_get(view->cache, key, n, ret))
        return SN_OK;
    enum sn_err rc = sn_items_read(items, item, &room->encoded, err);
    if (rc != SN_OK)
        return rc;
    rc = decode_crop(view, batch, d, room, ret, err);
    if (rc != SN_OK)
        return sn_error_wrap(err, "%s", sn_items_name(items, item)), rc;
    if (keep)
        sn_cache_put(view->cache, key, n, ret);
    return SN_OK;
}

size_t sn_view_pixel_bytes(const struct sn_view *view, int resolution)
{
    return (size_t)view->data->info.channels * (size_t)resolution *
           (size_t)resolution;
}

enum sn_err sn_view_make_pixels(const struct sn_view *view,
                                const struct sn_batch *batch, uint32_t i,
                                struct sn_view_room *room, uint8_t *ret,
                                struct sn_error *err)
{
    const struct sn_dataset *data = view->data;
    uint32_t image = sn_view_image(view, batch->split, batch->index[i]);
    struct sn_draw d = sn_draw_make(batch->augment, view->crop, image);
    enum sn_err rc;

    if (data->info.variable) {
        rc = decode(view, batch, image, &d, room, ret, err);
    } else {
        struct sn_pixels src = stored(data, batch->split, image);
        struct sn_resize how;
        rc = move_pixels(data, &d, room, &src, err);
        if (rc != SN_OK)
            return rc;
        geometry(view, batch, &d, &src, &how);
        rc = sn_resize(&src, &how, &room->resize, ret, err);
    }
    if (rc == SN_OK && data->info.channels == 3 && sn_draw_jitters(&d))
        sn_draw_jitter(&d, ret,
                       (size_t)batch->resolution * (size_t)batch->resolution);
    return rc;
}

/* ---- batches ---- */

static int32_t label_of(const struct sn_view *view, enum sn_split split,
                        uint32_t image)
{
    const struct sn_dataset *data = view->data;
    if (data->info.variable)
        return item_of(data, split, image)->label;
    return images_of(data, split)->labels[image];
}

static void finish_one(const struct sn_view *view, const struct sn_batch *batch,
                       const uint8_t *pixels, struct move m,
                       const struct sn_draw *d, float *ret)
{
    int r = batch->resolution;
    put_image(view->data, r, r, pixels, m, ret);
    if (batch->augment != NULL && batch->augment->on &&
        batch->augment->cutout > 0)
        sn_draw_cut(d, batch->augment->cutout, view->data->info.channels, r,
                    ret);
}

void sn_view_finish(const struct sn_view *view, const struct sn_batch *batch,
                    uint32_t first, uint32_t n, const uint8_t *pixels,
                    float *ret_images, int32_t *ret_labels)
{
    size_t size = sn_view_pixel_bytes(view, batch->resolution);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t image =
            sn_view_image(view, batch->split, batch->index[first + i]);
        struct sn_draw d = sn_draw_make(batch->augment, view->crop, image);
        finish_one(view, batch, pixels + i * size, (struct move){0, 0, d.flip},
                   &d, ret_images + i * size);
        ret_labels[i] = label_of(view, batch->split, image);
    }
}

/* Small images as they are stored: moved while they are normalised. */
static bool is_plain(const struct sn_view *view, const struct sn_batch *batch)
{
    const struct sn_dataset_info *info = &view->data->info;
    const struct sn_augment *aug = batch->augment;
    bool jitter = aug != NULL && aug->on && info->channels == 3 &&
                  (aug->brightness > 0 || aug->saturation > 0);
    return !info->variable && view->crop == SN_CROP_PAD && !jitter &&
           info->height == batch->resolution && info->width == info->height;
}

static void take_plain(const struct sn_view *view, const struct sn_batch *batch,
                       uint32_t i, float *ret)
{
    uint32_t image = sn_view_image(view, batch->split, batch->index[i]);
    struct sn_draw d = sn_draw_make(batch->augment, view->crop, image);
    finish_one(view, batch, stored(view->data, batch->split, image).at,
               (struct move){d.dy, d.dx, d.flip}, &d, ret);
}

enum sn_err sn_view_batch(const struct sn_view *view,
                          const struct sn_batch *batch,
                          struct sn_view_room *room, float *ret_images,
                          int32_t *ret_labels, struct sn_error *err)
{
    size_t size = sn_view_pixel_bytes(view, batch->resolution);
    bool plain = is_plain(view, batch);
    enum sn_err rc = SN_OK;
    if (!plain)
        rc = at_least(&room->pixels, &room->n_pixels, size, err);
    for (uint32_t i = 0; i < batch->n && rc == SN_OK; i++) {
        float *to = ret_images + i * size;
        if (plain) {
            take_plain(view, batch, i, to);
            ret_labels[i] =
                label_of(view, batch->split,
                         sn_view_image(view, batch->split, batch->index[i]));
            continue;
        }
        rc = sn_view_make_pixels(view, batch, i, room, room->pixels, err);
        if (rc == SN_OK)
            sn_view_finish(view, batch, i, 1, room->pixels, to, ret_labels + i);
    }
    return rc;
}
