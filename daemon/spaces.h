/* sn_spaces - the spaces that jobs can name: the built-in ones, and users',
 * which storage keeps. The registry of a daemon; nothing of it is global.
 *
 * Loop thread, but for _find. A space's data stays where it is, and valid,
 * until sn_spaces_free, even once it is deleted: what was submitted before may
 * still point to it.
 */
#ifndef SN_DAEMON_SPACES_H
#define SN_DAEMON_SPACES_H

#include "api/host.h"
#include "daemon/mailbox.h"

struct sn_spaces;

/* Reads the stored ones; a row that is none any more is left out, and logged.
 * Borrows storage and mailbox. Returns owned. */
enum sn_err sn_spaces_new(struct sn_storage *storage, struct sn_mailbox *box,
                          struct sn_spaces **ret, struct sn_error *err);
void sn_spaces_free(struct sn_spaces *spaces); /* NULL is fine */

/* Built-in ones first, then by age. */
size_t sn_spaces_list(struct sn_spaces *spaces,
                      const struct sn_space_view **ret);
/* NULL if there is none of that name. */
const struct sn_space_view *sn_spaces_get(struct sn_spaces *spaces,
                                          const char *name);
/* The space of that name, or NULL. Any thread. */
const struct sn_space *sn_spaces_find(struct sn_spaces *spaces,
                                      const char *name);
/* Where `spec` names a user's space, its data becomes the spec's;
 * SN_ERR_NOTFOUND where there is no such space. */
enum sn_err sn_spaces_resolve(struct sn_spaces *spaces, struct sn_spec *spec,
                              struct sn_error *err);

/* Copies the space, which has been checked, and the JSON that it was made from.
 * done after the commit. SN_ERR_CONFLICT: the name is taken, or there are too
 * many. */
void sn_spaces_add(struct sn_spaces *spaces, const struct sn_space *space,
                   const char *json, sn_host_done done, void *arg);
/* The caller has seen that no job uses it. SN_ERR_CONFLICT for a built-in. */
void sn_spaces_delete(struct sn_spaces *spaces, const char *name,
                      sn_host_done done, void *arg);

#endif
