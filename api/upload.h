/* sn_upload - bodies that go into a file: the loop takes the bytes as they
 * come, a thread of its own puts them on the disk.
 *
 *   loop     begin --> add, add ... --> end --------> whole(arg)   free
 *              |  blocks of 256 KiB |    |              ^            |
 *   thread    open ............. write  fsync ----------+     close, remove
 *
 * A reader that is faster than the disk is told so (add answers false) and
 * stops reading until more(arg). The first failure (no room, over the limit) is
 * kept, all later bytes are thrown away, and whole(arg) comes all the same. The
 * file is <state>/uploads/<number>; whoever wants to have it renames it away
 * after sn_upload_take; else it is removed. All functions are for the loop
 * thread, callbacks come there.
 */
#ifndef SN_UPLOAD_H
#define SN_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct sn_server;
struct sn_uploads; /* the thread; one an api */
struct sn_upload;  /* one body */

enum { SN_MAX_UPLOADS = 8 }; /* at a time */

struct sn_upload_calls {
    void (*more)(void *arg);  /* it takes bytes again */
    void (*whole)(void *arg); /* after end: all is on the disk, or failed */
    void *arg;
};

/* Starts the thread, which first removes what an earlier run left. Borrows the
 * server, through which callbacks come. */
enum sn_err sn_uploads_new(struct sn_server *server, const char *state_dir,
                           struct sn_uploads **ret, struct sn_error *err);
/* Whether anything is under way on the thread: the server must not be closed
 * before that has ended. */
bool sn_uploads_busy(const struct sn_uploads *all);
/* Ends the thread, when not busy. Uploads may be freed after it, not begun. */
void sn_uploads_stop(struct sn_uploads *all);
/* Stopped, and without uploads. NULL is fine. */
void sn_uploads_free(struct sn_uploads *all);

/* `limit` bytes are taken, and only as long as 64 MiB of the disk stay free;
 * `expected` is how many are announced, 0: unknown. SN_ERR_BUSY: there are too
 * many already. Returns owned. */
enum sn_err sn_upload_begin(struct sn_uploads *all, uint64_t limit,
                            uint64_t expected,
                            const struct sn_upload_calls *calls,
                            struct sn_upload **ret, struct sn_error *err);
/* Copies. False: taken, but now wait for `more`. */
bool sn_upload_add(struct sn_upload *u, const void *bytes, size_t n);
void sn_upload_end(struct sn_upload *u); /* once */

const struct sn_error *sn_upload_error(const struct sn_upload *u);
uint64_t sn_upload_size(const struct sn_upload *u);
/* The file's path once it is whole, and the duty to remove or rename it.
 * Borrowed until free. */
const char *sn_upload_take(struct sn_upload *u);
/* No callback comes after it. NULL is fine. */
void sn_upload_free(struct sn_upload *u);

#endif
