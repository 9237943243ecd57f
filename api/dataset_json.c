#include "api/dataset_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/problem.h"
#include "api/query.h"

/* ---- options: one table ---- */

enum kind { WHOLE, SHARE, TEXT };

static const struct field {
    const char *name;
    enum kind kind;
    size_t offset;
} fields[] = {
#define AT(member) offsetof(struct sn_dataset_options, member)
    {"channels", WHOLE, AT(channels)},
    {"size", WHOLE, AT(size)},
    {"test_share", SHARE, AT(test_share)},
    {"split_seed", WHOLE, AT(split_seed)},
    {"corrupt_share", SHARE, AT(corrupt_share)},
    {"train", TEXT, AT(train)},
    {"test", TEXT, AT(test)},
#undef AT
};
enum { FIELDS = sizeof fields / sizeof fields[0], TEXT_ROOM = 256 };
static const double most_seed = 9007199254740992.0; /* 2^53 */

static void set_whole(struct sn_dataset_options *o, const struct field *f,
                      int64_t value)
{
    void *at = (char *)o + f->offset;
    if (f->offset == offsetof(struct sn_dataset_options, split_seed))
        *(uint64_t *)at = (uint64_t)value;
    else
        *(int *)at = (int)value;
}

static int64_t get_whole(const struct sn_dataset_options *o,
                         const struct field *f)
{
    const void *at = (const char *)o + f->offset;
    if (f->offset == offsetof(struct sn_dataset_options, split_seed))
        return (int64_t) * (const uint64_t *)at;
    return *(const int *)at;
}

/* Sets one option of a value's JSON; false when it is of another type. */
static bool set(struct sn_dataset_options *o, const struct field *f,
                const json_t *value)
{
    char *at = (char *)o + f->offset;
    switch (f->kind) {
    case WHOLE:
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (double)json_integer_value(value) > most_seed ||
            (f->offset != offsetof(struct sn_dataset_options, split_seed) &&
             json_integer_value(value) > 1000000))
            return false;
        set_whole(o, f, json_integer_value(value));
        return true;
    case SHARE:
        if (!json_is_number(value))
            return false;
        *(double *)(void *)at = json_number_value(value);
        return true;
    default:
        if (!json_is_string(value) || json_string_length(value) >= TEXT_ROOM)
            return false;
        strcpy(at, json_string_value(value));
        return true;
    }
}

static const char *const kind_text[] = {
    "must be a whole number from 0 on, and no larger than makes sense",
    "must be a number", "must be a text of at most 255 bytes"};

static void check(const struct sn_dataset_options *o, bool images,
                  bool in_query, struct sn_problem *problem)
{
    struct sn_error err = {0};
    if (problem->status != 0 ||
        sn_dataset_options_check(o, images, &err) == SN_OK)
        return;
    if (in_query)
        sn_problem_at_parameter(problem, err.pointer + 1, "%s", err.message);
    else
        sn_problem_at(problem, err.pointer, "%s", err.message);
}

/* NULL, or why a format does not take an option. */
static const char *why_not(const struct sn_dataset_format *format,
                           const struct field *f)
{
    if (format->images)
        return NULL;
    if (f->offset != offsetof(struct sn_dataset_options, channels))
        return "only formats of JPEG and PNG files take this";
    return format->channels ? NULL : "this format has colour images alone";
}

void sn_dataset_options_from_json(json_t *body,
                                  const struct sn_dataset_format *format,
                                  struct sn_dataset_options *ret,
                                  struct sn_problem *problem)
{
    *ret = sn_dataset_options_default(format->images);
    for (int i = 0; i < FIELDS; i++) {
        char pointer[32];
        json_t *value = json_object_get(body, fields[i].name);
        const char *why = why_not(format, &fields[i]);
        if (value == NULL)
            continue;
        snprintf(pointer, sizeof pointer, "/%s", fields[i].name);
        if (why != NULL)
            sn_problem_at(problem, pointer, "%s", why);
        else if (!set(ret, &fields[i], value))
            sn_problem_at(problem, pointer, "%s", kind_text[fields[i].kind]);
    }
    check(ret, format->images, false, problem);
}

void sn_dataset_options_from_query(const struct sn_query *query,
                                   const struct sn_dataset_format *format,
                                   struct sn_dataset_options *ret,
                                   struct sn_problem *problem)
{
    *ret = sn_dataset_options_default(format->images);
    for (int i = 0; i < FIELDS; i++) {
        const struct field *f = &fields[i];
        const char *text = sn_query_text(query, f->name, NULL);
        const char *why = why_not(format, f);
        char *at = (char *)ret + f->offset;
        if (text == NULL)
            continue;
        if (why != NULL)
            sn_problem_at_parameter(problem, f->name, "%s", why);
        else if (f->kind == WHOLE)
            set_whole(ret, f, sn_query_int(query, f->name, 0));
        else if (f->kind == SHARE)
            *(double *)(void *)at = sn_query_number(query, f->name, 0);
        else if (strlen(text) < TEXT_ROOM)
            strcpy(at, text);
    }
    check(ret, format->images, true, problem);
}

