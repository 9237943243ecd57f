#include "engine/search/archset.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct sn_archset {
    uint32_t n, room;
    uint32_t mask;  /* slots - 1; slots: a power of two, over 2 x room */
    uint32_t *slot; /* 0: empty, else 1 + the member's index */
    struct sn_arch *arch;
};

enum sn_err sn_archset_new(uint32_t room, struct sn_archset **ret,
                           struct sn_error *err)
{
    if (room > 1u << 28)
        return sn_error_set(err, SN_ERR_TOOLARGE,
                            "a set of %u architectures is too large", room);
    struct sn_archset *set = calloc(1, sizeof *set);
    if (set == NULL)
        goto no_memory;
    uint32_t slots = 16;
    while (slots / 2 < room)
        slots *= 2;
    set->room = room;
    set->mask = slots - 1;
    set->slot = calloc(slots, sizeof *set->slot);
    set->arch = malloc((room + 1) * sizeof *set->arch);
    if (set->slot == NULL || set->arch == NULL)
        goto no_memory;
    *ret = set;
    return SN_OK;

no_memory:
    sn_archset_free(set);
    return sn_error_set(err, SN_ERR_NOMEM, "no memory for %u architectures",
                        room);
}

void sn_archset_free(struct sn_archset *set)
{
    if (set == NULL)
        return;
    free(set->slot);
    free(set->arch);
    free(set);
}

struct sn_arch *sn_archset_take(struct sn_archset *set)
{
    struct sn_arch *arch = set->arch;
    set->arch = NULL;
    sn_archset_free(set);
    return arch;
}

static uint32_t hash(const struct sn_arch *arch)
{
    uint64_t words[(sizeof *arch + 7) / 8] = {0}, h = 0;
    /* up to the last member: what follows it is padding */
    memcpy(words, arch, offsetof(struct sn_arch, stem) + sizeof arch->stem);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (uint32_t)(h >> 16);
}

/* The slot that holds `arch`, or the empty one where it would go. */
static uint32_t find(const struct sn_archset *set, const struct sn_arch *arch)
{
    uint32_t at = hash(arch) & set->mask;
    while (set->slot[at] != 0 &&
           !sn_arch_equal(&set->arch[set->slot[at] - 1], arch))
        at = (at + 1) & set->mask;
    return at;
}

bool sn_archset_add(struct sn_archset *set, const struct sn_arch *arch)
{
    uint32_t at = find(set, arch);
    if (set->slot[at] != 0 || set->n == set->room)
        return false;
    set->arch[set->n++] = *arch;
    set->slot[at] = set->n;
    return true;
}

uint32_t sn_archset_count(const struct sn_archset *set)
{
    return set->n;
}

bool sn_archset_holds(const struct sn_archset *set, const struct sn_arch *arch)
{
    return set->slot[find(set, arch)] != 0;
}
