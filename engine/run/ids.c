#include "engine/run/ids.h"

#include <stdlib.h>
#include <string.h>

char *sn_ids_join(const struct sn_space *space, const void *list, size_t stride,
                  uint32_t n)
{
    char *text = malloc((size_t)n * SN_ARCH_ID_MAX + 1);
    char *at = text;
    if (text == NULL)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const struct sn_arch *arch =
            (const void *)((const char *)list + i * stride);
        sn_arch_encode(space, arch, at);
        at += strlen(at);
        *at++ = '\n';
    }
    *at = '\0';
    return text;
}

enum sn_err sn_ids_split(const struct sn_safetensors *file, const char *name,
                         const struct sn_space *space, void *list,
                         size_t stride, uint32_t n, struct sn_error *err)
{
    const struct sn_st_tensor *t = sn_safetensors_find(file, name);
    if (n == 0)
        return SN_OK;
    if (t == NULL || t->dtype != SN_ST_U8)
        return sn_error_set(err, SN_ERR_CORRUPT, "%s is missing", name);
    const char *at = t->data, *end = at + sn_st_count(t);
    for (uint32_t i = 0; i < n; i++) {
        char id[SN_ARCH_ID_MAX];
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL || stop - at >= SN_ARCH_ID_MAX)
            return sn_error_set(err, SN_ERR_CORRUPT, "%s is cut off", name);
        memcpy(id, at, (size_t)(stop - at));
        id[stop - at] = '\0';
        enum sn_err rc =
            sn_arch_decode(space, id, (void *)((char *)list + i * stride), err);
        if (rc != SN_OK)
            return sn_error_set(err, SN_ERR_CORRUPT,
                                "%s holds a foreign architecture", name);
        at = stop + 1;
    }
    return SN_OK;
}
