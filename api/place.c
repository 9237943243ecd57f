#include "api/place.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "api/json.h"

void sn_place_fault(const struct sn_place *p, const char *name,
                    const char *what)
{
    char pointer[SN_POINTER_MAX];
    sn_json_pointer_join(p->pointer, name, pointer);
    sn_problem_at(p->problem, pointer, "%s", what);
}

void sn_place_fault_at(const struct sn_place *p, const char *name, size_t i,
                       const char *what)
{
    char pointer[SN_POINTER_MAX + 64];
    snprintf(pointer, sizeof pointer, "%s/%.40s/%zu", p->pointer, name, i);
    sn_problem_at(p->problem, pointer, "%s", what);
}

int sn_place_number(const struct sn_place *p, const char *name, int otherwise)
{
    json_t *value = json_object_get(p->object, name);
    json_int_t number = json_integer_value(value);
    if (value == NULL && otherwise >= 0)
        return otherwise;
    if (!json_is_integer(value) || number < 0 || number > UINT16_MAX) {
        sn_place_fault(p, name, "must be a whole number");
        return 0;
    }
    return (int)number;
}

uint8_t sn_place_small(const struct sn_place *p, const char *name)
{
    int number = sn_place_number(p, name, -1);
    return number > UINT8_MAX ? UINT8_MAX : (uint8_t)number;
}

bool sn_place_flag(const struct sn_place *p, const char *name)
{
    json_t *value = json_object_get(p->object, name);
    if (value != NULL && !json_is_boolean(value))
        sn_place_fault(p, name, "must be true or false");
    return json_is_true(value);
}

/* How many a list has, 0 where it is at fault. */
static size_t list_of(const struct sn_place *p, const char *name, size_t most,
                      json_t **ret)
{
    char what[64];
    size_t n;
    *ret = json_object_get(p->object, name);
    n = json_array_size(*ret);
    if (json_is_array(*ret) && n >= 1 && n <= most)
        return n;
    snprintf(what, sizeof what, "must be a list of 1 to %zu numbers", most);
    sn_place_fault(p, name, what);
    return 0;
}

size_t sn_place_numbers(const struct sn_place *p, const char *name, size_t most,
                        uint16_t *ret)
{
    json_t *list = NULL;
    size_t n = list_of(p, name, most, &list);
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_array_get(list, i);
        json_int_t number = json_integer_value(one);
        ret[i] = 0;
        if (json_is_integer(one) && number >= 0 && number <= UINT16_MAX) {
            ret[i] = (uint16_t)number;
            continue;
        }
        sn_place_fault_at(p, name, i, "must be a whole number");
    }
    return n;
}

size_t sn_place_bytes(const struct sn_place *p, const char *name, size_t most,
                      uint8_t *ret)
{
    uint16_t number[64];
    assert(most <= sizeof number / sizeof number[0]);
    size_t n = sn_place_numbers(p, name, most, number);
    for (size_t i = 0; i < n; i++)
        ret[i] = number[i] > UINT8_MAX ? UINT8_MAX : (uint8_t)number[i];
    return n;
}

size_t sn_place_ratios(const struct sn_place *p, const char *name, size_t most,
                       uint16_t *ret)
{
    json_t *list = NULL;
    size_t n = list_of(p, name, most, &list);
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_array_get(list, i);
        double thousandths = 1000 * json_number_value(one);
        ret[i] = 0;
        if (json_is_number(one) && thousandths >= 0 &&
            thousandths <= UINT16_MAX &&
            fabs(thousandths - rint(thousandths)) < 1e-6)
            ret[i] = (uint16_t)rint(thousandths);
        else
            sn_place_fault_at(p, name, i,
                              "must be a number of at most three decimals");
    }
    return n;
}

bool sn_place_enter(const struct sn_place *p, const char *name,
                    const char *const *names, struct sn_place *ret)
{
    ret->object = json_object_get(p->object, name);
    ret->problem = p->problem;
    sn_json_pointer_join(p->pointer, name, ret->pointer);
    if (!json_is_object(ret->object)) {
        sn_problem_at(p->problem, ret->pointer, "must be an object");
        return false;
    }
    sn_json_check_members(ret->object, ret->pointer, names, p->problem);
    return true;
}

bool sn_place_enter_at(const struct sn_place *p, const char *list, size_t i,
                       const char *const *names, struct sn_place *ret)
{
    ret->object = json_array_get(json_object_get(p->object, list), i);
    ret->problem = p->problem;
    snprintf(ret->pointer, sizeof ret->pointer, "/%s/%zu", list, i);
    if (!json_is_object(ret->object)) {
        sn_problem_at(p->problem, ret->pointer, "must be an object");
        return false;
    }
    sn_json_check_members(ret->object, ret->pointer, names, p->problem);
    return true;
}
