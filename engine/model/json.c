#include "engine/model/json.h"

#include <string.h>

void sn_st_json_init(struct sn_json *json, const void *bytes, size_t size)
{
    *json = (struct sn_json){.bytes = bytes, .size = size};
}

bool sn_st_json_fail(struct sn_json *json, const char *fault)
{
    if (!json->fault)
        json->fault = fault;
    return false;
}

unsigned char sn_st_json_peek(struct sn_json *json)
{
    while (json->at < json->size) {
        unsigned char c = json->bytes[json->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return c;
        json->at++;
    }
    return 0;
}

bool sn_st_json_take(struct sn_json *json, char c)
{
    if (json->fault)
        return false;
    if (sn_st_json_peek(json) != (unsigned char)c || json->at >= json->size)
        return sn_st_json_fail(json, "unexpected character");
    json->at++;
    return true;
}

bool sn_st_json_more(struct sn_json *json, char end)
{
    if (json->fault)
        return false;
    if (sn_st_json_peek(json) == ',')
        return sn_st_json_take(json, ',');
    sn_st_json_take(json, end);
    return false;
}

bool sn_st_json_whole(struct sn_json *json, int64_t *ret)
{
    if (json->fault)
        return false;
    unsigned char first = sn_st_json_peek(json);
    if (first < '0' || first > '9')
        return sn_st_json_fail(json, "a whole number is expected");
    int64_t value = 0;
    size_t start = json->at;
    while (json->at < json->size && json->bytes[json->at] >= '0' &&
           json->bytes[json->at] <= '9') {
        int digit = json->bytes[json->at++] - '0';
        if (value > (INT64_MAX - digit) / 10)
            return sn_st_json_fail(json, "a number is too large");
        value = value * 10 + digit;
    }
    if (first == '0' && json->at - start > 1)
        return sn_st_json_fail(json, "a number starts with 0");
    *ret = value;
    return true;
}

/* ---- strings ---- */

/* Bytes of the UTF-8 sequence at s (of n bytes), 0 if it is not one. Refuses
 * overlong forms, surrogates and what is over U+10FFFF. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } form[] = {{0x80, 0x00, 0},
                {0xe0, 0xc0, 0x80},
                {0xf0, 0xe0, 0x800},
                {0xf8, 0xf0, 0x10000}};
    for (size_t len = 1; len <= 4 && len <= n; len++) {
        if ((s[0] & form[len - 1].mask) != form[len - 1].lead)
            continue;
        uint32_t code = s[0] & (unsigned char)~form[len - 1].mask;
        for (size_t i = 1; i < len; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < form[len - 1].least || surrogate || code > 0x10ffff ? 0
                                                                          : len;
    }
    return 0;
}

bool sn_utf8_valid(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length((const unsigned char *)text + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static size_t utf8_put(uint32_t code, char *ret)
{
    if (code < 0x80) {
        ret[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        ret[i] = (char)(0x80 | (code & 0x3f));
    ret[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}

/* The four digits after \u. */
static bool take_hex4(struct sn_json *json, uint32_t *ret)
{
    if (json->size - json->at < 4)
        return sn_st_json_fail(json, "a string ends within an escape");
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = json->bytes[json->at++];
        unsigned digit = 16;
        if (c >= '0' && c <= '9')
            digit = c - (unsigned)'0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20u) - 'a' + 10;
        if (digit > 15)
            return sn_st_json_fail(json, "an escape has no four hex digits");
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

/* \uXXXX, or a pair of them for a code over U+FFFF; the \u is taken. */
static bool take_unicode(struct sn_json *json, uint32_t *ret)
{
    uint32_t high = 0, low = 0;
    if (!take_hex4(json, &high))
        return false;
    if (high == 0)
        return sn_st_json_fail(json, "a string holds NUL");
    if (high < 0xd800 || high > 0xdfff) {
        *ret = high;
        return true;
    }
    if (high > 0xdbff || json->size - json->at < 2 ||
        json->bytes[json->at] != '\\' || json->bytes[json->at + 1] != 'u')
        return sn_st_json_fail(json, "an escape is half of a surrogate pair");
    json->at += 2;
    if (!take_hex4(json, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return sn_st_json_fail(json, "an escape is half of a surrogate pair");
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool take_escape(struct sn_json *json, uint32_t *ret)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (json->at >= json->size)
        return sn_st_json_fail(json, "a string ends within an escape");
    unsigned char c = json->bytes[json->at++];
    if (c == 'u')
        return take_unicode(json, ret);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return sn_st_json_fail(json, "an unknown escape");
    *ret = (uint32_t)to[found - from];
    return true;
}

/* One character of a string, decoded to at most four bytes. */
static bool take_char(struct sn_json *json, char ret[4], size_t *ret_len)
{
    unsigned char c = json->bytes[json->at];
    uint32_t code = 0;
    if (c == '\\') {
        json->at++;
        if (!take_escape(json, &code))
            return false;
        *ret_len = utf8_put(code, ret);
        return true;
    }
    if (c < 0x20)
        return sn_st_json_fail(json, "a control character in a string");
    *ret_len = utf8_length(json->bytes + json->at, json->size - json->at);
    if (*ret_len == 0)
        return sn_st_json_fail(json, "a string is not UTF-8");
    memcpy(ret, json->bytes + json->at, *ret_len);
    json->at += *ret_len;
    return true;
}

bool sn_st_json_string(struct sn_json *json, char *ret, size_t max)
{
    if (!sn_st_json_take(json, '"'))
        return false;
    size_t used = 0;
    while (json->at < json->size) {
        if (json->bytes[json->at] == '"') {
            json->at++;
            ret[used] = '\0';
            return true;
        }
        char text[4];
        size_t len = 0;
        if (!take_char(json, text, &len))
            return false;
        if (len >= max - used)
            return sn_st_json_fail(json, "a string is too long");
        memcpy(ret + used, text, len);
        used += len;
    }
    return sn_st_json_fail(json, "a string does not end");
}
