/* JSON: strict reading with the place of the fault, and our own writer. */
#include "api/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"

/* ---- where in a text ---- */

struct level {
    bool is_object, after_colon;
    unsigned index;    /* of an array's element */
    const char *key;   /* the last key seen, within the text */
    size_t key_length; /* as written, escapes and all */
};

/* The end of a string that starts after its quote; `end` if it is cut. */
static size_t skip_string(const char *text, size_t at, size_t end)
{
    while (at < end && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < end ? at : end;
}

static void write_pointer(const struct level *levels, unsigned depth,
                          char ret[SN_POINTER_MAX])
{
    char key[64], joined[SN_POINTER_MAX];
    ret[0] = '\0';
    for (unsigned i = 0; i < depth; i++) {
        if (!levels[i].is_object)
            snprintf(key, sizeof key, "%u", levels[i].index);
        else if (levels[i].key != NULL)
            snprintf(key, sizeof key, "%.*s",
                     (int)(levels[i].key_length < sizeof key - 1
                               ? levels[i].key_length
                               : sizeof key - 1),
                     levels[i].key);
        else
            break;
        sn_json_pointer_join(ret, key, joined);
        memcpy(ret, joined, sizeof joined);
    }
}

/* Walks the text up to `end`; stops early once it nests deeper than
 * SN_JSON_DEPTH and returns false. */
static bool walk(const char *text, size_t end, char ret[SN_POINTER_MAX])
{
    struct level levels[SN_JSON_DEPTH];
    unsigned depth = 0;
    bool fits = true;
    for (size_t at = 0; at < end && fits; at++) {
        struct level *top = depth > 0 ? &levels[depth - 1] : NULL;
        switch (text[at]) {
        case '{':
        case '[':
            fits = depth < SN_JSON_DEPTH;
            if (fits)
                levels[depth++] = (struct level){.is_object = text[at] == '{'};
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            break;
        case ':':
            if (top != NULL)
                top->after_colon = true;
            break;
        case ',':
            if (top != NULL) {
                top->after_colon = false;
                top->index++;
            }
            break;
        case '"': {
            size_t close = skip_string(text, at + 1, end);
            if (top != NULL && top->is_object && !top->after_colon) {
                top->key = text + at + 1;
                top->key_length = close - at - 1;
            }
            at = close;
            break;
        }
        default:
            break;
        }
    }
    write_pointer(levels, depth, ret);
    return fits;
}

void sn_json_pointer_at(const char *text, size_t offset,
                        char ret[SN_POINTER_MAX])
{
    walk(text, offset, ret);
}

void sn_json_pointer_join(const char *prefix, const char *key,
                          char ret[SN_POINTER_MAX])
{
    size_t n = (size_t)snprintf(ret, SN_POINTER_MAX, "%s/", prefix);
    for (; *key != '\0' && n < SN_POINTER_MAX - 3; key++) {
        if (*key == '~' || *key == '/') {
            ret[n++] = '~';
            ret[n++] = *key == '~' ? '0' : '1';
        } else {
            ret[n++] = *key;
        }
    }
    ret[n < SN_POINTER_MAX ? n : SN_POINTER_MAX - 1] = '\0';
}

/* ---- reading ---- */

json_t *sn_json_load(const char *text, size_t size, struct sn_problem *problem)
{
    char pointer[SN_POINTER_MAX];
    json_error_t error;
    if (size == 0) {
        sn_problem_at(problem, "", "the body is empty; it must be JSON");
        return NULL;
    }
    if (!walk(text, size, pointer)) {
        sn_problem_set(problem, 400, "the body is nested deeper than %d levels",
                       SN_JSON_DEPTH);
        sn_problem_at(problem, pointer, "nested too deep");
        return NULL;
    }
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (value != NULL)
        return value;
    size_t at = error.position > 0 ? (size_t)error.position : 0;
    sn_json_pointer_at(text, at < size ? at : size, pointer);
    sn_problem_set(problem, 400, "the body is no valid JSON: line %d: %s",
                   error.line, error.text);
    sn_problem_at(problem, pointer, "%s", error.text);
    return NULL;
}

void sn_json_check_members(json_t *object, const char *prefix,
                           const char *const *names, struct sn_problem *problem)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], key) != 0)
            i++;
        if (names[i] == NULL) {
            char pointer[SN_POINTER_MAX];
            sn_json_pointer_join(prefix, key, pointer);
            sn_problem_at(problem, pointer, "there is no such field");
        }
    }
}

