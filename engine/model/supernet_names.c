#include "engine/model/supernet_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/running.h"

/* ---- the list ---- */

static int compare(const void *a, const void *b)
{
    const struct sn_wanted *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void add_weights(struct sn_wanted_list *list,
                        const struct sn_tensor *tensors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct sn_wanted *w = &list->item[list->n++];
        snprintf(w->name, sizeof(w->name), "%s", tensors[i].name);
        w->part = SN_WANTED_WEIGHT;
        w->index = i;
        w->ndim = tensors[i].ndim;
        memcpy(w->shape, tensors[i].shape, sizeof(w->shape));
    }
}

static void add_statistics(struct sn_wanted_list *list,
                           const struct sn_running_bn *bns, size_t n)
{
    static const struct {
        const char *suffix;
        enum sn_wanted_part part;
        int ndim;
    } parts[] = {{"running_mean", SN_WANTED_MEAN, 1},
                 {"running_var", SN_WANTED_VAR, 1},
                 {"num_batches_tracked", SN_WANTED_BATCHES, 0}};
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
            struct sn_wanted *w = &list->item[list->n++];
            snprintf(w->name, sizeof(w->name), "%s.%s", bns[i].name,
                     parts[p].suffix);
            w->part = parts[p].part;
            w->index = i;
            w->ndim = parts[p].ndim;
            w->shape[0] = (int64_t)bns[i].channels;
        }
}

enum sn_err sn_wanted_new(const struct sn_supernet *net,
                          struct sn_wanted_list **ret, struct sn_error *err)
{
    const struct sn_tensor *tensors;
    struct sn_running *running = NULL;
    struct sn_running_bn *bns;
    enum sn_err code = sn_running_new(net, &running, err);
    if (code != SN_OK)
        return code;
    size_t n_tensors = sn_supernet_tensors(net, &tensors);
    size_t n_bns = sn_running_bns(running, &bns);
    struct sn_wanted_list *list = calloc(1, sizeof(*list));
    if (list)
        list->item = calloc(n_tensors + 3 * n_bns, sizeof(*list->item));
    if (!list || !list->item) {
        sn_wanted_free(list);
        sn_running_free(running);
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    }
    add_weights(list, tensors, n_tensors);
    add_statistics(list, bns, n_bns);
    qsort(list->item, list->n, sizeof(*list->item), compare);
    sn_running_free(running);
    *ret = list;
    return SN_OK;
}

void sn_wanted_free(struct sn_wanted_list *list)
{
    if (!list)
        return;
    free(list->item);
    free(list);
}

/* ---- names ---- */

/* `text` with every `from` made `to`; false when there is none, or it gets too
 * long. */
static bool rename_part(const char *text, const char *from, const char *to,
                        char ret[128])
{
    const char *at = strstr(text, from);
    size_t used = 0, n_from = strlen(from), n_to = strlen(to);
    if (!at)
        return false;
    while (at) {
        size_t before = (size_t)(at - text);
        if (used + before + n_to >= 128)
            return false;
        memcpy(ret + used, text, before);
        memcpy(ret + used + before, to, n_to);
        used += before + n_to;
        text = at + n_from;
        at = strstr(text, from);
    }
    if (used + strlen(text) >= 128)
        return false;
    strcpy(ret + used, text);
    return true;
}

static struct sn_wanted *lookup(const struct sn_wanted_list *list,
                                const char *name)
{
    struct sn_wanted key = {.name = ""};
    if (strlen(name) >= sizeof(key.name))
        return NULL;
    strcpy(key.name, name);
    return bsearch(&key, list->item, list->n, sizeof(*list->item), compare);
}

/* A module that wraps another of the same kind has its name twice in the
 * elastic networks' state dicts, once in the plain ones'. Both ways are tried
 * wherever a name allows both: a ResNet stem's input_stem.1.conv.conv.weight is
 * input_stem.1.conv.conv.conv.weight, since the first conv is a residual
 * block's. */
static const char *const doubled[][2] = {
    {".bn.bn.", ".bn."},
    {".conv.conv.weight", ".conv.weight"},
    {".linear.linear.", ".linear."},
};

struct sn_wanted *sn_wanted_find(const struct sn_wanted_list *list,
                                 const char *name)
{
    char present[128], other[128];
    if (rename_part(name, ".mobile_inverted_conv.", ".conv.", present))
        name = present;
    struct sn_wanted *found = lookup(list, name);
    for (size_t i = 0; !found && i < sizeof(doubled) / sizeof(doubled[0]);
         i++) {
        const char *twice = doubled[i][0], *once = doubled[i][1];
        if (rename_part(name, twice, once, other))
            found = lookup(list, other);
        if (!found && rename_part(name, once, twice, other))
            found = lookup(list, other);
    }
    return found;
}
