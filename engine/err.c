#include "engine/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
} err_table[SN_ERR_COUNT] = {
#define X(code, name, text) [code] = {name, text},
    SN_ERR_MAP(X)
#undef X
};

const char *sn_err_name(enum sn_err code)
{
    return (unsigned)code < SN_ERR_COUNT ? err_table[code].name : "unknown";
}

const char *sn_err_text(enum sn_err code)
{
    return (unsigned)code < SN_ERR_COUNT ? err_table[code].text : "unknown";
}

static enum sn_err fill(struct sn_error *err, enum sn_err code,
                        const char *pointer, const char *fmt, va_list ap)
{
    if (err == NULL)
        return code;
    err->code = code;
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    snprintf(err->pointer, sizeof err->pointer, "%s", pointer);
    return code;
}

enum sn_err sn_error_set(struct sn_error *err, enum sn_err code,
                         const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, code, "", fmt, ap);
    va_end(ap);
    return code;
}

enum sn_err sn_error_at(struct sn_error *err, enum sn_err code,
                        const char *pointer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, code, pointer, fmt, ap);
    va_end(ap);
    return code;
}

enum sn_err sn_error_wrap(struct sn_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return SN_ERR_INTERNAL;
    char prefix[sizeof err->message];
    char whole[2 * sizeof err->message + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s: %s", prefix, err->message);
    whole[sizeof err->message - 1] = '\0';
    memcpy(err->message, whole, sizeof err->message);
    return err->code;
}

enum sn_err sn_error_errno(struct sn_error *err, int saved_errno,
                           const char *fmt, ...)
{
    enum sn_err code = SN_ERR_IO;
    if (saved_errno == ENOSPC || saved_errno == EDQUOT)
        code = SN_ERR_DISKFULL;
    else if (saved_errno == ENOMEM)
        code = SN_ERR_NOMEM;
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, fmt);
    fill(err, code, "", fmt, ap);
    va_end(ap);
    size_t n = strlen(err->message);
    snprintf(err->message + n, sizeof err->message - n, ": %s",
             strerror(saved_errno));
    return code;
}
