/* sn_mailbox - how other threads reach the loop: they post a function and its
 * argument, and the loop calls it.
 *
 *   storage's writer --+
 *   a job's conductor -+--> [list, mutex] --uv_async--> loop: fn(arg), in order
 *   a file thread -----+
 *
 * Wake-ups coalesce, so the loop always takes all that is there.
 */
#ifndef SN_DAEMON_MAILBOX_H
#define SN_DAEMON_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "engine/err.h"

typedef void (*sn_mail_fn)(void *arg);

struct sn_mail;
struct sn_mailbox {
    uv_async_t async;
    pthread_mutex_t lock;
    struct sn_mail *first, **last;
};

/* Embedded in its owner; `loop` is borrowed. */
enum sn_err sn_mailbox_init(struct sn_mailbox *box, uv_loop_t *loop,
                            struct sn_error *err);

/* Any thread. The only failure is want of memory, which ends the process: a
 * lost message would leave a request or a job hanging for ever. */
void sn_mailbox_post(struct sn_mailbox *box, sn_mail_fn fn, void *arg);

/* Calls all that is posted, on the loop thread; for the end, when the loop no
 * longer turns. Returns whether there was any. */
bool sn_mailbox_drain(struct sn_mailbox *box);

/* No thread may post any more. The loop must turn once more afterwards. */
void sn_mailbox_close(struct sn_mailbox *box);

#endif
