#include "engine/data/names.h"

#include <stdlib.h>
#include <string.h>

enum sn_err sn_names_add(struct sn_names *names, const char *text,
                         struct sn_error *err)
{
    if (names->n == names->room) {
        uint32_t room = names->room == 0 ? 16 : 2 * names->room;
        char **at = realloc(names->at, room * sizeof *at);
        if (at == NULL)
            return sn_error_set(err, SN_ERR_NOMEM, "no memory for names");
        names->at = at;
        names->room = room;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for names");
    names->at[names->n++] = copy;
    return SN_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sn_names_sort(struct sn_names *names)
{
    if (names->n > 1)
        qsort(names->at, names->n, sizeof *names->at, by_bytes);
}

int64_t sn_names_find(const struct sn_names *names, const char *text)
{
    uint32_t low = 0, high = names->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(names->at[middle], text);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

void sn_names_close(struct sn_names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        free(names->at[i]);
    free(names->at);
    *names = (struct sn_names){0};
}
