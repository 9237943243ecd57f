/* What the lists of image formats have in common: names, the split, order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/data/format.h"
#include "engine/rng.h"

bool sn_format_is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0];
         i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static int by_name(const void *a, const void *b, void *names)
{
    const struct sn_item *x = a, *y = b;
    return strcmp((const char *)names + x->name, (const char *)names + y->name);
}

static void sort(struct sn_items *items, struct sn_item_list *list)
{
    if (list->n > 1)
        qsort_r(list->at, list->n, sizeof *list->at, by_name, items->names);
}

/* Marks each class's test images in `is_test`; `order` has room for all. */
static void draw(const struct sn_dataset_options *options,
                 const struct sn_item_list *all, uint32_t classes,
                 uint32_t *order, bool *is_test)
{
    uint32_t end[SN_MAX_CLASSES + 1] = {0}; /* of each class's part of order */
    for (uint32_t i = 0; i < all->n; i++)
        end[all->at[i].label + 1]++;
    for (uint32_t c = 1; c <= classes; c++)
        end[c] += end[c - 1];
    for (uint32_t i = 0; i < all->n; i++) /* end[c] goes from begin to end */
        order[end[all->at[i].label]++] = i;
    for (uint32_t c = 0, begin = 0; c < classes; begin = end[c++]) {
        uint32_t n = end[c] - begin;
        struct sn_rng rng =
            sn_rng_make(options->split_seed, SN_STREAM_TEST_SPLIT, c);
        sn_rng_shuffle(&rng, order + begin, n);
        uint32_t take = (uint32_t)llround(options->test_share * n);
        if (take == 0 && n > 1)
            take = 1;
        if (take >= n)
            take = n > 0 ? n - 1 : 0;
        for (uint32_t i = 0; i < take; i++)
            is_test[order[begin + i]] = true;
    }
}

enum sn_err sn_format_split(const struct sn_dataset_options *options,
                            struct sn_dataset *data, struct sn_error *err)
{
    struct sn_item_list *train = &data->items->train;
    uint32_t *order = calloc((size_t)train->n + 1, sizeof *order);
    bool *is_test = calloc((size_t)train->n + 1, sizeof *is_test);
    enum sn_err rc = SN_OK;
    uint32_t n = 0;
    if (data->classes.n > SN_MAX_CLASSES)
        rc = sn_error_set(err, SN_ERR_TOOLARGE, "has over %d classes",
                          SN_MAX_CLASSES);
    else if (order == NULL || is_test == NULL)
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory to split images");
    else {
        sort(data->items, train); /* the draw is of a known order */
        draw(options, train, data->classes.n, order, is_test);
        for (uint32_t i = 0; rc == SN_OK && i < train->n; i++) {
            if (is_test[i])
                rc = sn_items_add(&data->items->test, &train->at[i], err);
            else
                train->at[n++] = train->at[i];
        }
        train->n = n;
    }
    free(is_test);
    free(order);
    return rc;
}

enum sn_err sn_format_finish_list(const char *dir, struct sn_dataset *data,
                                  struct sn_error *err)
{
    const struct sn_item_list *train = &data->items->train;
    uint32_t classes = data->classes.n;
    if (classes < 2)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: has %u classes, at least 2 are needed", dir,
                            classes);
    if (classes > SN_MAX_CLASSES)
        return sn_error_set(err, SN_ERR_TOOLARGE, "%s: has over %d classes",
                            dir, SN_MAX_CLASSES);
    bool has[SN_MAX_CLASSES] = {false};
    for (uint32_t i = 0; i < train->n; i++)
        has[train->at[i].label] = true;
    for (uint32_t c = 0; c < classes; c++)
        if (!has[c])
            return sn_error_set(err, SN_ERR_INVALID,
                                "%s: class %s has no training images", dir,
                                data->classes.at[c]);
    if (data->items->test.n == 0)
        return sn_error_set(err, SN_ERR_INVALID, "%s: has no test images", dir);
    data->info.classes = (int)classes;
    sort(data->items, &data->items->train);
    sort(data->items, &data->items->test);
    return SN_OK;
}