static void put_options(json_t *o, const struct sn_dataset_options *options)
{
    for (int i = 0; i < FIELDS; i++) {
        const struct field *f = &fields[i];
        const char *at = (const char *)options + f->offset;
        if (f->kind == WHOLE)
            sn_json_put(o, f->name, json_integer(get_whole(options, f)));
        else if (f->kind == SHARE)
            sn_json_put(o, f->name,
                        sn_json_number(*(const double *)(const void *)at));
        else if (at[0] != '\0')
            sn_json_put(o, f->name, sn_json_string(at));
    }
}

/* ---- what clients see ---- */

static json_t *numbers(const float *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        /* A float's own digits, not those of the double nearest to it. */
        char text[32];
        snprintf(text, sizeof text, "%.7g", (double)values[i]);
        json_array_append_new(list, sn_json_number(strtod(text, NULL)));
    }
    return list;
}

static json_t *texts(const char *const *at, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; at != NULL && i < n; i++)
        json_array_append_new(list, sn_json_string(at[i]));
    return list;
}

static void put_size(json_t *o, const char *name, int value)
{
    sn_json_put(o, name, value > 0 ? json_integer(value) : json_null());
}

static void put_info(json_t *o, const struct sn_dataset_view *d, bool whole)
{
    enum { NAMED = 20 };
    const struct sn_dataset_info *info = &d->info;
    sn_json_put(o, "channels", json_integer(info->channels));
    put_size(o, "height", info->height);
    put_size(o, "width", info->width);
    sn_json_put(o, "variable", json_boolean(info->variable));
    sn_json_put(o, "classes", json_integer(info->classes));
    sn_json_put(o, "train", json_integer(info->train));
    sn_json_put(o, "test", json_integer(info->test));
    sn_json_put(o, "checksum", sn_json_string(info->checksum));
    sn_json_put(o, "mean", numbers(info->mean, info->channels));
    sn_json_put(o, "std", numbers(info->std, info->channels));
    json_t *corrupt = json_object();
    sn_json_put(corrupt, "count", json_integer(info->corrupt));
    sn_json_put(
        corrupt, "names",
        texts(d->corrupt, info->corrupt < NAMED ? info->corrupt : NAMED));
    sn_json_put(o, "corrupt", corrupt);
    sn_json_put(o, "other_files", json_integer(info->other));
    if (whole && d->classes != NULL)
        sn_json_put(o, "class_names",
                    texts(d->classes, (uint32_t)info->classes));
}

json_t *sn_dataset_object(const struct sn_dataset_view *d, bool whole)
{
    static const char *const states[] = {"ready", "reading", "failed"};
    json_t *o = json_object(), *links = json_object();
    char url[96];
    sn_json_put(o, "name", sn_json_string(d->name));
    sn_json_put(o, "path", sn_json_string(d->path));
    sn_json_put(o, "format", sn_json_string(d->format));
    sn_json_put(o, "builtin", json_boolean(d->builtin));
    sn_json_put(o, "uploaded", json_boolean(d->uploaded));
    sn_json_put(o, "state", sn_json_string(states[d->state]));
    sn_json_put(o, "available", json_boolean(d->available));
    sn_json_put(o, "problem", sn_json_string(d->problem));
    if (d->images) {
        json_t *options = json_object();
        put_options(options, &d->options);
        sn_json_put(o, "options", options);
    }
    if (d->state == SN_DATASET_READING) {
        json_t *progress = json_object();
        sn_json_put(progress, "done", json_integer((json_int_t)d->done));
        sn_json_put(progress, "all",
                    d->all > 0 ? json_integer((json_int_t)d->all)
                               : json_null());
        sn_json_put(o, "progress", progress);
    }
    if (d->available)
        put_info(o, d, whole);
    snprintf(url, sizeof url, "/api/v1/datasets/%.63s", d->name);
    sn_json_put(links, "self", sn_json_string(url));
    sn_json_put(o, "links", links);
    return o;
}

/* ---- rows ---- */

