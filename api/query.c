/* Query strings. */
#include "api/query.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool sn_query_decode(const char *text, size_t size, bool plus, char *ret,
                     size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0' || n + 1 >= room)
            return false;
        ret[n++] = c;
    }
    if (room == 0)
        return false;
    ret[n] = '\0';
    return true;
}

static const struct sn_parameter *find(const struct sn_parameter *table,
                                       const char *name)
{
    while (table != NULL && table->name != NULL) {
        if (strcmp(table->name, name) == 0)
            return table;
        table++;
    }
    return NULL;
}

static bool parse_int(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text)
        return false;
    *ret = value;
    return true;
}

/* Decimal notation alone: strtod would take "inf", "nan" and hex as well. */
static bool parse_number(const char *text, double *ret)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    double value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *ret = value;
    return true;
}

static void check_choice(const struct sn_parameter *p, const char *value,
                         struct sn_problem *problem)
{
    char list[200] = "";
    for (size_t i = 0; p->choices[i] != NULL; i++) {
        if (strcmp(p->choices[i], value) == 0)
            return;
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i > 0 ? ", " : "",
                 p->choices[i]);
    }
    sn_problem_at_parameter(problem, p->name, "must be one of %s", list);
}

static void check_value(const struct sn_parameter *p, const char *value,
                        struct sn_problem *problem)
{
    size_t length = strlen(value);
    size_t most = p->max > 0 ? (size_t)p->max : SN_VALUE_MAX - 1;
    int64_t whole = 0;
    double number = 0;
    switch (p->type) {
    case SN_PARAMETER_TEXT:
        if (length == 0 || length > most)
            sn_problem_at_parameter(problem, p->name,
                                    "must have 1 to %zu bytes", most);
        break;
    case SN_PARAMETER_INT:
        if (!parse_int(value, &whole) || (double)whole < p->min ||
            (double)whole > p->max)
            sn_problem_at_parameter(problem, p->name,
                                    "must be a whole number from %.16g to "
                                    "%.16g",
                                    p->min, p->max);
        break;
    case SN_PARAMETER_NUMBER:
        if (!parse_number(value, &number) || number < p->min || number > p->max)
            sn_problem_at_parameter(problem, p->name,
                                    "must be a number from %.15g to %.15g",
                                    p->min, p->max);
        break;
    case SN_PARAMETER_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            sn_problem_at_parameter(problem, p->name, "must be true or false");
        break;
    case SN_PARAMETER_CHOICE:
        check_choice(p, value, problem);
        break;
    }
}

/* One name=value; `*used` bytes of q are taken. */
static void add_pair(struct sn_query *q, size_t *used, const char *text,
                     size_t size, const struct sn_parameter *table,
                     struct sn_problem *problem)
{
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals != NULL ? (size_t)(equals - text) : size;
    const char *value_text = equals != NULL ? equals + 1 : text + size;
    char *name = q->bytes + *used;
    if (!sn_query_decode(text, name_size, true, name,
                         sizeof q->bytes - *used)) {
        sn_problem_set(problem, 400, "the query cannot be decoded");
        return;
    }
    char *value = name + strlen(name) + 1;
    size_t room = sizeof q->bytes - (size_t)(value - q->bytes);
    if (!sn_query_decode(value_text, (size_t)(text + size - value_text), true,
                         value, room)) {
        sn_problem_set(problem, 400, "the query cannot be decoded");
        sn_problem_at_parameter(problem, name, "has a broken value");
        return;
    }
    const struct sn_parameter *p = find(table, name);
    if (p == NULL)
        sn_problem_at_parameter(problem, name, "there is no such parameter");
    else if (sn_query_text(q, name, NULL) != NULL)
        sn_problem_at_parameter(problem, name, "is given twice");
    else if (q->n == SN_QUERY_MAX)
        sn_problem_set(problem, 400, "the query has too many parameters");
    else {
        check_value(p, value, problem);
        q->pair[q->n].name = name;
        q->pair[q->n++].value = value;
        *used = (size_t)(value - q->bytes) + strlen(value) + 1;
    }
}

bool sn_query_parse(const char *text, const struct sn_parameter *table,
                    struct sn_query *ret, struct sn_problem *problem)
{
    size_t used = 0;
    ret->n = 0;
    while (text != NULL && *text != '\0') {
        size_t size = strcspn(text, "&");
        if (size > 0)
            add_pair(ret, &used, text, size, table, problem);
        text += size;
        text += *text == '&';
    }
    if (problem->status != 0 && problem->n > 0)
        sn_problem_set(problem, 400, "the query is not acceptable");
    return problem->status == 0;
}

const char *sn_query_text(const struct sn_query *q, const char *name,
                          const char *otherwise)
{
    for (size_t i = 0; i < q->n; i++) {
        if (strcmp(q->pair[i].name, name) == 0)
            return q->pair[i].value;
    }
    return otherwise;
}

int64_t sn_query_int(const struct sn_query *q, const char *name,
                     int64_t otherwise)
{
    const char *text = sn_query_text(q, name, NULL);
    int64_t value;
    return text != NULL && parse_int(text, &value) ? value : otherwise;
}

double sn_query_number(const struct sn_query *q, const char *name,
                       double otherwise)
{
    const char *text = sn_query_text(q, name, NULL);
    double value;
    return text != NULL && parse_number(text, &value) ? value : otherwise;
}

bool sn_query_bool(const struct sn_query *q, const char *name, bool otherwise)
{
    const char *text = sn_query_text(q, name, NULL);
    return text != NULL ? strcmp(text, "true") == 0 : otherwise;
}
