/* Text ids of architectures: r<resolution>.k<groups>.e<groups>, a group a
 * stage, a character a block. */
#include "engine/space/resnet.h"

#include <stdio.h>
#include <string.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

/* A list whose values are all below ten is written by value; any other by
 * index, so that one list never mixes the two. */
static bool by_value(const struct sn_choices *list)
{
    for (int i = 0; i < list->n; i++)
        if (list->value[i] > 9)
            return false;
    return true;
}

static char choice_char(const struct sn_choices *list, int value)
{
    if (by_value(list))
        return digits[value % 10];
    int i = 0;
    while (i < list->n - 1 && list->value[i] != value)
        i++;
    return digits[i];
}

/* The value that a character stands for, or -1. */
static int choice_value(const struct sn_choices *list, char c)
{
    for (int i = 0; i < list->n; i++)
        if (choice_char(list, list->value[i]) == c)
            return list->value[i];
    return -1;
}

static char *put_groups(char *at, const struct sn_space *space,
                        const struct sn_arch *arch, bool kernels)
{
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        if (s > 0)
            *at++ = '-';
        for (int b = 0; b < arch->depth[s]; b++)
            *at++ = kernels ? choice_char(&stage->kernel, arch->kernel[s][b])
                            : choice_char(&stage->expand, arch->expand[s][b]);
    }
    return at;
}

void sn_arch_encode(const struct sn_space *space, const struct sn_arch *arch,
                    char ret_id[SN_ARCH_ID_MAX])
{
    if (space->family == SN_FAMILY_RESNET) {
        sn_resnet_encode(space, arch, ret_id);
        return;
    }
    /* worst case: "r65535.k" + ".e" + 2 x (8 x 8 characters + 7 dashes) */
    char *at = ret_id;
    at += snprintf(at, 16, "r%u.k", (unsigned)arch->resolution);
    at = put_groups(at, space, arch, true);
    *at++ = '.';
    *at++ = 'e';
    at = put_groups(at, space, arch, false);
    *at = '\0';
}

static enum sn_err refuse(struct sn_error *err, const char *id, size_t at,
                          const char *why)
{
    char shown[41] = "";
    for (size_t i = 0; i < sizeof shown - 1 && id[i] != '\0'; i++)
        shown[i] = id[i] > ' ' && id[i] < 127 ? id[i] : '?';
    return sn_error_set(
        err, SN_ERR_INVALID, "architecture id \"%s%s\": %s at character %zu",
        shown, strlen(id) > sizeof shown - 1 ? "..." : "", why, at + 1);
}

/* Reads one stage's group into value[]; its length goes to *ret_n. */
static const char *read_group(const char *at, const struct sn_choices *list,
                              uint8_t value[SN_MAX_DEPTH], int *ret_n)
{
    int n = 0;
    for (; n < SN_MAX_DEPTH; n++, at++) {
        int v = choice_value(list, *at);
        if (*at == '\0' || v < 0)
            break;
        value[n] = (uint8_t)v;
    }
    *ret_n = n;
    return at;
}

/* Reads the groups of kernels (first; they set the depths) or of expands. */
static enum sn_err read_groups(const struct sn_space *space, const char *id,
                               const char **at, bool kernels,
                               struct sn_arch *arch, struct sn_error *err)
{
    for (int s = 0; s < space->n_stages; s++) {
        const struct sn_stage *stage = &space->stage[s];
        int n;
        if (s > 0 && *(*at)++ != '-')
            return refuse(err, id, (size_t)(*at - 1 - id),
                          kernels ? "a kernel or \"-\" expected"
                                  : "an expand or \"-\" expected");
        const char *start = *at;
        *at = kernels ? read_group(*at, &stage->kernel, arch->kernel[s], &n)
                      : read_group(*at, &stage->expand, arch->expand[s], &n);
        bool fits = false;
        for (int i = 0; i < stage->depth.n; i++)
            fits |= stage->depth.value[i] == n;
        if (kernels && !fits)
            return refuse(err, id, (size_t)(start - id),
                          "not a depth of this stage, or not a kernel,");
        if (!kernels && n != arch->depth[s])
            return refuse(err, id, (size_t)(start - id),
                          "not as many expands as kernels, or not an expand,");
        arch->depth[s] = (uint8_t)n;
    }
    return SN_OK;
}

/* "r<resolution>.k", the number as it is printed. Moves *at over it. */
static enum sn_err read_resolution(const struct sn_space *space, const char *id,
                                   const char **at, uint16_t *ret,
                                   struct sn_error *err)
{
    const char *c = id;
    int value = 0;
    if (*c == 'r' && c[1] != '0')
        for (c++; *c >= '0' && *c <= '9' && value <= UINT16_MAX; c++)
            value = 10 * value + (*c - '0');
    if (c[0] == '.' && c[1] == 'k' && sn_space_has_resolution(space, value)) {
        *at = c + 2;
        *ret = (uint16_t)value;
        return SN_OK;
    }
    char why[64];
    snprintf(
        why, sizeof why, "\"r%u.k\"%s expected", (unsigned)space->resolution,
        space->n_resolutions > 1 ? ", or another of its resolutions," : "");
    return refuse(err, id, 0, why);
}

enum sn_err sn_arch_decode(const struct sn_space *space, const char *id,
                           struct sn_arch *ret, struct sn_error *err)
{
    struct sn_arch arch = {0};
    const char *at = id;
    if (strnlen(id, SN_ARCH_ID_MAX) == SN_ARCH_ID_MAX)
        return sn_error_set(err, SN_ERR_INVALID,
                            "an architecture id has fewer than %d characters",
                            SN_ARCH_ID_MAX);
    if (space->family == SN_FAMILY_RESNET)
        return sn_resnet_decode(space, id, ret, err);
    enum sn_err rc = read_resolution(space, id, &at, &arch.resolution, err);
    if (rc == SN_OK)
        rc = read_groups(space, id, &at, true, &arch, err);
    if (rc != SN_OK)
        return rc;
    if (at[0] != '.' || at[1] != 'e')
        return refuse(err, id, (size_t)(at - id), "\".e\" expected");
    at += 2;
    rc = read_groups(space, id, &at, false, &arch, err);
    if (rc != SN_OK)
        return rc;
    if (*at != '\0')
        return refuse(err, id, (size_t)(at - id), "the end expected");
    if (space->always_coupled &&
        (rc = sn_arch_check(space, &arch, err)) != SN_OK)
        return rc;
    *ret = arch;
    return SN_OK;
}