const char *sn_json_get_string(json_t *object, const char *prefix,
                               const char *name, bool required, size_t max,
                               struct sn_problem *problem)
{
    char pointer[SN_POINTER_MAX];
    const json_t *value = json_object_get(object, name);
    sn_json_pointer_join(prefix, name, pointer);
    if (value == NULL) {
        if (required)
            sn_problem_at(problem, pointer, "is required");
        return NULL;
    }
    if (!json_is_string(value)) {
        sn_problem_at(problem, pointer, "must be a string");
        return NULL;
    }
    if (json_string_length(value) > max || json_string_length(value) == 0) {
        sn_problem_at(problem, pointer, "must have 1 to %zu bytes", max);
        return NULL;
    }
    return json_string_value(value);
}

/* ---- making ---- */

json_t *sn_json_number(double value)
{
    if (!isfinite(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 9007199254740992.0)
        return json_integer((json_int_t)value);
    return json_real(value);
}

json_t *sn_json_string(const char *text)
{
    if (text == NULL)
        return json_null();
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *clean = strdup(text);
    if (clean == NULL)
        return NULL;
    for (char *at = clean; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    value = json_string(clean);
    free(clean);
    return value;
}

json_t *sn_json_stored(const char *text)
{
    json_t *value = NULL;
    if (text != NULL && text[0] != '\0')
        value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value != NULL ? value : json_null();
}

void sn_json_put(json_t *object, const char *key, json_t *value)
{
    if (value != NULL)
        json_object_set_new(object, key, value);
}

/* ---- writing ---- */

struct out {
    char *text;
    size_t size, room;
    bool failed;
};

static void put(struct out *o, const char *bytes, size_t n)
{
    if (o->failed)
        return;
    if (o->size + n + 1 > o->room) {
        size_t room = (o->size + n + 1) * 2 + 128;
        char *grown = realloc(o->text, room);
        if (grown == NULL) {
            o->failed = true;
            return;
        }
        o->text = grown;
        o->room = room;
    }
    memcpy(o->text + o->size, bytes, n);
    o->size += n;
}

static void put_text(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

static void put_escape(struct out *o, unsigned char c)
{
    char escape[8];
    if (c == '\n')
        snprintf(escape, sizeof escape, "\\n");
    else if (c == '"' || c == '\\')
        snprintf(escape, sizeof escape, "\\%c", c);
    else
        snprintf(escape, sizeof escape, "\\u%04x", c);
    put_text(o, escape);
}

static void put_string(struct out *o, const char *text, size_t n)
{
    size_t plain = 0; /* from here on nothing was put yet */
    put(o, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c != '"' && c != '\\' && c >= 0x20 && c != 0x7f)
            continue;
        put(o, text + plain, i - plain);
        put_escape(o, c);
        plain = i + 1;
    }
    put(o, text + plain, n - plain);
    put(o, "\"", 1);
}

/* The fewest digits that read back as the same double. The C locale's point
 * is expected; the program never calls setlocale. */
static void put_real(struct out *o, double value)
{
    char text[40];
    if (!isfinite(value)) {
        put(o, "null", 4);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put_text(o, text);
}

static void put_value(struct out *o, json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: {
        const char *key, *separator = "{";
        bool empty = true;
        json_t *member;
        json_object_foreach(value, key, member)
        {
            put(o, separator, 1);
            put_string(o, key, strlen(key));
            put(o, ":", 1);
            put_value(o, member);
            separator = ",";
            empty = false;
        }
        put_text(o, empty ? "{}" : "}");
        break;
    }
    case JSON_ARRAY:
        put(o, "[", 1);
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i > 0)
                put(o, ",", 1);
            put_value(o, json_array_get(value, i));
        }
        put(o, "]", 1);
        break;
    case JSON_STRING:
        put_string(o, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER: {
        char text[32];
        snprintf(text, sizeof text, "%lld",
                 (long long)json_integer_value(value));
        put_text(o, text);
        break;
    }
    case JSON_REAL:
        put_real(o, json_real_value(value));
        break;
    case JSON_TRUE:
        put(o, "true", 4);
        break;
    case JSON_FALSE:
        put(o, "false", 5);
        break;
    case JSON_NULL:
        put(o, "null", 4);
        break;
    }
}

char *sn_json_dump(json_t *value)
{
    struct out o = {0};
    if (value == NULL)
        return NULL;
    put_value(&o, value);
    if (o.failed) {
        free(o.text);
        return NULL;
    }
    o.text[o.size] = '\0';
    return o.text;
}
