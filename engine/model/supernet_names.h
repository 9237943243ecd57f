/* sn_wanted - the tensors that a supernet's state dict has, by name, and the
 * names that published files use for them.
 *
 * Inside engine/model/ only. Plain data; one thread at a time.
 */
#ifndef SN_SUPERNET_NAMES_H
#define SN_SUPERNET_NAMES_H

#include "engine/err.h"
#include "engine/model/safetensors.h"
#include "engine/net/net.h"

enum sn_wanted_part {
    SN_WANTED_WEIGHT, /* index: of the supernet's tensors */
    SN_WANTED_MEAN,   /* index: of the running statistics' BNs */
    SN_WANTED_VAR,
    SN_WANTED_BATCHES /* one I64 */
};

struct sn_wanted {
    char name[128];
    enum sn_wanted_part part;
    size_t index;
    int ndim;
    int64_t shape[4];
    const struct sn_st_tensor *found; /* filled by who looks for it */
};

struct sn_wanted_list {
    size_t n;
    struct sn_wanted *item; /* by name */
};

enum sn_err sn_wanted_new(const struct sn_supernet *net,
                          struct sn_wanted_list **ret, struct sn_error *err);
void sn_wanted_free(struct sn_wanted_list *list); /* NULL is fine */
/* What a file's tensor of this name is, by its present or an older name; NULL:
 * nothing. */
struct sn_wanted *sn_wanted_find(const struct sn_wanted_list *list,
                                 const char *name);

#endif
