/* Problems: the table of statuses, collecting, printing. */
#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "api/json.h"

static const unsigned statuses[SN_ERR_COUNT] = {
    [SN_OK] = 200,
    [SN_ERR_NOMEM] = 503,
    [SN_ERR_INVALID] = 400,
    [SN_ERR_RANGE] = 400,
    [SN_ERR_NOTFOUND] = 404,
    [SN_ERR_CONFLICT] = 409,
    [SN_ERR_TOOLARGE] = 413,
    [SN_ERR_IO] = 500,
    [SN_ERR_DISKFULL] = 507,
    [SN_ERR_CORRUPT] = 500,
    [SN_ERR_UNSUPPORTED] = 422,
    [SN_ERR_BUSY] = 503,
    [SN_ERR_STOPPED] = 503,
    [SN_ERR_INTERNAL] = 500,
};

static const struct {
    unsigned status;
    const char *title, *code;
} titles[] = {
    {400, "Bad Request", "invalid"},
    {401, "Unauthorized", "unauthorized"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {409, "Conflict", "conflict"},
    {413, "Content Too Large", "too_large"},
    {414, "URI Too Long", "too_large"},
    {422, "Unprocessable Content", "unsupported"},
    {500, "Internal Server Error", "internal"},
    {503, "Service Unavailable", "unavailable"},
    {507, "Insufficient Storage", "disk_full"},
};

unsigned sn_problem_status(enum sn_err code)
{
    return (unsigned)code < SN_ERR_COUNT ? statuses[code] : 500;
}

static size_t title_row(unsigned status)
{
    size_t n = sizeof titles / sizeof titles[0], i = 0;
    while (i + 1 < n && titles[i].status != status)
        i++;
    return i;
}

const char *sn_problem_title(unsigned status)
{
    size_t i = title_row(status);
    return titles[i].status == status ? titles[i].title : "Error";
}

void sn_problem_set(struct sn_problem *p, unsigned status, const char *fmt, ...)
{
    size_t i = title_row(status);
    va_list ap;
    p->status = status;
    p->code = titles[i].status == status ? titles[i].code : "error";
    va_start(ap, fmt);
    vsnprintf(p->detail, sizeof p->detail, fmt, ap);
    va_end(ap);
}

static void add(struct sn_problem *p, bool is_parameter, const char *where,
                const char *fmt, va_list ap)
{
    if (p->status == 0)
        sn_problem_set(p, 400, "the request is not acceptable");
    if (p->n == SN_PROBLEM_ITEMS) {
        p->more = true;
        return;
    }
    struct sn_problem_item *item = &p->item[p->n++];
    item->is_parameter = is_parameter;
    snprintf(item->where, sizeof item->where, "%s", where);
    vsnprintf(item->detail, sizeof item->detail, fmt, ap);
}

void sn_problem_at(struct sn_problem *p, const char *pointer, const char *fmt,
                   ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, false, pointer, fmt, ap);
    va_end(ap);
}

void sn_problem_at_parameter(struct sn_problem *p, const char *name,
                             const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, true, name, fmt, ap);
    va_end(ap);
}

void sn_problem_from_error(struct sn_problem *p, const struct sn_error *err)
{
    unsigned status = sn_problem_status(err->code);
    bool names_field = err->pointer[0] == '/';
    if (names_field && status == 404)
        status = 400;
    sn_problem_set(p, status, "%s",
                   err->message[0] != '\0' ? err->message
                                           : sn_err_text(err->code));
    p->code = sn_err_name(err->code);
    if (names_field)
        sn_problem_at(p, err->pointer, "%.255s", err->message);
}

char *sn_problem_print(const struct sn_problem *p)
{
    json_t *body = json_object(), *errors = NULL;
    sn_json_put(body, "type", sn_json_string("about:blank"));
    sn_json_put(body, "title", sn_json_string(sn_problem_title(p->status)));
    sn_json_put(body, "status", json_integer(p->status));
    sn_json_put(body, "code", sn_json_string(p->code));
    sn_json_put(body, "detail", sn_json_string(p->detail));
    if (p->n > 0)
        errors = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct sn_problem_item *item = &p->item[i];
        json_t *one = json_object();
        sn_json_put(one, item->is_parameter ? "parameter" : "pointer",
                    sn_json_string(item->where));
        sn_json_put(one, "detail", sn_json_string(item->detail));
        json_array_append_new(errors, one);
    }
    if (errors != NULL)
        sn_json_put(body, "errors", errors);
    if (p->more)
        sn_json_put(body, "more_errors", json_true());
    char *text = sn_json_dump(body);
    json_decref(body);
    return text;
}
