#include "engine/data/npy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* NumPy writes 128 bytes for plain arrays and reads no more than this. */
enum { MAX_HEADER = 10000, MAX_TEXT = 16 };

/* What is left of the header's text. */
struct text {
    const char *at, *end;
};

static void skip_spaces(struct text *t)
{
    while (t->at < t->end && *t->at == ' ')
        t->at++;
}

static bool take(struct text *t, char c)
{
    skip_spaces(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    size_t n = strlen(word);
    skip_spaces(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* A text in quotes of either kind, printable and without escapes. */
static bool take_text(struct text *t, char ret[MAX_TEXT])
{
    size_t n = 0;
    skip_spaces(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    char quote = *t->at++;
    while (t->at < t->end && *t->at != quote) {
        if (n == MAX_TEXT - 1 || *t->at < ' ' || *t->at > '~' || *t->at == '\\')
            return false;
        ret[n++] = *t->at++;
    }
    ret[n] = '\0';
    return take(t, quote);
}

static bool take_number(struct text *t, uint64_t *ret)
{
    uint64_t v = 0;
    skip_spaces(t);
    const char *start = t->at;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        unsigned digit = (unsigned)(*t->at - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret = v;
    return t->at > start;
}

/* (), (5,), (5, 6), (5, 6, ). */
static bool take_shape(struct text *t, struct sn_npy *npy)
{
    npy->rank = 0;
    if (!take(t, '('))
        return false;
    bool comma = true;
    while (!take(t, ')')) {
        if (!comma || npy->rank == SN_NPY_MAX_RANK ||
            !take_number(t, &npy->dim[npy->rank]))
            return false;
        npy->rank++;
        comma = take(t, ',');
    }
    return npy->rank != 1 || comma; /* (5) is a number */
}

struct header {
    char descr[MAX_TEXT];
    bool fortran;
};

/* Returns what is wrong, NULL when nothing is. */
static const char *parse(struct text *t, struct header *ret, struct sn_npy *npy)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false}, comma = true;
    if (!take(t, '{'))
        return "its header is not a dictionary";
    while (!take(t, '}')) {
        char key[MAX_TEXT];
        int k = 0;
        if (!comma || !take_text(t, key) || !take(t, ':'))
            return "its header is not a dictionary of names";
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen[k])
            return "its header has another key than descr, fortran_order and "
                   "shape, or one twice";
        seen[k] = true;
        if (k == 0 && !take_text(t, ret->descr))
            return "its descr is not the name of a plain type";
        if (k == 1 && !(ret->fortran = take_word(t, "True")) &&
            !take_word(t, "False"))
            return "its fortran_order is neither True nor False";
        if (k == 2 && !take_shape(t, npy))
            return "its shape is not a tuple of at most 4 whole numbers";
        comma = take(t, ',');
    }
    if (!seen[0] || !seen[1] || !seen[2])
        return "its header lacks descr, fortran_order or shape";
    if (!take(t, '\n') || t->at != t->end)
        return "its header does not end in spaces and a newline";
    return NULL;
}

static enum sn_err corrupt(const struct sn_npy *npy, const char *why,
                           struct sn_error *err)
{
    return sn_error_set(err, SN_ERR_CORRUPT, "%s: %s", npy->file.path, why);
}

/* Integers: kind and width, low byte first where there are several. */
static enum sn_err check_type(const struct header *h, struct sn_npy *npy,
                              struct sn_error *err)
{
    const char *d = h->descr;
    if (h->fortran)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: is in Fortran order; C order is read "
                            "(numpy.ascontiguousarray)",
                            npy->file.path);
    if (strlen(d) == 3 && strchr("|<>", d[0]) != NULL &&
        strchr("ui", d[1]) != NULL && strchr("1248", d[2]) != NULL &&
        (d[2] == '1' || d[0] == '<')) {
        npy->kind = d[1];
        npy->width = d[2] - '0';
        return SN_OK;
    }
    return sn_error_set(err, SN_ERR_INVALID,
                        "%s: its elements are %s; read are |u1 in images, and "
                        "in labels |u1, |i1 or <u and <i with 2, 4 or 8",
                        npy->file.path, d);
}

/* The elements end where the file does. `at` is where they begin. */
static enum sn_err check_size(const struct sn_npy *npy, uint64_t at,
                              struct sn_error *err)
{
    uint64_t left = npy->file.size - at, bytes = (uint64_t)npy->width;
    for (int i = 0; i < npy->rank; i++) {
        if (npy->dim[i] == 0)
            return corrupt(npy, "one of its dimensions is 0", err);
        if (bytes > left / npy->dim[i])
            return corrupt(npy, "shorter than its header says", err);
        bytes *= npy->dim[i];
    }
    if (bytes > left)
        return corrupt(npy, "shorter than its header says", err);
    if (bytes < left)
        return corrupt(npy, "longer than its header says", err);
    return SN_OK;
}

/* The length of the header's text, and of all that is before the elements. */
static enum sn_err read_lengths(struct sn_npy *npy, uint32_t *ret_text,
                                uint64_t *ret_all, struct sn_error *err)
{
    uint8_t b[12];
    size_t got;
    enum sn_err rc = sn_file_read(&npy->file, b, 8, &got, err);
    if (rc != SN_OK)
        return rc;
    if (got < 8 || memcmp(b, "\x93NUMPY", 6) != 0)
        return corrupt(npy, "not a .npy file", err);
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return sn_error_set(err, SN_ERR_INVALID,
                            "%s: is of version %d.%d; read are 1.0 to 3.0",
                            npy->file.path, b[6], b[7]);
    size_t n = b[6] == 1 ? 2 : 4;
    rc = sn_file_read_all(&npy->file, b + 8, n, err);
    if (rc != SN_OK)
        return rc;
    uint32_t text = (uint32_t)b[8] | (uint32_t)b[9] << 8;
    if (n == 4)
        text |= (uint32_t)b[10] << 16 | (uint32_t)b[11] << 24;
    if (text > MAX_HEADER)
        return corrupt(npy, "its header is over 10000 bytes", err);
    *ret_text = text;
    *ret_all = 8 + n + text;
    return SN_OK;
}

static enum sn_err read_header(struct sn_npy *npy, struct sn_error *err)
{
    char buffer[MAX_HEADER];
    uint32_t length = 0;
    uint64_t before = 0;
    struct header header = {.fortran = false};
    enum sn_err rc = read_lengths(npy, &length, &before, err);
    if (rc != SN_OK)
        return rc;
    rc = sn_file_read_all(&npy->file, buffer, length, err);
    if (rc != SN_OK)
        return rc;
    struct text t = {buffer, buffer + length};
    const char *why = parse(&t, &header, npy);
    if (why != NULL)
        return corrupt(npy, why, err);
    rc = check_type(&header, npy, err);
    return rc != SN_OK ? rc : check_size(npy, before, err);
}

enum sn_err sn_npy_open(const char *path, struct sn_npy *ret,
                        struct sn_error *err)
{
    struct sn_npy npy = {.rank = 0};
    enum sn_err rc = sn_file_open(path, &npy.file, err);
    if (rc != SN_OK)
        return rc;
    rc = read_header(&npy, err);
    if (rc != SN_OK) {
        sn_file_close(&npy.file);
        return rc;
    }
    *ret = npy;
    return SN_OK;
}
