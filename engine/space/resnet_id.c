#include <stdio.h>
#include <string.h>

#include "engine/space/resnet.h"

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

enum { STEM_WITH = 2 }; /* the digit of a stem with its residual 3x3 */

static int most_blocks(const struct sn_stage *stage)
{
    return stage->depth.value[stage->depth.n - 1];
}

static char *put_expands(char *at, const struct sn_space *space,
                         const struct sn_arch *arch)
{
    for (int s = 0; s < space->n_stages; s++)
        for (int b = 0; b < most_blocks(&space->stage[s]); b++)
            *at++ = digits[b < arch->depth[s] ? arch->expand[s][b] - 1 : 0];
    return at;
}

void sn_resnet_encode(const struct sn_space *space, const struct sn_arch *arch,
                      char ret_id[SN_ARCH_ID_MAX])
{
    /* worst case: "r65535.d" + 9 digits + ".e" + 64 + ".w" + 10 */
    char *at = ret_id;
    at += snprintf(at, 16, "r%u.d", (unsigned)arch->resolution);
    *at++ = digits[arch->stem ? STEM_WITH : 0];
    for (int s = 0; s < space->n_stages; s++)
        *at++ = digits[arch->depth[s] - space->stage[s].base_depth];
    *at++ = '.';
    *at++ = 'e';
    at = put_expands(at, space, arch);
    *at++ = '.';
    *at++ = 'w';
    for (int w = 0; w < SN_STEM_WIDTHS + space->n_stages; w++)
        *at++ = digits[arch->width[w]];
    *at = '\0';
}

/* What a character stands for; past every index where it is no digit. */
static uint8_t value_of(char c)
{
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at ? (uint8_t)(at - digits) : UINT8_MAX - SN_MAX_DEPTH;
}

/* Reads what may be anything; the check afterwards, and encoding it again,
 * tell whether it was an id. */
static const char *read_groups(const struct sn_space *space, const char *at,
                               struct sn_arch *arch)
{
    arch->stem = value_of(*at++) == STEM_WITH;
    for (int s = 0; s < space->n_stages; s++)
        arch->depth[s] =
            (uint8_t)(value_of(*at++) + space->stage[s].base_depth);
    at += 2;
    for (int s = 0; s < space->n_stages; s++)
        for (int b = 0; b < most_blocks(&space->stage[s]); b++, at++)
            arch->expand[s][b] =
                b < arch->depth[s] ? (uint8_t)(value_of(*at) + 1) : 0;
    at += 2;
    for (int w = 0; w < SN_STEM_WIDTHS + space->n_stages; w++)
        arch->width[w] = value_of(*at++);
    for (int s = 0; s < space->n_stages; s++)
        for (int b = 0; b < arch->depth[s] && b < SN_MAX_DEPTH; b++)
            arch->kernel[s][b] = 3;
    return at;
}

static enum sn_err refuse(struct sn_error *err, const char *id, const char *why)
{
    char shown[SN_ARCH_ID_MAX] = "";
    for (size_t i = 0; i < sizeof shown - 1 && id[i] != '\0'; i++)
        shown[i] = id[i] > ' ' && id[i] < 127 ? id[i] : '?';
    return sn_error_set(err, SN_ERR_INVALID, "architecture id \"%.80s\": %s",
                        shown, why);
}

enum sn_err sn_resnet_decode(const struct sn_space *space, const char *id,
                             struct sn_arch *ret, struct sn_error *err)
{
    struct sn_arch arch = {0};
    struct sn_error cause;
    char again[SN_ARCH_ID_MAX], why[160];
    unsigned resolution = 0;
    int used = 0;
    size_t length = (size_t)(1 + space->n_stages + 2 + 2 + SN_STEM_WIDTHS +
                             space->n_stages + sn_space_slots(space));
    if (sscanf(id, "r%5u.d%n", &resolution, &used) != 1 || used == 0 ||
        resolution > UINT16_MAX)
        return refuse(err, id, "\"r<resolution>.d\" expected");
    if (strlen(id + used) != length) {
        snprintf(why, sizeof why,
                 "%d digits after d, %d after e and %d after w expected",
                 1 + space->n_stages, sn_space_slots(space),
                 SN_STEM_WIDTHS + space->n_stages);
        return refuse(err, id, why);
    }
    arch.resolution = (uint16_t)resolution;
    read_groups(space, id + used, &arch);
    if (sn_arch_check(space, &arch, &cause) != SN_OK)
        return refuse(err, id, cause.message);
    sn_resnet_encode(space, &arch, again);
    if (strcmp(again, id) != 0) {
        snprintf(why, sizeof why, "it is written %.120s", again);
        return refuse(err, id, why);
    }
    *ret = arch;
    return SN_OK;
}