char *sn_dataset_row_print(const struct sn_dataset_row *row)
{
    json_t *o = json_object();
    sn_json_put(o, "format", sn_json_string(row->format));
    if (row->uploaded)
        sn_json_put(o, "uploaded", json_true());
    json_t *options = json_object();
    put_options(options, &row->options);
    sn_json_put(o, "options", options);
    if (row->has_info) {
        const struct sn_dataset_info *info = &row->info;
        json_t *i = json_object(), *mean = json_array(), *std = json_array();
        for (int c = 0; c < info->channels; c++) {
            json_array_append_new(mean, sn_json_number(info->mean[c]));
            json_array_append_new(std, sn_json_number(info->std[c]));
        }
        sn_json_put(i, "channels", json_integer(info->channels));
        sn_json_put(i, "height", json_integer(info->height));
        sn_json_put(i, "width", json_integer(info->width));
        sn_json_put(i, "variable", json_boolean(info->variable));
        sn_json_put(i, "classes", json_integer(info->classes));
        sn_json_put(i, "train", json_integer(info->train));
        sn_json_put(i, "test", json_integer(info->test));
        sn_json_put(i, "checksum", sn_json_string(info->checksum));
        sn_json_put(i, "mean", mean);
        sn_json_put(i, "std", std);
        sn_json_put(i, "corrupt", texts(row->corrupt, info->corrupt));
        sn_json_put(o, "info", i);
    }
    char *text = sn_json_dump(o);
    json_decref(o);
    return text;
}

enum sn_err sn_texts_copy(const char *(*get)(const void *from, uint32_t i),
                          const void *from, uint32_t n, struct sn_texts *ret,
                          struct sn_error *err)
{
    size_t bytes = (size_t)n * sizeof(char *);
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(get(from, i)) + 1;
    char **at = malloc(bytes > 0 ? bytes : 1);
    if (at == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    char *to = (char *)(at + n);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = to;
        to = stpcpy(to, get(from, i)) + 1;
    }
    *ret = (struct sn_texts){at, n};
    return SN_OK;
}

static const char *get_text(const void *from, uint32_t i)
{
    const char *text =
        json_string_value(json_array_get((const json_t *)from, i));
    return text != NULL ? text : "";
}

static int whole(const json_t *o, const char *name)
{
    return (int)json_integer_value(json_object_get(o, name));
}

static void parse_info(const json_t *o, struct sn_dataset_row *ret,
                       struct sn_texts *ret_corrupt)
{
    struct sn_dataset_info *info = &ret->info;
    const json_t *corrupt = json_object_get(o, "corrupt");
    const char *checksum = json_string_value(json_object_get(o, "checksum"));
    info->channels = whole(o, "channels");
    info->height = whole(o, "height");
    info->width = whole(o, "width");
    info->variable = json_is_true(json_object_get(o, "variable"));
    info->classes = whole(o, "classes");
    info->train = (uint32_t)whole(o, "train");
    info->test = (uint32_t)whole(o, "test");
    if (checksum != NULL)
        snprintf(info->checksum, sizeof info->checksum, "%s", checksum);
    for (size_t c = 0; c < SN_MAX_IMAGE_CHANNELS; c++) {
        info->mean[c] = (float)json_number_value(
            json_array_get(json_object_get(o, "mean"), c));
        info->std[c] = (float)json_number_value(
            json_array_get(json_object_get(o, "std"), c));
    }
    ret->has_info =
        checksum != NULL && (info->channels == 1 || info->channels == 3) &&
        sn_texts_copy(get_text, corrupt, (uint32_t)json_array_size(corrupt),
                      ret_corrupt, NULL) == SN_OK;
    info->corrupt = ret_corrupt->n;
    ret->corrupt = (const char *const *)ret_corrupt->at;
}

void sn_dataset_row_parse(const char *body, struct sn_dataset_row *ret,
                          struct sn_texts *ret_corrupt)
{
    const struct sn_dataset_format *found = NULL;
    json_t *o = sn_json_stored(body);
    const char *format = json_string_value(json_object_get(o, "format"));
    json_t *options = json_object_get(o, "options");
    struct sn_error err;
    *ret = (struct sn_dataset_row){.format = "unknown"};
    *ret_corrupt = (struct sn_texts){NULL, 0};
    if (format != NULL && sn_dataset_format_find(format, &found, &err) == SN_OK)
        ret->format = found->name;
    ret->options = sn_dataset_options_default(found != NULL && found->images);
    ret->uploaded = json_is_true(json_object_get(o, "uploaded"));
    for (int i = 0; i < FIELDS; i++) {
        json_t *value = json_object_get(options, fields[i].name);
        if (value != NULL && found != NULL && found->images)
            set(&ret->options, &fields[i], value);
    }
    if (json_object_get(o, "info") != NULL)
        parse_info(json_object_get(o, "info"), ret, ret_corrupt);
    if (found != NULL && !found->images && ret->has_info)
        ret->options.channels = ret->info.channels; /* they came out so */
    json_decref(o);
}
